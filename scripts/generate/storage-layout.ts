/**
 * Writes snapshots/storage.json: where each contract whose storage others rely on keeps what.
 *
 *   node scripts/generate/storage-layout.ts             write it
 *   node scripts/generate/storage-layout.ts --check     write nothing; fail if it is not up to date, or if anything lies elsewhere
 *                                       than in the last release (appended is fine): proofs and upgrades rely on it
 *   node scripts/generate/storage-layout.ts --release   this is what the next release is compared with
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'

import { type Layouts, layoutOf, moved } from '../../src/deploy/storage-layout.ts'

const target = new URL('../../snapshots/storage.json', import.meta.url)
const released = new URL('../../snapshots/storage.released.json', import.meta.url)
/** Upgradeable contracts, and those without an upgrade whose storage is documented. */
const kept = [
  'KmsAuth',
  'App',
  'Hosts',
  'HostBonds',
  'Images',
  'RootKeys',
  'Heartbeat',
  'Instances',
  'Requests',
]

/** Where the last release keeps what. */
async function releasedLayouts(): Promise<Layouts> {
  return JSON.parse(await readFile(released, 'utf8')) as Layouts
}

async function main(): Promise<void> {
  const { default: hre } = await import('hardhat')
  const layouts: Record<string, string[]> = {}
  for (const contract of kept) layouts[contract] = await layoutOf(hre, contract)
  const found = `${JSON.stringify(layouts, null, 2)}\n`
  if (!process.argv.includes('--check')) {
    await mkdir(new URL('.', target), { recursive: true })
    await writeFile(target, found)
    if (process.argv.includes('--release')) await writeFile(released, found)
    return
  }
  if (found !== (await readFile(target, 'utf8').catch(() => ''))) {
    console.error(
      'snapshots/storage.json is not what contracts/ say: run node scripts/generate/storage-layout.ts',
    )
    process.exitCode = 1
  }
  const elsewhere = moved(await releasedLayouts(), layouts)
  if (elsewhere.length === 0) return
  console.error('Storage is not where the last release has it (snapshots/storage.released.json):')
  for (const line of elsewhere) console.error(`  ${line}`)
  process.exitCode = 1
}

if (import.meta.main) await main()
