/** Reads `--not-after`: until when a decision can be executed. */
import { defaultNotAfter } from '../../chain/governance/proposals.ts'
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
  return defaultNotAfter(publicClient, at, now)
}
