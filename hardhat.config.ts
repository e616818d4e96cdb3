import { fileURLToPath } from 'node:url'

import hardhatToolboxViem from '@nomicfoundation/hardhat-toolbox-viem'
import { configVariable, defineConfig } from 'hardhat/config'

import buildPlugin from './scripts/build-plugin.ts'
import { inputs, isNightly, seed } from './scripts/test-effort.ts'
import assent from './tasks/index.ts'

/** The compiler comes from npm, so that a build downloads nothing. */
const solcPath = fileURLToPath(import.meta.resolve('solc/soljson.js'))

const settings = {
  // the oldest that chains may have: no opcode of a later one is used anywhere
  evmVersion: 'cancun',
  optimizer: { enabled: true, runs: 200 },
  outputSelection: { '*': { '*': ['storageLayout'] } },
}
const compiler = { version: '0.8.35', path: solcPath, settings }

/**
 * The code whose gas every quote pays for. Little else gets the pipeline: it takes a minute, and makes
 * the rounds of SHA-384 (`BootLog`) fifteen times as dear.
 */
const optimized = {
  ...compiler,
  settings: {
    ...settings,
    viaIR: true,
    optimizer: { enabled: true, runs: 400 },
  },
}

/** Contracts ask it about every signature, so its size counts less than the gas of a question. */
const asked = {
  ...compiler,
  settings: { ...settings, viaIR: true, optimizer: { enabled: true, runs: 1_000_000 } },
}

/** Rounds of SHA-384: constants are pushed whole instead of being put together each time. */
const unrolled = {
  ...compiler,
  settings: { ...settings, optimizer: { enabled: true, runs: 1_000_000 } },
}

/** As the rest, through the pipeline: without it the code is larger than an account may have (24,576 bytes, EIP-170). */
const smaller = { ...compiler, settings: { ...settings, viaIR: true } }

export default defineConfig({
  plugins: [hardhatToolboxViem, buildPlugin, assent],
  solidity: {
    compilers: [compiler],
    // who starts Assent need not compile its tests
    splitTestsCompilation: true,
    overrides: {
      'contracts/quote/QuoteVerifier.sol': optimized,
      'contracts/quote/collateral/IssuerUpload.sol': optimized,
      'contracts/quote/collateral/DocumentUpload.sol': optimized,
      'contracts/quote/eventlog/BootLog.sol': unrolled,
      'contracts/registry/Hosts.sol': smaller,
      'contracts/instances/Instances.sol': asked,
      // relayers call it all day
      'contracts/registry/Heartbeat.sol': optimized,
    },
    // what is deployed as it is, so that its artifacts lie beside ours
    npmFilesToBuild: [
      '@openzeppelin/contracts/governance/TimelockController.sol',
      '@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol',
    ],
  },
  networks: {
    // osaka: the P-256 precompile at 0x100 (EIP-7951)
    default: { type: 'edr-simulated', chainType: 'l1', hardfork: 'osaka' },
    // any chain, for the tasks: to read from it, and to sign with a key from Hardhat's keystore
    live: { type: 'http', url: configVariable('ASSENT_RPC_URL') },
    signed: {
      type: 'http',
      url: configVariable('ASSENT_RPC_URL'),
      accounts: [configVariable('ASSENT_KEY')],
    },
  },
  paths: { tests: { solidity: 'test/contracts' } },
  test: {
    solidity: {
      // 32 bytes; the fixed default keeps every day's run the same
      fuzz: {
        runs: inputs(256, 20_000),
        ...(isNightly ? { seed: `0x${seed.toString(16).padStart(64, '0')}` } : {}),
      },
      invariant: { runs: inputs(32, 512), depth: inputs(64, 256) },
    },
  },
})
