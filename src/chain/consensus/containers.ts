/**
 * SSZ containers of the light-client protocol, for each form that a fork gave them.
 *
 * Sources: `specs/{altair,capella,deneb,electra,gloas}/light-client/sync-protocol.md` of `ethereum/consensus-specs`.
 * Bellatrix kept the form of Altair, Fulu that of Electra.
 */
import {
  type BitArray,
  BitVectorType,
  ByteListType,
  ByteVectorType,
  ContainerType,
  UintBigintType,
  VectorCompositeType,
} from '@chainsafe/ssz'

/** A form of the containers, named by the fork that introduced it. */
export type WireForm = 'altair' | 'capella' | 'deneb' | 'electra' | 'gloas'

/** `BeaconBlockHeader` (phase0). */
export interface BeaconHeaderValue {
  readonly slot: bigint
  readonly proposerIndex: bigint
  readonly parentRoot: Uint8Array
  readonly stateRoot: Uint8Array
  readonly bodyRoot: Uint8Array
}

/** `ExecutionPayloadHeader`; the blob members came with Deneb. */
export interface ExecutionValue {
  readonly parentHash: Uint8Array
  readonly feeRecipient: Uint8Array
  readonly stateRoot: Uint8Array
  readonly receiptsRoot: Uint8Array
  readonly logsBloom: Uint8Array
  readonly prevRandao: Uint8Array
  readonly blockNumber: bigint
  readonly gasLimit: bigint
  readonly gasUsed: bigint
  readonly timestamp: bigint
  readonly extraData: Uint8Array
  readonly baseFeePerGas: bigint
  readonly blockHash: Uint8Array
  readonly transactionsRoot: Uint8Array
  readonly withdrawalsRoot: Uint8Array
  readonly blobGasUsed?: bigint
  readonly excessBlobGas?: bigint
}

/** `LightClientHeader`: `execution` from Capella to Fulu, `executionBlockHash` from Gloas on. */
export interface HeaderValue {
  readonly beacon: BeaconHeaderValue
  readonly execution?: ExecutionValue
  readonly executionBlockHash?: Uint8Array
  readonly executionBranch?: readonly Uint8Array[]
}

/** `SyncCommittee` (Altair). */
export interface CommitteeValue {
  readonly pubkeys: readonly Uint8Array[]
  readonly aggregatePubkey: Uint8Array
}

export interface BootstrapValue {
  readonly header: HeaderValue
  readonly currentSyncCommittee: CommitteeValue
  readonly currentSyncCommitteeBranch: readonly Uint8Array[]
}

interface SignedValue {
  readonly attestedHeader: HeaderValue
  readonly syncAggregate: {
    readonly syncCommitteeBits: BitArray
    readonly syncCommitteeSignature: Uint8Array
  }
  readonly signatureSlot: bigint
}

export interface OptimisticUpdateValue extends SignedValue {}

export interface FinalityUpdateValue extends SignedValue {
  readonly finalizedHeader: HeaderValue
  readonly finalityBranch: readonly Uint8Array[]
}

export interface UpdateValue extends FinalityUpdateValue {
  readonly nextSyncCommittee: CommitteeValue
  readonly nextSyncCommitteeBranch: readonly Uint8Array[]
}

/** What is used of a type of `@chainsafe/ssz`. */
export interface Ssz<T> {
  serialize(value: T): Uint8Array
  /** @throws Error where the bytes are not of this type */
  deserialize(bytes: Uint8Array): T
  fromJson(json: unknown): T
  toJson(value: T): unknown
  hashTreeRoot(value: T): Uint8Array
  defaultValue(): T
}

/** The containers of one form for one size of committee. */
export interface WireTypes {
  readonly header: Ssz<HeaderValue>
  readonly bootstrap: Ssz<BootstrapValue>
  readonly update: Ssz<UpdateValue>
  readonly finalityUpdate: Ssz<FinalityUpdateValue>
  readonly optimisticUpdate: Ssz<OptimisticUpdateValue>
}

const uint64 = new UintBigintType(8)
const bytes4 = new ByteVectorType(4)
const bytes32 = new ByteVectorType(32)
const bytes48 = new ByteVectorType(48)
const json = { jsonCase: 'eth2' } as const

const beaconHeaderType = new ContainerType(
  {
    slot: uint64,
    proposerIndex: uint64,
    parentRoot: bytes32,
    stateRoot: bytes32,
    bodyRoot: bytes32,
  },
  json,
)

