/**
 * The chain view: decides what the chain allows, without trust in a single endpoint.
 *
 * To allow a boot, the view needs a final block with an RPC quorum, storage proofs under its state root, and approvals
 * that have not expired by the local clock. To deny a boot, the newest block of one endpoint is enough, so that a
 * withdrawal takes effect early. Stale, missing or contradictory data is an error, which allows nothing.
 */
import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { type ByteCache, createByteCache } from '../../lib/byte-cache.ts'
import { type Hex, requireLength, to0x } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  type BootAuthorizer,
  type BootDecision,
  type BootQuestion,
  type ChainEvent,
  callGas,
  type DecisionBlock,
  decodeAnswer,
  type EvaluatedBoot,
  type KeyEpochs,
  questionCall,
  toTuple,
} from '../boot.ts'
import type { ChainEvidence } from '../evidence.ts'
import { decodeProbe, encodeProbe } from '../probe.ts'
import {
  appDenialReason,
  type DenialReason,
  epochsOf,
  type ForeignApps,
  kmsDenialReason,
  reasons,
} from './boot-rules.ts'
import type { BlockReference, ChainCheckpoint } from './checkpoint.ts'
import { collectAnswers, createHealth, type EndpointHealth, withinMs } from './endpoint-health.ts'
import type { BlockHeader, HeaderField } from './header.ts'
import { type AgreedHeader, fetchHeader, type HeaderSource, retryOnce } from './header-quorum.ts'
import { askFor, type FetchProof, proveByEndpoints } from './prover.ts'
import {
  type BootIds,
  gatherApp,
  gatherKms,
  gatherKmsAuth,
  gatherRules,
  type PinnedCode,
  type Registry,
} from './read-boot-facts.ts'
import type { Endpoint } from './rpc-endpoint.ts'
import {
  createStateCache,
  openState,
  type ProofSource,
  type ProvenState,
  type StateCache,
} from './state.ts'

/** What a chain view reads, and from where. */
export interface ViewOptions {
  readonly chainId: number
  readonly kms: Hex
  readonly pinned: PinnedCode
  /** Source of final blocks. */
  readonly source: HeaderSource
  /** Endpoints that serve storage proofs and newest blocks. */
  readonly endpoints: readonly Endpoint[]
  /** RPC quorum for the answer of a foreign app. */
  readonly required: number
  readonly memory: ChainCheckpoint
  /** Highest block age in seconds; with an older final block there is no decision. */
  readonly maxBlockAgeSeconds: number
  /** Seconds for which a chain snapshot is used. */
  readonly refreshSeconds: number
  /** Whether the newest block of a single endpoint is enough to deny. */
  readonly withdrawals: 'deny-when-shown-by-one' | 'insecure-wait-until-final'
  readonly foreignApps: ForeignApps
  /** Header fields that this version does not know, in the order of the header. */
  readonly headerFields?: readonly HeaderField[]
  /** Fetches proofs if this process does not contact the endpoints itself. */
  readonly prove?: FetchProof
  /** Bytes of memory for proven state and decisions. */
  readonly cacheBytes?: number
  readonly clock: Clock
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number
}

/** Answers questions about boots from proven chain state. */
export interface ChainView extends BootAuthorizer {
  /**
   * Reads the first final block of a new node and creates its trusted checkpoint.
   *
   * @throws CHAIN_MEMORY_EXISTS, CHAIN_PROOF_REFUSED if no endpoint proves the state of a final block, CHAIN_*
   */
  bootstrap(): Promise<BlockReference>
}

/** Seconds by which a block may be ahead of the local clock: one Ethereum slot and some tolerance. */
const clockToleranceSeconds = 15

/** Highest age in seconds of the newest block of an endpoint that follows the chain. */
const headToleranceSeconds = 120

/** Milliseconds for which reading a newest block may delay a decision. */
const headStragglerTimeoutMs = 2_000

/** Default for `cacheBytes`: 64 MiB. */
export const defaultCacheBytes = 64 * 2 ** 20

/** Number of contracts that are read for each new block in advance, because most decisions need them. */
const sharedAddresses = 32

/** One block, its proven state, and the endpoints that returned it. */
interface BlockView {
  /** Number within this process; cached decisions depend on the block and its endpoints. */
  readonly id: number
  readonly state: ProvenState
  readonly agreement: ChainEvidence['agreement']
  /** Endpoints that returned this block; they share its proofs. */
  readonly endpoints: readonly Endpoint[]
}

