/**
 * Several worker processes serve one node, to use more than one processor.
 *
 * This process writes the log and serves no requests; the system distributes connections to the workers. A worker that
 * ends is restarted. If this process ends, all workers end.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

import { AggregatorRegistry, Registry } from 'prom-client'

import { AssentError } from '../../errors/index.ts'
import type { Logger } from '../../lib/log.ts'
import type { ClearImages } from '../admin.ts'
import type { NodeLog } from '../log/node-log.ts'
import { watchPool } from '../metrics.ts'
import { type Channel, openChannel } from './channel.ts'
import { serveLog, statusEveryMs } from './log.ts'
import { serveProofs } from './proofs.ts'
import type { WorkerConfig } from './worker.ts'

/** Dependencies of the pool. */
export interface PoolOptions {
  /** Number of processes. */
  readonly workers: number
  /** Sent to each worker when it starts. */
  readonly work: Omit<WorkerConfig, 'log'>
  /** The log, which only this process writes; workers send their entries here. */
  readonly releaseLog: NodeLog | 'insecure-off'
  /** Gets starts, ends and restarts of workers. */
  readonly logger: Logger
}

/** Running workers on one port. */
export interface Pool {
  /** The port that all of them share. */
  readonly port: number
  /** Clears the image cache of every worker. */
  readonly clear: ClearImages
  /** Waits up to 15 s for running requests. */
  stop(): Promise<void>
}

interface Worker {
  readonly process: ChildProcess
  readonly channel: Channel
}

const restartAfterMs = 1_000
const stopAfterMs = 15_000
/** `.ts` in a clone, `.js` in the compiled package. */
const entry = new URL(
  import.meta.url.endsWith('.ts') ? './worker-main.ts' : './worker-main.js',
  import.meta.url,
)

/** Starts the workers and resolves when all serve. @throws the error of the first worker that could not start */
export async function startPool(options: PoolOptions): Promise<Pool> {
  const { workers: count, work, releaseLog, logger } = options
  const workers = new Set<Worker>()
  const log = releaseLog === 'insecure-off' ? undefined : serveLog(releaseLog)
  const proofs = serveProofs(work.config)
  const own = new Registry()
  let restarts = 0
  watchPool(own, { workers: () => workers.size, restarts: () => restarts })
  let stopping = false

  const begin = async (port: number): Promise<number> => {
    const child = fork(entry, { serialization: 'advanced' })
    const handlers = { ...log, ...proofs, metricsText: () => joinMetrics(workers, own) }
    const worker = { process: child, channel: openChannel(child, handlers) }
    const ended = once(child, 'exit')
    const listening = await Promise.race([
      worker.channel.ask<number>('serve', { ...work, port, log: log?.readLogStatus() }),
      ended.then(() => Promise.reject(lost())),
    ]).catch((error: unknown) => {
      child.kill('SIGKILL')
      throw error
    })
    workers.add(worker)
    void ended.then(([code, signal]) => {
      workers.delete(worker)
      if (!stopping) logger.error({ code, signal, pid: child.pid }, 'a worker ended')
      if (!stopping) again(listening)
    })
    return listening
  }
  const again = (port: number) => {
    setTimeout(async () => {
      if (stopping) return
      restarts++
      await begin(port).catch((error: unknown) => {
        logger.error({ err: error }, 'a worker could not be started')
        again(port)
      })
    }, restartAfterMs).unref()
  }
  const stop = async () => {
    stopping = true
    clearInterval(statusTimer)
    await Promise.all([...workers].map(end))
  }
  const clear = async (image: string) => {
    await Promise.all([...workers].map(({ channel }) => channel.ask('clear', image)))
  }
  const statusTimer = setInterval(() => {
    for (const { channel } of workers) channel.notify('logStatus', log?.readLogStatus())
  }, statusEveryMs)

  try {
    // with port 0 the first worker learns the port that the system chose
    const port = await begin(work.port)
    await Promise.all(Array.from({ length: count - 1 }, () => begin(port)))
    logger.info({ port, workers: count }, 'workers serve')
    return { port, clear, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function end({ process: child, channel }: Worker): Promise<void> {
  const ended = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopAfterMs)
  await channel.ask('stop').catch(() => {})
  child.disconnect()
  await ended
  clearTimeout(timer)
}

/** Combined metrics of all processes: counters are added, gauges with `max` take the largest value. */
async function joinMetrics(workers: ReadonlySet<Worker>, own: Registry): Promise<string> {
  const asked = [...workers].map(({ channel }) => channel.ask<object[]>('metrics').catch(() => []))
  const all = [await own.getMetricsAsJSON(), ...(await Promise.all(asked))]
  return AggregatorRegistry.aggregate(all).metrics()
}

function lost(): AssentError {
  return new AssentError('KMS_WORKER_LOST', 'A worker ended before it was ready.')
}
