/**
 * Demands that the committed tests enter every function of the quote verifier, and that every question there is
 * answered both ways: `node scripts/coverage/quote-coverage.ts`. With `--check` it only says whether its edits and its
 * list of impossible answers still fit the code.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { applyEdit, reportAnchors } from '../mutants/mutate.ts'
import { projectRoot, toolCommand } from '../run-tool.ts'
import { type Mark, makeViews, markAll, waysOf, whatIsMissing } from './coverage-markers.ts'

/** What no test can show, by the name of the mark and what never happens, and why. */
const impossible: Readonly<Record<string, string>> = {
  'Digest sha256OfWord: success is never false':
    'the precompile fails below its 72 gas only, and then at most one gas is left to ask with',
  'DocumentUpload _content: levels != held.levels is never true':
    'asked when both are the same 20 octets: a second level is not all zeros, for its date is not, and no account has such an address',
  'DocumentUpload _signer: isRevoked is never false':
    'asked when no certificate of the signers counts: each signer has one, and is revoked when the root CRL lists all',
  'CollateralJson qeIdentity: cursor.end >> 16 == 0 is never false':
    '128 levels of ten octets end long before octet 65,536',
  'QuoteVerifier _cap: numbers.nextFrom <= block.timestamp is never false':
    'asked after the end of the standard number, and the next number begins in that second',
  'Json text: bad >> (248 - 8 * ((end - pos) % 32)) != 0 is never true':
    'asked when the first mark stands before whatever is bad: `quote > bad` says the same of 32 characters',
}

/** These run the verifier on a chain. They need no recorded vectors. */
const tests = [
  'test/chain/verifier/verifier-forms.test.ts',
  'test/chain/verifier/store.test.ts',
  'test/chain/verifier/evaluation-numbers.test.ts',
]
const attackTests = 'test/contracts/attacks/verifier.test.ts'
/** Of these, the promises of the verifier. H12 measures gas, which marks cost. */
const attackNames = 'V[0-9]+: '
/** Compiling these takes minutes. */
const slowToCompile = [
  'contracts/quote/QuoteVerifier.sol',
  'contracts/quote/collateral/CollateralStore.sol',
  'contracts/quote/collateral/IssuerUpload.sol',
  'contracts/quote/collateral/DocumentUpload.sol',
]
const parityTests = 'test/chain/parity.test.ts'
/** Of these, what is the same every day: no forgeries. */
const parityNames = 'give the same answer for every'
/** Longer than the tests say: marks take time. */
const patience = '1200000'

/** Marks cost gas: the largest uploads would not fit into a transaction. */
const unlimitedGas = 'transactionGasCap: false, blockGasLimit: 10n ** 10n'

const isCheck = process.argv.includes('--check')
const place = path.join(projectRoot, '.assent', isCheck ? 'quote-coverage-check' : 'quote-coverage')
const recordedFile = path.join(place, 'recorded.txt')

prepare()
const marks = markAll(
  path.join(place, 'contracts'),
  (readdirSync(path.join(place, 'contracts', 'quote'), { recursive: true }) as string[])
    .filter((file) => file.endsWith('.sol'))
    .map((file) => `quote/${file}`),
)
if (isCheck) check(marks)
const ran =
  withoutVerifier(() => run(['hardhat', 'test', 'solidity', '--coverage'])) &&
  run(['node', 'scripts/compile.ts']) &&
  vitest(...tests) &&
  vitest(attackTests, '--testNamePattern', `^${attackNames}`) &&
  vitest(parityTests, '--testNamePattern', parityNames)
const missing = ran ? whatIsMissing(marks, waysTaken(), impossible) : ['the tests failed']
rmSync(place, { recursive: true, force: true })
for (const each of missing) console.error(each)
const questions = marks.filter(({ kind }) => kind === 'question').length
console.log(
  missing.length === 0
    ? `${marks.length - questions} functions were entered, ${questions} questions answered both ways, but for ${Object.keys(impossible).length} answers listed as impossible`
    : `${missing.length} ways of ${marks.length + questions} are missing`,
)
process.exit(missing.length === 0 ? 0 : 1)

