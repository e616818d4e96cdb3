/** The deeds that every registry shares: one approval model, one set of words. */
import { type Hex, keccak256 } from 'viem'

import type { approvalRegistryAbi, hostBondsAbi } from '../../abi.ts'
import { readEvidence } from '../approval-evidence.ts'
import {
  type DescriptionContext,
  describeDeadline,
  describeEnd,
  describeEverywhere,
  describeStart,
  type FunctionDescription,
  type FunctionDescriptions,
  formatDeadline,
  formatDuration,
  formatIds,
  kindLabel,
} from './types.ts'

type EncodedTerms = {
  readonly kind: number
  readonly id: Hex
  readonly activeFrom: number
  readonly expiresAt: number
  readonly evidence: Hex
}

export const registryDescriptions: FunctionDescriptions<typeof approvalRegistryAbi> = {
  approve: {
    caller: 'owner',
    describe: ([terms, notAfter], told) => [
      ...terms.map((each) => describeApproval(each, told)),
      describeDeadline(notAfter, told),
    ],
    command: 'approve',
  },
  renew: {
    caller: 'owner',
    describe: ([kind, ids, expiresAt, notAfter], told) => [
      `let ${formatIds(kind, ids)} go on ${describeEnd(expiresAt, told)}`,
      describeDeadline(notAfter, told),
    ],
    command: 'renew',
  },
  retire: {
    caller: 'owner',
    describe: ([kind, ids, expiresAt], { now }) =>
      `end ${formatIds(kind, ids)}${describeEverywhere(kind)} at ${formatDeadline(expiresAt, now)}`,
    irreversible: 'An end can be brought nearer, and renewed only before it has come.',
    command: 'retire',
  },
  withdraw: {
    caller: 'owner',
    describe: ([kind, ids]) =>
      `withdraw ${formatIds(kind, ids)}${describeEverywhere(kind)} at once`,
    irreversible: 'What is withdrawn comes back only as a new version, by a new approval.',
    command: 'withdraw',
  },
  revoke: {
    caller: 'owner',
    describe: ([kind, ids]) =>
      `revoke ${formatIds(kind, ids)}${describeEverywhere(kind)} at once and for good`,
    irreversible: 'What is revoked never comes back.',
    command: 'revoke',
  },
  suspend: {
    caller: 'guardian',
    describe: ([kind, ids]) =>
      `suspend ${formatIds(kind, ids)}${describeEverywhere(kind)} at once; it ends by itself unless the owner withdraws or revokes`,
    command: 'suspend',
  },
  lift: {
    caller: 'owner',
    describe: ([kind, ids, notAfter], told) => [
      `end the suspension of ${formatIds(kind, ids)} at once`,
      describeDeadline(notAfter, told),
    ],
    command: 'lift',
  },
  markExpired: {
    caller: 'anyone',
    describe: ([kind, ids]) =>
      `write down that ${formatIds(kind, ids)} has expired: it becomes withdrawn, which changes no answer`,
    irreversible: 'It cannot be renewed any more, only approved anew.',
    command: 'mark-expired',
  },
  setGuardian: {
    caller: 'owner',
    describe: ([guardian, suspension, notAfter], told) => [
      /^0x0{40}$/.test(guardian)
        ? `leave nobody but the owner to suspend, for ${formatDuration(suspension)} each time`
        : `let ${told.name(guardian)} suspend, for ${formatDuration(suspension)} each time, instead of who could until now`,
      describeDeadline(notAfter, told),
    ],
    command: 'set-guardian',
  },
  transferOwnership: {
    caller: 'owner',
    describe: ([newOwner], { name }) =>
      `offer the ownership to ${name(newOwner)}; nothing changes until it accepts`,
    command: 'hand-over',
  },
  acceptOwnership: {
    caller: 'anyone',
    describe: () => 'take over the ownership that was offered to the sender',
    irreversible: 'The owner until now decides nothing any more.',
    command: 'accept',
  },
  renounceOwnership: {
    caller: 'owner',
    describe: () => 'leave the contract without any owner',
    irreversible: 'Nobody can ever approve, withdraw or change anything there again.',
    command: 'renounce',
  },
}

export const ownershipDescriptions = {
  transferOwnership: registryDescriptions.transferOwnership,
  acceptOwnership: registryDescriptions.acceptOwnership,
  renounceOwnership: registryDescriptions.renounceOwnership,
} as Pick<
  FunctionDescriptions<typeof hostBondsAbi>,
  'transferOwnership' | 'acceptOwnership' | 'renounceOwnership'
>

/** Stands before calls that know no end of their own. */
export const deadlineDescription: FunctionDescription<readonly [number]> = {
  caller: 'anyone',
  describe: ([notAfter], told) => describeDeadline(notAfter, told),
  command: '[the tasks put it before calls for a plain timelock]',
}

export function describeApproval(terms: EncodedTerms, told: DescriptionContext): string {
  const { kind, id, activeFrom, expiresAt, evidence } = terms
  const times = `${describeStart(activeFrom, told)}, ${describeEnd(expiresAt, told)}`
  return `approve ${kindLabel(kind)} ${id} ${times}, ${describeEvidence(evidence)}`
}

export function describeEvidence(bytes: Hex): string {
  if (bytes === '0x') return 'on no evidence'
  const digest = `evidence ${keccak256(bytes)}`
  const known = readEvidence(bytes)
  if (known === undefined)
    return `on ${digest} (${(bytes.length - 2) / 2} bytes that are no evidence document)`
  const { repository, commit } = known.source
  return `on ${digest}: ${repository} at ${commit}, built by "${known.recipe}"`
}
