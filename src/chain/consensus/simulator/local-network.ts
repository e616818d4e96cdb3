/** A beacon network on one computer: short epochs, so that a block is final after seconds. */
import { randomBytes } from 'node:crypto'

import { to0x } from '../../../lib/bytes.ts'
import type { Network } from '../network.ts'

/** Slots in an epoch. A block is final two to three epochs after its slot. */
const slotsPerEpoch = 4
/** Epochs between genesis and the first slot of the simulator, so that a block is final from its start on. */
const epochsBefore = 4

/**
 * The network of a new simulated beacon chain.
 *
 * @param now unix seconds; the genesis is four epochs earlier
 * @param secondsPerSlot a block is final after 8 to 12 slots
 */
export function createLocalNetwork({
  chainId,
  now,
  secondsPerSlot,
}: {
  readonly chainId: number
  readonly now: number
  readonly secondsPerSlot: number
}): Network {
  return {
    name: 'simulated',
    chainId,
    slotsPerEpoch,
    // a sync committee serves for 256 slots, and a client that was off for a day follows 169 of two seconds a slot
    epochsPerPeriod: 64,
    committeeSize: 32,
    secondsPerSlot,
    genesisTime: now - epochsBefore * slotsPerEpoch * secondsPerSlot,
    genesisValidatorsRoot: to0x(new Uint8Array(randomBytes(32))),
    genesisForkVersion: '0x00000001',
    forks: [
      { name: 'electra', version: '0x06000001', epoch: 0 },
      { name: 'fulu', version: '0x07000001', epoch: 1 },
    ],
    blobSchedule: [],
    maxBlobsElectra: 9,
    weakSubjectivityEpochs: Math.ceil((7 * 86_400) / (slotsPerEpoch * secondsPerSlot)),
  }
}
