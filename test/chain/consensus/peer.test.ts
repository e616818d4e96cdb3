/** Another implementation must read, hash, accept and refuse as ours does. It does not know the rules of Gloas. */
import { describe, expect, test } from 'vitest'
import { inputs, seed } from '../../../scripts/test-effort.ts'
import { wireTypes } from '../../../src/chain/consensus/containers.ts'
import { forkDigestAt, formOf, signingRoot } from '../../../src/chain/consensus/forks.ts'
import { readBootstrap, readUpdate } from '../../../src/chain/consensus/messages.ts'
import type { Network } from '../../../src/chain/consensus/network.ts'
import { publicNetworks } from '../../../src/chain/consensus/networks.ts'
import {
  createBeaconChain,
  type UpdateOptions,
} from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import {
  beginStore,
  indicesAt,
  type LightStore,
  takeUpdate,
} from '../../../src/chain/consensus/store.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { createRandom, type Random } from '../../fuzz/random.ts'
import { smallNetwork } from './networks.ts'
import {
  computeForkDigest,
  genesisData,
  LightclientSpec,
  networksChainConfig,
  peerConfig,
  ssz,
} from './peer.ts'

const chain = createBeaconChain({ network: smallNetwork })
const config = peerConfig(smallNetwork)

/** What both need of a type, whose members differ from fork to fork. */
interface PeerType {
  fromJson(json: unknown): unknown
  serialize(value: unknown): Uint8Array
  deserialize(bytes: Uint8Array): unknown
  hashTreeRoot(value: unknown): Uint8Array
}

interface PeerContainer {
  getPathInfo(path: string[]): { gindex: bigint }
}

function peerType(fork: string, name: string): PeerType {
  return (ssz as unknown as Record<string, Record<string, PeerType>>)[fork]?.[name] as PeerType
}

describe('SSZ containers, compared with another implementation,', () => {
  test.each([
    ['altair', 20],
    ['bellatrix', 60],
    ['capella', 100],
    ['deneb', 150],
    ['electra', 200],
    ['fulu', 250],
    ['gloas', 300],
  ])('have the same bytes and the same root: %s', (fork, slot) => {
    const types = wireTypes(formOf(smallNetwork, fork), smallNetwork.committeeSize)
    for (const [name, type, raw] of [
      ['LightClientBootstrap', types.bootstrap, chain.bootstrap(slot)],
      ['LightClientUpdate', types.update, chain.update(slot)],
      ['LightClientFinalityUpdate', types.finalityUpdate, chain.finalityUpdate(slot)],
      ['LightClientOptimisticUpdate', types.optimisticUpdate, chain.optimisticUpdate(slot)],
    ] as const) {
      const { json } = raw.data as { json: unknown }
      const peer = peerType(fork, name)
      const theirs = peer.fromJson(json)
      const ours = type.fromJson(json)
      expect(raw.fork).toBe(fork)
      expect(to0x(type.hashTreeRoot(ours as never))).toBe(to0x(peer.hashTreeRoot(theirs)))
      expect(to0x(type.serialize(ours as never))).toBe(to0x(peer.serialize(theirs)))
    }
  })
})

/** The peer computes them from the containers of whole states, in which ours has only numbers. */
test.each([
  ['altair', 20],
  ['capella', 100],
  ['deneb', 150],
  ['electra', 200],
  ['fulu', 250],
  ['gloas', 300],
])('the generalized indices of %s are those of its state', (fork, slot) => {
  const state = (ssz as unknown as Record<string, Record<string, PeerContainer>>)[fork]?.BeaconState
  const indexOf = (path: string[]) => Number(state?.getPathInfo(path).gindex)
  expect(indicesAt(smallNetwork, slot)).toEqual({
    finalizedRoot: indexOf(['finalizedCheckpoint', 'root']),
    currentCommittee: indexOf(['currentSyncCommittee']),
    nextCommittee: indexOf(['nextSyncCommittee']),
  })
})

describe('the built-in networks', () => {
  test.each(Object.values(publicNetworks).map((network) => [network.name, network] as const))(
    'of %s have the same forks and genesis as another implementation',
    (name, network: Network) => {
      const theirs = networksChainConfig[name as keyof typeof publicNetworks]
      const members = theirs as unknown as Record<string, unknown>
      for (const fork of network.forks) {
        const title = fork.name.toUpperCase()
        expect(to0x(members[`${title}_FORK_VERSION`] as Uint8Array)).toBe(fork.version)
        // scheduled on Sepolia after the peer’s release
        if (fork.name === 'gloas') continue
        expect(members[`${title}_FORK_EPOCH`]).toBe(fork.epoch)
      }
      expect(to0x(theirs.GENESIS_FORK_VERSION)).toBe(network.genesisForkVersion)
      expect(theirs.SECONDS_PER_SLOT).toBe(network.secondsPerSlot)
      expect(theirs.DEPOSIT_CHAIN_ID).toBe(network.chainId)
      expect(theirs.MAX_BLOBS_PER_BLOCK_ELECTRA).toBe(network.maxBlobsElectra)
      expect(
        theirs.BLOB_SCHEDULE.map(({ EPOCH, MAX_BLOBS_PER_BLOCK }) => [EPOCH, MAX_BLOBS_PER_BLOCK]),
      ).toEqual(network.blobSchedule.map(({ epoch, maxBlobs }) => [epoch, maxBlobs]))
      expect(genesisData[name as keyof typeof publicNetworks]).toEqual({
        genesisTime: network.genesisTime,
        genesisValidatorsRoot: network.genesisValidatorsRoot,
      })
    },
  )

  test('have the same fork digests and signature domains', () => {
    const root = config.genesisValidatorsRoot
    for (let epoch = 0; epoch < 40; epoch++) {
      expect(forkDigestAt(smallNetwork, epoch)).toBe(to0x(computeForkDigest(config, root, epoch)))
      const slot = epoch * 8 + 3
      const domain = config.getDomain(slot - 1, Uint8Array.of(7, 0, 0, 0))
      const objectRoot = chain.root(8)
      expect(to0x(signingRoot(smallNetwork, objectRoot, slot))).toBe(
        to0x(ssz.phase0.SigningData.hashTreeRoot({ objectRoot, domain })),
      )
    }
  })
})

