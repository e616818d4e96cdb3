/** Compares the deployment record with the chain: transaction, block and initialization of each contract. */
import {
  type Abi,
  type AbiFunction,
  encodeFunctionData,
  isAddressEqual,
  TransactionReceiptNotFoundError,
} from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { toChainError } from '../call.ts'
import { type ContractType, describedContracts } from '../governance/describe-call.ts'
import type { DeployedContract } from '../record/deployments.ts'
import { parseRecordedArgument } from './code.ts'
import type { CheckContext } from './context.ts'
import type { DeploymentFinding } from './finding.ts'

/** One finding for each recorded contract. @throws CHAIN_UNREACHABLE */
export async function checkTransactions(context: CheckContext): Promise<DeploymentFinding[]> {
  const findings: DeploymentFinding[] = []
  for (const [name, recorded] of Object.entries(context.deployment.contracts)) {
    const wrong = [
      ...(await differencesOfCreation(context, recorded)),
      ...differencesOfInitialization(context, name, recorded),
    ]
    findings.push({
      code: 'RECORD',
      holds: wrong.length === 0,
      what: `${name} was created as recorded`,
      found: wrong.length === 0 ? `in block ${recorded.block}` : wrong.join('; '),
    })
  }
  return findings
}

async function differencesOfCreation(
  { client }: CheckContext,
  { transaction, address, block, deployer, nonce }: DeployedContract,
): Promise<string[]> {
  try {
    const receipt = await client.getTransactionReceipt({ hash: transaction })
    const { contractAddress, blockNumber, from, status } = receipt
    const sent = await client.getTransaction({ hash: transaction })
    return [
      ...(status === 'success' ? [] : ['its transaction failed']),
      ...(contractAddress && isAddressEqual(contractAddress, address)
        ? []
        : [`its transaction created ${contractAddress ?? 'nothing'}`]),
      ...(blockNumber === BigInt(block) ? [] : [`it is in block ${blockNumber}`]),
      ...(isAddressEqual(from, deployer) && sent.nonce === nonce
        ? []
        : [`it was sent by ${from}, nonce ${sent.nonce}`]),
    ]
  } catch (cause) {
    if (cause instanceof TransactionReceiptNotFoundError)
      return ['the chain has no such transaction']
    throw toChainError(cause, `read transaction ${transaction}`)
  }
}

/** The initialization call, or undefined if the recorded arguments do not fit the function. */
function encodeInitialization(wanted: AbiFunction, recorded: readonly unknown[]): Hex | undefined {
  try {
    const args = wanted.inputs.map((each, i) => parseRecordedArgument(each, recorded[i]))
    return encodeFunctionData({ abi: [wanted], functionName: wanted.name, args })
  } catch {
    return undefined
  }
}

/** The second constructor argument of a proxy is its initialization call; the record also has it in readable form. */
function differencesOfInitialization(
  { deployment }: CheckContext,
  name: string,
  { initializer, arguments: recorded, contract }: DeployedContract,
): string[] {
  if (contract !== 'ERC1967Proxy') return []
  const [implementation, data] = recorded
  const behind = deployment.contracts[`${name}Implementation`]
  if (behind === undefined || behind.address !== implementation) {
    return [
      `it was created with the implementation ${String(implementation)}, not the recorded one`,
    ]
  }
  const type = describedContracts[behind.contract as ContractType] as { abi: Abi } | undefined
  const wanted = type?.abi.find(
    (item) =>
      item.type === 'function' &&
      item.name === initializer?.function &&
      item.inputs.length === initializer.arguments.length,
  )
  if (wanted?.type !== 'function' || initializer === undefined) return ['it was not initialized']
  return encodeInitialization(wanted, initializer.arguments) === data
    ? []
    : ['it was initialized with other arguments']
}
