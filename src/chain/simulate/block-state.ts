/**
 * The state of a chain at one fixed block, read from an endpoint when it is needed.
 *
 * Every value is asked for once. Requests, bytes and time have limits, so a slow endpoint or a large contract ends a
 * simulation with an error and not with an endless wait.
 */
import type { PublicClient } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { toChainError } from '../call.ts'

/** The fields of a block that contract code can read. Times in unix seconds. */
export interface BlockFacts {
  /** Number of the block from which the copy is made. */
  readonly number: bigint
  /** 32 bytes; every request names it, so that a reorg cannot mix states. */
  readonly hash: Hex
  /** Unix seconds. */
  readonly timestamp: number
  /** Gas of the whole block. */
  readonly gasLimit: bigint
  /** Wei per gas. */
  readonly baseFee: bigint
  /** Account that gets the priority fees. */
  readonly coinbase: Hex
  /** 32 bytes (EIP-4399), for contracts that read `block.prevrandao`. */
  readonly prevRandao: Hex
}

/** An account at the block; an account that does not exist has zeros and no code. */
export interface AccountFacts {
  /** Wei. */
  readonly balance: bigint
  /** Transactions sent, or contracts created. */
  readonly nonce: bigint
  /** `0x` for an account without code. */
  readonly code: Hex
}

/** The state at one block. Addresses and slots in lower case. */
export interface BlockState {
  /** EIP-155 id, returned by the opcode CHAINID. */
  readonly chainId: number
  readonly block: BlockFacts
  /**
   * Balance, nonce and code. Each account is requested once.
   *
   * @throws CHAIN_UNREACHABLE, SIMULATION_TOO_LARGE
   */
  account(address: Hex): Promise<AccountFacts>
  /** One storage word. */
  word(address: Hex, slot: Hex): Promise<bigint>
  /** The hash of an earlier block, as the opcode BLOCKHASH gives it. */
  hashOf(number: bigint): Promise<Hex>
  /** Checks that the block is still part of the chain. @throws CHAIN_ANSWER_INVALID if the endpoint replaced it */
  requireSameBlock(): Promise<void>
}

/** Limits of one simulation. */
export interface SimulationLimits {
  /** Requests to the endpoint. */
  readonly requests: number
  /** Bytes of all answers, as hexadecimal digits. */
  readonly bytes: number
  /** Time for the whole simulation. */
  readonly milliseconds: number
}

/** A large proposal on a deployment of all contracts reads about 300 values with 250 kB of code. */
export const defaultLimits: SimulationLimits = {
  requests: 20_000,
  bytes: 64 * 1024 * 1024,
  milliseconds: 300_000,
}

const quantity = z
  .string()
  .regex(/^0x(?:0|[1-9a-f][0-9a-f]{0,63})$/i, 'a quantity')
  .transform((text) => BigInt(text))
// some nodes return a storage word without its leading zeros
const word = z
  .string()
  .regex(/^0x[0-9a-f]{1,64}$/i, 'a storage word')
  .transform((text) => BigInt(text))
