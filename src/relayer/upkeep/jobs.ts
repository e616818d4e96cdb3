/** What the relayer does by itself: each keeper looks again and again, and one that fails holds up no other. */
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

/** What is to be kept; a part that is left out is not. */
export interface JobOptions {
  readonly verifier?: Hex
  readonly registry?: Hex
  /** Block of the deployment. */
  readonly fromBlock: number
  /** Blocks of events asked for at once. */
  readonly span: number
  readonly collateral?: {
    readonly services: readonly string[]
    readonly root: TrustAnchor
    /** Besides those of the machines in the registry. */
    readonly families: readonly PlatformFamily[]
    readonly refreshBefore: number
    readonly everySeconds: number
    /** Certificates (PEM) that are trusted beside the public authorities. */
    readonly ca?: string | undefined
    readonly fetch?: typeof globalThis.fetch
  }
  readonly renewal?: {
    readonly renewedHosts: readonly RenewedHost[]
    readonly rules: RenewalRules
    readonly usesRecords: boolean
    readonly everySeconds: number
  }
  readonly upkeep?: Pick<UpkeepOptions, 'governor' | 'registries'> & {
    /** Do what anyone may without being asked. */
    readonly isAutomatic: boolean
    readonly everySeconds: number
  }
}

export interface JobDependencies {
  readonly db: Database
  readonly chainId: number
  readonly account: Hex
  readonly reader: QuorumReader
  readonly verifySubmission: VerifySubmission
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** The outbox has something new. */
  readonly onAccepted: () => void
}

export interface BackgroundJob {
  readonly name: string
  readonly everySeconds: number
  /** True if it should look again soon. */
  run(): Promise<boolean>
}

export function createBackgroundJobs(
  options: JobOptions,
  dependencies: JobDependencies,
): BackgroundJob[] {
  return [
    ...createWatchers(options, dependencies),
    ...createCollateral(options, dependencies),
    ...createRenewal(options, dependencies),
    ...createUpkeep(options, dependencies),
  ]
}

/* HOSTS */

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

function recordCollateral(
  metrics: Metrics,
  { parts, standard, upcoming }: CollateralRunResult,
): void {
  // a document of an earlier evaluation number ends unmourned
  metrics.collateralUntil.reset()
  for (const { name, held } of parts) metrics.collateralUntil.set({ document: name }, held.until)
  if (standard !== undefined) metrics.standardNumber.set(standard)
  metrics.nextStandard.set(upcoming?.standardAt ?? Number.NaN)
}

/** Those that were configured, and those of every machine in the registry. TDX machines are of the Platform CA. */
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

/* CHORES */

const upkeepNames = ['queue', 'execute', 'ratify', 'mark-expired', 'end-proof'] as const

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

/* RUNNING */

/** Seconds after which a keeper that has more to do looks again. */
const againAfter = 5
/** Longest pause after failures. */
const longestPause = 300

/** Until the signal. Only the replica that sends also keeps: the others would ask everything twice. */
export async function runJobs(
  jobs: readonly BackgroundJob[],
  dependencies: Pick<JobDependencies, 'log' | 'metrics' | 'clock'>,
  isLeader: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(jobs.map((job) => runJob(job, dependencies, isLeader, signal)))
}

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
        log[isAssentError(error) ? 'warn' : 'error']({ err: error, job: name }, 'a job waits')
      }
    }
    await sleep(pause * 1_000, undefined, { signal }).catch(() => undefined)
  }
}
