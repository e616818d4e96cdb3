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
import { type Hex, requireLength, to0x } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  type AskedBoot,
  type BlockSeen,
  type BootAuthority,
  type BootDecision,
  type BootQuestion,
  type ChainEvent,
  callGas,
  decodeAnswer,
  type KeyEpochs,
  questionCall,
  toTuple,
} from '../boot.ts'
import type { ChainEvidence } from '../evidence.ts'
import { decodeProbe, encodeProbe } from '../probe.ts'
import {
  epochsOf,
  type ForeignApps,
  type Refusal,
  reasons,
  refuseApp,
  refuseKms,
} from './boot-rules.ts'
import {
  type BootIds,
  gatherApp,
  gatherKms,
  gatherKmsAuth,
  gatherRules,
  type PinnedCode,
  type Registry,
} from './gather.ts'
import type { BlockHeader } from './header.ts'
import { askTwice, fetchHeader, type HeaderSource, type Vouched } from './headers.ts'
import type { BlockMark, ChainMemory } from './memory.ts'
import { proofSchema, verifyProof } from './proof.ts'
import type { Endpoint } from './rpc.ts'
import { openState, type ProofSource, type ProvenState } from './state.ts'

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
  readonly memory: ChainMemory
  /** A final block older than this decides nothing. */
  readonly maxBlockAgeSeconds: number
  /** For how long a look at the endpoints counts. */
  readonly refreshSeconds: number
  /** Whether the newest block of a single endpoint is enough to deny. */
  readonly withdrawals: 'deny-when-shown-by-one' | 'insecure-wait-until-final'
  readonly foreignApps: ForeignApps
  readonly clock: Clock
  /** Milliseconds, never going back. */
  readonly now?: () => number
}

export interface ChainView extends BootAuthority {
  /** The first look of a new node, which starts its memory. @throws CHAIN_MEMORY_EXISTS, CHAIN_* */
  bootstrap(): Promise<BlockMark>
}

/** How far a block may be ahead of this machine's clock: a slot of Ethereum's and a little. */
const clockToleranceSeconds = 15

/** How old the newest block of an endpoint may be that keeps up with the chain. */
const headToleranceSeconds = 120

/** One block, with what was gathered from it. */
interface BlockView {
  readonly state: ProvenState
  readonly agreement: ChainEvidence['agreement']
  readonly known: Map<string, Promise<Judged>>
}

interface Head extends BlockView {
  readonly endpoint: Endpoint
}

interface Look {
  readonly takenAt: number
  readonly final: BlockView
  /** Each endpoint's own newest block: good for a no. Those that failed are left out. */
  readonly heads: Set<Head>
}

/** What a block says of one boot; the TCB status is the boot's own. */
interface Judged {
  readonly refuse: (tcbStatus: string, at: number) => Refusal | undefined
  readonly epochs: (at: number) => KeyEpochs | undefined
  /** Only the app itself can tell what its rules are. */
  readonly isForeign: boolean
  readonly gatewayAppId: string
  readonly evidence: ChainEvidence
}

/** Boots remembered of one block. */
const boots = 4096

type Context = ViewOptions & { readonly observe: (event: ChainEvent) => void }

export function openView(viewOptions: ViewOptions): ChainView {
  const observers: ((event: ChainEvent) => void)[] = []
  const observe = (event: ChainEvent) => {
    for (const each of observers) each(event)
  }
  const options: Context = { ...viewOptions, observe }
  const looks = lookRegularly(options)
  return {
    watch: (each) => void observers.push(each),
    trouble: looks.trouble,
    chainId: options.chainId,
    kms: options.kms,
    ask: async (question, boot) => decide(await looks.current(), question, boot, options),
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
      const { header } = await options.source.newest(undefined)
      requireRecent(header, options)
      await options.memory.start(header)
      return header
    },
  }
}

/* LOOKING */

/** Requests share a look; the next one begins before the last has lost its worth, so that few ever wait. */
function lookRegularly(options: Context) {
  const { now = () => performance.now(), observe } = options
  const worth = options.refreshSeconds * 1000
  let last: Look | undefined
  let next: Promise<Look> | undefined
  let seen: BlockMark | undefined
  let trouble: string | undefined

  const look = async (): Promise<Look> => {
    const takenAt = now()
    const known = await recall(options.memory, seen)
    const [vouched, heads] = await Promise.all([options.source.newest(known), lookAtHeads(options)])
    requireRecent(vouched.header, options)
    const isNews = known === undefined || vouched.header.number > known.number
    if (isNews) await options.memory.write(vouched.header)
    seen = vouched.header
    const taken = assemble({ takenAt, vouched, heads, last, options })
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
    current: async (): Promise<Look> => {
      const age = last === undefined ? Number.POSITIVE_INFINITY : now() - last.takenAt
      if (last !== undefined && age <= worth / 2) return last
      const looking = next ?? begin()
      return last !== undefined && age <= worth ? last : looking
    },
  }
}

