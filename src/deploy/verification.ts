/** The inputs of Sourcify and Etherscan for verifying the contracts of a deployment. */
import { recordedCreationCode } from '../chain/check/code.ts'
import type { DeployedContract, Deployment } from '../chain/record/deployments.ts'
import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import type { ContractSources } from './contract-sources.ts'
import type { StandardInput } from './standard-input.ts'

/** One contract with everything that a verifier asks for. */
export interface Verification {
  /** Its name in the deployment record. */
  readonly name: string
  readonly address: Hex
  /** Hash of the creating transaction. */
  readonly transaction: Hex
  /** `file:contract`, as the compiler names it. */
  readonly identifier: string
  /** Version with commit, without `v`. */
  readonly compilerVersion: string
  /** ABI-encoded arguments of the constructor, without `0x`; empty: no arguments. */
  readonly constructorArguments: string
  /** The input, with the addresses of linked libraries in its settings. */
  readonly input: StandardInput['input']
}

/** The body of a request to Sourcify's API: POST /server/v2/verify/{chain id}/{address}. */
export function toSourcify({ input, compilerVersion, identifier, transaction }: Verification) {
  return {
    stdJsonInput: input,
    compilerVersion,
    contractIdentifier: identifier,
    creationTransactionHash: transaction,
  }
}

/** The fields of a request to Etherscan's API: module contract, action verifysourcecode. */
export function toEtherscan(
  { address, input, identifier, compilerVersion, constructorArguments }: Verification,
  chainId: number,
) {
  return {
    chainid: String(chainId),
    module: 'contract',
    action: 'verifysourcecode',
    codeformat: 'solidity-standard-json-input',
    contractaddress: address,
    contractname: identifier,
    compilerversion: `v${compilerVersion}`,
    // the spelling of their API
    constructorArguements: constructorArguments,
    sourceCode: JSON.stringify(input),
  }
}

/**
 * The verification of each recorded contract whose code is of these sources. Contracts with code of another commit are
 * left out and named in `others`.
 *
 * @throws CODE_MISMATCH if a source file is not the one that was compiled
 */
export async function readVerifications(
  deployment: Deployment,
  sources: ContractSources,
): Promise<{
  readonly verifications: readonly Verification[]
  readonly others: readonly string[]
}> {
  const verifications: Verification[] = []
  const others: string[] = []
  const inputs = new Map<string, Promise<StandardInput>>()
  for (const [name, recorded] of Object.entries(deployment.contracts)) {
    const { contract, address, transaction } = recorded
    if (recorded.commit !== undefined || !(await sources.has(contract))) {
      others.push(name)
      continue
    }
    const known = inputs.get(contract) ?? sources.standardInput(contract)
    inputs.set(contract, known)
    const { sourceName, compilerVersion, input } = await known
    verifications.push({
      name,
      address: address as Hex,
      transaction: transaction as Hex,
      identifier: `${sourceName}:${contract}`,
      compilerVersion,
      constructorArguments: await constructorArguments(sources, recorded),
      input: await withLibraries(input, recorded, sources),
    })
  }
  return { verifications, others }
}

/** The bytes after the code in the creation code. */
async function constructorArguments(
  sources: ContractSources,
  recorded: DeployedContract,
): Promise<string> {
  const { bytecode } = await sources.artifact(recorded.contract)
  const creation = await recordedCreationCode(sources.artifact, recorded)
  return creation.slice(bytecode.length)
}

async function withLibraries(
  input: StandardInput['input'],
  { contract, libraries = {} }: DeployedContract,
  sources: ContractSources,
): Promise<StandardInput['input']> {
  if (Object.keys(libraries).length === 0) return input
  const { linkReferences } = await sources.artifact(contract)
  const addresses: Record<string, Record<string, string>> = {}
  for (const [file, names] of Object.entries(linkReferences)) {
    for (const library of Object.keys(names)) {
      const address = libraries[library]
      if (address === undefined) {
        throw new AssentError('CODE_MISMATCH', `The record lacks the library ${library}.`, {
          facts: { contract, library },
        })
      }
      addresses[file] = { ...addresses[file], [library]: address }
    }
  }
  return { ...input, settings: { ...input.settings, libraries: addresses } }
}
