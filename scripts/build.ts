/** Builds the package in `dist/`: ABIs are checked, then ethers bindings, JavaScript, SQL, dashboard and compiled contracts are written. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { runTool } from './run-tool.ts'

/** `outDir` of tsconfig.build.json. */
const compiled = '.assent/dist'

const started = Date.now()
console.log('Compiling the contracts. After a change this takes one to three minutes.')
await run('node', 'scripts/compile.ts')
await run('node', 'scripts/generate/abi.ts', '--check')
await run('node', 'scripts/generate/ethers.ts')
await rm('dist', { recursive: true, force: true })
await rm(compiled, { recursive: true, force: true })
await run('tsc', '-p', 'tsconfig.build.json')
await arrange()
// TypeScript does not copy these files; relayer and indexer read them
for (const service of ['relayer', 'indexer']) {
  const migrations = `${service}/database/migrations`
  await cp(`src/${migrations}`, `dist/${migrations}`, { recursive: true })
}
for (const name of ['page.js', 'page.css']) {
  const place = `commands/session/browser/${name}`
  await cp(`src/${place}`, `dist/${place}`)
}
buildDashboard()
await cp('web/dist', 'dist/dashboard/page', { recursive: true })
// what tasks deploy and `quote verify --onchain` runs
await run('node', 'scripts/package/package-artifacts.ts')
console.log(`Built dist/ in ${Math.round((Date.now() - started) / 1000)} s.`)

/** The page has packages of its own, so that the package and its users need none of them. */
function buildDashboard(): void {
  const npm = (...args: readonly string[]) => {
    const { status } = spawnSync('npm', [...args, '--prefix', 'web'], {
      stdio: 'inherit',
      shell: process.platform === 'win32',
    })
    if (status !== 0) process.exit(1)
  }
  if (!existsSync('web/node_modules')) npm('ci', '--no-audit', '--no-fund', '--loglevel=error')
  npm('run', 'build')
}

async function run(...command: string[]): Promise<void> {
  if (!(await runTool(command))) process.exit(1)
}

/**
 * TypeScript keeps the folders `src` and `tasks` side by side. In the package, what was in `src` is at the top and the
 * tasks are in a folder beside it, so what refers to `../src/` in a task refers to `../` there.
 */
async function arrange(): Promise<void> {
  await rename(path.join(compiled, 'src'), 'dist')
  await rename(path.join(compiled, 'tasks'), path.join('dist', 'tasks'))
  for (const file of await readdir('dist', { recursive: true })) {
    const place = path.join('dist', file)
    if (file.endsWith('.map')) await rewrite(place, (text) => withSource(text, file))
    else if (/^tasks\b.*\.(js|ts)$/.test(file)) {
      await rewrite(place, (text) => text.replaceAll(/(['"])\.\.\/src\//g, '$1../'))
    }
  }
}

/** The source map of a file in `dist`, with the path from there to its source. */
function withSource(map: string, file: string): string {
  const source = file.replace(/\.js\.map$/, '.ts')
  const found = source.startsWith('tasks') ? source : path.join('src', source)
  const sources = [path.relative(path.dirname(path.join('dist', file)), found)]
  return JSON.stringify({ ...(JSON.parse(map) as object), sources })
}

async function rewrite(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')))
}
