/** What changes next without a transaction: ends, starts and deadlines of all lists, in the order of their times. */
import { type Approval, noEnd, stateAt } from '../../../src/chain/approval.ts'
import { onChainStatuses } from '../../../src/chain/governance/call-descriptions/kms.ts'
import type { Row } from './indexer.ts'

/** One coming change. */
export interface Upcoming {
  /** Unix seconds. */
  readonly at: number
  readonly kind: 'approval' | 'host proof' | 'TCB status' | 'vote' | 'suspension'
  readonly what: string
  /** Path of the page that shows it. */
  readonly path: string
}

/** Changes of one approval after `now`. */
export function changesOfApproval(
  approval: Approval,
  now: number,
  name: string,
  path: string,
): Upcoming[] {
  const state = stateAt(approval, now)
  const { activeFrom, expiresAt, suspendedUntil } = approval
  const all: Upcoming[] = []
  if (state === 'suspended')
    all.push({
      at: suspendedUntil,
      kind: 'suspension',
      what: `The suspension of ${name} ends`,
      path,
    })
  if (state === 'pending')
    all.push({ at: activeFrom, kind: 'approval', what: `${name} becomes active`, path })
  if (['active', 'pending', 'suspended'].includes(state) && expiresAt !== 0)
    all.push({ at: expiresAt, kind: 'approval', what: `${name} expires`, path })
  return all.filter(({ at }) => at > now && at < noEnd)
}

/** Ends of host proofs. */
export function changesOfHosts(
  rows: readonly Row<'hosts'>[],
  now: number,
  nameOf: (id: string) => string,
): Upcoming[] {
  return rows.flatMap(({ id, expiresAt }) =>
    expiresAt !== null && expiresAt > now
      ? [
          {
            at: expiresAt,
            kind: 'host proof' as const,
            what: `The host proof of ${nameOf(id)} ends`,
            path: `/machines/${id}`,
          },
        ]
      : [],
  )
}

/** Ends of accepted TCB statuses: hosts with this status are then demoted. */
export function changesOfRules(rows: readonly Row<'host-rules'>[], now: number): Upcoming[] {
  return rows.flatMap(({ status, until }) =>
    status !== null && until !== null && until > now && until < noEnd
      ? [
          {
            at: until,
            kind: 'TCB status' as const,
            what: `Hosts with the TCB status ${onChainStatuses[status] ?? status} are refused`,
            path: '/machines',
          },
        ]
      : [],
  )
}

/** Start and end of votes, and of the time in the timelock. */
export function changesOfProposals(
  rows: readonly Row<'proposals'>[],
  now: number,
  titleOf: (row: Row<'proposals'>) => string,
): Upcoming[] {
  return rows
    .filter(({ isExecuted, isCanceled }) => !isExecuted && !isCanceled)
    .flatMap((row) => {
      const change = (at: number, what: string) => ({
        at,
        kind: 'vote' as const,
        what: `${what}: ${titleOf(row)}`,
        path: `/proposals/${row.id}`,
      })
      return [
        change(row.voteStart, 'Voting begins'),
        change(row.voteEnd, 'Voting ends'),
        ...(row.eta === 0 ? [] : [change(row.eta, 'Can be executed')]),
      ]
    })
    .filter(({ at }) => at > now)
}
