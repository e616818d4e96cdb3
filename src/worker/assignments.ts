/**
 * The requests that are assigned to one key, from the events of `Requests` in final blocks. Nothing is stored: a new worker
 * reads the last 30 days again, the longest time that a request can last.
 */
import { requestsAbi } from '../chain/abi.ts'
import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { type QuorumReader, readBlockTime } from '../relayer/endpoints/quorum.ts'
import { readPage } from '../relayer/upkeep/host-events.ts'
import type { AskedRequest } from './answer-request.ts'

/** Contract, app and key to follow. */
export interface AssignmentOptions {
  readonly reader: QuorumReader
  readonly requests: Hex
  readonly app: Hex
  /** Address of the key of this instance. */
  readonly key: Hex
  /** Block of the deployment. */
  readonly fromBlock: number
  /** Blocks in one request. */
  readonly span: number
}

/** The open assignments. */
export interface AssignmentFeed {
  /** Reads new final blocks. @returns true if there are more @throws RELAYER_CHAIN_* */
  read(): Promise<boolean>
  /** Requests that were assigned to the key, by id. The caller removes those that are done. */
  readonly open: Map<Hex, AskedRequest>
}

/** Seconds that a request can last (`Requests.MAX_WAIT`). */
const longestRequest = 30 * 86_400

/**
 * @example
 * const feed = followAssignments(options)
 * while (await feed.read());
 * for (const asked of feed.open.values()) await answer(asked)
 */
export function followAssignments(options: AssignmentOptions): AssignmentFeed {
  const { reader, span } = options
  const open = new Map<Hex, AskedRequest>()
  let next: number | undefined
  return {
    open,
    async read() {
      const { final } = await reader.heights()
      next ??= Math.max(options.fromBlock, await firstBlock(reader, final))
      if (next > Number(final)) return false
      const from = next
      const { logs, last } = await readPage(from, Number(final), span, (to) =>
        reader.agree('assignments', (client) =>
          client.getContractEvents({
            address: options.requests,
            abi: requestsAbi,
            eventName: 'Assigned',
            args: { key: options.key },
            fromBlock: BigInt(from),
            toBlock: BigInt(to),
          }),
        ),
      )
      for (const { args, blockNumber } of logs) {
        const { id } = args
        if (id !== undefined && !open.has(id))
          open.set(id, await readAsked(options, id, blockNumber))
      }
      next = last + 1
      return last < Number(final)
    },
  }
}

/** The first block that can contain a request that is still open: found by halves, at the times of blocks. */
async function firstBlock(reader: QuorumReader, final: bigint): Promise<number> {
  const wanted = (await readBlockTime(reader, final)) - longestRequest
  let [low, high] = [0n, final]
  while (low < high) {
    const middle = (low + high) >> 1n
    if ((await readBlockTime(reader, middle)) < wanted) low = middle + 1n
    else high = middle
  }
  return Number(low)
}

/** The request of an id, from the event with which it was made: in the block of its assignment, or earlier. */
async function readAsked(
  { reader, requests, app, fromBlock, span }: AssignmentOptions,
  id: Hex,
  assignedIn: bigint,
): Promise<AskedRequest> {
  for (let to = Number(assignedIn); to >= fromBlock; to -= span) {
    const from = Math.max(fromBlock, to - span + 1)
    const found = await reader.agree('request', async (client) => {
      const [log] = await client.getContractEvents({
        address: requests,
        abi: requestsAbi,
        eventName: 'Requested',
        args: { id },
        fromBlock: BigInt(from),
        toBlock: BigInt(to),
        strict: true,
      })
      if (log === undefined) return null
      const { number, requester, inputDigest, inputReference, record } = log.args
      return { number, requester, inputDigest, inputReference, deadline: record.deadline }
    })
    if (found !== null) return { id, app, ...found }
  }
  throw new AssentError('CHAIN_ANSWER_INVALID', 'No endpoint shows the event of a request.', {
    facts: { id, block: Number(assignedIn) },
  })
}
