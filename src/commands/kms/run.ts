/**
 * `assent kms run`: serves a KMS node until SIGTERM or SIGINT. The heap limit of young objects is set before any
 * other module is loaded.
 */
import { keepHeapSmall } from '../../kms/heap.ts'
import { runKms } from '../../kms/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { run as command } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

export async function run({ config }: ArgumentsOf<typeof command>, { stopSignal }: Context) {
  keepHeapSmall()
  await runKms({ configFile: config, signal: stopSignal() })
}
