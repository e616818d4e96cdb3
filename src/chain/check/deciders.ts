/** Who decides, how long it takes, and who can only deny. */
import { type Address, keccak256, parseEventLogs, toBytes, zeroAddress } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { assentGovernorAbi, kmsAuthAbi, timelockControllerAbi } from '../abi.ts'
import { timelockDelay } from '../governance/governance.ts'
import { readDaoSettings } from '../governance/proposals.ts'
import { durationInWords } from '../governance/words.ts'
import { historyOf } from '../history.ts'
import type { Scene } from './check.ts'
import { exactly, type Finding, type FindingCode } from './finding.ts'
import type { OwnedName } from './owned.ts'

/* THE TIMELOCK */

const roles = {
  ROLE_ADMIN: `0x${'00'.repeat(32)}`,
  ROLE_PROPOSER: keccak256(toBytes('PROPOSER_ROLE')),
  ROLE_CANCELLER: keccak256(toBytes('CANCELLER_ROLE')),
  ROLE_EXECUTOR: keccak256(toBytes('EXECUTOR_ROLE')),
} as const satisfies Partial<Record<FindingCode, Hex>>

type RoleCode = keyof typeof roles

/** Nobody but the timelock and the governor may hold any of its roles. */
export async function checkRoles(scene: Scene): Promise<Finding[]> {
  const { timelock, governor } = scene.addresses
  const holders = await roleHolders(scene)
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

/** Who holds what, from the timelock's whole history: its roles cannot be listed. */
async function roleHolders({ client, deployment, addresses }: Scene): Promise<Map<Hex, string[]>> {
  const from = BigInt(deployment.contracts.timelock?.block ?? 0)
  const logs = parseEventLogs({
    abi: timelockControllerAbi,
    eventName: ['RoleGranted', 'RoleRevoked'],
    logs: await historyOf(client, addresses.timelock, from),
  })
  const holders = new Map<Hex, string[]>()
  for (const { eventName, args } of logs) {
    const others = (holders.get(args.role) ?? []).filter((each) => each !== args.account)
    holders.set(args.role, eventName === 'RoleGranted' ? [...others, args.account] : others)
  }
  return holders
}

/* THE GOVERNOR */

export async function checkGovernor({ client, addresses }: Scene): Promise<Finding[]> {
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

/** The settings that the DAO was deployed with, or those that its people say it has voted for since. */
export async function checkSettings({ client, addresses, intended }: Scene): Promise<Finding[]> {
  const found = await readDaoSettings(client, addresses.governor)
  const delay = await timelockDelay(client, addresses.timelock)
  const seconds = (what: string, is: number, must: number): Finding => ({
    code: 'SETTING',
    holds: is === must,
    what: `${what}: ${durationInWords(must)}`,
    found: durationInWords(is),
  })
  const amount = (what: string, is: bigint | number, must: bigint | number): Finding => ({
    code: 'SETTING',
    holds: BigInt(is) === BigInt(must),
    what: `${what}: ${must}`,
    found: String(is),
  })
  return [
    seconds('from proposal to vote', found.votingDelay, intended.votingDelay),
    seconds('voting', found.votingPeriod, intended.votingPeriod),
    seconds(
      'voting left after a late quorum',
      found.lateQuorumExtension,
      intended.lateQuorumExtension,
    ),
    seconds('from decision to execution', delay, intended.timelockDelay),
    amount('percent of votes that must take part', found.quorumPercent, intended.quorumPercent),
    amount('votes (10^-18) to propose', found.proposalThreshold, intended.proposalThreshold),
    exactly(
      'GUARDIAN',
      'who may cancel proposals, as intended',
      [found.guardian ?? zeroAddress],
      [intended.guardian],
    ),
  ]
}

/* THE REGISTRIES */

export async function checkOwned(
  { client, addresses, intended }: Scene,
  name: OwnedName,
): Promise<Finding[]> {
  // what all registries have
  const contract = { address: addresses[name] as Address, abi: kmsAuthAbi } as const
  const { timelock } = addresses
  const owner = await client.readContract({ ...contract, functionName: 'owner' })
  const pending = await client.readContract({ ...contract, functionName: 'pendingOwner' })
  const isGivenUp = await client.readContract({ ...contract, functionName: 'upgradesRenounced' })
  const isOwned = owner.toLowerCase() === timelock.toLowerCase()
  const findings: Finding[] = [
    exactly('OWNER', `owner of ${name}`, [owner], [timelock]),
    exactly('PENDING_OWNER', `pending owner of ${name}`, [pending], [zeroAddress]),
    {
      code: 'UPGRADES',
      holds: isGivenUp || isOwned,
      what: `upgrades of ${name} are the DAO’s, or nobody’s`,
      found: isGivenUp ? 'given up for good' : `by ${owner}`,
    },
  ]
  if (name === 'hostBonds') return findings
  const [guardian, suspension] = await Promise.all([
    client.readContract({ ...contract, functionName: 'guardian' }),
    client.readContract({ ...contract, functionName: 'suspension' }),
  ])
  return [
    ...findings,
    exactly('GUARDIAN', `guardian of ${name}, as intended`, [guardian], [intended.guardian]),
    {
      code: 'SETTING',
      holds: suspension === intended.suspension,
      what: `suspensions in ${name} last ${durationInWords(intended.suspension)}`,
      found: durationInWords(suspension),
    },
  ]
}
