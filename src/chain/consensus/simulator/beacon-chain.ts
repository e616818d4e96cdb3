/**
 * A simulated beacon chain: real signatures of synthetic committees, real Merkle branches in sparse trees.
 *
 * Headers and states are computed from their slot when they are first needed. The secret key of member *i* of period *p* is
 * a known number, the public keys are found by adding the generator, and all members sign with the sum of their secrets: a
 * committee of 512 takes milliseconds. Nobody may trust such a chain: everyone can sign for it.
 */
import { BitArray } from '@chainsafe/ssz'
import { normalizeZ } from '@noble/curves/abstract/curve.js'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, type Hex, to0x, utf8ToBytes } from '../../../lib/bytes.ts'
import {
  type BeaconHeaderValue,
  beaconHeader,
  type CommitteeValue,
  capellaExecution,
  committeeType,
  denebExecution,
  type ExecutionValue,
  type HeaderValue,
  type UpdateValue,
  type WireForm,
  wireTypes,
} from '../containers.ts'
import { formOf, signingRoot } from '../forks.ts'
import { depthOf } from '../merkle.ts'
import type { MessageKind, RawMessage } from '../messages.ts'
import { epochAt, forkAt, isActive, type Network, periodAt, timeOfSlot } from '../network.ts'
import { indicesAt } from '../store.ts'

const { longSignatures, G1, fields } = bls12_381
/** States kept in memory; an older one is computed again. */
const keptStates = 1_000
const suite = utf8ToBytes('BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_')

/** What a block says of the execution chain. */
export interface ExecutionBlock {
  readonly hash: Uint8Array
  readonly number: bigint
  readonly stateRoot: Uint8Array
}

export interface BeaconChainOptions {
  readonly network: Network
  /** Another seed makes another chain with other committees. */
  readonly seed?: number
  /** States of earlier slots call an invented block final, so that no header needs all headers before it. */
  readonly from?: number
  /** Execution block of a slot; made up where nothing is given. */
  readonly execution?: (slot: number) => ExecutionBlock
}

/** How an update differs from an honest one, for tests. */
export interface UpdateOptions {
  readonly signatureSlot?: number
  /** Slot of the block that the attested state calls final; undefined: two epochs before. */
  readonly finalizedSlot?: number
  /** How many members sign; undefined: all. */
  readonly signers?: number
  /** Changes the update before it is signed. */
  readonly before?: (update: Writable<UpdateValue>) => void
  /** Changes the update after it was signed. */
  readonly after?: (update: Writable<UpdateValue>) => void
  /** Signs for another network, period or slot than the honest one. */
  readonly signFor?: { network?: Network; period?: number; slot?: number }
}

export type Writable<T> = T extends Uint8Array | bigint | number | BitArray
  ? T
  : { -readonly [K in keyof T]: Writable<T[K]> }

export interface BeaconChain {
  readonly network: Network
  root(slot: number): Uint8Array
  header(slot: number): HeaderValue
  committee(period: number): CommitteeValue
  /** The slot of a header that was computed before; undefined for any other root. */
  slotOf(root: Uint8Array): number | undefined
  bootstrap(slot: number): RawMessage
  update(attestedSlot: number, options?: UpdateOptions): RawMessage
  finalityUpdate(attestedSlot: number, options?: UpdateOptions): RawMessage
  optimisticUpdate(attestedSlot: number, options?: UpdateOptions): RawMessage
  /** Unix seconds at the begin of a slot. */
  time(slot: number): number
  execution(slot: number): ExecutionBlock
}

interface State {
  readonly root: Uint8Array
  readonly branch: (index: number) => Uint8Array[]
}

/**
 * A beacon chain of this network. Without `execution` its execution blocks are invented as well.
 *
 * @example createBeaconChain({ network: parseNetwork(description) }).finalityUpdate(70)
 */
