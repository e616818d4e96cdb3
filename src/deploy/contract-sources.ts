/**
 * Compiled contracts for deployments, upgrades and checks: from a checkout that is compiled now, or from the npm package,
 * which contains them compiled.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'

import type { Deployment } from '../chain/record/deployments.ts'
import type { LinkableArtifact } from '../chain/verifier/verifier.ts'
import { compileContracts } from './compile.ts'
import {
  type InputManifest,
  readInputManifest,
  rebuildInput,
  type StandardInput,
} from './standard-input.ts'
import { type Layouts, layoutOf } from './storage-layout.ts'

/** The contracts of one version of Assent, compiled. */
export interface ContractSources {
  /** The commit of the sources, for the deployment record; `unknown` outside git. */
  readonly commit: string
  /** Version and settings of the compiler. */
  readonly compiler: Deployment['compiler']
  /** Whether there is a contract of this name. */
  has(contract: string): Promise<boolean>
  /** Compiled contract: ABI, creation code and marks for libraries. */
  artifact(contract: string): Promise<LinkableArtifact>
  /** The storage layout of an upgradeable contract. */
  storage(contract: string): Promise<readonly string[]>
  /** The storage layouts of the last release. */
  released(): Promise<Layouts>
  /** The compiler's input of a contract, rebuilt from the source files. @throws CODE_MISMATCH */
  standardInput(contract: string): Promise<StandardInput>
  /** Compares the contracts of another commit with these. */
  compareCommit(commit: string): Promise<'same' | 'other' | 'unknown'>
}

/** The files that `npm run build` writes in addition to the artifacts of the package. */
export interface PackagedSources {
  /** Commit of the sources, 40 hex digits. */
  readonly commit: string
  readonly compiler: Deployment['compiler']
  /** Storage layouts of these sources. */
  readonly storage: Layouts
  /** Storage layouts of the last release, with which upgrades are compared. */
  readonly released: Layouts
  /** For each contract, the files and settings that it was compiled from. */
  readonly inputs: Readonly<Record<string, InputManifest>>
}

/** In the package, `dist/artifacts`; a checkout has no such folder in `src`. */
const packaged = new URL('../artifacts/', import.meta.url)

/**
 * The contracts of this version of Assent. A checkout compiles them first, if they changed.
 *
 * @param openHardhat called only in a checkout
 * @example
 * const sources = await openContractSources(async () => hre)
 * const { bytecode } = await sources.artifact('KmsAuth')
 */
export async function openContractSources(
  openHardhat: () => Promise<HardhatRuntimeEnvironment>,
): Promise<ContractSources> {
  const manifest = await readFile(new URL('sources.json', packaged), 'utf8').catch(() => undefined)
  if (manifest !== undefined) return packagedSources(JSON.parse(manifest) as PackagedSources)
  const hre = await openHardhat()
  await compileContracts(hre)
  return compiledSources(hre)
}

function packagedSources({
  commit,
  compiler,
  storage,
  released,
  inputs,
}: PackagedSources): ContractSources {
  const read = (contract: string) => readFile(new URL(`${contract}.json`, packaged), 'utf8')
  return {
    commit,
    compiler,
    has: async (contract) =>
      /^\w+$/.test(contract) && (await read(contract).then(Boolean, () => false)),
    artifact: async (contract) => JSON.parse(await read(contract)) as LinkableArtifact,
    storage: async (contract) => storage[contract] ?? [],
    released: async () => released,
    standardInput: async (contract) => {
      const manifest = inputs[contract]
      if (manifest === undefined) throw new Error(`The package has no sources of ${contract}.`)
      return rebuildInput(contract, manifest, new URL('../../', packaged))
    },
    compareCommit: async (other) => (other === commit ? 'same' : 'unknown'),
  }
}

/** The contracts of a checkout, as Hardhat compiled them. */
export function compiledSources(hre: HardhatRuntimeEnvironment): ContractSources {
  return {
    commit: currentCommit(),
    compiler: compilerOf(hre),
    has: (contract) => hre.artifacts.artifactExists(contract),
    artifact: async (contract) => {
      const { abi, bytecode, linkReferences } = await hre.artifacts.readArtifact(contract)
      return { abi, bytecode, linkReferences }
    },
    storage: (contract) => layoutOf(hre, contract),
    released: async () => {
      const file = new URL('../../snapshots/storage.released.json', import.meta.url)
      return JSON.parse(await readFile(file, 'utf8')) as Layouts
    },
    standardInput: async (contract) =>
      rebuildInput(
        contract,
        await readInputManifest(hre, contract),
        new URL('../../', import.meta.url),
      ),
    compareCommit: async (commit) => compareContracts(commit),
  }
}

/** The compiler version and all settings, so that anyone can compile the same code. */
export function compilerOf({
  config,
}: Pick<HardhatRuntimeEnvironment, 'config'>): Deployment['compiler'] {
  const profile = config.solidity.profiles.default
  const compiler = profile?.compilers[0]
  if (profile === undefined || compiler === undefined)
    throw new TypeError('No compiler is configured.')
  const overrides = Object.entries(profile.overrides).map(([file, each]) => [file, each.settings])
  return {
    version: compiler.version,
    settings: { ...compiler.settings, overrides: Object.fromEntries(overrides) },
  }
}

/** Git is asked about this checkout, wherever the command runs. What it says about a folder without one is not shown. */
const checkout = new URL('../../', import.meta.url)

function currentCommit(): string {
  try {
    const answer = execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: checkout,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return answer.trim()
  } catch {
    return 'unknown'
  }
}

/** Compares the contracts of a commit with the files in the working tree, committed or not. */
function compareContracts(commit: string): 'same' | 'other' | 'unknown' {
  if (!/^[0-9a-f]{40}$/.test(commit)) return 'unknown'
  const { status } = spawnSync('git', ['diff', '--quiet', commit, '--', 'contracts'], {
    cwd: checkout,
    stdio: 'ignore',
  })
  return status === 0 ? 'same' : status === 1 ? 'other' : 'unknown'
}
