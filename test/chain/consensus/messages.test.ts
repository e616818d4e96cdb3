import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'
import { inputs, seed } from '../../../scripts/test-effort.ts'
import { wireTypes } from '../../../src/chain/consensus/containers.ts'
import { forkOutlook, formOf } from '../../../src/chain/consensus/forks.ts'
import {
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readOptimisticUpdate,
  readUpdate,
} from '../../../src/chain/consensus/messages.ts'
import { parseNetwork, periodAt, slotAt } from '../../../src/chain/consensus/network.ts'
import { mainnet, publicNetworks, sepolia } from '../../../src/chain/consensus/networks.ts'
import { createBeaconChain } from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { createRandom } from '../../fuzz/random.ts'
import { smallNetwork } from './networks.ts'

const chain = createBeaconChain({ network: smallNetwork })

type Json = Record<string, unknown>

function jsonOf(raw: RawMessage): Json {
  return structuredClone((raw.data as { json: Json }).json)
}

function codeOf(act: () => unknown): string {
  try {
    act()
    return 'read'
  } catch (error) {
    if (isAssentError(error)) return error.code
    throw error
  }
}

function readChanged(change: (json: Json) => void): string {
  const raw = chain.update(230)
  const json = jsonOf(raw)
  change(json)
  return codeOf(() => readUpdate(smallNetwork, { ...raw, data: { json } }))
}

/** Sets the member at a path like `attested_header.beacon.slot`. */
function set(json: Json, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() as string
  const owner = names.reduce<Json>((object, name) => object[name] as Json, json)
  owner[last] = value
}

describe('a JSON message of the beacon API', () => {
  test('is read if it has unknown members', () => {
    expect(readChanged((json) => set(json, 'attested_header.beacon.newer', ['x']))).toBe('read')
    expect(readChanged((json) => set(json, 'newer', {}))).toBe('read')
  })

  test.each<[string, string, unknown]>([
    ['a number that is no text', 'signature_slot', 231],
    ['a number in hexadecimal digits', 'signature_slot', '0xe7'],
    ['a number with a leading zero', 'signature_slot', '0231'],
    ['a number with a sign', 'signature_slot', '-1'],
    ['a number with a space', 'signature_slot', '231 '],
    ['an empty number', 'signature_slot', ''],
    ['a number of more than 64 bits', 'signature_slot', '18446744073709551616'],
    ['a slot that no chain reaches', 'signature_slot', '18446744073709551615'],
    ['a slot just as far', 'attested_header.beacon.slot', '1099511627776'],
    ['a root that is too short', 'attested_header.beacon.state_root', `0x${'11'.repeat(31)}`],
    ['a root that is too long', 'attested_header.beacon.state_root', `0x${'11'.repeat(33)}`],
    ['a root without 0x', 'attested_header.beacon.state_root', '11'.repeat(32)],
    ['a root with other digits', 'attested_header.beacon.state_root', `0x${'1g'.repeat(32)}`],
    ['half a byte', 'attested_header.execution.extra_data', '0x123'],
    ['extra data of 33 bytes', 'attested_header.execution.extra_data', `0x${'11'.repeat(33)}`],
    ['a signature of 95 bytes', 'sync_aggregate.sync_committee_signature', `0x${'11'.repeat(95)}`],
    ['bits of another committee', 'sync_aggregate.sync_committee_bits', `0x${'ff'.repeat(64)}`],
    ['a branch that is too short', 'finality_branch', []],
    ['a branch that is no list', 'finality_branch', { length: 7 }],
    ['keys of another committee', 'next_sync_committee.pubkeys', []],
    ['no header', 'attested_header', undefined],
    ['null for a header', 'attested_header', null],
    ['a list for a header', 'attested_header', []],
    ['a text for a header', 'attested_header', 'beacon'],
  ])('is refused with %s', (_, path, value) => {
    expect(readChanged((json) => set(json, path, value))).toBe('CONSENSUS_MESSAGE_INVALID')
  })

  test('does not get members from a prototype', () => {
    const json = Object.create(jsonOf(chain.update(230))) as Json
    const raw = { ...chain.update(230), data: { json } }
    expect(codeOf(() => readUpdate(smallNetwork, raw))).toBe('CONSENSUS_MESSAGE_INVALID')
  })

  test('is refused for an unknown or unscheduled fork', () => {
    const raw = chain.update(230)
    for (const fork of ['heze', 'phase0', '', '__proto__', 'Electra']) {
      expect(codeOf(() => readUpdate(smallNetwork, { ...raw, fork }))).toBe(
        'CONSENSUS_FORK_UNKNOWN',
      )
    }
    expect(codeOf(() => formOf(mainnet, 'gloas'))).toBe('CONSENSUS_FORK_UNKNOWN')
    expect(formOf(sepolia, 'gloas')).toBe('gloas')
  })

  test('is refused in the format of another fork', () => {
    const raw = chain.update(230)
    for (const fork of ['altair', 'capella', 'deneb', 'gloas']) {
      expect(codeOf(() => readUpdate(smallNetwork, { ...raw, fork }))).toBe(
        'CONSENSUS_MESSAGE_INVALID',
      )
    }
  })
})