/** A copy of what these tests need, in which Hardhat listens. */
function prepare(): void {
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  const contracts = ['quote', 'types', 'registry', 'auth', 'test/AcceptingVerifier.sol']
  const parts = contracts.map((part) => `contracts/${part}`)
  const configs = ['vitest.config.ts', 'hardhat.config.ts', 'package.json']
  for (const part of [...parts, ...configs, 'test', 'tasks', 'src', 'scripts']) {
    cpSync(path.join(projectRoot, part), path.join(place, part), { recursive: true })
  }
  for (const name of ['node_modules', 'vectors']) {
    symlinkSync(path.join(projectRoot, name), path.join(place, name), 'dir')
  }
  const tested = path.join(place, 'test', 'contracts')
  for (const file of readdirSync(tested, { recursive: true }) as string[]) {
    if (!file.endsWith('.sol')) continue
    if (file === 'Vm.sol' || file.startsWith('quote/')) makeViews(path.join(tested, file))
    else rmSync(path.join(tested, file))
  }
  makeViews(path.join(place, 'contracts', 'test', 'AcceptingVerifier.sol'))
  edit('hardhat.config.ts', [
    [
      'import assent from',
      "import listener from './scripts/coverage/coverage-listener.ts'\nimport assent from",
    ],
    // its own marks would break what they are in
    ['plugins: [', "coverage: { skipFiles: ['**'] },\n  plugins: [listener, "],
    ["hardfork: 'osaka' },", `hardfork: 'osaka', ${unlimitedGas} },`],
  ])
  edit(parityTests, [
    [
      "every fault of the simulator', {\n  timeout: 120_000,",
      `every fault of the simulator', {\n  timeout: ${patience},`,
    ],
  ])
  edit('src/commands/quote/in-process-chain.ts', [
    [
      'import type { HardhatUserConfig }',
      "import listener from '../../../scripts/coverage/coverage-listener.ts'\nimport type { HardhatUserConfig }",
    ],
    ['HardhatUserConfig = {', 'HardhatUserConfig = {\n    plugins: [listener],'],
    ["hardfork: 'osaka',", `hardfork: 'osaka', ${unlimitedGas},`],
  ])
  edit('src/chain/verifier/verify-onchain.ts', [
    ['TRANSACTION_GAS = 16_777_216n', 'TRANSACTION_GAS = 10n ** 9n'],
  ])
}

function edit(file: string, edits: readonly (readonly [from: string, to: string])[]): void {
  const target = path.join(place, file)
  const text = edits.reduce(
    (before, [from, to]) => applyEdit(before, { from, to }, file),
    readFileSync(target, 'utf8'),
  )
  writeFileSync(target, text)
}

/** Ends the process. `prepare` has applied the edits already. */
function check(marked: readonly Mark[]): never {
  const ways = new Set(waysOf(marked))
  const files = [...tests, ...slowToCompile]
  const textOf = (file: string) => readFileSync(path.join(place, file), 'utf8')
  const isFound: Record<string, boolean> = {
    ...Object.fromEntries(Object.keys(impossible).map((name) => [name, ways.has(name)])),
    ...Object.fromEntries(files.map((name) => [name, existsSync(path.join(place, name))])),
    [attackNames]: new RegExp(`\\('${attackNames}`).test(textOf(attackTests)),
    [parityNames]: textOf(parityTests).includes(parityNames),
  }
  rmSync(place, { recursive: true, force: true })
  reportAnchors(isFound)
}

/** The contracts’ own tests do without these files, and would compile them again. */
function withoutVerifier(test: () => boolean): boolean {
  const files = slowToCompile.map((file) => path.join(place, file))
  for (const file of files) renameSync(file, `${file}.aside`)
  const isGreen = test()
  for (const file of files) renameSync(`${file}.aside`, file)
  return isGreen
}

function vitest(...args: readonly string[]): boolean {
  return run(['vitest', 'run', '--testTimeout', patience, '--hookTimeout', patience, ...args])
}

function run(command: readonly string[]): boolean {
  const { status } = spawnSync(process.execPath, toolCommand(command), {
    cwd: place,
    stdio: 'inherit',
    env: {
      ...process.env,
      // every day's tests on every day's inputs, so that the answer is the same in every night
      ...{ ASSENT_NIGHTLY: '0', ASSENT_SEED: '1', ASSENT_COVERAGE_FILE: recordedFile },
      ASSENT_VECTORS: path.join(place, 'no-vectors'),
    },
  })
  return status === 0
}

/** Of the chains, and of the Solidity tests, which Hardhat keeps itself. */
function waysTaken(): Set<number> {
  const recorded = existsSync(recordedFile)
    ? readFileSync(recordedFile, 'utf8').split('\n').filter(Boolean)
    : []
  const data = path.join(place, 'coverage', 'data')
  const kept = (readdirSync(data, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => Object.keys(JSON.parse(readFileSync(path.join(data, file), 'utf8'))))
  return new Set([...recorded.map(Number), ...kept.map((tag) => Number(BigInt(`0x${tag}`)))])
}
