/**
 * Runs Slither on Hardhat's compiled contracts and compares its findings with `accepted-slither.json`.
 *
 *   npm run nightly -- --only slither
 *   npx hardhat build && node scripts/proofs/slither.ts
 *
 * Exit code 1 for a finding that is not accepted, and for an accepted one that Slither no longer reports. Detectors for
 * style and gas are off. Compile first: contracts without an artifact are not analysed.
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'

import { projectRoot } from '../run-tool.ts'
import { installProofTools } from './proof-tools.ts'

/** By detector, then by place (`File.sol Contract.function`, or `*` for each place): why the finding is no fault. */
type Accepted = Readonly<Record<string, Readonly<Record<string, string>>>>

interface Finding {
  readonly check: string
  readonly place: string
  readonly description: string
}

/** The members of Slither's JSON that are read. */
interface Report {
  readonly success: boolean
  readonly error: string | null
  readonly results: { readonly detectors?: readonly Detected[] }
}

interface Detected {
  readonly check: string
  readonly description: string
  readonly elements: readonly Element[]
}

interface Element {
  readonly name: string
  readonly source_mapping: { readonly filename_relative: string }
  readonly type_specific_fields?: { readonly parent?: Element }
}

const acceptedFile = path.join(import.meta.dirname, 'accepted-slither.json')
const artifacts = path.join(projectRoot, 'artifacts')
const work = path.join(projectRoot, '.assent', 'slither')

/** Hardhat compiles the contracts in several units, and an unchanged contract stays in the unit of an earlier build. */
function unitsOfArtifacts(): string[] {
  const files = globSync('contracts/**/*.json', { cwd: artifacts })
  const ids = files.map((file) => {
    const artifact = JSON.parse(readFileSync(path.join(artifacts, file), 'utf8'))
    return (artifact as { buildInfoId?: string }).buildInfoId
  })
  return [...new Set(ids)].filter((id) => id !== undefined)
}

/** Writes the sources that a unit was compiled from; those of packages are linked. */
function writeSources(unit: string, folder: string): void {
  const buildInfo = JSON.parse(
    readFileSync(path.join(artifacts, 'build-info', `${unit}.json`), 'utf8'),
  ) as { input: { sources: Record<string, { content: string }> } }
  for (const [name, { content }] of Object.entries(buildInfo.input.sources)) {
    if (!name.startsWith('project/')) continue
    const file = path.join(folder, name.slice('project/'.length))
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(folder, 'node_modules'))
}

/** Slither reads a folder that looks like a Hardhat project with one compiled unit. */
function analyse(unit: string, env: NodeJS.ProcessEnv): readonly Detected[] {
  const folder = path.join(work, unit)
  const buildInfo = path.join(folder, 'artifacts', 'build-info')
  mkdirSync(buildInfo, { recursive: true })
  for (const end of ['.json', '.output.json']) {
    copyFileSync(path.join(artifacts, 'build-info', unit + end), path.join(buildInfo, unit + end))
  }
  writeSources(unit, folder)
  mkdirSync(path.join(folder, 'cache'))
  writeFileSync(path.join(folder, 'hardhat.config.js'), 'module.exports = {}\n')
  const output = path.join(folder, 'findings.json')
  const options = ['--hardhat-ignore-compile', '--hardhat-artifacts-directory', 'artifacts']
  const filters = ['--exclude-informational', '--exclude-optimization', '--exclude-dependencies']
  const { stderr, error } = spawnSync(
    'slither',
    ['.', ...options, '--hardhat-cache-directory', 'cache', ...filters, '--json', output],
    { cwd: folder, env, encoding: 'utf8', maxBuffer: 2 ** 28 },
  )
  // the exit code is not 0 whenever something was found
  if (!existsSync(output)) throw new Error(`Slither wrote no result.\n${stderr}`, { cause: error })
  const report = JSON.parse(readFileSync(output, 'utf8')) as Report
  if (!report.success) throw new Error(`Slither failed: ${report.error}`)
  return report.results.detectors ?? []
}

/** @returns undefined for a finding in a package, in a contract that only tests use, or in an earlier version of a file */
function toFinding(unit: string, { check, description, elements }: Detected): Finding | undefined {
  const isOurs = ({ source_mapping: { filename_relative: file } }: Element) =>
    file.startsWith('contracts/') &&
    !file.startsWith('contracts/test/') &&
    isSameFile(path.join(work, unit, file), path.join(projectRoot, file))
  const first = elements.find(isOurs)
  if (first === undefined) return undefined
  const names: string[] = []
  for (let part: Element | undefined = first; part; part = part.type_specific_fields?.parent) {
    names.unshift(part.name)
  }
  const file = path.basename(first.source_mapping.filename_relative)
  // contract and function; a statement would be named by its text, which changes more often
  return { check, place: `${file} ${names.slice(0, 2).join('.')}`, description }
}

function isSameFile(one: string, other: string): boolean {
  return existsSync(other) && readFileSync(one).equals(readFileSync(other))
}

function main(): number {
  const env = installProofTools()
  rmSync(work, { recursive: true, force: true })
  const accepted = JSON.parse(readFileSync(acceptedFile, 'utf8')) as Accepted
  const unused = new Set(
    Object.entries(accepted).flatMap(([check, places]) =>
      Object.keys(places).map((place) => `${check}: ${place}`),
    ),
  )
  const refused = new Map<string, Finding>()
  let count = 0
  for (const unit of unitsOfArtifacts()) {
    for (const detected of analyse(unit, env)) {
      const finding = toFinding(unit, detected)
      if (finding === undefined) continue
      count++
      const { check, place } = finding
      const match = [place, '*'].find((name) => accepted[check]?.[name] !== undefined)
      if (match === undefined) refused.set(`${check}: ${place}`, finding)
      else unused.delete(`${check}: ${match}`)
    }
  }
  for (const [name, { description }] of refused) console.log(`NEW      ${name}\n${description}`)
  for (const name of unused) console.log(`GONE     ${name}: delete it from accepted-slither.json`)
  console.log(`${count} findings, ${refused.size} not accepted, ${unused.size} accepted and gone`)
  return refused.size + unused.size === 0 ? 0 : 1
}

process.exit(main())
