/**
 * The seam between the rules of a boot and the state they read.
 *
 * The same rules run on proven state (the KMS), on the answers of an endpoint (a command), and on a simulated state (a
 * proposal that is not executed yet).
 */
import { keccak256, type PublicClient } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { toChainError } from '../call.ts'

/** Reads accounts and storage words of one block. */
export interface StateReader {
  /** The account at an address, with the keccak-256 of its code; undefined: no such account. */
  account(address: Hex): Promise<{ readonly codeHash: Hex } | undefined>
  /** Words in the order of `slots`; zero if the account does not exist. */
  words(address: Hex, slots: readonly Hex[]): Promise<readonly bigint[]>
}

/**
 * Reads one block through one endpoint, without proofs. The endpoint can lie, so a KMS never uses this.
 *
 * @throws CHAIN_UNREACHABLE from the reads
 */
export function readStateOf(client: PublicClient, blockNumber: bigint): StateReader {
  const accounts = new Map<Hex, Promise<{ codeHash: Hex } | undefined>>()
  const account = async (address: Hex) => {
    const code = await client.getCode({ address, blockNumber }).catch((cause: unknown) => {
      throw toChainError(cause, `read the code of ${address}`)
    })
    return code === undefined || code === '0x' ? undefined : { codeHash: keccak256(code) }
  }
  return {
    account: (address) => {
      const known = accounts.get(address) ?? account(address)
      accounts.set(address, known)
      return known
    },
    words: (address, slots) =>
      mapWithConcurrency(slots, async (slot) => {
        const word = await client
          .getStorageAt({ address, slot, blockNumber })
          .catch((cause: unknown) => {
            throw toChainError(cause, `read the storage of ${address}`)
          })
        return BigInt(word ?? '0x0')
      }),
  }
}
