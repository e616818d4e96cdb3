/**
 * Reads blocks and logs through the endpoints.
 *
 * With two or more endpoints, two must give the same answer. With one endpoint its answer counts, but it must fit the
 * question, and for a block that is not final it must fit the block's bloom filter.
 */
import { type PublicClient, TransactionNotFoundError } from 'viem'
import { z } from 'zod'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { addressSchema, bytes32Schema, bytesSchema, hexSchema } from '../lib/schema.ts'
import type { QuorumReader } from '../relayer/endpoints/quorum.ts'

/** A log, with the time of its block. */
export interface ChainLog {
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Hex
  readonly block: number
  readonly blockHash: Hex
  readonly logIndex: number
  readonly transaction: Hex
  /** Unix seconds. */
  readonly time: number
}

/** The members of a block header that the indexer uses. */
export interface Header {
  readonly number: number
  readonly hash: Hex
  readonly parentHash: Hex
  /** Unix seconds. */
  readonly time: number
  /** 256 bytes. */
  readonly bloom: Hex
}

/** Reads by RPC quorum. Each function throws RELAYER_CHAIN_UNREACHABLE and RELAYER_CHAIN_DISAGREES. */
export interface ChainReader {
  /** Numbers of the newest and of the final block. */
  heights(): Promise<{ readonly latest: number; readonly final: number }>
  /** The header at a height; undefined: no block has it now. */
  header(number: number): Promise<Header | undefined>
  /** Logs of some addresses in blocks that are final. */
  logsBetween(from: number, to: number, addresses: readonly Hex[]): Promise<ChainLog[]>
  /** Logs of some addresses in one block. An endpoint that does not have this block fails. */
  logsOf(header: Header, addresses: readonly Hex[]): Promise<ChainLog[]>
  /** Sender of a transaction that called `to` directly; undefined: another contract called it. */
  senderOf(transaction: Hex, to: Hex): Promise<Hex | undefined>
}

/** Addresses in one filter; services limit them. */
const addressesPerRequest = 500

/** Creates a reader on endpoints. */
export function createChainReader(quorum: QuorumReader): ChainReader {
  const logs = async (
    name: string,
    where: { fromBlock: Hex; toBlock: Hex } | { blockHash: Hex },
    addresses: readonly Hex[],
    isMeant: (log: ChainLog) => boolean,
  ): Promise<ChainLog[]> => {
    const all: ChainLog[] = []
    for (let at = 0; at < addresses.length; at += addressesPerRequest) {
      const asked = addresses.slice(at, at + addressesPerRequest)
      const known = new Set(asked)
      const found = await quorum.agree(name, (client) =>
        readLogs(
          client,
          { ...where, address: asked },
          (log) => known.has(log.address) && isMeant(log),
        ),
      )
      for (const log of found) all.push(log)
    }
    return inOrder(all)
  }
  return {
    heights: async () => {
      const { latest, final } = await quorum.heights()
      return { latest: Number(latest), final: Number(final) }
    },
    header: (number) => quorum.agree('block', (client) => readHeader(client, toQuantity(number))),
    logsBetween: (from, to, addresses) =>
      logs(
        'events',
        { fromBlock: toQuantity(from), toBlock: toQuantity(to) },
        addresses,
        ({ block }) => block >= from && block <= to,
      ),
    logsOf: ({ hash }, addresses) =>
      logs('events', { blockHash: hash }, addresses, ({ blockHash }) => blockHash === hash),
    senderOf: (transaction, to) =>
      quorum.agree('transaction', async (client) => {
        try {
          const found = await client.getTransaction({ hash: transaction })
          return found.to?.toLowerCase() === to ? (found.from.toLowerCase() as Hex) : undefined
        } catch (error) {
          if (error instanceof TransactionNotFoundError) return undefined
          throw error
        }
      }),
  }
}

const quantity = z
  .string()
  .regex(/^0x(0|[1-9a-f][0-9a-f]{0,12})$/i)
  .transform(Number)

const headerSchema = z.object({
  number: quantity,
  hash: bytes32Schema,
  parentHash: bytes32Schema,
  timestamp: quantity,
  logsBloom: hexSchema(256),
})

const logsSchema = z.array(
  z.object({
    address: addressSchema,
    topics: z.array(bytes32Schema).max(4),
    data: bytesSchema,
    blockNumber: quantity,
    blockHash: bytes32Schema,
    logIndex: quantity,
    transactionHash: bytes32Schema,
    blockTimestamp: quantity.optional().catch(undefined),
    removed: z.literal(false).optional(),
  }),
)

async function readHeader(client: PublicClient, number: Hex): Promise<Header | undefined> {
  const answer = await client.request({ method: 'eth_getBlockByNumber', params: [number, false] })
  if (answer === null) return undefined
  const { timestamp, logsBloom, ...header } = parse('block', headerSchema, answer)
  if (header.number !== Number(number)) throw invalid('block')
  return { ...header, time: timestamp, bloom: logsBloom }
}

async function readLogs(
  client: PublicClient,
  filter: { address: Hex[] } & ({ fromBlock: Hex; toBlock: Hex } | { blockHash: Hex }),
  isMeant: (log: ChainLog) => boolean,
): Promise<ChainLog[]> {
  const answer = await client.request({ method: 'eth_getLogs', params: [filter] })
  const logs = parse('events', logsSchema, answer)
  // older nodes do not name the time; ask the same node, so that equal chains give equal answers
  const times = new Map(logs.map((log) => [log.blockNumber, log.blockTimestamp]))
  const unknown = [...times].flatMap(([block, time]) => (time === undefined ? [block] : []))
  const headers = await Promise.all(unknown.map((block) => readHeader(client, toQuantity(block))))
  for (const header of headers) if (header !== undefined) times.set(header.number, header.time)
  return logs.map((log) => {
    const time = times.get(log.blockNumber)
    if (time === undefined) throw invalid('events')
    const read: ChainLog = {
      address: log.address,
      topics: log.topics,
      data: log.data,
      block: log.blockNumber,
      blockHash: log.blockHash,
      logIndex: log.logIndex,
      transaction: log.transactionHash,
      time,
    }
    if (!isMeant(read)) throw invalid('events')
    return read
  })
}

/** In the order of the chain. @throws CHAIN_ANSWER_INVALID if a log appears twice */
export function inOrder(logs: readonly ChainLog[]): ChainLog[] {
  const sorted = logs.toSorted((a, b) => a.block - b.block || a.logIndex - b.logIndex)
  for (const [index, log] of sorted.entries()) {
    const before = sorted[index - 1]
    if (before?.block === log.block && before.logIndex === log.logIndex) throw invalid('events')
  }
  return sorted
}

function parse<T>(question: string, schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer)
  if (parsed.success) return parsed.data
  throw invalid(question)
}

function invalid(question: string): AssentError {
  return new AssentError(
    'CHAIN_ANSWER_INVALID',
    `An endpoint’s answer does not fit: ${question}.`,
    {
      facts: { question },
    },
  )
}

function toQuantity(number: number): Hex {
  return `0x${number.toString(16)}`
}
