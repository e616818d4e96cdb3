/**
 * Everything that must hold, on a clean checkout: `npm test`.
 *
 *   npm test                         all steps
 *   npm test -- --only lint,types    some of them
 *   npm test -- --list               their names
 *
 * Each step is a command that can be run by hand; a failing one does not stop the later ones.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { colors as pc } from '../src/commands/output/colors.ts'

import { type Report, runTool, runToolAside } from './run-tool.ts'

interface Step {
  readonly name: string
  readonly says: string
  readonly commands: readonly (readonly string[])[]
  readonly report?: Report
  /** Runs while the step before it does: that one leaves a processor free. */
  readonly isBeside?: boolean
}

const vitestReport = '.assent/vitest.json'

const steps: readonly Step[] = [
  {
    name: 'build',
    says: 'compiles contracts and package; checks the typed ABIs',
    commands: [['node', 'scripts/build.ts']],
  },
  {
    name: 'solidity',
    says: 'Solidity tests of the contracts: unit, fuzz, invariants; unchanged storage layout',
    commands: [
      ['hardhat', 'test', 'solidity'],
      ['node', 'scripts/generate/storage-layout.ts', '--check'],
      ['node', 'scripts/generate/storage-layouts.ts', '--check'],
    ],
  },
  { name: 'types', says: 'strict TypeScript', commands: [['tsc']], isBeside: true },
  {
    name: 'lint',
    says: 'Biome, Prettier for Solidity, generated files up to date',
    commands: [
      ['biome', 'check', '--error-on-warnings', '.'],
      ['prettier', '--check', '--log-level=warn', 'contracts/**/*.sol', 'test/contracts/**/*.sol'],
      // those two need compiled contracts: the steps build and solidity check them
      ['node', 'scripts/generate/all.ts', '--check', '--except', 'abi,storage'],
    ],
    isBeside: true,
  },
  {
    name: 'typescript',
    says: 'TypeScript tests: services, contracts through viem, end to end from quote to key',
    commands: [
      [
        'vitest',
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${vitestReport}`,
      ],
    ],
    report: { file: vitestReport, endMs: 60_000 },
  },
  {
    name: 'web',
    says: 'the dashboard: types, size of the first view, and its pages in Chromium; needs the build',
    commands: [
      ['tsc', '-p', 'web'],
      ['node', 'web/scripts/bundle-size.ts'],
      ['vitest', 'run', '--root', 'web'],
    ],
  },
]

const { values } = parseArgs({
  options: { only: { type: 'string' }, list: { type: 'boolean', default: false } },
})
if (values.list) {
  for (const { name, says } of steps) console.log(`${name.padEnd(12)}${says}`)
  process.exit(0)
}
const wanted = values.only?.split(',')
const unknown = wanted?.filter((name) => !steps.some((step) => step.name === name)) ?? []
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(', ')}. See npm test -- --list`)
  process.exit(2)
}

mkdirSync('.assent', { recursive: true })
rmSync(vitestReport, { force: true })

const results: Result[] = []
for (const round of roundsOf(steps.filter(({ name }) => wanted?.includes(name) ?? true))) {
  results.push(...(await runRound(round)))
}

console.log('')
for (const { name, seconds, ok } of results) {
  const mark = ok ? pc.green('ok    ') : pc.red('FAILED')
  console.log(`${mark} ${name.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s`)
}
summarizeSkips()
const failed = results.filter(({ ok }) => !ok).length
console.log(`steps: ${results.length - failed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

interface Result {
  readonly name: string
  readonly seconds: number
  readonly ok: boolean
}

/** Each with the steps that run beside it. */
function roundsOf(chosen: readonly Step[]): Step[][] {
  const rounds: Step[][] = []
  for (const step of chosen) {
    const round = rounds.at(-1)
    if (step.isBeside && round !== undefined) round.push(step)
    else rounds.push([step])
  }
  return rounds
}

async function runRound([first, ...beside]: readonly Step[]): Promise<Result[]> {
  if (first === undefined) return []
  console.log(`\n${titleOf(first)}`)
  const [result, others] = await Promise.all([runStep(first, runTool), runBeside(beside)])
  console.log(others.said)
  return [result, ...others.results]
}

async function runStep(
  { name, commands, report }: Step,
  run: (command: readonly string[], report?: Report) => Promise<boolean>,
): Promise<Result> {
  const start = performance.now()
  let ok = true
  for (const command of commands) ok &&= await run(command, report)
  return { name, seconds: (performance.now() - start) / 1000, ok }
}

/** One after the other; what they say is for later. */
async function runBeside(chosen: readonly Step[]): Promise<{ results: Result[]; said: string }> {
  const results: Result[] = []
  let said = ''
  for (const step of chosen) {
    said += `\n${titleOf(step)}\n`
    const result = await runStep(step, async (command) => {
      const ran = await runToolAside(command)
      said += ran.said
      return ran.ok
    })
    results.push(result)
  }
  return { results, said }
}

function titleOf({ name, says }: Step): string {
  return `${pc.bold(`▸ ${name}`)} ${pc.dim(says)}`
}

/** Skipped tests are said loudly: they are what this machine did not check. */
function summarizeSkips(): void {
  let report: { numPendingTests: number; numPassedTests: number; numFailedTests: number }
  try {
    report = JSON.parse(readFileSync(vitestReport, 'utf8'))
  } catch {
    return
  }
  const { numPassedTests, numFailedTests, numPendingTests } = report
  console.log(
    `tests: ${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`,
  )
  if (numPendingTests > 0) {
    console.log(
      pc.yellow(
        `${numPendingTests} tests were SKIPPED: recorded vectors or a tool are missing here; see vectors/README.md`,
      ),
    )
  }
}