/** The highest block that this or another process of this node has believed. */
async function recall(
  memory: ChainMemory,
  seen: BlockMark | undefined,
): Promise<BlockMark | undefined> {
  const stored = await memory.read()
  if (seen === undefined || stored === undefined || stored.number > seen.number) return stored
  if (stored.number === seen.number && stored.hash === seen.hash) return stored
  throw new AssentError('CHAIN_MEMORY_INVALID', 'The memory of the chain went back.', {
    facts: { stored: String(stored.number), seen: String(seen.number) },
  })
}

async function lookAtHeads({ endpoints, withdrawals }: Context) {
  if (withdrawals === 'insecure-wait-until-final') return []
  const heads = await Promise.all(
    endpoints.map(async (endpoint) => {
      const header = await fetchHeader(endpoint, 'latest').catch(ignoreOutage)
      return header === undefined ? [] : [{ endpoint, header }]
    }),
  )
  return heads.flat()
}

/** Keeps what was gathered before from blocks that are still the same. */
function assemble({
  takenAt,
  vouched,
  heads,
  last,
  options,
}: {
  readonly takenAt: number
  readonly vouched: Vouched
  readonly heads: readonly { endpoint: Endpoint; header: BlockHeader }[]
  readonly last: Look | undefined
  readonly options: Context
}): Look {
  const { header, agreement } = vouched
  const isSame = (view: BlockView | undefined, hash: Hex) => view?.state.header.hash === hash
  const newer = heads.filter((head) => isWorthALook(head.header, header, options))
  return {
    takenAt,
    final: isSame(last?.final, header.hash)
      ? (last as Look).final
      : openBlock(header, agreement, proofsFromAny(vouched, options)),
    heads: new Set(
      newer.map(({ endpoint, header: head }) => {
        const known = [...(last?.heads ?? [])].find(
          (each) => each.endpoint === endpoint && isSame(each, head.hash),
        )
        const alone = { ...agreement, required: 1, endpoints: [endpoint.name] }
        return known ?? { endpoint, ...openBlock(head, alone, proofsFromOne(endpoint)) }
      }),
    ),
  }
}