const hex = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`, 'i'), `${bytes} bytes`)
    .transform((text) => text.toLowerCase() as Hex)
/** Twice the limit of EIP-170 for code, for chains that raised it. */
const code = z
  .string()
  .max(2 + 4 * 24_576)
  .regex(/^0x(?:[0-9a-f]{2})*$/i, 'code')
  .transform((text) => text.toLowerCase() as Hex)
const blockSchema = z.looseObject({
  number: quantity,
  hash: hex(32),
  timestamp: quantity,
  gasLimit: quantity,
  baseFeePerGas: quantity.optional(),
  miner: hex(20),
  mixHash: hex(32).optional(),
})

/**
 * Opens the state at a block.
 *
 * @param number default: the newest block
 * @throws CHAIN_UNREACHABLE, CHAIN_ANSWER_INVALID
 * @example
 * const state = await openBlockState(client)
 * const { code } = await state.account(kmsAuth)
 */
export async function openBlockState(
  client: PublicClient,
  { number, limits = defaultLimits }: { number?: bigint; limits?: SimulationLimits } = {},
): Promise<BlockState> {
  const ask = boundedRequests(client, limits)
  const tag = number === undefined ? 'latest' : quantityOf(number)
  const [chainId, found] = await Promise.all([
    ask('eth_chainId', [], quantity),
    ask('eth_getBlockByNumber', [tag, false], blockSchema),
  ])
  const block: BlockFacts = {
    number: found.number,
    hash: found.hash,
    timestamp: Number(found.timestamp),
    gasLimit: found.gasLimit,
    baseFee: found.baseFeePerGas ?? 0n,
    coinbase: found.miner,
    prevRandao: found.mixHash ?? `0x${'00'.repeat(32)}`,
  }
  const at = quantityOf(block.number)
  return {
    chainId: Number(chainId),
    block,
    account: once(async (address: Hex) => {
      const [balance, nonce, bytes] = await Promise.all([
        ask('eth_getBalance', [address, at], quantity),
        ask('eth_getTransactionCount', [address, at], quantity),
        ask('eth_getCode', [address, at], code),
      ])
      return { balance, nonce, code: bytes }
    }),
    word: once((address: Hex, slot: Hex) => ask('eth_getStorageAt', [address, slot, at], word)),
    hashOf: once(async (earlier: bigint) => {
      const params = [quantityOf(earlier), false]
      return (await ask('eth_getBlockByNumber', params, blockSchema)).hash
    }),
    async requireSameBlock() {
      const { hash } = await ask('eth_getBlockByNumber', [at, false], blockSchema)
      if (hash === block.hash) return
      throw new AssentError('CHAIN_ANSWER_INVALID', 'The block was replaced while it was read.', {
        facts: { block: String(block.number), expected: block.hash, found: hash },
        hint: 'Try again. If it happens often, use a finalized block or another endpoint.',
      })
    },
  }
}

/** Returns a function that sends a request, checks its answer and counts it against the limits. */
function boundedRequests(client: PublicClient, limits: SimulationLimits) {
  const deadline = performance.now() + limits.milliseconds
  const used = { requests: 0, bytes: 0 }
  const requireWithin = (isWithin: boolean, limit: keyof SimulationLimits) => {
    if (isWithin) return
    throw new AssentError('SIMULATION_TOO_LARGE', 'The simulation reached a limit.', {
      facts: { limit, allowed: limits[limit] },
    })
  }
  return async <T>(method: string, params: unknown[], schema: z.ZodType<T>): Promise<T> => {
    requireWithin(++used.requests <= limits.requests, 'requests')
    const answer = await withDeadline(deadline, () =>
      client.request({ method, params } as never).catch((cause: unknown) => {
        throw toChainError(cause, `answer ${method}`)
      }),
    )
    requireWithin(answer !== late, 'milliseconds')
    used.bytes += sizeOf(answer)
    requireWithin(used.bytes <= limits.bytes, 'bytes')
    const parsed = schema.safeParse(answer)
    if (parsed.success) return parsed.data
    throw new AssentError(
      'CHAIN_ANSWER_INVALID',
      `The endpoint answered ${method} with an invalid answer: ${describeIssues(parsed.error).slice(0, 300)}.`,
      { facts: { method } },
    )
  }
}

const late = Symbol('the deadline passed')

async function withDeadline<T>(deadline: number, run: () => Promise<T>): Promise<T | typeof late> {
  const left = deadline - performance.now()
  if (left <= 0) return late
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<typeof late>((resolve) => {
    timer = setTimeout(resolve, left, late)
  })
  try {
    return await Promise.race([run(), passed])
  } finally {
    clearTimeout(timer)
  }
}

function sizeOf(answer: unknown): number {
  return typeof answer === 'string' ? answer.length : (JSON.stringify(answer) ?? '').length
}

/** Asks once for each set of arguments. A failed request is asked again. */
function once<A extends readonly unknown[], T>(
  read: (...args: A) => Promise<T>,
): (...args: A) => Promise<T> {
  const known = new Map<string, Promise<T>>()
  return (...args) => {
    const key = args.join()
    const found = known.get(key)
    if (found !== undefined) return found
    const asked = read(...args)
    known.set(key, asked)
    asked.catch(() => known.delete(key))
    return asked
  }
}

function quantityOf(number: bigint): Hex {
  return `0x${number.toString(16)}`
}
