/** Prometheus metrics of the KMS. Label values come from fixed sets, never from a caller. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { ChainEvent } from '../chain/boot/boot.ts'
import { createChainMetrics } from '../chain/boot/metrics.ts'
import type { AssentError } from '../errors/index.ts'
import type { IngressRefusal } from '../lib/ingress/ingress.ts'
import type { LogStatus } from './log/node-log.ts'
import { outcomeOf, type RequestOutcome } from './rpc/request-outcome.ts'

/** Reason strings of dstack's contracts, as labels. Reasons of app contracts count as `other`. */
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

/** Counters and gauges of one process. */
export interface KmsMetrics {
  /** Registry of this service alone, so that several can run in one process. */
  readonly registry: Registry
  /** Counts a finished RPC call. */
  observe(call: { method: string; seconds: number; error: AssentError | undefined }): RequestOutcome
  /** Counts a request or connection that the ingress limits refused. */
  countLimited(refusal: IngressRefusal): void
  /** The block of the last decision. */
  setBlock(block: { number: bigint; timestamp: number }): void
  /** Counts an event of the chain view. */
  recordChainEvent(event: ChainEvent): void
  /** @param at Unix seconds */
  setCollateralExpiry(at: number): void
  /** Reads the log's status when metrics are collected. */
  watchLog(status: () => LogStatus): void
}

/** dstack counts attestations only for these methods. */
const methodsWithAttestation = ['GetAppKey', 'GetKmsKey', 'SignCert']

/** Limits that honest clients can reach too; the others are closed connections. */
const overload: readonly IngressRefusal[] = ['too-often', 'in-flight', 'body-bytes', 'connections']

/** Creates the metrics. Labels have a closed set of values, so that callers cannot create new time series. */
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
    help: 'Denied requests by error code and, for boots, the contract’s reason.',
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
  const limited = new Counter({
    name: 'assent_kms_requests_limited_total',
    help: 'Requests and connections refused by a limit of one client or of all clients, by limit.',
    labelNames: ['limit'],
    registers,
  })
  const closed = new Counter({
    name: 'assent_kms_connections_closed_total',
    help: 'Connections that the client closed during a request, or that were closed because it was too slow or invalid.',
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
    help: 'Unix time of that block, in seconds.',
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
      if (methodsWithAttestation.includes(method)) {
        attestations.inc()
        if (error) failures.inc()
      }
      return outcome
    },
    countLimited: (refusal) => {
      if (overload.includes(refusal)) limited.inc({ limit: refusal })
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

/** Metrics of the worker pool, from the process that starts the workers. */
export function watchPool(
  registry: Registry,
  pool: { readonly workers: () => number; readonly restarts: () => number },
): void {
  const registers = [registry]
  new Gauge({
    name: 'assent_kms_workers',
    help: 'Worker processes that serve now.',
    registers,
    collect() {
      this.set(pool.workers())
    },
  })
  let counted = 0
  new Counter({
    name: 'assent_kms_worker_restarts_total',
    help: 'Number of worker restarts.',
    registers,
    collect() {
      this.inc(pool.restarts() - counted)
      counted = pool.restarts()
    },
  })
}

/** Registers gauges that read the state of the release log when they are scraped. */
function watchLog(registers: Registry[], status: () => LogStatus): void {
  const gauge = (name: string, help: string, read: (now: LogStatus) => number | boolean) =>
    new Gauge({
      name,
      help,
      registers,
      // there is one log, and each process has the last status that it received
      aggregator: 'max',
      collect() {
        this.set(Number(read(status())))
      },
    })
  gauge('assent_kms_log_entries', 'Number of entries in the release log.', (now) => now.entries)
  gauge('assent_kms_log_segments', 'Number of segments of the release log.', (now) => now.segments)
  gauge('assent_kms_log_bytes', 'Size of the newest segment in bytes.', (now) => now.bytes)
  gauge(
    'assent_kms_log_halted',
    '1 after the log was found cut, rolled back or copied.',
    (now) => now.halted,
  )
  gauge(
    'assent_kms_log_witnessed',
    '1 while enough witnesses confirm the log.',
    (now) => now.witnessed,
  )
  gauge(
    'assent_kms_log_peer_faults',
    'Number of times that a replica’s log was found rolled back or forked.',
    (now) => now.peerFaults,
  )
}

/**
 * Label of a denial: a known reason of the contracts, `contract-failure`, or `other`. An app contract can return any
 * text, which must not become a label.
 */
function reasonLabel({ facts }: AssentError): string {
  const { reason, refusedBy } = facts
  if (refusedBy === 'contract-failure') return 'contract-failure'
  if (typeof reason !== 'string') return 'none'
  return knownReasons.get(reason) ?? 'other'
}
