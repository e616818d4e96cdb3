/** One seeded schedule: a relayer, a chain, and everything that can go wrong between them. */
import type { PublicClient } from 'viem'

import { isAssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { createLog } from '../../../src/lib/log.ts'
import { createChain } from '../../../src/relayer/endpoints/quorum.ts'
import type { QuoteTarget } from '../../../src/relayer/outbox/intent-targets.ts'
import {
  type Attempt,
  type Intent,
  isLive,
  type NonceSlot,
} from '../../../src/relayer/outbox/outbox.ts'
import { defaultRules } from '../../../src/relayer/outbox/run-outbox.ts'
import type { Store } from '../../../src/relayer/outbox/store.ts'
import { type Chain, poll, type Submitter } from '../../../src/relayer/outbox/submit.ts'
import type { Changes } from '../../../src/relayer/outbox/transitions.ts'
import type { TransactionSigner } from '../../../src/relayer/signer/signer.ts'
import { type CheckpointStore, createCheckpointStore } from './memory-store.ts'
import { createModelGround, type EndpointFault, type FaultSource } from './model-chain.ts'
import { createRandom, type Random } from './random.ts'

/** After the last fault, every intent is final within this many polls, a block after each. */
export const recoveryPolls = 90

export interface ScheduleResult {
  readonly intents: number
  readonly crashes: number
  readonly faults: number
  readonly reorgs: number
  /** Polls without faults until all was final. */
  readonly recovery: number
}

/** The process dies here. */
class Crash extends Error {}

/** The chain under a schedule: the model, or a real node. */
export interface Ground {
  readonly chainId: number
  readonly signer: TransactionSigner
  readonly target: QuoteTarget
  /** Deepest reorg that it can make. */
  readonly maxReorg: number
  mine(blocks?: number): Promise<void>
  /** The last blocks vanish; what was in them is back in the pool, or lost. */
  reorg(depth: number, random: Random): Promise<void>
  /** Somebody else with the same key uses the next nonce. */
  intrude(): Promise<void>
  /** Somebody else brings the effect, with an account of his own. */
  bring(key: string): Promise<void>
  /** Somebody else with the same key waits for a cheaper block under the next nonce. */
  outbid(): Promise<void>
  setBaseFee(wei: bigint): Promise<void>
  /** Nodes drop some of what they have not mined. */
  forget(random: Random): Promise<void>
  /** @param lag blocks by which it is always behind */
  createClient(faultOf: FaultSource, random: Random, lag: number): PublicClient
  /** Hash of the block that contains the transaction now. */
  blockOf(transaction: Hex): Promise<Hex | undefined>
  /** A node elsewhere still has old transactions, and they spread again. */
  gossip(random: Random): Promise<void>
  /** How often the effect happened, as of so many blocks ago. */
  effects(key: string, blocksAgo?: number): Promise<number>
  /** Nonces used on chain, as of so many blocks ago. */
  count(blocksAgo?: number): Promise<number>
  /** Called with each transaction before a node looks at it. */
  onReceived: (transaction: { readonly hash: Hex; readonly nonce: number }) => void
  /** Takes the next nonce only, as sequencers without a pool do. */
  isStrict: boolean
  /** Transactions succeed and change nothing. */
  isSilent: boolean
  /** Nodes take no transaction that records this key. */
  refused: string | null
}

const silentLog = createLog({ service: 'model', level: 'silent' })

interface ModelRun {
  readonly random: Random
  readonly chain: Ground
  readonly usedFrom: number
  readonly store: CheckpointStore
  readonly finality: number
  /** Reorgs go deeper than what counts as final: then the contract must forgive a second effect. */
  readonly isDeep: boolean
  readonly endpoints: number
  /** Intents whose effect a slot of theirs once brought. */
  readonly carried: Set<string>
  /** How often somebody else brought the effect of a key. */
  readonly brought: Map<string, number>
  readonly violations: string[]
  readonly counts: { crashes: number; faults: number; reorgs: number }
  /** How often each thing goes wrong; some schedules are calm, some are storms. */
  readonly odds: { readonly fault: number; readonly lie: number; readonly death: number }
  /** Nothing goes wrong: then nothing may be spent in vain either. */
  readonly isCalm: boolean
  /** Endpoints fail and lag and never contradict themselves, and no block vanishes: a receipt stays. */
  readonly isHonest: boolean
  /** Writes after which the process dies; undefined: by chance. */
  diesAfter: number | undefined
  now: number
  /** Faults and crashes happen only while this is true. */
  isRough: boolean
  workers: number
}

/** Runs the schedule of the seed and throws if any promise of the outbox is broken. */
export async function runSchedule(
  seed: number,
  ground: Ground = createModelGround(),
): Promise<ScheduleResult> {
  const random = createRandom(seed)
  const isCalm = random.chance(0.08)
  const isHonest = !isCalm && random.chance(0.25)
  const endpoints = random.pick([1, 2, 3, 3])
  const run: ModelRun = {
    random,
    isCalm,
    isHonest,
    endpoints,
    diesAfter: undefined,
    chain: ground,
    usedFrom: await ground.count(),
    store: createCheckpointStore(),
    ...random.pick([
      { finality: 2, isDeep: false },
      { finality: 6, isDeep: false },
      { finality: 21, isDeep: false },
      { finality: 3, isDeep: true },
    ]),
    carried: new Set(),
    brought: new Map(),
    violations: [],
    counts: { crashes: 0, faults: 0, reorgs: 0 },
    odds: {
      fault: isCalm ? 0 : random.pick([0, 0.02, 0.1, 0.25]),
      lie: isCalm ? 0 : random.pick([0.1, 0.3, 0.7]),
      death: isCalm ? 0 : random.pick([0, 0.02, 0.08]),
    },
    now: 1_800_000_000,
    isRough: true,
    workers: 0,
  }
  run.chain.isStrict = random.chance(0.3)
  watchTransactions(run)

  const steps = random.int(10, 60)
  let intents = 0
  for (let step = 0; step < steps; step++) intents += await disturb(run, intents)
  if (intents === 0) intents += enqueue(run, 0)
  const recovery = await recover(run)
  await requirePromises(run, intents)
  return { intents, recovery, ...run.counts }
}

/** No transaction reaches a node that is not remembered: else a crash could forget it. */
function watchTransactions({ chain, store, violations }: ModelRun): void {
  chain.onReceived = ({ hash, nonce }) => {
    const known = store.slots.get(nonce)?.attempts.some((attempt) => attempt.hash === hash)
    // Thrown here, it would be taken for the answer of a node.
    if (!known) violations.push(`transaction ${hash} of nonce ${nonce} was sent and not remembered`)
  }
}

/* DISTURBANCES */

const calmSteps = ['enqueue', 'poll', 'poll', 'mine', 'finalize'] as const
const roughSteps = [
  'enqueue',
  'poll',
  'poll',
  'poll',
  'poll',
  'mine',
  'mine',
  'finalize',
  'reorg',
  'reorg between polls',
  'intrude',
  'brought by another',
  'fees',
  'forget',
  'gossip',
  'wait',
  'outbid',
  'refuse',
  'long spike',
  'silence',
  'stranger undone',
  'taken before signing',
] as const

async function disturb(run: ModelRun, intents: number): Promise<number> {
  const { chain, random } = run
  const what = random.pick(run.isCalm ? calmSteps : roughSteps)
  switch (what) {
    case 'enqueue':
      return intents < 8 ? enqueue(run, intents) : 0
    case 'poll':
      await livePoll(run)
      break
    case 'mine':
      await chain.mine(random.int(1, 4))
      break
    case 'finalize':
      await chain.mine(run.finality + 1)
      await livePoll(run)
      break
    case 'reorg':
      await reorg(run)
      break
    case 'reorg between polls':
      await livePoll(run)
      await chain.mine()
      await livePoll(run)
      await reorg(run)
      // Within the pause before what a node took is sent again, or at its end.
      run.now += random.pick([1, 30])
      await livePoll(run)
      await chain.mine()
      break
    case 'refuse':
      return refuse(run, intents)
    case 'silence':
      // What a broken finality sets free is mined again; that it changes nothing then is beyond the promise.
      chain.isSilent = !run.isDeep
      await livePoll(run)
      await chain.mine()
      chain.isSilent = false
      break
    case 'long spike':
      await livePoll(run)
      await chain.setBaseFee(150_000_000_000n)
      for (let polls = 0; polls < 4; polls++) {
        await chain.mine()
        run.now += 700
        await livePoll(run)
      }
      break
    case 'outbid':
      if (!run.isDeep) await chain.outbid()
      break
    case 'stranger undone':
      await undoStranger(run)
      break
    case 'taken before signing':
      run.diesAfter = 1
      await livePoll(run)
      run.diesAfter = undefined
      if (!run.isDeep) await chain.intrude()
      await livePoll(run)
      break
    case 'gossip':
      // What a broken finality set free may be mined twice; that is beyond the promise.
      if (!run.isDeep) await chain.gossip(random)
      break
    case 'intrude':
      // A stranger on a nonce whose final block vanished is beyond the promise (docs/relayer.md).
      if (!run.isDeep) await chain.intrude()
      break
    case 'brought by another':
      // Its vanishing with a broken finality is beyond the promise (docs/relayer.md).
      if (!run.isDeep && intents > 0) await bring(run, `key-${random.int(0, intents - 1)}`)
      break
    case 'fees':
      await chain.setBaseFee(random.pick([1_000_000_000n, 30_000_000_000n, 150_000_000_000n]))
      await chain.mine()
      break
    case 'forget':
      await chain.forget(random)
      break
    case 'wait':
      run.now += random.pick([1, 10, 61, 600, 2_000])
      break
  }
  run.now += random.int(0, 12)
  return 0
}

function enqueue({ store, now, random, isCalm, isDeep }: ModelRun, index: number): number {
  const canExpire = !isCalm && !isDeep && random.chance(0.15)
  store.enqueue({
    id: `intent-${index}`,
    kind: 'host',
    key: `key-${index}`,
    payload: null,
    state: 'queued',
    createdAt: now,
    notBefore: now,
    expiresAt: canExpire ? now + random.pick([30, 300, 3_000]) : null,
    refusals: 0,
    lastError: null,
    version: 0,
  })
  return 1
}

/** Nodes take no transaction of the newest intent for a while. */
async function refuse(run: ModelRun, intents: number): Promise<number> {
  const { chain } = run
  const added = intents < 8 ? enqueue(run, intents) : 0
  chain.refused = `key-${intents + added - 1}`
  await livePoll(run)
  run.now += 10
  await livePoll(run)
  chain.refused = null
  return added
}

async function bring({ chain, brought }: ModelRun, key: string): Promise<void> {
  brought.set(key, (brought.get(key) ?? 0) + 1)
  await chain.bring(key)
}

/** A stranger takes a nonce, his block vanishes, and what we had sent with that nonce is back. */
async function undoStranger(run: ModelRun): Promise<void> {
  const { chain, random, isDeep, isHonest } = run
  await livePoll(run)
  if (isDeep || isHonest) return
  await chain.intrude()
  for (let polls = 0; polls < 3; polls++) {
    await livePoll(run)
    run.now += 10
  }
  await chain.reorg(1, random)
  run.counts.reorgs += 1
  await chain.gossip(random)
  await chain.mine()
  await livePoll(run)
}

async function reorg({
  chain,
  random,
  counts,
  isDeep,
  isHonest,
  finality,
}: ModelRun): Promise<void> {
  if (isHonest) return
  const deepest = Math.min(isDeep ? 20 : Math.min(20, finality), chain.maxReorg)
  await chain.reorg(random.int(1, deepest), random)
  counts.reorgs += 1
}

/* WORKERS */

/** A process polls once; it may die at any call, and another may overtake it at any call. */
async function livePoll(run: ModelRun): Promise<void> {
  const holder = `worker-${run.random.chance(0.7) ? run.workers : ++run.workers}`
  if (run.random.chance(0.3)) run.store.expireLease()
  try {
    const lease = await run.store.lease(holder, 30)
    if (lease !== null) {
      const before = await remember(run)
      await poll(createSubmitter(run, 1), lease)
      await requireSense(run, before)
    }
  } catch (error) {
    if (error instanceof Crash) {
      run.counts.crashes += 1
      run.workers += 1
      run.store.expireLease()
      return
    }
    if (isOutage(error) && hasTruth(run)) {
      throw new Error(`an outage although two of three endpoints agree: ${String(error)}`)
    }
    if (!isExpected(error)) throw error
  }
}

/** Nonces that no node takes, although they were sent. */
function jammed({ store }: ModelRun): number[] {
  return [...store.slots.values()]
    .filter(({ state, attempts }) => state === 'signed' && attempts.some(({ sentAt }) => sentAt))
    .map(({ nonce }) => nonce)
}

const rules = { ...defaultRules, maxInFlight: 3, maxUnfinal: 5, maxRefusals: 1_000_000 }

interface Before {
  readonly nonces: ReadonlySet<number>
  readonly closed: ReadonlySet<number>
  readonly hashes: ReadonlySet<Hex>
  readonly jams: readonly number[]
  /** Sent transactions that can have no effect any more. */
  readonly isHopeless: readonly Hex[]
  readonly mined: ReadonlySet<number>
  /** Nonces used on chain. */
  readonly used: number
  /** Intents that are not final, and keys whose effect the newest block has; empty where the view is not clear. */
  readonly waiting: ReadonlySet<string>
  readonly done: ReadonlySet<string>
}

/** Two of three endpoints always tell the truth, whatever the third one says. */
function hasTruth({ odds, endpoints, isHonest }: ModelRun): boolean {
  return odds.fault === 0 && endpoints === 3 && !isHonest
}

/** Whether the relayer sees the chain as it is: then more can be asked of it. */
function seesClearly({ odds, endpoints, isHonest }: ModelRun): boolean {
  return odds.fault === 0 && endpoints === 1 && !isHonest
}

async function remember(run: ModelRun): Promise<Before> {
  const { store, chain } = run
  const slots = [...store.slots.values()]
  const intents = seesClearly(run) ? [...store.intents.values()] : []
  const done: string[] = []
  for (const { key } of intents) if ((await chain.effects(key)) > 0) done.push(key)
  return {
    nonces: new Set(store.slots.keys()),
    closed: new Set(slots.filter((slot) => !isLive(slot)).map(({ nonce }) => nonce)),
    hashes: new Set(slots.flatMap(({ attempts }) => attempts.map(({ hash }) => hash))),
    jams: jammed(run),
    mined: new Set(slots.filter(({ state }) => state === 'mined').map(({ nonce }) => nonce)),
    isHopeless: slots.flatMap((slot) => (isHopeless(slot, run) ? [lastHash(slot)] : [])),
    used: await chain.count(),
    waiting: new Set(intents.filter(({ state }) => state !== 'final').map(({ id }) => id)),
    done: new Set(done),
  }
}

/** Refused permanently, without value, or at its fee cap for longer than `stopLossAfter`. */
function isHopeless({ state, intentId, attempts }: NonceSlot, { store, now }: ModelRun): boolean {
  const last = attempts.at(-1)
  if (last?.kind !== 'call' || last.sentAt === null) return false
  if (state !== 'signed' && state !== 'broadcast') return false
  const expiresAt = store.intents.get(intentId ?? '')?.expiresAt ?? null
  const isAtCap = (last.fees.maxFee * 9n) / 8n >= rules.maxFeeCap
  const isLong = now >= (attempts[0]?.signedAt ?? now) + rules.stopLossAfter
  return (
    last.answer === 'rejected' || (expiresAt !== null && expiresAt <= now) || (isAtCap && isLong)
  )
}

function lastHash({ attempts }: NonceSlot): Hex {
  return attempts.at(-1)?.hash ?? '0x'
}

/** What a poll may not have done. */
async function requireSense(run: ModelRun, before: Before): Promise<void> {
  const { store, chain, finality } = run
  const slots = [...store.slots.values()]
  const reserved = slots.filter(
    ({ nonce, intentId }) => !before.nonces.has(nonce) && intentId !== null,
  )
  const lasting = jammed(run).filter((nonce) => before.jams.includes(nonce))
  if (reserved.length > 0 && lasting.length > 0) {
    throw new Error(`more was put behind nonce ${lasting[0]}, which no node takes`)
  }
  if (seesClearly(run) || hasTruth(run)) await requirePlaces(run)
  if (!seesClearly(run)) return
  const vain = reserved.find(({ intentId }) => {
    return before.done.has(store.intents.get(intentId ?? '')?.key ?? '')
  })
  if (vain) throw new Error(`nonce ${vain.nonce} was reserved for what is so already`)
  for (const { id, key, state } of store.intents.values()) {
    if (state !== 'final' || !before.waiting.has(id)) continue
    if ((await chain.effects(key, finality)) < 1) throw new Error(`${id} is final too early`)
  }
  const late = reserved.find(({ nonce }) => nonce < before.used)
  if (late) throw new Error(`nonce ${late.nonce} was reserved after it was used`)
  const signed = slots.find(
    ({ nonce, attempts }) =>
      nonce < before.used && attempts.some(({ hash }) => !before.hashes.has(hash)),
  )
  if (signed) throw new Error(`nonce ${signed.nonce} was signed after it was used`)
  const kept = slots.find(
    (slot) => slot.nonce >= before.used && before.isHopeless.includes(lastHash(slot)),
  )
  if (kept && isHopeless(kept, run)) throw new Error(`nonce ${kept.nonce} is kept for nothing`)
  const idle = slots.find(
    ({ nonce, state, attempts }) =>
      before.mined.has(nonce) &&
      nonce >= before.used &&
      state === 'broadcast' &&
      !attempts.some(({ sentAt }) => sentAt === run.now),
  )
  if (idle) throw new Error(`nonce ${idle.nonce} vanished and was not sent again at once`)
  const final = await chain.count(finality)
  const early = slots.find(
    (slot) => !isLive(slot) && !before.closed.has(slot.nonce) && slot.nonce >= final,
  )
  if (early) throw new Error(`nonce ${early.nonce} is ${early.state} before its block is final`)
}

async function requirePlaces({ store, chain }: ModelRun): Promise<void> {
  const slots = [...store.slots.values()].sort((a, b) => b.nonce - a.nonce)
  for (const { nonce, state, mined } of slots) {
    if (state !== 'mined' || mined === null) continue
    if ((await chain.blockOf(mined.hash)) !== mined.blockHash) {
      throw new Error(`nonce ${nonce} is shown in a block that does not contain it`)
    }
    // Below one whose block stands nothing is looked at before it is final.
    return
  }
}

/** No intent gets a nonce before its time. */
function requireStragglerTimeout(
  { now }: ModelRun,
  { intents }: Changes,
  before: ReadonlyMap<string, Intent>,
): void {
  for (const { id, state } of intents) {
    const known = before.get(id)
    if (state === 'sending' && known?.state === 'queued' && known.notBefore > now) {
      throw new Error(`${id} was to wait until ${known.notBefore}, and got a nonce at ${now}`)
    }
  }
}

/** What rows must look like after each write, whatever happens around them. */
function requireForm(
  run: ModelRun,
  changes: Changes,
  before: ReadonlyMap<number, NonceSlot>,
): void {
  const { store } = run
  for (const { nonce, state, mined, attempts, intentId } of changes.slots) {
    const isOpen = state === 'reserved' || state === 'signed' || state === 'broadcast'
    if (isOpen && mined !== null) throw new Error(`nonce ${nonce} is ${state} with a receipt`)
    const isNew = state === 'broadcast' && before.get(nonce)?.state === 'signed'
    if (isNew && !attempts.some(({ answer }) => answer === 'accepted')) {
      throw new Error(`nonce ${nonce} is ${state}, and no node took it`)
    }
    requireRaises(nonce, attempts)
    if (state === 'final' && intentId !== null) run.carried.add(intentId)
  }
  const live = [...store.slots.values()].filter((slot) => isLive(slot) && slot.intentId !== null)
  const isReserving = changes.slots.some(
    ({ nonce, intentId }) => intentId !== null && !before.has(nonce),
  )
  const unmined = live.filter(({ state }) => state !== 'mined')
  if (isReserving && (unmined.length > rules.maxInFlight || live.length > rules.maxUnfinal)) {
    throw new Error(`${unmined.length} nonces wait for a block, ${live.length} are not final`)
  }
  // The shown state of an intent follows from its nonce.
  const carried = new Set(live.map(({ intentId }) => intentId))
  for (const { id, state } of store.intents.values()) {
    if ((state === 'sending') === carried.has(id)) continue
    throw new Error(`${id} is ${state} and has ${carried.has(id) ? 'a' : 'no'} nonce`)
  }
}

/** The stranger of `outbid` offers seven times our first fee: seventeen raises by an eighth. */
const mostOutbid = 20

/** What a node took is replaced by a tenth more on both fields; a dearer stranger is reached soon. */
function requireRaises(nonce: number, attempts: readonly Attempt[]): void {
  for (const [index, { fees }] of attempts.entries()) {
    const last = attempts[index - 1]
    if (last?.answer !== 'accepted') continue
    if (fees.maxFee * 10n >= last.fees.maxFee * 11n && fees.tip * 10n >= last.fees.tip * 11n)
      continue
    throw new Error(`nonce ${nonce} was replaced by less than a tenth more`)
  }
  const outbid = attempts.filter(({ answer }) => answer === 'underpriced').length
  if (outbid > mostOutbid) throw new Error(`nonce ${nonce} was outbid ${outbid} times`)
}

/** An abandoned intent is not continued under the same nonce, and no transaction without value is signed. */
function requireWorth(
  { store, now }: ModelRun,
  { slots }: Changes,
  before: ReadonlyMap<number, NonceSlot>,
): void {
  for (const { nonce, intentId, attempts } of slots) {
    const known = before.get(nonce)?.attempts ?? []
    const fresh = attempts.filter(({ hash }) => !known.some((each) => each.hash === hash))
    if (!fresh.some(({ kind }) => kind === 'call')) continue
    if (known.some(({ kind }) => kind === 'cancel')) {
      throw new Error(`nonce ${nonce} was cancelled and carries a call again`)
    }
    const expiresAt = store.intents.get(intentId ?? '')?.expiresAt ?? null
    if (expiresAt !== null && expiresAt <= now) {
      throw new Error(`nonce ${nonce} carries a call that is worthless`)
    }
  }
}

/** Where nothing can take a receipt away, none is forgotten. */
function requireCheckpoint(
  { store, brought }: ModelRun,
  { slots }: Changes,
  before: ReadonlyMap<number, NonceSlot>,
): void {
  for (const { nonce, state, mined, intentId } of slots) {
    const known = before.get(nonce)
    if (known?.state === 'mined' && (state === 'broadcast' || state === 'signed')) {
      throw new Error(`nonce ${nonce} is mined and became ${state} again`)
    }
    if (known !== undefined && !isLive(known) && state !== known.state) {
      throw new Error(`nonce ${nonce} is ${known.state} and became ${state} again`)
    }
    const isBrought = brought.has(store.intents.get(intentId ?? '')?.key ?? '')
    if (state === 'final' && mined === null && !isBrought) {
      throw new Error(`nonce ${nonce} is final, and its receipt was not waited for`)
    }
  }
}

function isOutage(error: unknown): boolean {
  return (
    isAssentError(error, 'RELAYER_CHAIN_UNREACHABLE') ||
    isAssentError(error, 'RELAYER_CHAIN_DISAGREES')
  )
}

function isExpected(error: unknown): boolean {
  return (
    isOutage(error) ||
    isAssentError(error, 'RELAYER_LEASE_LOST') ||
    isAssentError(error, 'RELAYER_CONFLICT')
  )
}

function createSubmitter(run: ModelRun, rivals: number): Submitter {
  const { chain, random, store } = run
  // One of several endpoints is bad for as long as this process lives; the others only fail honestly.
  const liar = run.endpoints > 1 && !run.isHonest ? random.int(0, run.endpoints - 1) : -1
  const clients = Array.from({ length: run.endpoints }, (_, index) =>
    chain.createClient(
      (method) => chooseFault(run, method, index === liar),
      random,
      run.isHonest && run.isRough ? random.pick([0, 0, 3]) : 0,
    ),
  )
  const real = createChain({
    clients,
    account: chain.signer.address,
    finality: { depth: run.finality },
    targets: { host: chain.target },
  })
  return {
    chainId: chain.chainId,
    store: dying(run, store),
    chain: interrupted(run, real, rivals),
    signer: chain.signer,
    rules,
    clock: () => run.now,
    log: silentLog,
  }
}

const outages = ['silent', 'accepts-then-times-out'] as const
const honestFaults = ['silent', 'stale', 'accepts-then-times-out'] as const
const lies = [
  'denies-receipts',
  'invents-receipts',
  'invents-blocks',
  'swallows',
  'rejects',
  'stale',
] as const

function chooseFault(run: ModelRun, method: string, isLiar: boolean): EndpointFault {
  const { random, isRough, isHonest, odds } = run
  if (!isRough || !random.chance(isLiar ? odds.lie : odds.fault)) return 'none'
  run.counts.faults += 1
  // A lone endpoint cannot be contradicted: it may fail, not lie about what the chain contains.
  const own = isHonest ? outages : honestFaults
  const kinds = isLiar ? ([...lies, ...honestFaults] as const) : own
  const fault = random.pick(kinds as unknown as [EndpointFault, ...EndpointFault[]])
  return method === 'sendRawTransaction' || fault !== 'accepts-then-times-out' ? fault : 'none'
}

function mayDie({ isRough, random, odds, diesAfter }: ModelRun): void {
  if (diesAfter === undefined && isRough && random.chance(odds.death)) throw new Crash()
}

/** The store, of a process that may die before or after each write. */
function dying(run: ModelRun, store: CheckpointStore): Store {
  return {
    ...store,
    async commit(lease, changes, at) {
      mayDie(run)
      const before = new Map(store.slots)
      const waiting = new Map(store.intents)
      await store.commit(lease, changes, at)
      requireStragglerTimeout(run, changes, waiting)
      requireForm(run, changes, before)
      if (run.isHonest) requireCheckpoint(run, changes, before)
      if (!run.isDeep) requireWorth(run, changes, before)
      if (run.diesAfter !== undefined && --run.diesAfter <= 0) throw new Crash()
      mayDie(run)
    },
  }
}

/** The chain, of a process that may die or be overtaken by a rival between two calls. */
function interrupted(run: ModelRun, chain: Chain, rivals: number): Chain {
  const between = async () => {
    mayDie(run)
    if (rivals === 0 || !run.isRough || !run.random.chance(0.02)) return
    run.store.expireLease()
    const lease = await run.store.lease(`rival-${++run.workers}`, 30)
    try {
      if (lease !== null) await poll(createSubmitter(run, rivals - 1), lease)
    } catch (error) {
      if (!(error instanceof Crash) && !isExpected(error)) throw error
    }
  }
  const wrap =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await between()
      const result = await call(...args)
      await between()
      return result
    }
  return {
    heads: wrap(chain.heads),
    receipts: wrap(chain.receipts),
    blockHash: wrap(chain.blockHash),
    balance: wrap(chain.balance),
    broadcast: wrap(chain.broadcast),
    simulate: wrap(chain.simulate),
    isDone: wrap(chain.isDone),
  }
}

