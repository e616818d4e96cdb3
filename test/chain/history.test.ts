/** How many questions it takes to read events from endpoints that answer for few blocks at a time. */
import {
  type Address,
  encodeAbiParameters,
  encodeEventTopics,
  keccak256,
  type Log,
  type PublicClient,
  toBytes,
} from 'viem'
import { describe, expect, test } from 'vitest'
import { assentGovernorAbi } from '../../src/chain/abi.ts'
import { findCreation, readDescription } from '../../src/chain/governance/proposals.ts'
import { readProposalTimes } from '../../src/chain/governance/timeline.ts'
import { blockAt, findInHistory, historyOf } from '../../src/chain/rpc/history.ts'
import { isAssentError } from '../../src/errors/index.ts'

const contract: Address = `0x${'11'.repeat(20)}`
/** Of Base, whose blocks come every two seconds. */
const year = 15_768_000n
const genesis = 1_700_000_000n
const blockTime = 2n

interface Endpoint {
  /** Blocks that it answers for at once. */
  readonly limit?: bigint
  /** What it answers instead, by the number of the question. */
  readonly fails?: (question: number) => Error | undefined
  readonly logs?: readonly Log[]
  readonly votingDelay?: number
}

function endpoint({ limit = year, fails, logs = [], votingDelay = 0 }: Endpoint) {
  const asked = { logs: 0, blocks: 0 }
  const ranges: [bigint, bigint][] = []
  const client = {
    getBlockNumber: async () => year,
    getBlock: async ({ blockNumber }: { blockNumber: bigint }) => {
      asked.blocks++
      return { timestamp: genesis + blockNumber * blockTime }
    },
    readContract: async () => BigInt(votingDelay),
    getLogs: async ({ fromBlock, toBlock }: { fromBlock: bigint; toBlock: bigint }) => {
      const error = fails?.(++asked.logs)
      if (error !== undefined) throw error
      if (toBlock - fromBlock + 1n > limit) throw new Error('block range is too wide')
      ranges.push([fromBlock, toBlock])
      return logs.filter(
        ({ blockNumber }) => (blockNumber ?? 0n) >= fromBlock && (blockNumber ?? 0n) <= toBlock,
      )
    },
  } as unknown as PublicClient
  return { client, asked, ranges }
}

function logAt(blockNumber: bigint, more: Partial<Log> = {}): Log {
  return { address: contract, blockNumber, logIndex: 0, data: '0x', topics: [], ...more } as Log
}

describe('historyOf', () => {
  test.each([100_000n, 10_000n, 2_000n])(
    'needs only slightly more requests than there are ranges of %s blocks',
    async (limit) => {
      const { client, asked } = endpoint({ limit })
      await historyOf(client, contract, 1n)

      expect(asked.logs).toBeLessThan(Number((year * 5n) / (4n * limit)) + 40)
    },
  )

  test('returns all events in order, each once', async () => {
    const logs = [1n, 2n, 499n, 500n, 501n, 77_777n, year].map((block) => logAt(block))
    const { client, ranges } = endpoint({ limit: 100_000n, logs })

    expect(await historyOf(client, contract, 1n)).toEqual(logs)
    expect(ranges[0]?.[0]).toBe(1n)
    expect(ranges.at(-1)?.[1]).toBe(year)
    for (const [i, [from]] of ranges.entries()) {
      if (i > 0) expect(from).toBe((ranges[i - 1]?.[1] ?? 0n) + 1n)
    }
  })

  test('raises the range again after temporary errors', async () => {
    const fails = (n: number) => (n > 2 && n <= 12 ? new Error('upstream is away') : undefined)
    const { client, asked } = endpoint({ limit: 100_000n, fails })
    await historyOf(client, contract, 1n)

    expect(asked.logs).toBeLessThan(260)
  })

  test('repeats a request of the same size after a rate limit', async () => {
    const waited: number[] = []
    const busy = Object.assign(new Error('HTTP request failed.'), { status: 429 })
    const fails = (n: number) =>
      n > 1 && n <= 4 ? new Error('failed', { cause: busy }) : undefined
    const { client, asked } = endpoint({ limit: year / 2n + 1n, fails })
    const wait = async (ms: number) => {
      waited.push(ms)
    }
    await historyOf(client, contract, 1n, { wait })

    expect(waited).toEqual([250, 500, 1_000])
    expect(asked.logs).toBe(1 + 3 + 2)
  })

  test('throws the endpoint’s error if not even a single block can be read', async () => {
    const { client } = endpoint({ fails: () => new Error('no such method') })
    const error = await historyOf(client, contract, 1n).catch((caught: unknown) => caught)

    expect(isAssentError(error, 'CHAIN_UNREACHABLE')).toBe(true)
    expect((error as Error).cause).toMatchObject({ message: 'no such method' })
  })

  test('reports its progress', async () => {
    const progress: [bigint, bigint][] = []
    const { client } = endpoint({ limit: 1_000_000n })
    await historyOf(client, contract, 1n, { onProgress: (...each) => progress.push(each) })

    expect(progress.at(-1)).toEqual([year, year])
    expect(progress.map(([read]) => read)).toEqual(
      progress.map(([read]) => read).sort((a, b) => (a < b ? -1 : 1)),
    )
  })
})

