/** `assent indexer run`: follows the chain and serves the indexed state, until SIGTERM or SIGINT. */
import { runIndexer } from '../../indexer/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { run as command } from '../indexer.ts'
import type { Context } from '../session/context.ts'

export async function run(
  { config }: ArgumentsOf<typeof command>,
  { output, stopSignal }: Context,
) {
  await runIndexer({
    configFile: config,
    signal: stopSignal(),
    onProgress: ({ block, latest }) => {
      if (block < latest) output.progress(`Block ${block} of ${latest} is indexed`)
      else output.pause()
    },
  })
}
