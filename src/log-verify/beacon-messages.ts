/**
 * Reads light-client messages from SSZ and computes their roots.
 *
 * Written from docs/release-log.md and the consensus specifications (`ssz/simple-serialize.md`,
 * `specs/{deneb,electra,gloas}/light-client/sync-protocol.md`), without code of the KMS.
 */
import { createHash } from 'node:crypto'

/** The members of `presets` and `configs` of a beacon network that the verifier needs. */
export interface BeaconNetwork {
  readonly slotsPerEpoch: number
  readonly epochsPerPeriod: number
  readonly committeeSize: number
  /** 32 bytes with `0x`. */
  readonly genesisValidatorsRoot: string
  /** 4 bytes with `0x`. */
  readonly genesisForkVersion: string
  /** In the order of their epochs. */
  readonly forks: readonly {
    readonly name: string
    readonly version: string
    readonly epoch: number
  }[]
}

/** A beacon block header with the execution data that its body proves. */
export interface LoggedBeaconHeader {
  readonly slot: number
  /** `hash_tree_root`: the block root. */
  readonly root: Buffer
  readonly stateRoot: Buffer
  readonly bodyRoot: Buffer
  /** Hash of the execution block. */
  readonly blockHash: Buffer
  /** The leaf of the branch: the root of the payload header, or the hash of the block since Gloas. */
  readonly executionLeaf: Buffer
  readonly executionBranch: readonly Buffer[]
}

/** A sync committee with its root. */
export interface LoggedCommittee {
  readonly root: Buffer
  /** Compressed, 48 bytes each. */
  readonly pubkeys: readonly Buffer[]
}

/** A committee and its branch in a state. */
export interface ProvenCommittee {
  readonly committee: LoggedCommittee
  readonly branch: readonly Buffer[]
}

/** A message, read and not checked. */
export type BeaconMessage =
  | ({ readonly kind: 'bootstrap'; readonly header: LoggedBeaconHeader } & ProvenCommittee)
  | {
      readonly kind: 'update'
      readonly attested: LoggedBeaconHeader
      readonly finalized: LoggedBeaconHeader
      readonly finalityBranch: readonly Buffer[]
      readonly bits: readonly boolean[]
      /** 96 bytes. */
      readonly signature: Buffer
      readonly signatureSlot: number
      /** Undefined in a finality update. */
      readonly next: ProvenCommittee | undefined
    }

type Form = 'deneb' | 'electra' | 'gloas'

/** Lengths of branches: the depth of the generalized indices in each fork. */
const branchLengths = {
  deneb: { finality: 6, committee: 5 },
  electra: { finality: 7, committee: 6 },
  gloas: { finality: 9, committee: 11 },
} as const

/**
 * Reads a message: a line `light-client-KIND-v1 FORM`, then SSZ.
 *
 * @throws RangeError for an unknown kind or form, or wrong lengths
 */
export function readBeaconMessage(bytes: Buffer, committeeSize: number): BeaconMessage {
  const end = bytes.indexOf(10)
  const line = bytes.subarray(0, Math.max(0, end)).toString('latin1')
  const [, kind, form] =
    /^light-client-(bootstrap|update|finality-update)-v1 (deneb|electra|gloas)$/.exec(line) ?? []
  if (kind === undefined) throw new RangeError('a light-client message of an unknown kind')
  return readSsz(bytes.subarray(end + 1), kind, form as Form, committeeSize)
}

function readSsz(ssz: Buffer, kind: string, form: Form, committeeSize: number): BeaconMessage {
  const lengths = branchLengths[form]
  const reader = new SszReader(ssz)
  if (kind === 'bootstrap') {
    const header = headerField(reader, form)
    const committee = readCommittee(reader, committeeSize)
    const branch = reader.branch(lengths.committee)
    const [readHeader] = reader.rest([header])
    return { kind, header: readHeader as LoggedBeaconHeader, committee, branch }
  }
  const attested = headerField(reader, form)
  const next =
    kind === 'update'
      ? {
          committee: readCommittee(reader, committeeSize),
          branch: reader.branch(lengths.committee),
        }
      : undefined
  const finalized = headerField(reader, form)
  const finalityBranch = reader.branch(lengths.finality)
  const bits = reader.bits(committeeSize)
  const signature = reader.bytes(96)
  const signatureSlot = reader.number()
  const [first, second] = reader.rest([attested, finalized])
  return {
    kind: 'update',
    attested: first as LoggedBeaconHeader,
    finalized: second as LoggedBeaconHeader,
    finalityBranch,
    bits,
    signature,
    signatureSlot,
    next,
  }
}

/** A field of a container: read in place, or at an offset after the fixed part. */
type Field<T> =
  | { readonly value: T }
  | { readonly offset: number; readonly read: (bytes: Buffer) => T }

class SszReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  bytes(length: number): Buffer {
    const found = this.#bytes.subarray(this.#at, this.#at + length)
    if (found.length !== length) throw new RangeError('a light-client message is cut off')
    this.#at += length
    return found
  }

  number(): number {
    const value = this.bytes(8).readBigUInt64LE()
    if (value >= 2n ** 40n) throw new RangeError('a slot beyond all bounds')
    return Number(value)
  }

  offset(): number {
    return this.bytes(4).readUInt32LE()
  }

  branch(length: number): Buffer[] {
    return Array.from({ length }, () => this.bytes(32))
  }

  bits(count: number): boolean[] {
    const bytes = this.bytes(count / 8)
    return Array.from({ length: count }, (_, index) => {
      const byte = bytes[index >> 3] as number
      return ((byte >> (index & 7)) & 1) === 1
    })
  }

  /** Ends the fixed part and reads the fields behind it. They follow each other without a gap. */
  rest<T>(fields: readonly Field<T>[]): T[] {
    const behind = fields.filter((field) => 'offset' in field)
    let expected = this.#at
    const values = new Map<Field<T>, T>()
    for (const [index, field] of behind.entries()) {
      const end = behind[index + 1]?.offset ?? this.#bytes.length
      if (field.offset !== expected || end < field.offset)
        throw new RangeError('a wrong offset in a light-client message')
      values.set(field, field.read(this.#bytes.subarray(field.offset, end)))
      expected = end
    }
    if (expected !== this.#bytes.length) throw new RangeError('bytes after a light-client message')
    return fields.map((field) => ('value' in field ? field.value : (values.get(field) as T)))
  }
}

function headerField(reader: SszReader, form: Form): Field<LoggedBeaconHeader> {
  if (form !== 'gloas') return { offset: reader.offset(), read: (bytes) => readHeader(bytes) }
  const beacon = readBeacon(reader)
  const blockHash = reader.bytes(32)
  const executionBranch = reader.branch(11)
  return { value: { ...beacon, blockHash, executionLeaf: blockHash, executionBranch } }
}

function readHeader(bytes: Buffer): LoggedBeaconHeader {
  const reader = new SszReader(bytes)
  const beacon = readBeacon(reader)
  const offset = reader.offset()
  const executionBranch = reader.branch(4)
  const [payload] = reader.rest([{ offset, read: readPayload }])
  return { ...beacon, ...(payload as ReturnType<typeof readPayload>), executionBranch }
}

function readBeacon(reader: SszReader) {
  const start = reader.bytes(8)
  const [proposer, parentRoot] = [reader.bytes(8), reader.bytes(32)]
  const [stateRoot, bodyRoot] = [reader.bytes(32), reader.bytes(32)]
  const slot = new SszReader(start).number()
  const root = merkleRoot([chunk(start), chunk(proposer), parentRoot, stateRoot, bodyRoot], 8)
  return { slot, root, stateRoot, bodyRoot }
}

/** `ExecutionPayloadHeader` since Deneb: each field with its root. */
function readPayload(bytes: Buffer) {
  const reader = new SszReader(bytes)
  const fixed = (...lengths: number[]) => lengths.map((length) => chunk(reader.bytes(length)))
  // parent_hash, fee_recipient, state_root, receipts_root
  const first = fixed(32, 20, 32, 32)
  const bloom = merkleRoot(chunksOf(reader.bytes(256)), 8)
  // prev_randao, block_number, gas_limit, gas_used, timestamp
  const second = fixed(32, 8, 8, 8, 8)
  const offset = reader.offset()
  // base_fee_per_gas, block_hash, transactions_root, withdrawals_root, blob_gas_used, excess_blob_gas
  const third = fixed(32, 32, 32, 32, 8, 8)
  const [extra] = reader.rest([{ offset, read: extraDataRoot }])
  const fields = [...first, bloom, ...second, extra as Buffer, ...third]
  return {
    blockHash: third[1] as Buffer,
    executionLeaf: merkleRoot(fields, 32),
  }
}

/** Root of a list of at most 32 bytes. */
function extraDataRoot(bytes: Buffer): Buffer {
  if (bytes.length > 32) throw new RangeError('extra data of more than 32 bytes')
  const length = Buffer.alloc(32)
  length.writeUInt32LE(bytes.length)
  return hashPair(chunk(bytes), length)
}

function readCommittee(reader: SszReader, size: number): LoggedCommittee {
  const pubkeys = Array.from({ length: size }, () => reader.bytes(48))
  const aggregate = reader.bytes(48)
  const keys = merkleRoot(pubkeys.map(keyRoot), 2 ** Math.ceil(Math.log2(size)))
  return { root: hashPair(keys, keyRoot(aggregate)), pubkeys }
}

function keyRoot(key: Buffer): Buffer {
  return merkleRoot(chunksOf(key), 2)
}

/* TREES */

/** Bytes with zeros up to 32. */
function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(32 - bytes.length)])
}

function chunksOf(bytes: Buffer): Buffer[] {
  const count = Math.ceil(bytes.length / 32)
  return Array.from({ length: count }, (_, at) => chunk(bytes.subarray(at * 32, at * 32 + 32)))
}

/** Root over leaves and zeros up to a power of two. */
export function merkleRoot(leaves: readonly Buffer[], width: number): Buffer {
  let level = [...leaves, ...Array.from({ length: width - leaves.length }, () => Buffer.alloc(32))]
  while (level.length > 1) {
    level = Array.from({ length: level.length / 2 }, (_, at) =>
      hashPair(level[2 * at] as Buffer, level[2 * at + 1] as Buffer),
    )
  }
  return level[0] as Buffer
}

/** Node of an SSZ tree. */
export function hashPair(left: Buffer, right: Buffer): Buffer {
  return createHash('sha256').update(left).update(right).digest()
}