export function createBeaconChain(options: BeaconChainOptions): BeaconChain {
  const { network, seed = 1, from = 0 } = options
  const execution = options.execution ?? ((slot: number) => inventBlock(slot, seed))
  const committees = new Map<number, CommitteeValue>()
  const states = new Map<string, State>()
  const headers = new Map<number, HeaderValue>()
  const slots = new Map<Hex, number>()

  const committee = (period: number): CommitteeValue => {
    const known = committees.get(period) ?? makeCommittee(network, period, seed)
    committees.set(period, known)
    return known
  }
  const finalizedBefore = (slot: number) =>
    Math.max(0, epochAt(network, slot) - 2) * network.slotsPerEpoch
  const state = (slot: number, finalized: number, isOld = false): State => {
    const name = `${slot}:${finalized}:${isOld}`
    const known = states.get(name)
    if (known !== undefined) return known
    const finalizedRoot =
      finalized === 0
        ? new Uint8Array(32)
        : isOld
          ? digest('old', finalized, seed)
          : root(finalized)
    const index = indicesAt(network, slot)
    const type = committeeType(network.committeeSize)
    const period = periodAt(network, slot)
    const made = sparseTree(
      new Map([
        [index.finalizedRoot, finalizedRoot],
        [index.currentCommittee, type.hashTreeRoot(committee(period))],
        [index.nextCommittee, type.hashTreeRoot(committee(period + 1))],
      ]),
      digest('state', slot, seed),
    )
    states.set(name, made)
    if (states.size > keptStates) states.delete(states.keys().next().value as string)
    return made
  }
  /** The state that the header of a slot names. */
  const ownState = (slot: number) => state(slot, finalizedBefore(slot), slot < from)
  const headerWith = (slot: number, { root: stateRoot }: State): HeaderValue => {
    const { bodyRoot, ...rest } = makeBody(network, slot, execution(slot), seed)
    const beacon: BeaconHeaderValue = {
      slot: BigInt(slot),
      proposerIndex: BigInt(slot % 1000),
      parentRoot: digest('parent', slot, seed),
      stateRoot,
      bodyRoot,
    }
    return { beacon, ...rest }
  }
  const header = (slot: number): HeaderValue => {
    const known = headers.get(slot) ?? headerWith(slot, ownState(slot))
    headers.set(slot, known)
    return known
  }
  const root = (slot: number) => {
    const found = beaconHeader.hashTreeRoot(header(slot).beacon)
    slots.set(to0x(found), slot)
    return found
  }

  const update = (attested: number, change: UpdateOptions = {}): UpdateValue => {
    const form = formAt(network, attested)
    const finalized = change.finalizedSlot ?? finalizedBefore(attested)
    const attestedState = state(attested, finalized)
    const index = indicesAt(network, attested)
    const made = {
      attestedHeader: headerWith(attested, attestedState),
      nextSyncCommittee: committee(periodAt(network, attested) + 1),
      nextSyncCommitteeBranch: attestedState.branch(index.nextCommittee),
      finalizedHeader:
        finalized === 0
          ? wireTypes(form, network.committeeSize).header.defaultValue()
          : asForm(network, header(finalized), form),
      finalityBranch: attestedState.branch(index.finalizedRoot),
      signatureSlot: BigInt(change.signatureSlot ?? attested + 1),
      syncAggregate: {
        syncCommitteeBits: BitArray.fromBitLen(network.committeeSize),
        syncCommitteeSignature: new Uint8Array(96),
      },
    }
    // a copy of its own, so that a lie changes nothing of the chain
    const type = wireTypes(form, network.committeeSize).update
    const value = type.deserialize(type.serialize(made)) as Writable<UpdateValue>
    change.before?.(value)
    value.syncAggregate = sign(network, seed, value, change)
    change.after?.(value)
    return value
  }
  const raw = (kind: MessageKind, slot: number, value: unknown): RawMessage => {
    const types = wireTypes(formAt(network, slot), network.committeeSize)
    const fork = forkAt(network, epochAt(network, slot))?.name ?? 'altair'
    return { fork, data: { json: types[kind].toJson(value as never) } }
  }
  return {
    network,
    root,
    header,
    committee,
    execution,
    time: (slot) => timeOfSlot(network, slot),
    slotOf: (wanted) => slots.get(to0x(wanted)),
    bootstrap: (slot) => {
      const index = indicesAt(network, slot)
      return raw('bootstrap', slot, {
        header: header(slot),
        currentSyncCommittee: committee(periodAt(network, slot)),
        currentSyncCommitteeBranch: ownState(slot).branch(index.currentCommittee),
      })
    },
    update: (slot, change) => raw('update', slot, update(slot, change)),
    finalityUpdate: (slot, change) => raw('finalityUpdate', slot, update(slot, change)),
    optimisticUpdate: (slot, change) => raw('optimisticUpdate', slot, update(slot, change)),
  }
}

