/**
 * What takes too long for every change: `npm run nightly`.
 *
 *   npm run nightly                                  all steps
 *   npm run nightly -- --only fuzz,solidity-fuzz     some of them
 *   npm run nightly -- --seed 42                     inputs made from this seed (random if absent)
 *   npm run nightly -- --list                        names, durations, what each proves
 *
 * Every step gets `ASSENT_NIGHTLY=1` and `ASSENT_SEED`. `.assent/nightly/` has a log of each;
 * `.assent/nightly/failures/` what is needed to see a failure again.
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { colors as pc } from '../src/commands/output/colors.ts'
import { projectRoot, toolCommand } from './run-tool.ts'
import { failuresFolder, keepFailure, readSeed } from './test-effort.ts'

interface Step {
  readonly name: string
  /** on two cores with nothing else to do, measured */
  readonly minutes: number
  readonly proves: string
  /** `[tool, …arguments]`, run one after the other until one fails */
  readonly commands: readonly (readonly string[])[]
  /** beside those that every step gets, or instead of them */
  readonly env?: Readonly<Record<string, string>>
}

/** Add a step here: its test reads `inputs` and `seed` of `intensity.ts`. */
const steps: readonly Step[] = [
  {
    name: 'hostile-quotes',
    minutes: 3,
    proves: 'no changed quote or collateral verifies; only typed errors come out',
    commands: [vitest('test/quote/hostile.test.ts')],
  },
  {
    name: 'fuzz',
    minutes: 7,
    proves: 'parsers: 1,000,000 inputs without crash, hang or accepted garbage',
    commands: [vitest('test/fuzz')],
  },
  {
    name: 'without-vectors',
    minutes: 8,
    proves: 'the tests pass where no recorded vectors are, and count what they skip',
    commands: [
      ['node', 'scripts/build.ts'],
      ['vitest', 'run'],
    ],
    env: { ASSENT_NIGHTLY: '0', ASSENT_VECTORS: path.join(projectRoot, '.assent', 'no-vectors') },
  },
  {
    name: 'parity',
    minutes: 12,
    proves: 'Solidity and TypeScript answer the same on all vectors and 50,000 forgeries',
    commands: [vitest('test/chain/parity.test.ts')],
  },
  {
    name: 'proven-parity',
    minutes: 20,
    proves:
      'proofs, contracts and the log’s check say the same after 4,000 operations on two nodes',
    commands: [vitest('test/chain/view-parity.test.ts')],
  },
  {
    name: 'lies',
    minutes: 1,
    proves: 'no key for any lie of any endpoint, each sent from every position',
    commands: [
      vitest('test/kms/malicious-endpoints.test.ts', 'test/kms/malicious-beacons.test.ts'),
    ],
  },
  {
    name: 'attack-load',
    minutes: 4,
    proves: 'a guest gets its keys within a second while others hold, flood or starve the KMS',
    commands: [['node', 'bench/release/attack-load.ts']],
  },
  {
    name: 'proven-mutants',
    minutes: 6,
    proves:
      'tests notice when proofs, agreement, memory, epochs or the log’s check are broken in any of these places',
    commands: [['node', 'scripts/mutants/proven-mutants.ts']],
  },
  {
    name: 'quote-mutants',
    minutes: 4,
    proves: 'the contracts’ own tests notice when DER, CRLs, leaves or the policy are broken',
    commands: [['node', 'scripts/mutants/quote-mutants.ts']],
  },
  {
    name: 'mutants',
    minutes: 15,
    proves: 'tests notice at least 85 % of the changes in a sample of each area of src',
    commands: [['node', 'scripts/mutants/typescript-mutants.ts']],
  },
  {
    name: 'solidity-fuzz',
    minutes: 15,
    proves: 'contracts alone: 20,000 fuzz runs a test, 512 invariant runs 256 calls deep',
    commands: [['hardhat', 'test', 'solidity']],
  },
  {
    name: 'deploy-kills',
    minutes: 3,
    proves:
      'a deployment or upgrade killed at each transaction and write ends the same, nothing twice',
    commands: [
      vitest('test/chain/deploy/deploy-crash.test.ts', 'test/tasks/upgrade-crash.test.ts'),
    ],
  },
  {
    name: 'contract-coverage',
    minutes: 5,
    proves:
      'Solidity tests run every line of registries, KmsAuth, governance and types, every condition both ways',
    commands: [['node', 'scripts/coverage/contract-coverage.ts']],
  },
  {
    name: 'quote-coverage',
    minutes: 4,
    proves:
      'committed tests enter every function of the quote verifier and answer every question both ways',
    commands: [['node', 'scripts/coverage/quote-coverage.ts']],
  },
  {
    name: 'contract-mutants',
    minutes: 11,
    proves: 'each rule about the registries notices the mutants that break it',
    commands: [['node', 'scripts/mutants/contract-mutants.ts']],
  },
  {
    name: 'solidity-mutants',
    minutes: 35,
    proves: 'Solidity tests detect 85 % of random changes in each part of the contracts',
    commands: [['node', 'scripts/mutants/solidity-mutants.ts']],
  },
  {
    name: 'halmos',
    minutes: 8,
    proves:
      'approvals, the guardian’s limits and key epochs for all inputs; each proof fails on a mutant',
    commands: [['node', 'scripts/proofs/halmos.ts']],
  },
  {
    name: 'slither',
    minutes: 3,
    proves: 'Slither finds nothing in the contracts that is not listed with a reason',
    commands: [
      ['hardhat', 'build'],
      ['node', 'scripts/proofs/slither.ts'],
    ],
  },
  {
    name: 'relayer-model',
    minutes: 6,
    proves: '100,000 schedules of crashes, lies and reorgs: every intent final exactly once',
    commands: [vitest('test/relayer/model.test.ts')],
  },
  {
    name: 'relayer-anvil',
    minutes: 5,
    proves: '300 of these schedules end the same on a real node and contract',
    commands: [vitest('test/relayer/model-anvil.test.ts')],
  },
  {
    name: 'relayer-mutants',
    minutes: 4,
    proves: 'the model notices when the outbox is broken in any of these places',
    commands: [['node', 'scripts/mutants/relayer-mutants.ts']],
  },
  {
    name: 'relayer-soak',
    minutes: 22,
    proves: 'kill -9 for ten minutes, one and three replicas: what was accepted is on chain once',
    commands: [vitest('test/relayer/soak.test.ts')],
  },
  {
    name: 'indexer-replay',
    minutes: 20,
    proves: 'after 10,000 random operations and reorgs, every indexed row is what the chain has',
    commands: [vitest('test/indexer/follow.test.ts')],
    env: { ASSENT_INDEXER_OPERATIONS: '10000' },
  },
]

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
})
const wanted = values.only?.split(',')
const unknown = wanted?.filter((name) => !steps.some((step) => step.name === name)) ?? []
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(', ')}. See npm run nightly -- --list`)
  process.exit(2)
}
const chosen = steps.filter(({ name }) => wanted?.includes(name) ?? true)
const nameWidth = Math.max(...steps.map(({ name }) => name.length)) + 2

if (values.list) {
  for (const { name, minutes, proves } of chosen) {
    console.log(`${name.padEnd(nameWidth)}${`${minutes} min`.padStart(7)}  ${proves}`)
  }
  process.exit(0)
}

const seed = values.seed === undefined ? randomInt(2 ** 32) : readSeed(values.seed)
const logsFolder = path.dirname(failuresFolder)
mkdirSync(logsFolder, { recursive: true })
const minutesInAll = chosen.reduce((sum, { minutes }) => sum + minutes, 0)
console.log(`seed ${seed}, ${chosen.length} steps, about ${minutesInAll} minutes`)

const results: { name: string; stated: number; seconds: number; ok: boolean }[] = []
for (const step of chosen) results.push(await runStep(step))

console.log('')
for (const { name, stated, seconds, ok } of results) {
  const mark = ok ? pc.green('ok    ') : pc.red('FAILED')
  const taken = `${(seconds / 60).toFixed(1)} min`
  console.log(`${mark} ${name.padEnd(nameWidth)}${taken.padStart(9)}  (stated: ${stated})`)
}
const failed = results.filter(({ ok }) => !ok)
console.log(
  `steps: ${results.length - failed.length} passed, ${failed.length} failed, seed ${seed}`,
)
if (failed.length > 0) {
  const names = failed.map(({ name }) => name).join(',')
  console.log(`again: npm run nightly -- --only ${names} --seed ${seed}`)
  console.log(`kept in: ${path.relative(projectRoot, failuresFolder)}`)
}
process.exit(failed.length === 0 ? 0 : 1)

function vitest(...files: string[]): readonly string[] {
  return ['vitest', 'run', ...files]
}

async function runStep({ name, minutes, proves, commands, env = {} }: Step) {
  console.log(`\n${pc.bold(`▸ ${name}`)} ${pc.dim(`${proves} (about ${minutes} min)`)}`)
  const start = performance.now()
  const log = createWriteStream(path.join(logsFolder, `${name}.log`))
  let ok = true
  for (const command of commands) {
    const { exitCode, tail } = await run(command, log, env)
    if (exitCode === 0) continue
    console.log(tail.join('\n'))
    keepFailure(`${name}-${seed}`, { seed, step: name, command, exitCode, tail })
    ok = false
    break
  }
  log.end()
  return { name, stated: minutes, seconds: (performance.now() - start) / 1000, ok }
}

/** Runs a command into the log, saying now and then how far it is. */
async function run(
  command: readonly string[],
  log: WriteStream,
  stepEnv: Readonly<Record<string, string>>,
): Promise<{ exitCode: number; tail: string[] }> {
  const child = spawn(process.execPath, toolCommand(command), {
    cwd: projectRoot,
    env: {
      ...process.env,
      ...{ ASSENT_NIGHTLY: '1', ASSENT_SEED: String(seed), NO_COLOR: '1' },
      ...stepEnv,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tail: string[] = []
  const read = (chunk: Buffer) => {
    log.write(chunk)
    tail.push(...chunk.toString('utf8').split('\n').filter(Boolean))
    tail.splice(0, tail.length - 60)
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const stopSaying = sayProgress(() => tail.at(-1) ?? '')
  const exitCode = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(127))
    child.on('close', (code) => resolve(code ?? 1))
  })
  stopSaying()
  return { exitCode, tail }
}

/** One line that changes on a terminal, a line every five minutes in a pipe. */
function sayProgress(line: () => string): () => void {
  const start = performance.now()
  const elapsed = () => `${((performance.now() - start) / 60_000).toFixed(1)} min`
  const isTerminal = process.stdout.isTTY === true
  const show = () => {
    const text = `  ${elapsed()}  ${line()}`
    if (!isTerminal) console.log(text)
    else process.stdout.write(`\r\u001b[K${text.slice(0, process.stdout.columns - 1)}`)
  }
  const timer = setInterval(show, isTerminal ? 1_000 : 300_000)
  return () => {
    clearInterval(timer)
    if (isTerminal) process.stdout.write('\r\u001b[K')
  }
}
