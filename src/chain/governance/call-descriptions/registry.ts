/** The deeds that every registry shares: one approval model, one set of words. */
import { type Hex, keccak256 } from 'viem'

import type { approvalRegistryAbi, hostBondsAbi } from '../../abi.ts'
import { readEvidence } from '../approval-evidence.ts'
import {
  type Deed,
  type Deeds,
  durationInWords,
  everywhereInWords,
  fromInWords,
  idsInWords,
  kindInWords,
  lateInWords,
  type Told,
  untilInWords,
  whenInWords,
} from './types.ts'

type Terms = {
  readonly kind: number
  readonly id: Hex
  readonly activeFrom: number
  readonly expiresAt: number
  readonly evidence: Hex
}

export const registryDeeds: Deeds<typeof approvalRegistryAbi> = {
  approve: {
    by: 'owner',
    says: ([terms, notAfter], told) => [
      ...terms.map((each) => approvalInWords(each, told)),
      lateInWords(notAfter, told),
    ],
    command: 'approve',
  },
  renew: {
    by: 'owner',
    says: ([kind, ids, expiresAt, notAfter], told) => [
      `let ${idsInWords(kind, ids)} go on ${untilInWords(expiresAt, told)}`,
      lateInWords(notAfter, told),
    ],
    command: 'renew',
  },
  retire: {
    by: 'owner',
    says: ([kind, ids, expiresAt], { now }) =>
      `end ${idsInWords(kind, ids)}${everywhereInWords(kind)} at ${whenInWords(expiresAt, now)}`,
    final: 'An end can be brought nearer, and renewed only before it has come.',
    command: 'retire',
  },
  withdraw: {
    by: 'owner',
    says: ([kind, ids]) => `withdraw ${idsInWords(kind, ids)}${everywhereInWords(kind)} at once`,
    final: 'What is withdrawn comes back only as a new version, by a new approval.',
    command: 'withdraw',
  },
  revoke: {
    by: 'owner',
    says: ([kind, ids]) =>
      `revoke ${idsInWords(kind, ids)}${everywhereInWords(kind)} at once and for good`,
    final: 'What is revoked never comes back.',
    command: 'revoke',
  },
  suspend: {
    by: 'guardian',
    says: ([kind, ids]) =>
      `suspend ${idsInWords(kind, ids)}${everywhereInWords(kind)} at once; it ends by itself unless the owner withdraws or revokes`,
    command: 'suspend',
  },
  lift: {
    by: 'owner',
    says: ([kind, ids, notAfter], told) => [
      `end the suspension of ${idsInWords(kind, ids)} at once`,
      lateInWords(notAfter, told),
    ],
    command: 'lift',
  },
  markExpired: {
    by: 'anyone',
    says: ([kind, ids]) =>
      `write down that ${idsInWords(kind, ids)} has expired: it becomes withdrawn, which changes no answer`,
    final: 'It cannot be renewed any more, only approved anew.',
    command: 'mark-expired',
  },
  setGuardian: {
    by: 'owner',
    says: ([guardian, suspension, notAfter], told) => [
      /^0x0{40}$/.test(guardian)
        ? `leave nobody but the owner to suspend, for ${durationInWords(suspension)} each time`
        : `let ${told.name(guardian)} suspend, for ${durationInWords(suspension)} each time, instead of who could until now`,
      lateInWords(notAfter, told),
    ],
    command: 'set-guardian',
  },
  transferOwnership: {
    by: 'owner',
    says: ([newOwner], { name }) =>
      `offer the ownership to ${name(newOwner)}; nothing changes until it accepts`,
    command: 'hand-over',
  },
  acceptOwnership: {
    by: 'anyone',
    says: () => 'take over the ownership that was offered to the sender',
    final: 'The owner until now decides nothing any more.',
    command: 'accept',
  },
  renounceOwnership: {
    by: 'owner',
    says: () => 'leave the contract without any owner',
    final: 'Nobody can ever approve, withdraw or change anything there again.',
    command: 'renounce',
  },
}

export const ownershipDeeds = {
  transferOwnership: registryDeeds.transferOwnership,
  acceptOwnership: registryDeeds.acceptOwnership,
  renounceOwnership: registryDeeds.renounceOwnership,
} as Pick<Deeds<typeof hostBondsAbi>, 'transferOwnership' | 'acceptOwnership' | 'renounceOwnership'>

/** Stands before calls that know no end of their own. */
export const deadlineDeed: Deed<readonly [number]> = {
  by: 'anyone',
  says: ([notAfter], told) => lateInWords(notAfter, told),
  command: '[the tasks put it before calls for a plain timelock]',
}

export function approvalInWords(terms: Terms, told: Told): string {
  const { kind, id, activeFrom, expiresAt, evidence } = terms
  const times = `${fromInWords(activeFrom, told)}, ${untilInWords(expiresAt, told)}`
  return `approve ${kindInWords(kind)} ${id} ${times}, ${evidenceInWords(evidence)}`
}

export function evidenceInWords(bytes: Hex): string {
  if (bytes === '0x') return 'on no evidence'
  const digest = `evidence ${keccak256(bytes)}`
  const known = readEvidence(bytes)
  if (known === undefined)
    return `on ${digest} (${(bytes.length - 2) / 2} bytes that are no evidence document)`
  const { repository, commit } = known.source
  return `on ${digest}: ${repository} at ${commit}, built by "${known.recipe}"`
}