test('findInHistory reads no blocks after the event', async () => {
  const { client, asked } = endpoint({ limit: 500n, logs: [logAt(1_200n)] })
  const found = await findInHistory(client, contract, 1n, () => true, { toBlock: 100_000n })

  expect(found?.blockNumber).toBe(1_200n)
  expect(asked.logs).toBeLessThan(20)
})

test.each([
  [0, 1n],
  [genesis + 1_000n * blockTime, 1_000n],
  [genesis + 1_000n * blockTime + 1n, 1_000n],
  [genesis + 10n * year * blockTime, year],
])('blockAt finds the last block at second %s by binary search', async (time, block) => {
  const { client, asked } = endpoint({})

  expect(await blockAt(client, Number(time), 1n)).toBe(block)
  expect(asked.blocks).toBeLessThan(26)
})

const id = 77n
const text = '# Approve an image'

function eventOf(
  eventName: 'ProposalCreated' | 'ProposalQueued' | 'ProposalExecuted',
  block: bigint,
) {
  const item = assentGovernorAbi.find((each) => each.type === 'event' && each.name === eventName)
  const values: Record<string, unknown[]> = {
    ProposalCreated: [id, contract, [], [], [], [], 0n, 0n, text],
    ProposalQueued: [id, 0n],
    ProposalExecuted: [id],
  }
  return logAt(block, {
    topics: encodeEventTopics({ abi: [item] as never, eventName } as never) as never,
    data: encodeAbiParameters(
      (item as unknown as { inputs: never }).inputs,
      values[eventName] as never,
    ),
  })
}

const proposedIn = 8_000_000n
const seconds = (block: bigint) => Number(genesis + block * blockTime)
const facts = {
  id,
  descriptionHash: keccak256(toBytes(text)),
  state: 'executed',
  voteStart: seconds(proposedIn) + 86_400,
  voteEnd: seconds(proposedIn) + 3 * 86_400,
  eta: seconds(proposedIn) + 6 * 86_400,
} as const
const logs = [
  eventOf('ProposalCreated', proposedIn),
  eventOf('ProposalQueued', proposedIn + 2n * 86_400n),
  eventOf('ProposalExecuted', proposedIn + 3n * 86_400n + 700n),
]

describe('the search for one proposal in a year of Base', () => {
  test.each([500n, 10n])('finds it with %s blocks in each request', async (limit) => {
    const { client, asked } = endpoint({ limit, logs, votingDelay: 86_400 })

    expect(await readDescription(client, contract, facts, 1n)).toBe(text)
    const delay = 2 * 86_400
    expect(await readProposalTimes(client, contract, facts, { fromBlock: 1n, delay })).toEqual({
      proposedAt: seconds(proposedIn),
      queuedAt: seconds(proposedIn + 2n * 86_400n),
      executedAt: seconds(proposedIn + 3n * 86_400n + 700n),
      canceledAt: 0,
    })
    expect(asked.logs).toBeLessThan(150)
    expect(asked.blocks).toBeLessThan(400)
  })

  test('finds it after the voting delay has changed', async () => {
    const { client, asked } = endpoint({ limit: 500n, logs, votingDelay: 10 })

    expect((await findCreation(client, contract, facts, 1n))?.blockNumber).toBe(proposedIn)
    expect(asked.logs).toBeLessThan(400)
  })

  test('does not accept a proposal with another description', async () => {
    const { client } = endpoint({ logs, votingDelay: 86_400 })
    const other = { ...facts, descriptionHash: keccak256(toBytes('# Approve another')) }
    const error = await readDescription(client, contract, other, 1n).catch(
      (caught: unknown) => caught,
    )

    expect(isAssentError(error, 'CHAIN_ANSWER_INVALID')).toBe(true)
  })
})