const capellaPayload = {
  parentHash: bytes32,
  feeRecipient: new ByteVectorType(20),
  stateRoot: bytes32,
  receiptsRoot: bytes32,
  logsBloom: new ByteVectorType(256),
  prevRandao: bytes32,
  blockNumber: uint64,
  gasLimit: uint64,
  gasUsed: uint64,
  timestamp: uint64,
  extraData: new ByteListType(32),
  baseFeePerGas: new UintBigintType(32),
  blockHash: bytes32,
  transactionsRoot: bytes32,
  withdrawalsRoot: bytes32,
}
const capellaPayloadType = new ContainerType(capellaPayload, json)
const denebPayloadType = new ContainerType(
  { ...capellaPayload, blobGasUsed: uint64, excessBlobGas: uint64 },
  json,
)

/** `BeaconBlockHeader`. */
export const beaconHeader = beaconHeaderType as unknown as Ssz<BeaconHeaderValue>
/** `capella.ExecutionPayloadHeader`. */
export const capellaExecution = capellaPayloadType as unknown as Ssz<ExecutionValue>
/** `deneb.ExecutionPayloadHeader`, which Electra and Fulu kept. */
export const denebExecution = denebPayloadType as unknown as Ssz<ExecutionValue>
/** `ForkData` (phase0). */
export const forkData = new ContainerType({
  currentVersion: bytes4,
  genesisValidatorsRoot: bytes32,
})
/** `SigningData` (phase0). */
export const signingData = new ContainerType({ objectRoot: bytes32, domain: bytes32 })

/** Lengths of the branches in each form: `floorlog2` of the generalized index that they are made for. */
const branchLengths = {
  altair: { execution: 4, finality: 6, committee: 5 },
  capella: { execution: 4, finality: 6, committee: 5 },
  deneb: { execution: 4, finality: 6, committee: 5 },
  electra: { execution: 4, finality: 7, committee: 6 },
  gloas: { execution: 11, finality: 9, committee: 11 },
} as const satisfies Record<WireForm, object>

function branch(length: number) {
  return new VectorCompositeType(bytes32, length)
}

function headerType(form: WireForm) {
  if (form === 'altair') return new ContainerType({ beacon: beaconHeaderType }, json)
  const executionBranch = branch(branchLengths[form].execution)
  if (form === 'gloas') {
    return new ContainerType(
      { beacon: beaconHeaderType, executionBlockHash: bytes32, executionBranch },
      json,
    )
  }
  const execution = form === 'capella' ? capellaPayloadType : denebPayloadType
  return new ContainerType({ beacon: beaconHeaderType, execution, executionBranch }, json)
}

/** `SyncCommittee` of a size: 512 members on public networks, 32 in the minimal preset. */
export function committeeType(size: number): Ssz<CommitteeValue> {
  return committee(size) as unknown as Ssz<CommitteeValue>
}

function committee(size: number) {
  return new ContainerType(
    { pubkeys: new VectorCompositeType(bytes48, size), aggregatePubkey: bytes48 },
    json,
  )
}

function makeTypes(form: WireForm, size: number): WireTypes {
  const header = headerType(form)
  const lengths = branchLengths[form]
  const committeeOfSize = committee(size)
  const signed = {
    syncAggregate: new ContainerType(
      {
        syncCommitteeBits: new BitVectorType(size),
        syncCommitteeSignature: new ByteVectorType(96),
      },
      json,
    ),
    signatureSlot: uint64,
  }
  const finality = { finalizedHeader: header, finalityBranch: branch(lengths.finality) }
  const types = {
    header,
    bootstrap: new ContainerType(
      {
        header,
        currentSyncCommittee: committeeOfSize,
        currentSyncCommitteeBranch: branch(lengths.committee),
      },
      json,
    ),
    update: new ContainerType(
      {
        attestedHeader: header,
        nextSyncCommittee: committeeOfSize,
        nextSyncCommitteeBranch: branch(lengths.committee),
        ...finality,
        ...signed,
      },
      json,
    ),
    finalityUpdate: new ContainerType({ attestedHeader: header, ...finality, ...signed }, json),
    optimisticUpdate: new ContainerType({ attestedHeader: header, ...signed }, json),
  }
  return types as unknown as WireTypes
}

const made = new Map<string, WireTypes>()

/** The containers of a form. Sizes come from presets, so few are ever made. */
export function wireTypes(form: WireForm, committeeSize: number): WireTypes {
  const name = `${form}:${committeeSize}`
  const types = made.get(name) ?? makeTypes(form, committeeSize)
  made.set(name, types)
  return types
}