/** Final block and newest blocks at one moment. */
interface ChainSnapshot {
  readonly takenAt: number
  readonly final: BlockView
  /** Newest blocks of single endpoints, which can only deny. Endpoints that failed are left out. */
  readonly heads: Set<BlockView>
}

/** Evaluation of one boot at one block. The TCB status comes from the boot. */
interface BootEvaluation {
  readonly denialReason: (tcbStatus: string, at: number) => DenialReason | undefined
  readonly epochs: (at: number) => KeyEpochs | undefined
  /** The app is foreign: its rules are not known, so its own answer is needed. */
  readonly isForeign: boolean
  readonly gatewayAppId: string
  /** Built at the first call. */
  readonly evidence: () => ChainEvidence
}

interface Context extends ViewOptions {
  readonly observe: (event: ChainEvent) => void
  readonly now: () => number
  readonly prove: FetchProof
  /** Endpoints that recently failed to prove their newest block. */
  readonly heads: EndpointHealth
  readonly state: StateCache
  /** By block and everything else that the decision depends on. */
  readonly decisions: ByteCache<Promise<BootEvaluation>>
  /** Contracts that several apps use, least recently read first. */
  readonly shared: Set<Hex>
  readonly nextId: () => number
}

/**
 * Opens a chain view.
 *
 * @example
 * const view = openView({ chainId: 1, kms, pinned, source, endpoints, required: 2, ...limits })
 * const { allowed, reason } = await view.authorize('isAppAllowed', boot)
 */
export function openView(viewOptions: ViewOptions): ChainView {
  const observers: ((event: ChainEvent) => void)[] = []
  const observe = (event: ChainEvent) => {
    for (const each of observers) each(event)
  }
  const options = openContext(viewOptions, observe)
  const snapshots = createSnapshotRefresher(options)
  return {
    watch: (each) => void observers.push(each),
    trouble: snapshots.trouble,
    chainId: options.chainId,
    kms: options.kms,
    authorize: async (question, boot) => decide(await snapshots.current(), question, boot, options),
    facts: async () => {
      const { final } = await snapshots.current()
      requireRecent(final.state.header, options)
      const facts = await gatherKmsAuth(final.state.read(), registryOf(options))
      return { ...facts, block: toDecisionBlock(final.state.header) }
    },
    newestEpoch: async (appId) => {
      const { final } = await snapshots.current()
      requireRecent(final.state.header, options)
      requireLength(appId, 'app id', 20)
      const rules = await gatherRules(final.state.read(), registryOf(options), to0x(appId))
      return rules === undefined ? undefined : rules.epochsOpened + 1
    },
    bootstrap: async () => {
      const agreed = await options.source.newest(undefined)
      const { header } = agreed
      requireRecent(header, options)
      // fails here if the endpoints serve no storage proofs, before the node depends on them
      const taken = assemble({ takenAt: 0, agreed, heads: [], last: undefined, options })
      await readShared(taken, options)
      await options.memory.start(header)
      return header
    },
  }
}

function openContext(options: ViewOptions, observe: Context['observe']): Context {
  const { now = () => performance.now(), cacheBytes = defaultCacheBytes } = options
  const state = createStateCache(Math.floor(cacheBytes * 0.75))
  let blocks = 0
  return {
    ...options,
    observe,
    now,
    prove: options.prove ?? proveByEndpoints(options.endpoints, now, state.nodes),
    heads: createHealth(now),
    state,
    decisions: createByteCache(Math.floor(cacheBytes * 0.25)),
    shared: new Set([options.kms]),
    nextId: () => ++blocks,
  }
}

/* SNAPSHOTS */

