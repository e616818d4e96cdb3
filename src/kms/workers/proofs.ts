/** Proofs for the workers of a node: the process that keeps the log gets and verifies each of them once. */

import type { EndpointFault } from '../../chain/boot.ts'
import { type BootChainConfig, openProver } from '../../chain/boot-config.ts'
import type { FetchProof, ProofQuestion } from '../../chain/proven/prover.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Channel, Handlers } from './channel.ts'

/** Nodes with their hashes, and who gave none on the way to them. */
interface ProofResponse {
  readonly nodes: readonly (readonly [Hex, Hex])[]
  readonly dissents: readonly EndpointFault[]
}

/** The side that asks the endpoints. */
export function serveProofs(config: BootChainConfig): Handlers {
  const prove = openProver(config)
  if (prove === undefined) return {}
  return {
    prove: async (question: ProofQuestion): Promise<ProofResponse> => {
      const dissents: EndpointFault[] = []
      const nodes = await prove(question, (dissent) => void dissents.push(dissent))
      return { nodes: [...nodes], dissents }
    },
  }
}

/** A worker's side. The channel ends in a process of this node, which hashed every node. */
export function remoteProofs(channel: Channel): FetchProof {
  return async (question, dissent) => {
    const { nodes, dissents } = await channel.ask<ProofResponse>('prove', question)
    for (const each of dissents) dissent(each)
    return new Map(nodes)
  }
}
