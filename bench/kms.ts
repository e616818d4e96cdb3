/**
 * Complete releases: a fresh TLS connection with a client certificate, quote, proven authorization, keys, log.
 *
 * Server and client are processes of their own on the same machine; the server's CPU is counted alone, the
 * rate is of both together. Collateral and chain view are warm. `ASSENT_BENCH_REQUESTS` shortens the long run,
 * `ASSENT_BENCH_WORKERS` adds a node with another number of workers than there are processors.
 *
 * Then apps that ask in turn while blocks are mined every 12 seconds, so that no release finds the proofs of the
 * one before: `ASSENT_BENCH_APPS` says how many. And what a view of the chain keeps of each block.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

import type { HeapJob, HeapRound } from '../test/chain/proven/heap-process.ts'
import { buildChain, serveChain } from '../test/chain/proven/synthetic.ts'
import { benchNumber } from './environment.ts'
import { rows as offchainRows } from './offchain/quote.ts'
import { type Client, startClient } from './release/client-process.ts'
import {
  type BenchNode,
  buildGrowingSite,
  buildSite,
  type Site,
  startNode,
} from './release/node.ts'
import type { BenchRow } from './result-row.ts'

const none = { section: 'kms', aim: null, peer: null, peerValue: null }
const longRun = benchNumber('ASSENT_BENCH_REQUESTS', 100_000)
const workers = benchNumber('ASSENT_BENCH_WORKERS', availableParallelism())
const apps = benchNumber('ASSENT_BENCH_APPS', 10_000)
const warmUp = Math.min(20_000, longRun)
const scaleRun = Math.min(10_000, longRun)

export async function rows(): Promise<BenchRow[]> {
  const site = await buildSite()
  try {
    const alone = await withNode(site, 1, measure)
    const several = workers > 1 ? await withNode(site, workers, measureScale) : []
    return [
      ...alone,
      ...several,
      ...(await appRows()),
      ...(await heapRows()),
      ...(await quoteRows()),
    ]
  } finally {
    await site.stop()
  }
}

/** Each app asks once, for the caches; then each asks again, in the same order, in later blocks. */
async function appRows(): Promise<BenchRow[]> {
  const site = await buildGrowingSite(apps)
  try {
    return await withNode(site, 1, async (node, client) => {
      const job = { connections: 16, requests: apps }
      await client.run(job)
      const [before, logBefore] = [node.usage(), await node.logBytes()]
      const { latencies } = await client.run(job)
      const [after, logAfter] = [node.usage(), await node.logBytes()]
      const cpu = (after.cpuMs - before.cpuMs) / apps
      const logBytes = (logAfter - logBefore) / apps
      const name = (what: string) => `release.10k-apps.${what}`
      return [
        { ...none, name: name('cpu-ms'), value: cpu, unit: 'ms', aim: 3 },
        { ...none, name: name('rss-mb'), value: after.rss / 2 ** 20, unit: 'MiB', aim: 300 },
        { ...none, name: name('log-bytes'), value: logBytes, unit: 'bytes', aim: 3_000 },
        { ...none, name: name('p99-ms-16'), value: percentile(latencies, 99), unit: 'ms' },
        { ...none, name: name('apps'), value: apps, unit: 'apps' },
      ]
    })
  } finally {
    await site.stop()
  }
}

const heapApps = 16
const heapBlocks = Math.min(200, apps)
const heapPasses = 7

