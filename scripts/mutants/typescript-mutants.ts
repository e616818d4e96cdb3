/**
 * Mutation tests of the TypeScript code, with Stryker: changes one place at a time and expects that a test fails.
 *
 *   node scripts/mutants/typescript-mutants.ts                            all areas, a sample that changes with the date
 *   node scripts/mutants/typescript-mutants.ts --areas kms,relayer        some areas
 *   node scripts/mutants/typescript-mutants.ts --lines 500                a larger sample of each area
 *   node scripts/mutants/typescript-mutants.ts --files src/quote/tcb.ts   these files as a whole, with the tests of their area
 *   node scripts/mutants/typescript-mutants.ts --files … --tests …         with these tests only, which is faster
 *   node scripts/mutants/typescript-mutants.ts --seed 42                  the sample of this seed
 *
 * The score of an area is killed mutants / (all mutants - accepted survivors). The run fails below 85 %.
 *
 * `test/mutants/accepted.json` lists survivors that cannot or need not be killed, with the reason. An entry is found
 * again by file, line of code and replacement, so other lines may move. An entry that is killed is reported: delete it.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { projectRoot, runTool } from '../run-tool.ts'
import { readSeed } from '../test-effort.ts'
import { vectorsFolder } from '../vectors/vectors.ts'

interface Area {
  /** Folders below `src`. */
  readonly sources: readonly string[]
  readonly tests: readonly string[]
  /** Of these tests, what takes long: exhaustive and peer tests, histories, and tests of chains and other processes. */
  readonly slowTests?: readonly string[]
}

// a mutant is active in this process only, so a test of another process would see none
const areas: Readonly<Record<string, Area>> = {
  quote: {
    sources: ['quote'],
    tests: ['test/quote/*.test.ts'],
    slowTests: ['test/quote/{hostile,peer,predict}.test.ts'],
  },
  'log-verify': { sources: ['log-verify'], tests: ['test/log-verify/*.test.ts'] },
  lib: {
    sources: ['lib'],
    tests: ['test/lib/*.test.ts', 'test/relayer/pool.test.ts', 'test/kms/csr.test.ts'],
  },
  kms: {
    sources: ['kms'],
    tests: ['test/kms/{,log/,protocol/}*.test.ts'],
    slowTests: [
      'test/kms/{faults,heap,image,malicious-endpoints,operate,process,start,workers}.test.ts',
      'test/kms/log/segment-stream.test.ts',
    ],
  },
  chain: {
    sources: ['chain'],
    tests: ['test/chain/{,consensus/,proven/,simulate/,why/}*.test.ts'],
    slowTests: [
      'test/chain/{anvil,deploy-crash,verification,view-parity}.test.ts',
      'test/chain/proven/{heap,one-faulty-endpoint}.test.ts',
    ],
  },
  relayer: {
    sources: ['relayer'],
    tests: ['test/relayer/*.test.ts'],
    slowTests: ['test/relayer/{fleet,incidents,migrations,model-anvil,scale,soak}.test.ts'],
  },
  'call-descriptions': {
    sources: ['chain/governance/call-descriptions'],
    tests: ['test/chain/governance/call-descriptions.test.ts', 'test/tasks/every-function.test.ts'],
  },
  review: {
    sources: ['review', 'manifest'],
    tests: ['test/{review,manifest}/*.test.ts', 'test/commands/{app-release,review}.test.ts'],
  },
}

const aim = 85
const triedStatuses: readonly string[] = ['Killed', 'Timeout', 'Survived', 'NoCoverage']
/** Lines. A longer function is sampled by the blocks in it. */
const longestPiece = 30
const outputFolder = path.join(projectRoot, '.assent', 'mutants')

/** One survivor that is accepted. */
interface Accepted {
  readonly file: string
  /** The line of code as it is, without the spaces around it. */
  readonly line: string
  readonly replacement: string
  readonly reason: string
}

/** Members of Stryker's report (mutation-testing-report-schema) that are read here. */
interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: Mutant[] }>>
}

interface Mutant {
  readonly replacement?: string
  readonly status: 'Killed' | 'Survived' | 'NoCoverage' | 'Timeout' | 'Ignored' | string
  readonly statusReason?: string
  readonly location: { readonly start: { readonly line: number } }
}

/** A mutant that was tried. */
interface Tried extends Omit<Accepted, 'reason'> {
  readonly position: number
  readonly isKilled: boolean
}

