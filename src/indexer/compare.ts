/**
 * Compares the indexed state with the chain, for every row of every table, at one block.
 *
 * The tables are made from events alone. Here the same facts are read from storage and from the contracts' functions, so
 * an event that the indexer misses or reads wrongly shows as a difference.
 */
import type { Abi, Address, PublicClient } from 'viem'

import {
  appAbi,
  approvalRegistryAbi,
  assentGovernorAbi,
  assentVotesAbi,
  heartbeatAbi,
  hostBondsAbi,
  hostsAbi,
  imagesAbi,
  kmsAuthAbi,
  renounceableUpgradesAbi,
  rootKeysAbi,
  timelockControllerAbi,
} from '../chain/abi.ts'
import { evidenceSlot, kinds, mappingSlot, uint256 } from '../chain/approval.ts'
import { toChainError } from '../chain/call.ts'
import type { Hex } from '../lib/bytes.ts'
import { mapWithConcurrency } from '../lib/map-with-concurrency.ts'
import type { Role } from './contracts/index.ts'
import { nobody, nothing } from './contracts/owned.ts'
import type { Database } from './database/database.ts'
import { type State, type StateName, stateTables } from './database/tables.ts'

/** A fact that the index and the chain do not agree on. */
export interface Difference {
  readonly table: StateName
  readonly id: string
  readonly fact: string
  readonly indexed: unknown
  readonly found: unknown
}

/** The result of a comparison. */
export interface Comparison {
  /** Rows that were compared, by table. */
  readonly rows: Readonly<Record<StateName, number>>
  readonly differences: readonly Difference[]
}

/** An indexed row. */
type RowOf<N extends StateName> = State<N> & { readonly id: string }

/** Names of facts with the indexed value and the value on the chain. */
type Facts = Readonly<Record<string, readonly [indexed: unknown, found: unknown]>>

/** Calls a function of a contract at the block of the comparison. */
type Read = (address: string, abi: Abi, name: string, args?: readonly unknown[]) => Promise<unknown>

interface Chain {
  readonly read: Read
  readonly storage: (address: string, slot: Hex) => Promise<Hex>
  /** The contract of a role; undefined: the deployment has none. */
  readonly addressOf: (role: Role) => string
}

/**
 * Compares all rows.
 *
 * @param blockNumber the last indexed block
 * @throws CHAIN_UNREACHABLE
 */
export async function compareWithChain(
  db: Database,
  client: PublicClient,
  blockNumber: bigint,
): Promise<Comparison> {
  const followed = (await db.select().from(stateTables.contracts)) as RowOf<'contracts'>[]
  const chain = openChain(client, blockNumber, followed)
  const rows: Partial<Record<StateName, number>> = {}
  const differences: Difference[] = []
  for (const table of Object.keys(stateTables) as StateName[]) {
    const some = (await db.select().from(stateTables[table])) as never[]
    rows[table] = some.length
    const factsOf = readFacts[table] as (row: { id: string }, chain: Chain) => Promise<Facts>
    const found = await mapWithConcurrency(some, async (row: { id: string }) =>
      differencesOf(table, row.id, await factsOf(row, chain)),
    )
    differences.push(...found.flat())
  }
  differences.push(...(await missingApprovals(db, followed, chain)))
  differences.push(...(await compareContinuity(db, chain)))
  return { rows: rows as Comparison['rows'], differences }
}

function openChain(
  client: PublicClient,
  blockNumber: bigint,
  followed: readonly RowOf<'contracts'>[],
): Chain {
  return {
    read: (address, abi, functionName, args = []) =>
      client
        .readContract({ address: address as Address, abi, functionName, args, blockNumber })
        .catch((cause: unknown) => {
          const error = toChainError(cause, `read ${functionName} of ${address}`)
          // a registered app can be any contract
          if (error.code === 'CALL_REVERTED') return 'reverted'
          throw error
        }),
    storage: async (address, slot) => {
      const word = await client
        .getStorageAt({ address: address as Address, slot, blockNumber })
        .catch((cause: unknown) => {
          throw toChainError(cause, `read the storage of ${address}`)
        })
      return `0x${BigInt(word ?? '0x0')
        .toString(16)
        .padStart(64, '0')}`
    },
    addressOf: (role) => followed.find((each) => each.role === role)?.id ?? nobody,
  }
}

function differencesOf(table: StateName, id: string, facts: Facts): Difference[] {
  return Object.entries(facts).flatMap(([fact, [indexed, found]]) =>
    comparable(indexed) === comparable(found) ? [] : [{ table, id, fact, indexed, found }],
  )
}

