/**
 * The release checklist: `npm run release:check`.
 *
 *   npm run release:check                    before the tag is made
 *   npm run release:check -- --tag v0.2.0    the tag must be the version; CI runs it so
 *
 * Needs a build (`npm run build`). The tests are not part of it: CI runs `npm test` on the same commit.
 * Exit code 0 if every check holds, 1 if one does not, 2 if the options are wrong. The steps of a release: CONTRIBUTING.md.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

import { colors as pc } from '../../src/commands/output/colors.ts'
import { type Layouts, moved } from '../../src/deploy/storage-layout.ts'
import { projectRoot, runToolAside } from '../run-tool.ts'

/** One line of the checklist. `problems` is empty if it holds. */
interface Check {
  readonly name: string
  readonly problems: () => readonly string[] | Promise<readonly string[]>
}

interface Manifest {
  readonly version: string
  readonly repository?: { readonly url?: string }
}

interface LockFile {
  readonly version?: string
  readonly packages?: Readonly<Record<string, { readonly resolved?: string }>>
}

/* RULES: what each file must say, without reading one */

/** `## [0.2.0] - 2026-12-01`, with at least one entry below it, and nothing left under `[Unreleased]`. */
export function changelogProblems(changelog: string, version: string): string[] {
  const sections = changelog.split(/^## /m).slice(1)
  const entriesOf = (section: string) => section.split('\n').filter((line) => /^- \S/.test(line))
  const unreleased = sections.find((section) => section.startsWith('[Unreleased]'))
  const released = sections.find((section) => section.startsWith(`[${version}]`))
  const problems: string[] = []
  if (unreleased === undefined) problems.push('CHANGELOG.md has no section [Unreleased]')
  else if (entriesOf(unreleased).length > 0) {
    problems.push(`CHANGELOG.md still has entries under [Unreleased]: move them to [${version}]`)
  }
  if (released === undefined) return [...problems, `CHANGELOG.md has no section [${version}]`]
  const [title = ''] = released.split('\n', 1)
  if (!/^\[[^\]]+\] - \d{4}-\d{2}-\d{2}$/.test(title)) {
    problems.push(
      `CHANGELOG.md: "## ${title}" must end with its date: "## [${version}] - YYYY-MM-DD"`,
    )
  }
  if (entriesOf(released).length === 0) problems.push(`CHANGELOG.md says nothing about ${version}`)
  return problems
}

/** Without a tag only the other places of the version are compared. */
export function versionProblems(
  version: string,
  { tag, lock, service }: { tag: string | undefined; lock: LockFile; service: string },
): string[] {
  const problems: string[] = []
  if (!/^\d+\.\d+\.\d+(-[0-9a-z.]+)?$/.test(version)) {
    problems.push(`package.json: "${version}" is not a version such as 0.2.0`)
  }
  if (tag !== undefined && tag !== `v${version}`) {
    problems.push(
      `the tag is ${tag}, and package.json has version ${version}: expected v${version}`,
    )
  }
  if (lock.version !== version) {
    problems.push(`package-lock.json has version ${lock.version}: run npm install`)
  }
  const [, shown] = /^export const version = '([^']+)'$/m.exec(service) ?? []
  if (shown !== version) {
    problems.push(`src/kms/service.ts tells clients version ${shown}, and package.json ${version}`)
  }
  return problems
}

/** A lock file names no registry, so that each installer uses its own; folders of this repository are fine. */
export function lockFileProblems(name: string, lock: LockFile): string[] {
  return Object.entries(lock.packages ?? {})
    .filter(([, { resolved }]) => resolved !== undefined && /^[a-z+]+:/i.test(resolved))
    .map(([folder, { resolved }]) => `${name}: ${folder} is resolved to ${resolved}`)
}

/** Files that every package must contain. */
const requiredFiles: readonly string[] = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'bin/assent.js',
  'bin/runtime/package-lock.json',
  'contracts/quote/QuoteVerifier.sol',
  'dist/artifacts/QuoteVerifier.json',
  'dist/artifacts/sources.json',
  'dist/cli/main.js',
  'dist/dashboard/page/index.html',
  'dist/ethers/index.js',
  'dist/index.d.ts',
  'dist/relayer/database/migrations/meta/_journal.json',
  'dist/indexer/database/migrations/meta/_journal.json',
  'dist/tasks/index.js',
  'package.json',
]

