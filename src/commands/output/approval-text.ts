/** Approvals in text output. */
import { type Approval, type State, stateAt } from '../../chain/approval.ts'
import { formatDeadline, formatTime } from '../../chain/governance/format-time.ts'
import { colors as pc } from './colors.ts'

/** The state in green, yellow (pending) or red, if the output has colours. */
export function colorState(state: State): string {
  if (state === 'active') return pc.green(state)
  return state === 'pending' ? pc.yellow(state) : pc.red(state)
}

/** The state with the times that matter in it. @param now unix seconds */
export function describeApproval(approval: Approval, now: number): string {
  return `${colorState(stateAt(approval, now))}${describeTimes(approval, now)}`
}

function describeTimes(approval: Approval, now: number): string {
  const { activeFrom, expiresAt, suspendedUntil, endedAt } = approval
  const end = expiresAt === 0 ? 'without an end' : `until ${formatDeadline(expiresAt, now)}`
  switch (stateAt(approval, now)) {
    case 'none':
      return ', never approved'
    case 'pending':
      return `, active from ${formatDeadline(activeFrom, now)}, ${end}`
    case 'active':
      return ` since ${formatTime(activeFrom)}, ${end}`
    case 'expired':
      return ` since ${formatDeadline(expiresAt, now)}`
    case 'suspended':
      return ` until ${formatDeadline(suspendedUntil, now)}, then active again unless it is withdrawn or revoked`
    default:
      return ` since ${formatDeadline(endedAt, now)}`
  }
}
