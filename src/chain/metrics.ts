/** Metrics of a service's chain view. Labels are endpoints by host and error codes. */
import { Counter, Gauge, type Registry } from 'prom-client'

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
  const disagreeing = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_endpoints_out_of_quorum`,
    help: 'RPC endpoints that did not return that block.',
    registers,
  })
  const dissents = new Counter({
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
  return (event) => {
    if (event.kind === 'failed') failures.inc({ code: event.code })
    if (event.kind === 'dissent') dissents.inc({ ...event.dissent })
    if (event.kind !== 'looked') return
    height.set(Number(event.block.number))
    time.set(event.block.timestamp)
    disagreeing.set(event.disagreeing.length)
    for (const dissent of event.disagreeing) dissents.inc({ ...dissent })
  }
}
