/**
 * Complete releases: a fresh TLS connection with a client certificate, quote, proven authorization, keys, log.
 *
 * Server and client are processes of their own on the same machine; the server's CPU is counted alone, the
 * rate is of both together. Collateral and chain view are warm. `ASSENT_BENCH_REQUESTS` shortens the long run,
 * `ASSENT_BENCH_WORKERS` adds a node with another number of workers than there are processors.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

import { rows as offchainRows } from './offchain/quote.ts'
import type { Ran, Run } from './release/client.ts'
import { type BenchNode, buildSite, type Site, startNode } from './release/node.ts'
import type { BenchRow } from './row.ts'
import { benchNumber } from './setting.ts'

const none = { section: 'kms', aim: null, peer: null, peerValue: null }
const longRun = benchNumber('ASSENT_BENCH_REQUESTS', 100_000)
const workers = benchNumber('ASSENT_BENCH_WORKERS', availableParallelism())
const warmUp = Math.min(20_000, longRun)
const scaleRun = Math.min(10_000, longRun)

export async function rows(): Promise<BenchRow[]> {
  const site = await buildSite()
  try {
    const alone = await withNode(site, 1, measure)
    const several = workers > 1 ? await withNode(site, workers, measureScale) : []
    return [...alone, ...several, ...(await quoteRows())]
  } finally {
    await site.stop()
  }
}

async function withNode(
  site: Site,
  count: number,
  measureIt: (node: BenchNode, client: ChildProcess) => Promise<BenchRow[]>,
): Promise<BenchRow[]> {
  const node = await startNode(site, count)
  const client = fork(new URL('./release/client.ts', import.meta.url))
  await once(client, 'message')
  client.send({ identities: node.identities, port: node.port })
  try {
    return await measureIt(node, client)
  } finally {
    client.kill()
    await node.stop()
  }
}

async function measure(node: BenchNode, client: ChildProcess): Promise<BenchRow[]> {
  await run(client, { connections: 64, requests: warmUp })
  await pause(1_000)
  const before = node.usage()
  const long = await run(client, { connections: 64, requests: longRun })
  const busy = node.usage()
  await pause(1_000)
  const growth = (node.usage().rss - before.rss) / 2 ** 20

  const spectrum: BenchRow[] = []
  for (const connections of [1, 16, 256]) {
    const requests = Math.min(connections === 1 ? 1_000 : 5_000, longRun)
    const { latencies } = await run(client, { connections, requests })
    for (const share of [50, 99]) {
      const name = `release.p${share}-ms-${connections}`
      spectrum.push({ ...none, name, value: percentile(latencies, share), unit: 'ms' })
    }
  }
  const cpu = (busy.cpuMs - before.cpuMs) / longRun
  const { latencies, seconds, cpuMs } = long
  return [
    { ...none, name: 'release.cpu-ms', value: cpu, unit: 'ms', aim: 3.5 },
    { ...none, name: 'release.per-second', value: longRun / seconds, unit: '1/s', aim: 250 },
    { ...none, name: 'release.p99-ms-64', value: percentile(latencies, 99), unit: 'ms', aim: 250 },
    { ...none, name: 'release.rss-growth-mb', value: growth, unit: 'MiB' },
    { ...none, name: 'release.p50-ms-64', value: percentile(latencies, 50), unit: 'ms' },
    { ...none, name: 'release.client-cpu-ms', value: cpuMs / longRun, unit: 'ms' },
    { ...none, name: 'release.long-run', value: longRun, unit: 'requests' },
    ...spectrum,
  ]
}

/** The same with a process for each processor, the client among them. */
async function measureScale(node: BenchNode, client: ChildProcess): Promise<BenchRow[]> {
  await run(client, { connections: 64, requests: Math.min(5_000, longRun) })
  const before = node.usage()
  const { latencies, seconds } = await run(client, { connections: 64, requests: scaleRun })
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

async function run(client: ChildProcess, job: Run): Promise<Ran> {
  client.send(job)
  const [ran] = (await once(client, 'message')) as [Ran | { failed: string }]
  if ('failed' in ran) throw new Error(ran.failed)
  return ran
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? 0
}
