/** Reads `--not-after`: until when a decision can be executed. */
import { timelockDelay } from '../../chain/governance/governance.ts'
import { readDaoSettings } from '../../chain/governance/proposals.ts'
import type { OwnerArguments } from '../options.ts'
import type { Session } from '../session/session.ts'
import { readTime } from './arguments.ts'
import { requireGovernor } from './contracts.ts'

/** The execution deadline: as given, or two weeks after the earliest possible execution. Unix seconds. */
export async function readNotAfter(
  { notAfter, governor }: Pick<OwnerArguments, 'notAfter' | 'governor'>,
  session: Session,
): Promise<number> {
  const { publicClient, now } = session
  if (notAfter !== undefined) return readTime(notAfter, '--not-after')
  const at = await requireGovernor(session, governor)
  const { timelock, ...course } = await readDaoSettings(publicClient, at)
  const delay = await timelockDelay(publicClient, timelock)
  const { votingDelay, votingPeriod, lateQuorumExtension } = course
  return now + votingDelay + votingPeriod + lateQuorumExtension + delay + 14 * 86_400
}
