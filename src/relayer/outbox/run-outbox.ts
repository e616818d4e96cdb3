/**
 * An outbox that runs: one of several replicas holds the lease, polls, and sends. The relayer and the worker use it with
 * different targets.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { and, eq, gte, inArray, sql } from 'drizzle-orm'
import type { PublicClient } from 'viem'

import { isAssentError } from '../../errors/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { Database } from '../database/database.ts'
import { intents, slots } from '../database/schema.ts'
import {
  createChain,
  createReader,
  type FinalityRule,
  identifyChain,
  type QuorumReader,
} from '../endpoints/quorum.ts'
import { forgetAccount, type Metrics, recordAccount, recordDecision, toEther } from '../metrics.ts'
import type { TransactionSigner } from '../signer/signer.ts'
import type { Targets } from './intent-targets.ts'
import type { Rules } from './outbox.ts'
import { type Lease, openStore, type Store } from './store.ts'
import { poll, type Submitter } from './submit.ts'

/** What an outbox needs. */
export interface OutboxOptions {
  /** EIP-155 chain id; endpoints of another chain stop the start. */
  readonly chainId: number
  /** One client per RPC endpoint. */
  readonly clients: readonly PublicClient[]
  /** Kinds of intents that it sends. */
  readonly targets: Targets
  /** Signs for the account that pays the gas. */
  readonly signer: TransactionSigner
  readonly db: Database
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** The rule for the final block. */
  readonly finality: FinalityRule
  /** Differences from {@link defaultRules}. */
  readonly rules?: Partial<Rules>
  /** Pause between two polls of the outbox. */
  readonly pollMs?: number
  /** How long another replica waits for a holder of the lease that does not answer. */
  readonly leaseSeconds?: number
}

/** Body of a health endpoint: whether this replica polls, and the last failure. */
export interface OutboxHealth {
  readonly status: 'ok' | 'degraded'
  readonly role: 'sending' | 'standby'
  /** Unix seconds. */
  readonly polledAt: number
  readonly failure: string | null
}

/** An open outbox. */
export interface RunningOutbox {
  readonly reader: QuorumReader
  /** Whether this replica sends. */
  isLeader(): boolean
  health(): OutboxHealth
  /** Polls at once: there is a new intent. */
  notify(): void
  /** Polls until the signal is aborted, then releases the lease. Call `notify` after the abort. */
  run(signal: AbortSignal): Promise<void>
}

const gwei = 1_000_000_000n

/** Limits for Ethereum mainnet; times in seconds, fees in wei per gas. */
export const defaultRules: Rules = {
  // geth guarantees 16 executable transactions of an account (txpool.accountslots)
  maxInFlight: 16,
  // an hour without finality at 16 in each block of 12 seconds
  maxUnfinal: 5_000,
  resendAfter: 4,
  rebroadcastAfter: 30,
  bumpAfter: 60,
  stopLossAfter: 1_800,
  maxRefusals: 4,
  maxFeeCap: 100n * gwei,
  cancelFeeCap: 200n * gwei,
  minTip: gwei / 1_000n,
}

/**
 * Opens an outbox. It sends nothing before `run`.
 *
 * @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES if there is no RPC quorum
 * @throws RELAYER_CHAIN_WRONG, RELAYER_CHAIN_CHANGED if the endpoints serve another chain
 */
