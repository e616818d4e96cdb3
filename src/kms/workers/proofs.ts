/** Storage proofs for workers: the process that writes the log fetches and verifies each proof once for all. */

import type { EndpointFault } from '../../chain/boot/boot.ts'
import { type BootChainConfig, openProver } from '../../chain/boot/boot-config.ts'
import type { FetchProof, ProofQuestion } from '../../chain/proven/prover.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Channel, Handlers } from './channel.ts'

/** Trie nodes with their hashes, and the faults of endpoints on the way. */
interface ProofResponse {
  readonly nodes: readonly (readonly [Hex, Hex])[]
  readonly faults: readonly EndpointFault[]
}

/** The side that asks the RPC endpoints: handlers for the channel; none if the settings trust one endpoint. */
export function serveProofs(config: BootChainConfig): Handlers {
  const prove = openProver(config)
  if (prove === undefined) return {}
  return {
    prove: async (question: ProofQuestion): Promise<ProofResponse> => {
      const faults: EndpointFault[] = []
      const nodes = await prove(question, (fault) => void faults.push(fault))
      return { nodes: [...nodes], faults }
    },
  }
}

/** A worker's side. It does not hash the nodes again: the process at the other end of the channel did. */
export function remoteProofs(channel: Channel): FetchProof {
  return async (question, fault) => {
    const { nodes, faults } = await channel.ask<ProofResponse>('prove', question)
    for (const each of faults) fault(each)
    return new Map(nodes)
  }
}
