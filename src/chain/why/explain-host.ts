/** The conditions of the host registry for one device. */
import type { Hex } from '../../lib/bytes.ts'
import { noEnd } from '../approval.ts'
import { onChainStatuses } from '../governance/call-descriptions/kms.ts'
import { formatDeadline, formatTime } from '../governance/format-time.ts'
import { type HostCondition, type HostFacts, hostRules } from '../proven/boot-rules.ts'
import { describeApproval } from './describe-approval.ts'
import { commandsOfDao, type NextStep, nextStepToActivate } from './describe-conditions.ts'

/** A condition of the admission of a host, evaluated at one time. */
export interface HostConditionState {
  readonly condition: HostCondition
  readonly state: 'met' | 'unmet'
  /** What the chain says, in one sentence. */
  readonly found: string
  /** First second in which the state changes without a transaction; null: no such time is known. */
  readonly until: number | null
  /** How to make an unmet condition met; null if nothing can. */
  readonly nextStep: NextStep | null
}

type KnownHost = Exclude<HostFacts, 'no-rule'>

/**
 * Evaluates the conditions of the host registry from facts that were read before.
 *
 * @param at unix seconds
 * @returns every condition in the order of the registry; empty if KmsAuth asks no host registry
 */
export function hostConditions(
  facts: HostFacts,
  deviceId: Hex,
  at: number,
): readonly HostConditionState[] {
  if (facts === 'no-rule') return []
  return hostRules.map(({ condition, holds, changes }): HostConditionState => {
    const isMet = holds(facts, at)
    const later = [...changes(facts)].filter((time) => time > at && time < noEnd)
    const until = later.sort((a, b) => a - b).find((time) => holds(facts, time) !== isMet)
    return {
      condition,
      state: isMet ? 'met' : 'unmet',
      found: describe[condition](facts, at),
      until: until ?? null,
      nextStep: isMet ? null : nextSteps[condition](deviceId, facts, at),
    }
  })
}

const describe: Readonly<Record<HostCondition, (facts: KnownHost, at: number) => string>> = {
  'proof-valid': ({ proof }, at) =>
    proof.expiresAt === 0
      ? 'The host has no proof.'
      : `The host proof is valid until ${formatDeadline(proof.expiresAt, at)}.`,
  'proof-recent': ({ proof, attestedSince }) =>
    attestedSince === 0
      ? 'Host proofs of any age are accepted.'
      : `Proofs from ${formatTime(attestedSince)} on are accepted; this one is from ${formatTime(proof.attestedAt)}.`,
  'status-accepted': ({ proof, statusUntil }, at) => {
    const status = onChainStatuses[proof.status] ?? String(proof.status)
    if (statusUntil === 0) return `The DAO does not accept the TCB status ${status}.`
    const end = statusUntil >= noEnd ? 'without an end' : `until ${formatDeadline(statusUntil, at)}`
    return `The DAO accepts the TCB status ${status} ${end}.`
  },
  approved: ({ host }, at) => `The approval of the host: ${describeApproval(host, at)}.`,
  'proven-under-approval': ({ proof, host }) =>
    `The approval has version ${host.version}; the proof was made under version ${proof.approvalVersion}.`,
  bonded: ({ isBonded }) =>
    isBonded ? 'The bond is sufficient.' : 'The bond of the operator is too small.',
}

const nextSteps: Readonly<
  Record<HostCondition, (deviceId: Hex, facts: KnownHost, at: number) => NextStep | null>
> = {
  'proof-valid': prove,
  'proof-recent': prove,
  'status-accepted': (deviceId) => ({
    ...prove(deviceId),
    note: 'Update the platform first, or let the DAO accept the TCB status for longer.',
  }),
  approved: (deviceId, { host }, at) =>
    nextStepToActivate(host, at, commandsOfDao('host', deviceId)),
  'proven-under-approval': prove,
  bonded: (deviceId) => ({
    by: 'host operator',
    command: `assent host bond ${deviceId} <amount>`,
    note: null,
  }),
}

function prove(deviceId: Hex): NextStep {
  return {
    by: 'host operator',
    command: `assent host renew ${deviceId}`,
    note: 'A host that was never proven: assent host quote, then assent host register.',
  }
}
