/** All events of a contract, from endpoints that answer for a limited range of blocks at a time. */
import type { Address, Log, PublicClient } from 'viem'

import { toChainError } from './call.ts'

/** @throws CHAIN_UNREACHABLE if the endpoint refuses even a single block */
export async function historyOf(
  client: PublicClient,
  address: Address,
  fromBlock: bigint,
): Promise<Log[]> {
  const head = await client.getBlockNumber({ cacheTime: 0 }).catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
  const logs: Log[] = []
  let from = fromBlock
  let size = head - fromBlock + 1n
  while (from <= head) {
    const last = from + size - 1n
    const toBlock = last < head ? last : head
    try {
      logs.push(...(await client.getLogs({ address, fromBlock: from, toBlock })))
      from = toBlock + 1n
    } catch (cause) {
      // too many blocks or too many events for this endpoint
      if (size <= 1n) throw toChainError(cause, `read the events of ${address}`)
      size = (size + 1n) / 2n
    }
  }
  return logs
}