/** A text that is equal for equal values: numbers as decimal text, addresses in lower case. */
function comparable(value: unknown): string {
  return JSON.stringify(value ?? null, (_, each) => {
    if (typeof each === 'bigint' || typeof each === 'number') return String(each)
    return typeof each === 'string' && /^0x[0-9a-fA-F]{40}$/.test(each) ? each.toLowerCase() : each
  })
}

/* TABLES */

const implementationSlot = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'

/** What the chain says about a row of each table. */
const readFacts: { [N in StateName]: (row: RowOf<N>, chain: Chain) => Promise<Facts> } = {
  contracts: readContractFacts,
  async approvals({ registry, kind, subject, word, evidence }, { read, storage }) {
    const name = nameOfKind(kind)
    return {
      word: [
        BigInt(word),
        await read(registry, approvalRegistryAbi, 'approvalOf', [kind, subject]),
      ],
      evidence: [evidence, await storage(registry, evidenceSlot(name, subject))],
    }
  },
  async apps(row, { read, storage }) {
    const of = (name: string) => read(row.id, appAbi, name)
    // anyone can register a contract that is no `App`: it has none of these functions, and other storage
    const variants = await of('variants')
    if (variants === 'reverted') return {}
    const packed = BigInt(await storage(row.id, uint256(4n)))
    const next = BigInt(await storage(row.id, uint256(5n)))
    // docs/contracts.md, "Storage": slot 4 from byte 16, then slot 5
    return {
      allowAnyDevice: [row.allowAnyDevice, await of('allowAnyDevice')],
      requireTcbUpToDate: [row.requireTcbUpToDate, await of('requireTcbUpToDate')],
      variants: [row.variants, variants],
      noticePeriod: [row.noticePeriod, await of('noticePeriod')],
      upgradesDisabled: [row.upgradesDisabled, part(packed, 16, 1) === 1n],
      epoch: [row.epoch, part(packed, 23, 4) + 1n],
      oldest: [row.oldest, part(packed, 27, 4)],
      nextOldest: [row.nextOldest, part(next, 0, 4)],
      endFrom: [row.endFrom, part(next, 4, 5)],
      endOpenedEpoch: [row.endOpenedEpoch, part(next, 9, 1) === 1n],
      noticeSince: [row.noticeSince, part(next, 10, 5)],
    }
  },
  async announcements({ app, callDigest, announcedAt }, { storage }) {
    return {
      announcedAt: [
        BigInt(announcedAt),
        BigInt(await storage(app, mappingSlot(callDigest, uint256(6n)))),
      ],
    }
  },
  async hosts(row, { read, addressOf }) {
    const registry = addressOf('hosts')
    const of = (name: string) => read(registry, hostsAbi, name, [row.id])
    const [host, named] = await Promise.all([of('hostOf'), of('namedOperatorOf')])
    const { advisories, ...proof } = host as Readonly<Record<string, unknown>>
    return {
      ...Object.fromEntries(
        Object.entries(proof).map(([name, value]) => [
          name,
          [row[name as keyof typeof row] ?? zeroLike(value), value],
        ]),
      ),
      advisoriesDigest: [row.advisoriesDigest ?? nothing, advisories],
      namedOperator: [row.namedOperator ?? nobody, named],
    }
  },
  async hostRules(row, { read, addressOf }) {
    const of = (name: string, key: unknown) => read(addressOf('hosts'), hostsAbi, name, [key])
    if (row.status !== null)
      return { until: [row.until, await of('statusAcceptedUntil', row.status)] }
    return { isDenied: [row.isDenied, await of('isAdvisoryDenied', row.advisory)] }
  },
  async images(row, { read, addressOf }) {
    const of = (name: string) => read(addressOf('images'), imagesAbi, name, [row.id])
    return {
      name: [row.name, await of('imageNameOf')],
      isClosed: [row.isClosed, await of('isClosed')],
    }
  },
  async measurementSets(row, { read, addressOf }) {
    const { osImageHash, mrSystem, variant } = row
    const found = await read(addressOf('images'), imagesAbi, 'measurementSetOf', [row.id])
    return { set: [{ osImageHash, mrSystem, variant }, found] }
  },
  async rootKeys(row, { read, addressOf }) {
    const { mrAggregated, deviceId, provenAt, status, epoch } = row
    const found = await read(addressOf('rootKeys'), rootKeysAbi, 'proofOf', [row.id])
    return { proof: [{ mrAggregated, deviceId, provenAt, status, epoch }, found] }
  },
  async bonds({ deviceId, holder, bonded, unbonding, unbondsAt }, { read, addressOf }) {
    const found = await read(addressOf('hostBonds'), hostBondsAbi, 'bondOf', [deviceId, holder])
    return { bond: [{ bonded, unbonding, unbondsAt }, found] }
  },
  async heartbeats({ id, root }, { read, addressOf }) {
    return { root: [root, await read(addressOf('heartbeat'), heartbeatAbi, 'rootOf', [id])] }
  },
  async proposals(row, { read, addressOf }) {
    const of = (name: string) => read(addressOf('governor'), assentGovernorAbi, name, [row.id])
    const [against, inFavour, abstain] = (await of('proposalVotes')) as readonly bigint[]
    const state = Number(await of('state'))
    return {
      proposer: [row.proposer, await of('proposalProposer')],
      voteStart: [row.voteStart, await of('proposalSnapshot')],
      voteEnd: [row.voteEnd, await of('proposalDeadline')],
      eta: [row.eta, await of('proposalEta')],
      againstVotes: [row.againstVotes, against],
      forVotes: [row.forVotes, inFavour],
      abstainVotes: [row.abstainVotes, abstain],
      // OpenZeppelin's ProposalState: 2 canceled, 7 executed
      isCanceled: [row.isCanceled, state === 2],
      isExecuted: [row.isExecuted, state === 7],
    }
  },
  async votes({ proposal, voter }, { read, addressOf }) {
    const found = await read(addressOf('governor'), assentGovernorAbi, 'hasVoted', [
      proposal,
      voter,
    ])
    return { hasVoted: [true, found] }
  },
  async voters(row, { read, addressOf }) {
    const of = (name: string) => read(addressOf('votes'), assentVotesAbi, name, [row.id])
    return {
      balance: [row.balance, await of('balanceOf')],
      delegate: [row.delegate, await of('delegates')],
      votes: [row.votes, await of('getVotes')],
    }
  },
  async operations(row, { read, addressOf }) {
    const found = await read(addressOf('timelock'), timelockControllerAbi, 'getTimestamp', [row.id])
    // OpenZeppelin's TimelockController stores 1 for an executed operation
    return { readyAt: [row.executed === row.calls.length ? 1 : row.readyAt, found] }
  },
  async roles({ role, account, isGranted }, { read, addressOf }) {
    const args = [role, account]
    const found = await read(addressOf('timelock'), timelockControllerAbi, 'hasRole', args)
    return { isGranted: [isGranted, found] }
  },
}

