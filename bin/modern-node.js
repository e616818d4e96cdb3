// @ts-check
/** Runs a script again under a newer Node from the registry where the one at hand is too old. */
import { spawnSync } from 'node:child_process'

/** The first Node that runs TypeScript by itself; keep equal to `engines` in package.json. */
const minimum = { major: 22, minor: 18 }
const newer = ['-y', '-p', 'node@24', '-p', 'npm@11']

/** Exits the process with the second run's exit code, if a second run was needed. */
export function ensureModernNode() {
  // npx hands its own options on; a later npm or npx must not take them for its own
  for (const name of ['npm_config_package', 'npm_config_yes', 'npm_config_call']) {
    delete process.env[name]
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > minimum.major || (major === minimum.major && minor >= minimum.minor)) return

  const wanted = `${minimum.major}.${minimum.minor}`
  if (process.env.ASSENT_REENTERED === '1') {
    console.error(
      `assent: needs Node ${wanted} or newer, and asking for node@24 gave ${process.versions.node}.`,
    )
    process.exit(1)
  }
  console.error(
    `assent: Node ${process.versions.node} is older than ${wanted}; running under node@24 from the registry.`,
  )
  const { status } = spawnSync('npx', [...newer, 'node', ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, ASSENT_REENTERED: '1' },
    shell: process.platform === 'win32',
  })
  process.exit(status ?? 1)
}
