/** Whether the code is what these sources compile to, with every immutable as recorded. */
import {
  type Abi,
  type AbiParameter,
  type Address,
  encodeDeployData,
  getContractAddress,
  keccak256,
  type PublicClient,
  slice,
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
} from '../deployments.ts'
import { type LinkableArtifact, linked } from '../verifier/verifier.ts'
import type { CheckContext } from './context.ts'
import { type DeploymentFinding, exactly } from './finding.ts'
import type { OwnedContractName } from './proxies.ts'

/** What the compiler makes of a contract, by its name. */
export type Artifacts = (contract: string) => Promise<LinkableArtifact>

/** What the deployment is compared with: a checkout, compiled. */
export interface Sources {
  readonly artifacts: Artifacts
  readonly compiler: Deployment['compiler']
  /** Whether the contracts of another commit are these. */
  readonly compareCommit: (commit: string) => Promise<'same' | 'other' | 'unknown'>
}

/** Code that creates a contract, with its libraries and arguments. */
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
  { contract, arguments: recorded, libraries, holds }: DeployedContract,
): Promise<Hex> {
  const artifact = await artifacts(contract)
  if (holds !== undefined) {
    const held = (await artifacts(holds.contract)).bytecode as Hex
    return creationCodeOf(artifact, [slice(held, holds.from, holds.to)])
  }
  const inputs = artifact.abi.find(({ type }) => type === 'constructor')
  const parameters = inputs?.type === 'constructor' ? inputs.inputs : []
  return creationCodeOf(
    artifact,
    parameters.map((each, i) => parseRecordedArgument(each, recorded[i])),
    libraries,
  )
}

/** Numbers are text in the record. */
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
 * Creates the contract again, in a call that changes nothing, as the same transaction of the same deployer,
 * and compares what that leaves with what is there: immutables and library addresses included.
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
    throw new AssentError('CODE_MISMATCH', `${name} is not what its deployer created then.`, {
      facts: { name, address, deployer, nonce, expected: created },
    })
  }
  const code = await recordedCreationCode(artifacts, recorded)
  const [expected, found] = await Promise.all([
    recreateCode(client, recorded, code).catch((cause: unknown) => {
      const error = toChainError(cause, `create ${name} again`)
      if (error.code !== 'CALL_REVERTED') throw error
      throw new AssentError('CODE_MISMATCH', `${name} cannot be created as recorded.`, {
        cause: error,
        facts: { name, ...error.facts },
      })
    }),
    client.getCode({ address }).catch((cause: unknown) => {
      throw toChainError(cause, `read the code of ${name}`)
    }),
  ])
  if (found !== undefined && found === expected) return keccak256(found)
  throw new AssentError('CODE_MISMATCH', `The code of ${name} is not that of these sources.`, {
    facts: {
      name,
      address,
      found: found === undefined ? 'no code' : keccak256(found),
      expected: expected === undefined ? 'no code' : keccak256(expected),
    },
  })
}

/** The code that a creation leaves, in a call that changes nothing. */
export async function recreateCode(
  client: PublicClient,
  { address, deployer, nonce }: Pick<DeployedContract, 'address' | 'deployer' | 'nonce'>,
  code: Hex,
): Promise<Hex | undefined> {
  const { data } = await client.call({
    account: deployer,
    data: code,
    // as it was then: the address still empty, this the deployer's next transaction
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

export async function checkImplementation(
  { client, addresses, deployment }: CheckContext,
  name: OwnedContractName,
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

/** The code behind a proxy (ERC-1967); the zero address if it is none. @throws CHAIN_UNREACHABLE */
export async function implementationOf(client: PublicClient, address: Address): Promise<Address> {
  const word = await storageAt(client, address, implementationSlot)
  return word === undefined ? zeroAddress : `0x${word.slice(26)}`
}

/** Nobody may initialize the code itself and then upgrade it away. */
export async function checkInitializersDisabled({
  client,
  deployment,
}: CheckContext): Promise<DeploymentFinding[]> {
  const implementations = Object.entries(deployment.contracts).filter(([name]) =>
    /Implementation\d*$/.test(name),
  )
  return Promise.all(
    implementations.map(async ([name, { address }]): Promise<DeploymentFinding> => {
      const word = await storageAt(client, address, initializedSlot)
      const isDisabled = word?.endsWith('f'.repeat(16)) ?? false
      return {
        code: 'INITIALIZABLE',
        holds: isDisabled,
        what: `${name} cannot be initialized itself`,
        found: isDisabled ? 'it is disabled' : 'anyone may initialize it',
      }
    }),
  )
}

async function storageAt(
  client: PublicClient,
  address: Address,
  slot: Hex,
): Promise<Hex | undefined> {
  const word = await client.getStorageAt({ address, slot }).catch((cause: unknown) => {
    throw toChainError(cause, `read the storage of ${address}`)
  })
  return word?.length === 66 ? word : undefined
}

/** The sources that the record names against those that are here: byte for byte is looked at beside it. */
export async function checkSources(
  { deployment }: CheckContext,
  { compiler, compareCommit }: Sources,
): Promise<DeploymentFinding[]> {
  const { commit } = deployment
  const compared = await compareCommit(commit)
  const isSame = sorted(deployment.compiler) === sorted(compiler)
  const words = {
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
      found: words[compared],
    },
  ]
}

/** JSON whose keys are in order, so that the same settings are the same text. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}

export async function checkCode(
  { client, deployment }: CheckContext,
  { artifacts }: Sources,
): Promise<DeploymentFinding[]> {
  const findings: DeploymentFinding[] = []
  for (const [name, recorded] of Object.entries(deployment.contracts)) {
    // what was replaced, or waits for a vote, is of other sources
    const proxy = proxyOf(deployment, name)
    if (proxy !== undefined && implementationName(deployment, proxy) !== name) continue
    const what = `code of ${name}: ${recorded.contract} with its arguments, byte for byte`
    try {
      const found = await requireRecordedCode(client, artifacts, name, recorded)
      findings.push({ code: 'CODE', holds: true, what, found })
    } catch (error) {
      if (!(error instanceof AssentError) || error.code !== 'CODE_MISMATCH') throw error
      findings.push({ code: 'CODE', holds: false, what, found: error.message })
    }
  }
  return findings
}
