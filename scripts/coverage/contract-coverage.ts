/**
 * Demands that the Solidity tests run every line of the registries, of KmsAuth, of the governance and of their types,
 * and that every condition there goes both outcomes: `node scripts/coverage/contract-coverage.ts`. With `--check` it only
 * says whether its lists still fit the code. The quote verifier has a script of its own, `quote-coverage.ts`.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { reportAnchors } from '../mutants/mutate.ts'
import { toolCommand } from '../run-tool.ts'
import { copyRegistries } from './copy-registries.ts'
import { type AssemblyCondition, type BranchOutcome, splitBranches } from './instrument-branches.ts'

/** What no test can show, by file, condition and outcome, and why. */
const impossible: Readonly<Record<string, string>> = {
  'auth/KmsAuth.sol: kind == Kind.App is never false':
    'of `_idAt`: a page asks for positions that are listed only, and only apps are listed without an id',
}

/** Conditions in assembly, by file and line of code, and the tests that show both outcomes. */
const inAssembly: Readonly<Record<string, string>> = {
  'auth/BoundedAppCall.sol: if gt(size, longest) {':
    'test_ReturnBombIsADenial, and every answer that is not too long',
  'governance/DaoFactory.sol: if returndatasize() {':
    'a constructor’s own words and none: DaoFactory.t.sol',
}

const isCheck = process.argv.includes('--check')
// the long history would take hours under the instrument, and runs nothing that others do not
const place = copyRegistries(
  isCheck ? 'contract-coverage-check' : 'contract-coverage',
  (file) => !/^(System|EventReplay)/.test(file),
)
const { outcomes, inAssembly: assembly } = splitBranches(path.join(place, 'contracts'), [
  'types',
  'registry',
  'auth',
  'governance',
])
if (isCheck) check()
const { status } = spawnSync(
  process.execPath,
  toolCommand(['hardhat', 'test', 'solidity', '--coverage']),
  { cwd: place, stdio: 'inherit' },
)
const missing = status === 0 ? whatIsMissing() : ['the tests failed']
rmSync(place, { recursive: true, force: true })
for (const each of missing) console.error(each)
console.log(
  missing.length === 0
    ? `every line was run; ${outcomes.length / 2} conditions went both outcomes, but for ${Object.keys(impossible).length} listed as impossible`
    : `${missing.length} of ${outcomes.length} outcomes, and of all lines, are missing`,
)
process.exit(missing.length === 0 ? 0 : 1)

/** Ends the process. */
function check(): never {
  rmSync(place, { recursive: true, force: true })
  const names = new Set(outcomes.map(nameOf))
  const found = new Set(assembly.map(codeOf))
  reportAnchors({
    ...Object.fromEntries(Object.keys(impossible).map((name) => [name, names.has(name)])),
    ...Object.fromEntries(Object.keys(inAssembly).map((name) => [name, found.has(name)])),
    ...Object.fromEntries(
      [...found].map((name) => [`listed: ${name}`, inAssembly[name] !== undefined]),
    ),
  })
}

function whatIsMissing(): string[] {
  const counted = countedLines()
  const byLine = new Map(outcomes.map((way) => [`${way.file}:${way.countedAt}`, way]))
  const lines = [...counted]
    .filter(([line, count]) => count === 0 && !byLine.has(line))
    .map(([line]) => `not run: ${line}`)
  const untaken = outcomes.filter((way) => !counted.get(`${way.file}:${way.countedAt}`))
  const names = new Set(untaken.map(nameOf))
  return [
    ...lines,
    ...untaken
      .filter((way) => impossible[nameOf(way)] === undefined)
      .map((way) => `never ${way.outcome}: ${way.file}:${way.line}  ${way.condition}`),
    ...Object.keys(impossible)
      .filter((name) => !names.has(name))
      .map((name) => `listed as impossible, and it is not: ${name}`),
    ...assembly
      .map(codeOf)
      .filter((name) => inAssembly[name] === undefined)
      .map((name) => `a condition in assembly that nobody speaks for: ${name}`),
  ]
}

function codeOf({ file, code }: AssemblyCondition): string {
  return `${file}: ${code}`
}

function nameOf({ file, condition, outcome }: BranchOutcome): string {
  return `${file}: ${condition} is never ${outcome}`
}

/** How often each line of the contracts was run. */
function countedLines(): Map<string, number> {
  const report = readFileSync(path.join(place, 'coverage', 'lcov.info'), 'utf8')
  return new Map(
    report.split('end_of_record').flatMap((record) => {
      const file = /^SF:(?:.*\/)?contracts\/(.*)$/m.exec(record)?.[1] ?? ''
      if (file === '' || file.startsWith('test/')) return []
      return [...record.matchAll(/^DA:(\d+),(\d+)$/gm)].map(
        ([, line, count]) => [`${file}:${line}`, Number(count)] as const,
      )
    }),
  )
}
