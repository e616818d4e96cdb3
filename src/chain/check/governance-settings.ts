/** Checks timelock roles, governor, voting parameters, owners and guardians. */
import { type Address, keccak256, parseAbi, parseEventLogs, toBytes, zeroAddress } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { assentGovernorAbi, assentVotesAbi, kmsAuthAbi, timelockControllerAbi } from '../abi.ts'
import { toChainError } from '../call.ts'
import { formatDuration } from '../governance/format-time.ts'
import { timelockDelay } from '../governance/governance.ts'
import { readDaoSettings } from '../governance/proposals.ts'
import { readBondTerms } from '../registries/bonds.ts'
import { historyOf } from '../rpc/history.ts'
import type { CheckContext } from './context.ts'
import { type DeploymentFinding, exactly, type FindingCode } from './finding.ts'
import type { UpgradeableContractName } from './proxies.ts'

/* THE TIMELOCK */

/** Roles of the timelock, by the finding about them. */
export const roles = {
  ROLE_ADMIN: `0x${'00'.repeat(32)}`,
  ROLE_PROPOSER: keccak256(toBytes('PROPOSER_ROLE')),
  ROLE_CANCELLER: keccak256(toBytes('CANCELLER_ROLE')),
  ROLE_EXECUTOR: keccak256(toBytes('EXECUTOR_ROLE')),
} as const satisfies Partial<Record<FindingCode, Hex>>

type RoleCode = keyof typeof roles

/** Only the timelock and the governor may have roles of the timelock. @throws CHAIN_UNREACHABLE */
export async function checkRoles(context: CheckContext): Promise<DeploymentFinding[]> {
  const { timelock, governor } = context.addresses
  const holders = await roleHolders(context)
  const known = new Set<string>(Object.values(roles))
  const others = [...holders].flatMap(([role, who]) => (known.has(role) ? [] : who))
  return [
    ...(Object.keys(roles) as RoleCode[]).map((code) => {
      const name = code.replace('ROLE_', '').toLowerCase()
      const found = holders.get(roles[code]) ?? []
      const intended = code === 'ROLE_ADMIN' ? timelock : governor
      return exactly(code, `holders of the timelock's ${name} role`, found, [intended])
    }),
    exactly('ROLE_UNKNOWN', 'holders of other roles of the timelock', others, []),
  ]
}

/** The accounts of each role, from all events of the timelock, because the contract cannot list them. */
async function roleHolders(context: CheckContext): Promise<Map<Hex, string[]>> {
  const holders = new Map<Hex, string[]>()
  for (const { eventName, args } of await roleChanges(context)) {
    const others = (holders.get(args.role) ?? []).filter((each) => each !== args.account)
    holders.set(args.role, eventName === 'RoleGranted' ? [...others, args.account] : others)
  }
  return holders
}

/** All grants and revocations of roles of the timelock, in order. @throws CHAIN_UNREACHABLE */
export async function roleChanges({ client, deployment, addresses }: CheckContext) {
  const from = BigInt(deployment.contracts.timelock?.block ?? 0)
  return parseEventLogs({
    abi: timelockControllerAbi,
    eventName: ['RoleGranted', 'RoleRevoked'],
    logs: await historyOf(client, addresses.timelock, from, {
      abi: timelockControllerAbi,
      events: ['RoleGranted', 'RoleRevoked'],
    }),
  })
}

/* THE GOVERNOR */

/**
 * Checks that the governor uses the recorded timelock and votes token.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function checkGovernor({
  client,
  addresses,
}: CheckContext): Promise<DeploymentFinding[]> {
  const contract = { address: addresses.governor, abi: assentGovernorAbi } as const
  const [timelock, votes] = await Promise.all([
    client.readContract({ ...contract, functionName: 'timelock' }),
    client.readContract({ ...contract, functionName: 'token' }),
  ])
  return [
    exactly('GOVERNOR_TIMELOCK', 'timelock of the governor', [timelock], [addresses.timelock]),
    exactly('GOVERNOR_VOTES', 'votes of the governor', [votes], [addresses.votes]),
  ]
}

/** Compares the voting parameters with the expected settings. @throws CHAIN_UNREACHABLE */
export async function checkSettings({
  client,
  addresses,
  expected,
}: CheckContext): Promise<DeploymentFinding[]> {
  const found = await readDaoSettings(client, addresses.governor)
  const delay = await timelockDelay(client, addresses.timelock)
  const seconds = (what: string, is: number, must: number): DeploymentFinding => ({
    code: 'SETTINGS',
    holds: is === must,
    what: `${what}: ${formatDuration(must)}`,
    found: formatDuration(is),
  })
  const amount = (what: string, is: bigint | number, must: bigint | number): DeploymentFinding => ({
    code: 'SETTINGS',
    holds: BigInt(is) === BigInt(must),
    what: `${what}: ${must}`,
    found: String(is),
  })
  return [
    seconds('voting delay', found.votingDelay, expected.votingDelay),
    seconds('voting period', found.votingPeriod, expected.votingPeriod),
    seconds(
      'minimum voting time after the quorum is reached',
      found.lateQuorumExtension,
      expected.lateQuorumExtension,
    ),
    seconds('timelock delay', delay, expected.timelockDelay),
    amount('quorum in percent', found.quorumPercent, expected.quorumPercent),
    amount(
      'proposal threshold (smallest units)',
      found.proposalThreshold,
      expected.proposalThreshold,
    ),
    exactly(
      'GUARDIAN',
      'proposal guardian, as expected',
      [found.guardian ?? zeroAddress],
      [expected.guardian],
    ),
  ]
}

