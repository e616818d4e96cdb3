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
    describe: ([terms, notAfter], context) => [
      ...terms.map((each) => describeApproval(each, context)),
      describeDeadline(notAfter, context),
    ],
    command: 'approve',
  },
  renew: {
    caller: 'owner',
    describe: ([kind, ids, expiresAt, notAfter], context) => [
      `let ${formatIds(kind, ids)} go on ${describeEnd(expiresAt, context)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'extend',
  },
  retire: {
    caller: 'owner',
    describe: ([kind, ids, expiresAt], { now }) =>
      `end ${formatIds(kind, ids)}${describeEverywhere(kind)} at ${formatDeadline(expiresAt, now)}`,
    irreversible: 'An end can be brought nearer, and renewed only before it has come.',
    command: 'shorten',
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
    describe: ([kind, ids, notAfter], context) => [
      `end the suspension of ${formatIds(kind, ids)} at once`,
      describeDeadline(notAfter, context),
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
    describe: ([guardian, suspension, notAfter], context) => [
      /^0x0{40}$/.test(guardian)
        ? `leave nobody but the owner to suspend, for ${formatDuration(suspension)} each time`
        : `let ${context.name(guardian)} suspend, for ${formatDuration(suspension)} each time, instead of who could until now`,
      describeDeadline(notAfter, context),
    ],
    command: 'set-guardian',
  },
  transferOwnership: {
    caller: 'owner',
    describe: ([newOwner], { name }) =>
      `offer the ownership to ${name(newOwner)}; nothing changes until it accepts`,
    command: 'transfer-ownership',
  },
  acceptOwnership: {
    caller: 'anyone',
    describe: () => 'take over the ownership that was offered to the sender',
    irreversible: 'The owner until now decides nothing any more.',
    command: 'accept-ownership',
  },
  renounceOwnership: {
    caller: 'owner',
    describe: () => 'leave the contract without any owner',
    irreversible: 'Nobody can ever approve, withdraw or change anything there again.',
    command: 'renounce-ownership',
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
  describe: ([notAfter], context) => describeDeadline(notAfter, context),
  command: '[the tasks put it before calls for a plain timelock]',
}

export function describeApproval(terms: EncodedTerms, context: DescriptionContext): string {
  const { kind, id, activeFrom, expiresAt, evidence } = terms
  const times = `${describeStart(activeFrom, context)}, ${describeEnd(expiresAt, context)}`
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