async function readContractFacts(row: RowOf<'contracts'>, chain: Chain): Promise<Facts> {
  const { read, storage } = chain
  const role = row.role as Role
  const isRegistry = ['kmsAuth', 'app', 'hosts', 'images', 'rootKeys'].includes(role)
  const isOwned = isRegistry || role === 'hostBonds'
  const owned: Facts = isOwned
    ? {
        owner: [row.owner, await read(row.id, kmsAuthAbi, 'owner')],
        pendingOwner: [row.pendingOwner ?? nobody, await read(row.id, kmsAuthAbi, 'pendingOwner')],
        implementation: [
          row.implementation ?? nobody,
          `0x${(await storage(row.id, implementationSlot)).slice(26)}`,
        ],
      }
    : {}
  const guarded: Facts = isRegistry
    ? {
        guardian: [row.guardian ?? nobody, await read(row.id, kmsAuthAbi, 'guardian')],
        suspension: [row.suspension ?? 0, await read(row.id, kmsAuthAbi, 'suspension')],
      }
    : {}
  const renounceable: Facts =
    isOwned && role !== 'app'
      ? {
          upgradesRenounced: [
            row.upgradesRenounced,
            await read(row.id, renounceableUpgradesAbi, 'upgradesRenounced'),
          ],
        }
      : {}
  return { ...owned, ...guarded, ...renounceable, ...(await readSettings(row, role, read)) }
}

/** Settings of each role: the name in the row, the function, and its arguments. */
const settings: Partial<
  Record<Role, readonly [Abi, readonly (readonly [string, string, ...unknown[]])[]]>
