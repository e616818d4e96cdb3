#!/usr/bin/env node
// @ts-check
/**
 * The front door: `npm start`, `npm test`, `npm run bench`, on any machine with git, Node >= 18 and npm.
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed and on a Node
 * that is too old for everything else: it gets a newer Node from the registry if need be, installs
 * what is missing, then hands over to `scripts/<job>.ts`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const minimum = [22, 18]
const [job, ...args] = process.argv.slice(2)
const jobFile = path.join(root, 'scripts', `${job}.ts`)

if (!job || !existsSync(jobFile)) {
  console.error('usage: node scripts/run.js <start|test|bench|…> [options]')
  process.exit(2)
}

/** @param {string} line */
const say = (line) => console.error(`assent: ${line}`)

/**
 * @param {string} command
 * @param {string[]} commandArgs
 */
function run(command, commandArgs) {
  const { status, error } = spawnSync(command, commandArgs, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (error) say(`cannot run ${command}: ${error.message}`)
  return status ?? 1
}

function nodeIsRecent() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1])
}

if (!nodeIsRecent()) {
  if (process.env.ASSENT_REENTERED === '1') {
    say(`still on Node ${process.versions.node} after asking the registry for node@24.`)
    process.exit(1)
  }
  say(`Node ${process.versions.node} is too old (need ${minimum.join('.')}): running under node@24 from the registry.`)
  process.env.ASSENT_REENTERED = '1'
  const self = path.join('scripts', 'run.js')
  process.exit(run('npx', ['-y', '-p', 'node@24', '-p', 'npm@11', 'node', self, job, ...args]))
}

// npm writes this file at the end of each install; it tells what the install was made from.
const installed = path.join(root, 'node_modules', '.package-lock.json')
const stamp = path.join(root, 'node_modules', '.assent-installed')
const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8')
const isFresh =
  existsSync(installed) &&
  existsSync(stamp) &&
  readFileSync(stamp, 'utf8') === `${process.versions.modules}\n${lock}` &&
  statSync(installed).size > 0

if (!isFresh) {
  say('installing the packages of package-lock.json (once, about a minute) …')
  const status = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  if (status !== 0) {
    say('npm ci failed; see above. Nothing else was done.')
    process.exit(status)
  }
  writeFileSync(stamp, `${process.versions.modules}\n${lock}`)
}

process.exit(run(process.execPath, ['--disable-warning=ExperimentalWarning', jobFile, ...args]))
