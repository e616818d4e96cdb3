/** dstack's own SDKs, unmodified: the JavaScript one from a workspace of its own, the Python one in a virtual environment. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const sources = join(import.meta.dirname, 'sdk')
const environments = join(import.meta.dirname, '../../.assent/sdk')

/** The module `@phala/dstack-sdk`. It needs older libraries than ours, so it is not among the project's own packages. */
export function loadJavaScriptSdk<T>(): T {
  return createRequire(join(sources, 'package.json'))('@phala/dstack-sdk') as T
}

/** A Python that has `dstack-sdk`, made once, or undefined where this machine has no Python ≥ 3.10. */
export function installPythonSdk(): string | undefined {
  const probe = 'import venv, sys; assert sys.version_info >= (3, 10)'
  if (spawnSync('python3', ['-c', probe]).status !== 0) return undefined
  const requirements = join(sources, 'requirements.txt')
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16)
  const folder = join(environments, hash)
  if (!existsSync(join(folder, 'complete'))) {
    // one that was cut off has no mark, and is made again
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(join(folder, 'incomplete'), { recursive: true })
    cpSync(requirements, join(folder, 'requirements.txt'))
    run('python3', ['-m', 'venv', 'venv'], folder)
    run('venv/bin/python', ['-m', 'pip', 'install', '--quiet', '-r', 'requirements.txt'], folder)
    renameSync(join(folder, 'incomplete'), join(folder, 'complete'))
  }
  return join(folder, 'venv/bin/python')
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`)
}