const wrapperAbi = parseAbi(['function underlying() view returns (address)'])

/**
 * Compares the current quorum with the total token supply. For wrapped votes this is the supply of the underlying token,
 * which can be larger now than when the wrapper was created.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function checkQuorum({
  client,
  addresses,
}: CheckContext): Promise<DeploymentFinding[]> {
  const { governor, votes } = addresses
  const { quorumPercent } = await readDaoSettings(client, governor)
  const { timestamp, number: blockNumber } = await client.getBlock()
  const quorum = await client.readContract({
    address: governor,
    abi: assentGovernorAbi,
    functionName: 'quorum',
    args: [timestamp - 1n],
    blockNumber,
  })
  const wrapped = await findUnderlying(client, votes)
  const supply = await client.readContract({
    address: wrapped ?? votes,
    abi: assentVotesAbi,
    functionName: 'totalSupply',
    blockNumber,
  })
  const least = (supply * BigInt(quorumPercent)) / 100n
  return [
    {
      code: 'QUORUM_FLOOR',
      holds: quorum > 0n && quorum >= least,
      what: `the quorum is at least ${quorumPercent} percent of the token supply (${least} of ${supply})`,
      found: String(quorum),
    },
  ]
}

/** The token behind wrapped votes, or undefined if the votes token has its own supply. @throws CHAIN_UNREACHABLE */
export async function findUnderlying(
  client: CheckContext['client'],
  votes: Address,
): Promise<Address | undefined> {
  return client
    .readContract({ address: votes, abi: wrapperAbi, functionName: 'underlying' })
    .catch((cause: unknown) => {
      // only a wrapper has this function
      const error = toChainError(cause, 'ask the votes what they wrap')
      if (error.code !== 'CALL_REVERTED') throw error
      return undefined
    })
}

/** The unbonding time must be at least as long as a DAO decision. @throws CHAIN_UNREACHABLE */
export async function checkUnbonding({
  client,
  addresses,
}: CheckContext): Promise<DeploymentFinding[]> {
  const { hostBonds, governor, timelock } = addresses
  if (hostBonds === undefined) return []
  const { unbondingTime } = await readBondTerms(client, hostBonds)
  const { votingDelay, votingPeriod, lateQuorumExtension } = await readDaoSettings(client, governor)
  const delay = await timelockDelay(client, timelock)
  const decisionTime = votingDelay + votingPeriod + lateQuorumExtension + delay
  return [
    {
      code: 'UNBONDING',
      holds: unbondingTime >= decisionTime,
      what: `the unbonding time is at least as long as a DAO decision: ${formatDuration(decisionTime)}`,
      found: formatDuration(unbondingTime),
    },
  ]
}

/* THE REGISTRIES */

/** Checks owner, upgrades and guardian of one registry. @throws CHAIN_UNREACHABLE */
export async function checkOwned(
  { client, addresses, expected }: CheckContext,
  name: UpgradeableContractName,
): Promise<DeploymentFinding[]> {
  // functions that all registries have
  const contract = { address: addresses[name] as Address, abi: kmsAuthAbi } as const
  const { timelock } = addresses
  const owner = await client.readContract({ ...contract, functionName: 'owner' })
  const pending = await client.readContract({ ...contract, functionName: 'pendingOwner' })
  const isRenounced = await client.readContract({ ...contract, functionName: 'upgradesRenounced' })
  const isOwned = owner.toLowerCase() === timelock.toLowerCase()
  const findings: DeploymentFinding[] = [
    exactly('OWNER', `owner of ${name}`, [owner], [timelock]),
    exactly('PENDING_OWNER', `pending owner of ${name}`, [pending], [zeroAddress]),
    {
      code: 'UPGRADES',
      holds: isRenounced || isOwned,
      what: `only the DAO, or nobody, can replace the code of ${name}`,
      found: isRenounced ? 'renounced permanently' : `by ${owner}`,
    },
  ]
  if (name === 'hostBonds') return findings
  const [guardian, suspension] = await Promise.all([
    client.readContract({ ...contract, functionName: 'guardian' }),
    client.readContract({ ...contract, functionName: 'suspension' }),
  ])
  return [
    ...findings,
    exactly('GUARDIAN', `guardian of ${name}, as expected`, [guardian], [expected.guardian]),
    {
      code: 'SETTINGS',
      holds: suspension === expected.suspension,
      what: `suspension time of ${name}: ${formatDuration(expected.suspension)}`,
      found: formatDuration(suspension),
    },
  ]
}
