/** How long it takes until a light client knows that a block is final, as docs/chains.md says for each network. */
import { expect, test } from 'vitest'

import { readBootstrap, readFinalityUpdate } from '../../../src/chain/consensus/messages.ts'
import type { Network } from '../../../src/chain/consensus/network.ts'
import { gnosis, mainnet } from '../../../src/chain/consensus/networks.ts'
import { createBeaconChain } from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { beginStore, takeUpdate } from '../../../src/chain/consensus/store.ts'
import { smallNetwork } from './networks.ts'

const epoch = 8

/** The newest finalized slot that a client knows in `slot`, when the block before was signed. */
function finalIn(network: Network, slot: number): number {
  const chain = createBeaconChain({ network })
  const start = (epoch - 4) * network.slotsPerEpoch
  const bootstrap = readBootstrap(network, chain.bootstrap(start))
  const time = chain.time(slot)
  const store = beginStore(network, chain.root(start), bootstrap, time)
  const update = readFinalityUpdate(network, chain.finalityUpdate(slot - 1))
  return takeUpdate(network, store, update, time).store.finalized.slot
}

test.each<[string, Pick<Network, 'slotsPerEpoch' | 'secondsPerSlot'>, string, number, number]>([
  ['mainnet', mainnet, 'first', 0, 780],
  ['mainnet', mainnet, 'second', 1, 1_152],
  ['mainnet', mainnet, 'last', 31, 792],
  ['Gnosis', gnosis, 'first', 0, 165],
  ['Gnosis', gnosis, 'second', 1, 240],
  ['Gnosis', gnosis, 'last', 15, 170],
])(
  '$0: the $2 block of an epoch is known as final after $4 seconds',
  (_, times, _name, place, seconds) => {
    const { slotsPerEpoch, secondsPerSlot } = times
    const forks = smallNetwork.forks.slice(0, 6).map((fork) => ({ ...fork, epoch: 0 }))
    const network = {
      ...smallNetwork,
      epochsPerPeriod: 32,
      slotsPerEpoch,
      secondsPerSlot,
      forks,
      blobSchedule: [],
    }
    const slot = epoch * slotsPerEpoch + place
    const known = slot + seconds / secondsPerSlot

    expect(finalIn(network, known - 1)).toBeLessThan(slot)
    expect(finalIn(network, known)).toBeGreaterThanOrEqual(slot)
  },
)
