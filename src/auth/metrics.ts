/** Prometheus metrics of the auth webhook. Outages are counted apart from denials. */
import { Counter, Gauge, Registry } from 'prom-client'

import type { ChainEvent } from '../chain/boot/boot.ts'
import { createChainMetrics } from '../chain/boot/metrics.ts'

/** `outage`: the chain could not be read. `invalid`: the request itself is wrong. */
export type AuthOutcome = 'allowed' | 'denied' | 'outage' | 'invalid'

/** Counters and gauges of the auth webhook. */
export interface AuthMetrics {
  /** Registry of this service alone. */
  readonly registry: Registry
  /** Counts a request. @param question `app` or `kms` */
  count(question: string, outcome: AuthOutcome): void
  /** Counts an outage by its error code. */
  countOutage(code: string): void
  /** The block of the last decision. */
  setBlock(block: { number: bigint; timestamp: number }): void
  /** An observer for `BootAuthorizer.watch`. */
  recordChainEvent(event: ChainEvent): void
}

/** Creates the metrics in a registry of their own. */
export function createAuthMetrics(): AuthMetrics {
  const registry = new Registry()
  const registers = [registry]
  const requests = new Counter({
    name: 'assent_auth_requests_total',
    help: 'Boot requests by question (app, kms) and outcome: allowed, denied, outage, invalid.',
    labelNames: ['question', 'outcome'],
    registers,
  })
  const outages = new Counter({
    name: 'assent_auth_outages_total',
    help: 'Requests that could not be decided, by error code.',
    labelNames: ['code'],
    registers,
  })
  const height = new Gauge({
    name: 'assent_auth_chain_block_number',
    help: 'Block at which the last decision was read.',
    registers,
  })
  const blockTime = new Gauge({
    name: 'assent_auth_chain_block_timestamp_seconds',
    help: 'Unix time of that block, in seconds.',
    registers,
  })
  return {
    registry,
    count: (question, outcome) => requests.inc({ question, outcome }),
    recordChainEvent: createChainMetrics(registry, 'assent_auth'),
    countOutage: (code) => outages.inc({ code }),
    setBlock: ({ number, timestamp }) => {
      height.set(Number(number))
      blockTime.set(timestamp)
    },
  }
}
