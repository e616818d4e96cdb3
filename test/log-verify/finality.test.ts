/** The verifier's own light client: what the KMS stores proves its blocks, and no lie of a node does. */
import { describe, expect, test } from 'vitest'
import type { NamedNode } from '../../src/chain/boot/evidence.ts'
import { wireTypes } from '../../src/chain/consensus/containers.ts'
import { messagesOf } from '../../src/chain/consensus/finality-proof.ts'
import { formOf } from '../../src/chain/consensus/forks.ts'
import {
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readUpdate,
} from '../../src/chain/consensus/messages.ts'
import type { Network } from '../../src/chain/consensus/network.ts'
import { createBeaconChain } from '../../src/chain/consensus/simulator/beacon-chain.ts'
import { beginStore, type LightStore, takeUpdate } from '../../src/chain/consensus/store.ts'
import { fromHex, to0x } from '../../src/lib/bytes.ts'
import { keccak256 } from '../../src/lib/keccak.ts'
import { FinalityChain } from '../../src/log-verify/finality.ts'
import { largeNetwork, smallNetwork } from '../chain/consensus/networks.ts'

/** Deneb from the genesis on; Electra, Fulu and Gloas begin in the middle of periods. */
const network: Network = {
  ...smallNetwork,
  forks: smallNetwork.forks.map((fork, index) => ({
    ...fork,
    epoch: index <= 3 ? 0 : (index - 3) * 9,
  })),
}
const chain = createBeaconChain({ network })
const stranger = createBeaconChain({ network, seed: 2 })
const trusted = to0x(chain.root(8))

function beginAt8(): LightStore {
  const bootstrap = readBootstrap(network, chain.bootstrap(8))
  return beginStore(network, chain.root(8), bootstrap, chain.time(9))
}

function follow(store: LightStore, slot: number): LightStore {
  const update = readUpdate(network, chain.update(slot))
  return takeUpdate(network, store, update, chain.time(slot + 1)).store
}

const bytesOf = (messages: readonly NamedNode[]) =>
  new Map(messages.map(([name, hex]) => [name, Buffer.from(fromHex(hex, 'message'))]))
const open = (roots: readonly string[] = [trusted], of: Network = network) =>
  new FinalityChain({ network: of, trustedBlockRoots: roots })
const blockAt = (slot: number) => to0x(chain.execution(slot).hash)

/** A message as a node would store it, whatever is in it. */
function stored(kind: 'bootstrap' | 'update' | 'finality-update', raw: RawMessage): NamedNode {
  const form = formOf(network, raw.fork)
  const types = wireTypes(form, network.committeeSize)
  const type = kind === 'finality-update' ? types.finalityUpdate : types[kind]
  const ssz = type.serialize(type.fromJson((raw.data as { json: unknown }).json) as never)
  const bytes = Buffer.concat([Buffer.from(`light-client-${kind}-v1 ${form}\n`), ssz])
  return [keccak256(to0x(bytes)), to0x(bytes)]
}

const bootstrap = stored('bootstrap', chain.bootstrap(8))
const proofWith = (last: NamedNode) => bytesOf([bootstrap, last])

describe('the messages that a node stores', () => {
  test('prove each final block, through forks and periods', () => {
    const verifier = open()
    let store = beginAt8()
    expect(verifier.finalBlock(bytesOf(messagesOf(store.proof)))).toBe(blockAt(8))
    const forms = new Set<string>()
    for (let slot = 30; slot < 360; slot += 20) {
      store = follow(store, slot)
      forms.add(store.finalized.form)
      const messages = bytesOf(messagesOf(store.proof))
      expect(verifier.finalBlock(messages)).toBe(blockAt(store.finalized.slot))
    }
    expect([...forms]).toEqual(['deneb', 'electra', 'gloas'])
    // the newest proof alone
    expect(open().finalBlock(bytesOf(messagesOf(store.proof)))).toBe(blockAt(store.finalized.slot))
    expect(verifier.claimedRoots).toEqual([])
  })

  test('lead from the first of them without a trusted root, which is reported', () => {
    const verifier = open([])
    let store = beginAt8()
    for (const slot of [30, 100, 160, 220]) {
      store = follow(store, slot)
      verifier.finalBlock(bytesOf(messagesOf(store.proof)))
    }
    expect(verifier.claimedRoots).toEqual([trusted])
    // without the first file of the log
    const later = open([])
    later.finalBlock(
      bytesOf(messagesOf({ ...store.proof, committees: store.proof.committees.slice(2) })),
    )
    expect(later.claimedRoots).toEqual([to0x(chain.root(100))])
  })

  test('need no other root where a known committee signed the first of them', () => {
    const verifier = open([])
    verifier.finalBlock(bytesOf([bootstrap]))
    // it introduces the committee of period 1, and that of period 0 signed it
    const later = [
      stored('update', chain.update(50)),
      stored('finality-update', chain.finalityUpdate(100)),
    ]
    verifier.finalBlock(bytesOf(later))
    expect(verifier.claimedRoots).toEqual([trusted])
  })

  test('prove a block with 512 members', () => {
    const large = createBeaconChain({ network: largeNetwork })
    const begun = readBootstrap(largeNetwork, large.bootstrap(64))
    const first = beginStore(largeNetwork, large.root(64), begun, large.time(65))
    const update = readFinalityUpdate(largeNetwork, large.finalityUpdate(200, { signers: 500 }))
    const { store } = takeUpdate(largeNetwork, first, update, large.time(201))
    const verifier = open([to0x(large.root(64))], largeNetwork)
    expect(verifier.finalBlock(bytesOf(messagesOf(store.proof)))).toBe(
      to0x(large.execution(128).hash),
    )
  })
})

