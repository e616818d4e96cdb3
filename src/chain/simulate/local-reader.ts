/** Reads a local copy of the chain through the interfaces that commands and the rules of a boot use. */
import { createPublicClient, custom, keccak256, type PublicClient, RpcError } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { uint256 } from '../approval.ts'
import type { StateReader } from '../rpc/state-reader.ts'
import type { LocalChain } from './local-chain.ts'

/**
 * The state of a local copy for the rules of a boot.
 *
 * @example
 * const explanation = await explainApp(readStateOfLocalCopy(chain), registry, boot, times)
 */
export function readStateOfLocalCopy(chain: LocalChain): StateReader {
  return {
    account: async (address) => {
      const code = await chain.code(address)
      return code === '0x' ? undefined : { codeHash: keccak256(code) }
    },
    words: (address, slots) => Promise.all(slots.map((slot) => chain.word(address, slot))),
  }
}

/**
 * A viem client on a local copy, for every function that reads contracts. Its newest block is the copy's.
 *
 * @param timestamp time that contracts see, unix seconds; default: the time of the copy's newest block
 */
export function connectToLocalCopy(
  chain: LocalChain,
  { timestamp }: { timestamp?: number } = {},
): PublicClient {
  const time = () => timestamp ?? chain.head.timestamp
  const quantity = (value: bigint | number): Hex => `0x${value.toString(16)}`
  const methods: Record<string, (params: readonly unknown[]) => unknown> = {
    eth_chainId: () => quantity(chain.chainId),
    eth_blockNumber: () => quantity(chain.head.number),
    eth_getBlockByNumber: () => ({
      number: quantity(chain.head.number),
      timestamp: quantity(time()),
      hash: chain.origin.hash,
      baseFeePerGas: quantity(chain.origin.baseFee),
      gasLimit: quantity(chain.origin.gasLimit),
      transactions: [],
    }),
    eth_getCode: ([address]) => chain.code(address as Hex),
    eth_getStorageAt: async ([address, slot]) =>
      uint256(await chain.word(address as Hex, slot as Hex)),
    eth_call: async ([request]) => {
      const { from = zero, to = zero, data = '0x' } = request as Record<string, Hex>
      const result = await chain.call({ from, to, data }, { timestamp: time() })
      if (result.succeeded) return result.data
      throw Object.assign(new Error('execution reverted'), { code: 3, data: result.data })
    },
  }
  const request = async ({ method, params }: { method: string; params?: unknown }) => {
    const answer = methods[method]
    if (answer !== undefined) return answer((params ?? []) as unknown[])
    throw new RpcError(new Error(method), {
      code: -32601,
      shortMessage: `A local copy does not answer ${method}.`,
    })
  }
  return createPublicClient({
    transport: custom({ request }, { retryCount: 0 }),
    cacheTime: 0,
  }) as PublicClient
}

const zero: Hex = `0x${'00'.repeat(20)}`
