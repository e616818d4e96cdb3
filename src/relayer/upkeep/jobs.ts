/** Background jobs of the relayer. Each job runs periodically; a failing job does not block the others. */
import { setTimeout as sleep } from 'node:timers/promises'

import { isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import type { PlatformFamily } from '../../quote/collateral/pccs.ts'
import type { Database } from '../database/database.ts'
import { hosts } from '../database/schema.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'
import type { HeartbeatSettings } from '../heartbeat/nonces.ts'
import { postHeartbeat } from '../heartbeat/post.ts'
import type { VerifySubmission } from '../intake/intake.ts'
import type { Metrics } from '../metrics.ts'
import { type CollateralRunResult, createCollateralUpdater } from './collateral.ts'
import { listUpkeep, runUpkeep, type UpkeepOptions, watchProposals } from './dao-upkeep.ts'
import { watchHosts } from './host-events.ts'
import { listStatusLosses, runRecovery } from './recovery.ts'
import {
  insertHosts,
  type RenewalRules,
  type RenewedHost,
  readRenewalStatus,
  runRenewal,
} from './renewal.ts'

/** Settings of the background jobs. A job whose settings are missing does not run. */
export interface JobOptions {
  /** Contract `QuoteVerifier`. */
  readonly verifier?: Hex
  /** Contract `Hosts`. */
  readonly registry?: Hex
  /** Block of the deployment; events are read from there on. */
  readonly fromBlock: number
  /** Blocks of events in one request. */
  readonly span: number
  /** Keep on-chain collateral current; absent: do not. */
  readonly collateral?: {
    readonly services: readonly string[]
    readonly root: TrustAnchor
    /** Platform families in addition to those of registered hosts. */
    readonly families: readonly PlatformFamily[]
    readonly refreshBefore: number
    readonly everySeconds: number
    /** CA certificates (PEM) of the services, in addition to the public ones. */
    readonly ca?: string | undefined
    readonly fetch?: typeof globalThis.fetch
  }
  /** Renew host proofs before they expire; absent: do not. */
  readonly renewal?: {
    readonly renewedHosts: readonly RenewedHost[]
    readonly rules: RenewalRules
    readonly usesRecords: boolean
    readonly everySeconds: number
  }
  /** Do permissionless maintenance for the DAO; absent: do not. */
  readonly upkeep?: Pick<UpkeepOptions, 'governor' | 'registries'> & {
    /** Do upkeep that is due without a request. */
    readonly isAutomatic: boolean
    readonly everySeconds: number
  }
  /** Nonces of KMS nodes are accepted and posted. */
  readonly heartbeat?: HeartbeatSettings
}

/** Dependencies of all background jobs. */
export interface JobDependencies {
  readonly db: Database
  readonly chainId: number
  /** The relayer's account: the operator of hosts without a permit. */
  readonly account: Hex
  /** Reads by RPC quorum. */
  readonly reader: QuorumReader
  readonly verifySubmission: VerifySubmission
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Called when a job put an intent into the outbox. */
  readonly onAccepted: () => void
}

/** One background job. */
export interface BackgroundJob {
  /** Label of its metrics. */
  readonly name: string
  /** Pause after a run that left nothing to do. */
  readonly everySeconds: number
  /** Runs once. @returns true if there is more to do, so that the next run comes soon */
  run(): Promise<boolean>
}

/** The jobs for these options: host events, TCB recovery, collateral, renewal, upkeep, heartbeats. */
export function createBackgroundJobs(
  options: JobOptions,
  dependencies: JobDependencies,
): BackgroundJob[] {
  return [
    ...createWatchers(options, dependencies),
    ...createCollateral(options, dependencies),
    ...createRenewal(options, dependencies),
    ...createUpkeep(options, dependencies),
    ...createHeartbeats(options, dependencies),
  ]
}

/* HOSTS */

/** Jobs that follow the host registry: events in final blocks, and hosts that a TCB recovery would affect. */
function createWatchers(options: JobOptions, dependencies: JobDependencies): BackgroundJob[] {
  const { registry, verifier, fromBlock, span } = options
  if (registry === undefined || verifier === undefined) return []
  const watched = { ...dependencies, registry, verifier, fromBlock, span }
  const { metrics, clock, chainId, db } = dependencies
  return [
    { name: 'hosts', everySeconds: 15, run: () => watchHosts(watched) },
    {
      name: 'recovery',
      everySeconds: 600,
      async run() {
        const hasMore = await runRecovery(watched)
        metrics.demoted.set((await listStatusLosses({ db, chainId, registry, clock })).length)
        return hasMore
      },
    },
  ]
}

/** The job that renews host proofs of configured hosts. */
function createRenewal(options: JobOptions, dependencies: JobDependencies): BackgroundJob[] {
  const { registry, verifier, renewal } = options
  if (registry === undefined || verifier === undefined || renewal === undefined) return []
  const { metrics } = dependencies
  const jobOptions = {
    ...dependencies,
    ...renewal,
    registry,
    verifier,
    onRenewal: (outcome: string) => metrics.renewals.inc({ outcome }),
  }
  let areEnrolled = false
  return [
    {
      name: 'renewal',
      everySeconds: renewal.everySeconds,
      async run() {
        if (!areEnrolled) await insertHosts(jobOptions)
        areEnrolled = true
        const hasMore = await runRenewal(jobOptions)
        const status = await readRenewalStatus(jobOptions)
        for (const state of ['fresh', 'lapsed', 'unproven', 'failing'] as const) {
          metrics.hosts.set({ state }, status[state])
        }
        metrics.nextExpiry.set(status.nextExpiry ?? Number.NaN)
        return hasMore
      },
    },
  ]
}

/* COLLATERAL */

/** The job that keeps the on-chain collateral current. */
function createCollateral(options: JobOptions, dependencies: JobDependencies): BackgroundJob[] {
  const { verifier, collateral } = options
  if (verifier === undefined || collateral === undefined) return []
  const { metrics } = dependencies
  const job = createCollateralUpdater({
    ...dependencies,
    ...collateral,
    store: verifier,
    families: () => familiesOf(options, dependencies),
    onFailure: (service, { code }) => metrics.serviceFailures.inc({ service, code }),
  })
  return [
    {
      name: 'collateral',
      everySeconds: collateral.everySeconds,
      async run() {
        const done = await job.run()
        recordCollateral(metrics, done)
        if (done.parts.some(({ action }) => action === 'put')) dependencies.onAccepted()
        return done.parts.some(({ action }) => action !== 'none')
      },
    },
  ]
}

/** Gauges of the last run: until when each document is valid, and the evaluation numbers. */
function recordCollateral(
  metrics: Metrics,
  { parts, standard, upcoming }: CollateralRunResult,
): void {
  // documents of an earlier evaluation number are not reported any more
  metrics.collateralUntil.reset()
  for (const { name, held } of parts) metrics.collateralUntil.set({ document: name }, held.until)
  if (standard !== undefined) metrics.standardNumber.set(standard)
  metrics.nextStandard.set(upcoming?.standardAt ?? Number.NaN)
}

/** Configured platform families and those of all registered hosts. The Platform CA certifies every TDX host. */
async function familiesOf(
  { collateral }: JobOptions,
  { db }: JobDependencies,
): Promise<PlatformFamily[]> {
  const found = await db.selectDistinct({ fmspc: hosts.fmspc }).from(hosts)
  const all = [
    ...(collateral?.families ?? []),
    ...found.flatMap(({ fmspc }) => (fmspc === null ? [] : [{ fmspc, ca: 'platform' as const }])),
  ]
  return [...new Map(all.map((family) => [family.fmspc.toLowerCase(), family])).values()]
}

/* UPKEEP */

const upkeepNames = ['queue', 'execute', 'ratify', 'mark-expired', 'end-proof'] as const

/** The job that follows proposals and does what is due. */
function createUpkeep(options: JobOptions, dependencies: JobDependencies): BackgroundJob[] {
  const { upkeep, fromBlock, span } = options
  if (upkeep === undefined) return []
  const jobOptions = { ...dependencies, ...upkeep, fromBlock, span }
  return [
    {
      name: 'upkeep',
      everySeconds: upkeep.everySeconds,
      async run() {
        if (await watchProposals(jobOptions)) return true
        if (upkeep.isAutomatic && (await runUpkeep(jobOptions)) > 0) dependencies.onAccepted()
        const due = await listUpkeep(jobOptions)
        for (const task of upkeepNames) {
          const count = due.filter((each) => each.task === task).length
          dependencies.metrics.upkeepDue.set({ task }, count)
        }
        return false
      },
    },
  ]
}

/* HEARTBEATS */

/** The job that ends each window with a post. */
function createHeartbeats(
  { heartbeat }: JobOptions,
  dependencies: JobDependencies,
): BackgroundJob[] {
  if (heartbeat === undefined) return []
  return [
    {
      name: 'heartbeat',
      everySeconds: heartbeat.everySeconds,
      async run() {
        const outcome = await postHeartbeat(dependencies)
        if (outcome === 'posted') dependencies.onAccepted()
        return outcome === 'waiting'
      },
    },
  ]
}

/* RUNNING */

/** Seconds until the next run of a job that has more to do. */
const againAfter = 5
/** Longest pause after failures, in seconds. */
const longestPause = 300

/** Runs the jobs until the signal. Only the lease holder runs them, so that replicas do not repeat each other's work. */
export async function runJobs(
  jobs: readonly BackgroundJob[],
  dependencies: Pick<JobDependencies, 'log' | 'metrics' | 'clock'>,
  isLeader: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(jobs.map((job) => runJob(job, dependencies, isLeader, signal)))
}

/** Runs one job until the signal. After failures the pause doubles, up to five minutes. */
async function runJob(
  job: BackgroundJob,
  { log, metrics, clock }: Pick<JobDependencies, 'log' | 'metrics' | 'clock'>,
  isLeader: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const { name, everySeconds } = job
  let failures = 0
  while (!signal.aborted) {
    let pause = isLeader() ? everySeconds : 1
    if (isLeader()) {
      try {
        if (await job.run()) pause = Math.min(againAfter, everySeconds)
        failures = 0
        metrics.jobRuns.inc({ job_name: name, outcome: 'ok' })
        metrics.jobSuccess.set({ job_name: name }, clock())
      } catch (error) {
        failures += 1
        pause = Math.min(everySeconds, 2 ** Math.min(failures, 10), longestPause)
        const outcome = isAssentError(error) ? error.code : 'UNEXPECTED'
        metrics.jobRuns.inc({ job_name: name, outcome })
        log[isAssentError(error) ? 'warn' : 'error'](
          { err: error, job: name },
          'a background job failed and is tried again',
        )
      }
    }
    await sleep(pause * 1_000, undefined, { signal }).catch(() => undefined)
  }
}
