/** Starts the relayer: the HTTP server, the loop that polls the outbox, and the background jobs. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

import { getRequestListener } from '@hono/node-server'
import { and, eq, gte, inArray, sql } from 'drizzle-orm'
import type { PublicClient } from 'viem'

import { AssentError, isAssentError } from '../errors/index.ts'
import type { Clock } from '../lib/clock.ts'
import { type AnsweredRefusal, openIngress, type RefusalResponse } from '../lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import type { Rate } from '../lib/rate-limit.ts'
import type { Database } from './database/database.ts'
import { intents, slots } from './database/schema.ts'
import { createChain, createReader, type FinalityRule, identifyChain } from './endpoints/quorum.ts'
import { createIntake, maxBodyBytes, type VerifySubmission } from './intake/intake.ts'
import { authenticate, type Operator } from './intake/operators.ts'
import { addRoutes } from './intake/routes.ts'
import {
  createMetrics,
  forgetAccount,
  type Metrics,
  recordAccount,
  recordDecision,
  toEther,
} from './metrics.ts'
import type { Targets } from './outbox/intent-targets.ts'
import type { Rules } from './outbox/outbox.ts'
import { createPruner, defaultRetention } from './outbox/retention.ts'
import { type Lease, openStore, type Store } from './outbox/store.ts'
import { poll, type Submitter } from './outbox/submit.ts'
import type { TransactionSigner } from './signer/signer.ts'
import { createBackgroundJobs, type JobOptions, runJobs } from './upkeep/jobs.ts'

/** Everything a relayer needs; `main.ts` builds it from the settings. */
export interface RelayerOptions {
  /** EIP-155 chain id; endpoints of another chain stop the start. */
  readonly chainId: number
  /** One client per RPC endpoint. */
  readonly clients: readonly PublicClient[]
  /** Kinds of intents that this relayer serves. */
  readonly targets: Targets
  /** Signs for the relayer's account, which pays the gas. */
  readonly signer: TransactionSigner
  readonly db: Database
  /** Verifies submitted quotes off-chain. */
  readonly verifySubmission: VerifySubmission
  /** Clients of the API. */
  readonly operators: readonly Operator[]
  readonly clock: Clock
  readonly log: Logger
  /** The rule for the final block. */
  readonly finality: FinalityRule
  /** Differences from {@link defaultRules}. */
  readonly rules?: Partial<Rules>
  /** Requests of one operator. */
  readonly rateLimit?: Rate
  /** Ingress limits, which apply before a client is authenticated. */
  readonly limits?: IngressSettings
  /** Address to listen on; default: this machine only. */
  readonly host?: string
  /** 0: any free port. */
  readonly port?: number
  /** Pause between two polls of the outbox. */
  readonly pollMs?: number
  /** How long another replica waits for a holder of the lease that does not answer. */
  readonly leaseSeconds?: number
  /** Retention: seconds after which final and abandoned intents are deleted; default 30 days. */
  readonly retention?: number
  /** Background jobs; without them the relayer only submits quotes that arrive over HTTP. */
  readonly jobs?: JobOptions
}

