/**
 * Runs light-client tests of `ethereum/consensus-specs`: `npm run light-client:vectors -- FOLDER`.
 *
 * Any folder of such tests will do: every folder below it with `steps.yaml` (sync), `proof.yaml` (single Merkle
 * proof) or `updates_0.ssz_snappy` (ranking) is a test. The last line counts them; a difference means exit code 1.
 */
import { existsSync } from 'node:fs'
import { relative, resolve } from 'node:path'

import { findTests, runTest } from '../../test/chain/consensus/spec-suite.ts'

const [folder, ...rest] = process.argv.slice(2)
if (folder === undefined || rest.length > 0 || !existsSync(folder)) {
  console.error('usage: npm run light-client:vectors -- FOLDER')
  process.exit(2)
}

let held = 0
let differing = 0
const tests = findTests(resolve(folder))
for (const test of tests) {
  const result = runTest(test)
  held += result.held
  if (result.difference !== undefined) differing += 1
  console.log(
    `${result.difference === undefined ? 'holds  ' : 'DIFFERS'}  ${relative(resolve(folder), test) || '.'}${
      result.difference === undefined ? '' : `: ${result.difference}`
    }`,
  )
}
console.log(
  `${tests.length} tests: ${tests.length - differing} hold, ${differing} differ; ${held} steps hold`,
)
process.exit(tests.length > 0 && differing === 0 ? 0 : 1)