/** Requests share a chain snapshot. A new one is started after half of its lifetime, so that requests rarely wait. */
function createSnapshotRefresher(options: Context) {
  const { now, observe } = options
  const validMs = options.refreshSeconds * 1000
  let last: ChainSnapshot | undefined
  let next: Promise<ChainSnapshot> | undefined
  let seen: BlockReference | undefined
  let trouble: string | undefined

  const snapshot = async (): Promise<ChainSnapshot> => {
    const takenAt = now()
    const known = await readCheckpoint(options.memory, seen)
    const asked = fetchHeads(options)
    // not awaited yet; a rejection must not count as unhandled
    for (const each of asked) each.catch(() => {})
    const agreed = await options.source.newest(known)
    requireRecent(agreed.header, options)
    const heads = await collectAnswers(
      asked,
      () => true,
      () => undefined,
    )
    const isNewer = known === undefined || agreed.header.number > known.number
    if (isNewer) await options.memory.write(agreed.header)
    seen = agreed.header
    const taken = assemble({ takenAt, agreed, heads, last, options })
    await readShared(taken, options)
    observe({
      kind: 'looked',
      block: toDecisionBlock(agreed.header),
      disagreeing: agreed.disagreeing,
    })
    return taken
  }
  const begin = () => {
    const refreshing = snapshot()
    next = refreshing
    refreshing.then(
      (taken) => {
        last = taken
        next = undefined
        trouble = undefined
      },
      (error: unknown) => {
        next = undefined
        trouble = isAssentError(error) ? error.code : 'UNEXPECTED'
        observe({ kind: 'failed', code: trouble })
      },
    )
    return refreshing
  }
  return {
    trouble: () => trouble,
    current: async (): Promise<ChainSnapshot> => {
      const age = last === undefined ? Number.POSITIVE_INFINITY : now() - last.takenAt
      if (last !== undefined && age <= validMs / 2) return last
      const refreshing = next ?? begin()
      return last !== undefined && age <= validMs ? last : refreshing
    },
  }
}

/** The highest block that this or another process of this node accepted. */
async function readCheckpoint(
  memory: ChainCheckpoint,
  seen: BlockReference | undefined,
): Promise<BlockReference | undefined> {
  const stored = await memory.read()
  if (seen === undefined || stored === undefined || stored.number > seen.number) return stored
  if (stored.number === seen.number && stored.hash === seen.hash) return stored
  throw new AssentError(
    'CHAIN_MEMORY_INVALID',
    'The trusted checkpoint went back to an older block.',
    {
      facts: { stored: String(stored.number), seen: String(seen.number) },
    },
  )
}

interface EndpointHead {
  readonly endpoint: Endpoint
  readonly header: BlockHeader
}

function fetchHeads({
  endpoints,
  withdrawals,
  heads,
  headerFields,
}: Context): readonly Promise<EndpointHead | undefined>[] {
  if (withdrawals === 'insecure-wait-until-final') return []
  return endpoints.filter(heads.isHealthy).map(async (endpoint) => {
    const header = await fetchHeader(endpoint, 'latest', headerFields).catch(ignoreOutage)
    return header && { endpoint, header }
  })
}

/** Builds a snapshot. Blocks that did not change keep their cached state. */
function assemble({
  takenAt,
  agreed,
  heads,
  last,
  options,
}: {
  readonly takenAt: number
  readonly agreed: AgreedHeader
  readonly heads: readonly (EndpointHead | undefined)[]
  readonly last: ChainSnapshot | undefined
  readonly options: Context
}): ChainSnapshot {
  const { header, agreement } = agreed
  const isInQuorum = ({ name }: Endpoint) => agreement.endpoints.includes(name)
  const ordered = [...options.endpoints].sort(
    (a, b) => Number(isInQuorum(b)) - Number(isInQuorum(a)),
  )
  const isSame = (view: BlockView | undefined, hash: Hex) => view?.state.header.hash === hash
  const newer = heads.flatMap((head) =>
    head !== undefined && isRecentHead(head.header, header, options) ? [head] : [],
  )
  return {
    takenAt,
    final: isSame(last?.final, header.hash)
      ? (last as ChainSnapshot).final
      : openBlock(header, agreement, ordered, options),
    heads: new Set(
      groupByHash(newer).map((group) => {
        const { header: head } = group[0]
        const servers = group.map(({ endpoint }) => endpoint)
        const known = [...(last?.heads ?? [])].find(
          (each) => isSame(each, head.hash) && isServedBy(each, servers),
        )
        const names = servers.map(({ name }) => name)
        const alone = { ...agreement, required: 1, endpoints: names }
        return known ?? openBlock(head, alone, servers, options)
      }),
    ),
  }
}

function groupByHash(heads: readonly EndpointHead[]): [EndpointHead, ...EndpointHead[]][] {
  const groups = new Map<Hex, [EndpointHead, ...EndpointHead[]]>()
  for (const head of heads) {
    const group = groups.get(head.header.hash)
    if (group === undefined) groups.set(head.header.hash, [head])
    else group.push(head)
  }
  return [...groups.values()]
}

