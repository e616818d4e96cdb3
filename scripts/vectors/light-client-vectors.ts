/**
 * Runs light-client tests of `ethereum/consensus-specs`: `npm run light-client:vectors -- FOLDER`.
 *
 * Any folder of the suite will do. Tests of the kinds sync, single Merkle proof, update ranking, data collection, and
 * `ssz_static` of the light client's containers are run; those of other parts of the suite are counted. A test or a step of
 * an unknown kind is a difference. The last line counts all; a difference, or no test, means exit code 1.
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
const { tests, others } = findTests(resolve(folder))
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
  `${tests.length} tests: ${tests.length - differing} hold, ${differing} differ; ${held} steps hold${
    others === 0 ? '' : `; ${others} tests of other parts of the suite were not run`
  }`,
)
process.exit(tests.length > 0 && differing === 0 ? 0 : 1)
