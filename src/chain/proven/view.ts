/**
 * What the chain allows, without trust in any endpoint.
 *
 * Yes needs a final block that enough endpoints vouch for, proofs under its state root, and time that has
 * not run out by this machine's clock. No needs less: the newest block of any single endpoint can take
 * something away before the others have seen it. Whatever is stale, missing or contradictory is an error,
 * which allows nothing either.
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
import { createHealth, type EndpointHealth, hear, withinMs } from './endpoint-health.ts'
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

export interface ViewOptions {
  readonly chainId: number
  readonly kms: Hex
  readonly pinned: PinnedCode
  /** Who vouches for blocks. */
  readonly source: HeaderSource
  /** Who serves proofs, and may show a withdrawal before it is final. */
  readonly endpoints: readonly Endpoint[]
  /** How many endpoints have to agree on what a foreign app answers. */
  readonly required: number
  readonly memory: ChainCheckpoint
  /** A final block older than this decides nothing. */
  readonly maxBlockAgeSeconds: number
  /** For how long a look at the endpoints counts. */
  readonly refreshSeconds: number
  /** Whether the newest block of a single endpoint is enough to deny. */
  readonly withdrawals: 'deny-when-shown-by-one' | 'insecure-wait-until-final'
  readonly foreignApps: ForeignApps
  /** Fields of headers that this program does not know, in the order of the header. */
  readonly headerFields?: readonly HeaderField[]
  /** Who gets proofs, where this process does not ask the endpoints itself. */
  readonly prove?: FetchProof
  /** Memory for what is proven and decided. */
  readonly cacheBytes?: number
  readonly clock: Clock
  /** Milliseconds, never going back. */
  readonly now?: () => number
}

export interface ChainView extends BootAuthorizer {
  /**
   * The first look of a new node, which starts its memory.
   *
   * @throws CHAIN_MEMORY_EXISTS, CHAIN_PROOF_REFUSED if no endpoint proves the state of a final block, CHAIN_*
   */
  bootstrap(): Promise<BlockReference>
}

/** How far a block may be ahead of this machine's clock: a slot of Ethereum's and a little. */
const clockToleranceSeconds = 15

/** How old the newest block of an endpoint may be that keeps up with the chain. */
const headToleranceSeconds = 120

/** How long a newest block may keep a decision waiting. */
const headStragglerTimeoutMs = 2_000

/** What is remembered of proofs and decisions where nothing is said. */
export const defaultCacheBytes = 64 * 2 ** 20

/** Addresses that most decisions read, and that are read of a new block before anyone asks. */
const sharedKept = 32

/** One block, who shows it, and its state. */
interface BlockView {
  /** Of this process: what is decided of a block depends on who vouches for it, too. */
  readonly id: number
  readonly state: ProvenState
  readonly agreement: ChainEvidence['agreement']
  /** Those that show the same block share its proofs. */
  readonly endpoints: readonly Endpoint[]
}

interface ChainSnapshot {
  readonly takenAt: number
  readonly final: BlockView
  /** The newest blocks of single endpoints: good for a no. Those that failed are left out. */
  readonly heads: Set<BlockView>
}

/** What a block says of one boot; the TCB status is the boot's own. */
interface BootEvaluation {
  readonly refuse: (tcbStatus: string, at: number) => DenialReason | undefined
  readonly epochs: (at: number) => KeyEpochs | undefined
  /** Only the app itself can tell what its rules are. */
  readonly isForeign: boolean
  readonly gatewayAppId: string
  /** Put together when it is first asked for. */
  readonly evidence: () => ChainEvidence
}

interface Context extends ViewOptions {
  readonly observe: (event: ChainEvent) => void
  readonly now: () => number
  readonly prove: FetchProof
  /** Who failed lately to show a newest block with its proofs. */
  readonly heads: EndpointHealth
  readonly state: StateCache
  /** By block and all that the question depends on. */
  readonly decisions: ByteCache<Promise<BootEvaluation>>
  /** Contracts that are not an app's own, those read last at the end. */
  readonly shared: Set<Hex>
  readonly nextId: () => number
}