function isServedBy({ endpoints }: BlockView, servers: readonly Endpoint[]): boolean {
  return (
    endpoints.length === servers.length && endpoints.every((each, index) => each === servers[index])
  )
}

/**
 * Proofs from any of these endpoints; each proof is checked.
 *
 * This is a separate function on purpose: a closure in `assemble` would keep the previous snapshot alive, and through it
 * all earlier ones.
 */
function proofsFrom(endpoints: readonly Endpoint[], { prove, observe }: Context): ProofSource {
  const names = endpoints.map(({ name }) => name)
  return askFor(names, prove, (dissent) => observe({ kind: 'dissent', dissent }))
}

function openBlock(
  header: BlockHeader,
  agreement: ChainEvidence['agreement'],
  endpoints: readonly Endpoint[],
  options: Context,
): BlockView {
  return {
    id: options.nextId(),
    state: openState(header, proofsFrom(endpoints, options), options.state),
    agreement,
    endpoints,
  }
}

/**
 * Reads the contracts that most decisions need before the snapshot is used, so that requests do not wait for them. It
 * fails without a storage proof of the KmsAuth contract.
 *
 * @throws CHAIN_*
 */
async function readShared(snapshot: ChainSnapshot, options: Context): Promise<void> {
  const { kms, shared } = options
  const read = async ({ state }: BlockView) => {
    const others = [...shared].filter((address) => address !== kms)
    const reading = state.read()
    // the first proof contains the upper trie nodes of all others
    await reading.account(kms)
    await Promise.all(others.map((address) => reading.account(address).catch(ignoreOutage)))
  }
  await Promise.all([
    read(snapshot.final),
    ...[...snapshot.heads].map((head) =>
      withinMs(headStragglerTimeoutMs, read(head)).catch((error) =>
        dropHead(snapshot, head, error, options),
      ),
    ),
  ])
}

/** Removes a newest block that could not be proven. Its endpoints are not asked for newest blocks for a minute. */
function dropHead(
  snapshot: ChainSnapshot,
  head: BlockView,
  error: unknown,
  { heads, observe }: Context,
): void {
  if (!isAssentError(error)) throw error
  snapshot.heads.delete(head)
  for (const endpoint of head.endpoints) {
    heads.fail(endpoint)
    observe({ kind: 'dissent', dissent: { endpoint: endpoint.name, code: error.code } })
  }
}

/**
 * Whether a newest block is at least as new as the final block and not from the future. A recent time is enough,
 * because a forged final block can have any number, but no time after the local clock.
 */
function isRecentHead(head: BlockHeader, final: BlockHeader, { clock }: Context): boolean {
  if (head.hash === final.hash || head.timestamp > clock() + clockToleranceSeconds) return false
  const isRecent = head.timestamp >= Math.min(final.timestamp, clock()) - headToleranceSeconds
  return head.number >= final.number || isRecent
}

/** Checked at each decision, because time passes between snapshots. @throws CHAIN_STALE, CHAIN_FROM_FUTURE */
function requireRecent(header: BlockHeader, { clock, maxBlockAgeSeconds }: Context): void {
  const age = clock() - header.timestamp
  const facts = { block: String(header.number), age, bound: maxBlockAgeSeconds }
  if (age > maxBlockAgeSeconds) {
    const message = `The newest final block is ${age} seconds old.`
    throw new AssentError('CHAIN_STALE', message, { facts })
  }
  if (age < -clockToleranceSeconds) {
    const message = `The newest final block is ${-age} seconds ahead of the clock.`
    throw new AssentError('CHAIN_FROM_FUTURE', message, { facts })
  }
}

/* DECISIONS */

async function decide(
  snapshot: ChainSnapshot,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: Context,
): Promise<BootDecision> {
  const { header } = snapshot.final.state
  requireRecent(header, options)
  const ids = idsOf(boot)
  const [evaluation, withdrawn] = await Promise.all([
    evaluate(snapshot.final, question, ids, options),
    findWithdrawal(snapshot, question, boot, options),
  ])
  const { gatewayAppId } = evaluation
  const seen = { gatewayAppId, block: toDecisionBlock(header), evidence: evaluation.evidence() }
  const now = options.clock()

  // an approval must be active at the block's time and now
  const reason =
    evaluation.denialReason(boot.tcbStatus, header.timestamp) ??
    evaluation.denialReason(boot.tcbStatus, now)
  if (reason !== undefined) {
    const refusedBy = reason === 'appForeign' ? 'foreign-app' : 'policy'
    return { ...seen, allowed: false, refusedBy, reason: reasons[reason] }
  }
  if (withdrawn !== undefined) return withdrawn
  if (evaluation.isForeign) return executeForeign(snapshot, boot, seen, options)
  const epochs = grantedEpochs(evaluation, header.timestamp, now)
  return { ...seen, allowed: true, reason: '', ...(epochs ? { epochs } : {}) }
}

