/** Start-up of the command line: what a person waits for before anything happens. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { BenchRow } from './result-row.ts'

const program = fileURLToPath(new URL('../bin/assent.js', import.meta.url))
const runs = 15

export async function rows(): Promise<BenchRow[]> {
  const root = medianMs(['--help'])
  const group = medianMs(['dao', '--help'])
  const node = medianMs(undefined)
  return [row('startup-ms', root, 300, node), row('group-help-ms', group, 300, node)]
}

function row(name: string, value: number, aim: number, peerValue: number): BenchRow {
  return { section: 'cli', name, value, unit: 'ms', aim, peer: 'node -e 0', peerValue }
}

/** @param args undefined: Node alone */
function medianMs(args: readonly string[] | undefined): number {
  const command = args === undefined ? ['-e', '0'] : [program, ...args]
  const times = Array.from({ length: runs }, () => {
    const begin = performance.now()
    const { status } = spawnSync(process.execPath, command, { stdio: 'ignore' })
    if (status !== 0) throw new Error(`assent ${args?.join(' ')} ended with ${status}`)
    return performance.now() - begin
  })
  return Math.round(times.sort((a, b) => a - b)[Math.floor(runs / 2)] as number)
}
