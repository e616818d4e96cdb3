/** `assent worker run`: answers the requests of an app in its CVM, until SIGTERM or SIGINT. */
import { runWorker } from '../../worker/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { Context } from '../session/context.ts'
import type { run as command } from '../worker.ts'

export async function run({ config }: ArgumentsOf<typeof command>, { stopSignal }: Context) {
  await runWorker({ configFile: config, signal: stopSignal() })
}
