/**
 * Complete releases of a node with a light client, beside those of the same node without one.
 *
 * Both nodes run at the same time and are asked in turn, so that other work on the machine changes both figures. The beacon
 * chain has 512 members and slots of 12 seconds, so the node also takes updates while it is measured.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { type Network, slotAt } from '../../src/chain/consensus/network.ts'
import { createBeaconChain } from '../../src/chain/consensus/simulator/beacon-chain.ts'
import { fetchHeader } from '../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { fromHex, to0x } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { serveBeacon } from '../../test/chain/consensus/beacon-server.ts'
import { largeNetwork } from '../../test/chain/consensus/networks.ts'
import { benchNumber } from '../environment.ts'
import { type Client, startClient } from '../release/client-process.ts'
import { type BeaconSettings, type BenchNode, buildSite, startNode } from '../release/node.ts'
import type { BenchRow } from '../result-row.ts'

const rounds = 5
const requests = Math.ceil(benchNumber('ASSENT_BENCH_REQUESTS', 100_000) / rounds)
/** The node begins in the middle of a sync committee period. */
const startSlot = 4_000

interface Measured {
  readonly node: BenchNode
  readonly client: Client
  readonly cpuMs: number[]
}

export async function releaseRows(): Promise<BenchRow[]> {
  const site = await buildSite()
  const beacon = await serveBeaconChain(site.rpcUrl)
  const all = [
    await startMeasured(await startNode(site, 1)),
    await startMeasured(await startNode(site, 1, beacon.settings)),
  ] as const
  try {
    for (const each of all) await measure(each)
    // the first round warmed up
    for (const { cpuMs } of all) cpuMs.length = 0
    for (let round = 0; round < rounds; round++) for (const each of all) await measure(each)
    const [without = 0, withIt = 0] = all.map(({ cpuMs }) => median(cpuMs))
    const none = { section: 'chain', aim: null, peer: null, peerValue: null }
    return [
      {
        ...none,
        name: 'release.cpu-ms',
        value: withIt,
        unit: 'ms',
        peer: 'without a light client',
        peerValue: without,
      },
      { ...none, name: 'release.extra', value: 100 * (withIt / without - 1), unit: '%', aim: 5 },
    ]
  } finally {
    for (const { node, client } of all) {
      client.stop()
      await node.stop()
    }
    await beacon.close()
    await site.stop()
  }
}

async function startMeasured(node: BenchNode): Promise<Measured> {
  return { node, client: await startClient(node), cpuMs: [] }
}

async function measure({ node, client, cpuMs }: Measured): Promise<void> {
  // work that the requests before left behind
  await pause(1_000)
  const before = node.usage()
  await client.run({ connections: 64, requests })
  cpuMs.push((node.usage().cpuMs - before.cpuMs) / requests)
}

/** A beacon API around the chain of the site, whose newest final block stays the same. */
async function serveBeaconChain(
  rpcUrl: string,
): Promise<{ settings: BeaconSettings; close(): Promise<void> }> {
  const endpoint = connectEndpoint({ url: rpcUrl, name: 'anvil', timeoutMs: 10_000 })
  const { hash, number, stateRoot } = await fetchHeader(endpoint, 'finalized', [])
  const final = {
    hash: fromHex(hash, 'hash', 32),
    number,
    stateRoot: fromHex(stateRoot, 'root', 32),
  }
  const genesisTime = systemClock() - startSlot * largeNetwork.secondsPerSlot
  const network: Network = { ...largeNetwork, genesisTime }
  const chain = createBeaconChain({ network, execution: () => final })
  const server = await serveBeacon({
    chain,
    // the newest block is signed in the slot after it
    get head() {
      return slotAt(network, systemClock()) - 1
    },
  })
  const trustedSlot = startSlot - (startSlot % network.slotsPerEpoch) - 3 * network.slotsPerEpoch
  return {
    settings: {
      network: { ...network, forks: [...network.forks], blobSchedule: [...network.blobSchedule] },
      beaconApis: [server.url],
      trustedBlockRoot: to0x(chain.root(trustedSlot)),
    },
    close: server.close,
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}
