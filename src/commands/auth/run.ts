/** `assent auth run`: serves the auth webhook, which a dstack KMS asks about boots, until SIGTERM or SIGINT. */
import { runAuth } from '../../auth/main.ts'
import type { run as command } from '../auth.ts'
import type { ArgumentsOf } from '../command.ts'
import type { Context } from '../session/context.ts'

export async function run({ config }: ArgumentsOf<typeof command>, { stopSignal }: Context) {
  await runAuth({ configFile: config, signal: stopSignal() })
}