export async function openOutbox(options: OutboxOptions): Promise<RunningOutbox> {
  const { chainId, clock, db, log, metrics, signer, targets } = options
  const endpoints = {
    clients: options.clients,
    account: signer.address,
    finality: options.finality,
    targets,
    onDisagreement: (question: string) => metrics.disagreements.inc({ question }),
    onLate: (endpoint: number, isLate: boolean) => {
      metrics.late.set({ endpoint: String(endpoint) }, isLate ? 1 : 0)
    },
  }
  for (const endpoint of options.clients.keys()) endpoints.onLate(endpoint, false)
  const genesis = await identifyChain(endpoints, chainId)
  const store = await openStore(db, { chainId, account: signer.address, genesis })
  const submitter: Submitter = {
    chainId,
    store,
    chain: createChain(endpoints),
    signer,
    rules: { ...defaultRules, ...options.rules },
    clock,
    log,
    onDone: (decision, changes) => recordDecision(metrics, decision, changes, clock()),
  }
  const wakeup = createWakeup()
  const loopStatus: LoopStatus = {
    polledAt: clock(),
    failure: null,
    isLeader: false,
    backlogAt: 0,
    balanceAt: 0,
  }
  return {
    reader: createReader(endpoints),
    isLeader: () => loopStatus.isLeader,
    health: () => describeHealth(loopStatus, clock()),
    notify: wakeup.notify,
    async run(signal) {
      await recordPast(metrics, db, chainId)
      await run({ ...options, submitter, loopStatus, wakeup }, signal)
    },
  }
}

/* LOOP */

/** State of the polling loop, for `/health`; times in unix seconds. */
interface LoopStatus {
  polledAt: number
  failure: string | null
  isLeader: boolean
  backlogAt: number
  balanceAt: number
}

interface Loop {
  readonly submitter: Submitter
  readonly db: Database
  readonly metrics: Metrics
  readonly loopStatus: LoopStatus
  readonly wakeup: Wakeup
  readonly pollMs?: number
  readonly leaseSeconds?: number
}

async function run(loop: Loop, signal: AbortSignal): Promise<void> {
  const { store } = loop.submitter
  const { leaseSeconds = 30 } = loop
  const holder = randomUUID()
  let lease: Lease | null = null
  let failures = 0
  while (!signal.aborted) {
    try {
      lease = await store.lease(holder, leaseSeconds)
      loop.loopStatus.isLeader = lease !== null
      loop.metrics.isLeader.set(lease === null ? 0 : 1)
      if (lease !== null) await whileRenewing(loop, holder, leaseSeconds, pollOnce(loop, lease))
      else forgetAccount(loop.metrics)
      await recordNow(loop)
      loop.loopStatus.polledAt = loop.submitter.clock()
      loop.loopStatus.failure = null
      failures = 0
    } catch (error) {
      failures += 1
      reportFailure(loop, error)
    }
    await loop.wakeup.wait(pause(loop.pollMs ?? 2_000, failures))
  }
  if (lease !== null) await giveBack(store, lease, loop)
}

/**
 * Extends the lease while a poll runs, because slow endpoints can make it longer than the lease. After `stalledAfter`
 * seconds the poll counts as stuck, and the lease ends so that another replica can continue.
 */
