#!/usr/bin/env node
// @ts-check
/**
 * The front door: `npm start`, `npm test`, `npm run bench`, on any machine with git, Node >= 18 and npm.
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed and on a Node
 * that is too old for everything else. It gets a newer Node if need be, installs what is missing,
 * and hands over to `scripts/<job>.ts`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { ensureModernNode } from '../bin/modern-node.js'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const [job = '', ...args] = process.argv.slice(2)
const jobFile = path.join(root, 'scripts', `${job}.ts`)

if (job === '' || !existsSync(jobFile)) {
  console.error('usage: node scripts/run.js <job> [options], where scripts/<job>.ts exists')
  process.exit(2)
}

ensureModernNode()
installIfStale()
process.exit(run(process.execPath, [jobFile, ...args]))

/** Installs when there is no install, or when it was made from another lock file or Node ABI. */
function installIfStale() {
  const stamp = path.join(root, 'node_modules', '.assent-installed')
  const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8')
  const wanted = `${process.versions.modules}\n${lock}`
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return

  console.error('assent: installing the packages of package-lock.json (once, about a minute) …')
  const status = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  if (status !== 0) {
    console.error('assent: npm ci failed, see above; nothing else was done.')
    process.exit(status)
  }
  writeFileSync(stamp, wanted)
}

/**
 * @param {string} command
 * @param {string[]} commandArgs
 */
function run(command, commandArgs) {
  const { status, error } = spawnSync(command, commandArgs, {
    cwd: root,
    // standard output belongs to the job alone: it may be read by a machine
    stdio: command === 'npm' ? ['inherit', process.stderr, 'inherit'] : 'inherit',
    shell: process.platform === 'win32' && command === 'npm',
  })
  if (error) console.error(`assent: cannot run ${command}: ${error.message}`)
  return status ?? 1
}
