/** Makes the package in `dist/`: compiled contracts' ABIs checked, ethers bindings, JavaScript, SQL. */
import { cp, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'

import { runTool } from './run-tool.ts'

await run('node', 'scripts/compile.ts')
await run('node', 'scripts/generate-abi.ts', '--check')
await run('node', 'scripts/generate-ethers.ts')
await rm('dist', { recursive: true, force: true })
await run('tsc', '-p', 'tsconfig.build.json')
// what TypeScript does not copy: read from disk by the relayer
await cp('src/relayer/database/migrations', 'dist/relayer/database/migrations', { recursive: true })
// what `quote verify --onchain` deploys
await mkdir('dist/artifacts')
for (const source of ['QuoteVerifier', 'collateral/IssuerUpload', 'collateral/DocumentUpload']) {
  const file = `${path.basename(source)}.json`
  await cp(`artifacts/contracts/quote/${source}.sol/${file}`, `dist/artifacts/${file}`)
}

async function run(...command: string[]): Promise<void> {
  if (!(await runTool(command))) process.exit(1)
}
