/**
 * Writes snapshots/storage.json: where every upgradeable contract keeps what.
 *
 * `--check` writes nothing and fails if a slot moved: proofs and upgrades rely on them.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'

import hre from 'hardhat'

const target = new URL('../snapshots/storage.json', import.meta.url)
const upgradeable = ['KmsAuth', 'App', 'Hosts', 'HostBonds', 'Images', 'RootKeys']

interface Layout {
  readonly storage: readonly { label: string; slot: string; offset: number; type: string }[]
  readonly types: Record<string, { label: string; numberOfBytes: string }>
}

async function layoutOf(contract: string): Promise<string[]> {
  const { buildInfoId, inputSourceName } = await hre.artifacts.readArtifact(contract)
  const file = buildInfoId && (await hre.artifacts.getBuildInfoOutputPath(buildInfoId))
  if (!file || !inputSourceName) throw new Error(`There is no build of ${contract}.`)
  const { output } = JSON.parse(await readFile(file, 'utf8')) as {
    output: { contracts: Record<string, Record<string, { storageLayout: Layout }>> }
  }
  const layout = output.contracts[inputSourceName]?.[contract]?.storageLayout
  if (layout === undefined) throw new Error(`The build of ${contract} has no storage layout.`)
  return layout.storage.map(({ label, slot, offset, type }) => {
    const { label: name, numberOfBytes } = layout.types[type] ?? { label: type, numberOfBytes: '?' }
    return `slot ${slot} byte ${offset}: ${name} ${label} (${numberOfBytes} bytes)`
  })
}

const layouts: Record<string, string[]> = {}
for (const contract of upgradeable) layouts[contract] = await layoutOf(contract)
const found = `${JSON.stringify(layouts, null, 2)}\n`

if (!process.argv.includes('--check')) {
  await mkdir(new URL('.', target), { recursive: true })
  await writeFile(target, found)
} else if (found !== (await readFile(target, 'utf8').catch(() => ''))) {
  console.error(
    'Storage is not where snapshots/storage.json has it. If that is meant: node scripts/storage.ts',
  )
  process.exitCode = 1
}
