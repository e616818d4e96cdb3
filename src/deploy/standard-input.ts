/**
 * The compiler's standard JSON input of a contract, rebuilt from its source files. With it anyone can compile the same
 * code: Sourcify, Etherscan, or `assent deployment verify-sources --compile`.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import { keccak256 } from 'viem'

import { AssentError } from '../errors/index.ts'
import { type Hex, to0x, utf8ToBytes } from '../lib/bytes.ts'

/** The files and compiler settings of a contract. */
export interface InputManifest {
  /** For example `0.8.35+commit.47b9dedd`. */
  readonly compilerVersion: string
  /** The contract's file in `sources`. */
  readonly sourceName: string
  readonly settings: Readonly<Record<string, unknown>>
  /** keccak-256 of each file that the contract imports, directly or not, by its name for the compiler. */
  readonly sources: Readonly<Record<string, Hex>>
}

/** The standard JSON input of one contract. */
export interface StandardInput extends Pick<InputManifest, 'compilerVersion' | 'sourceName'> {
  /** Fully qualified name: `contracts/auth/KmsAuth.sol:KmsAuth`. */
  readonly contract: string
  /** Input of `solc --standard-json`, with only the files that the contract imports. */
  readonly input: {
    readonly language: 'Solidity'
    readonly settings: Readonly<Record<string, unknown>>
    readonly sources: Readonly<Record<string, { readonly content: string }>>
  }
}

interface BuildInfo {
  readonly solcLongVersion: string
  readonly input: {
    readonly settings: Readonly<Record<string, unknown>>
    readonly sources: Readonly<Record<string, { readonly content: string }>>
  }
}

interface ImportNode {
  readonly nodeType: string
  readonly absolutePath?: string
}

/** Reads from the last build which files a contract was compiled from. */
export async function readInputManifest(
  { artifacts }: Pick<HardhatRuntimeEnvironment, 'artifacts'>,
  contract: string,
): Promise<InputManifest> {
  const { buildInfoId, inputSourceName } = await artifacts.readArtifact(contract)
  const file = buildInfoId && (await artifacts.getBuildInfoPath(buildInfoId))
  const output = buildInfoId && (await artifacts.getBuildInfoOutputPath(buildInfoId))
  if (!file || !output || !inputSourceName) throw new Error(`There is no build of ${contract}.`)
  const { input, solcLongVersion } = JSON.parse(await readFile(file, 'utf8')) as BuildInfo
  const compiled = JSON.parse(await readFile(output, 'utf8')) as {
    output: { sources: Record<string, { ast: { nodes: readonly ImportNode[] } }> }
  }
  const importsOf = (name: string) =>
    (compiled.output.sources[name]?.ast.nodes ?? [])
      .filter(({ nodeType }) => nodeType === 'ImportDirective')
      .map(({ absolutePath = '' }) => absolutePath)
  const names = reachable(inputSourceName, importsOf).sort()
  return {
    compilerVersion: solcLongVersion,
    sourceName: inputSourceName,
    // what to return does not change the code, and verifiers ask for their own
    settings: Object.fromEntries(
      Object.entries(input.settings).filter(([name]) => name !== 'outputSelection'),
    ),
    sources: Object.fromEntries(
      names.map((name) => [name, digestOf(input.sources[name]?.content ?? '')]),
    ),
  }
}

function reachable(start: string, next: (name: string) => readonly string[]): string[] {
  const found = new Set([start])
  for (const name of found) for (const each of next(name)) found.add(each)
  return [...found]
}

function digestOf(content: string): Hex {
  return keccak256(to0x(utf8ToBytes(content)))
}

/**
 * Rebuilds the standard JSON input from the source files on this machine.
 *
 * @param root the folder that contains `contracts`
 * @throws CODE_MISMATCH if a file is missing, or is not the one that was compiled
 */
export async function rebuildInput(
  contract: string,
  manifest: InputManifest,
  root: URL,
): Promise<StandardInput> {
  const sources: Record<string, { content: string }> = {}
  for (const [name, expected] of Object.entries(manifest.sources)) {
    const content = await readFile(placeOf(name, root), 'utf8').catch(() => undefined)
    const found = content === undefined ? 'missing' : digestOf(content)
    if (content === undefined || found !== expected) {
      throw new AssentError('CODE_MISMATCH', `${name} is not the file that was compiled.`, {
        facts: { contract, file: name, expected, found },
      })
    }
    sources[name] = { content }
  }
  const { compilerVersion, sourceName, settings } = manifest
  return {
    contract,
    compilerVersion,
    sourceName,
    input: { language: 'Solidity', settings, sources },
  }
}

/** The file of a source: `project/contracts/…` below the root, `npm/PACKAGE@VERSION/…` in an installed package. */
function placeOf(name: string, root: URL): string | URL {
  const npm = /^npm\/((?:@[^/]+\/)?[^@/]+)@[^/]+\/(.+)$/.exec(name)
  if (npm === null) return new URL(name.replace(/^project\//, ''), root)
  const manifest = createRequire(new URL('package.json', root)).resolve(`${npm[1]}/package.json`)
  return join(dirname(manifest), npm[2] ?? '')
}

/** The interface of the package `solc`. */
export interface Solc {
  /** Version with commit, such as `0.8.35+commit.…`. */
  version(): string
  /** Standard JSON in, standard JSON out. */
  compile(input: string): string
}

/**
 * Compiles the input and compares the creation code with an artifact. The end of the code has the hash of the compiler's
 * metadata, so equal code has equal metadata: the same settings and the same bytes in every source file.
 *
 * @throws CODE_MISMATCH
 */
export function requireSameCode(
  solc: Solc,
  { contract, sourceName, compilerVersion, input }: StandardInput,
  bytecode: string,
): void {
  if (!solc.version().startsWith(compilerVersion)) {
    throw new AssentError('CODE_MISMATCH', 'The installed compiler has another version.', {
      facts: { expected: compilerVersion, found: solc.version() },
      hint: `Install it: npm install solc@${compilerVersion.split('+', 1)[0]}`,
    })
  }
  const wanted = { [sourceName]: { [contract]: ['evm.bytecode.object'] } }
  const settings = { ...input.settings, outputSelection: wanted }
  const { contracts } = JSON.parse(solc.compile(JSON.stringify({ ...input, settings }))) as {
    contracts?: Record<string, Record<string, { evm: { bytecode: { object: string } } }>>
  }
  const found = contracts?.[sourceName]?.[contract]?.evm.bytecode.object
  if (found !== undefined && `0x${found}` === bytecode) return
  throw new AssentError('CODE_MISMATCH', `The sources of ${contract} compile to other code.`, {
    facts: { contract, sourceName, compilerVersion },
  })
}
