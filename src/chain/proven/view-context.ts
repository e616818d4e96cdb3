/** State that the parts of a chain view share: options, known blocks, and caches that live between requests. */
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { ByteCache } from '../../lib/byte-cache.ts'
import { type Hex, toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ChainEvent, DecisionBlock, EvaluatedBoot, KeyEpochs } from '../boot/boot.ts'
import type { Agreement, ChainEvidence, NamedNode, RollupEvidence } from '../boot/evidence.ts'
import type { Heartbeat } from '../heartbeat/heartbeat.ts'
import type { DenialReason, ForeignApps } from './boot-rules.ts'
import type { ChainCheckpoint } from './checkpoint.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import type { BlockHeader, HeaderField } from './header.ts'
import type { HeaderSource } from './header-quorum.ts'
import type { FetchProof } from './prover.ts'
import type { PinnedCode, PinnedDeployment } from './read-boot-facts.ts'
import type { Endpoint } from './rpc-endpoint.ts'
import type { ProvenState, StateCache } from './state.ts'

/**
 * Which blocks that are not final can deny: the newest block of each endpoint and the newest signed block; the newest
 * signed block alone, which no endpoint can invent; none.
 */
export type WithdrawalCheck =
  | 'deny-when-shown-by-one'
  | 'deny-when-signed'
  | 'insecure-wait-until-final'

/** Options of a chain view: chain, contracts, endpoints and limits. */
export interface ViewOptions {
  /** EIP-155 chain id; endpoints of another chain do not count. */
  readonly chainId: number
  /** The `KmsAuth` contract. */
  readonly kms: Hex
  /** Accepted code of the contracts that are read. */
  readonly pinned: PinnedCode
  /** Source of final blocks. */
  readonly source: HeaderSource
  /** Endpoints that serve storage proofs and newest blocks. */
  readonly endpoints: readonly Endpoint[]
  /** RPC quorum for the answer of a foreign app. */
  readonly required: number
  /** Trusted checkpoint: the highest block that this node ever accepted. */
  readonly checkpoint: ChainCheckpoint
  /** Highest block age in seconds by the local clock; with an older final block there is no decision. */
  readonly maxBlockAgeSeconds: number
  /** Bounds the age of final blocks without the local clock, in place of `maxBlockAgeSeconds`. */
  readonly heartbeat?: Heartbeat
  /** Seconds for which a chain snapshot is used. */
  readonly refreshSeconds: number
  /** Blocks that are not final and can deny. */
  readonly withdrawals: WithdrawalCheck
  /** Whether a foreign app is denied, or executed by the endpoints. */
  readonly foreignApps: ForeignApps
  /** Header fields that this version does not know, in the order of the header. */
  readonly headerFields?: readonly HeaderField[]
  /** Fetches proofs if this process does not contact the endpoints itself. */
  readonly prove?: FetchProof
  /** Bytes of memory for proven state and decisions. */
  readonly cacheBytes?: number
  /** Unix seconds. */
  readonly clock: Clock
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number
}

/** One block, its proven state, and the endpoints that returned it. */
export interface BlockView {
  /** Number within this process; cached decisions depend on the block and its endpoints. */
  readonly id: number
  /** Proven state of the block, read on demand and cached. */
  readonly state: ProvenState
  /** For the inclusion evidence: how many endpoints had to return the block, and which did. */
  readonly agreement: Agreement
  /** For the inclusion evidence: light-client messages that prove that the block is final. */
  readonly signatures?: readonly NamedNode[] | undefined
  /** For the inclusion evidence: what proves the block through L1. */
  readonly rollup?: RollupEvidence | undefined
  /**
   * Endpoints that returned this block as their newest one, and must prove it. Empty for the newest signed block, which
   * any endpoint may prove.
   */
  readonly endpoints: readonly Endpoint[]
}

/** Final block and newest blocks at one moment. */
export interface ChainSnapshot {
  /** Milliseconds of the monotonic clock at which the reading began. */
  readonly takenAt: number
  /** The block that can allow a boot. */
  readonly final: BlockView
  /** Newest blocks of single endpoints, and the newest signed block: they can only deny. What failed is left out. */
  readonly heads: Set<BlockView>
}

/** Evaluation of one boot at one block. The TCB status comes from the boot. */
export interface BootEvaluation {
  /** The first reason to deny the boot at a time (Unix seconds); undefined if nothing speaks against it. */
  readonly denialReason: (tcbStatus: string, at: number) => DenialReason | undefined
  /** Key epochs of the release at a time (Unix seconds); undefined for a KMS node. */
  readonly epochs: (at: number) => KeyEpochs | undefined
  /** The app is foreign: its rules are not known, so its own answer is needed. */
  readonly isForeign: boolean
  readonly gatewayAppId: string
  /** Built at the first call. */
  readonly evidence: () => ChainEvidence
}

