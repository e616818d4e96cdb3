// @ts-check
/**
 * Runs a script again under a newer Node where the one at hand is too old.
 *
 * The newer Node and its npm are pinned by exact version and hash in `runtime/package-lock.json`, and are
 * installed into `.assent` of this folder: nothing else on the machine changes.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The first Node that runs TypeScript by itself; keep equal to `engines` in package.json. */
const minimum = { major: 22, minor: 18 }
const here = path.dirname(fileURLToPath(import.meta.url))
const pins = path.join(here, 'runtime')

/** Exits the process with the second run's exit code, if a second run was needed. */
export function ensureModernNode() {
  // a parent's npx hands its own options on; a later npm must not take them for its own
  for (const name of ['npm_config_package', 'npm_config_yes', 'npm_config_call']) {
    delete process.env[name]
  }
  if (isModern(process.versions.node)) return

  const { node, searchPath } = installRuntime(path.join(path.dirname(here), '.assent'))
  const { status, error } = spawnSync(node, process.argv.slice(1), {
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: [searchPath, process.env.PATH].flat().join(path.delimiter),
    },
  })
  if (error) fail(`cannot run ${node}: ${error.message}`)
  process.exit(status ?? 1)
}

/** @param {string} version such as `22.18.0` */
export function isModern(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > minimum.major || (major === minimum.major && minor >= minimum.minor)
}

/**
 * Installs the pinned Node and npm once. Returns the program and the folders that must come first on PATH.
 *
 * @param {string} into folder that holds every version side by side
 */
export function installRuntime(into) {
  const pinned = readFileSync(path.join(pins, 'package-lock.json'))
  const name = `runtime-${createHash('sha256').update(pinned).digest('hex').slice(0, 16)}`
  const folder = path.join(into, name)
  if (!existsSync(folder)) fetchRuntime(into, folder)
  const program = process.platform === 'win32' ? 'node.exe' : 'node'
  const bin = path.join(folder, 'node_modules', platformPackage(), 'bin')
  return {
    node: path.join(bin, program),
    searchPath: [bin, path.join(folder, 'node_modules', '.bin')],
  }
}

/**
 * @param {string} into
 * @param {string} folder appears whole or not at all
 */
function fetchRuntime(into, folder) {
  const wanted = `${minimum.major}.${minimum.minor}`
  const lock = JSON.parse(readFileSync(path.join(pins, 'package-lock.json'), 'utf8'))
  const found = lock.packages[`node_modules/${platformPackage()}`]
  if (found === undefined) {
    fail(
      `needs Node ${wanted} or newer, found ${process.versions.node}; no pinned Node is known for ` +
        `${process.platform} ${process.arch}. Install a newer Node, for example from https://nodejs.org.`,
    )
  }
  console.error(
    `assent: Node ${process.versions.node} is older than ${wanted}; installing Node ${found.version} into ${into} (once) …`,
  )
  const begun = `${folder}.${process.pid}`
  mkdirSync(begun, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) {
    cpSync(path.join(pins, file), path.join(begun, file))
  }
  // npm checks each package against the hash in the lock file, and runs no script of theirs
  const { status } = spawnSync(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    // standard output belongs to the job that runs afterwards
    { cwd: begun, stdio: ['ignore', 2, 'inherit'], shell: process.platform === 'win32' },
  )
  // another process may have been quicker
  if (status === 0 && !existsSync(folder)) renameSync(begun, folder)
  rmSync(begun, { recursive: true, force: true })
  if (status !== 0) fail(`npm could not install Node ${found.version}, see above.`)
}

function platformPackage() {
  const system = process.platform === 'win32' ? 'win' : process.platform
  return `node-${system}-${process.arch}`
}

/**
 * @param {string} reason
 * @returns {never}
 */
function fail(reason) {
  console.error(`assent: ${reason}`)
  process.exit(1)
}
