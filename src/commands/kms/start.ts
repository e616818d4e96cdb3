/**
 * `assent kms start`: serves a KMS node and bootstraps it at its first start. This is the command of the KMS image.
 */
import { keepHeapSmall } from '../../kms/heap.ts'
import { startKmsNode } from '../../kms/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { start } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

export async function run({ config }: ArgumentsOf<typeof start>, { stopSignal }: Context) {
  keepHeapSmall()
  await startKmsNode({ configFile: config, signal: stopSignal() })
}