/** A view in a process of its own, whose caches are full before the first measurement. */
async function heapRows(): Promise<BenchRow[]> {
  const chain = await buildChain({ apps: heapApps })
  const node = await serveChain((method, params) => {
    const head = chain.blocks.length - 1
    return chain.answer(method, params, { head, final: Math.max(0, head - 2) })
  })
  const child = fork(new URL('../test/chain/proven/heap-process.ts', import.meta.url), {
    execArgv: ['--expose-gc'],
    serialization: 'advanced',
  })
  const tell = async (message: HeapJob | HeapRound): Promise<number> => {
    child.send(message)
    return (await once(child, 'message'))[0] as number
  }
  const boots = chain.apps.map((app) => chain.boot(app))
  const pass = async (): Promise<number> => {
    let heap = 0
    for (let block = 1; block <= heapBlocks; block++) {
      await chain.pay(chain.kmsAuth)
      chain.mine()
      heap = await tell({ boots, time: chain.head().timestamp, measure: block === heapBlocks })
    }
    return heap
  }
  try {
    const urls = [node.url, node.url.replace('127.0.0.1', 'localhost')]
    await tell({ urls, kms: chain.kmsAuth, pinned: chain.pinned })
    const before = await pass()
    let after = before
    // one pass alone says little: the engine's own code and caches vary by 300 KiB between two of them
    for (let count = 0; count < heapPasses; count++) after = await pass()
    const value = Math.max(0, after - before) / 1024 / (heapPasses * heapBlocks)
    return [{ ...none, name: 'release.heap-per-block-kb', value, unit: 'KiB', aim: 1 }]
  } finally {
    child.kill()
    await node.stop()
  }
}

async function withNode(
  site: Site,
  count: number,
  measureIt: (node: BenchNode, client: Client) => Promise<BenchRow[]>,
): Promise<BenchRow[]> {
  const node = await startNode(site, count)
  const client = await startClient(node)
  try {
    return await measureIt(node, client)
  } finally {
    client.stop()
    await node.stop()
  }
}

async function measure(node: BenchNode, client: Client): Promise<BenchRow[]> {
  await client.run({ connections: 64, requests: warmUp })
  await pause(1_000)
  const before = node.usage()
  const long = await client.run({ connections: 64, requests: longRun })
  const busy = node.usage()
  await pause(1_000)
  const growth = (node.usage().rss - before.rss) / 2 ** 20

  const spectrum: BenchRow[] = []
  for (const connections of [1, 16, 256]) {
    const requests = Math.min(connections === 1 ? 1_000 : 5_000, longRun)
    const { latencies } = await client.run({ connections, requests })
    for (const share of [50, 99]) {
      const name = `release.p${share}-ms-${connections}`
      spectrum.push({ ...none, name, value: percentile(latencies, share), unit: 'ms' })
    }
  }
  const cpu = (busy.cpuMs - before.cpuMs) / longRun
  const { latencies, seconds, cpuMs } = long
  return [
    { ...none, name: 'release.cpu-ms', value: cpu, unit: 'ms', aim: 2.2 },
    { ...none, name: 'release.per-second', value: longRun / seconds, unit: '1/s', aim: 450 },
    { ...none, name: 'release.p99-ms-64', value: percentile(latencies, 99), unit: 'ms', aim: 250 },
    { ...none, name: 'release.rss-mb', value: busy.rss / 2 ** 20, unit: 'MiB', aim: 180 },
    { ...none, name: 'release.rss-growth-mb', value: growth, unit: 'MiB' },
    { ...none, name: 'release.p50-ms-64', value: percentile(latencies, 50), unit: 'ms' },
    { ...none, name: 'release.client-cpu-ms', value: cpuMs / longRun, unit: 'ms' },
    { ...none, name: 'release.long-run', value: longRun, unit: 'requests' },
    ...spectrum,
  ]
}

/** The same with a process for each processor, the client among them. */
async function measureScale(node: BenchNode, client: Client): Promise<BenchRow[]> {
  await client.run({ connections: 64, requests: Math.min(5_000, longRun) })
  const before = node.usage()
  const { latencies, seconds } = await client.run({ connections: 64, requests: scaleRun })
  const cpu = (node.usage().cpuMs - before.cpuMs) / scaleRun
  const name = (what: string) => `release.workers-${workers}.${what}`
  return [
    { ...none, name: name('cpu-ms'), value: cpu, unit: 'ms' },
    { ...none, name: name('per-second'), value: scaleRun / seconds, unit: '1/s' },
    { ...none, name: name('p99-ms-64'), value: percentile(latencies, 99), unit: 'ms' },
  ]
}

/** The same verification alone beside another library, as the verifier's own bench measures it. */
async function quoteRows(): Promise<BenchRow[]> {
  return (await offchainRows()).map((row) => ({ ...row, section: 'kms', aim: null }))
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? 0
}
