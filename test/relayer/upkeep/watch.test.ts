/** The host table follows events with an RPC quorum: one of three endpoints that lies or is silent changes nothing. */
import { encodeAbiParameters, encodeEventTopics, getAbiItem, type PublicClient } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { hostsAbi } from '../../../src/chain/abi.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { type OpenDatabase, openDatabase } from '../../../src/relayer/database/database.ts'
import { hosts } from '../../../src/relayer/database/schema.ts'
import { createReader } from '../../../src/relayer/endpoints/quorum.ts'
import { readPage, watchHosts } from '../../../src/relayer/upkeep/host-events.ts'
import { truncate } from '../databases.ts'

const registry: Hex = `0x${'aa'.repeat(20)}`
const verifier: Hex = `0x${'bb'.repeat(20)}`
const owner: Hex = `0x${'cc'.repeat(20)}`
const machines = ['11', '22'].map((each): Hex => `0x${each.repeat(32)}`)
const hashOf = (block: number): Hex => `0x${block.toString(16).padStart(64, '0')}`

function logOf(
  eventName: 'HostProven' | 'HostProofEnded' | 'HostContinued',
  deviceId: Hex,
  block: number,
  to = machines[1] as Hex,
) {
  const proven = {
    operator: owner,
    attestedAt: 1_000,
    expiresAt: 9_000,
    status: 1,
    fmspc: '0x00606a000000',
    tcbEvaluationNumber: 20,
    qeEvaluationNumber: 20,
    provenAtBlock: block,
    approvalVersion: 1,
    tcbDate: 1_000,
    advisories: hashOf(0),
    platformInstanceId: `0x${'00'.repeat(16)}`,
    quoteDigest: `0x${'00'.repeat(16)}`,
  }
  const args = {
    deviceId,
    host: proven,
    advisories: [],
    operator: owner,
    quoteId: hashOf(1),
    verdict: 1,
    status: 1,
    from: deviceId,
    to,
  }
  const { inputs } = getAbiItem({ abi: hostsAbi, name: eventName }) as {
    inputs: readonly { name: string; type: string; indexed?: boolean }[]
  }
  const values = inputs.filter(({ indexed }) => !indexed)
  return {
    address: registry,
    topics: encodeEventTopics({ abi: hostsAbi, eventName, args } as never),
    data: encodeAbiParameters(
      values,
      values.map(({ name }) => (args as Record<string, unknown>)[name]),
    ),
    blockNumber: BigInt(block),
    blockHash: hashOf(block),
    transactionHash: hashOf(block + 500),
    transactionIndex: 0,
    logIndex: 0,
    removed: false,
  }
}

const truth = [
  logOf('HostProven', machines[0] as Hex, 10),
  logOf('HostProven', machines[1] as Hex, 11),
  logOf('HostProofEnded', machines[0] as Hex, 20),
  logOf('HostContinued', machines[0] as Hex, 25),
]

type Method = 'getLogs' | 'getBlock' | 'getTransaction'
type Lie = (asked: Record<string, unknown>, honest: () => Promise<unknown>) => Promise<unknown>

function createClient(lies: Partial<Record<Method, Lie>> = {}, extra: object = {}): PublicClient {
  const honest = {
    getLogs: async ({ fromBlock, toBlock }: { fromBlock: bigint; toBlock: bigint }) =>
      truth
        .filter(({ blockNumber }) => blockNumber >= fromBlock && blockNumber <= toBlock)
        .map((log) => ({ ...log, ...extra })),
    getBlock: async ({ blockHash }: { blockHash?: Hex }) => {
      const number = blockHash === undefined ? 50n : BigInt(blockHash)
      return { number, timestamp: 5_000n + number, hash: hashOf(Number(number)) }
    },
    getTransaction: async ({ hash }: { hash: Hex }) => ({ hash, to: owner, input: '0x' }),
  }
  const wrap =
    (method: Method) =>
    async (asked: Record<string, unknown> = {}) => {
      const answer = () => honest[method](asked as never) as Promise<unknown>
      return lies[method] === undefined ? answer() : lies[method](asked, answer)
    }
  return {
    getLogs: wrap('getLogs'),
    getBlock: wrap('getBlock'),
    getTransaction: wrap('getTransaction'),
  } as unknown as PublicClient
}