/** Cache key of a decision: everything that the answer depends on. */
function nameOf(block: number, question: BootQuestion, ids: BootIds): string {
  const { appId, composeHash, deviceId, mrAggregated, mrSystem, osImageHash } = ids
  const subject = question === 'isAppAllowed' ? [appId, composeHash, mrSystem] : [mrAggregated]
  return [block, question, ...subject, deviceId, osImageHash, ids.mustBeApproved].join()
}

/** Estimated size of a cached decision before its evidence is built. */
const decisionBytes = 8192

function evaluate(
  view: BlockView,
  question: BootQuestion,
  ids: BootIds,
  options: Context,
): Promise<BootEvaluation> {
  const { decisions } = options
  const name = nameOf(view.id, question, ids)
  const known = decisions.get(name)
  if (known !== undefined) return known
  const evaluating = evaluateBoot(view, question, ids, options, (evidence) => {
    // the release log keeps a second copy as text
    if (decisions.get(name) === evaluating) decisions.set(name, evaluating, 2 * sizeOf(evidence))
  })
  decisions.set(name, evaluating, decisionBytes)
  // an outage must not be cached for the block
  evaluating.catch(() => {
    if (decisions.get(name) === evaluating) decisions.delete(name)
  })
  return evaluating
}

/** Size of all proofs in it as text, in bytes. */
function sizeOf({ contracts, header }: ChainEvidence): number {
  const count = (nodes: readonly Hex[]) => nodes.reduce((sum, node) => sum + node.length, 0)
  let size = decisionBytes + header.length
  for (const { accountProof, storage } of Object.values(contracts)) {
    size += count(accountProof)
    for (const proof of Object.values(storage)) size += count(proof)
  }
  return size
}

async function evaluateBoot(
  { state, agreement }: BlockView,
  question: BootQuestion,
  ids: BootIds,
  options: Context,
  made: (evidence: ChainEvidence) => void,
): Promise<BootEvaluation> {
  const reading = state.read()
  const registry = registryOf(options)
  let known: ChainEvidence | undefined
  const evidence = (): ChainEvidence => {
    if (known !== undefined) return known
    known = {
      version: 1,
      chainId: options.chainId,
      kmsContract: options.kms,
      header: state.header.rlp,
      blockHash: state.header.hash,
      agreement,
      contracts: reading.contracts(),
    }
    made(known)
    return known
  }
  if (question === 'isKmsAllowed') {
    const { facts, gatewayAppId } = await gatherKms(reading, registry, ids)
    const denialReason = (tcbStatus: string, at: number) => kmsDenialReason(facts, tcbStatus, at)
    return { denialReason, epochs: () => undefined, isForeign: false, gatewayAppId, evidence }
  }
  const { facts, gatewayAppId } = await gatherApp(reading, registry, ids)
  rememberShared(options.shared, reading.addresses(), ids.appId)
  return {
    denialReason: (tcbStatus, at) => appDenialReason(facts, tcbStatus, at, options.foreignApps),
    epochs: (at) => epochsOf(facts, at),
    isForeign: facts.contract === 'foreign',
    gatewayAppId,
    evidence,
  }
}

function rememberShared(shared: Set<Hex>, addresses: readonly Hex[], app: Hex): void {
  for (const address of addresses) {
    if (address === app) continue
    shared.delete(address)
    shared.add(address)
  }
  for (const oldest of shared) {
    if (shared.size <= sharedAddresses) break
    shared.delete(oldest)
  }
}

/** Withdrawal check: a denial from the newest block of any endpoint. A missing answer denies nothing. */
async function findWithdrawal(
  snapshot: ChainSnapshot,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: Context,
): Promise<BootDecision | undefined> {
  const found = await Promise.all(
    [...snapshot.heads].map((head) =>
      withinMs(headStragglerTimeoutMs, deniedAt(head, question, boot, options)).catch((error) =>
        dropHead(snapshot, head, error, options),
      ),
    ),
  )
  return found.find((decision) => decision !== undefined) ?? undefined
}

