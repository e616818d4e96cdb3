/** Prometheus metrics of the indexer. Times are Unix seconds. */
import { Counter, Gauge, Registry } from 'prom-client'

/** All metrics with their registry. */
export type IndexerMetrics = ReturnType<typeof createIndexerMetrics>

/** Creates the metrics in a registry of their own. */
export function createIndexerMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `assent_indexer_${name}`, help, registers })
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `assent_indexer_${name}`, help, labelNames, registers })
  return {
    registry,
    block: gauge('block_number', 'The last indexed block'),
    blockTime: gauge('block_timestamp_seconds', 'Time of the last indexed block'),
    latest: gauge('latest_block_number', 'The newest block of the endpoints'),
    events: counter('events_total', 'Indexed events'),
    skipped: counter('skipped_logs_total', 'Logs that do not have the form of the ABI'),
    unwound: counter('unwound_blocks_total', 'Blocks that were taken back after a reorg'),
    polls: counter('polls_total', 'Polls by outcome: the code of the error, or ok', ['outcome']),
    lastPoll: gauge('last_poll_timestamp_seconds', 'Time of the last poll that read the chain'),
    disagreements: counter(
      'endpoint_disagreements_total',
      'Requests that the RPC endpoints answered differently',
      ['question'],
    ),
  }
}
