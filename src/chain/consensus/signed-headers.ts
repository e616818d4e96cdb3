/**
 * The final block that a sync committee signed, shown by enough RPC endpoints.
 *
 * Endpoints that collude cannot invent a block that the validators did not finalize. With an RPC quorum, a sync
 * committee that lies is not enough either; with one endpoint (`required: 1`), the validators alone decide.
 */
import { AssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ConsensusStatus } from '../boot/boot.ts'
import { agreedHeaders, type HeaderSource, type QuorumRules } from '../proven/header-quorum.ts'
import { messagesOf } from './finality-proof.ts'
import { type ForkOutlook, forkOutlook } from './forks.ts'
import type { LightClient } from './light-client.ts'
import { type AnnouncedFork, type Network, timeOfSlot } from './network.ts'
import type { LightStore } from './store.ts'

/**
 * @param rules who has to show the block; their `finality` is not used
 * @throws from `newest`: CONSENSUS_* if the light client makes no progress, CHAIN_* if too few endpoints show the block
 * @example signedHeaders({ endpoints, required: 2, chainId: 1, finality: 'finalized' }, client, { network, clock })
 */
export function signedHeaders(
  rules: QuorumRules,
  client: LightClient,
  { network, clock }: { readonly network: Network; readonly clock: Clock },
): HeaderSource {
  const forks = announcedForks(client, clock)
  return {
    newest: async (known) => {
      const { store, faults } = await client.advance()
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
        disagreeing: [...agreed.disagreeing, ...faults],
        signedHead: signedHeadOf(store),
        signatures: messagesOf(store.proof),
        consensus: statusOf(network, slot, forkOutlook(network, clock(), forks())),
      }
    },
  }
}

/** The execution block of the optimistic header, if it is newer than the finalized one. */
function signedHeadOf({ finalized, optimistic }: LightStore): Hex | undefined {
  const { execution } = optimistic
  return optimistic.slot > finalized.slot && execution ? to0x(execution.blockHash) : undefined
}

/** Forks are announced weeks before they come. */
const secondsBetweenForkQuestions = 3600

/** Forks that the beacon APIs announced when they were last asked. They are requested apart from the decisions. */
function announcedForks(client: LightClient, clock: Clock): () => readonly AnnouncedFork[] {
  let announced: readonly AnnouncedFork[] = []
  let askedAt = Number.NEGATIVE_INFINITY
  return () => {
    if (Math.abs(clock() - askedAt) >= secondsBetweenForkQuestions) {
      askedAt = clock()
      client.announcedForks().then(
        (forks) => {
          announced = forks
        },
        () => {
          // they are asked again after the pause
        },
      )
    }
    return announced
  }
}

function statusOf(network: Network, slot: number, { next, unknown }: ForkOutlook): ConsensusStatus {
  const times = unknown.map(({ time }) => time)
  return {
    finalizedAt: timeOfSlot(network, slot),
    nextForkAt: next?.time,
    unknownForkAt: times.length === 0 ? undefined : Math.min(...times),
  }
}
