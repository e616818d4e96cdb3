/** Tries every privileged function with `eth_call` as deployer, guardian and a stranger: all must be refused. */
import {
  type Abi,
  type Address,
  concat,
  formatUnits,
  isAddressEqual,
  pad,
  toFunctionSelector,
  zeroAddress,
} from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { approvalRegistryAbi, assentGovernorAbi, assentVotesAbi } from '../abi.ts'
import { decodeRevert, revertData, toChainError } from '../call.ts'
import type { FunctionDescription } from '../governance/call-descriptions/types.ts'
import { type ContractType, describedContracts } from '../governance/describe-call.ts'
import { type Deployment, proxyOf } from '../record/deployments.ts'
import type { CheckContext } from './context.ts'
import type { DeploymentFinding, FindingCode } from './finding.ts'
import { findUnderlying } from './governance-settings.ts'
import { upgradeableContracts } from './proxies.ts'

/** An address without a known key and without any role. */
const anyone: Address = `0x${'a17e'.repeat(10)}`

interface UnprivilegedAccount {
  readonly code: FindingCode
  readonly who: string
  readonly account: Address
}

/** The errors with which functions of the owner and of the DAO refuse other callers. */
const refusals: Partial<Record<FunctionDescription['caller'], readonly string[]>> = {
  owner: ['OwnableUnauthorizedAccount'],
  dao: ['GovernorOnlyExecutor', 'TimelockUnauthorizedCaller', 'AccessControlUnauthorizedAccount'],
}

/** One finding for each unprivileged account. @throws CHAIN_UNREACHABLE */
export async function checkPermissions(context: CheckContext): Promise<DeploymentFinding[]> {
  const { addresses, names } = context
  const contracts: [string, ContractType, Address][] = [
    ['governor', 'AssentGovernor', addresses.governor],
    ['timelock', 'TimelockController', addresses.timelock],
    ...names.map((name): [string, ContractType, Address] => [
      name,
      upgradeableContracts[name],
      addresses[name] as Address,
    ]),
  ]
  const findings: DeploymentFinding[] = []
  for (const { code, who, account } of await listUnprivilegedAccounts(context)) {
    const allowed: string[] = []
    let tried = 0
    for (const [name, type, address] of contracts) {
      const privileged = privilegedFunctions(type)
      tried += privileged.length
      const open = await openFunctions(context, privileged, { address, account })
      allowed.push(...open.map((each) => `${name}.${each}`))
    }
    findings.push({
      code,
      holds: allowed.length === 0,
      what: `${who} (${account}) can call no privileged function`,
      found:
        allowed.length === 0 ? `all ${tried} functions refuse this account` : allowed.join(', '),
    })
  }
  return findings
}

async function listUnprivilegedAccounts(context: CheckContext): Promise<UnprivilegedAccount[]> {
  const guardians = await readGuardians(context)
  return [
    ...deployersOf(context.deployment).map(
      (account): UnprivilegedAccount => ({
        code: 'PERMISSION_DEPLOYER',
        who: 'the deployer',
        account,
      }),
    ),
    ...guardians.map(
      (account): UnprivilegedAccount => ({
        code: 'PERMISSION_GUARDIAN',
        who: 'the guardian',
        account,
      }),
    ),
    { code: 'PERMISSION_ANYONE', who: 'anyone', account: anyone },
  ]
}

/** The deployment without code that was added later: its deployer gets no rights and can be a voter. */
function withoutLaterCode(deployment: Deployment): Deployment {
  const contracts = Object.entries(deployment.contracts).filter(
    ([name]) => proxyOf(deployment, name) === undefined || name.endsWith('Implementation'),
  )
  return { ...deployment, contracts: Object.fromEntries(contracts) }
}

function deployersOf({ contracts }: Deployment): Address[] {
  return [...new Set(Object.values(contracts).map(({ deployer }) => deployer))]
}