/** The options of a view with its defaults and everything that it keeps between requests. */
export interface ViewContext extends ViewOptions {
  /** Called for metrics and logs. It must not throw. */
  readonly observe: (event: ChainEvent) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** Fetches storage proofs from the endpoints. */
  readonly prove: FetchProof
  /** Endpoints that recently failed to prove their newest block. */
  readonly heads: EndpointHealth
  readonly state: StateCache
  /** Decisions by block and everything else that they depend on. */
  readonly decisions: ByteCache<Promise<BootEvaluation>>
  /** Contracts that several apps use, least recently read first. */
  readonly shared: Set<Hex>
  /** Numbers the blocks of this view, for the keys of cached decisions. */
  readonly nextId: () => number
}

/** Seconds by which a block may be ahead of the local clock: one Ethereum slot and some tolerance. */
export const clockToleranceSeconds = 15

/** Milliseconds that an endpoint has to prove its newest block, from the sending of each request. */
export const headStragglerTimeoutMs = 2_000

/**
 * Checked at each decision, because time passes between snapshots. With a heartbeat the clock does not decide how old the
 * block is. The block and the heartbeat decide if the clock is right.
 *
 * @throws CHAIN_FROM_FUTURE; CHAIN_STALE without a heartbeat; with one CHAIN_VIEW_*, CHAIN_CLOCK_AHEAD
 */
export function requireRecent(header: BlockHeader, context: ViewContext): void {
  const { heartbeat, clock } = context
  if (heartbeat === undefined) {
    requireRecentByClock(header, context)
    return
  }
  // the block is younger than the nonce, so the clock cannot be further ahead of it than the nonce is old
  const ahead = Math.floor(clock() - header.timestamp - heartbeat.requireYoung(header))
  if (ahead > clockToleranceSeconds) {
    const message = `The clock is at least ${ahead} seconds ahead.`
    const facts = { block: String(header.number), ahead }
    throw new AssentError('CHAIN_CLOCK_AHEAD', message, { facts })
  }
  requireNotFromFuture(header, context)
}

/** The same by the clock alone, for a node that has no heartbeat or not yet. @throws CHAIN_STALE, CHAIN_FROM_FUTURE */
export function requireRecentByClock(
  header: BlockHeader,
  context: Pick<ViewContext, 'clock' | 'maxBlockAgeSeconds'>,
): void {
  const { clock, maxBlockAgeSeconds } = context
  const age = clock() - header.timestamp
  if (age > maxBlockAgeSeconds) {
    const message = `The newest final block is ${age} seconds old.`
    const facts = { block: String(header.number), age, bound: maxBlockAgeSeconds }
    throw new AssentError('CHAIN_STALE', message, { facts })
  }
  requireNotFromFuture(header, context)
}

/** A clock behind a final block is wrong. @throws CHAIN_FROM_FUTURE */
export function requireNotFromFuture(
  header: BlockHeader,
  { clock, maxBlockAgeSeconds }: Pick<ViewContext, 'clock' | 'maxBlockAgeSeconds'>,
): void {
  const age = clock() - header.timestamp
  if (age >= -clockToleranceSeconds) return
  const message = `The newest final block is ${-age} seconds ahead of the clock.`
  const facts = { block: String(header.number), age, bound: maxBlockAgeSeconds }
  throw new AssentError('CHAIN_FROM_FUTURE', message, { facts })
}

/** Codes of requests that were sent and not answered well, and of state that no honest endpoint shows. */
const endpointFaults = new Set<string>([
  'CHAIN_TIMEOUT',
  'CHAIN_UNREACHABLE',
  'CHAIN_ANSWER_INVALID',
  'CHAIN_PROOF_INVALID',
  'CHAIN_PROOF_REFUSED',
  'CHAIN_CONTRACT_UNKNOWN',
  'CONTRACT_MISSING',
])

/**
 * Removes a newest block that its endpoints failed to prove. They are not asked for newest blocks for a minute.
 *
 * Only a fault of the endpoints does this. If this node, or the rate limit of an endpoint, kept a block from being read, the
 * block stays: otherwise one client's load would switch the withdrawal check off for all.
 *
 * @throws every other error
 */
export function dropHead(
  snapshot: ChainSnapshot,
  head: BlockView,
  error: unknown,
  { heads, observe }: ViewContext,
): void {
  if (!isAssentError(error) || !endpointFaults.has(error.code)) throw error
  snapshot.heads.delete(head)
  for (const endpoint of head.endpoints) {
    heads.fail(endpoint)
    observe({ kind: 'fault', fault: { endpoint: endpoint.name, code: error.code } })
  }
}

/** The part of the options that readers of contract storage need. */
export function pinnedDeploymentOf({ kms, pinned }: ViewContext): PinnedDeployment {
  return { kms, pinned }
}

/** The client of a boot's requests to endpoints: its host, which no guest can change. */
export function clientOf({ deviceId }: EvaluatedBoot): string {
  return toHex(deviceId)
}

/** Number, hash and time of a header, for answers and the release log. */
export function toDecisionBlock({ number, hash, timestamp }: BlockHeader): DecisionBlock {
  return { number, hash, timestamp }
}

/** Turns a typed error into undefined, for endpoints whose failure decides nothing. Other errors are bugs and pass. */
export function ignoreOutage(error: unknown): undefined {
  if (!isAssentError(error)) throw error
}
