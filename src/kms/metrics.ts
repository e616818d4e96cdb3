/** What a KMS tells Prometheus. Labels come from closed sets, never from a peer's words. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { ChainEvent } from '../chain/boot.ts'
import { createChainMetrics } from '../chain/metrics.ts'
import type { AssentError } from '../errors/index.ts'
import type { IngressRefusal } from '../lib/ingress/ingress.ts'
import type { LogStatus } from './log/node-log.ts'
import { outcomeOf, type RequestOutcome } from './rpc/request-outcome.ts'

/** The reasons that dstack's contracts give; an app contract's own words count as `other`. */
const knownReasons = new Map([
  ['App not registered', 'app-not-registered'],
  ['OS image is not allowed', 'os-image'],
  ['App not deployed or invalid address', 'app-not-deployed'],
  ['TCB status is not up to date', 'tcb-status'],
  ['Compose hash not allowed', 'compose-hash'],
  ['Device not allowed', 'device'],
  ['Aggregated MR not allowed', 'aggregated-mr'],
  ['KMS is not allowed to boot on this device', 'kms-device'],
])

export interface KmsMetrics {
  readonly registry: Registry
  observe(call: { method: string; seconds: number; error: AssentError | undefined }): RequestOutcome
  countRefusal(refusal: IngressRefusal): void
  setBlock(block: { number: bigint; timestamp: number }): void
  recordChainEvent(event: ChainEvent): void
  setCollateralExpiry(at: number): void
  /** Asked when the metrics are. */
  watchLog(status: () => LogStatus): void
}

/** dstack counts attestation only where keys or certificates are asked for. */
const attestedMethods = ['GetAppKey', 'GetKmsKey', 'SignCert']

/** Limits that honest clients meet too. */
const overload: readonly IngressRefusal[] = ['too-often', 'in-flight', 'body-bytes', 'connections']

export function createKmsMetrics(): KmsMetrics {
  const registry = new Registry()
  const registers = [registry]
  const requests = new Counter({
    name: 'assent_kms_requests_total',
    help: 'Finished requests by method and outcome: ok, denied, outage, invalid.',
    labelNames: ['method', 'outcome'],
    registers,
  })
  const denials = new Counter({
    name: 'assent_kms_denials_total',
    help: 'Refused requests by error code and, for boots, the contract’s reason.',
    labelNames: ['code', 'reason'],
    registers,
  })
  const outages = new Counter({
    name: 'assent_kms_outages_total',
    help: 'Requests that could not be decided, by error code.',
    labelNames: ['code'],
    registers,
  })
  const seconds = new Histogram({
    name: 'assent_kms_request_seconds',
    help: 'Time to answer by method.',
    labelNames: ['method'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const attestations = new Counter({
    name: 'dstack_kms_attestation_requests_total',
    help: 'Requests that need an attestation (dstack’s name).',
    registers,
  })
  const failures = new Counter({
    name: 'dstack_kms_attestation_failures_total',
    help: 'Requests that need an attestation and failed (dstack’s name).',
    registers,
  })
  const turnedAway = new Counter({
    name: 'assent_kms_requests_limited_total',
    help: 'Requests and connections refused because a client, or all together, had too many; by which limit.',
    labelNames: ['limit'],
    registers,
  })
  const closed = new Counter({
    name: 'assent_kms_connections_closed_total',
    help: 'Connections that a peer left in the middle, or that were closed because the peer was too slow or wrong.',
    labelNames: ['reason'],
    registers,
  })
  const height = new Gauge({
    aggregator: 'max',
    name: 'assent_kms_chain_block_number',
    help: 'Block at which the last decision was read.',
    registers,
  })
  const blockTime = new Gauge({
    aggregator: 'max',
    name: 'assent_kms_chain_block_timestamp_seconds',
    help: 'Time of that block.',
    registers,
  })
  const expiry = new Gauge({
    aggregator: 'max',
    name: 'assent_kms_collateral_expiry_timestamp_seconds',
    help: 'When the collateral of the last verified quote expires.',
    registers,
  })
  return {
    registry,
    observe: ({ method, seconds: taken, error }) => {
      const outcome = outcomeOf(error)
      requests.inc({ method, outcome })
      seconds.observe({ method }, taken)
      if (error && outcome === 'denied') {
        denials.inc({ code: error.code, reason: reasonLabel(error) })
      }
      if (error && outcome === 'outage') outages.inc({ code: error.code })
      if (attestedMethods.includes(method)) {
        attestations.inc()
        if (error) failures.inc()
      }
      return outcome
    },
    countRefusal: (refusal) => {
      if (overload.includes(refusal)) turnedAway.inc({ limit: refusal })
      else closed.inc({ reason: refusal })
    },
    setBlock: ({ number, timestamp }) => {
      height.set(Number(number))
      blockTime.set(timestamp)
    },
    recordChainEvent: createChainMetrics(registry, 'assent_kms'),
    setCollateralExpiry: (at) => expiry.set(at),
    watchLog: (status) => watchLog(registers, status),
  }
}

/** What only the process that starts workers knows. */
export function watchPool(
  registry: Registry,
  pool: { readonly workers: () => number; readonly restarts: () => number },
): void {
  const registers = [registry]
  new Gauge({
    name: 'assent_kms_workers',
    help: 'Processes that serve now.',
    registers,
    collect() {
      this.set(pool.workers())
    },
  })
  let counted = 0
  new Counter({
    name: 'assent_kms_worker_restarts_total',
    help: 'How often a worker had to be started again.',
    registers,
    collect() {
      this.inc(pool.restarts() - counted)
      counted = pool.restarts()
    },
  })
}

function watchLog(registers: Registry[], status: () => LogStatus): void {
  const gauge = (name: string, help: string, read: (now: LogStatus) => number | boolean) =>
    new Gauge({
      name,
      help,
      registers,
      // there is one log, and each process tells what it last heard of it
      aggregator: 'max',
      collect() {
        this.set(Number(read(status())))
      },
    })
  gauge('assent_kms_log_entries', 'Entries of the release log: its height.', (now) => now.entries)
  gauge('assent_kms_log_segments', 'Files of the release log.', (now) => now.segments)
  gauge('assent_kms_log_bytes', 'Size of the newest file of the log.', (now) => now.bytes)
  gauge('assent_kms_log_halted', '1 after the log was found cut or copied.', (now) => now.halted)
  gauge('assent_kms_log_witnessed', '1 while enough peers confirm the log.', (now) => now.witnessed)
  gauge(
    'assent_kms_log_peer_faults',
    'How often a peer’s own log went back or split in two.',
    (now) => now.peerFaults,
  )
}

function reasonLabel({ facts }: AssentError): string {
  const { reason, refusedBy } = facts
  if (refusedBy === 'contract-failure') return 'contract-failure'
  if (typeof reason !== 'string') return 'none'
  return knownReasons.get(reason) ?? 'other'
}
