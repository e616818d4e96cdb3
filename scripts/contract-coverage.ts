/**
 * Demands that the Solidity tests run every line of the registries, of KmsAuth and of the governance:
 * `node scripts/contract-coverage.ts`.
 *
 * Hardhat counts statements, not the ways out of a condition.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'

import { copyRegistries } from './registries-alone.ts'
import { toolCommand } from './tool.ts'

/** Verifier's types: their tests are beside the verifier's. */
const elsewhere = ['types/Report.sol', 'types/Policy.sol', 'types/Bytes48.sol', 'contracts/test/']

// the long history would take hours under the instrument, and runs nothing that others do not
const place = copyRegistries('contract-coverage', (file) => !/^(World|Mirror)/.test(file))
const { status } = spawnSync(
  process.execPath,
  toolCommand(['hardhat', 'test', 'solidity', '--coverage']),
  { cwd: place, stdio: 'inherit' },
)
const missing = status === 0 ? linesNotRun() : ['the tests failed']
rmSync(place, { recursive: true, force: true })
for (const line of missing) console.error(`not run: ${line}`)
console.log(missing.length === 0 ? 'every line was run' : `${missing.length} lines were not run`)
process.exit(missing.length === 0 ? 0 : 1)

function linesNotRun(): string[] {
  const report = readFileSync(path.join(place, 'coverage', 'lcov.info'), 'utf8')
  return report.split('end_of_record').flatMap((record) => {
    const file = /^SF:(.*)$/m.exec(record)?.[1] ?? ''
    if (elsewhere.some((part) => file.includes(part))) return []
    return [...record.matchAll(/^DA:(\d+),0$/gm)].map(([, line]) => `${file}:${line}`)
  })
}
