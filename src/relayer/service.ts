import { createServer, type IncomingMessage } from 'node:http'

import { getRequestListener } from '@hono/node-server'
import type { PublicClient } from 'viem'

import { AssentError, isAssentError } from '../errors/index.ts'
import type { Clock } from '../lib/clock.ts'
import { type AnsweredRefusal, openIngress, type RefusalResponse } from '../lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import type { Rate } from '../lib/rate-limit.ts'
import type { Database } from './database/database.ts'
import type { FinalityRule } from './endpoints/quorum.ts'
import { createIntake, maxBodyBytes, type VerifySubmission } from './intake/intake.ts'
import { authenticate, type Operator } from './intake/operators.ts'
import { addRoutes } from './intake/routes.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import type { Targets } from './outbox/intent-targets.ts'
import type { Rules } from './outbox/outbox.ts'
import { createPruner, defaultRetention } from './outbox/retention.ts'
import { openOutbox } from './outbox/run-outbox.ts'
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
  /** Differences from `defaultRules` of outbox/run-outbox.ts. */
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
  const outbox = await openOutbox({ ...options, metrics })
  const stopping = new AbortController()
  const dependencies = {
    db,
    chainId,
    clock,
    log,
    metrics,
    account: signer.address,
    reader: outbox.reader,
    verifySubmission: options.verifySubmission,
    onAccepted: outbox.notify,
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
    onAccepted: outbox.notify,
    onRequest: (purpose, outcome) => metrics.quotes.inc({ purpose, outcome }),
    extend: (api) => addRoutes(api, { ...dependencies, jobs: options.jobs }),
  })
  app.get('/health', (c) => {
    const health = outbox.health()
    return c.json(health, health.status === 'ok' ? 200 : 503)
  })
  app.get('/metrics', async (c) => {
    return c.text(await metrics.registry.metrics(), 200, {
      'content-type': metrics.registry.contentType,
    })
  })

  const server = await listen(app.fetch, options)
  const backgroundJobs = [
    ...(options.jobs === undefined ? [] : createBackgroundJobs(options.jobs, dependencies)),
    createPruner({ db, chainId, clock, retention: options.retention ?? defaultRetention }),
  ]
  const loop = Promise.all([
    outbox.run(stopping.signal),
    runJobs(backgroundJobs, dependencies, outbox.isLeader, stopping.signal),
  ])
  const stop = async () => {
    stopping.abort()
    outbox.notify()
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

/* LISTENING */

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
