/** Writes the compiled contracts that the npm package contains: `dist/artifacts`, for deployments, upgrades and checks. */
import { mkdir, writeFile } from 'node:fs/promises'

import hre from 'hardhat'

import { compiledSources, type PackagedSources } from '../../src/deploy/contract-sources.ts'
import { type InputManifest, readInputManifest } from '../../src/deploy/standard-input.ts'
import { upgradeable } from '../../src/deploy/upgrade.ts'

const folder = new URL('../../dist/artifacts/', import.meta.url)

const names = [...(await hre.artifacts.getAllFullyQualifiedNames())]
  .filter((name) => !/^(contracts\/test|test)\//.test(name))
  .map((name) => name.split(':')[1] as string)
const sources = compiledSources(hre)
await mkdir(folder, { recursive: true })
const inputs: Record<string, InputManifest> = {}
for (const name of names) {
  const artifact = await sources.artifact(name)
  // interfaces and internal libraries are never deployed
  if (artifact.bytecode === '0x') continue
  await writeFile(new URL(`${name}.json`, folder), JSON.stringify(artifact))
  inputs[name] = await readInputManifest(hre, name)
}
const storage: Record<string, readonly string[]> = {}
for (const name of Object.values(upgradeable)) storage[name] = await sources.storage(name)
const { commit, compiler } = sources
const released = await sources.released()
const manifest: PackagedSources = { commit, compiler, storage, released, inputs }
await writeFile(new URL('sources.json', folder), JSON.stringify(manifest))
