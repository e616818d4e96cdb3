/**
 * Every benchmark of Assent: `npm run bench -- [section] [--json]`.
 *
 * A file of `bench/` is a section and exports `rows()`. JSON is an array of
 * `{section, name, value, unit, aim, peer, peerValue}` with stable names.
 */
import { readdir } from 'node:fs/promises'
import os from 'node:os'
import { parseArgs } from 'node:util'
import type { BenchRow } from '../bench/result-row.ts'
import { colors as pc } from '../src/commands/output/colors.ts'
import { isAssentError } from '../src/errors/index.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
})

const folder = new URL('../bench/', import.meta.url)
const sections = (await readdir(folder))
  .filter((file) => file.endsWith('.ts') && !['result-row.ts', 'environment.ts'].includes(file))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort()

if (values.help) {
  console.log(`usage: npm run bench -- [section …] [--json]\nsections: ${sections.join(', ')}`)
  process.exit(0)
}
const unknown = positionals.filter((name) => !sections.includes(name))
if (unknown.length > 0) {
  console.error(`No such section: ${unknown.join(', ')}. There are: ${sections.join(', ')}`)
  process.exit(2)
}

const rows: BenchRow[] = []
for (const section of sections) {
  if (positionals.length > 0 && !positionals.includes(section)) continue
  console.error(pc.dim(`measuring ${section} …`))
  rows.push(...(await measure(section)))
}

if (values.json) console.log(JSON.stringify(rows))
else printTable(rows)
process.exit(0)

async function measure(section: string): Promise<BenchRow[]> {
  try {
    const { rows } = (await import(new URL(`${section}.ts`, folder).href)) as {
      rows: () => Promise<BenchRow[]>
    }
    return await rows()
  } catch (error) {
    if (!isAssentError(error, 'CONFIG_INVALID')) throw error
    console.error(error.message)
    process.exit(2)
  }
}

function printTable(all: readonly BenchRow[]): void {
  const cpu = os.cpus()[0]?.model ?? 'unknown processor'
  console.log(
    `${os.cpus().length} × ${cpu}, ${os.type()} ${os.release()}, Node ${process.versions.node}`,
  )
  console.log(`npm run bench -- ${process.argv.slice(2).join(' ')}\n`)
  const lines = all.map(({ section, name, value, unit, aim, peer, peerValue }) => [
    section,
    name,
    `${format(value)} ${unit}`,
    aim === null ? '' : `${format(aim)}`,
    peer === null || peerValue === null ? '' : `${format(peerValue)} (${peer})`,
  ])
  const table = [['section', 'name', 'value', 'aim', 'peer'], ...lines]
  const widths =
    table[0]?.map((_, i) => Math.max(...table.map((line) => line[i]?.length ?? 0))) ?? []
  for (const line of table) {
    console.log(
      line
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  }
}

function format(value: number): string {
  return value >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : String(Number(value.toPrecision(3)))
}
