/** Whether a deployment is as it must be: who may propose, who owns, who can deny. */
import {
  type Address,
  getAddress,
  keccak256,
  type PublicClient,
  parseEventLogs,
  toBytes,
  zeroAddress,
} from 'viem'

import type { Hex } from '../lib/bytes.ts'
import { approvalRegistryAbi, assentGovernorAbi, timelockControllerAbi } from './abi.ts'
import { toChainError } from './call.ts'
import { type Deployment, deployedAddresses } from './deployments.ts'

/** One thing that must hold, and what was found. */
export interface Finding {
  readonly holds: boolean
  readonly what: string
  readonly found: string
}

const implementationSlot: Hex = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'

/** Roles of the timelock; nobody else may hold any of them. */
const roles = {
  admin: `0x${'00'.repeat(32)}`,
  proposer: keccak256(toBytes('PROPOSER_ROLE')),
  canceller: keccak256(toBytes('CANCELLER_ROLE')),
  executor: keccak256(toBytes('EXECUTOR_ROLE')),
} as const satisfies Record<string, Hex>

/**
 * Reads everything from the chain; the record only says where to look.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED, DEPLOYMENT_INVALID
 */
export async function checkDeployment(
  client: PublicClient,
  deployment: Deployment,
): Promise<Finding[]> {
  const addresses = deployedAddresses(deployment)
  const { timelock, governor } = addresses
  const intended = {
    admin: [timelock],
    proposer: [governor],
    canceller: [governor],
    executor: [governor],
  } as const
  try {
    const from = BigInt(deployment.contracts.timelock?.block ?? 0)
    const holders = await roleHolders(client, timelock, from)
    const findings = Object.entries(roles).map(([name, role]) =>
      equal(`holders of the timelock's ${name} role`, holders.get(role) ?? [], [
        ...intended[name as keyof typeof roles],
      ]),
    )
    findings.push(...(await checkGovernor(client, addresses)))
    const guardian = await client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'proposalGuardian',
    })
    for (const name of ['kmsAuth', 'hosts', 'rootKeys']) {
      const registry = deployment.contracts[name]
      if (registry === undefined) continue
      const implementation = deployment.contracts[`${name}Implementation`]?.address
      findings.push(
        ...(await checkRegistry(client, name, registry.address, { timelock, guardian })),
        await checkImplementation(client, name, registry.address, implementation),
      )
    }
    return findings
  } catch (cause) {
    throw toChainError(cause, 'check the deployment')
  }
}

/** Who holds what, from the timelock's whole history: its roles cannot be listed. */
async function roleHolders(
  client: PublicClient,
  timelock: Address,
  fromBlock: bigint,
): Promise<Map<Hex, string[]>> {
  const logs = parseEventLogs({
    abi: timelockControllerAbi,
    eventName: ['RoleGranted', 'RoleRevoked'],
    logs: await client.getLogs({ address: timelock, fromBlock }),
  })
  const holders = new Map<Hex, string[]>()
  for (const { eventName, args } of logs) {
    const others = (holders.get(args.role) ?? []).filter((each) => each !== args.account)
    holders.set(args.role, eventName === 'RoleGranted' ? [...others, args.account] : others)
  }
  return holders
}

async function checkGovernor(
  client: PublicClient,
  { governor, timelock, votes }: { governor: Address; timelock: Address; votes: Address },
): Promise<Finding[]> {
  const contract = { address: governor, abi: assentGovernorAbi } as const
  return [
    equal(
      'timelock of the governor',
      [await client.readContract({ ...contract, functionName: 'timelock' })],
      [timelock],
    ),
    equal(
      'votes of the governor',
      [await client.readContract({ ...contract, functionName: 'token' })],
      [votes],
    ),
  ]
}

async function checkRegistry(
  client: PublicClient,
  name: string,
  address: Address,
  { timelock, guardian }: { timelock: Address; guardian: Address },
): Promise<Finding[]> {
  const contract = { address, abi: approvalRegistryAbi } as const
  const owner = await client.readContract({ ...contract, functionName: 'owner' })
  const pending = await client.readContract({ ...contract, functionName: 'pendingOwner' })
  const denier = await client.readContract({ ...contract, functionName: 'guardian' })
  return [
    equal(`owner of ${name}`, [owner], [timelock]),
    equal(`pending owner of ${name}`, [pending], [zeroAddress]),
    equal(`guardian of ${name}, as of the governor`, [denier], [guardian]),
  ]
}

async function checkImplementation(
  client: PublicClient,
  name: string,
  address: Address,
  recorded: Address | undefined,
): Promise<Finding> {
  const found = await implementationOf(client, address)
  return equal(`implementation of ${name}, as recorded`, [found], [recorded ?? zeroAddress])
}

/** The code behind a proxy (ERC-1967); the zero address if it is none. @throws CHAIN_UNREACHABLE */
export async function implementationOf(client: PublicClient, address: Address): Promise<Address> {
  const word = await client
    .getStorageAt({ address, slot: implementationSlot })
    .catch((cause: unknown) => {
      throw toChainError(cause, `read the implementation of ${address}`)
    })
  return word?.length === 66 ? `0x${word.slice(26)}` : zeroAddress
}

function equal(what: string, found: readonly string[], expected: readonly string[]): Finding {
  const normal = (list: readonly string[]) => [...list].map((each) => getAddress(each)).sort()
  const [is, must] = [normal(found), normal(expected)]
  return { holds: is.join() === must.join(), what, found: is.join(', ') || 'nobody' }
}