> = {
  kmsAuth: [
    kmsAuthAbi,
    [
      ['hosts', 'hosts'],
      ['images', 'images'],
      ['gatewayAppId', 'gatewayAppId'],
      ['appImplementation', 'appImplementation'],
      ['kmsInfo', 'kmsInfo'],
      ...[0, 1, 2].map((kind) => [`activationDelay${kind}`, 'activationDelay', kind] as const),
    ],
  ],
  hosts: [
    hostsAbi,
    [
      ['rules', 'rules'],
      ['verifier', 'verifier'],
      ['bonds', 'bonds'],
      ['continuityDelay', 'continuityDelay'],
    ],
  ],
  images: [imagesAbi, [['activationDelay', 'activationDelay', kinds.measurements]]],
  rootKeys: [
    rootKeysAbi,
    [
      ['verifier', 'verifier'],
      ['kmsAuth', 'kmsAuth'],
      ['currentEpoch', 'currentEpoch'],
    ],
  ],
  hostBonds: [
    hostBondsAbi,
    [
      ['minimum', 'minimum'],
      ['unbondingTime', 'unbondingTime'],
      ['token', 'token'],
    ],
  ],
  governor: [
    assentGovernorAbi,
    [
      'votingDelay',
      'votingPeriod',
      'proposalThreshold',
      'quorumNumerator',
      'lateQuorumVoteExtension',
      'proposalGuardian',
      'timelock',
    ].map((name) => [name, name] as const),
  ],
  votes: [assentVotesAbi, [['totalSupply', 'totalSupply']]],
  timelock: [timelockControllerAbi, [['minDelay', 'getMinDelay']]],
}

async function readSettings(row: RowOf<'contracts'>, role: Role, read: Read): Promise<Facts> {
  const [abi, names] = settings[role] ?? [[], []]
  const facts = await mapWithConcurrency(names, async ([name, functionName, ...args]) => {
    const found = await read(row.id, abi, functionName, args)
    const indexed = row.settings[name] ?? zeroLike(found)
    // the function returns the members of `kmsInfo` without their names
    const value = Array.isArray(found) ? Object.values(indexed as object) : indexed
    return [name, [value, found]] as const
  })
  return Object.fromEntries(facts)
}

/** Kinds of each registry. */
const kindsOf: Partial<Record<Role, readonly number[]>> = {
  kmsAuth: [0, 1, 2, 3],
  app: [4, 5],
  hosts: [6],
  rootKeys: [7],
  images: [8],
}

/** Registries count their approvals, so a missing row shows. */
async function missingApprovals(
  db: Database,
  followed: readonly RowOf<'contracts'>[],
  { read }: Chain,
): Promise<Difference[]> {
  const rows = await db.select().from(stateTables.approvals)
  const indexed = Map.groupBy(rows, ({ registry, kind }) => `${registry}:${kind}`)
  const counted = await mapWithConcurrency(
    followed.flatMap(({ id, role }) => (kindsOf[role as Role] ?? []).map((kind) => ({ id, kind }))),
    async ({ id, kind }) => {
      const key = `${id}:${kind}`
      const found = await read(id, approvalRegistryAbi, 'count', [kind])
      return differencesOf('approvals', key, { count: [indexed.get(key)?.length ?? 0, found] })
    },
  )
  return counted.flat()
}

/** The present id of each host: a question about all of its ids. */
async function compareContinuity(db: Database, { read, addressOf }: Chain): Promise<Difference[]> {
  const rows = await db.select().from(stateTables.hosts)
  const compared = await mapWithConcurrency(rows, async ({ id, firstId }) => {
    const current = currentId(rows, firstId ?? (id as Hex)) ?? id
    const found = await read(addressOf('hosts'), hostsAbi, 'currentIdOf', [id])
    return differencesOf('hosts', id, { currentId: [current, found] })
  })
  return compared.flat()
}

/** The id that a host has now, by its first id; undefined: it never had another one. */
export function currentId(
  rows: readonly Pick<RowOf<'hosts'>, 'id' | 'firstId' | 'continuedBlock' | 'continuedIndex'>[],
  first: Hex,
): string | undefined {
  const moves = rows.filter(({ firstId }) => firstId === first)
  const order = (row: (typeof rows)[number]) => [row.continuedBlock ?? 0, row.continuedIndex ?? 0]
  return moves
    .toSorted((a, b) => {
      const [blockA = 0, indexA = 0] = order(a)
      const [blockB = 0, indexB = 0] = order(b)
      return blockA - blockB || indexA - indexB
    })
    .at(-1)?.id
}

/* STORAGE */

function nameOfKind(kind: number) {
  const found = (Object.keys(kinds) as (keyof typeof kinds)[]).find((name) => kinds[name] === kind)
  if (found === undefined) throw new RangeError(`There is no kind ${kind}.`)
  return found
}

/** `length` bytes of a word from byte `from` on, counted from the lowest. */
function part(word: bigint, from: number, length: number): bigint {
  return (word >> BigInt(8 * from)) & ((1n << BigInt(8 * length)) - 1n)
}

/** The value of a variable that was never set, of the type of `value`. */
function zeroLike(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('0x') ? value.replace(/[^x]/g, '0') : ''
  if (typeof value === 'boolean') return false
  if (Array.isArray(value)) return value.map(zeroLike)
  return value !== null && typeof value === 'object'
    ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, zeroLike(each)]))
    : 0
}
