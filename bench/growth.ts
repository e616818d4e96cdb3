/**
 * How cost grows with apps, log entries, queued intents and hosts. Each series is processor time, so another job on
 * the machine changes little.
 *
 * The section also draws docs/pictures/growth.svg and writes the table of docs/growth.md. `ASSENT_BENCH_GROWTH` is the
 * largest number of a series; 1,000 need two minutes.
 */
import { readFile, writeFile } from 'node:fs/promises'

import { findAnvil } from '../test/anvil.ts'
import { benchNumber } from './environment.ts'
import { appCost } from './growth/apps.ts'
import { drawSeries, type Series, tableOf } from './growth/drawing.ts'
import { logCost } from './growth/log.ts'
import { measureIntents } from './relayer/intents.ts'
import { runLargeFleet } from './relayer/large-fleet.ts'
import type { BenchRow } from './result-row.ts'

const whole = 100_000
/** Enough for the first proof of every host, and too few for a renewal. */
const daysOfFleet = 8
const picture = new URL('../docs/pictures/growth.svg', import.meta.url)
const page = new URL('../docs/growth.md', import.meta.url)

export async function rows(): Promise<BenchRow[]> {
  const most = benchNumber('ASSENT_BENCH_GROWTH', whole)
  if (findAnvil() === undefined) {
    console.error('growth: anvil is not at hand, nothing measured')
    return []
  }
  const upTo = (counts: readonly number[]) => counts.filter((count) => count <= most)
  const series: Series[] = []
  const add = async (
    name: string,
    titles: Pick<Series, 'title' | 'counted' | 'unit'>,
    counts: readonly number[],
    measure: (count: number) => Promise<number>,
  ) => {
    const points = []
    for (const count of upTo(counts)) points.push({ count, value: await measure(count) })
    series.push({ name, ...titles, points })
  }
  const perDecision = { title: 'Decision in a new block', counted: 'apps', unit: 'ms' }
  await add('apps', perDecision, [100, 1_000, 10_000], appCost)
  const toOpen = { title: 'Start with a release log', counted: 'log entries', unit: 'ms' }
  await add('log-entries', toOpen, [100, 1_000, 10_000, whole], logCost)
  const perIntent = { title: 'Intent, from queued to final', counted: 'queued intents', unit: 'ms' }
  await add('queued-intents', perIntent, [10, 100, 1_000], intentCost)
  const perProof = { title: 'Proof of a host', counted: 'hosts', unit: 'ms' }
  await add('hosts', perProof, [10, 100, 1_000], hostCost)

  await writeFile(picture, drawSeries(series))
  await writeFile(page, withTable(await readFile(page, 'utf8'), tableOf(series)))
  return series.flatMap(({ name, unit, points }) =>
    points.map(({ count, value }) => ({
      ...{ section: 'growth', aim: null, peer: null, peerValue: null },
      ...{ name: `${name}.${count}`, value, unit },
    })),
  )
}

/** Processor time of this process while something runs, in milliseconds. */
async function cpuOf<T>(run: () => Promise<T>): Promise<{ cpuMs: number; result: T }> {
  const before = process.cpuUsage()
  const result = await run()
  const { user, system } = process.cpuUsage(before)
  return { cpuMs: (user + system) / 1_000, result }
}

async function intentCost(queued: number): Promise<number> {
  const { cpuMs } = await cpuOf(() => measureIntents(queued))
  return cpuMs / queued
}

async function hostCost(machines: number): Promise<number> {
  const { cpuMs, result } = await cpuOf(() => runLargeFleet(machines, daysOfFleet))
  return cpuMs / result.proofs
}

const table = /(<!-- table -->\n)[\s\S]*?(\n<!-- end of the table -->)/

function withTable(text: string, lines: string): string {
  if (!table.test(text)) throw new Error('docs/growth.md has no place for the table.')
  return text.replace(table, `$1\n${lines}$2`)
}
