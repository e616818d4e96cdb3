/** Approvals in words: the state, its start and its end. */
import { type Approval, stateAt } from '../approval.ts'
import { formatDeadline, formatTime } from '../governance/format-time.ts'

/** End of a release that is superseded at a set time. */
export interface Supersession {
  /** Unix seconds; undefined: it ended at a time that the contract no longer stores. */
  readonly from: number | undefined
  /** Number of the oldest release that is not superseded. */
  readonly oldest: number
}

/**
 * An approval's state at `at`, with the times that matter in that state.
 *
 * @param supersession only for a release that a set or past supersession ends
 * @example describeApproval(approval, now) // 'active since 2026-11-01 …, without an end'
 */
export function describeApproval(
  approval: Approval,
  at: number,
  supersession?: Supersession,
): string {
  const { activeFrom, expiresAt, suspendedUntil, endedAt } = approval
  const state = stateAt(approval, at)
  if (supersession !== undefined && state === 'active') {
    const { from } = supersession
    if (from === undefined) return 'superseded'
    if (from <= at) return `superseded since ${formatDeadline(from, at)}`
  }
  switch (state) {
    case 'none':
      return 'never approved'
    case 'pending':
      return `pending: active from ${formatDeadline(activeFrom, at)}, ${describeEnd(expiresAt, at, supersession)}`
    case 'active':
      return `active since ${formatTime(activeFrom)}, ${describeEnd(expiresAt, at, supersession)}`
    case 'expired':
      return `expired since ${formatDeadline(expiresAt, at)}`
    case 'suspended':
      return `suspended until ${formatDeadline(suspendedUntil, at)}, then as before unless it is withdrawn or revoked`
    default:
      return `${state} since ${formatDeadline(endedAt, at)}`
  }
}

function describeEnd(expiresAt: number, at: number, supersession: Supersession | undefined) {
  const from = supersession?.from
  if (from !== undefined && (expiresAt === 0 || from < expiresAt)) {
    return `superseded by release ${supersession?.oldest} from ${formatDeadline(from, at)}`
  }
  return expiresAt === 0 ? 'without an end' : `until ${formatDeadline(expiresAt, at)}`
}