function openBlock(
  header: BlockHeader,
  agreement: ChainEvidence['agreement'],
  source: ProofSource,
): BlockView {
  return {
    state: openState(header, source),
    agreement,
    known: new Map(),
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

/* PROOFS */

/**
 * A function of its own: a closure in `assemble` would share that function's variables and keep the look
 * before alive, and through it every look before that.
 */
function proofsFromOne(endpoint: Endpoint): ProofSource {
  return (...asked) => fetchProof(endpoint, ...asked)
}

/** Any endpoint will do, since each proof is checked; those that vouched for the block come first. */
function proofsFromAny({ agreement }: Vouched, options: Context): ProofSource {
  const vouched = (each: Endpoint) => agreement.endpoints.includes(each.name)
  const ordered = [...options.endpoints].sort((a, b) => Number(vouched(b)) - Number(vouched(a)))
  return async (...asked) => {
    const errors: AssentError[] = []
    for (const endpoint of ordered) {
      try {
        return await fetchProof(endpoint, ...asked)
      } catch (error) {
        if (!isAssentError(error)) throw error
        errors.push(error)
        const dissent = { endpoint: endpoint.name, code: error.code }
        options.observe({ kind: 'dissent', dissent })
      }
    }
    throw errors.find(({ code }) => code === 'CHAIN_PROOF_INVALID') ?? errors[0] ?? noEndpoints()
  }
}

async function fetchProof(
  endpoint: Endpoint,
  header: BlockHeader,
  address: Hex,
  slots: readonly Hex[],
) {
  const block = `0x${header.number.toString(16)}`
  const answer = await askTwice(() =>
    endpoint.request('eth_getProof', [address, slots, block], proofSchema),
  )
  return verifyProof(answer, { stateRoot: header.stateRoot, address, slots })
}

function noEndpoints(): AssentError {
  return new AssentError('CHAIN_UNREACHABLE', 'No endpoint is configured.')
}

/* DECIDING */

async function decide(
  look: Look,
  question: BootQuestion,
  boot: AskedBoot,
  options: Context,
): Promise<BootDecision> {
  const { header } = look.final.state
  requireRecent(header, options)
  const ids = idsOf(boot)
  const judged = await judge(look.final, question, ids, options)
  const { evidence, gatewayAppId } = judged
  const seen = { gatewayAppId, block: toSeen(header), evidence }
  const now = options.clock()

  // what ended since the block has ended, and what had not begun at the block has not begun
  const refusal =
    judged.refuse(boot.tcbStatus, header.timestamp) ?? judged.refuse(boot.tcbStatus, now)
  if (refusal !== undefined) {
    const refusedBy = refusal === 'appForeign' ? 'foreign-app' : 'policy'
    return { ...seen, allowed: false, refusedBy, reason: reasons[refusal] }
  }
  const withdrawn = await findWithdrawal(look, question, boot, options)
  if (withdrawn !== undefined) return withdrawn
  if (judged.isForeign) return executeForeign(look, boot, seen, options)
  const epochs = grantedEpochs(judged, header.timestamp, now)
  return { ...seen, allowed: true, reason: '', ...(epochs ? { epochs } : {}) }
}

function judge(
  view: BlockView,
  question: BootQuestion,
  ids: BootIds,
  options: Context,
): Promise<Judged> {
  const { appId, composeHash, deviceId, mrAggregated, mrSystem, osImageHash } = ids
  const subject = question === 'isAppAllowed' ? [appId, composeHash, mrSystem] : [mrAggregated]
  const name = [question, ...subject, deviceId, osImageHash, ids.mustBeApproved].join()
  const known = view.known.get(name)
  if (known !== undefined) return known
  const judging = gatherJudged(view, question, ids, options)
  view.known.set(name, judging)
  if (view.known.size > boots) view.known.delete(view.known.keys().next().value ?? '')
  // an outage must not stick to the block
  judging.catch(() => view.known.delete(name))
  return judging
}

async function gatherJudged(
  { state, agreement }: BlockView,
  question: BootQuestion,
  ids: BootIds,
  options: Context,
): Promise<Judged> {
  const reading = state.read()
  const registry = registryOf(options)
  const evidence = () => ({
    version: 1 as const,
    chainId: options.chainId,
    kmsContract: options.kms,
    header: state.header.rlp,
    blockHash: state.header.hash,
    agreement,
    contracts: reading.contracts(),
  })
  if (question === 'isKmsAllowed') {
    const { facts, gatewayAppId } = await gatherKms(reading, registry, ids)
    const refuse = (tcbStatus: string, at: number) => refuseKms(facts, tcbStatus, at)
    const epochs = () => undefined
    return { refuse, epochs, isForeign: false, gatewayAppId, evidence: evidence() }
  }
  const { facts, gatewayAppId } = await gatherApp(reading, registry, ids)
  return {
    refuse: (tcbStatus, at) => refuseApp(facts, tcbStatus, at, options.foreignApps),
    epochs: (at) => epochsOf(facts, at),
    isForeign: facts.contract === 'foreign',
    gatewayAppId,
    evidence: evidence(),
  }
}

/** A no from the newest block of any endpoint. What an endpoint fails to show takes nothing away. */
async function findWithdrawal(
  look: Look,
  question: BootQuestion,
  boot: AskedBoot,
  options: Context,
): Promise<BootDecision | undefined> {
  const found = await Promise.all(
    [...look.heads].map(async (head) => {
      try {
        return await refusedAt(head, question, boot, options)
      } catch (error) {
        if (!isAssentError(error)) throw error
        // it has had its chance until the next look
        look.heads.delete(head)
        const dissent = { endpoint: head.endpoint.name, code: error.code }
        options.observe({ kind: 'dissent', dissent })
        return undefined
      }
    }),
  )
  return found.find((decision) => decision !== undefined)
}

async function refusedAt(
  head: Head,
  question: BootQuestion,
  boot: AskedBoot,
  options: Context,
): Promise<BootDecision | undefined> {
  const { header } = head.state
  const judged = await judge(head, question, idsOf(boot), options)
  const refusal = judged.refuse(boot.tcbStatus, Math.max(header.timestamp, options.clock()))
  if (refusal === undefined) return undefined
  const { gatewayAppId, evidence } = judged
  return {
    allowed: false,
    refusedBy: 'unconfirmed-withdrawal',
    reason: reasons[refusal],
    gatewayAppId,
    block: toSeen(header),
    evidence,
  }
}

/** The epochs that both the block and the clock grant: a window that has closed since is closed. */
function grantedEpochs(judged: Judged, block: number, now: number): KeyEpochs | undefined {
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
  look: Look,
  boot: AskedBoot,
  seen: Pick<BootDecision, 'gatewayAppId' | 'block'> & { readonly evidence: ChainEvidence },
  options: Context,
): Promise<BootDecision> {
  const data = encodeProbe([questionCall(options.kms, 'isAppAllowed', boot)])
  const block = { blockHash: look.final.state.header.hash }
  const gas = `0x${callGas.toString(16)}`
  const outputs = await Promise.all(
    options.endpoints.map(async (endpoint) => {
      const output = await askTwice(() =>
        endpoint.request('eth_call', [{ data, gas }, block], outputSchema),
      ).catch(ignoreOutage)
      return output === undefined ? [] : [{ endpoint, output }]
    }),
  )
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

function idsOf(boot: AskedBoot): BootIds {
  const { mustBeApproved } = boot
  if (mustBeApproved === undefined) return toTuple(boot)
  requireLength(mustBeApproved, 'mustBeApproved', 32)
  return { ...toTuple(boot), mustBeApproved: to0x(mustBeApproved) }
}

function registryOf({ kms, pinned }: Context): Registry {
  return { kms, pinned }
}

function toSeen({ number, hash, timestamp }: BlockHeader): BlockSeen {
  return { number, hash, timestamp }
}

function ignoreOutage(error: unknown): undefined {
  if (!isAssentError(error)) throw error
}