/* COMMITTEES */

function firstSecret(network: Network, period: number, seed: number): bigint {
  return BigInt(seed) * 10n ** 15n + BigInt(period * network.committeeSize) + 1n
}

function makeCommittee(network: Network, period: number, seed: number): CommitteeValue {
  const first = firstSecret(network, period, seed)
  const points = [G1.Point.BASE.multiply(first)]
  for (let index = 1; index < network.committeeSize; index++) {
    points.push((points[index - 1] as typeof G1.Point.BASE).add(G1.Point.BASE))
  }
  const all = points.reduce((sum, point) => sum.add(point), G1.Point.ZERO)
  return {
    pubkeys: normalizeZ(G1.Point, points).map(compress),
    aggregatePubkey: all.toBytes(true),
  }
}

/** The library's own encoder checks the subgroup again, which takes milliseconds a key. */
function compress(point: typeof G1.Point.BASE): Uint8Array {
  const { x, y } = point.toAffine()
  const bytes = fields.Fp.toBytes(x)
  bytes[0] = (bytes[0] as number) | 0x80 | (y > (fields.Fp.ORDER - 1n) / 2n ? 0x20 : 0)
  return bytes
}

function sign(network: Network, seed: number, update: UpdateValue, change: UpdateOptions) {
  const { signers = network.committeeSize, signFor = {} } = change
  const slot = signFor.slot ?? Number(update.signatureSlot)
  const message = signingRoot(
    signFor.network ?? network,
    beaconHeader.hashTreeRoot(update.attestedHeader.beacon),
    slot,
  )
  const period = signFor.period ?? periodAt(network, Number(update.signatureSlot))
  const first = firstSecret(network, period, seed)
  const bits = BitArray.fromBoolArray(
    Array.from({ length: network.committeeSize }, (_, index) => index < signers),
  )
  const count = BigInt(signers)
  const secret = fields.Fr.create(count * first + (count * (count - 1n)) / 2n)
  // nobody signs with the secret zero: its signature would be the identity
  const signature = longSignatures.sign(
    longSignatures.hash(message, suite),
    fields.Fr.toBytes(secret === 0n ? 1n : secret),
  )
  return { syncCommitteeBits: bits, syncCommitteeSignature: signature.toBytes(true) }
}

/* BODIES */

function makeBody(network: Network, slot: number, block: ExecutionBlock, seed: number) {
  const epoch = epochAt(network, slot)
  const filler = digest('body', slot, seed)
  if (isActive(network, 'gloas', epoch)) {
    const tree = sparseTree(new Map([[2856, block.hash]]), filler)
    return {
      bodyRoot: tree.root,
      executionBlockHash: block.hash,
      executionBranch: tree.branch(2856),
    }
  }
  if (!isActive(network, 'capella', epoch)) return { bodyRoot: filler }
  const isOfDeneb = isActive(network, 'deneb', epoch)
  const execution = makePayload(network, slot, block, isOfDeneb)
  const payloadRoot = (isOfDeneb ? denebExecution : capellaExecution).hashTreeRoot(execution)
  const tree = sparseTree(new Map([[25, payloadRoot]]), filler)
  return { bodyRoot: tree.root, execution, executionBranch: tree.branch(25) }
}

function makePayload(
  network: Network,
  slot: number,
  block: ExecutionBlock,
  isOfDeneb: boolean,
): ExecutionValue {
  return {
    ...capellaExecution.defaultValue(),
    stateRoot: block.stateRoot,
    blockNumber: block.number,
    gasLimit: 36_000_000n,
    timestamp: BigInt(timeOfSlot(network, slot)),
    extraData: utf8ToBytes('synthetic'),
    baseFeePerGas: 10n ** 9n + BigInt(slot),
    blockHash: block.hash,
    ...(isOfDeneb ? { blobGasUsed: 131_072n, excessBlobGas: 1n } : {}),
  }
}

function inventBlock(slot: number, seed: number): ExecutionBlock {
  return {
    hash: digest('execution', slot, seed),
    number: BigInt(slot),
    stateRoot: digest('execution state', slot, seed),
  }
}

/* FORMS */

function formAt(network: Network, slot: number): WireForm {
  return formOf(network, forkAt(network, epochAt(network, slot))?.name ?? 'altair')
}

