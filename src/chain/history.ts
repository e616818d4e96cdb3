/** Events of a contract, from endpoints that answer for a limited range of blocks at a time. */
import type { Abi, AbiEvent, Address, Block, Log, PublicClient } from 'viem'

import { toChainError } from './call.ts'

/** What is looked for, and who is told how far it is. */
export interface HistoryOptions {
  /** Only events of these names, by their topics; all if absent. */
  readonly abi?: Abi
  readonly events?: readonly string[]
  /** Values of the indexed arguments, if it is one event. */
  readonly args?: Readonly<Record<string, unknown>>
  /** The last block; the newest if absent. */
  readonly toBlock?: bigint
  /** Told after each answer: how many blocks of how many are read. */
  readonly onProgress?: ((read: bigint, total: bigint) => void) | undefined
  /** Waits before a refused question is asked again, in milliseconds; tests make it short. */
  readonly wait?: (ms: number) => Promise<void>
}

/**
 * All events in order, in as few questions as the endpoint lets us.
 *
 * @param fromBlock the contract's first block
 * @throws CHAIN_UNREACHABLE if the endpoint refuses even a single block
 */
export async function historyOf(
  client: PublicClient,
  address: Address,
  fromBlock: bigint,
  options: HistoryOptions = {},
): Promise<Log[]> {
  const logs: Log[] = []
  for await (const some of pages(client, address, fromBlock, options)) logs.push(...some)
  return logs
}

/**
 * The first event that is meant, asking no further than it.
 *
 * @param fromBlock where to begin
 */
export async function findInHistory(
  client: PublicClient,
  address: Address,
  fromBlock: bigint,
  isMeant: (log: Log) => boolean,
  options: HistoryOptions = {},
): Promise<Log | undefined> {
  for await (const some of pages(client, address, fromBlock, options)) {
    const found = some.find(isMeant)
    if (found !== undefined) return found
  }
  return undefined
}

async function* pages(
  client: PublicClient,
  address: Address,
  fromBlock: bigint,
  options: HistoryOptions,
): AsyncGenerator<Log[]> {
  const { onProgress, wait = pause } = options
  const last = options.toBlock ?? (await newestBlock(client))
  const filter = { address, ...eventsOf(options) }
  const range = new Range(last - fromBlock + 1n)
  let from = fromBlock
  let refusals = 0
  while (from <= last) {
    const end = from + range.size - 1n
    const toBlock = end < last ? end : last
    let logs: Log[]
    try {
      logs = (await client.getLogs({ ...filter, fromBlock: from, toBlock })) as Log[]
    } catch (cause) {
      if (isTooMany(cause) && refusals < waits.length) {
        await wait(waits[refusals++] as number)
        continue
      }
      if (!range.refused()) throw toChainError(cause, `read the events of ${address}`)
      continue
    }
    refusals = 0
    range.answered()
    from = toBlock + 1n
    onProgress?.(from - fromBlock, last - fromBlock + 1n)
    yield logs
  }
}

/** How many blocks to ask for: less after a refusal, more again after answers. */
class Range {
  size: bigint
  /** The smallest that was refused; what the endpoint allows lies below, unless the refusal had another reason. */
  #ceiling: bigint | undefined
  /** The last that was answered, while a greater one is tried. */
  #good: bigint | undefined
  #answers = 0
  /** Answers before the next try; doubles with each one that is refused. */
  #patience = 2

  constructor(size: bigint) {
    this.size = size > 0n ? size : 1n
  }

  answered(): void {
    this.#good = undefined
    if (this.#ceiling === undefined || ++this.#answers < this.#patience) return
    this.#answers = 0
    this.#good = this.size
    const isClose = (this.#ceiling - this.size) * 8n <= this.#ceiling
    if (this.size >= this.#ceiling || isClose) this.#ceiling = 2n * this.size + 1n
    this.size = (this.size + this.#ceiling) / 2n
  }

  /** @returns false if there is nothing smaller to ask for */
  refused(): boolean {
    this.#ceiling = this.size
    if (this.#good !== undefined) {
      this.#patience = Math.min(2 * this.#patience, 1_024)
      this.size = this.#good
      this.#good = undefined
      return true
    }
    if (this.size <= 1n) return false
    this.size = (this.size + 1n) / 2n
    return true
  }
}

/** Milliseconds before a question is asked again that came too soon after others. */
const waits = [250, 500, 1_000, 2_000, 4_000, 8_000]

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** An endpoint that asks us to be slower: the size of the question was right. */
function isTooMany(cause: unknown): boolean {
  for (let error = cause; error instanceof Error; error = error.cause) {
    if ((error as { status?: unknown }).status === 429) return true
    if (/too many requests|rate.?limit|throttl|compute units per second/i.test(error.message))
      return true
  }
  return false
}

/** As viem wants it: `event` with arguments, or several `events`. */
function eventsOf({ abi, events, args }: HistoryOptions): object {
  if (abi === undefined || events === undefined) return {}
  const items = abi.filter(
    (item): item is AbiEvent => item.type === 'event' && events.includes(item.name),
  )
  return items.length === 1 ? { event: items[0], args } : { events: items }
}

async function newestBlock(client: PublicClient): Promise<bigint> {
  return await client.getBlockNumber({ cacheTime: 0 }).catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
}

/**
 * The last block whose time is not after `time`, by halving: about 25 questions on any chain.
 *
 * @param fromBlock a block that is not after it; the answer is never before
 * @throws CHAIN_UNREACHABLE
 */
export async function blockAt(
  client: PublicClient,
  time: number,
  fromBlock: bigint,
): Promise<bigint> {
  const read = (blockNumber: bigint): Promise<Block> =>
    client.getBlock({ blockNumber }).catch((cause: unknown) => {
      throw toChainError(cause, `read block ${blockNumber}`)
    })
  let low = fromBlock
  let high = await newestBlock(client)
  while (low < high) {
    const middle = (low + high + 1n) / 2n
    if (Number((await read(middle)).timestamp) <= time) low = middle
    else high = middle - 1n
  }
  return low
}
