import { describe, expect, test } from 'vitest'

import { executionOf } from '../../../src/chain/consensus/execution.ts'
import {
  readBootstrap,
  readFinalityUpdate,
  readOptimisticUpdate,
  readUpdate,
} from '../../../src/chain/consensus/messages.ts'
import { type Network, periodAt } from '../../../src/chain/consensus/network.ts'
import {
  createBeaconChain,
  type UpdateOptions,
} from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { beginStore, type LightStore, takeUpdate } from '../../../src/chain/consensus/store.ts'
import { AssentError, type ErrorCode } from '../../../src/errors/index.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { smallNetwork } from './networks.ts'

const chain = createBeaconChain({ network: smallNetwork })
const stranger = createBeaconChain({ network: smallNetwork, seed: 2 })

function begin(slot = 72): LightStore {
  const bootstrap = readBootstrap(smallNetwork, chain.bootstrap(slot))
  return beginStore(smallNetwork, chain.root(slot), bootstrap, chain.time(slot + 1))
}

/** Knows the committee of its period and the next one. */
function synced(): LightStore {
  return take(begin(), 92)
}

function take(store: LightStore, slot: number, options: UpdateOptions = {}): LightStore {
  const update = readUpdate(smallNetwork, chain.update(slot, options))
  return takeUpdate(smallNetwork, store, update, chain.time(slot + 1)).store
}

function codeOf(act: () => unknown): ErrorCode | 'accepted' {
  try {
    act()
    return 'accepted'
  } catch (error) {
    if (error instanceof AssentError) return error.code
    throw error
  }
}

describe('the light-client store of an honest chain', () => {
  test('follows it through every fork and period', () => {
    let store = begin(8)
    const forms = new Set<string>()
    for (let slot = 20; slot < 360; slot += 20) {
      store = take(store, slot)
      forms.add(store.finalized.form)
      const finalizedSlot = Math.max(8, (Math.floor(slot / 8) - 2) * 8)
      expect(store.finalized.slot).toBe(finalizedSlot)
      expect(to0x(store.finalized.root)).toBe(to0x(chain.root(finalizedSlot)))
      expect(store.optimistic.slot).toBe(slot)
      const execution = executionOf(smallNetwork, store.finalized)
      // from Capella on
      const isProven = finalizedSlot >= 12 * 8
      expect(execution && to0x(execution.blockHash)).toBe(
        isProven ? to0x(chain.execution(finalizedSlot).hash) : undefined,
      )
    }
    expect([...forms]).toEqual(['altair', 'capella', 'deneb', 'electra', 'gloas'])
  })

  test('advances by finality updates inside a known period', () => {
    const store = synced()
    const update = readFinalityUpdate(smallNetwork, chain.finalityUpdate(112))
    const next = takeUpdate(smallNetwork, store, update, chain.time(113))
    expect(next.store.finalized.slot).toBe(96)
    expect(next.isFinal).toBe(true)
    expect(next.store.next).toBe(store.next)
  })

  test('takes newer headers from optimistic updates without finalizing them', () => {
    const store = synced()
    const update = readOptimisticUpdate(smallNetwork, chain.optimisticUpdate(120))
    const next = takeUpdate(smallNetwork, store, update, chain.time(121))
    expect(next.store.optimistic.slot).toBe(120)
    expect(next.store.finalized).toBe(store.finalized)
    expect(next.isFinal).toBe(false)
  })

  test('needs two thirds of the committee for a final header and half of its best for an optimistic one', () => {
    // 22 of 32 are more than two thirds, 21 are less
    expect(take(synced(), 112, { signers: 22 }).finalized.slot).toBe(96)
    const shown = take(synced(), 112, { signers: 21 })
    expect(shown.finalized.slot).toBe(synced().finalized.slot)
    expect(shown.optimistic.slot).toBe(112)
    expect(take(synced(), 112, { signers: 16 }).optimistic.slot).toBe(92)
  })

  test('needs the next committee before the next period', () => {
    const store = begin()
    expect(codeOf(() => take(store, 130))).toBe('CONSENSUS_PERIOD_MISMATCH')
    expect(take(take(store, 120), 130).finalized.slot).toBe(112)
  })

  test('does not change the store that was passed in', () => {
    const store = synced()
    const before = { ...store }
    take(store, 112)
    expect(store).toEqual(before)
  })
})

