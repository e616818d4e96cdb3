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
  /** Slot of the block. */
  readonly slot: bigint
  /** Index of the validator that proposed the block. */
  readonly proposerIndex: bigint
  /** 32 bytes. */
  readonly parentRoot: Uint8Array
  /** 32 bytes: root of the beacon state after the block. The finality and committee branches end here. */
  readonly stateRoot: Uint8Array
  /** 32 bytes: root of the block's body. The execution branch ends here. */
  readonly bodyRoot: Uint8Array
}

/** `ExecutionPayloadHeader`; the blob members came with Deneb. */
export interface ExecutionValue {
  /** 32 bytes. */
  readonly parentHash: Uint8Array
  /** 20 bytes. */
  readonly feeRecipient: Uint8Array
  /** 32 bytes: root of the execution state, under which storage proofs are checked. */
  readonly stateRoot: Uint8Array
  /** 32 bytes. */
  readonly receiptsRoot: Uint8Array
  /** 256 bytes. */
  readonly logsBloom: Uint8Array
  /** 32 bytes. */
  readonly prevRandao: Uint8Array
  /** Number of the execution block, as `eth_getBlockByNumber` uses it. */
  readonly blockNumber: bigint
  readonly gasLimit: bigint
  readonly gasUsed: bigint
  /** Unix seconds. */
  readonly timestamp: bigint
  /** At most 32 bytes. */
  readonly extraData: Uint8Array
  /** Wei per gas. */
  readonly baseFeePerGas: bigint
  /** 32 bytes: hash of the execution block. */
  readonly blockHash: Uint8Array
  /** 32 bytes: an SSZ root, other than the Merkle-Patricia root in the block header of the execution chain. */
  readonly transactionsRoot: Uint8Array
  /** 32 bytes: an SSZ root too. */
  readonly withdrawalsRoot: Uint8Array
  /** Since Deneb. */
  readonly blobGasUsed?: bigint
  /** Since Deneb. */
  readonly excessBlobGas?: bigint
}

/** `LightClientHeader`: `execution` from Capella to Fulu, `executionBlockHash` from Gloas on. */
export interface HeaderValue {
  /** The header of the beacon block itself. */
  readonly beacon: BeaconHeaderValue
  /** Header of the execution block inside the beacon block. */
  readonly execution?: ExecutionValue
  /** 32 bytes. From Gloas on, the beacon block contains only the hash of an execution block. */
  readonly executionBlockHash?: Uint8Array
  /** Merkle branch from the execution data to `beacon.bodyRoot`, lowest sibling first. */
  readonly executionBranch?: readonly Uint8Array[]
}

/** `SyncCommittee` (Altair). */
export interface CommitteeValue {
  /** Compressed BLS12-381 keys of the members, 48 bytes each. */
  readonly pubkeys: readonly Uint8Array[]
  /** Sum of all keys, compressed, 48 bytes. */
  readonly aggregatePubkey: Uint8Array
}

/** `LightClientBootstrap`: a header with the sync committee of its period. */
export interface BootstrapValue {
  readonly header: HeaderValue
  /** Committee that signs headers in the period of `header`. */
  readonly currentSyncCommittee: CommitteeValue
  /** Merkle branch from the committee to the header's state root. */
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

/** `LightClientOptimisticUpdate`: the newest header that a sync committee signed. */
export interface OptimisticUpdateValue extends SignedValue {}

/** `LightClientFinalityUpdate`: an optimistic update with the final header that the signed one proves. */
export interface FinalityUpdateValue extends SignedValue {
  /** Final according to the state of the attested header. */
  readonly finalizedHeader: HeaderValue
  /** Merkle branch from the final header's root to the attested state root. */
  readonly finalityBranch: readonly Uint8Array[]
}

/** `LightClientUpdate`: a finality update with the sync committee of the next period. */
export interface UpdateValue extends FinalityUpdateValue {
  /** Committee of the period after that of the attested header. */
  readonly nextSyncCommittee: CommitteeValue
  /** Merkle branch from that committee to the attested state root. */
  readonly nextSyncCommitteeBranch: readonly Uint8Array[]
}

/** The members of a type of `@chainsafe/ssz` that are used here. */
export interface Ssz<T> {
  /** SSZ bytes of a value. */
  serialize(value: T): Uint8Array
  /** @throws Error where the bytes are not of this type */
  deserialize(bytes: Uint8Array): T
  /**
   * Reads the JSON form of the beacon API: hexadecimal bytes, decimal numbers as text. Throws a plain error for
   * malformed input.
   */
  fromJson(json: unknown): T
  /** The JSON form of the beacon API. */
  toJson(value: T): unknown
  /** Root of the value's SSZ Merkle tree, 32 bytes. */
  hashTreeRoot(value: T): Uint8Array
  /** A value of zeros and empty lists. */
  defaultValue(): T
}

/** The containers of one form for one size of committee. */
export interface WireTypes {
  /** `LightClientHeader` of the fork. */
  readonly header: Ssz<HeaderValue>
  /** `LightClientBootstrap` of the fork. */
  readonly bootstrap: Ssz<BootstrapValue>
  /** `LightClientUpdate` of the fork. */
  readonly update: Ssz<UpdateValue>
  /** `LightClientFinalityUpdate` of the fork. */
  readonly finalityUpdate: Ssz<FinalityUpdateValue>
  /** `LightClientOptimisticUpdate` of the fork. */
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
