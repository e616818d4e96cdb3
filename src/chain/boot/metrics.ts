/** Metrics of a service's chain view. Labels are endpoints by host and error codes. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { HeartbeatStatus } from '../heartbeat/heartbeat.ts'
import type { ChainEvent } from './boot.ts'

/**
 * Registers the metrics of a chain view: age of its snapshots, failures, and endpoints that disagree.
 *
 * @param prefix first part of the metrics' names, for example `assent_kms`
 * @returns an observer for `BootAuthorizer.watch`
 */
export function createChainMetrics(
  registry: Registry,
  prefix: string,
): (event: ChainEvent) => void {
  const registers = [registry]
  const height = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_view_height`,
    help: 'Newest final block that a quorum of the RPC endpoints returned.',
    registers,
  })
  const time = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_view_timestamp_seconds`,
    help: 'Unix time of that block, in seconds.',
    registers,
  })
  const l1Time = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_l1_timestamp_seconds`,
    help: 'On a rollup: Unix time of the L1 block that proves that block, in seconds; 0 on other chains.',
    registers,
  })
  const disagreeing = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_endpoints_out_of_quorum`,
    help: 'RPC endpoints that did not return that block.',
    registers,
  })
  const faults = new Counter({
    name: `${prefix}_chain_endpoint_faults_total`,
    help: 'Failures and invalid answers of RPC endpoints, by endpoint and error code.',
    labelNames: ['endpoint', 'code'],
    registers,
  })
  const failures = new Counter({
    name: `${prefix}_chain_refresh_failures_total`,
    help: 'Chain snapshots that failed, by error code.',
    labelNames: ['code'],
    registers,
  })
  const observeHeartbeat = createHeartbeatMetrics(registers, prefix)
  const clientTime = (name: string, help: string) =>
    new Gauge({ aggregator: 'max', name: `${prefix}_light_client_${name}`, help, registers })
  const finalized = clientTime(
    'finalized_timestamp_seconds',
    'Unix time of the newest finalized slot that the light client proved; 0 without a light client.',
  )
  const nextFork = clientTime(
    'next_fork_timestamp_seconds',
    'Unix time of the next fork of the beacon chain that this version knows; 0: none.',
  )
  const unknownFork = clientTime(
    'unknown_fork_timestamp_seconds',
    'Unix time of the first fork that beacon APIs announce and this version does not know; 0: none.',
  )
  return (event) => {
    observeHeartbeat(event)
    if (event.kind === 'failed') failures.inc({ code: event.code })
    if (event.kind === 'fault') faults.inc({ ...event.fault })
    if (event.kind !== 'looked') return
    height.set(Number(event.block.number))
    time.set(event.block.timestamp)
    l1Time.set(event.l1BlockTime ?? 0)
    disagreeing.set(event.disagreeing.length)
    const { finalizedAt = 0, nextForkAt = 0, unknownForkAt = 0 } = event.consensus ?? {}
    finalized.set(finalizedAt)
    nextFork.set(nextForkAt)
    unknownFork.set(unknownForkAt)
    for (const fault of event.disagreeing) faults.inc({ ...fault })
  }
}

/** Age of the newest nonce that was found in a final block; the gauges are empty without a heartbeat. */
function createHeartbeatMetrics(registers: Registry[], prefix: string) {
  let known: HeartbeatStatus | undefined
  const startedAt = performance.now()
  new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_heartbeat_age_seconds`,
    help: 'Seconds since the newest nonce in a final block was made; before the first one, since the start.',
    registers,
    collect() {
      if (known === undefined) this.remove()
      else this.set((performance.now() - (known.since ?? startedAt)) / 1000)
    },
  })
  new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_heartbeat_max_age_seconds`,
    help: 'The setting chainView.heartbeat.maxAgeSeconds: with an older nonce no keys are released.',
    registers,
    collect() {
      if (known === undefined) this.remove()
      else this.set(known.maxAgeSeconds)
    },
  })
  const faults = new Counter({
    name: `${prefix}_chain_heartbeat_faults_total`,
    help: 'Failures and invalid answers of the relayers that post nonces, by relayer and error code.',
    labelNames: ['relayer', 'code'],
    registers,
  })
  return (event: ChainEvent) => {
    if (event.kind === 'heartbeat') known = event
    if (event.kind === 'heartbeat-fault') faults.inc({ relayer: event.relayer, code: event.code })
  }
}
