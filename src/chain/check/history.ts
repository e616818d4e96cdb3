/**
 * Checks what happened before: who had roles of the timelock during the deployment, and which code and owners the registries
 * ever had. Roles, code and owners of today do not show what an account did before it gave up its rights.
 *
 * Together with the creation code of each contract this covers storage that nobody can list: only checked code could write it.
 */
import {
  type Address,
  decodeFunctionData,
  isAddressEqual,
  parseEventLogs,
  type TransactionReceipt,
  zeroAddress,
} from 'viem'
import { isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { kmsAuthAbi, timelockControllerAbi } from '../abi.ts'
import { toChainError } from '../call.ts'
import { type DeployedContract, recordedCodes } from '../record/deployments.ts'
import { historyOf } from '../rpc/history.ts'
import {
  implementationOf,
  readSlot,
  requireRecordedCode,
  requireRecordedCreation,
  type Sources,
} from './code.ts'
import type { CheckContext } from './context.ts'
import type { DeploymentFinding } from './finding.ts'
import { roleChanges, roles } from './governance-settings.ts'
import type { UpgradeableContractName } from './proxies.ts'

/* THE TIMELOCK */

/**
 * Until the deployer gave up its admin role, nobody but the governor got a role, no operation was scheduled or executed, and
 * no registry existed. @throws CHAIN_UNREACHABLE
 */
export async function checkHandOver(context: CheckContext): Promise<DeploymentFinding[]> {
  const { deployment, names } = context
  const { deployer } = deployment.contracts.timelock as DeployedContract
  const changes = await roleChanges(context)
  const end = changes.findIndex(
    ({ eventName, args }) =>
      eventName === 'RoleRevoked' &&
      args.role === roles.ROLE_ADMIN &&
      isAddressEqual(args.account, deployer),
  )
  const strangers = changes
    .slice(0, end < 0 ? changes.length : end)
    .filter(({ eventName, args }) => eventName === 'RoleGranted' && !isPlanned(context, args))
    .map(({ args }) => args.account)
  return [
    {
      code: 'ROLE_HISTORY',
      holds: strangers.length === 0,
      what: 'only the governor got roles of the timelock before the deployer gave up its own',
      found: strangers.length === 0 ? 'yes' : `also ${[...new Set(strangers)].join(', ')}`,
    },
    end < 0
      ? handOver([`${deployer} did not give up its admin role`])
      : await checkBefore(context, names, changes[end]?.blockNumber ?? 0n),
  ]
}

/** The grants of a deployment: the constructor makes the timelock and the deployer admins, the deployer grants the rest. */
function isPlanned(
  { addresses, deployment }: CheckContext,
  { role, account }: { role: Hex; account: Address },
): boolean {
  const { timelock, governor } = addresses
  const deployer = deployment.contracts.timelock?.deployer ?? zeroAddress
  const planned: Address[] = role === roles.ROLE_ADMIN ? [timelock, deployer] : [governor]
  return planned.some((each) => isAddressEqual(each, account))
}

/** @param end block of the hand-over; a deployment sends one transaction after the other, so each has a block of its own */
async function checkBefore(
  { client, deployment, addresses }: CheckContext,
  names: readonly UpgradeableContractName[],
  end: bigint,
): Promise<DeploymentFinding> {
  const { contracts } = deployment
  const operations = await historyOf(
    client,
    addresses.timelock,
    BigInt((contracts.timelock as DeployedContract).block),
    { abi: timelockControllerAbi, events: ['CallScheduled', 'CallExecuted'], toBlock: end },
  )
  const older = names.filter((name) => BigInt((contracts[name] as DeployedContract).block) <= end)
  return handOver(
    [
      ...(operations.length === 0 ? [] : ['the timelock had operations before']),
      ...(older.length === 0 ? [] : [`older: ${older.join(', ')}`]),
    ],
    end,
  )
}

function handOver(faults: readonly string[], end?: bigint): DeploymentFinding {
  return {
    code: 'HANDOVER',
    holds: faults.length === 0,
    what: 'the deployer gave up the timelock before its first operation and before the first registry',
    found: faults.length === 0 ? `in block ${end}` : faults.join('; '),
  }
}

/* THE REGISTRIES */

const registryEvents = ['Upgraded', 'OwnershipTransferred'] as const

type RegistryLog = Awaited<ReturnType<typeof registryHistory>>[number]

async function registryHistory(
  { client, addresses, deployment }: CheckContext,
  name: UpgradeableContractName,
) {
  const { block } = deployment.contracts[name] as DeployedContract
  return parseEventLogs({
    abi: kmsAuthAbi,
    eventName: [...registryEvents],
    // all registries have these events
    logs: await historyOf(client, addresses[name] as Address, BigInt(block), {
      abi: kmsAuthAbi,
      events: registryEvents,
    }),
  })
}

/** Each change of code was decided by the DAO, and only the timelock was ever the owner. @throws CHAIN_UNREACHABLE */
export async function checkRegistryHistory(
  context: CheckContext,
  name: UpgradeableContractName,
): Promise<DeploymentFinding[]> {
  const logs = await registryHistory(context, name)
  return [
    await checkUpgrades(context, name, logs),
    checkOwners(context, name, logs),
    await checkUnusedSlots(context, name),
  ]
}

async function checkUpgrades(
  context: CheckContext,
  name: UpgradeableContractName,
  logs: readonly RegistryLog[],
): Promise<DeploymentFinding> {
  const { client, addresses, deployment } = context
  const { transaction, arguments: created } = deployment.contracts[name] as DeployedContract
  const upgrades = logs.filter((log) => log.eventName === 'Upgraded')
  const [first, ...later] = upgrades
  const faults: string[] = []
  if (first === undefined || first.transactionHash !== transaction)
    faults.push('its first code was not set at its creation')
  else if (first.args.implementation.toLowerCase() !== created[0])
    faults.push(`its first code was ${first.args.implementation}`)
  for (const upgrade of later) {
    if (!(await isDecided(context, name, upgrade)))
      faults.push(`${upgrade.args.implementation} without a decision`)
  }
  const current = await implementationOf(client, addresses[name] as Address)
  const newest = upgrades.at(-1)?.args.implementation ?? zeroAddress
  if (!isAddressEqual(current, newest)) faults.push(`${current} without an event`)
  return {
    code: 'UPGRADE_HISTORY',
    holds: faults.length === 0,
    what: `each change of the code of ${name} was decided by the DAO`,
    found: faults.length === 0 ? `${later.length} changes` : faults.join('; '),
  }
}

/** Code of a registry can emit any event of the registry. That the timelock made the call, only the timelock can say. */
async function isDecided(
  { client, addresses }: CheckContext,
  name: UpgradeableContractName,
  { transactionHash, args }: Extract<RegistryLog, { eventName: 'Upgraded' }>,
): Promise<boolean> {
  const receipt = await readReceipt(client, transactionHash)
  const ofTimelock = receipt.logs.filter(({ address }) =>
    isAddressEqual(address, addresses.timelock),
  )
  return parseEventLogs({
    abi: timelockControllerAbi,
    eventName: 'CallExecuted',
    logs: ofTimelock,
  }).some(
    ({ args: call }) =>
      isAddressEqual(call.target, addresses[name] as Address) &&
      isUpgradeTo(call.data, args.implementation),
  )
}

function isUpgradeTo(data: Hex, implementation: Address): boolean {
  try {
    const { functionName, args } = decodeFunctionData({ abi: kmsAuthAbi, data })
    return functionName === 'upgradeToAndCall' && isAddressEqual(args[0], implementation)
  } catch {
    return false
  }
}

async function readReceipt(client: CheckContext['client'], hash: Hex): Promise<TransactionReceipt> {
  return await client.getTransactionReceipt({ hash }).catch((cause: unknown) => {
    throw toChainError(cause, `read the receipt of ${hash}`)
  })
}

function checkOwners(
  { addresses: { timelock } }: CheckContext,
  name: UpgradeableContractName,
  logs: readonly RegistryLog[],
): DeploymentFinding {
  const owners = logs.flatMap((log) =>
    log.eventName === 'OwnershipTransferred' ? [log.args.newOwner] : [],
  )
  const others = owners.filter((each) => !isAddressEqual(each, timelock))
  return {
    code: 'OWNER_HISTORY',
    holds: others.length === 0 && owners.length > 0,
    what: `only the timelock was ever the owner of ${name}`,
    found: others.length === 0 ? `${owners.length} transfers` : `also ${others.join(', ')}`,
  }
}

/** ERC-1967: admin and beacon. Assent's proxies and registries do not use them. */
const unusedSlots: readonly Hex[] = [
  '0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103',
  '0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50',
]

async function checkUnusedSlots(
  { client, addresses }: CheckContext,
  name: UpgradeableContractName,
): Promise<DeploymentFinding> {
  const words = await Promise.all(
    unusedSlots.map((slot) => readSlot(client, addresses[name] as Address, slot)),
  )
  const isUnused = words.every((word) => word !== undefined && /^0x0+$/.test(word))
  return {
    code: 'STORAGE',
    holds: isUnused,
    what: `no other code wrote an admin or a beacon into ${name}`,
    found: isUnused ? 'both are zero' : words.join(', '),
  }
}

/* REPLACED CODE */

/**
 * One finding for each code that a registry used before its current one. What it wrote is still in the registry's storage.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function checkReplacedCode(
  context: CheckContext,
  sources: Sources,
): Promise<DeploymentFinding[]> {
  const findings: DeploymentFinding[] = []
  for (const name of context.names) {
    const current = await implementationOf(context.client, context.addresses[name] as Address)
    const used = (await registryHistory(context, name)).flatMap((log) =>
      log.eventName === 'Upgraded' ? [log.args.implementation] : [],
    )
    for (const address of new Set(used)) {
      if (isAddressEqual(address, current)) continue
      findings.push(await compareReplaced(context, sources, name, address))
    }
  }
  return findings
}

async function compareReplaced(
  { client, deployment }: CheckContext,
  { artifacts }: Sources,
  name: UpgradeableContractName,
  address: Address,
): Promise<DeploymentFinding> {
  const [recordedName, recorded] =
    recordedCodes(deployment, name).find(([, code]) => isAddressEqual(code.address, address)) ?? []
  const finding = {
    code: 'REPLACED_CODE',
    what: `code that ${name} used before: ${recordedName ?? address}`,
  } as const
  if (recordedName === undefined || recorded === undefined)
    return { ...finding, holds: false, isUnchecked: true, found: 'not in the record' }
  try {
    await requireRecordedCode(client, artifacts, recordedName, recorded)
    await requireRecordedCreation(client, artifacts, recordedName, recorded)
    return { ...finding, holds: true, found: 'of these sources' }
  } catch (error) {
    if (!isAssentError(error, 'CODE_MISMATCH')) throw error
    const found = `of other sources: commit ${recorded.commit ?? deployment.commit}`
    return { ...finding, holds: false, isUnchecked: true, found }
  }
}
