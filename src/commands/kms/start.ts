import { keepHeapSmall } from '../../kms/heap.ts'
import { startKmsNode } from '../../kms/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { start } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

export async function run({ config }: ArgumentsOf<typeof start>, { stopSignal }: Context) {
  keepHeapSmall()
  await startKmsNode({ configFile: config, signal: stopSignal() })
}