const { values } = parseArgs({
  options: {
    areas: { type: 'string' },
    files: { type: 'string' },
    tests: { type: 'string' },
    lines: { type: 'string', default: '60' },
    seed: { type: 'string' },
  },
})
const seed = readSeed(values.seed ?? process.env.ASSENT_SEED ?? today())
const accepted: readonly Accepted[] = JSON.parse(
  readFileSync(path.join(projectRoot, 'test/mutants/accepted.json'), 'utf8'),
)
const chosen = chooseAreas()
console.log(`seed ${seed}, areas ${chosen.join(', ')}`)

const results: { name: string; score: number }[] = []
for (const name of chosen) results.push({ name, score: await tryArea(name) })
console.log('')
for (const { name, score } of results) {
  console.log(`${score >= aim ? 'ok    ' : 'FAILED'} ${name.padEnd(20)} ${score.toFixed(1)} %`)
}
process.exit(results.every(({ score }) => score >= aim) ? 0 : 1)

function chooseAreas(): string[] {
  if (values.files !== undefined) {
    const files = values.files.split(',')
    return Object.keys(areas).filter((name) => files.some((file) => isIn(name, file)))
  }
  const names = values.areas?.split(',')
  const unknown = names?.find((name) => areas[name] === undefined)
  if (unknown !== undefined) throw new RangeError(`There is no area ${unknown}.`)
  return names ?? Object.keys(areas)
}

function isIn(name: string, file: string): boolean {
  return (areas[name] as Area).sources.some((source) => file.startsWith(`src/${source}/`))
}

/** Runs Stryker on a sample of one area and prints what survived. @returns the score in percent */
async function tryArea(name: string): Promise<number> {
  const area = areas[name] as Area
  const pieces = values.files
    ? values.files.split(',').filter((file) => isIn(name, file))
    : samplePieces(listSources(area), Number(values.lines))
  console.log(`\n${name}: ${pieces.join(' ')}`)
  const report = await runStryker(name, area, pieces)
  const tried = listTried(report)
  requireTried(name, tried.length, report)
  const survivors = tried.filter(({ isKilled }) => !isKilled)
  const unexplained = survivors.filter((mutant) => !isAccepted(mutant))
  const killed = tried.length - survivors.length
  const counted = killed + unexplained.length

  console.log(`\n${name}: ${tried.length} mutants, ${killed} killed`)
  console.log(`  ${survivors.length - unexplained.length} accepted, ${unexplained.length} survived`)
  for (const { file, position, line, replacement } of unexplained) {
    console.log(`  SURVIVED ${file}:${position}\n    - ${line}\n    + ${replacement}`)
  }
  for (const { file, position, line } of tried.filter(
    (each) => each.isKilled && isAccepted(each),
  )) {
    console.log(`  KILLED NOW, delete it from accepted.json: ${file}:${position} ${line}`)
  }
  return counted === 0 ? 100 : (100 * killed) / counted
}

/** A run whose test processes crash tries few of its mutants, and must not pass for it. */
function requireTried(name: string, tried: number, { files }: Report): void {
  const all = Object.values(files).flatMap(({ mutants }) => mutants)
  const failed = all.filter(
    (mutant) => mutant.status === 'RuntimeError' && !stopsTestFile(mutant),
  ).length
  if (failed > tried / 10) throw new Error(`${name}: ${failed} mutants could not be tried.`)
}

/**
 * With this mutant a test file cannot be loaded, so no test of it fails, but the mutant is noticed. Stryker cannot print
 * such an error: it fails in its own function `errorToString`, three times in a row.
 */
function stopsTestFile({ status, statusReason = '' }: Mutant): boolean {
  return status === 'RuntimeError' && /outside of a test run|errorToString/.test(statusReason)
}

function isAccepted({ file, line, replacement }: Tried): boolean {
  return accepted.some(
    (each) => each.file === file && each.line === line && each.replacement === replacement,
  )
}

