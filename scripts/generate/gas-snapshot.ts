/**
 * Writes snapshots/verifier-gas.json: what verifying a quote and storing collateral cost, so that a diff shows it.
 *
 * `--check` writes nothing and fails if a row costs another amount. Needs the recorded vectors.
 */
import { readFile, writeFile } from 'node:fs/promises'

import { gasRows } from '../../bench/verifier.ts'
import { vectorsFolder } from '../vectors/vectors.ts'

const target = new URL('../../snapshots/verifier-gas.json', import.meta.url)

if (vectorsFolder === undefined) {
  console.error('The recorded vectors are absent: nothing can be measured.')
  process.exit(1)
}
const rows = await gasRows()
const values = Object.fromEntries(rows.map(({ name, value }) => [name, value]))
const found = `${JSON.stringify(values, null, 2)}\n`

if (!process.argv.includes('--check')) {
  await writeFile(target, found)
} else if (found !== (await readFile(target, 'utf8').catch(() => ''))) {
  console.error(
    `Gas has changed. If that is meant: node scripts/generate/gas-snapshot.ts\n${found}`,
  )
  process.exit(1)
}
process.exit(0)
