/**
 * What proves a finalized header to others, offline: the messages that led to it, as the release log stores them.
 *
 * docs/release-log.md specifies the format.
 */
import { BitArray } from '@chainsafe/ssz'

import { concatBytes, to0x, utf8ToBytes } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import type { NamedNode } from '../boot/evidence.ts'
import { type WireForm, wireTypes } from './containers.ts'
import type { Bootstrap, LightClientHeader, Update } from './messages.ts'
import type { Network } from './network.ts'

/** Each message with its keccak-256. */
export interface FinalityProof {
  /** Messages that introduced sync committees, oldest first: a bootstrap, or updates. At most {@link maxCommittees}. */
  readonly committees: readonly NamedNode[]
  /** The finality update that made the header final; undefined: it is the header of the bootstrap. */
  readonly final: NamedNode | undefined
}

/**
 * Committees that a proof goes back. A node that slept longer than the weak subjectivity period refuses to continue, and
 * that is less than 14 periods on every public network.
 */
export const maxCommittees = 16

/** The proof of a trusted header. */
export function beginProof(
  { committeeSize }: Network,
  { header, committee, branch }: Bootstrap,
): FinalityProof {
  const ssz = wireTypes(header.form, committeeSize).bootstrap.serialize({
    header: header.value,
    currentSyncCommittee: committee.value,
    currentSyncCommitteeBranch: branch,
  })
  return { committees: [nameMessage('bootstrap', header.form, ssz)], final: undefined }
}

/** The parts that an update added to the store. */
export interface Added {
  /** It made a newer header final. */
  readonly isFinal: boolean
  /** It introduced the next sync committee. */
  readonly hasCommittee: boolean
}

/** The proof after a valid update. */
export function extendProof(
  network: Network,
  { committees, final }: FinalityProof,
  update: Update,
  { isFinal, hasCommittee }: Added,
): FinalityProof {
  const introduced = hasCommittee ? [encodeUpdate(network, update)] : []
  return {
    committees: [...committees, ...introduced].slice(-maxCommittees),
    final: isFinal ? encodeFinalityUpdate(network, update) : final,
  }
}

/** All messages of a proof, in the order in which they are checked. */
export function messagesOf({ committees, final }: FinalityProof): readonly NamedNode[] {
  return final === undefined ? committees : [...committees, final]
}

/** The message with its hash, which is its name. */
export function nameBytes(bytes: Uint8Array): NamedNode {
  const message = to0x(bytes)
  return [keccak256(message), message]
}

function nameMessage(kind: string, form: WireForm, ssz: Uint8Array): NamedNode {
  return nameBytes(concatBytes(utf8ToBytes(`light-client-${kind}-v1 ${form}\n`), ssz))
}

function encodeUpdate(network: Network, update: Update): NamedNode {
  const { attested, next } = update
  const { update: type } = wireTypes(attested.form, network.committeeSize)
  const empty = type.defaultValue()
  const ssz = type.serialize({
    ...finalityOf(network, update),
    nextSyncCommittee: next?.committee.value ?? empty.nextSyncCommittee,
    nextSyncCommitteeBranch: next?.branch ?? empty.nextSyncCommitteeBranch,
  })
  return nameMessage('update', attested.form, ssz)
}

function encodeFinalityUpdate(network: Network, update: Update): NamedNode {
  const { form } = update.attested
  const { finalityUpdate } = wireTypes(form, network.committeeSize)
  return nameMessage('finality-update', form, finalityUpdate.serialize(finalityOf(network, update)))
}

function finalityOf({ committeeSize }: Network, update: Update) {
  const { attested, finality, bits, signature, signatureSlot } = update
  const empty = wireTypes(attested.form, committeeSize).finalityUpdate.defaultValue()
  return {
    attestedHeader: attested.value,
    finalizedHeader: headerIn(attested, finality?.header) ?? empty.finalizedHeader,
    finalityBranch: finality?.branch ?? empty.finalityBranch,
    syncAggregate: {
      syncCommitteeBits: BitArray.fromBoolArray([...bits]),
      syncCommitteeSignature: signature,
    },
    signatureSlot: BigInt(signatureSlot),
  }
}

/** All headers of a message have one form. */
function headerIn({ form }: LightClientHeader, header: LightClientHeader | undefined) {
  return header?.form === form ? header.value : undefined
}
