/** Prometheus metrics of the worker, beside those of its outbox. Times are unix seconds. */
import { Counter, Gauge } from 'prom-client'

import { createMetrics, type Metrics } from '../relayer/metrics.ts'

/** All metrics with their registry. */
export interface WorkerMetrics {
  /** Metrics of the outbox, named `assent_relayer_…` as in the relayer. */
  readonly outbox: Metrics
  readonly requests: Counter<'outcome'>
  readonly open: Gauge
  readonly isLive: Gauge
  readonly endsAt: Gauge
  readonly lastRound: Gauge
}

export function createWorkerMetrics(): WorkerMetrics {
  const outbox = createMetrics()
  const registers = [outbox.registry]
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `assent_worker_${name}`, help, registers })
  return {
    outbox,
    requests: new Counter({
      name: 'assent_worker_requests_total',
      help: 'Requests by outcome: answered, declined, lost, or the code of a failure',
      labelNames: ['outcome'],
      registers,
    }),
    open: gauge('open_requests', 'Requests that are assigned to this key'),
    isLive: gauge('instance_live', '1 while the key speaks for the app'),
    endsAt: gauge('instance_ends_timestamp_seconds', 'When the key stops to count; 0: it does not'),
    lastRound: gauge('last_round_timestamp_seconds', 'Time of the last round that read the chain'),
  }
}