/** Each lie is told at slot 112, to a client that knows both committees. */
const lies: readonly [string, ErrorCode, UpdateOptions][] = [
  ['nobody signed', 'CONSENSUS_SIGNERS_TOO_FEW', { signers: 0 }],
  [
    'a bit is set for a member that did not sign',
    'CONSENSUS_SIGNATURE_INVALID',
    { signers: 30, after: (u) => u.syncAggregate.syncCommitteeBits.set(31, true) },
  ],
  [
    'a bit is missing for a member that signed',
    'CONSENSUS_SIGNATURE_INVALID',
    { after: (u) => u.syncAggregate.syncCommitteeBits.set(0, false) },
  ],
  [
    'the signature is noise',
    'CONSENSUS_SIGNATURE_INVALID',
    { after: (u) => void u.syncAggregate.syncCommitteeSignature.fill(0x11) },
  ],
  [
    'the signature is the identity',
    'CONSENSUS_SIGNATURE_INVALID',
    {
      after: (u) => {
        u.syncAggregate.syncCommitteeSignature.fill(0)
        u.syncAggregate.syncCommitteeSignature[0] = 0xc0
      },
    },
  ],
  [
    'the signature is of another slot’s header',
    'CONSENSUS_SIGNATURE_INVALID',
    { after: (u) => void Object.assign(u.attestedHeader.beacon, { proposerIndex: 77n }) },
  ],
  [
    'the signature is for the fork before',
    'CONSENSUS_SIGNATURE_INVALID',
    { signFor: { slot: 90 } },
  ],
  [
    'the signature is for the fork after',
    'CONSENSUS_SIGNATURE_INVALID',
    { signFor: { slot: 160 } },
  ],
  [
    'the signature is for another genesis',
    'CONSENSUS_SIGNATURE_INVALID',
    {
      signFor: {
        network: { ...smallNetwork, genesisValidatorsRoot: `0x${'a5'.repeat(32)}` } as Network,
      },
    },
  ],
  [
    'the committee of the period before signed',
    'CONSENSUS_SIGNATURE_INVALID',
    { signFor: { period: 0 } },
  ],
  [
    'the committee of the next period signed',
    'CONSENSUS_SIGNATURE_INVALID',
    { signFor: { period: 2 } },
  ],
  ['the signature is of the future', 'CONSENSUS_SLOT_INVALID', { signatureSlot: 114 }],
  ['the signature is not after the header', 'CONSENSUS_SLOT_INVALID', { signatureSlot: 112 }],
  [
    'the finalized header is after the attested one',
    'CONSENSUS_SLOT_INVALID',
    { before: (u) => void Object.assign(u.finalizedHeader.beacon, { slot: 113n }) },
  ],
  [
    'the finalized header is another one',
    'CONSENSUS_PROOF_INVALID',
    { before: (u) => void u.finalizedHeader.beacon.parentRoot.fill(7) },
  ],
  [
    'the finalized header is of another chain',
    'CONSENSUS_PROOF_INVALID',
    { before: (u) => void Object.assign(u, { finalizedHeader: stranger.header(96) }) },
  ],
  [
    'the finality branch has a wrong node',
    'CONSENSUS_PROOF_INVALID',
    { before: (u) => void (u.finalityBranch[3] as Uint8Array).fill(7) },
  ],
  [
    'the branches are swapped',
    'CONSENSUS_PROOF_INVALID',
    {
      before: (u) => {
        const [first, ...finality] = u.finalityBranch
        u.finalityBranch = [first as Uint8Array, ...u.nextSyncCommitteeBranch]
        u.nextSyncCommitteeBranch = finality
      },
    },
  ],
  [
    'the finality branch is left out, the header is not',
    'CONSENSUS_MESSAGE_INVALID',
    { before: (u) => void u.finalityBranch.forEach((node) => void node.fill(0)) },
  ],
  [
    'the next committee is left out, its branch is not',
    'CONSENSUS_COMMITTEE_CONFLICT',
    {
      before: (u) => {
        for (const key of u.nextSyncCommittee.pubkeys) key.fill(0)
        u.nextSyncCommittee.aggregatePubkey.fill(0)
      },
    },
  ],
  [
    'the next committee has no branch',
    'CONSENSUS_MESSAGE_INVALID',
    { before: (u) => void u.nextSyncCommitteeBranch.forEach((node) => void node.fill(0)) },
  ],
  [
    'the next committee is another one than known',
    'CONSENSUS_COMMITTEE_CONFLICT',
    { before: (u) => void Object.assign(u, { nextSyncCommittee: stranger.committee(2) }) },
  ],
  [
    'the execution payload is of another block',
    'CONSENSUS_PROOF_INVALID',
    {
      before: (u) => {
        const { execution } = chain.header(104)
        Object.assign(u.attestedHeader, { execution })
      },
    },
  ],
  [
    'the finalized execution payload is of another block',
    'CONSENSUS_PROOF_INVALID',
    {
      before: (u) => {
        const { execution } = chain.header(104)
        Object.assign(u.finalizedHeader, { execution })
      },
    },
  ],
  [
    'one byte of the state root in the execution payload is another one',
    'CONSENSUS_PROOF_INVALID',
    { before: (u) => void u.attestedHeader.execution?.stateRoot.fill(1, 31) },
  ],
]

