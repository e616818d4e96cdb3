/** Whether the code at an address is what these sources compile to, with every immutable as recorded. */
import {
  type Abi,
  type AbiParameter,
  type Address,
  encodeDeployData,
  getContractAddress,
  keccak256,
  type PublicClient,
  slice,
} from 'viem'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { toChainError } from './call.ts'
import type { DeployedContract } from './deployments.ts'
import { type LinkableArtifact, linked } from './quotes/verifier.ts'

/** What the compiler makes of a contract, by its name. */
export type Artifacts = (contract: string) => Promise<LinkableArtifact>

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
    parameters.map((each, i) => revive(each, recorded[i])),
    libraries,
  )
}

/** Numbers are text in the record. */
function revive(parameter: AbiParameter, value: unknown): unknown {
  if (/^u?int/.test(parameter.type) && !parameter.type.endsWith(']')) return BigInt(value as string)
  if ('components' in parameter && parameter.type === 'tuple') {
    const fields = value as Record<string, unknown>
    return Object.fromEntries(
      parameter.components.map((each) => [each.name, revive(each, fields[each.name ?? ''])]),
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
    createAgain(client, recorded, code).catch((cause: unknown) => {
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

async function createAgain(
  client: PublicClient,
  { address, deployer, nonce }: DeployedContract,
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
