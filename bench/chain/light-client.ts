/**
 * The light client with committees of 512, as on public networks: what a node spends on a start, on an update, on a
 * period, and after a year without network. 98 % of the members sign, as on mainnet.
 *
 * The year is measured over some periods (`ASSENT_BENCH_PERIODS`) and multiplied: each has a committee of its own, so
 * that nothing is remembered from the one before.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import {
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readUpdate,
} from '../../src/chain/consensus/messages.ts'
import { type Network, startOfPeriod } from '../../src/chain/consensus/network.ts'
import { createBeaconChain } from '../../src/chain/consensus/simulator/beacon-chain.ts'
import { beginStore, type LightStore, takeUpdate } from '../../src/chain/consensus/store.ts'
import { largeNetwork } from '../../test/chain/consensus/networks.ts'
import { benchNumber } from '../environment.ts'
import type { BenchRow } from '../result-row.ts'

const signers = 502
const secondsPerYear = 365 * 86_400
const network: Network = largeNetwork

export function lightClientRows(): BenchRow[] {
  const periods = benchNumber('ASSENT_BENCH_PERIODS', 16)
  const chain = createBeaconChain({ network })
  const start = startOfPeriod(network, 0) + 64
  // as they come from the network: text
  const bootstrapText = textOf(chain.bootstrap(start))
  const updates = Array.from({ length: periods }, (_, period) => {
    const slot = startOfPeriod(network, period) + 4_000
    return { slot, text: textOf(chain.update(slot, { signers })) }
  })
  const last = updates.at(-1)?.slot ?? start
  const news = Array.from({ length: 9 }, (_, index) => {
    const slot = last + 32 * (index + 3)
    return { slot, text: textOf(chain.finalityUpdate(slot, { signers })) }
  })
  const root = chain.root(start)
  const begin = () =>
    beginStore(network, root, readBootstrap(network, rawOf(bootstrapText)), chain.time(start + 1))

  const bootstrapMs = median(Array.from({ length: 9 }, () => timeOf(begin).ms))
  const heapBefore = heapBytes()
  let store: LightStore = begin()
  const periodMs = updates.map(({ slot, text }) => {
    const { ms, value } = timeOf(() => {
      const update = readUpdate(network, rawOf(text))
      return takeUpdate(network, store, update, chain.time(slot + 1)).store
    })
    store = value
    return ms
  })
  const updateMs = news.map(({ slot, text }) => {
    const { ms, value } = timeOf(() => {
      const update = readFinalityUpdate(network, rawOf(text))
      return takeUpdate(network, store, update, chain.time(slot + 1)).store
    })
    store = value
    return ms
  })
  if (store.finalized.slot < last)
    throw new Error('The chain must be followed, or the time means nothing.')
  const memory = (heapBytes() - heapBefore) / 2 ** 20
  const periodSeconds = network.slotsPerEpoch * network.epochsPerPeriod * network.secondsPerSlot
  const row = { section: 'chain', unit: 'ms', aim: null, peer: null, peerValue: null }
  return [
    { ...row, name: 'lightclient.bootstrap-ms', value: bootstrapMs },
    { ...row, name: 'lightclient.update-ms', value: median(updateMs), aim: 40 },
    { ...row, name: 'lightclient.period-ms', value: median(periodMs) },
    {
      ...row,
      name: 'lightclient.year-offline-s',
      unit: 's',
      value: (median(periodMs) * (secondsPerYear / periodSeconds)) / 1000,
    },
    { ...row, name: 'lightclient.memory-mib', unit: 'MiB', value: memory },
  ]
}

function textOf({ fork, data }: RawMessage): string {
  return JSON.stringify({ version: fork, data: (data as { json: unknown }).json })
}

function rawOf(text: string): RawMessage {
  const { version, data } = JSON.parse(text) as { version: string; data: unknown }
  return { fork: version, data: { json: data } }
}

/** Time of the processor, which is that of the clock on a machine that has nothing else to do. */
function timeOf<T>(act: () => T): { ms: number; value: T } {
  const begin = process.threadCpuUsage()
  const value = act()
  const { user, system } = process.threadCpuUsage(begin)
  return { ms: (user + system) / 1000, value }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

/** What is still in use. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}
