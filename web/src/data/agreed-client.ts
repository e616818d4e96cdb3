/**
 * A viem client whose answers are those on which enough endpoints agree, at one agreed block. Shared code that reads contracts
 * runs on it unchanged.
 */
import { createPublicClient, custom, defineChain, type PublicClient } from 'viem'
import { z } from 'zod'

import { AssentError, isAssentError } from '../../../src/errors/index.ts'
import type { AgreedBlock, Chain } from './chain.ts'

/** Position of the block in the parameters of the methods that read state. */
const blockPlaces: Readonly<Record<string, number>> = {
  eth_call: 1,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_getStorageAt: 2,
  eth_getBlockByNumber: 0,
}

export function agreedClient(chain: Chain, chainId: number, block: AgreedBlock): PublicClient {
  const number = `0x${block.header.number.toString(16)}`
  const request = async ({ method, params = [] }: { method: string; params?: unknown[] }) => {
    if (method === 'eth_chainId') return `0x${chainId.toString(16)}`
    if (method === 'eth_blockNumber') return number
    return ask(chain, method, pinned(method, params, number))
  }
  return createPublicClient({
    chain: defineChain({
      id: chainId,
      name: String(chainId),
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [] } },
    }),
    transport: custom({ request: request as never }, { retryCount: 0 }),
    cacheTime: 0,
  }) as PublicClient
}

/** A question about the newest block becomes one about the agreed block. */
function pinned(method: string, params: readonly unknown[], number: string): unknown[] {
  const place = blockPlaces[method]
  if (place === undefined) return [...params]
  const given = params[place]
  const isTag = given === undefined || (typeof given === 'string' && !given.startsWith('0x'))
  return isTag
    ? Object.assign([...params], { [place]: number, length: Math.max(params.length, place + 1) })
    : [...params]
}

/** The answer that enough endpoints give. An error that enough of them give, such as a revert, is an answer too. */
async function ask(chain: Chain, method: string, params: readonly unknown[]): Promise<unknown> {
  const answers = await Promise.all(
    chain.endpoints.map(async (endpoint) => {
      try {
        const value = await endpoint.request(method, params, z.unknown())
        return { text: JSON.stringify(value), value }
      } catch (error) {
        if (isAssentError(error)) return { error }
        throw error
      }
    }),
  )
  const texts = answers.flatMap((answer) => ('text' in answer ? [answer.text] : []))
  const agreed = answers.find(
    (answer) =>
      'text' in answer && texts.filter((text) => text === answer.text).length >= chain.required,
  )
  if (agreed !== undefined && 'value' in agreed) return agreed.value
  const errors = answers.flatMap((answer) => ('error' in answer ? [answer.error] : []))
  if (errors.length >= chain.required && errors[0] !== undefined) throw errors[0]
  const message = `Fewer than ${chain.required} of ${chain.endpoints.length} endpoints give the same answer.`
  throw new AssentError('CHAIN_NO_AGREEMENT', message, { facts: { method } })
}
