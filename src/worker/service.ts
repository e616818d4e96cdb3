/** Runs a worker: registers the key of the instance, follows its requests, answers them, and serves its state. */
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'

import { AssentError, isAssentError } from '../errors/index.ts'
import type { Clock } from '../lib/clock.ts'
import { openIngress, refusalToJson } from '../lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import type { RunningOutbox } from '../relayer/outbox/run-outbox.ts'
import { type BackgroundJob, runJobs } from '../relayer/upkeep/jobs.ts'
import type { AppKeys } from './app-keys.ts'
import type { AssignmentFeed } from './assignments.ts'
import type { WorkerMetrics } from './metrics.ts'
import type { Registration, RegistrationState } from './registration.ts'
import { requestKeyToJson, stateRequestKey } from './request-key.ts'
import type { Work } from './work.ts'

/** The parts of a worker; `main.ts` builds them from the settings. */
export interface WorkerParts {
  readonly outbox: RunningOutbox
  readonly registration: Registration
  readonly feed: AssignmentFeed
  readonly work: Work
  /** Run beside the rounds, by the replica that holds the lease. */
  readonly jobs: readonly BackgroundJob[]
  readonly appKeys: AppKeys | undefined
  /** 20 bytes. */
  readonly appId: Uint8Array
  readonly metrics: WorkerMetrics
  readonly clock: Clock
  readonly log: Logger
  readonly limits?: IngressSettings
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly pollMs: number
}

/** A running worker. */
export interface RunningWorker {
  /** `http://host:port` */
  readonly url: string
  /** Finishes the running round, releases the lease and closes the port. */
  stop(): Promise<void>
}

/** Seconds without a round after which the health is `degraded`. */
const stalledAfter = 90
const stopAfterMs = 5_000

interface Status {
  /** Unix seconds, to show. */
  roundAt: number
  /** By the monotonic clock, milliseconds. */
  lastRound: number
  failure: string | null
  state: RegistrationState | undefined
}

/** @throws the system's error if the port is in use */
export async function startWorker(parts: WorkerParts): Promise<RunningWorker> {
  const { outbox, clock, log } = parts
  const status: Status = {
    roundAt: clock(),
    lastRound: performance.now(),
    failure: 'SERVICE_NOT_READY',
    state: undefined,
  }
  const stopping = new AbortController()
  const server = openIngress(createServer(), getRequestListener(createApi(parts, status).fetch), {
    limits: openLimits(parts.limits ?? {}),
    proxied: 'x-forwarded-for',
    maxBodyBytes: () => 0,
    explain: (refusal) => refusalToJson(refusal),
    observe: (refusal, client) => log.debug({ refusal, client }, 'request limited'),
  })
  const url = `http://${await server.listen(parts)}`
  const loops = Promise.all([
    outbox.run(stopping.signal),
    runRounds(parts, status, stopping.signal),
    runJobs(
      parts.jobs,
      { log, clock, metrics: parts.metrics.outbox },
      outbox.isLeader,
      stopping.signal,
    ),
  ])
  log.info({ url }, 'worker started')
  return {
    url,
    async stop() {
      stopping.abort()
      outbox.notify()
      await loops
      await server.stop(stopAfterMs)
      log.info('worker stopped')
    },
  }
}

async function runRounds(parts: WorkerParts, status: Status, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // another replica that holds the lease works
    if (parts.outbox.isLeader()) await round(parts, status)
    await sleep(parts.pollMs, undefined, { signal }).catch(() => undefined)
  }
}

async function round(parts: WorkerParts, status: Status): Promise<void> {
  const { registration, feed, work, metrics, clock, log } = parts
  try {
    status.state = await registration.advance()
    metrics.isLive.set(status.state.standing === 'live' ? 1 : 0)
    metrics.endsAt.set(status.state.endsAt)
    while (await feed.read());
    // a key that does not count answers nothing: its results would be refused
    if (status.state.standing === 'live') await work.round()
    metrics.open.set(feed.open.size)
    metrics.lastRound.set(clock())
    status.roundAt = clock()
    status.lastRound = performance.now()
    status.failure = null
  } catch (error) {
    status.failure = isAssentError(error) ? error.code : 'UNEXPECTED'
    log.error({ err: error }, 'a round of the worker failed')
  }
}

/* API */

function createApi({ outbox, appKeys, appId, metrics }: WorkerParts, status: Status): Hono {
  const app = new Hono()
  app.get('/health', (context) => {
    const health = describeHealth(status, outbox.health())
    return context.json(health, health.status === 'ok' ? 200 : 503)
  })
  app.get('/metrics', async (context) => {
    const { registry } = metrics.outbox
    return context.text(await registry.metrics(), 200, { 'content-type': registry.contentType })
  })
  app.get('/v1/request-key', (context) => {
    const newest = appKeys?.newest()
    if (newest !== undefined) return context.json(requestKeyToJson(stateRequestKey(appId, newest)))
    const message = 'This worker answers public inputs only.'
    return context.json({ error: new AssentError('WORKER_INPUT_REFUSED', message).toJSON() }, 404)
  })
  return app
}

/** Why the worker does not answer, if it does not. */
function describeHealth(
  { roundAt, lastRound, failure, state }: Status,
  outbox: ReturnType<RunningOutbox['health']>,
) {
  const isStandby = outbox.role === 'standby'
  const isWorking = state?.standing === 'live' && state.isJoined && failure === null
  const isStalled = performance.now() - lastRound > stalledAfter * 1_000
  const isOk = outbox.status === 'ok' && (isStandby || (isWorking && !isStalled))
  return {
    status: isOk ? ('ok' as const) : ('degraded' as const),
    role: outbox.role,
    standing: state?.standing ?? null,
    joined: state?.isJoined ?? false,
    endsAt: state?.endsAt ?? 0,
    roundAt,
    failure: failure ?? outbox.failure,
  }
}