describe('a forged update', () => {
  test.each(lies)('is refused: %s', (_, code, options) => {
    expect(codeOf(() => take(synced(), 112, options))).toBe(code)
  })

  test('with a wrong first next committee is refused', () => {
    const swapped: UpdateOptions = {
      before: (u) => void Object.assign(u, { nextSyncCommittee: stranger.committee(2) }),
    }
    expect(codeOf(() => take(begin(), 92, swapped))).toBe('CONSENSUS_PROOF_INVALID')
  })

  test('of a completely different chain is refused', () => {
    const update = readUpdate(smallNetwork, stranger.update(112))
    expect(codeOf(() => takeUpdate(smallNetwork, synced(), update, chain.time(113)))).toBe(
      'CONSENSUS_COMMITTEE_CONFLICT',
    )
    const finality = readFinalityUpdate(smallNetwork, stranger.finalityUpdate(112))
    expect(codeOf(() => takeUpdate(smallNetwork, synced(), finality, chain.time(113)))).toBe(
      'CONSENSUS_SIGNATURE_INVALID',
    )
  })

  test('that is only a replay changes nothing', () => {
    const store = take(synced(), 120)
    expect(codeOf(() => take(store, 100))).toBe('CONSENSUS_NOT_NEWER')
    const again = take(store, 120)
    expect(again.finalized).toBe(store.finalized)
    expect(again.optimistic).toBe(store.optimistic)
  })

  test('of a past period is refused', () => {
    const store = take(take(synced(), 120), 150)
    expect(periodAt(smallNetwork, store.finalized.slot)).toBe(2)
    expect(codeOf(() => take(store, 120))).toBe('CONSENSUS_PERIOD_MISMATCH')
  })

  test('with extra bytes before a branch of an older fork is refused', () => {
    // since Gloas a header of Fulu has a longer branch, with zeros in front
    const store = take(take(take(begin(200), 250), 260), 280)
    expect(take(store, 292).finalized.slot).toBe(272)
    const padded: UpdateOptions = {
      before: (u) => void u.finalizedHeader.executionBranch?.[0]?.fill(7),
    }
    expect(codeOf(() => take(store, 292, padded))).toBe('CONSENSUS_PROOF_INVALID')
  })

  test('that skips a period is refused', () => {
    expect(codeOf(() => take(synced(), 200))).toBe('CONSENSUS_PERIOD_MISMATCH')
  })

  test('with a committee that only the previous period signed finalizes nothing', () => {
    // 2/3 of a committee that is no longer in office
    const options = { signFor: { period: 1 } }
    const store = take(take(synced(), 120), 150)
    expect(codeOf(() => take(store, 160, options))).toBe('CONSENSUS_SIGNATURE_INVALID')
  })
})

describe('a bootstrap', () => {
  const read = (slot: number) => readBootstrap(smallNetwork, chain.bootstrap(slot))
  const beginAt = (root: Uint8Array, bootstrap = read(72), time = chain.time(73)) =>
    codeOf(() => beginStore(smallNetwork, root, bootstrap, time))

  test('of the trusted root begins a store', () => {
    expect(beginAt(chain.root(72))).toBe('accepted')
  })

  test('of another block is refused', () => {
    expect(beginAt(chain.root(80))).toBe('CONSENSUS_ROOT_MISMATCH')
    expect(beginAt(stranger.root(72))).toBe('CONSENSUS_ROOT_MISMATCH')
  })

  test('older than the weak subjectivity period is refused', () => {
    const epochs = smallNetwork.weakSubjectivityEpochs
    expect(beginAt(chain.root(72), read(72), chain.time(72 + epochs * 8))).toBe('accepted')
    expect(beginAt(chain.root(72), read(72), chain.time(72 + epochs * 8 + 8))).toBe(
      'CONSENSUS_HEADER_TOO_OLD',
    )
  })

  test('with a future slot is refused', () => {
    expect(beginAt(chain.root(72), read(72), chain.time(71))).toBe('CONSENSUS_SLOT_INVALID')
  })

  test('with another committee or branch is refused', () => {
    const honest = read(72)
    const committee = readBootstrap(smallNetwork, stranger.bootstrap(72)).committee
    expect(beginAt(chain.root(72), { ...honest, committee })).toBe('CONSENSUS_PROOF_INVALID')
    const branch = honest.branch.toReversed()
    expect(beginAt(chain.root(72), { ...honest, branch })).toBe('CONSENSUS_PROOF_INVALID')
    expect(beginAt(chain.root(72), { ...honest, branch: honest.branch.slice(1) })).toBe(
      'CONSENSUS_PROOF_INVALID',
    )
  })
})
