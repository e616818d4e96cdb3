/**
 * Light-client messages: read from JSON of the beacon API or from SSZ, into one form for all forks.
 *
 * Messages that are read here are well formed and not yet verified: `store.ts` does that.
 */
import {
  BitVectorType,
  ByteListType,
  ByteVectorType,
  ContainerType,
  UintBigintType,
  VectorCompositeType,
} from '@chainsafe/ssz'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { equalBytes, isZero } from '../../lib/bytes.ts'
import { type CommitteeKeys, committeeKeys } from './bls.ts'
import {
  type BootstrapValue,
  beaconHeader,
  type CommitteeValue,
  committeeType,
  type FinalityUpdateValue,
  type HeaderValue,
  type OptimisticUpdateValue,
  type Ssz,
  type UpdateValue,
  type WireForm,
  type WireTypes,
  wireTypes,
} from './containers.ts'
import { formOf } from './forks.ts'
import type { Network } from './network.ts'

/** A `LightClientHeader` with what is computed of it once. */
export interface LightClientHeader {
  /** Containers of the fork in which the header was sent. */
  readonly form: WireForm
  /** The parsed message. */
  readonly value: HeaderValue
  /** Slot of the beacon block, as a safe integer. */
  readonly slot: number
  /** `hash_tree_root` of the beacon block header: the block root. */
  readonly root: Uint8Array
}

/** A `SyncCommittee` with what is computed of it once. */
export interface Committee {
  /** The parsed message. */
  readonly value: CommitteeValue
  /** `hash_tree_root`, 32 bytes. */
  readonly root: Uint8Array
  /** Decompressed when a signature is first checked. */
  readonly keys: CommitteeKeys
}

/** `LightClientBootstrap`, parsed. Nothing in it is verified yet. */
export interface Bootstrap {
  /** The header whose root must equal the trusted root. */
  readonly header: LightClientHeader
  /** Sync committee of the header's period. */
  readonly committee: Committee
  /** Merkle branch of the committee under the header's state root, lowest sibling first. */
  readonly branch: readonly Uint8Array[]
}

/** `LightClientUpdate`, or the part of it that a finality or optimistic update has. */
export interface Update {
  /** The header that the committee signed. */
  readonly attested: LightClientHeader
  /** The header that the attested state calls final, with its proof; undefined header: the genesis. */
  readonly finality:
    | { readonly header: LightClientHeader | undefined; readonly branch: readonly Uint8Array[] }
    | undefined
  /**
   * The next sync committee with its Merkle branch to the attested state; undefined in finality and optimistic
   * updates.
   */
  readonly next:
    | { readonly committee: Committee; readonly branch: readonly Uint8Array[] }
    | undefined
  /** One bit per member of the committee, in its order: whether it signed. */
  readonly bits: readonly boolean[]
  /** Number of members that signed. */
  readonly signers: number
  /** Aggregate BLS signature, 96 bytes. */
  readonly signature: Uint8Array
  /** Slot in which the signature was made; the committee of its period signed. */
  readonly signatureSlot: number
}

/** Kinds of light-client messages in the beacon API. */
export type MessageKind = 'bootstrap' | 'update' | 'finalityUpdate' | 'optimisticUpdate'

/** One message as a peer sent it: the fork that it claims, and its JSON or SSZ. */
export interface RawMessage {
  /**
   * Name of the fork in `version` of the answer. It selects the format only; the slot
   * decides which fork applies.
   */
  readonly fork: string
  /** The body as the beacon API sent it: parsed JSON, or SSZ bytes. */
  readonly data: { readonly json: unknown } | { readonly ssz: Uint8Array }
}

/**
 * `LightClientBootstrap` (Altair `sync-protocol.md` and later).
 *
 * @throws CONSENSUS_MESSAGE_INVALID, CONSENSUS_FORK_UNKNOWN
 */
export function readBootstrap(network: Network, raw: RawMessage): Bootstrap {
  const form = formOf(network, raw.fork)
  const value = readValue(network, raw, (types) => types.bootstrap) as BootstrapValue
  return {
    header: toHeader(form, value.header),
    committee: toCommittee(value.currentSyncCommittee),
    branch: value.currentSyncCommitteeBranch,
  }
}

/**
 * `LightClientUpdate`.
 *
 * @throws CONSENSUS_MESSAGE_INVALID, CONSENSUS_FORK_UNKNOWN
 */
export function readUpdate(network: Network, raw: RawMessage): Update {
  const form = formOf(network, raw.fork)
  const value = readValue(network, raw, (types) => types.update)
  return { ...toSigned(form, value), finality: toFinality(form, value), next: toNext(value) }
}

/**
 * `LightClientFinalityUpdate`: an update without a next committee.
 *
 * @throws CONSENSUS_MESSAGE_INVALID, CONSENSUS_FORK_UNKNOWN
 */
export function readFinalityUpdate(network: Network, raw: RawMessage): Update {
  const form = formOf(network, raw.fork)
  const value = readValue(network, raw, (types) => types.finalityUpdate)
  return { ...toSigned(form, value), finality: toFinality(form, value), next: undefined }
}

/**
 * `LightClientOptimisticUpdate`: an update without finality and next committee.
 *
 * @throws CONSENSUS_MESSAGE_INVALID, CONSENSUS_FORK_UNKNOWN
 */