async function deniedAt(
  head: BlockView,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: Context,
): Promise<BootDecision | undefined> {
  const { header } = head.state
  const evaluation = await evaluate(head, question, idsOf(boot), options)
  const reason = evaluation.denialReason(
    boot.tcbStatus,
    Math.max(header.timestamp, options.clock()),
  )
  if (reason === undefined) return undefined
  return {
    allowed: false,
    refusedBy: 'unconfirmed-withdrawal',
    reason: reasons[reason],
    gatewayAppId: evaluation.gatewayAppId,
    block: toDecisionBlock(header),
    evidence: evaluation.evidence(),
  }
}

/** The key epochs that are granted at the block's time and now. */
function grantedEpochs(
  evaluation: BootEvaluation,
  block: number,
  now: number,
): KeyEpochs | undefined {
  const [then, today] = [evaluation.epochs(block), evaluation.epochs(now)]
  if (then === undefined || today === undefined) return undefined
  return { write: then.write, read: Math.max(then.read, today.read) }
}

/* FOREIGN APPS */

/**
 * Lets the endpoints execute a foreign app contract with `eth_call`. An RPC quorum must return the same answer, and no
 * endpoint may answer with a denial. Everything except the app's own answer is proven.
 */
async function executeForeign(
  snapshot: ChainSnapshot,
  boot: EvaluatedBoot,
  seen: Pick<BootDecision, 'gatewayAppId' | 'block'> & { readonly evidence: ChainEvidence },
  options: Context,
): Promise<BootDecision> {
  const data = encodeProbe([questionCall(options.kms, 'isAppAllowed', boot)])
  const block = { blockHash: snapshot.final.state.header.hash }
  const gas = `0x${callGas.toString(16)}`
  const asked = options.endpoints.map(async (endpoint) => {
    const output = await retryOnce(() =>
      endpoint.request('eth_call', [{ data, gas }, block], outputSchema),
    ).catch(ignoreOutage)
    return output === undefined ? [] : [{ endpoint, output }]
  })
  const isEnough = (answers: readonly { output: Hex }[][]) =>
    largestGroup(answers.flat().map(({ output }) => output)) >= options.required
  const outputs = await collectAnswers(asked, isEnough, () => [])
  const byOutput = new Map<Hex, string[]>()
  for (const { endpoint, output } of outputs.flat()) {
    byOutput.set(output, [...(byOutput.get(output) ?? []), endpoint.name])
  }
  const read = (output: Hex) => decodeAnswer('isAppAllowed', decodeProbe(output, 1).answers[0])
  const [output, names = []] =
    [...byOutput].find(([, names]) => names.length >= options.required) ?? []
  if (output === undefined) {
    throw new AssentError(
      'CHAIN_NO_AGREEMENT',
      'The endpoints return different answers of an app contract.',
      {
        facts: { required: options.required, answers: [...byOutput.values()] },
      },
    )
  }
  const evidence = { ...seen.evidence, executedBy: names }
  const denial = [...byOutput.keys()]
    .map(readOrIgnore(read))
    .find((answer) => answer?.allowed === false)
  return { ...seen, evidence, ...(denial ?? read(output)) }
}

/** Size of the largest group of equal answers. */
function largestGroup(names: readonly Hex[]): number {
  return Math.max(0, ...names.map((name) => names.filter((other) => other === name).length))
}

const outputSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/)
  .max(20_000)
  .transform((text) => text.toLowerCase() as Hex)

function readOrIgnore<T>(read: (output: Hex) => T): (output: Hex) => T | undefined {
  return (output) => {
    try {
      return read(output)
    } catch (error) {
      return ignoreOutage(error)
    }
  }
}

/* HELPERS */

function idsOf(boot: EvaluatedBoot): BootIds {
  const { mustBeApproved } = boot
  if (mustBeApproved === undefined) return toTuple(boot)
  requireLength(mustBeApproved, 'mustBeApproved', 32)
  return { ...toTuple(boot), mustBeApproved: to0x(mustBeApproved) }
}

function registryOf({ kms, pinned }: Context): Registry {
  return { kms, pinned }
}

function toDecisionBlock({ number, hash, timestamp }: BlockHeader): DecisionBlock {
  return { number, hash, timestamp }
}

function ignoreOutage(error: unknown): undefined {
  if (!isAssentError(error)) throw error
}