const lies: readonly [string, () => ReadonlyMap<string, Buffer>, string][] = [
  [
    'too few signers',
    () => proofWith(stored('finality-update', chain.finalityUpdate(50, { signers: 21 }))),
    'only 21 of 32 members signed',
  ],
  [
    'a bit of a member that did not sign',
    () =>
      proofWith(
        stored(
          'finality-update',
          chain.finalityUpdate(50, {
            signers: 30,
            after: (u) => u.syncAggregate.syncCommitteeBits.set(31, true),
          }),
        ),
      ),
    'did not sign',
  ],
  [
    'a signature for another network',
    () =>
      proofWith(
        stored(
          'finality-update',
          chain.finalityUpdate(50, {
            signFor: { network: { ...network, genesisValidatorsRoot: `0x${'01'.repeat(32)}` } },
          }),
        ),
      ),
    'did not sign',
  ],
  [
    'a signature for another fork',
    () =>
      proofWith(stored('finality-update', chain.finalityUpdate(50, { signFor: { slot: 100 } }))),
    'did not sign',
  ],
  [
    'a signature of the next committee',
    () =>
      proofWith(stored('finality-update', chain.finalityUpdate(50, { signFor: { period: 1 } }))),
    'did not sign',
  ],
  [
    'a committee that nothing introduces',
    () => proofWith(stored('finality-update', chain.finalityUpdate(150))),
    'leads to the sync committee of period 2',
  ],
  [
    'validators of another chain',
    () => proofWith(stored('finality-update', stranger.finalityUpdate(50))),
    'did not sign',
  ],
  [
    'another chain from its beginning',
    () =>
      bytesOf([
        stored('bootstrap', stranger.bootstrap(8)),
        stored('finality-update', stranger.finalityUpdate(50)),
      ]),
    'which is not trusted',
  ],
  [
    'another finalized header',
    () =>
      proofWith(
        stored(
          'finality-update',
          chain.finalityUpdate(50, {
            after: (u) => Object.assign(u, { finalizedHeader: chain.header(24) }),
          }),
        ),
      ),
    'Merkle branch',
  ],
  [
    'another execution block in the finalized header',
    () =>
      proofWith(
        stored(
          'finality-update',
          chain.finalityUpdate(50, {
            after: (u) => u.finalizedHeader.execution?.blockHash.fill(7),
          }),
        ),
      ),
    'Merkle branch',
  ],
  [
    'a finalized header after the signed one',
    () => proofWith(stored('finality-update', chain.finalityUpdate(50, { finalizedSlot: 56 }))),
    'out of order',
  ],
  [
    'a signature before the header',
    () => proofWith(stored('finality-update', chain.finalityUpdate(50, { signatureSlot: 50 }))),
    'out of order',
  ],
  [
    'another next committee',
    () => {
      const lie = chain.update(50, {
        after: (u) => Object.assign(u, { nextSyncCommittee: stranger.committee(1) }),
      })
      return bytesOf([
        bootstrap,
        stored('update', lie),
        stored('finality-update', stranger.finalityUpdate(100)),
      ])
    },
    'Merkle branch',
  ],
  [
    'a next committee from before its period was final',
    () =>
      bytesOf([
        bootstrap,
        stored('update', chain.update(60)),
        // attested in period 1 and final in period 0
        stored('update', chain.update(70, { finalizedSlot: 56 })),
        stored('finality-update', chain.finalityUpdate(150)),
      ]),
    'leads to the sync committee of period 2',
  ],
]

describe('the verifier', () => {
  test.each(lies)('refuses %s', (_, messages, reason) => {
    expect(() => open().finalBlock(messages())).toThrow(reason)
  })

  test.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['cut off', (bytes) => bytes.subarray(0, -1)],
    ['longer', (bytes) => Buffer.concat([bytes, Buffer.of(0)])],
    [
      'of an unknown form',
      (bytes) => Buffer.from(bytes.toString('latin1').replace(' deneb', ' phase0'), 'latin1'),
    ],
    ['without its line', (bytes) => bytes.subarray(bytes.indexOf(10) + 1)],
    ['empty', () => Buffer.alloc(0)],
    [
      'with another offset',
      (bytes) => {
        const copy = Buffer.from(bytes)
        const at = copy.indexOf(10) + 1
        copy.writeUInt32LE(copy.readUInt32LE(at) + 1, at)
        return copy
      },
    ],
  ])('refuses a message that is %s', (_, change) => {
    const [name, hex] = stored('finality-update', chain.finalityUpdate(50))
    const messages = bytesOf([bootstrap])
    messages.set(name, Buffer.from(change(Buffer.from(fromHex(hex, 'message')))))
    expect(() => open().finalBlock(messages)).toThrow(RangeError)
  })

  test('refuses every changed byte of a message', () => {
    const [name, hex] = stored('finality-update', chain.finalityUpdate(50))
    const good = Buffer.from(fromHex(hex, 'message'))
    for (let at = 0; at < good.length; at += 41) {
      const changed = Buffer.from(good)
      changed[at] = (good[at] as number) ^ 1
      const messages = bytesOf([bootstrap])
      messages.set(name, changed)
      expect(() => open().finalBlock(messages), `byte ${at}`).toThrow(RangeError)
    }
  })
})
