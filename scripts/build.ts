/** Builds the package in `dist/`: ABIs are checked, then ethers bindings, JavaScript, SQL and compiled contracts are written. */
import { cp, rm } from 'node:fs/promises'

import { runTool } from './run-tool.ts'

await run('node', 'scripts/compile.ts')
await run('node', 'scripts/generate-abi.ts', '--check')
await run('node', 'scripts/generate-ethers.ts')
await rm('dist', { recursive: true, force: true })
await run('tsc', '-p', 'tsconfig.build.json')
// TypeScript does not copy these files; the relayer reads them
await cp('src/relayer/database/migrations', 'dist/relayer/database/migrations', { recursive: true })
// what tasks deploy and `quote verify --onchain` runs
await run('node', 'scripts/package-artifacts.ts')

async function run(...command: string[]): Promise<void> {
  if (!(await runTool(command))) process.exit(1)
}