/**
 * Everything that a package may contain. Places where people keep files of their own are listed by name, so a key or a
 * record of a local chain beside them is refused in any form.
 */
const allowedFiles: readonly RegExp[] = [
  /^(CHANGELOG|CONTRIBUTING|README|SECURITY)\.md$/,
  /^(LICENSE|package\.json)$/,
  /^bin\/[a-z-]+\.js$/,
  /^bin\/runtime\/package(-lock)?\.json$/,
  /^contracts\/(?!test\/)([a-z]+\/)+[A-Z]\w*\.sol$/,
  /^deploy\/erc7730\/(calldata|eip712)-[A-Z]\w*\.json$/,
  /^deploy\/kms\/(Dockerfile(\.dockerignore)?|alerts\.yaml|grafana-dashboard\.json|kms\.example\.json)$/,
  /^deploy\/relayer\/(alerts\.yml|dashboard\.json)$/,
  // not of a local chain
  /^deployments\/(README\.md|(?!1337\.|31337\.)\d+\.json)$/,
  /^docs\/(guides\/)?[a-z0-9-]+\.md$/,
  /^docs\/examples\/(app-compose|app-dao|approvals|dao-parameters|evidence)\.json$/,
  /^docs\/examples\/(docker-compose\.yml|shop\.env)$/,
  /^docs\/pictures\/[a-z-]+\.(?:svg|webp)$/,
  /^dist\/([\w-]+\/)*[\w-]+(\.d\.ts|\.js|\.js\.map)$/,
  /^dist\/artifacts\/\w+\.json$/,
  /^dist\/(relayer|indexer)\/database\/migrations\/(\d{4}_\w+\.sql|meta\/(_journal|\d{4}_snapshot)\.json)$/,
  /^dist\/commands\/session\/browser\/page\.css$/,
  /^dist\/dashboard\/page\/(index\.html|assets\/[\w-]+\.css)$/,
]

/**
 * @param files paths in the package, as `npm pack --json` lists them
 * @param tracked paths that git has. All but `dist/` must be among them: what lies in a clone besides is somebody's own
 */
export function packageProblems(files: readonly string[], tracked: readonly string[]): string[] {
  const missing = requiredFiles.filter((file) => !files.includes(file))
  const forbidden = files.filter((file) => !allowedFiles.some((allowed) => allowed.test(file)))
  const known = new Set(tracked)
  const unknown = files.filter(
    (file) => !file.startsWith('dist/') && !known.has(file) && !forbidden.includes(file),
  )
  return [
    ...missing.map((file) => `the package lacks ${file}`),
    ...forbidden.map((file) => `the package must not contain ${file}`),
    ...unknown.map((file) => `the package must not contain ${file}: it is not in git`),
  ]
}

/** Paths that git has. */
export function trackedFiles(): string[] {
  return git('ls-files', '-z').split('\0').filter(Boolean)
}

/** Provenance is refused by the registry unless package.json names the repository that the package is built in. */
export function repositoryProblems(
  { repository }: Manifest,
  builtIn: string | undefined,
): string[] {
  const url = repository?.url
  if (url === undefined) return ['package.json has no repository.url: npm needs it for provenance']
  if (builtIn === undefined) return []
  const [, named] = /github\.com[/:]([^/]+\/[^/]+?)(?:\.git)?$/.exec(url) ?? []
  if (named?.toLowerCase() === builtIn.toLowerCase()) return []
  return [`package.json names the repository ${url}, and this is built in ${builtIn}`]
}

/**
 * The release records its own storage for the next one to be compared with, and moves nothing of the last one.
 *
 * @param before what the last release recorded; undefined for the first release
 */
export function storageProblems(now: Layouts, recorded: Layouts, before?: Layouts): string[] {
  const elsewhere = before === undefined ? [] : moved(before, now)
  const problems = elsewhere.map((line) => `storage moved since the last release: ${line}`)
  if (JSON.stringify(now) !== JSON.stringify(recorded)) {
    problems.push(
      'snapshots/storage.released.json is not the storage of this release: run node scripts/generate/storage-layout.ts --release',
    )
  }
  return problems
}

/* THE CHECKLIST */

