/** Refuses answers of an endpoint that cannot be results of the method, before viem decodes them. */
import type { Transport } from 'viem'

import { AssentError } from '../../errors/index.ts'
import { revertData } from '../call.ts'

type Check = (answer: unknown) => boolean

const isBytes: Check = (answer) =>
  typeof answer === 'string' &&
  answer.startsWith('0x') &&
  answer.length % 2 === 0 &&
  !/[^0-9a-f]/i.test(answer.slice(2))
const isQuantity: Check = (answer) =>
  typeof answer === 'string' && /^0x[0-9a-f]{1,64}$/i.test(answer)
const isWord: Check = (answer) => typeof answer === 'string' && /^0x[0-9a-f]{0,64}$/i.test(answer)
const isObject: Check = (answer) =>
  typeof answer === 'object' && answer !== null && !Array.isArray(answer)
/** A block or a receipt that the node does not know is null. */
const isObjectOrNull: Check = (answer) => answer === null || isObject(answer)

/**
 * Results of reading methods (execution-apis, `eth`). Methods that send are not here: an error would let a list of
 * endpoints send again.
 */
const results: Readonly<Record<string, Check>> = {
  eth_blockNumber: isQuantity,
  eth_call: isBytes,
  eth_chainId: isQuantity,
  eth_estimateGas: isQuantity,
  eth_gasPrice: isQuantity,
  eth_getBalance: isQuantity,
  eth_getBlockByHash: isObjectOrNull,
  eth_getBlockByNumber: isObjectOrNull,
  eth_getCode: isBytes,
  eth_getLogs: Array.isArray,
  eth_getStorageAt: isWord,
  eth_getTransactionByHash: isObjectOrNull,
  eth_getTransactionCount: isQuantity,
  eth_getTransactionReceipt: isObjectOrNull,
}

/** The reading methods that run a contract, so that they can revert. */
const running: ReadonlySet<string> = new Set(['eth_call', 'eth_estimateGas'])

/**
 * The same transport, with checked answers of the reading methods. In a list of endpoints the next one is asked.
 *
 * @throws CHAIN_ANSWER_INVALID from its requests, for a result of another shape, or a revert of a method that runs no
 *   contract
 * @example createPublicClient({ transport: checkedTransport(http(url)) })
 */
export function checkedTransport(transport: Transport): Transport {
  return (options) => {
    const inner = transport(options)
    const request = async (args: { method: string; params?: unknown }, settings?: object) => {
      const { method } = args
      const answer = await inner.request(args, settings).catch((cause: unknown) => {
        const isImpossible = Object.hasOwn(results, method) && !running.has(method)
        if (isImpossible && revertData(cause) !== undefined) throw invalid(method, cause)
        throw cause
      })
      if (!Object.hasOwn(results, method) || results[method]?.(answer) === true) return answer
      throw invalid(method)
    }
    return { ...inner, request: request as typeof inner.request }
  }
}

function invalid(method: string, cause?: unknown): AssentError {
  const message = `The endpoint gave no valid answer to ${method}.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { cause, facts: { method } })
}