/** The current guardians of the governor and all registries, expected or not. */
async function readGuardians({ client, addresses, names }: CheckContext): Promise<Address[]> {
  const registries = names.filter((name) => name !== 'hostBonds')
  const found = await Promise.all([
    client.readContract({
      address: addresses.governor,
      abi: assentGovernorAbi,
      functionName: 'proposalGuardian',
    }),
    ...registries.map((name) =>
      client.readContract({
        address: addresses[name] as Address,
        abi: approvalRegistryAbi,
        functionName: 'guardian',
      }),
    ),
  ])
  return [...new Set(found)].filter((each) => each !== zeroAddress)
}

interface PrivilegedFunction {
  readonly name: string
  readonly selector: Hex
  readonly refusals: readonly string[]
}

function privilegedFunctions(type: ContractType): PrivilegedFunction[] {
  const { abi, descriptions } = describedContracts[type] as unknown as {
    abi: Abi
    descriptions: Record<string, FunctionDescription | undefined>
  }
  return abi.flatMap((item) => {
    if (item.type !== 'function') return []
    const caller = descriptions[item.name]?.caller
    const known = caller === undefined ? undefined : refusals[caller]
    if (known === undefined) return []
    return [{ name: item.name, selector: toFunctionSelector(item), refusals: known }]
  })
}

/** Names of the functions that do not refuse `account` because of its missing rights. */
async function openFunctions(
  { client }: CheckContext,
  privileged: readonly PrivilegedFunction[],
  { address, account }: { address: Address; account: Address },
): Promise<string[]> {
  const open = await Promise.all(
    privileged.map(async ({ name, selector, refusals: known }) => {
      // zeros are a valid value of every type, and functions check the caller first
      const data = concat([selector, pad('0x', { size: 32 * 24 })])
      try {
        await client.call({ account, to: address, data })
        return name
      } catch (cause) {
        const revert = revertData(cause)
        if (revert === undefined) throw toChainError(cause, `try ${name} of ${address}`)
        return known.includes(decodeRevert(revert).error) ? undefined : name
      }
    }),
  )
  return open.filter((each) => each !== undefined)
}

/**
 * The deployer must have no votes, no tokens that become votes by a deposit, and must not be a guardian. The token behind
 * wrapped votes is foreign code. @throws CHAIN_UNREACHABLE
 */
export async function checkDeployerHoldings(context: CheckContext): Promise<DeploymentFinding[]> {
  const { client, addresses, deployment } = context
  const token = { address: addresses.votes, abi: assentVotesAbi } as const
  const guardians = await readGuardians(context)
  const underlying = await findUnderlying(client, addresses.votes)
  const findings = await Promise.all(
    deployersOf(withoutLaterCode(deployment)).map(async (account): Promise<DeploymentFinding> => {
      const args = [account] as const
      const [balance, votes] = await Promise.all([
        client.readContract({ ...token, functionName: 'balanceOf', args }),
        client.readContract({ ...token, functionName: 'getVotes', args }),
      ])
      const deposits =
        underlying === undefined
          ? 0n
          : await client.readContract({
              ...token,
              address: underlying,
              functionName: 'balanceOf',
              args,
            })
      const isGuardian = guardians.some((each) => isAddressEqual(each, account))
      const found = [
        ...(balance > 0n ? [`${formatUnits(balance, 18)} tokens`] : []),
        ...(votes > 0n ? [`${formatUnits(votes, 18)} votes`] : []),
        ...(deposits > 0n ? [`${deposits} smallest units of the token that the votes wrap`] : []),
        ...(isGuardian ? ['the guardian role'] : []),
      ]
      return {
        code: 'DEPLOYER_HOLDS',
        holds: found.length === 0,
        what: `the deployer (${account}) has no votes and is not the guardian`,
        found: found.length === 0 ? 'nothing' : found.join(', '),
      }
    }),
  )
  return underlying === undefined ? findings : [...findings, describeUnderlying(underlying)]
}

function describeUnderlying(underlying: Address): DeploymentFinding {
  return {
    code: 'UNDERLYING',
    holds: false,
    isUnchecked: true,
    what: 'the votes need no foreign code',
    found: `they wrap the token ${underlying}, whose code and holders nothing here checks`,
  }
}