describe('an SSZ message', () => {
  const readers = {
    bootstrap: readBootstrap,
    update: readUpdate,
    finalityUpdate: readFinalityUpdate,
    optimisticUpdate: readOptimisticUpdate,
  } as const

  test.each(Object.keys(readers) as (keyof typeof readers)[])(
    'of a %s gives the same value as its JSON, and is refused if bytes are missing or added',
    (kind) => {
      const read = readers[kind]
      for (const slot of [20, 100, 150, 230, 300]) {
        const raw = chain[kind](slot)
        const type = wireTypes(formOf(smallNetwork, raw.fork), smallNetwork.committeeSize)[kind]
        const bytes = type.serialize(type.fromJson(jsonOf(raw)) as never)
        const asSsz = (ssz: Uint8Array) => read(smallNetwork, { fork: raw.fork, data: { ssz } })
        const both = [read(smallNetwork, raw), asSsz(bytes)].map((message) =>
          to0x('header' in message ? message.header.root : message.attested.root),
        )
        expect(both[0]).toBe(both[1])
        for (const cut of [0, 1, bytes.length - 40]) {
          expect(codeOf(() => asSsz(bytes.slice(0, cut)))).toBe('CONSENSUS_MESSAGE_INVALID')
        }
        // extra data is last in a message that ends with a header, and may be longer there
        const longer = new Uint8Array(bytes.length + 64)
        longer.set(bytes)
        expect(codeOf(() => asSsz(longer))).toBe('CONSENSUS_MESSAGE_INVALID')
      }
    },
  )

  test('of random bytes throws a typed error only', () => {
    const random = createRandom(seed, 'light client SSZ')
    const raw = chain.update(230)
    const type = wireTypes('electra', smallNetwork.committeeSize).update
    const bytes = type.serialize(type.fromJson(jsonOf(raw)))
    for (let round = 0; round < inputs(300, 20_000); round++) {
      const changed = bytes.slice(0, random.chance(0.2) ? random.below(bytes.length) : undefined)
      for (let times = random.below(6); times >= 0 && changed.length > 0; times--) {
        changed[random.below(changed.length)] = random.below(256)
      }
      const data = { ssz: random.chance(0.1) ? random.bytes(random.below(4_000)) : changed }
      expect(['read', 'CONSENSUS_MESSAGE_INVALID']).toContain(
        codeOf(() => readUpdate(smallNetwork, { fork: 'electra', data })),
      )
    }
  })
})

describe('the description of a network', () => {
  test('is the same for a built-in network and a file', () => {
    for (const network of Object.values(publicNetworks)) {
      expect(parseNetwork(JSON.parse(JSON.stringify(network)))).toEqual(network)
    }
  })

  test('in the documentation is accepted', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/light-client.md'), 'utf8')
    const [, text = ''] = /```json\n(.*?)```/s.exec(page) ?? []
    expect(parseNetwork(JSON.parse(text)).name).toBe('devnet')
  })

  test.each<[string, object]>([
    ['without a genesis', { genesisTime: undefined }],
    ['with an unknown member', { slotsPerDay: 1 }],
    ['without forks', { forks: [] }],
    ['with forks out of order', { forks: mainnet.forks.toReversed() }],
    [
      'with a fork before the one before it',
      { forks: mainnet.forks.map((fork, index) => ({ ...fork, epoch: 10 - index })) },
    ],
    [
      'with one version for two forks',
      { forks: mainnet.forks.map((fork) => ({ ...fork, version: '0x01000000' })) },
    ],
    ['with a fork that is unknown', { forks: [{ name: 'heze', version: '0x01000000', epoch: 1 }] }],
    ['with a committee of 7', { committeeSize: 7 }],
    ['with epochs of no slots', { slotsPerEpoch: 0 }],
  ])('is refused if it %s', (_, change) => {
    expect(codeOf(() => parseNetwork({ ...mainnet, ...change }))).toBe('CONSENSUS_NETWORK_INVALID')
  })

  test('converts slots and times from its genesis', () => {
    // the recorded finality update of 15 August 2023
    expect(slotAt(mainnet, Date.parse('2023-08-15T22:06:35Z') / 1000)).toBe(7_109_431)
    expect(periodAt(mainnet, 7_109_431)).toBe(867)
    expect(slotAt(mainnet, 0)).toBe(0)
  })
})

describe('an announced fork', () => {
  const announcedOf = (network: typeof mainnet) =>
    network.forks.map(({ version, epoch }) => ({ version, epoch }))
  const timeBefore = (epoch: number) => mainnet.genesisTime + (epoch * 32 - 1) * 12

  test('that is known is reported with its time', () => {
    const outlook = forkOutlook(mainnet, timeBefore(411_392), announcedOf(mainnet))
    expect(outlook.next).toEqual({
      name: 'fulu',
      epoch: 411_392,
      time: Date.parse('2025-12-03T21:49:11Z') / 1000,
    })
    expect(outlook.unknown).toEqual([])
    expect(forkOutlook(mainnet, timeBefore(500_000)).next).toBeUndefined()
  })

  test('that is unknown or moved is reported weeks before it', () => {
    const announced = [
      ...announcedOf(mainnet),
      { version: '0x07000000', epoch: 600_000 } as const,
      // without a date
      { version: '0x08000000', epoch: 2 ** 64 } as const,
    ]
    const { unknown } = forkOutlook(mainnet, timeBefore(500_000), announced)
    expect(unknown).toEqual([
      { version: '0x07000000', epoch: 600_000, time: timeBefore(600_000) + 12 },
    ])
    const moved = [{ version: '0x06000000', epoch: 411_393 } as const]
    expect(forkOutlook(mainnet, timeBefore(400_000), moved).unknown).toHaveLength(1)
  })

  test('changes the fork digest', () => {
    // compute_fork_digest of mainnet, as in the node records of each fork
    expect(forkOutlook(mainnet, timeBefore(200_000)).digest).toBe('0xbba4da96')
    expect(forkOutlook(mainnet, timeBefore(300_000)).digest).toBe('0x6a95a1a9')
    expect(forkOutlook(mainnet, timeBefore(400_000)).digest).toBe('0xad532ceb')
    expect(forkOutlook(mainnet, timeBefore(419_073)).digest).not.toBe(
      forkOutlook(mainnet, timeBefore(419_072)).digest,
    )
  })
})
