/** A simulated state as the rules of a boot read it. */
import { keccak256 } from 'viem'

import type { LocalChain } from '../simulate/local-chain.ts'
import type { StateReader } from '../state-reader.ts'

/**
 * Reads code hashes and storage from a local copy of the chain, so that the rules of the KMS can run after a
 * simulated proposal.
 */
export function readStateOfLocal(chain: LocalChain): StateReader {
  return {
    account: async (address) => {
      const code = await chain.code(address)
      return code === '0x' ? undefined : { codeHash: keccak256(code) }
    },
    words: (address, slots) => Promise.all(slots.map((slot) => chain.word(address, slot))),
  }
}
