/** Installs dstack's own SDKs once per lock file, apart from the project's packages. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const sources = join(import.meta.dirname, 'sdk')
const installed = join(import.meta.dirname, '../../.assent/sdk')

/** The unmodified module `@phala/dstack-sdk`. */
export function installJavaScriptSdk<T>(): T {
  const folder = installOnce('js', ['package.json', 'package-lock.json'], (into) => {
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], into)
  })
  return createRequire(join(folder, 'package.json'))('@phala/dstack-sdk') as T
}

/** A Python with the unmodified package `dstack-sdk`, or undefined where this machine has no Python. */
export function installPythonSdk(): string | undefined {
  const version = spawnSync('python3', [
    '-c',
    'import venv, sys; assert sys.version_info >= (3, 10)',
  ])
  if (version.status !== 0) return undefined
  const folder = installOnce('python', ['requirements.txt'], (into) => {
    run('python3', ['-m', 'venv', '--copies', 'venv'], into)
    run('venv/bin/python', ['-m', 'pip', 'install', '--quiet', '-r', 'requirements.txt'], into)
  })
  return join(folder, 'venv/bin/python')
}

function installOnce(
  name: string,
  files: readonly string[],
  install: (into: string) => void,
): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(join(sources, file)))
  const folder = join(installed, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(join(folder, 'ready'))) return folder
  // an install that was cut off leaves no mark, and is made again
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'installing'), { recursive: true })
  for (const file of files) cpSync(join(sources, file), join(folder, file))
  install(folder)
  renameSync(join(folder, 'installing'), join(folder, 'ready'))
  return folder
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`)
}
