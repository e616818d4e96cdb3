/** A copy of the registries and their tests without the verifier, whose compilation takes minutes. */
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { projectRoot } from '../run-tool.ts'

/** The compiler and network of the project. */
const config = `
import { fileURLToPath } from 'node:url'
import hardhatToolboxViem from '@nomicfoundation/hardhat-toolbox-viem'
import { defineConfig } from 'hardhat/config'

export default defineConfig({
  plugins: [hardhatToolboxViem],
  solidity: {
    version: '0.8.35',
    path: fileURLToPath(import.meta.resolve('solc/soljson.js')),
    settings: { evmVersion: 'cancun', optimizer: { enabled: true, runs: 200 } },
  },
  networks: { default: { type: 'edr-simulated', chainType: 'l1', hardfork: 'osaka' } },
  // the marks take the memory that the replay of boot logs uses; quote-coverage.ts covers it with other marks
  coverage: { skipFiles: ['contracts/quote/**', 'contracts/instances/**'] },
  paths: { tests: { solidity: 'test/contracts' } },
  test: { solidity: { fuzz: { runs: 256 }, invariant: { runs: 32, depth: 64 } } },
})
`

/** @param wants which test files to take @returns the folder, with whatever was there gone */
export function copyRegistries(name: string, wants: (file: string) => boolean): string {
  const place = path.join(projectRoot, '.assent', name)
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  const copy = (...parts: string[]) =>
    cpSync(path.join(projectRoot, ...parts), path.join(place, ...parts), { recursive: true })

  copy('package.json')
  for (const folder of [
    'types',
    'registry',
    'auth',
    'governance',
    'instances',
    'requests',
    'test',
  ]) {
    copy('contracts', folder)
  }
  copy('contracts', 'quote', 'IQuoteVerifier.sol')
  // instances replay boot logs
  copy('contracts', 'quote', 'eventlog')
  copy('contracts', 'quote', 'cryptography', 'Sha384.sol')
  copy('contracts', 'quote', 'records', 'CodeStore.sol')
  for (const folder of ['attacks', 'hostile']) copy('test', 'contracts', folder)
  for (const file of ['Policy.t.sol', 'Report.t.sol']) copy('test', 'contracts', 'quote', file)
  for (const file of readdirSync(path.join(projectRoot, 'test', 'contracts'))) {
    if (file.endsWith('.sol') && wants(file)) copy('test', 'contracts', file)
  }
  writeFileSync(path.join(place, 'hardhat.config.ts'), config)
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(place, 'node_modules'), 'dir')
  return place
}