async function runStryker(name: string, area: Area, pieces: readonly string[]): Promise<Report> {
  mkdirSync(outputFolder, { recursive: true })
  const reportFile = path.join(outputFolder, `${name}.json`)
  const configFile = path.join(outputFolder, `${name}.config.json`)
  const config = {
    testRunner: 'vitest',
    plugins: [
      '@stryker-mutator/vitest-runner',
      path.join(projectRoot, 'scripts/mutants/ignore-texts.js'),
    ],
    ignorers: ['error-texts'],
    // processes: Hardhat's native network crashes if one thread after the other loads it
    vitest: { configFile: 'scripts/mutants/vitest.config.ts', related: false, pool: 'forks' },
    mutate: pieces,
    coverageAnalysis: 'perTest',
    // constants of a module are evaluated once, so all tests would have to load it again for each of their mutants
    ignoreStatic: true,
    // a slow machine must not look like an endless loop, which counts as killed
    timeoutMS: 30_000,
    dryRunTimeoutMinutes: 60,
    concurrency: Math.max(1, availableParallelism() - 1),
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: reportFile },
    ignorePatterns: ['.assent', 'dist', 'cache'],
    tempDirName: '.assent/mutants/sandbox',
    disableTypeChecks: false,
    allowConsoleColors: false,
    logLevel: 'warn',
  }
  writeFileSync(configFile, JSON.stringify(config, null, 2))
  process.env.ASSENT_MUTANT_TESTS = JSON.stringify(
    values.tests ? [values.tests.split(','), []] : [area.tests, area.slowTests ?? []],
  )
  process.env.ASSENT_NIGHTLY = '0'
  // the tests run in a copy of the project, from where the folder beside it cannot be found
  process.env.ASSENT_VECTORS = vectorsFolder ?? ''
  const isDone = await runTool(['stryker', 'run', configFile])
  if (!isDone) throw new Error(`Stryker could not try the area ${name}.`)
  return JSON.parse(readFileSync(reportFile, 'utf8'))
}

function listTried({ files }: Report): Tried[] {
  return Object.entries(files).flatMap(([file, { source, mutants }]) => {
    const lines = source.split('\n')
    return mutants
      .filter((mutant) => triedStatuses.includes(mutant.status) || stopsTestFile(mutant))
      .map((mutant) => ({
        file,
        position: mutant.location.start.line,
        line: lines[mutant.location.start.line - 1]?.trim() ?? '',
        replacement: mutant.replacement ?? '',
        isKilled: ['Killed', 'Timeout'].includes(mutant.status) || stopsTestFile(mutant),
      }))
  })
}

function listSources({ sources }: Area): string[] {
  return sources.flatMap((source) => {
    const folder = path.join(projectRoot, 'src', source)
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `src/${source}/${file}`)
      .filter((file) => !isGenerated(file))
      .sort()
  })
}

function isGenerated(file: string): boolean {
  const [start = ''] = readFileSync(path.join(projectRoot, file), 'utf8').split('\n')
  return /generated by/i.test(start)
}

/** Functions in Stryker's form `file:first-last`, about `wanted` lines together. */
function samplePieces(files: readonly string[], wanted: number): string[] {
  const pieces = files.flatMap((file) => {
    const lines = readFileSync(path.join(projectRoot, file), 'utf8').split('\n')
    return listBlocks(lines, 0, lines.length, '').map((block) => ({ file, ...block }))
  })
  const chosen: string[] = []
  let count = 0
  for (const { file, first, end } of shuffle(pieces)) {
    if (count >= wanted) break
    chosen.push(`${file}:${first + 1}-${end}`)
    count += end - first
  }
  return chosen
}

/** Lines of a file from 0, without `end`. */
interface Block {
  readonly first: number
  readonly end: number
}

/**
 * Functions, classes and other code of several lines between two lines. The formatter begins and ends each with the
 * same indentation. Types have nothing to change.
 */
function listBlocks(lines: readonly string[], from: number, to: number, indent: string): Block[] {
  const opening = new RegExp(`^${indent}(?!(export )?(import|interface|type)\\b)[^\\s/*].*[({[]$`)
  const closing = new RegExp(`^${indent}[)}\\]]`)
  const blocks: Block[] = []
  let first = -1
  for (let i = from; i < to; i++) {
    const line = lines[i] as string
    if (first < 0 && opening.test(line)) first = i
    else if (first >= 0 && closing.test(line) && !/[({[]$/.test(line)) {
      blocks.push(...splitLong(lines, { first, end: i + 1 }, indent))
      first = -1
    }
  }
  return blocks
}

/** The blocks in a long one, if most of its lines are in them. */
function splitLong(lines: readonly string[], block: Block, indent: string): Block[] {
  const { first, end } = block
  if (end - first <= longestPiece) return [block]
  const inner = listBlocks(lines, first + 1, end - 1, `${indent}  `)
  const inside = inner.reduce((sum, each) => sum + each.end - each.first, 0)
  return 2 * inside >= end - first ? inner : [block]
}

/** Fisher-Yates with mulberry32, so that a seed always gives the same sample. */
function shuffle<T>(items: readonly T[]): T[] {
  const shuffled = [...items]
  let state = seed
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const [a, b] = [shuffled[last] as T, shuffled[other] as T]
    shuffled[last] = b
    shuffled[other] = a
  }
  return shuffled
}

/** Days since 1970: the same sample for a whole day. */
function today(): string {
  return String(Math.floor(Date.now() / 86_400_000))
}