const never = () => new Promise<never>(() => undefined)
const lies: readonly [string, Partial<Record<Method, Lie>>][] = [
  ['shows no events', { getLogs: async () => [] }],
  ['hides one event', { getLogs: async () => truth.slice(0, 2) }],
  [
    'continues a host as another one',
    { getLogs: async () => [...truth, logOf('HostContinued', machines[1] as Hex, 30)] },
  ],
  [
    'invents an end',
    { getLogs: async () => [...truth, logOf('HostProofEnded', machines[1] as Hex, 30)] },
  ],
  ['moves an event', { getLogs: async () => truth.map((log) => ({ ...log, blockNumber: 1n })) }],
  ['does not answer for events', { getLogs: never }],
  ['fails for events', { getLogs: () => Promise.reject(new Error('response too big')) }],
  [
    'dates the end later',
    {
      getBlock: async ({ blockHash }, honest) =>
        blockHash === undefined ? honest() : { timestamp: 999_999n },
    },
  ],
  [
    'does not date the end',
    { getBlock: ({ blockHash }, honest) => (blockHash === undefined ? honest() : never()) },
  ],
  ['knows another transaction', { getTransaction: async () => ({ to: registry, input: '0x12' }) }],
]

describe('events of the host registry', () => {
  let database: OpenDatabase
  beforeAll(async () => {
    database = await openDatabase({ memory: true })
  })
  beforeEach(() => truncate(database))
  afterAll(() => database.close())

  const watch = (clients: readonly PublicClient[]) =>
    watchHosts({
      db: database.db,
      chainId: 1,
      reader: createReader({ clients, finality: { depth: 5 }, stragglerTimeoutMs: 20 }),
      registry,
      verifier,
      fromBlock: 0,
      span: 100,
    })

  async function requireTruth(): Promise<void> {
    const rows = await database.db.select().from(hosts).orderBy(hosts.deviceId)
    expect(rows).toMatchObject([
      { deviceId: machines[0], expiresAt: 5_020, block: 10, quote: null, continuedAs: machines[1] },
      { deviceId: machines[1], expiresAt: 9_000, block: 11, quote: null, continuedAs: null },
    ])
  }

  test('are applied to a host that returns to an earlier id, and an end that is published later changes nothing', async () => {
    const [first, second] = machines as [Hex, Hex]
    const later = [logOf('HostContinued', second, 30, first), logOf('HostProofEnded', first, 31)]
    const client = createClient({ getLogs: async () => [...truth, ...later] })
    await watch([client, client, client])

    const rows = await database.db.select().from(hosts).orderBy(hosts.deviceId)
    expect(rows).toMatchObject([
      { deviceId: first, expiresAt: 5_020, continuedAs: null },
      { deviceId: second, expiresAt: 9_000, continuedAs: first },
    ])
  })

  test.each(lies)('are read correctly although one of three endpoints %s', async (_, methods) => {
    for (const place of [0, 1, 2]) {
      await truncate(database)
      const clients = [0, 1, 2].map((each) => createClient(each === place ? methods : {}))
      expect(await watch(clients)).toBe(false)
      await requireTruth()
    }
  })

  test('are the same for nodes that add their own members to a log', async () => {
    await watch([createClient({}, { blockTimestamp: '0x1' }), createClient({}, { l1Fee: 1n })])
    await requireTruth()
  })

  test('are not stored if two of two endpoints disagree', async () => {
    const clients = [createClient(), createClient({ getLogs: async () => [] })]
    await expect(watch(clients)).rejects.toMatchObject({ code: 'RELAYER_CHAIN_DISAGREES' })
    expect(await database.db.select().from(hosts)).toEqual([])
  })

  test('are read again later if a transaction could not be read', async () => {
    const down = createClient({ getTransaction: () => Promise.reject(new Error('fetch failed')) })
    await expect(watch([down])).rejects.toMatchObject({ code: 'RELAYER_CHAIN_UNREACHABLE' })
    expect(await database.db.select().from(hosts)).toEqual([])
    await watch([createClient()])
    await requireTruth()
  })

  test('are read in smaller ranges if an endpoint limits the answer', async () => {
    const spans: number[] = []
    const narrow = createClient({
      getLogs: async ({ fromBlock, toBlock }, honest) => {
        spans.push(Number(toBlock) - Number(fromBlock) + 1)
        if ((spans.at(-1) ?? 0) > 10) throw new Error('query returned more than 10000 results')
        return honest()
      },
    })
    while (await watch([narrow]));
    await requireTruth()
    expect(Math.max(...spans.slice(1))).toBeLessThanOrEqual(46)
    await expect(
      readPage(0, 100, 64, async () => {
        throw new Error('a bug')
      }),
    ).rejects.toThrow('a bug')
  })
})
