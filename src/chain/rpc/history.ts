/** Reads the events of a contract from endpoints that limit the range of blocks in one request. */
import type { Abi, AbiEvent, Address, Block, Log, PublicClient } from 'viem'

import { toChainError } from '../call.ts'

/** The events to read, and an observer of the progress. */
export interface HistoryOptions {
  /** ABI for `events`. */
  readonly abi?: Abi
  /** Names of events in the ABI; without it, all events of the contract. */
  readonly events?: readonly string[]
  /** Values of indexed arguments, if `events` has one name. */
  readonly args?: Readonly<Record<string, unknown>>
  /** Last block; default: the newest. */
  readonly toBlock?: bigint
  /** Called after each answer with the number of blocks read and in total. */
  readonly onProgress?: ((read: bigint, total: bigint) => void) | undefined
  /** Waits before a refused request is repeated (milliseconds); tests replace it. */
  readonly wait?: (ms: number) => Promise<void>
}

/**
 * All events in order, in as few requests as the endpoint allows.
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
 * The first event that `isMeant` accepts; later blocks are not read.
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
  const range = new BlockRange(last - fromBlock + 1n)
  let from = fromBlock
  let refusals = 0
  while (from <= last) {
    const end = from + range.size - 1n
    const toBlock = end < last ? end : last
    let logs: Log[]
    try {
      logs = (await client.getLogs({ ...filter, fromBlock: from, toBlock })) as Log[]
    } catch (cause) {
      if (isRateLimit(cause) && refusals < waits.length) {
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

/** Number of blocks in a request: smaller after a refusal, larger again after answers. */
export class BlockRange {
  size: bigint
  /** The smallest range that was refused. The endpoint's limit is below, unless the refusal had another reason. */
  #ceiling: bigint | undefined
  /** The last range that was answered, while a larger one is tried. */
  #good: bigint | undefined
  #answers = 0
  /** Answers before a larger range is tried; doubles with each refusal. */
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

  /** @returns false if a single block was refused */
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

/** Milliseconds to wait after each answer "too many requests" in a row. */
const waits = [250, 500, 1_000, 2_000, 4_000, 8_000]

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Whether the endpoint limits the rate; the range itself was acceptable. */
export function isRateLimit(cause: unknown): boolean {
  for (let error = cause; error instanceof Error; error = error.cause) {
    if ((error as { status?: unknown }).status === 429) return true
    if (/too many requests|rate.?limit|throttl|compute units per second/i.test(error.message))
      return true
  }
  return false
}

/** Filter for viem: one `event` with arguments, or several `events`. */
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
 * The last block that is not later than `time` (unix seconds), by binary search: about 25 requests.
 *
 * @param fromBlock lower bound of the search
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
