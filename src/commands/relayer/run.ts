/** `assent relayer run`: serves the relayer until SIGTERM or SIGINT: intake API, outbox and background jobs. */
import { runRelayer } from '../../relayer/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { run as command } from '../relayer.ts'

export async function run({ config }: ArgumentsOf<typeof command>) {
  await runRelayer(process.env, config)
}
