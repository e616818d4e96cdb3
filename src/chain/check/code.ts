/** Compares deployed code with the code that these sources compile to, including immutables and library addresses. */
import {
  type Abi,
  type AbiParameter,
  type Address,
  encodeDeployData,
  getContractAddress,
  keccak256,
  type PublicClient,
  slice,
  TransactionNotFoundError,
  zeroAddress,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { toChainError } from '../call.ts'
import {
  type DeployedContract,
  type Deployment,
  implementationName,
  proxyOf,
} from '../record/deployments.ts'
import { type LinkableArtifact, linked } from '../verifier/verifier.ts'
import type { CheckContext } from './context.ts'
import { type DeploymentFinding, exactly } from './finding.ts'
import type { UpgradeableContractName } from './proxies.ts'

/** Reads the compiled artifact of a contract by its name. */
export type Artifacts = (contract: string) => Promise<LinkableArtifact>

/** The compiled sources that the deployment is compared with. */
export interface Sources {
  /** Compiled contracts of this checkout. */
  readonly artifacts: Artifacts
  /** Version and settings with which they were compiled. */
  readonly compiler: Deployment['compiler']
  /** Compares the contracts of another commit with these sources. */
  readonly compareCommit: (commit: string) => Promise<'same' | 'other' | 'unknown'>
}

/** The creation code of a contract, with its libraries linked and its constructor arguments appended. */
export function creationCodeOf(
  artifact: LinkableArtifact,
  args: readonly unknown[],
  libraries: Readonly<Record<string, Address>> = {},
): Hex {
  const bytecode = linked(artifact, libraries).bytecode as Hex
  return encodeDeployData({ abi: artifact.abi as Abi, bytecode, args })
}

/** The creation code of a recorded contract, from its sources and the recorded arguments. */
export async function recordedCreationCode(
  artifacts: Artifacts,
  recorded: DeployedContract,
): Promise<Hex> {
  try {
    return await encodeCreation(artifacts, recorded)
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('CODE_MISMATCH', 'The recorded arguments do not fit these sources.', {
      cause,
      facts: { contract: recorded.contract },
    })
  }
}

async function encodeCreation(
  artifacts: Artifacts,
  { contract, arguments: recorded, libraries, creationCodePart: part }: DeployedContract,
): Promise<Hex> {
  const artifact = await artifacts(contract)
  if (part !== undefined) {
    const whole = (await artifacts(part.contract)).bytecode as Hex
    return creationCodeOf(artifact, [slice(whole, part.from, part.to)])
  }
  const inputs = artifact.abi.find(({ type }) => type === 'constructor')
  const parameters = inputs?.type === 'constructor' ? inputs.inputs : []
  return creationCodeOf(
    artifact,
    parameters.map((each, i) => parseRecordedArgument(each, recorded[i])),
    libraries,
  )
}

/** Converts a recorded argument for the ABI encoder: the record stores numbers as text. */
export function parseRecordedArgument(parameter: AbiParameter, value: unknown): unknown {
  if (/^u?int/.test(parameter.type) && !parameter.type.endsWith(']')) return BigInt(value as string)
  if ('components' in parameter && parameter.type === 'tuple') {
    const fields = value as Record<string, unknown>
    return Object.fromEntries(
      parameter.components.map((each) => [
        each.name,
        parseRecordedArgument(each, fields[each.name ?? '']),
      ]),
    )
  }
  return value
}

/**
 * Executes the recorded creation again in an `eth_call`, with the same deployer and nonce, and compares the resulting code
 * with the deployed code, including immutables and library addresses.
 *
 * @throws CODE_MISMATCH, CHAIN_UNREACHABLE
 */
export async function requireRecordedCode(
  client: PublicClient,
  artifacts: Artifacts,
  name: string,
  recorded: DeployedContract,
): Promise<Hex> {
  const { address, deployer, nonce } = recorded
  const created = getContractAddress({ from: deployer, nonce: BigInt(nonce) })
  if (created.toLowerCase() !== address) {
    throw new AssentError(
      'CODE_MISMATCH',
      `The address of ${name} does not follow from its recorded deployer and nonce.`,
      {
        facts: { name, address, deployer, nonce, expected: created },
      },
    )
  }
  const code = await recordedCreationCode(artifacts, recorded)
  const [expected, found] = await Promise.all([
    recreateCode(client, recorded, code).catch((cause: unknown) => {
      const error = toChainError(cause, `simulate the creation of ${name}`)
      if (error.code !== 'CALL_REVERTED') throw error
      throw new AssentError('CODE_MISMATCH', `The recorded creation of ${name} fails.`, {
        cause: error,
        facts: { name, ...error.facts },
      })
    }),
    client.getCode({ address }).catch((cause: unknown) => {
      throw toChainError(cause, `read the code of ${name}`)
    }),
  ])
  if (found !== undefined && found === expected) return keccak256(found)
  throw new AssentError('CODE_MISMATCH', `The code of ${name} differs from these sources.`, {
    facts: {
      name,
      address,
      found: found === undefined ? 'no code' : keccak256(found),
      expected: expected === undefined ? 'no code' : keccak256(expected),
    },
  })
}

/**
 * Compares the input of the recorded transaction with the recorded creation code. Other creation code can leave the same
 * code behind and write anything into the contract's storage before.
 *
 * @returns the hash of the transaction
 * @throws CODE_MISMATCH, CHAIN_UNREACHABLE
 */
export async function requireRecordedCreation(
  client: PublicClient,
  artifacts: Artifacts,
  name: string,
  recorded: DeployedContract,
): Promise<Hex> {
  const { transaction: hash } = recorded
  const code = await recordedCreationCode(artifacts, recorded)
  const sent = await client.getTransaction({ hash }).catch((cause: unknown) => {
    if (cause instanceof TransactionNotFoundError) return undefined
    throw toChainError(cause, `read transaction ${hash}`)
  })
  if (sent !== undefined && sent.to === null && sent.input === code) return hash
  throw new AssentError('CODE_MISMATCH', `${name} was created by other code than these sources.`, {
    facts: { name, transaction: hash },
  })
}

/** Executes creation code in an `eth_call` and returns the resulting code. */
export async function recreateCode(
  client: PublicClient,
  { address, deployer, nonce }: Pick<DeployedContract, 'address' | 'deployer' | 'nonce'>,
  code: Hex,
): Promise<Hex | undefined> {
  const { data } = await client.call({
    account: deployer,
    data: code,
    // the state before the creation: the address is empty and the nonce is the deployer's next one
    stateOverride: [
      { address: deployer, nonce, balance: 10n ** 24n },
      { address, code: '0x', nonce: 0, state: [] },
    ],
  })
  return data
}

/* FINDINGS */

const implementationSlot: Hex = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'

/** OpenZeppelin's Initializable (ERC-7201): the version in the low 8 bytes. */
const initializedSlot: Hex = '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00'

/**
 * Compares the implementation behind a proxy with the recorded one.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function checkImplementation(
  { client, addresses, deployment }: CheckContext,
  name: UpgradeableContractName,
): Promise<DeploymentFinding> {
  const found = await implementationOf(client, addresses[name] as Address)
  const recorded = deployment.contracts[implementationName(deployment, name)]?.address
  return exactly(
    'IMPLEMENTATION',
    `implementation of ${name}, as recorded`,
    [found],
    [recorded ?? zeroAddress],
  )
}

/** The implementation of an ERC-1967 proxy, or the zero address if the contract is no proxy. @throws CHAIN_UNREACHABLE */
export async function implementationOf(client: PublicClient, address: Address): Promise<Address> {
  const word = await readSlot(client, address, implementationSlot)
  return word === undefined ? zeroAddress : `0x${word.slice(26)}`
}

/** Checks that nobody can initialize an implementation, or a registry a second time. */
export async function checkInitializersDisabled({
  client,
  deployment,
  names,
}: CheckContext): Promise<DeploymentFinding[]> {
  const implementations = Object.keys(deployment.contracts).filter((name) =>
    /Implementation\d*$/.test(name),
  )
  return Promise.all(
    [...implementations, ...names].map(async (name): Promise<DeploymentFinding> => {
      const isRegistry = !implementations.includes(name)
      const address = deployment.contracts[name]?.address as Address
      const version = versionIn(await readSlot(client, address, initializedSlot))
      const isDone = isRegistry ? version !== undefined && version > 0n : version === disabled
      return {
        code: 'INITIALIZABLE',
        holds: isDone,
        what: `${name} cannot be initialized ${isRegistry ? 'again' : 'directly'}`,
        found: isDone
          ? isRegistry
            ? `version ${version}`
            : 'initialization is disabled'
          : 'anyone can initialize it',
      }
    }),
  )
}

/** OpenZeppelin's version after `_disableInitializers`. */
const disabled = 2n ** 64n - 1n

/** The version of an initialized contract; undefined while an initializer runs. */
function versionIn(word: Hex | undefined): bigint | undefined {
  if (word === undefined || BigInt(word) > disabled) return undefined
  return BigInt(word)
}

/** One word of storage, or undefined if the endpoint answered with something else. @throws CHAIN_UNREACHABLE */
export async function readSlot(
  client: PublicClient,
  address: Address,
  slot: Hex,
): Promise<Hex | undefined> {
  const word = await client.getStorageAt({ address, slot }).catch((cause: unknown) => {
    throw toChainError(cause, `read the storage of ${address}`)
  })
  return word?.length === 66 ? word : undefined
}

/** Compares the recorded compiler settings and commit with these sources. `checkCode` compares the code itself. */
export async function checkSources(
  { deployment }: CheckContext,
  { compiler, compareCommit }: Sources,
): Promise<DeploymentFinding[]> {
  const { commit } = deployment
  const compared = await compareCommit(commit)
  const isSame = sorted(deployment.compiler) === sorted(compiler)
  const descriptions = {
    same: `${commit}: the same contracts`,
    other: `${commit}: other contracts`,
    unknown: `${commit}: not in this repository`,
  }
  return [
    {
      code: 'COMPILER',
      holds: isSame,
      what: 'the recorded compiler and its settings are those of this checkout',
      found: `${deployment.compiler.version}, ${isSame ? 'the same settings' : sorted(deployment.compiler.settings)}`,
    },
    {
      code: 'COMMIT',
      holds: compared === 'same',
      what: 'the contracts of the recorded commit are those of this checkout',
      found: descriptions[compared],
    },
  ]
}

/** JSON with sorted keys, so that equal settings give equal text. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}

/** Two findings for each recorded contract: its code, and how it was created. @throws CHAIN_UNREACHABLE */
export async function checkCode(
  { client, deployment }: CheckContext,
  { artifacts }: Sources,
): Promise<DeploymentFinding[]> {
  const findings: DeploymentFinding[] = []
  for (const [name, recorded] of Object.entries(deployment.contracts)) {
    // code that waits for a vote is not current; `checkReplacedCode` compares replaced code
    const proxy = proxyOf(deployment, name)
    if (proxy !== undefined && implementationName(deployment, proxy) !== name) continue
    findings.push(
      await resultOf(
        'CODE',
        `code of ${name}: ${recorded.contract} with its arguments, byte for byte`,
        () => requireRecordedCode(client, artifacts, name, recorded),
      ),
      await resultOf('CREATION', `creation of ${name}: this code and nothing else`, () =>
        requireRecordedCreation(client, artifacts, name, recorded),
      ),
    )
  }
  return findings
}

async function resultOf(
  code: 'CODE' | 'CREATION',
  what: string,
  compare: () => Promise<Hex>,
): Promise<DeploymentFinding> {
  try {
    return { code, holds: true, what, found: await compare() }
  } catch (error) {
    if (!(error instanceof AssentError) || error.code !== 'CODE_MISMATCH') throw error
    return { code, holds: false, what, found: error.message }
  }
}
