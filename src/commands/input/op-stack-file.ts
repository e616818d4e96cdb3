/** Rules for the dispute games of an OP Stack chain, from a file with the setting `chainView.opStack` of a node. */
import { type OpStack, opStackSchema } from '../../chain/op-stack/settings.ts'
import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import type { RollupExpectations } from '../../log-verify/rollup.ts'
import { readJson } from './arguments.ts'

/** @throws FILE_UNREADABLE, INPUT_INVALID */
export async function readOpStack(file: string): Promise<RollupExpectations> {
  const parsed = opStackSchema.safeParse(await readJson(file))
  if (parsed.success) return toExpectations(parsed.data)
  throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`)
}

function toExpectations(settings: OpStack): RollupExpectations {
  const { l1, ...rules } = settings
  return { ...rules, l1ChainId: l1.chainId }
}
