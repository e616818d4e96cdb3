/** Writes src/ethers/: bindings of the same contracts for integrators who use ethers (`assent/ethers`). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { runTypeChain } from 'typechain'

import { publishedContracts } from '../package/published-artifacts.ts'

const target = fileURLToPath(new URL('../../src/ethers', import.meta.url))

// one flat folder: TypeChain forgets the extension of an import from a folder, which Node wants
const folder = await mkdtemp(join(tmpdir(), 'assent-ethers-'))
try {
  const files: string[] = []
  for (const contract of await publishedContracts()) {
    const file = join(folder, `${contract.name}.json`)
    await writeFile(file, JSON.stringify({ ...contract, contractName: contract.name }))
    files.push(file)
  }
  await rm(target, { recursive: true, force: true })
  await runTypeChain({
    cwd: folder,
    filesToProcess: files,
    allFiles: files,
    outDir: target,
    target: 'ethers-v6',
    flags: {
      node16Modules: true,
      alwaysGenerateOverloads: false,
      discriminateTypes: false,
      tsNocheck: false,
      environment: undefined,
    },
  })
} finally {
  await rm(folder, { recursive: true, force: true })
}
