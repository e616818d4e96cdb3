/**
 * Complete releases: a fresh TLS connection with a client certificate, quote, proven authorization, keys, log.
 *
 * Server and client are processes of their own on the same machine; the server's CPU is counted alone, the
 * rate is of both together. Collateral and chain view are warm. `ASSENT_BENCH_REQUESTS` shortens the long run.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

import { rows as offchainRows } from './offchain/quote.ts'
import type { Ran, Run } from './release/client.ts'
import type { BenchRow } from './row.ts'

const none = { section: 'kms', aim: null, peer: null, peerValue: null }
const longRun = Number(process.env.ASSENT_BENCH_REQUESTS ?? 100_000)

export async function rows(): Promise<BenchRow[]> {
  const server = fork(new URL('./release/server.ts', import.meta.url), {
    execArgv: ['--expose-gc'],
  })
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  const client = fork(new URL('./release/client.ts', import.meta.url))
  await once(client, 'message')
  try {
    const measured = await measure(server, client, port)
    return [...measured, ...(await quoteRows())]
  } finally {
    server.send('stop')
    client.kill()
    await once(server, 'exit')
  }
}

async function measure(
  server: ChildProcess,
  client: ChildProcess,
  port: number,
): Promise<BenchRow[]> {
  await run(client, { port, connections: 16, requests: 2_000 })
  const before = await usage(server)
  const long = await run(client, { port, connections: 64, requests: longRun })
  const after = await usage(server)

  const spectrum: BenchRow[] = []
  for (const connections of [1, 16, 256]) {
    const requests = connections === 1 ? 500 : 2_000
    const { latencies } = await run(client, { port, connections, requests })
    for (const share of [50, 99]) {
      const name = `release.p${share}-ms-${connections}`
      spectrum.push({ ...none, name, value: percentile(latencies, share), unit: 'ms' })
    }
  }
  const cpu = (after.cpuMs - before.cpuMs) / longRun
  const growth = (after.rss - before.rss) / 2 ** 20
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

/** The same verification alone beside another library, as the verifier's own bench measures it. */
async function quoteRows(): Promise<BenchRow[]> {
  return (await offchainRows()).map((row) => ({ ...row, section: 'kms', aim: null }))
}

async function run(client: ChildProcess, job: Run): Promise<Ran> {
  client.send(job)
  const [ran] = (await once(client, 'message')) as [Ran]
  return ran
}

async function usage(server: ChildProcess): Promise<{ cpuMs: number; rss: number }> {
  server.send('usage')
  const [used] = (await once(server, 'message')) as [{ cpuMs: number; rss: number }]
  return used
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? 0
}