/* ACCEPTED AND REFUSED ALIKE */

/** Rules of the specification that the peer leaves out: it keeps committees by period and takes old headers. */
const oursAlone = [
  'CONSENSUS_NOT_NEWER',
  'CONSENSUS_PERIOD_MISMATCH',
  'CONSENSUS_COMMITTEE_CONFLICT',
  'CONSENSUS_MESSAGE_INVALID',
]

function begin(): LightStore {
  const bootstrap = readBootstrap(smallNetwork, chain.bootstrap(200))
  const store = beginStore(smallNetwork, chain.root(200), bootstrap, chain.time(201))
  const first = readUpdate(smallNetwork, chain.update(220))
  return takeUpdate(smallNetwork, store, first, chain.time(221)).store
}

function beginPeer() {
  const json = (name: string, data: unknown) => peerType('electra', name).fromJson(data)
  const bootstrap = chain.bootstrap(200).data as { json: unknown }
  const options = { allowForcedUpdates: false, updateHeadersOnForcedUpdate: false }
  const peer = new LightclientSpec(
    config,
    options,
    json('LightClientBootstrap', bootstrap.json) as never,
  )
  const first = chain.update(220).data as { json: unknown }
  peer.onUpdate(221, json('LightClientUpdate', first.json) as never)
  return peer
}

type Verdict = { readonly finalized: number; readonly optimistic: number } | { code: string }

function ask(act: () => { finalized: number; optimistic: number }): Verdict {
  try {
    return act()
  } catch (error) {
    return { code: isAssentError(error) ? error.code : 'refused' }
  }
}

/** The peer knows Electra and Fulu under one form, so slots of these are told. */
function randomOptions(random: Random): UpdateOptions {
  const slot = 230
  return {
    ...(random.below(2) === 0 ? { signers: random.below(33) } : {}),
    ...(random.below(4) === 0 ? { signatureSlot: slot + random.below(4) } : {}),
    ...(random.below(4) === 0 ? { finalizedSlot: random.pick([200, 208, 216, 224]) } : {}),
    ...(random.below(6) === 0 ? { signFor: { period: random.pick([2, 3, 4]) } } : {}),
    ...(random.below(6) === 0 ? { signFor: { slot: random.pick([190, 231, 245]) } } : {}),
  }
}

describe('a mutated update', () => {
  const ours = begin()
  const type = wireTypes('electra', smallNetwork.committeeSize).update

  const compare = (bytes: Uint8Array, name: string) => {
    const mine = ask(() => {
      const raw = { fork: 'electra', data: { ssz: bytes } }
      const update = readUpdate(smallNetwork, raw)
      const { store } = takeUpdate(smallNetwork, ours, update, chain.time(231))
      return { finalized: store.finalized.slot, optimistic: store.optimistic.slot }
    })
    const theirs = ask(() => {
      const peer = beginPeer()
      peer.onUpdate(231, peerType('electra', 'LightClientUpdate').deserialize(bytes) as never)
      const { finalizedHeader, optimisticHeader } = peer.store
      return { finalized: finalizedHeader.beacon.slot, optimistic: optimisticHeader.beacon.slot }
    })
    if ('code' in mine && oursAlone.includes(mine.code)) return 'code' in theirs ? 'alike' : 'ours'
    if ('code' in mine) expect('code' in theirs, `${name}: ${mine.code}`).toBe(true)
    else expect(mine, name).toEqual(theirs)
    return 'code' in mine ? 'refused' : 'accepted'
  }

  test('is accepted by Assent exactly if the other implementation accepts it', () => {
    const random = createRandom(seed, 'light client')
    const counts = { accepted: 0, refused: 0, alike: 0, ours: 0 }
    for (let round = 0; round < inputs(20, 2_000); round++) {
      const raw = chain.update(230, randomOptions(random))
      const bytes = type.serialize(type.fromJson((raw.data as { json: unknown }).json))
      counts[compare(bytes, `made ${round}`)] += 1
      const flipped = bytes.slice()
      const at = random.below(flipped.length)
      flipped[at] = (flipped[at] as number) ^ (1 << random.below(8))
      counts[compare(flipped, `flipped ${round} at ${at}`)] += 1
    }
    expect(counts.accepted).toBeGreaterThan(4)
    expect(counts.refused).toBeGreaterThan(4)
  })
})