async function whileRenewing<T>(
  { submitter }: Loop,
  holder: string,
  leaseSeconds: number,
  work: Promise<T>,
): Promise<T> {
  const until = performance.now() + stalledAfter * 1_000
  const timer = setInterval(
    () => {
      if (performance.now() > until) return clearInterval(timer)
      // a lease that could not be extended is found by the next write
      submitter.store.lease(holder, leaseSeconds).catch(() => undefined)
    },
    (leaseSeconds * 1_000) / 3,
  )
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

/** Milliseconds until the next poll: doubled with each failure in a row, up to a minute. */
function pause(pollMs: number, failures: number): number {
  return Math.min(pollMs * 2 ** Math.min(failures, 10), Math.max(pollMs, 60_000))
}

async function pollOnce(loop: Loop, lease: Lease): Promise<void> {
  const { submitter, metrics } = loop
  const { outbox, heads } = await poll(submitter, lease)
  metrics.polls.inc({ outcome: 'ok' })
  metrics.lastPoll.set(submitter.clock())
  recordAccount(metrics, outbox, heads)
}

/** Logs and counts a failed poll. If another replica took the lease, that is a warning, and health stays as it was. */
function reportFailure({ submitter, metrics, loopStatus }: Loop, error: unknown): void {
  const isContest =
    isAssentError(error, 'RELAYER_LEASE_LOST') || isAssentError(error, 'RELAYER_CONFLICT')
  const outcome = isAssentError(error) ? error.code : 'UNEXPECTED'
  metrics.polls.inc({ outcome })
  if (!isContest) loopStatus.failure = outcome
  submitter.log[isContest ? 'warn' : 'error']({ err: error }, 'a poll of the outbox failed')
}

async function giveBack(store: Store, lease: Lease, loop: Loop): Promise<void> {
  try {
    await store.release(lease)
  } catch (error) {
    loop.submitter.log.warn({ err: error }, 'the lease could not be released and ends by itself')
  }
}

/** Seconds between two reads of the backlog and of the balance. A scrape of `/metrics` itself reads nothing. */
const backlogEvery = 5
const balanceEvery = 60

async function recordNow(loop: Loop): Promise<void> {
  const { submitter, metrics, db, loopStatus } = loop
  const at = submitter.clock()
  if (at - loopStatus.backlogAt >= backlogEvery) {
    loopStatus.backlogAt = at
    await recordBacklog(submitter, metrics, db)
  }
  if (loopStatus.isLeader && at - loopStatus.balanceAt >= balanceEvery) {
    loopStatus.balanceAt = at
    await recordBalance(submitter, metrics, db)
  }
}

async function recordBacklog(
  { chainId, clock }: Submitter,
  metrics: Metrics,
  db: Database,
): Promise<void> {
  const rows = await db
    .select({
      state: intents.state,
      count: sql<number>`count(*)::int`,
      oldest: sql<number>`min(${intents.createdAt})::int`,
    })
    .from(intents)
    .where(and(eq(intents.chainId, chainId), inArray(intents.state, ['queued', 'sending'])))
    .groupBy(intents.state)
  for (const state of ['queued', 'sending'] as const) {
    metrics.intents.set({ state }, rows.find((row) => row.state === state)?.count ?? 0)
  }
  const oldest = Math.min(...rows.map((row) => row.oldest))
  metrics.oldestIntent.set(rows.length === 0 ? 0 : Math.max(0, clock() - oldest))
}

async function recordBalance(
  { chainId, clock, chain, signer }: Submitter,
  metrics: Metrics,
  db: Database,
): Promise<void> {
  const day = 86_400
  const [spent] = await db
    .select({ wei: sql<string>`coalesce(sum(${slots.minedCost}), 0)::text` })
    .from(slots)
    .where(
      and(
        eq(slots.chainId, chainId),
        eq(slots.account, signer.address),
        gte(slots.reservedAt, clock() - day),
      ),
    )
  const balance = toEther(await chain.balance())
  const perDay = toEther(BigInt(spent?.wei ?? '0'))
  metrics.balance.set(balance)
  metrics.runway.set(perDay === 0 ? Number.POSITIVE_INFINITY : (balance / perDay) * day)
}

/** Sets the time of the last final intent from the database, so that a restart does not reset it. */
async function recordPast(metrics: Metrics, db: Database, chainId: number): Promise<void> {
  const rows = await db
    .select({ kind: intents.kind, at: sql<number>`max(${intents.settledAt})::int` })
    .from(intents)
    .where(and(eq(intents.chainId, chainId), eq(intents.state, 'final')))
    .groupBy(intents.kind)
  for (const { kind, at } of rows) metrics.lastSuccess.set({ kind }, at)
}

/* HEALTH */

/** Seconds without a successful poll after which the health is `degraded`. */
const stalledAfter = 90

function describeHealth({ polledAt, failure, isLeader }: LoopStatus, at: number): OutboxHealth {
  const stalled = at - polledAt > stalledAfter
  const status = failure === null && !stalled ? 'ok' : 'degraded'
  return { status, role: isLeader ? 'sending' : 'standby', polledAt, failure }
}

/* WAITING */

interface Wakeup {
  notify(): void
  wait(ms: number): Promise<void>
}

/** A pause that ends early when `notify` is called: for a new quote, or at the stop. */
function createWakeup(): Wakeup {
  let wake = new AbortController()
  return {
    notify: () => wake.abort(),
    async wait(ms) {
      await sleep(ms, undefined, { signal: wake.signal }).catch(() => undefined)
      wake = new AbortController()
    },
  }
}