function checklist(tag: string | undefined): readonly Check[] {
  const manifest = readJson<Manifest>('package.json')
  const lock = readJson<LockFile>('package-lock.json')
  const { version } = manifest
  return [
    { name: 'nothing uncommitted', problems: uncommitted },
    {
      name: tag === undefined ? 'one version everywhere (no tag given)' : 'one version everywhere',
      problems: () => versionProblems(version, { tag, lock, service: read('src/kms/service.ts') }),
    },
    {
      name: 'changelog has the version',
      problems: () => changelogProblems(read('CHANGELOG.md'), version),
    },
    {
      name: 'lock files name no registry',
      problems: () =>
        ['package-lock.json', 'bin/runtime/package-lock.json', 'web/package-lock.json'].flatMap(
          (name) => lockFileProblems(name, readJson<LockFile>(name)),
        ),
    },
    {
      name: 'storage of the release',
      problems: () =>
        storageProblems(
          readJson('snapshots/storage.json'),
          readJson('snapshots/storage.released.json'),
          storageOfLastRelease(version),
        ),
    },
    { name: 'generated files up to date', problems: outdated },
    { name: 'reference pages without warnings', problems: () => problemsIn('scripts/docs.ts') },
    {
      name: 'content of the package',
      problems: () => packageProblems(packedFiles(), trackedFiles()),
    },
    {
      name: 'repository for provenance',
      problems: () => repositoryProblems(manifest, process.env.GITHUB_REPOSITORY),
    },
  ]
}

function uncommitted(): string[] {
  const lines = git('status', '--porcelain').split('\n').filter(Boolean)
  return lines.map((line) => `not committed: ${line}`)
}

/** Of the newest tag before this version that git knows here. */
function storageOfLastRelease(version: string): Layouts | undefined {
  const tags = git('tag', '--list', 'v*', '--merged', 'HEAD', '--sort=-creatordate')
  const last = tags.split('\n').find((tag) => tag !== '' && tag !== `v${version}`)
  if (last === undefined) return undefined
  return JSON.parse(git('show', `${last}:snapshots/storage.released.json`)) as Layouts
}

/** With `--check`, which writes nothing. */
async function outdated(): Promise<string[]> {
  requireBuild()
  return [
    ...(await problemsIn('scripts/generate/all.ts', '--check')),
    ...(await problemsIn('scripts/generate/storage-layout.ts', '--check')),
  ]
}

/** What a failing script prints. */
async function problemsIn(script: string, ...options: readonly string[]): Promise<string[]> {
  const { ok, said } = await runToolAside(['node', script, ...options])
  return ok ? [] : said.trim().split('\n')
}

function packedFiles(): string[] {
  requireBuild()
  // the build is not repeated: what is looked at is what was built
  const output = run('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'])
  const [packed] = JSON.parse(output) as { files: { path: string }[] }[]
  return (packed?.files ?? []).map((file) => file.path)
}

/** Both the compiled contracts and `dist/`. */
function requireBuild(): void {
  const built = ['artifacts', 'dist'].every((folder) => existsSync(path.join(projectRoot, folder)))
  if (!built) throw new Error('There is no build: run npm run build')
}

function git(...args: readonly string[]): string {
  return run('git', args)
}

/** @throws with what it said, if it fails */
function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: projectRoot,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (status === 0) return stdout
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

function read(name: string): string {
  return readFileSync(path.join(projectRoot, name), 'utf8')
}

function readJson<T>(name: string): T {
  return JSON.parse(read(name)) as T
}

function readTag(): string | undefined {
  try {
    return parseArgs({ options: { tag: { type: 'string' } } }).values.tag
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    console.error('usage: npm run release:check -- [--tag v0.2.0]')
    process.exit(2)
  }
}

/** A check that cannot be made does not hold. */
async function problemsOf({ problems }: Check): Promise<readonly string[]> {
  try {
    return await problems()
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

async function main(): Promise<void> {
  let failed = 0
  for (const check of checklist(readTag())) {
    const problems = await problemsOf(check)
    console.log(`${problems.length === 0 ? pc.green('ok    ') : pc.red('FAILED')} ${check.name}`)
    for (const problem of problems) console.log(`         ${problem}`)
    if (problems.length > 0) failed++
  }
  console.log(failed === 0 ? 'Ready to release.' : `Not ready: ${failed} of the checks failed.`)
  process.exitCode = failed === 0 ? 0 : 1
}

if (import.meta.main) await main()
