/**
 * The question to the chain if a boot may have its keys, and the form of the answer.
 *
 * All reads of an answer are at one block. A denial is a value with a reason. An outage is an error, so the two cannot
 * be confused.
 */
import { type Hex, requireLength, to0x } from '../../lib/bytes.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'
import type { HeartbeatEvent } from '../heartbeat/heartbeat.ts'
import { zeroAddress } from '../proven/slots.ts'
import type { ChainEvidence } from './evidence.ts'

/** Finality: a tag of the chain, or the newest block minus a number of confirmations. */
export type Finality = 'finalized' | 'safe' | { readonly confirmations: number }

/** The block at which a decision was made. Its timestamp is in Unix seconds. */
export interface DecisionBlock {
  /** Number of the execution block. */
  readonly number: bigint
  /** 32 bytes. */
  readonly hash: Hex
  /** Unix seconds, as the block states them. */
  readonly timestamp: number
}

/** Key epochs of a release, counted from 1: `write` for new data, `read` the oldest that it may read. */
export interface KeyEpochs {
  /** Epoch of the key for new data. */
  readonly write: number
  /** Oldest epoch whose key the release also gets: `write`, or the one before during a migration. */
  readonly read: number
}

/**
 * Where a denial comes from:
 *
 * - `contract-rules`: approvals and rules of the registries;
 * - `contract-failure`: the app's contract reverted, ran out of gas or returned malformed data;
 * - `foreign-app`: the code of the app's contract is not pinned, and the settings refuse such apps;
 * - `unconfirmed-withdrawal`: the newest block of one endpoint shows a withdrawal that is not final yet.
 */
export type DenialSource =
  | 'contract-rules'
  | 'contract-failure'
  | 'foreign-app'
  | 'unconfirmed-withdrawal'

/** The answer of the chain about one boot. An outage is not a decision: it is thrown. */
export type BootDecision = {
  /** Reason of the contract; empty if the boot is allowed. */
  readonly reason: string
  /** App id of the dstack gateway, as `KmsAuth` stores it. dstack passes it on to the guest. */
  readonly gatewayAppId: string
  readonly block: DecisionBlock
  /** Storage proofs of the decision; undefined if a single endpoint was trusted. */
  readonly evidence?: ChainEvidence
  /** Key epochs of an allowed app, if it counts epochs. */
  readonly epochs?: KeyEpochs
} & ({ readonly allowed: true } | { readonly allowed: false; readonly refusedBy: DenialSource })

/** Facts of a boot for the contracts. Callers of the auth webhook can send any TCB status. */
export type EvaluatedBoot = Omit<BootInfo, 'teeVariant' | 'tcbStatus' | 'keyProviderInfo'> & {
  /** TCB status by Intel's names, such as `UpToDate`. */
  readonly tcbStatus: string
  /**
   * mr_system at boot time, for a base image that could not be measured. A measurement set with it must be approved for
   * the image, even if the image is not closed.
   */
  readonly requiredMrSystem?: Uint8Array
}

/** The two questions of dstack's interface: may this app boot, and may this KMS node run. */
export type BootQuestion = 'isAppAllowed' | 'isKmsAllowed'

/** Facts about the contract in dstack's `GET /` and `GetMeta`. */
export interface KmsFacts {
  /** App id of the gateway as text, or `any`; empty: no gateway is set. */
  readonly gatewayAppId: string
  /** Code that new apps of this `KmsAuth` get. */
  readonly appImplementation: Hex
  /** The block whose state was read. */
  readonly block: DecisionBlock
}

/** Decides by the chain: through one trusted endpoint, or with proven state. */
export interface BootAuthorizer {
  /** EIP-155 chain id. */
  readonly chainId: number
  /** The KmsAuth (DstackKms) contract. */
  readonly kms: Hex
  /** Decides about a boot. @throws CHAIN_*, CONTRACT_* for an outage */
  authorize(question: BootQuestion, boot: EvaluatedBoot): Promise<BootDecision>
  /** Facts about the contract for `GET /` and `GetMeta`. @throws CHAIN_*, CONTRACT_* */
  facts(): Promise<KmsFacts>
  /**
   * The newest key epoch of an app; undefined if the app is not registered or has no epochs.
   *
   * @param beforeRequest called before each request to an endpoint that this question needs; it may throw
   * @throws CHAIN_*
   */
  newestEpoch?(appId: Uint8Array, beforeRequest?: () => void): Promise<number | undefined>
  /** Unix seconds: time of the newest final block that this process accepted; undefined before the first one. */
  newestBlockTime?(): number | undefined
  /** Registers an observer of chain snapshots and endpoint faults. */
  watch?(observe: (event: ChainEvent) => void): void
  /** Error code of the last failed snapshot; undefined if the last one succeeded. */
  trouble?(): string | undefined
}

/** An endpoint that returned other data than the quorum, or none, with an error code. */
export interface EndpointFault {
  /** Name of the endpoint: its host, without credentials. */
  readonly endpoint: string
  /** Error code, for example `CHAIN_TIMEOUT` or `CHAIN_PROOF_REFUSED`. */
  readonly code: string
}

/** State of a light client for metrics. Times are in Unix seconds. */
export interface ConsensusStatus {
  /** Time of the newest finalized slot. */
  readonly finalizedAt: number
  /** Begin of the next fork that this version knows. */
  readonly nextForkAt: number | undefined
  /** Begin of the first announced fork that this version does not know. Announcements are not signed. */
  readonly unknownForkAt: number | undefined
}

/**
 * Events for an observer of a chain view: `looked`: a new snapshot was read; `failed`: no snapshot could be read,
 * with the error code; `fault`: one endpoint served unusable data, and the view continued without it; `heartbeat`: the
 * newest nonce that was found in final state; `heartbeat-fault`: one relayer failed.
 */
export type ChainEvent =
  | {
      readonly kind: 'looked'
      readonly block: DecisionBlock
      readonly disagreeing: readonly EndpointFault[]
      /** Undefined without a light client. */
      readonly consensus?: ConsensusStatus | undefined
      /** On a rollup: time of the L1 block that proves the block, Unix seconds. */
      readonly l1BlockTime?: number | undefined
    }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'fault'; readonly fault: EndpointFault }
  | HeartbeatEvent

/**
 * The boot info tuple of dstack's ABI (`AppBootInfo`). A boot without an instance id has the zero address there.
 *
 * @throws LENGTH_WRONG if an id does not have its length
 */
export function toTuple(boot: EvaluatedBoot) {
  const fixed = (name: keyof EvaluatedBoot, length: number): Hex => {
    const bytes = boot[name] as Uint8Array
    requireLength(bytes, name, length)
    return to0x(bytes)
  }
  return {
    appId: fixed('appId', 20),
    composeHash: fixed('composeHash', 32),
    instanceId: boot.instanceId.length === 0 ? zeroAddress : fixed('instanceId', 20),
    deviceId: fixed('deviceId', 32),
    mrAggregated: fixed('mrAggregated', 32),
    mrSystem: fixed('mrSystem', 32),
    osImageHash: fixed('osImageHash', 32),
    tcbStatus: boot.tcbStatus,
    advisoryIds: boot.advisoryIds,
  }
}