/** A header in the form of a later fork: `upgrade_lc_header_to_*` of the specifications. */
export function asForm(network: Network, header: HeaderValue, form: WireForm): HeaderValue {
  if (form === 'altair') return header
  const empty = wireTypes(form, network.committeeSize).header.defaultValue()
  const { beacon, execution, executionBranch = [] } = header
  if (execution === undefined) {
    return header.executionBlockHash === undefined ? { ...empty, beacon } : header
  }
  const isOfDeneb = execution.blobGasUsed !== undefined
  if (form !== 'gloas') {
    const blobs = form === 'capella' ? {} : { blobGasUsed: 0n, excessBlobGas: 0n }
    return { beacon, execution: { ...blobs, ...execution }, executionBranch }
  }
  const inner = payloadBranch(execution, isOfDeneb)
  const branch = [...inner, ...executionBranch]
  const zeros = Array.from({ length: 11 - branch.length }, () => new Uint8Array(32))
  return {
    beacon,
    executionBlockHash: execution.blockHash,
    executionBranch: [...zeros, ...branch],
  }
}

/** Branch of the block hash in a payload header: its 15 or 17 members are leaves of a tree of 16 or 32. */
function payloadBranch(execution: ExecutionValue, isOfDeneb: boolean): Uint8Array[] {
  const uint = (value: bigint, size = 8) => {
    const bytes = new Uint8Array(32)
    for (let index = 0; index < size; index++)
      bytes[index] = Number((value >> BigInt(8 * index)) & 255n)
    return bytes
  }
  const address = new Uint8Array(32)
  address.set(execution.feeRecipient)
  const bloom = Array.from({ length: 8 }, (_, index) =>
    execution.logsBloom.slice(32 * index, 32 * index + 32),
  )
  const extra = new Uint8Array(32)
  extra.set(execution.extraData)
  const members = [
    execution.parentHash,
    address,
    execution.stateRoot,
    execution.receiptsRoot,
    fold(bloom),
    execution.prevRandao,
    uint(execution.blockNumber),
    uint(execution.gasLimit),
    uint(execution.gasUsed),
    uint(execution.timestamp),
    sha256(concatBytes(extra, uint(BigInt(execution.extraData.length)))),
    uint(execution.baseFeePerGas, 32),
    execution.blockHash,
    execution.transactionsRoot,
    execution.withdrawalsRoot,
    ...(isOfDeneb ? [uint(execution.blobGasUsed ?? 0n), uint(execution.excessBlobGas ?? 0n)] : []),
  ]
  const width = isOfDeneb ? 32 : 16
  const leaves = new Map(members.map((member, index) => [width + index, member]))
  return sparseTree(leaves, new Uint8Array(32), width).branch(width + 12)
}

function fold(nodes: readonly Uint8Array[]): Uint8Array {
  if (nodes.length === 1) return nodes[0] as Uint8Array
  const pairs = Array.from({ length: nodes.length / 2 }, (_, index) =>
    sha256(concatBytes(nodes[2 * index] as Uint8Array, nodes[2 * index + 1] as Uint8Array)),
  )
  return fold(pairs)
}

/* TREES */

/**
 * A tree that has these nodes at these generalized indices.
 *
 * @param filler every other node that a branch needs
 * @param width leaves from here on are zero where none is given; 0: the filler takes their place
 */
function sparseTree(nodes: ReadonlyMap<number, Uint8Array>, filler: Uint8Array, width = 0): State {
  const known = new Map<number, Uint8Array>()
  const isAbove = (index: number) =>
    [...nodes.keys()].some((node) => node >> Math.max(0, depthOf(node) - depthOf(index)) === index)
  const nodeAt = (index: number): Uint8Array => {
    const found = known.get(index) ?? nodes.get(index)
    if (found !== undefined) return found
    const isInner = isAbove(index) || (width > 0 && index < width)
    const made = isInner ? sha256(concatBytes(nodeAt(2 * index), nodeAt(2 * index + 1))) : filler
    known.set(index, made)
    return made
  }
  return {
    root: nodeAt(1),
    branch: (index) =>
      Array.from({ length: depthOf(index) }, (_, level) => nodeAt((index >> level) ^ 1)),
  }
}

function digest(what: string, slot: number, seed: number): Uint8Array {
  return sha256(utf8ToBytes(`${what}:${slot}:${seed}`))
}
