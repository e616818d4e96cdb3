/** Runs a follower until a signal: one step after the other, then a wait for the next block. */
import { setTimeout as sleep } from 'node:timers/promises'
import { AssentError, isAssentError } from '../errors/index.ts'
import { systemClock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Follower, Progress } from './follow.ts'
import type { IndexerMetrics } from './metrics.ts'

/** Errors after which the next poll simply continues. */
const passing = ['INDEXER_CHAIN_MOVED', 'INDEXER_POSITION_MOVED']

/** The state of a running indexer. */
export interface Health {
  /** @throws the error that stops the indexer, or SERVICE_NOT_READY until it has caught up */
  check(): Promise<void>
}

/** What the loop needs. */
export interface RunOptions {
  readonly follower: Follower
  readonly metrics: IndexerMetrics
  readonly log: Logger
  readonly pollMs: number
  readonly signal: AbortSignal
}

/** Follows the chain until the signal is aborted. @returns its health, and a promise that ends with it */
export function runFollower(options: RunOptions): Health & { readonly ended: Promise<void> } {
  let problem: unknown = new AssentError('SERVICE_NOT_READY', 'The indexer has not caught up yet.')
  const loop = async () => {
    while (!options.signal.aborted) {
      const outcome = await poll(options)
      if (outcome === 'more') continue
      problem = outcome === 'done' ? undefined : outcome
      await sleep(options.pollMs, undefined, { signal: options.signal }).catch(() => undefined)
    }
  }
  return {
    ended: loop(),
    check: async () => {
      if (problem !== undefined) throw problem
    },
  }
}

/** One step. @returns the error that stopped it */
async function poll({ follower, metrics, log }: RunOptions): Promise<'more' | 'done' | unknown> {
  try {
    const isMore = await follower.step()
    metrics.polls.inc({ outcome: 'ok' })
    metrics.lastPoll.set(systemClock())
    return isMore ? 'more' : 'done'
  } catch (error) {
    const code = isAssentError(error) ? error.code : 'UNEXPECTED'
    metrics.polls.inc({ outcome: code })
    if (passing.includes(code)) return 'more'
    log.error({ err: error }, 'the indexer cannot read the next blocks')
    return error
  }
}

/** Records a step in the metrics. */
export function recordProgress(metrics: IndexerMetrics, progress: Progress): void {
  metrics.block.set(progress.block)
  metrics.blockTime.set(progress.time)
  metrics.latest.set(progress.latest)
  metrics.events.inc(progress.events)
  metrics.skipped.inc(progress.skipped)
  metrics.unwound.inc(progress.unwound)
}