export function openView(viewOptions: ViewOptions): ChainView {
  const observers: ((event: ChainEvent) => void)[] = []
  const observe = (event: ChainEvent) => {
    for (const each of observers) each(event)
  }
  const options = openContext(viewOptions, observe)
  const looks = createSnapshotRefresher(options)
  return {
    watch: (each) => void observers.push(each),
    trouble: looks.trouble,
    chainId: options.chainId,
    kms: options.kms,
    authorize: async (question, boot) => decide(await looks.current(), question, boot, options),
    facts: async () => {
      const { final } = await looks.current()
      requireRecent(final.state.header, options)
      const facts = await gatherKmsAuth(final.state.read(), registryOf(options))
      return { ...facts, block: toSeen(final.state.header) }
    },
    newestEpoch: async (appId) => {
      const { final } = await looks.current()
      requireRecent(final.state.header, options)
      requireLength(appId, 'app id', 20)
      const rules = await gatherRules(final.state.read(), registryOf(options), to0x(appId))
      return rules === undefined ? undefined : rules.epochsOpened + 1
    },
    bootstrap: async () => {
      const vouched = await options.source.newest(undefined)
      const { header } = vouched
      requireRecent(header, options)
      // endpoints that prove nothing are found out before the node counts on them
      const taken = assemble({ takenAt: 0, vouched, heads: [], last: undefined, options })
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

/* LOOKING */

/** Requests share a look; the next one begins before the last has lost its worth, so that few ever wait. */
function createSnapshotRefresher(options: Context) {
  const { now, observe } = options
  const worth = options.refreshSeconds * 1000
  let last: ChainSnapshot | undefined
  let next: Promise<ChainSnapshot> | undefined
  let seen: BlockReference | undefined
  let trouble: string | undefined

  const look = async (): Promise<ChainSnapshot> => {
    const takenAt = now()
    const known = await recall(options.memory, seen)
    const asked = fetchHeads(options)
    // nobody listens to them while the final block is not known
    for (const each of asked) each.catch(() => {})
    const vouched = await options.source.newest(known)
    requireRecent(vouched.header, options)
    const heads = await hear(
      asked,
      () => true,
      () => undefined,
    )
    const isNews = known === undefined || vouched.header.number > known.number
    if (isNews) await options.memory.write(vouched.header)
    seen = vouched.header
    const taken = assemble({ takenAt, vouched, heads, last, options })
    await readShared(taken, options)
    observe({
      kind: 'looked',
      block: toSeen(vouched.header),
      disagreeing: vouched.disagreeing,
    })
    return taken
  }
  const begin = () => {
    const looking = look()
    next = looking
    looking.then(
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
    return looking
  }
  return {
    trouble: () => trouble,
    current: async (): Promise<ChainSnapshot> => {
      const age = last === undefined ? Number.POSITIVE_INFINITY : now() - last.takenAt
      if (last !== undefined && age <= worth / 2) return last
      const looking = next ?? begin()
      return last !== undefined && age <= worth ? last : looking
    },
  }
}

/** The highest block that this or another process of this node has believed. */
async function recall(
  memory: ChainCheckpoint,
  seen: BlockReference | undefined,
): Promise<BlockReference | undefined> {
  const stored = await memory.read()
  if (seen === undefined || stored === undefined || stored.number > seen.number) return stored
  if (stored.number === seen.number && stored.hash === seen.hash) return stored
  throw new AssentError('CHAIN_MEMORY_INVALID', 'The memory of the chain went back.', {
    facts: { stored: String(stored.number), seen: String(seen.number) },
  })
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
  return endpoints.filter(heads.isWell).map(async (endpoint) => {
    const header = await fetchHeader(endpoint, 'latest', headerFields).catch(ignoreOutage)
    return header && { endpoint, header }
  })
}

/** Keeps the states of blocks that are still the same. */
function assemble({
  takenAt,
  vouched,
  heads,
  last,
  options,
}: {
  readonly takenAt: number
  readonly vouched: AgreedHeader
  readonly heads: readonly (EndpointHead | undefined)[]
  readonly last: ChainSnapshot | undefined
  readonly options: Context
}): ChainSnapshot {
  const { header, agreement } = vouched
  const isVouching = ({ name }: Endpoint) => agreement.endpoints.includes(name)
  const ordered = [...options.endpoints].sort(
    (a, b) => Number(isVouching(b)) - Number(isVouching(a)),
  )
  const isSame = (view: BlockView | undefined, hash: Hex) => view?.state.header.hash === hash
  const newer = heads.flatMap((head) =>
    head !== undefined && isWorthALook(head.header, header, options) ? [head] : [],
  )
  return {
    takenAt,
    final: isSame(last?.final, header.hash)
      ? (last as ChainSnapshot).final
      : openBlock(header, agreement, ordered, options),
    heads: new Set(
      groupByHash(newer).map((group) => {
        const { header: head } = group[0]
        const showing = group.map(({ endpoint }) => endpoint)
        const known = [...(last?.heads ?? [])].find(
          (each) => isSame(each, head.hash) && isShownBy(each, showing),
        )
        const names = showing.map(({ name }) => name)
        const alone = { ...agreement, required: 1, endpoints: names }
        return known ?? openBlock(head, alone, showing, options)
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

function isShownBy({ endpoints }: BlockView, showing: readonly Endpoint[]): boolean {
  return (
    endpoints.length === showing.length && endpoints.every((each, index) => each === showing[index])
  )
}

/**
 * Any of the endpoints will do, since each proof is checked.
 *
 * A function of its own: a closure in `assemble` would share that function's variables and keep the look before
 * alive, and through it every look before that.
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
 * Reads what every decision needs before the look replaces the one before, so that nobody waits for it. Without
 * a proof of the KmsAuth contract there is no decision.
 *
 * @throws CHAIN_*
 */
async function readShared(look: ChainSnapshot, options: Context): Promise<void> {
  const { kms, shared } = options
  const read = async ({ state }: BlockView) => {
    const others = [...shared].filter((address) => address !== kms)
    const reading = state.read()
    // the first one brings the upper nodes of all
    await reading.account(kms)
    await Promise.all(others.map((address) => reading.account(address).catch(ignoreOutage)))
  }
  await Promise.all([
    read(look.final),
    ...[...look.heads].map((head) =>
      withinMs(headStragglerTimeoutMs, read(head)).catch((error) =>
        dropHead(look, head, error, options),
      ),
    ),
  ])
}

/** It has had its chance: those that show it are not asked for their newest block for a while. */
function dropHead(
  look: ChainSnapshot,
  head: BlockView,
  error: unknown,
  { heads, observe }: Context,
): void {
  if (!isAssentError(error)) throw error
  look.heads.delete(head)
  for (const endpoint of head.endpoints) {
    heads.fail(endpoint)
    observe({ kind: 'dissent', dissent: { endpoint: endpoint.name, code: error.code } })
  }
}

/**
 * As new as what is final, and not invented out of the future. As new by time is enough: those who invent a
 * final block can give it any number, but no time beyond the clock.
 */
function isWorthALook(head: BlockHeader, final: BlockHeader, { clock }: Context): boolean {
  if (head.hash === final.hash || head.timestamp > clock() + clockToleranceSeconds) return false
  const isRecent = head.timestamp >= Math.min(final.timestamp, clock()) - headToleranceSeconds
  return head.number >= final.number || isRecent
}

/** Checked again at each decision, since time passes between looks. @throws CHAIN_STALE, CHAIN_FROM_FUTURE */
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

/* DECIDING */

async function decide(
  look: ChainSnapshot,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: Context,
): Promise<BootDecision> {
  const { header } = look.final.state
  requireRecent(header, options)
  const ids = idsOf(boot)
  const [judged, withdrawn] = await Promise.all([
    judge(look.final, question, ids, options),
    findWithdrawal(look, question, boot, options),
  ])
  const { gatewayAppId } = judged
  const seen = { gatewayAppId, block: toSeen(header), evidence: judged.evidence() }
  const now = options.clock()

  // what ended since the block has ended, and what had not begun at the block has not begun
  const refusal =
    judged.refuse(boot.tcbStatus, header.timestamp) ?? judged.refuse(boot.tcbStatus, now)
  if (refusal !== undefined) {
    const refusedBy = refusal === 'appForeign' ? 'foreign-app' : 'policy'
    return { ...seen, allowed: false, refusedBy, reason: reasons[refusal] }
  }
  if (withdrawn !== undefined) return withdrawn
  if (judged.isForeign) return executeForeign(look, boot, seen, options)
  const epochs = grantedEpochs(judged, header.timestamp, now)
  return { ...seen, allowed: true, reason: '', ...(epochs ? { epochs } : {}) }
}

/** What an answer depends on: whatever is left out here is taken for the same. */
function nameOf(block: number, question: BootQuestion, ids: BootIds): string {
  const { appId, composeHash, deviceId, mrAggregated, mrSystem, osImageHash } = ids
  const subject = question === 'isAppAllowed' ? [appId, composeHash, mrSystem] : [mrAggregated]
  return [block, question, ...subject, deviceId, osImageHash, ids.mustBeApproved].join()
}

/** What a decision takes until its evidence is put together. */
const decisionBytes = 8192

function judge(
  view: BlockView,
  question: BootQuestion,
  ids: BootIds,
  options: Context,
): Promise<BootEvaluation> {
  const { decisions } = options
  const name = nameOf(view.id, question, ids)
  const known = decisions.get(name)
  if (known !== undefined) return known
  const judging = gatherJudged(view, question, ids, options, (evidence) => {
    // the log keeps the same again as text
    if (decisions.get(name) === judging) decisions.set(name, judging, 2 * sizeOf(evidence))
  })
  decisions.set(name, judging, decisionBytes)
  // an outage must not stick to the block
  judging.catch(() => {
    if (decisions.get(name) === judging) decisions.delete(name)
  })
  return judging
}

/** Of all proofs in it, as text. */
function sizeOf({ contracts, header }: ChainEvidence): number {
  const count = (nodes: readonly Hex[]) => nodes.reduce((sum, node) => sum + node.length, 0)
  let size = decisionBytes + header.length
  for (const { accountProof, storage } of Object.values(contracts)) {
    size += count(accountProof)
    for (const proof of Object.values(storage)) size += count(proof)
  }
  return size
}

async function gatherJudged(
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
    const refuse = (tcbStatus: string, at: number) => kmsDenialReason(facts, tcbStatus, at)
    return { refuse, epochs: () => undefined, isForeign: false, gatewayAppId, evidence }
  }
  const { facts, gatewayAppId } = await gatherApp(reading, registry, ids)
  noteShared(options.shared, reading.addresses(), ids.appId)
  return {
    refuse: (tcbStatus, at) => appDenialReason(facts, tcbStatus, at, options.foreignApps),
    epochs: (at) => epochsOf(facts, at),
    isForeign: facts.contract === 'foreign',
    gatewayAppId,
    evidence,
  }
}

function noteShared(shared: Set<Hex>, addresses: readonly Hex[], app: Hex): void {
  for (const address of addresses) {
    if (address === app) continue
    shared.delete(address)
    shared.add(address)
  }
  for (const oldest of shared) {
    if (shared.size <= sharedKept) break
    shared.delete(oldest)
  }
}

/** A no from the newest block of any endpoint. What an endpoint fails to show takes nothing away. */
async function findWithdrawal(
  look: ChainSnapshot,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: Context,
): Promise<BootDecision | undefined> {
  const found = await Promise.all(
    [...look.heads].map((head) =>
      withinMs(headStragglerTimeoutMs, refusedAt(head, question, boot, options)).catch((error) =>
        dropHead(look, head, error, options),
      ),
    ),
  )
  return found.find((decision) => decision !== undefined) ?? undefined
}

async function refusedAt(
  head: BlockView,
  question: BootQuestion,
  boot: EvaluatedBoot,
  options: Context,
): Promise<BootDecision | undefined> {
  const { header } = head.state
  const judged = await judge(head, question, idsOf(boot), options)
  const refusal = judged.refuse(boot.tcbStatus, Math.max(header.timestamp, options.clock()))
  if (refusal === undefined) return undefined
  return {
    allowed: false,
    refusedBy: 'unconfirmed-withdrawal',
    reason: reasons[refusal],
    gatewayAppId: judged.gatewayAppId,
    block: toSeen(header),
    evidence: judged.evidence(),
  }
}

/** The epochs that both the block and the clock grant: a window that has closed since is closed. */
function grantedEpochs(judged: BootEvaluation, block: number, now: number): KeyEpochs | undefined {
  const [then, today] = [judged.epochs(block), judged.epochs(now)]
  if (then === undefined || today === undefined) return undefined
  return { write: then.write, read: Math.max(then.read, today.read) }
}

/* FOREIGN APPS */

/**
 * Lets the endpoints execute the app, whose rules this node does not know: enough of them must answer
 * alike, and none of them no. Everything but the app's own answer was proven before.
 */
async function executeForeign(
  look: ChainSnapshot,
  boot: EvaluatedBoot,
  seen: Pick<BootDecision, 'gatewayAppId' | 'block'> & { readonly evidence: ChainEvidence },
  options: Context,
): Promise<BootDecision> {
  const data = encodeProbe([questionCall(options.kms, 'isAppAllowed', boot)])
  const block = { blockHash: look.final.state.header.hash }
  const gas = `0x${callGas.toString(16)}`
  const asked = options.endpoints.map(async (endpoint) => {
    const output = await retryOnce(() =>
      endpoint.request('eth_call', [{ data, gas }, block], outputSchema),
    ).catch(ignoreOutage)
    return output === undefined ? [] : [{ endpoint, output }]
  })
  const isEnough = (answers: readonly { output: Hex }[][]) =>
    mostAlike(answers.flat().map(({ output }) => output)) >= options.required
  const outputs = await hear(asked, isEnough, () => [])
  const alike = new Map<Hex, string[]>()
  for (const { endpoint, output } of outputs.flat()) {
    alike.set(output, [...(alike.get(output) ?? []), endpoint.name])
  }
  const read = (output: Hex) => decodeAnswer('isAppAllowed', decodeProbe(output, 1).answers[0])
  const [output, names = []] =
    [...alike].find(([, names]) => names.length >= options.required) ?? []
  if (output === undefined) {
    throw new AssentError('CHAIN_NO_AGREEMENT', 'The endpoints disagree on what an app answers.', {
      facts: { required: options.required, answers: [...alike.values()] },
    })
  }
  const evidence = { ...seen.evidence, executedBy: names }
  const denial = [...alike.keys()]
    .map(readOrIgnore(read))
    .find((answer) => answer?.allowed === false)
  return { ...seen, evidence, ...(denial ?? read(output)) }
}

/** How many of these say the same as another. */
function mostAlike(names: readonly Hex[]): number {
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

/* SMALL THINGS */

function idsOf(boot: EvaluatedBoot): BootIds {
  const { mustBeApproved } = boot
  if (mustBeApproved === undefined) return toTuple(boot)
  requireLength(mustBeApproved, 'mustBeApproved', 32)
  return { ...toTuple(boot), mustBeApproved: to0x(mustBeApproved) }
}

function registryOf({ kms, pinned }: Context): Registry {
  return { kms, pinned }
}

function toSeen({ number, hash, timestamp }: BlockHeader): DecisionBlock {
  return { number, hash, timestamp }
}

function ignoreOutage(error: unknown): undefined {
  if (!isAssentError(error)) throw error
}
