/**
 * Writes the simulator's catalogue as files, so that any verifier can be asked about it: `npm run suite -- folder`.
 *
 *   folder/root.der                     the root to trust
 *   folder/cases/<name>/quote.bin
 *   folder/cases/<name>/collateral.json QuoteCollateralV3, the field names of dcap-qvl
 *   folder/cases/<name>/expected.json   what every verifier must say, and why it is asked
 *   folder/expected.json                the same of all cases, for --expected
 *
 * All of it is made from one seed: the same bytes on every machine. Nothing of it is secret, nothing is Intel's.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { equalBytes } from '../src/lib/bytes.ts'
import { createSimulator } from '../src/tee/simulator/simulator.ts'
import {
  type CaseEvidence,
  createCaseFixture,
  type FaultCase,
} from '../test/simulator/faults/case.ts'
import { faultCatalogue } from '../test/simulator/faults/catalogue.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000

const [folder, ...rest] = process.argv.slice(2)
if (folder === undefined || rest.length > 0) {
  console.error('Usage: npm run suite -- <folder>')
  process.exit(2)
}

const bench = createCaseFixture(createSimulator({ at, seed: new Uint8Array(32).fill(11) }))
const root = bench.simulator.rootCertificate
mkdirSync(folder, { recursive: true })
writeFileSync(path.join(folder, 'root.der'), root)

const expected: Record<string, object> = {}
for (const entry of faultCatalogue) {
  const evidence = entry.build(bench)
  // one run has one root and one time
  if (!equalBytes(evidence.root, root) || evidence.at !== at) continue
  writeCase(path.join(folder, 'cases', entry.name), entry, evidence)
  expected[entry.name] = { about: entry.about, ...entry.expect }
}
writeFileSync(path.join(folder, 'expected.json'), json(expected))
console.log(
  `${Object.keys(expected).length} cases in ${path.join(folder, 'cases')}, verify them at ${at}:`,
)
console.log(
  `npx assent quote verify ${path.join(folder, 'cases')} --root ${path.join(folder, 'root.der')} --policy none --at ${at} --expected ${path.join(folder, 'expected.json')}`,
)

function writeCase(place: string, { about, expect }: FaultCase, evidence: CaseEvidence): void {
  mkdirSync(place, { recursive: true })
  writeFileSync(path.join(place, 'quote.bin'), evidence.quote)
  writeFileSync(path.join(place, 'collateral.json'), json(evidence.collateral))
  writeFileSync(path.join(place, 'expected.json'), json({ about, ...expect }))
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
