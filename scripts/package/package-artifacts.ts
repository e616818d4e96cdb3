/** Writes the compiled contracts that the npm package contains: `dist/artifacts`, for deployments, upgrades and checks. */
import { mkdir, writeFile } from 'node:fs/promises'

import hre from 'hardhat'

import { compiledSources, type PackagedSources } from '../../src/deploy/contract-sources.ts'
import { upgradeable } from '../../src/deploy/upgrade.ts'

const folder = new URL('../../dist/artifacts/', import.meta.url)

const names = [...(await hre.artifacts.getAllFullyQualifiedNames())]
  .filter((name) => !/^(contracts\/test|test)\//.test(name))
  .map((name) => name.split(':')[1] as string)
const sources = compiledSources(hre)
await mkdir(folder, { recursive: true })
for (const name of names) {
  const artifact = await sources.artifact(name)
  // interfaces and internal libraries are never deployed
  if (artifact.bytecode === '0x') continue
  await writeFile(new URL(`${name}.json`, folder), JSON.stringify(artifact))
}
const storage: Record<string, readonly string[]> = {}
for (const name of Object.values(upgradeable)) storage[name] = await sources.storage(name)
const { commit, compiler } = sources
const manifest: PackagedSources = { commit, compiler, storage, released: await sources.released() }
await writeFile(new URL('sources.json', folder), JSON.stringify(manifest))
