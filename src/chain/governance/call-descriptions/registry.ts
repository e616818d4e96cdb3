/** Descriptions of the functions that all registries share. */
import { type Hex, keccak256 } from 'viem'
import { quoteText } from '../../../lib/printable.ts'
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

/** One entry of `approve`, as the ABI encodes it. Times in unix seconds, 0 = not set. */
type EncodedTerms = {
  readonly kind: number
  readonly id: Hex
  readonly activeFrom: number
  readonly expiresAt: number
  readonly evidence: Hex
}

/** The functions of `ApprovalRegistry`. */
export const registryDescriptions: FunctionDescriptions<typeof approvalRegistryAbi> = {
  approve: {
    caller: 'owner',
    describe: ([terms, notAfter], context) => [
      ...terms.map((each) => describeTerms(each, context)),
      describeDeadline(notAfter, context),
    ],
    command: 'dao approve',
  },
  extend: {
    caller: 'owner',
    describe: ([kind, ids, expiresAt, notAfter], context) => [
      `extend ${formatIds(kind, ids)} ${describeEnd(expiresAt, context)}`,
      describeDeadline(notAfter, context),
    ],
    command: 'dao extend',
  },
  shorten: {
    caller: 'owner',
    describe: ([kind, ids, expiresAt], { now }) =>
      `end ${formatIds(kind, ids)}${describeEverywhere(kind)} at ${formatDeadline(expiresAt, now)}`,
    irreversible: 'The end can be extended only before it is reached.',
    command: 'dao shorten',
  },
  withdraw: {
    caller: 'owner',
    describe: ([kind, ids]) =>
      `withdraw ${formatIds(kind, ids)}${describeEverywhere(kind)} immediately`,
    irreversible: 'A withdrawn id needs a new approval, which gets a new version.',
    command: 'dao withdraw',
  },
  revoke: {
    caller: 'owner',
    describe: ([kind, ids]) =>
      `revoke ${formatIds(kind, ids)}${describeEverywhere(kind)} immediately and permanently`,
    irreversible: 'A revoked id can never be approved again.',
    command: 'dao revoke',
  },
  suspend: {
    caller: 'guardian',
    describe: ([kind, ids]) =>
      `suspend ${formatIds(kind, ids)}${describeEverywhere(kind)} immediately, for the suspension time of this registry`,
    command: 'dao guardian suspend',
  },
  lift: {
    caller: 'owner',
    describe: ([kind, ids, notAfter], context) => [
      `lift the suspension of ${formatIds(kind, ids)} immediately`,
      describeDeadline(notAfter, context),
    ],
    command: 'dao guardian lift',
  },
  markExpired: {
    caller: 'anyone',
    describe: ([kind, ids]) =>
      `mark expired approvals as withdrawn: ${formatIds(kind, ids)}; this changes no decision`,
    irreversible: 'A marked approval cannot be extended, only approved again.',
    command: 'dao mark-expired',
  },
  setGuardian: {
    caller: 'owner',
    describe: ([guardian, suspension, notAfter], context) => [
      /^0x0{40}$/.test(guardian)
        ? `remove the guardian: only the owner can suspend, for ${formatDuration(suspension)} each time`
        : `make ${context.name(guardian)} the guardian, who can suspend for ${formatDuration(suspension)} each time; it replaces the current guardian`,
      describeDeadline(notAfter, context),
    ],
    command: 'dao guardian set',
  },
  transferOwnership: {
    caller: 'owner',
    describe: ([newOwner], { name }) =>
      `offer the ownership to ${name(newOwner)}; the owner changes only when the new owner accepts`,
    command: 'deployment transfer-ownership',
  },
  acceptOwnership: {
    caller: 'anyone',
    describe: () => 'accept the ownership that was offered to the sender of this call',
    irreversible: 'The previous owner loses all rights.',
    command: 'deployment accept-ownership',
  },
  renounceOwnership: {
    caller: 'owner',
    describe: () => 'give up the ownership: the contract will have no owner',
    irreversible: 'Nobody can approve, withdraw or change anything in this contract again.',
    command: 'deployment renounce-ownership',
  },
}

/** The functions of OpenZeppelin's `Ownable2Step`. */
export const ownershipDescriptions = {
  transferOwnership: registryDescriptions.transferOwnership,
  acceptOwnership: registryDescriptions.acceptOwnership,
  renounceOwnership: registryDescriptions.renounceOwnership,
} as Pick<
  FunctionDescriptions<typeof hostBondsAbi>,
  'transferOwnership' | 'acceptOwnership' | 'renounceOwnership'
>

/** `requireNotAfter`: precedes calls in a batch that have no deadline parameter of their own. */
export const deadlineDescription: FunctionDescription<readonly [number]> = {
  caller: 'anyone',
  describe: ([notAfter], context) => describeDeadline(notAfter, context),
  command: '[the commands add it to batches that need a deadline]',
}

/** Describes one entry of `approve`. */
export function describeTerms(terms: EncodedTerms, context: DescriptionContext): string {
  const { kind, id, activeFrom, expiresAt, evidence } = terms
  const times = `${describeStart(activeFrom, context)}, ${describeEnd(expiresAt, context)}`
  return `approve ${kindLabel(kind)} ${id}, ${times}, ${describeEvidence(evidence)}`
}

/** Describes the evidence bytes of an approval: their digest and, if they are an evidence document, its source. */
export function describeEvidence(bytes: Hex): string {
  if (bytes === '0x') return 'without evidence'
  const digest = `evidence ${keccak256(bytes)}`
  const known = readEvidence(bytes)
  if (known === undefined)
    return `with ${digest} (${(bytes.length - 2) / 2} bytes, not an evidence document)`
  const { repository, commit } = known.source
  return `with ${digest}: ${repository} at ${commit}, built by ${quoteText(known.recipe)}`
}
