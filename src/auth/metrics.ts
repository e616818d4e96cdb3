/** What the webhook tells Prometheus; an outage has a counter of its own. */
import { Counter, Gauge, Registry } from 'prom-client'

import type { ChainEvent } from '../chain/boot.ts'
import { createChainMetrics } from '../chain/metrics.ts'

export type AuthOutcome = 'allowed' | 'denied' | 'outage' | 'invalid'

export interface AuthMetrics {
  readonly registry: Registry
  count(question: string, outcome: AuthOutcome): void
  countOutage(code: string): void
  setBlock(block: { number: bigint; timestamp: number }): void
  recordChainEvent(event: ChainEvent): void
}

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
    help: 'Time of that block.',
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
