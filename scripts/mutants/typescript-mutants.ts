/**
 * Mutation tests of the TypeScript code, with Stryker: changes one place at a time and expects that a test fails.
 *
 *   node scripts/mutants/typescript-mutants.ts                            the default areas, a sample that changes with the date
 *   node scripts/mutants/typescript-mutants.ts --areas kms,relayer        other areas
 *   node scripts/mutants/typescript-mutants.ts --lines 500                a larger sample of each area
 *   node scripts/mutants/typescript-mutants.ts --files src/quote/tcb.ts   these files as a whole, with the tests of their area
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
  /** Folders or files below `src`. */
  readonly sources: readonly string[]
  readonly tests: readonly string[]
  /** Runs without `--areas`. The others are slower or belong to another step. */
  readonly isDefault: boolean
}

/** Exhaustive and peer tests are left out: they would run for each mutant, and take minutes. */
const slowQuoteTests = '!(hostile|peer|predict)'

const areas: Readonly<Record<string, Area>> = {
  quote: {
    sources: ['quote'],
    tests: [`test/quote/${slowQuoteTests}.test.ts`],
    isDefault: true,
  },
  'log-verify': {
    sources: ['log-verify'],
    tests: ['test/log-verify/*.test.ts'],
    isDefault: true,
  },
  lib: {
    sources: ['lib'],
    tests: ['test/lib/*.test.ts', 'test/relayer/pool.test.ts', 'test/kms/csr.test.ts'],
    isDefault: true,
  },
  kms: { sources: ['kms'], tests: ['test/kms/**/*.test.ts'], isDefault: false },
  chain: { sources: ['chain'], tests: ['test/chain/**/*.test.ts'], isDefault: false },
  relayer: { sources: ['relayer'], tests: ['test/relayer/**/*.test.ts'], isDefault: false },
  'call-descriptions': {
    sources: ['chain/governance/call-descriptions'],
    tests: ['test/chain/call-descriptions.test.ts', 'test/tasks/every-function.test.ts'],
    isDefault: false,
  },
}

const aim = 85
/** Lines of one piece of a file: about one function. */
const pieceLines = 20
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
    lines: { type: 'string', default: '200' },
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
  return names ?? Object.keys(areas).filter((name) => areas[name]?.isDefault)
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
  const report = await runStryker(name, area, pieces)
  const tried = listTried(report)
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
    vitest: { configFile: 'scripts/mutants/vitest.config.ts', related: false },
    mutate: pieces,
    coverageAnalysis: 'perTest',
    // constants of a module are evaluated once, so all tests would have to load it again for each of their mutants
    ignoreStatic: true,
    // a slow machine must not look like an endless loop, which counts as killed
    timeoutMS: 30_000,
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
  process.env.ASSENT_MUTANT_TESTS = area.tests.join(',')
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
      .filter(({ status }) => ['Killed', 'Timeout', 'Survived', 'NoCoverage'].includes(status))
      .map(({ location, replacement = '', status }) => ({
        file,
        position: location.start.line,
        line: lines[location.start.line - 1]?.trim() ?? '',
        replacement,
        isKilled: status === 'Killed' || status === 'Timeout',
      }))
  })
}

function listSources({ sources }: Area): string[] {
  return sources.flatMap((source) => {
    const folder = path.join(projectRoot, 'src', source)
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('_pb.ts'))
      .map((file) => `src/${source}/${file}`)
      .sort()
  })
}

/** Pieces of files in Stryker's form `file:first-last`, about `lines` lines together. */
function samplePieces(files: readonly string[], lines: number): string[] {
  const pieces = files.flatMap((file) => {
    const length = readFileSync(path.join(projectRoot, file), 'utf8').split('\n').length
    const count = Math.ceil(length / pieceLines)
    return Array.from({ length: count }, (_, index) => {
      const first = index * pieceLines + 1
      return `${file}:${first}-${Math.min(length, first + pieceLines - 1)}`
    })
  })
  return shuffle(pieces).slice(0, Math.ceil(lines / pieceLines))
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