/* RECOVERY */

/** Faults end, fees are below the cap, blocks come: from here on everything must become final. */
async function recover(run: ModelRun): Promise<number> {
  const { chain, store } = run
  run.isRough = false
  // below the cap, and not below everything that was offered before
  await chain.setBaseFee(run.random.pick([1_000_000_000n, 30_000_000_000n]))
  store.expireLease()
  const lease = await store.lease('heir', 30)
  if (lease === null) throw new Error('no lease')
  for (let polls = 1; polls <= recoveryPolls; polls++) {
    await chain.mine()
    run.now += 15
    await poll(createSubmitter(run, 0), lease)
    if (isAtRest(store)) return polls
  }
  throw new Error(`not at rest after ${recoveryPolls} polls: ${await describe(run)}`)
}

function isAtRest({ intents, slots }: CheckpointStore): boolean {
  return (
    [...intents.values()].every(({ state }) => state === 'final' || state === 'abandoned') &&
    ![...slots.values()].some(isLive)
  )
}

/* PROMISES */

async function requirePromises(run: ModelRun, intents: number): Promise<void> {
  const { chain, store, violations } = run
  if (violations.length > 0) throw new Error(violations[0])
  if (store.intents.size !== intents) throw new Error('an intent is lost')
  for (const { id, key, state, lastError } of store.intents.values()) {
    const most = 1 + (run.brought.get(key) ?? 0)
    if (state === 'abandoned' && lastError?.code === 'RELAYER_EXPIRED') {
      if ((await chain.effects(key)) > most) throw new Error(`${id} expired and has two effects`)
      continue
    }
    if (state !== 'final') throw new Error(`${id} is ${state}: ${await describe(run)}`)
    const effects = await chain.effects(key)
    // Where finality broke, what a slot of its own carried is made good (docs/relayer.md).
    const isWrong = run.isDeep ? effects < 1 && run.carried.has(id) : effects < 1 || effects > most
    if (isWrong) throw new Error(`${id} has ${effects} effects: ${await describe(run)}`)
  }
  const count = await chain.count()
  if (run.isCalm && count - run.usedFrom !== intents) {
    throw new Error(`${count - run.usedFrom} nonces were used for ${intents} intents`)
  }
  const beyond = [...store.slots.keys()].filter((nonce) => nonce >= count)
  if (beyond.length > 0) throw new Error(`nonces ${beyond.join(', ')} are stuck`)
}

async function describe({ chain, store }: ModelRun): Promise<string> {
  const slots = [...store.slots.values()].map(({ nonce, state, intentId, attempts, mined }) => {
    const last = attempts.at(-1)
    return {
      nonce,
      state,
      intentId,
      kinds: attempts.map(({ kind }) => kind),
      answer: last?.answer,
      mined: mined?.blockNumber,
    }
  })
  const intents = [...store.intents.values()].map(({ id, state, lastError }) => [
    id,
    state,
    lastError?.code,
  ])
  return JSON.stringify({
    count: await chain.count(),
    slots,
    intents,
  })
}
