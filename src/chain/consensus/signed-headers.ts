/**
 * The final block that a sync committee signed, shown by enough RPC endpoints.
 *
 * Endpoints that collude cannot invent a block that the validators did not finalize. With an RPC quorum, a sync
 * committee that lies is not enough either; with one endpoint (`required: 1`), the validators alone decide.
 */
import { AssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import { agreedHeaders, type HeaderSource, type QuorumRules } from '../proven/header-quorum.ts'
import { messagesOf } from './finality-proof.ts'
import type { LightClient } from './light-client.ts'
import type { LightStore } from './store.ts'

/**
 * @param rules who has to show the block; their `finality` is not used
 * @throws from `newest`: CONSENSUS_* if the light client does not get on, CHAIN_* if too few endpoints show the block
 * @example signedHeaders({ endpoints, required: 2, chainId: 1, finality: 'finalized' }, client)
 */
export function signedHeaders(rules: QuorumRules, client: LightClient): HeaderSource {
  return {
    newest: async (known) => {
      const { store, dissents } = await client.advance()
      const { execution, slot } = store.finalized
      if (execution === undefined) {
        throw new AssentError(
          'CONSENSUS_FORK_UNKNOWN',
          `The finalized header of slot ${slot} is from before Capella and proves no execution block.`,
          { facts: { slot } },
        )
      }
      const finality = { hash: to0x(execution.blockHash) }
      const agreed = await agreedHeaders({ ...rules, finality }).newest(known)
      return {
        ...agreed,
        disagreeing: [...agreed.disagreeing, ...dissents],
        signedHead: signedHeadOf(store),
        signatures: messagesOf(store.proof),
      }
    },
  }
}

/** The execution block of the optimistic header, if it is newer than the finalized one. */
function signedHeadOf({ finalized, optimistic }: LightStore): Hex | undefined {
  const { execution } = optimistic
  return optimistic.slot > finalized.slot && execution ? to0x(execution.blockHash) : undefined
}
