/** Who can call nothing that allows: tried on the chain, function by function, in calls that change nothing. */
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
import { type Deployment, proxyOf } from '../deployments.ts'
import type { FunctionDescription } from '../governance/call-descriptions/types.ts'
import { type ContractType, describedContracts } from '../governance/describe-call.ts'
import type { CheckContext } from './context.ts'
import type { DeploymentFinding, FindingCode } from './finding.ts'
import { ownedContracts } from './proxies.ts'

/** An account that nobody has a key of and nobody ever named. */
const anyone: Address = `0x${'a17e'.repeat(10)}`

interface UnprivilegedAccount {
  readonly code: FindingCode
  readonly who: string
  readonly account: Address
}

/** Functions of the owner and of the DAO, and what they say to everyone else. */
const refusals: Partial<Record<FunctionDescription['caller'], readonly string[]>> = {
  owner: ['OwnableUnauthorizedAccount'],
  dao: ['GovernorOnlyExecutor', 'TimelockUnauthorizedCaller', 'AccessControlUnauthorizedAccount'],
}

export async function checkPermissions(context: CheckContext): Promise<DeploymentFinding[]> {
  const { addresses, names } = context
  const contracts: [string, ContractType, Address][] = [
    ['governor', 'AssentGovernor', addresses.governor],
    ['timelock', 'TimelockController', addresses.timelock],
    ...names.map((name): [string, ContractType, Address] => [
      name,
      ownedContracts[name],
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
      what: `${who} (${account}) can allow, change or give away nothing`,
      found: allowed.length === 0 ? `all ${tried} functions refuse it` : allowed.join(', '),
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

/** Without code that came later: who brings that gets nothing by it, and may well be a voter. */
function withoutLaterCode(deployment: Deployment): Deployment {
  const contracts = Object.entries(deployment.contracts).filter(
    ([name]) => proxyOf(deployment, name) === undefined || name.endsWith('Implementation'),
  )
  return { ...deployment, contracts: Object.fromEntries(contracts) }
}

function deployersOf({ contracts }: Deployment): Address[] {
  return [...new Set(Object.values(contracts).map(({ deployer }) => deployer))]
}

/** Those that are, whoever should be. */
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

/** Those that do not refuse `account` for who it is. */
async function openFunctions(
  { client }: CheckContext,
  privileged: readonly PrivilegedFunction[],
  { address, account }: { address: Address; account: Address },
): Promise<string[]> {
  const open = await Promise.all(
    privileged.map(async ({ name, selector, refusals: known }) => {
      // zeros are an empty value of every type: who asks is looked at before they matter
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

/** Who deploys must be of no importance afterwards. */
export async function checkDeployerHoldings(context: CheckContext): Promise<DeploymentFinding[]> {
  const { client, addresses, deployment } = context
  const token = { address: addresses.votes, abi: assentVotesAbi } as const
  const guardians = await readGuardians(context)
  return Promise.all(
    deployersOf(withoutLaterCode(deployment)).map(async (account): Promise<DeploymentFinding> => {
      const args = [account] as const
      const [balance, votes] = await Promise.all([
        client.readContract({ ...token, functionName: 'balanceOf', args }),
        client.readContract({ ...token, functionName: 'getVotes', args }),
      ])
      const isGuardian = guardians.some((each) => isAddressEqual(each, account))
      const found = [
        ...(balance > 0n ? [`${formatUnits(balance, 18)} tokens`] : []),
        ...(votes > 0n ? [`${formatUnits(votes, 18)} votes`] : []),
        ...(isGuardian ? ['the part of the guardian'] : []),
      ]
      return {
        code: 'DEPLOYER_HOLDS',
        holds: found.length === 0,
        what: `the deployer (${account}) has no votes and is not the guardian`,
        found: found.length === 0 ? 'nothing' : found.join(', '),
      }
    }),
  )
}
