/**
 * Writes what the KMS image contains, and nothing else: the compiled files that its entry point imports, and the packages
 * that these files import.
 *
 *   node scripts/package/kms-image.ts <folder>    copies from dist/ and node_modules/ into a new folder; deploy/kms/Dockerfile does
 *   node scripts/package/kms-image.ts             prints packages, files and sizes
 *
 * `npm run build` must have made dist/.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import path from 'node:path'

import ts from 'typescript'

import { projectRoot } from '../run-tool.ts'

/** The second is started as a process of its own, by its path. */
export const kmsEntryPoints = ['cli/kms-image', 'kms/workers/worker-main'] as const

export interface Reachable {
  /** Absolute paths. */
  readonly files: readonly string[]
  /** Names of the packages that these files import. */
  readonly packages: readonly string[]
}

/** Follows static and dynamic imports. */
export function findReachable(entryFiles: readonly string[]): Reachable {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (file: string) => {
    if (files.has(file)) return
    files.add(file)
    const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true)
    for (const { fileName } of importedFiles) {
      if (fileName.startsWith('.')) visit(path.resolve(path.dirname(file), fileName))
      else if (!fileName.startsWith('node:')) packages.add(packageOf(fileName))
    }
  }
  for (const file of entryFiles) visit(file)
  return { files: [...files].sort(), packages: [...packages].sort() }
}

/** `@noble/hashes/sha3.js` → `@noble/hashes` */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** The folders of these packages and of all that they depend on, as paths below the project. */
export function findPackageFolders(packages: readonly string[]): string[] {
  const folders = new Set<string>()
  const visit = (name: string, from: string) => {
    const folder = resolvePackage(name, from)
    if (folders.has(folder)) return
    folders.add(folder)
    const manifest = readFileSync(path.join(projectRoot, folder, 'package.json'), 'utf8')
    for (const dependency of Object.keys(JSON.parse(manifest).dependencies ?? {})) {
      visit(dependency, folder)
    }
  }
  for (const name of packages) visit(name, '')
  return [...folders].sort()
}

/** As Node does: the nearest `node_modules` above. */
function resolvePackage(name: string, from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'node_modules', name)
    if (existsSync(path.join(projectRoot, candidate, 'package.json'))) return candidate
    if (folder === '' || folder === '.') throw new Error(`${name} is not installed.`)
  }
}

/** What Node may load, and licences. Type declarations, source maps and sources are left out. */
function isRunnable(file: string): boolean {
  return /\.([cm]?js|json|node|wasm)$|(^|\/)(LICEN[CS]E|COPYING|NOTICE)[^/]*$/i.test(file)
}

/** Paths of the files of one package, below the project. */
function filesOfPackage(folder: string): string[] {
  const absolute = path.join(projectRoot, folder)
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' })
    .filter((file) => !file.split(path.sep).includes('node_modules') && isRunnable(file))
    .filter((file) => statSync(path.join(absolute, file)).isFile())
    .map((file) => path.join(folder, file))
    .sort()
}

export interface ImageContents {
  readonly packageFolders: readonly string[]
  /** Paths below the project, which are the paths in the image too. */
  readonly files: readonly string[]
}

/** @throws if dist/ is missing or a package is not installed */
export function listImageContents(): ImageContents {
  const entryFiles = kmsEntryPoints.map((entry) => path.join(projectRoot, 'dist', `${entry}.js`))
  const { files, packages } = findReachable(entryFiles)
  const packageFolders = findPackageFolders(packages)
  return {
    packageFolders,
    files: [
      'LICENSE',
      'package.json',
      ...files.map((file) => path.relative(projectRoot, file)),
      ...packageFolders.flatMap(filesOfPackage),
    ],
  }
}

/** Copies the contents of the image into this folder. */
export async function writeImage(target: string): Promise<void> {
  for (const file of listImageContents().files) {
    const to = path.join(target, file)
    await mkdir(path.dirname(to), { recursive: true })
    await cp(path.join(projectRoot, file), to)
  }
}

function printContents(): void {
  const { packageFolders, files } = listImageContents()
  const rows: [string, readonly string[]][] = [
    ['Assent (dist)', files.filter((file) => file.startsWith('dist/'))],
    ...packageFolders.map((folder): [string, readonly string[]] => [
      folder,
      filesOfPackage(folder),
    ]),
    ['all', files],
  ]
  for (const [name, group] of rows) {
    const bytes = group.reduce((sum, file) => sum + statSync(path.join(projectRoot, file)).size, 0)
    const kib = (bytes / 1024).toFixed(0)
    console.log(
      `${name.padEnd(48)}${String(group.length).padStart(6)} files ${kib.padStart(7)} KiB`,
    )
  }
  for (const file of files.filter((each) => each.startsWith('dist/'))) console.log(file)
}

if (import.meta.main) {
  const [target] = process.argv.slice(2)
  if (target === undefined) printContents()
  else await writeImage(path.resolve(target))
}
