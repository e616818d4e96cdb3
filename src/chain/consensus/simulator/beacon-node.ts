/** A simulated beacon node that follows an execution chain: each slot contains the newest block at its begin. */
import { setTimeout as sleep } from 'node:timers/promises'

import { hexToBytes, type PublicClient } from 'viem'

import type { Clock } from '../../../lib/clock.ts'
import { toChainError } from '../../call.ts'
import { type Network, slotAt, timeOfSlot } from '../network.ts'
import { answerBeacon, type BeaconView, finalizedSlot } from './beacon-api.ts'
import { createBeaconChain, type ExecutionBlock } from './beacon-chain.ts'
import { createExecutionHistory } from './execution-history.ts'

/** A running node. */
export interface BeaconNode {
  /** First slot of an epoch that was final at the start. */
  readonly finalizedSlot: number
  /** Root of its block: 32 bytes, a trusted block root for clients. */
  readonly finalizedRoot: Uint8Array
  /** Answers a request of the beacon API; undefined: status 404. */
  answer(url: URL): object | undefined
  /** Adds a slot when its time comes. @param onFailure called for each slot in which the chain did not answer */
  follow(signal: AbortSignal, onFailure: (error: unknown) => void): Promise<void>
}

/**
 * A node that begins at the slot of now, with the newest block of the chain in all slots before. A node of the same
 * network that is started later has the same sync committees, so that clients continue.
 *
 * @param clock unix seconds
 * @throws CHAIN_* if the chain does not answer
 */
export async function startBeaconNode({
  network,
  publicClient,
  clock,
}: {
  readonly network: Network
  readonly publicClient: PublicClient
  readonly clock: Clock
}): Promise<BeaconNode> {
  const history = createExecutionHistory(await readNewest(publicClient))
  const start = slotAt(network, clock())
  const chain = createBeaconChain({
    network,
    execution: (slot) => history.at(slot),
    from: Math.max(0, start - 4 * network.slotsPerEpoch),
  })
  // the block of slot n is signed in slot n + 1
  const view: BeaconView = { chain, head: start - 1 }
  const finalized = finalizedSlot(view)
  return {
    finalizedSlot: finalized,
    finalizedRoot: chain.root(finalized),
    answer: (url) => answerBeacon(view, url),
    async follow(signal, onFailure) {
      for (
        let next = start + 1;
        !signal.aborted;
        next = Math.max(next, slotAt(network, clock())) + 1
      ) {
        await untilSlot(network, next, clock, signal)
        if (signal.aborted) return
        await readNewest(publicClient).then((block) => history.add(next, block), onFailure)
        view.head = next - 1
      }
    },
  }
}

async function readNewest(publicClient: PublicClient): Promise<ExecutionBlock> {
  const block = await publicClient.getBlock().catch((cause: unknown) => {
    throw toChainError(cause, 'reading the newest block')
  })
  return {
    hash: hexToBytes(block.hash),
    number: block.number,
    stateRoot: hexToBytes(block.stateRoot),
  }
}

async function untilSlot(network: Network, slot: number, clock: Clock, signal: AbortSignal) {
  while (slotAt(network, clock()) < slot && !signal.aborted) {
    // a clock that was set back must not make it wait for long
    const seconds = Math.min(timeOfSlot(network, slot) - clock(), network.secondsPerSlot)
    await sleep(Math.max(seconds * 1_000, 50), undefined, { signal }).catch(() => undefined)
  }
}