export function readOptimisticUpdate(network: Network, raw: RawMessage): Update {
  const form = formOf(network, raw.fork)
  const value = readValue(network, raw, (types) => types.optimisticUpdate)
  return { ...toSigned(form, value), finality: undefined, next: undefined }
}

/** A header with its root. @throws CONSENSUS_MESSAGE_INVALID for a slot that no chain reaches */
export function toHeader(form: WireForm, value: HeaderValue): LightClientHeader {
  const slot = toSlot(value.beacon.slot)
  return { form, value, slot, root: beaconHeader.hashTreeRoot(value.beacon) }
}

/** A committee with its root. */
export function toCommittee(value: CommitteeValue): Committee {
  return {
    value,
    root: committeeType(value.pubkeys.length).hashTreeRoot(value),
    keys: committeeKeys(value.pubkeys, value.aggregatePubkey),
  }
}

function toSigned(form: WireForm, value: OptimisticUpdateValue) {
  const { syncCommitteeBits, syncCommitteeSignature: signature } = value.syncAggregate
  const bits = syncCommitteeBits.toBoolArray()
  return {
    attested: toHeader(form, value.attestedHeader),
    bits,
    signers: bits.filter(Boolean).length,
    signature,
    signatureSlot: toSlot(value.signatureSlot),
  }
}

/** `is_finality_update`, and the genesis, whose header stays empty. */
function toFinality(form: WireForm, value: FinalityUpdateValue): Update['finality'] {
  const { finalizedHeader, finalityBranch: branch } = value
  const header = toHeader(form, finalizedHeader)
  const isPresent = !branch.every(isZero)
  if (isPresent && header.slot > 0) return { header, branch }
  if (!isEmptyHeader(header)) throw invalid('has a finalized header without a proof')
  return isPresent ? { header: undefined, branch } : undefined
}

/** `is_sync_committee_update`. */
function toNext(value: UpdateValue): Update['next'] {
  const { nextSyncCommittee, nextSyncCommitteeBranch: branch } = value
  if (!branch.every(isZero)) return { committee: toCommittee(nextSyncCommittee), branch }
  const { pubkeys, aggregatePubkey } = nextSyncCommittee
  if (pubkeys.every(isZero) && isZero(aggregatePubkey)) return undefined
  throw invalid('has a next committee without a proof')
}

function isEmptyHeader({ form, value }: LightClientHeader): boolean {
  const { header } = wireTypes(form, 32)
  return equalBytes(header.serialize(value), header.serialize(header.defaultValue()))
}

/** Slots are JavaScript numbers here. 2^40 slots are more than any chain reaches. */
function toSlot(slot: bigint): number {
  if (slot < 2n ** 40n) return Number(slot)
  throw invalid('has a slot beyond all bounds', String(slot))
}

function readValue<T>(
  network: Network,
  { fork, data }: RawMessage,
  choose: (types: WireTypes) => Ssz<T>,
): T {
  const type = choose(wireTypes(formOf(network, fork), network.committeeSize))
  try {
    if ('ssz' in data) return type.deserialize(data.ssz)
    requireJson(type, data.json, '')
    return type.fromJson(data.json)
  } catch (cause) {
    if (isAssentError(cause)) throw cause
    throw invalid('cannot be read', undefined, cause)
  }
}

/**
 * The library reads JSON leniently, so the notation of the beacon API is required first: decimal numbers, hexadecimal
 * bytes with 0x, lists of the exact length. Members that the container does not have are ignored.
 */
function requireJson(type: unknown, json: unknown, path: string): void {
  if (type instanceof ContainerType) {
    if (typeof json !== 'object' || json === null) throw invalid(`lacks the object ${path}`)
    for (const { jsonKey, fieldType } of type.fieldsEntries) {
      const member = Object.hasOwn(json, jsonKey)
        ? (json as Record<string, unknown>)[jsonKey]
        : undefined
      requireJson(fieldType, member, `${path}.${jsonKey}`)
    }
  } else if (type instanceof VectorCompositeType) {
    if (!Array.isArray(json) || json.length !== type.length) throw invalid(`lacks the list ${path}`)
    for (const item of json) requireJson(type.elementType, item, path)
  } else if (type instanceof UintBigintType) {
    const isDecimal = typeof json === 'string' && /^(?:0|[1-9][0-9]{0,77})$/.test(json)
    if (isDecimal && BigInt(json) < 2n ** BigInt(8 * type.byteLength)) return
    throw invalid(`has no number ${path}`)
  } else if (isBytes(type)) {
    const isHex = typeof json === 'string' && /^0x(?:[0-9a-fA-F]{2})*$/.test(json)
    if (!isHex) throw invalid(`has no bytes ${path}`)
  } else throw new Error(`No notation is known for ${path}.`)
}

function isBytes(type: unknown): boolean {
  return (
    type instanceof ByteVectorType || type instanceof ByteListType || type instanceof BitVectorType
  )
}

function invalid(what: string, found?: string, cause?: unknown): AssentError {
  return new AssentError('CONSENSUS_MESSAGE_INVALID', `A light-client message ${what}.`, {
    cause,
    ...(found === undefined ? {} : { facts: { found } }),
  })
}
