/** What a service tells Prometheus about its view of the chain. Labels are endpoints by host and error codes. */
import { Counter, Gauge, type Registry } from 'prom-client'

import type { ChainEvent } from './boot.ts'

/** @param prefix of the metrics' names: that of the service */
export function createChainMetrics(
  registry: Registry,
  prefix: string,
): (event: ChainEvent) => void {
  const registers = [registry]
  const height = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_view_height`,
    help: 'Newest final block that enough endpoints vouch for.',
    registers,
  })
  const time = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_view_timestamp_seconds`,
    help: 'Time of that block; its age is the time less this.',
    registers,
  })
  const disagreeing = new Gauge({
    aggregator: 'max',
    name: `${prefix}_chain_disagreeing_endpoints`,
    help: 'Endpoints that did not vouch for that block.',
    registers,
  })
  const dissents = new Counter({
    name: `${prefix}_chain_dissents_total`,
    help: 'What endpoints did instead of telling what holds, by error code.',
    labelNames: ['endpoint', 'code'],
    registers,
  })
  const failures = new Counter({
    name: `${prefix}_chain_look_failures_total`,
    help: 'Looks at the endpoints after which no block could be believed, by error code.',
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