/** A running relayer. */
export interface Relayer {
  /** `http://host:port` */
  readonly url: string
  /** Metrics of this process. */
  readonly metrics: Metrics
  /** Finishes the running poll, releases the lease and closes the port. The database stays open. Can be called twice. */
  stop(): Promise<void>
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
 * Starts the service. Several replicas may share one database; the holder of the lease sends.
 *
 * @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES if there is no RPC quorum
 * @throws RELAYER_CHAIN_WRONG, RELAYER_CHAIN_CHANGED if the endpoints serve another chain
 * @example
 * const relayer = await startRelayer(options)
 * process.once('SIGTERM', () => relayer.stop())
 */
export async function startRelayer(options: RelayerOptions): Promise<Relayer> {
  const { chainId, clock, db, log, signer, targets } = options
  const metrics = createMetrics()
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

  const stopping = new AbortController()
  const wakeup = createWakeup()
  const loopStatus: LoopStatus = {
    polledAt: clock(),
    failure: null,
    isLeader: false,
    backlogAt: 0,
    balanceAt: 0,
  }
  const dependencies = {
    db,
    chainId,
    clock,
    log,
    metrics,
    account: signer.address,
    reader: createReader(endpoints),
    verifySubmission: options.verifySubmission,
    onAccepted: wakeup.notify,
  }
  const app = createIntake({
    db,
    chainId,
    reader: dependencies.reader,
    targets,
    verifySubmission: options.verifySubmission,
    operators: options.operators,
    rateLimit: options.rateLimit ?? { perMinute: 600, burst: 100 },
    clock,
    log,
    signal: stopping.signal,
    onAccepted: wakeup.notify,
    onRequest: (purpose, outcome) => metrics.quotes.inc({ purpose, outcome }),
    extend: (api) => addRoutes(api, { ...dependencies, jobs: options.jobs }),
  })
  app.get('/health', (c) => {
    const health = describeHealth(loopStatus, clock())
    return c.json(health, health.status === 'ok' ? 200 : 503)
  })
  app.get('/metrics', async (c) => {
    return c.text(await metrics.registry.metrics(), 200, {
      'content-type': metrics.registry.contentType,
    })
  })

  const server = await listen(app.fetch, options)
  await recordPast(metrics, db, chainId)
  const backgroundJobs = [
    ...(options.jobs === undefined ? [] : createBackgroundJobs(options.jobs, dependencies)),
    createPruner({ db, chainId, clock, retention: options.retention ?? defaultRetention }),
  ]
  const loop = Promise.all([
    run({ ...options, submitter, metrics, loopStatus, wakeup }, stopping.signal),
    runJobs(backgroundJobs, dependencies, () => loopStatus.isLeader, stopping.signal),
  ])
  const stop = async () => {
    stopping.abort()
    wakeup.notify()
    await loop
    await server.close()
    log.info('relayer stopped')
  }
  let stopped: Promise<void> | undefined
  log.info({ url: server.url, account: signer.address, chainId }, 'relayer started')
  return {
    url: server.url,
    metrics,
    stop: () => {
      stopped ??= stop()
      return stopped
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

/** Seconds without a successful poll after which `/health` reports `degraded`. */
const stalledAfter = 90

/** Body of the health endpoint: whether this replica polls, and the last failure. */
function describeHealth({ polledAt, failure, isLeader }: LoopStatus, at: number) {
  const stalled = at - polledAt > stalledAfter
  const status = failure === null && !stalled ? 'ok' : 'degraded'
  return { status, role: isLeader ? 'sending' : 'standby', polledAt, failure }
}

/* WAITING AND LISTENING */

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

/** After this time, requests that are still running are cut off. */
const stopAfterMs = 10_000

async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  { host = '127.0.0.1', port = 0, limits = {}, log, operators }: RelayerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const ingress = openIngress(createServer(), getRequestListener(fetch), {
    limits: openLimits(limits),
    proxied: 'x-forwarded-for',
    admit: admitWithToken(operators),
    maxBodyBytes: ({ method }) => (method === 'GET' ? 0 : maxBodyBytes),
    explain: describeRefusal,
    observe: (refusal, client) => log.debug({ refusal, client }, 'request limited'),
  })
  const authority = await ingress.listen({ host, port })
  // event streams end by the stop signal before this
  return { url: `http://${authority}`, close: () => ingress.stop(stopAfterMs) }
}

const openPaths: ReadonlySet<string> = new Set(['/health', '/metrics'])

/** The token is checked before the path, the body and the database. The API checks it again for its own routes. */
function admitWithToken(operators: readonly Operator[]) {
  return ({ url = '', headers }: IncomingMessage): RefusalResponse | undefined => {
    if (openPaths.has(url.split('?', 1)[0] ?? '')) return undefined
    try {
      authenticate(operators, headers.authorization)
      return undefined
    } catch (error) {
      if (!isAssentError(error, 'RELAYER_UNAUTHORIZED')) throw error
      return toResponse(401, error)
    }
  }
}

function describeRefusal(refusal: AnsweredRefusal): RefusalResponse {
  const { status, error } = errorOfRefusal(refusal)
  return toResponse(status, error)
}

function toResponse(status: number, error: AssentError): RefusalResponse {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ error: error.toJSON() }),
  }
}

function errorOfRefusal(refusal: AnsweredRefusal) {
  if (refusal === 'too-large') {
    const message = `A request has at most ${maxBodyBytes} bytes.`
    return { status: 413, error: new AssentError('INPUT_TOO_LARGE', message) }
  }
  if (refusal === 'target') {
    const message = 'The request target is not a path in its normal form.'
    return { status: 400, error: new AssentError('INPUT_INVALID', message) }
  }
  const message = 'Too many requests of this client at the same time.'
  return { status: 429, error: new AssentError('RELAYER_RATE_LIMITED', message) }
}
