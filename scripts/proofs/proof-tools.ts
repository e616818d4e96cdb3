/** Installs Halmos, Slither and forge into `.assent/proof-tools`, pinned by `proof-tools.txt` and by the hash below. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { projectRoot } from '../run-tool.ts'

const folder = path.join(projectRoot, '.assent', 'proof-tools')
const requirements = path.join(import.meta.dirname, 'proof-tools.txt')
const forge = {
  name: '@foundry-rs/forge-linux-amd64',
  version: '1.7.1',
  integrity:
    'sha512-/HQddyTanVOJKgvilmZrf8VOf7mhvwrWb59W73w5W5flX7b6zNh9CR6hKZzJwiRRi5Sxk/JOFEYIeKsQx7Teqg==',
}

/** @returns the environment in which `halmos`, `slither` and `forge` are found @throws Error if one cannot be installed */
export function installProofTools(): NodeJS.ProcessEnv {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('The proof tools are pinned for Linux on x86-64.')
  }
  const stamp = path.join(folder, 'installed')
  const wanted = `${readFileSync(requirements, 'utf8')}${forge.integrity}`
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    mkdirSync(folder, { recursive: true })
    installPython()
    installForge()
    writeFileSync(stamp, wanted)
  }
  const bins = [
    path.join(folder, 'venv', 'bin'),
    path.join(folder, 'node_modules', forge.name, 'bin'),
    path.dirname(process.execPath),
  ]
  return { ...process.env, PATH: `${bins.join(':')}:${process.env.PATH ?? ''}` }
}

function installPython(): void {
  run('python3', ['-m', 'venv', '--clear', path.join(folder, 'venv')])
  const python = path.join(folder, 'venv', 'bin', 'python')
  const version = execFileSync(python, ['-c', 'import sys; print(sys.version_info[:2])'], {
    encoding: 'utf8',
  }).trim()
  let file = requirements
  if (version !== '(3, 11)') {
    // wheels of another Python have other hashes: then the versions alone are pinned
    file = path.join(folder, 'requirements.txt')
    writeFileSync(file, readFileSync(requirements, 'utf8').replaceAll(/ --hash=\S+/g, ''))
    console.warn(`Python ${version}: versions are pinned, hashes are not checked.`)
  }
  run(python, ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', '-r', file])
}

function installForge(): void {
  writeFileSync(path.join(folder, 'package.json'), '{"private":true}\n')
  const spec = `${forge.name}@${forge.version}`
  run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', spec])
  const lock = JSON.parse(readFileSync(path.join(folder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { integrity?: string }>
  }
  const found = lock.packages[`node_modules/${forge.name}`]?.integrity
  if (found !== forge.integrity) throw new Error(`${spec} has another hash: ${found}`)
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`${command} failed.`, { cause: error })
}
