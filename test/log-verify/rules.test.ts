/** The verifier's rules one by one: a state that grants everything, and one word of it changed at a time. */
import { describe, expect, test } from 'vitest'
import {
  approvalSlot,
  isActive,
  type LoggedKind,
  mapping,
  type PinnedCodeHashes,
  uint,
} from '../../src/log-verify/contract-storage.ts'
import {
  denialReasonAt,
  type EvaluatedEntry,
  epochsAt,
  whyNotGranted,
} from '../../src/log-verify/evaluate-entry.ts'

const now = 1_000_000
const place = (digit: string) => `0x${digit.repeat(40)}`
const [kmsAuth, hosts, bonds, images] = ['1', '2', '3', '4'].map(place) as [
  string,
  string,
  string,
  string,
]
const appId = 'aa'.repeat(20)
const operator = `0x${'bb'.repeat(20)}`
const id = (byte: string) => byte.repeat(32)
const boot = {
  appId,
  composeHash: id('c1'),
  deviceId: id('d1'),
  mrAggregated: id('a1'),
  mrSystem: id('51'),
  osImageHash: id('01'),
  tcbStatus: 'UpToDate',
}
const key = (hex: string) => `0x${hex.padStart(64, '0')}`
const implementation = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'

/** Fields of a word at their lowest bit. */
function word(...fields: readonly (readonly [at: number, value: bigint | number])[]): bigint {
  return fields.reduce((sum, [at, value]) => sum | (BigInt(value) << BigInt(at)), 0n)
}

interface Approved {
  from?: number
  until?: number
  suspended?: number
  ended?: number
  version?: number
  index?: number
  revoked?: number
}

const approval = ({ version = 1, ...rest }: Approved = {}) =>
  word(
    [0, rest.from ?? 0],
    [40, rest.until ?? 0],
    [80, rest.suspended ?? 0],
    [120, rest.ended ?? 0],
    [160, version],
    [192, rest.index ?? 0],
    [224, rest.revoked ?? 0],
  )

type Words = Record<string, Record<string, bigint>>

const proofSlot = mapping(key(boot.deviceId), uint(5n))
const secondSlot = uint(BigInt(proofSlot) + 1n)
const bondSlot = mapping(uint(BigInt(operator)), mapping(key(boot.deviceId), uint(0n)))
const closedSlot = mapping(key(boot.osImageHash), uint(5n))
const setOf = (registers: string) =>
  mapping(key(boot.osImageHash), uint(0n) + key(registers).slice(2))
const slotOf = (kind: LoggedKind, hex: string) => approvalSlot(kind, key(hex))

interface HostProof {
  provenAt?: number
  expires?: number
  status?: number
}

const hostProof = ({ provenAt = 500, expires = now + 1000, status = 1 }: HostProof = {}) =>
  word([0, BigInt(operator)], [160, provenAt], [200, expires], [240, status])

/** All that is asked about, granted. */
function granting(): Words {
  const behind = { [implementation]: 0xffn }
  return {
    [kmsAuth]: {
      ...behind,
      [uint(11n)]: BigInt(hosts),
      [uint(12n)]: BigInt(images),
      [slotOf('app', appId)]: approval(),
      [slotOf('osImage', boot.osImageHash)]: approval(),
      [slotOf('kmsMeasurement', boot.mrAggregated)]: approval(),
      [slotOf('kmsDevice', boot.deviceId)]: approval(),
    },
    [`0x${appId}`]: {
      ...behind,
      [uint(4n)]: word([184, 3], [216, 2]),
      [uint(5n)]: 0n,
      [slotOf('release', boot.composeHash)]: approval({ index: 2 }),
      [slotOf('device', boot.deviceId)]: approval(),
    },
    [hosts]: {
      ...behind,
      [uint(8n)]: word([0, 500]),
      [uint(10n)]: BigInt(bonds),
      [proofSlot]: hostProof(),
      [secondSlot]: word([112, 1]),
      [slotOf('host', boot.deviceId)]: approval(),
      [mapping(uint(1n), uint(6n))]: word([0, now + 5_000]),
    },
    [bonds]: { ...behind, [uint(1n)]: 5n, [bondSlot]: 5n },
    [images]: {
      ...behind,
      [closedSlot]: 1n,
      [approvalSlot('measurements', setOf(boot.mrSystem))]: approval(),
    },
    [place('0').slice(0, -2).concat('ff')]: {},
  }
}

interface Asked {
  question?: 'app' | 'kms'
  boot?: object
  pins?: PinnedCodeHashes
  executedBy?: readonly string[]
  writtenAt?: number
  blockTime?: number
  codes?: Record<string, string | undefined>
}

function caseOf(words: Words, asked: Asked = {}): EvaluatedEntry {
  const contracts = new Map(
    Object.entries(words).map(([address, slots]) => [
      address,
      {
        codeHash: asked.codes && address in asked.codes ? asked.codes[address] : `0x${address}`,
        slots: new Map(Object.entries(slots)),
      },
    ]),
  )
  return {
    question: asked.question ?? 'app',
    boot: { ...boot, ...asked.boot },
    state: {
      chainId: 1,
      kmsContract: kmsAuth,
      blockHash: '0x',
      blockNumber: 1n,
      blockTime: asked.blockTime ?? now,
      agreement: { required: 1, endpoints: [] },
      contracts,
      signatures: new Map(),
      signedBlock: '0x',
      executedBy: asked.executedBy ?? [],
    },
    writtenAt: asked.writtenAt ?? now,
    pins: asked.pins,
  }
}

const refusal = (change: (words: Words) => void, asked: Asked = {}, at = now) => {
  const words = granting()
  change(words)
  return denialReasonAt(caseOf(words, asked), at)
}
const setting = (address: string, slot: string, value: bigint) => (words: Words) => {
  if (words[address]?.[slot] === undefined) throw new Error('no such word')
  words[address][slot] = value
}

describe('the log verifier treats an approval as active', () => {
  test.each([
    [{}, now, true],
    [{ version: 0 }, now, false],
    [{ from: now }, now, true],
    [{ from: now + 1 }, now, false],
    [{ until: now }, now, false],
    [{ until: now + 1 }, now, true],
    [{ suspended: now }, now, true],
    [{ suspended: now + 1 }, now, false],
    [{ ended: 1 }, now, false],
    [{ ended: now + 100 }, now, false],
    [{ revoked: 1 }, now, false],
    [{ version: 2 ** 32 - 1 }, now, true],
  ] as const)('for %j at %i: %s', (fields, at, counts) => {
    expect(isActive(approval(fields), at)).toBe(counts)
  })
})

test('a state with all approvals allows an app and a KMS', () => {
  expect(refusal(() => {})).toBeUndefined()
  expect(refusal(() => {}, { question: 'kms' })).toBeUndefined()
})

describe('one changed storage value gives the denial reason of its rule', () => {
  const off = approval({ suspended: now + 1 })
  const app = `0x${appId}`
  const cases: [string, (words: Words) => void, string | undefined, Asked?][] = [
    ['app', setting(kmsAuth, slotOf('app', appId), off), 'App not registered'],
    [
      'image',
      setting(kmsAuth, slotOf('osImage', boot.osImageHash), off),
      'OS image is not allowed',
    ],
    [
      'release',
      setting(app, slotOf('release', boot.composeHash), approval({ index: 2, suspended: now + 1 })),
      'Compose hash not allowed',
    ],
    [
      'release that is superseded now',
      setting(app, uint(5n), word([0, 3], [32, now])),
      'Compose hash not allowed',
    ],
    [
      'release that will be superseded next',
      setting(app, uint(5n), word([0, 3], [32, now + 1])),
      undefined,
    ],
    [
      'release that was superseded before',
      (words) => {
        setting(app, slotOf('release', boot.composeHash), approval({ index: 1 }))(words)
        setting(app, uint(5n), word([0, 3], [32, now + 1]))(words)
      },
      'Compose hash not allowed',
    ],
    ['release that is the oldest', setting(app, uint(5n), word([0, 2], [32, now])), undefined],
    ['device', setting(app, slotOf('device', boot.deviceId), off), 'Device not allowed'],
    [
      'device where any will do',
      (words) => {
        setting(app, slotOf('device', boot.deviceId), off)(words)
        setting(app, uint(4n), word([136, 1], [184, 3], [216, 2]))(words)
      },
      undefined,
    ],
    [
      'TCB that the app asks for',
      setting(app, uint(4n), word([144, 1], [184, 3], [216, 2])),
      'TCB status is not up to date',
      { boot: { tcbStatus: 'SWHardeningNeeded' } },
    ],
    [
      'TCB that it does not ask for',
      () => {},
      undefined,
      { boot: { tcbStatus: 'SWHardeningNeeded' } },
    ],
    ['host', setting(hosts, slotOf('host', boot.deviceId), off), 'Host is not registered'],
    [
      'host whose proof has ended',
      setting(hosts, proofSlot, hostProof({ expires: now })),
      'Host is not registered',
    ],
    [
      'host whose proof ends next',
      setting(hosts, proofSlot, hostProof({ expires: now + 1 })),
      undefined,
    ],
    [
      'host proven before all have to',
      setting(hosts, proofSlot, hostProof({ provenAt: 499 })),
      'Host is not registered',
    ],
    [
      'host proven under an approval before this one',
      setting(hosts, slotOf('host', boot.deviceId), approval({ version: 2 })),
      'Host is not registered',
    ],
    [
      'host proven under a later one',
      setting(hosts, secondSlot, word([112, 2])),
      'Host is not registered',
    ],
    ['host of the first approval, proven before it', setting(hosts, secondSlot, 0n), undefined],
    [
      'host of the second approval, proven before the first',
      (words) => {
        setting(hosts, secondSlot, 0n)(words)
        setting(hosts, slotOf('host', boot.deviceId), approval({ version: 2 }))(words)
      },
      'Host is not registered',
    ],
    [
      'TCB of the host that is let pass no more',
      setting(hosts, mapping(uint(1n), uint(6n)), word([0, now])),
      'Host is not registered',
    ],
    ['bond', setting(bonds, bondSlot, 4n), 'Host is not registered'],
    [
      'bond where none is asked for',
      (words) => {
        setting(bonds, bondSlot, 0n)(words)
        setting(hosts, uint(10n), 0n)(words)
      },
      undefined,
    ],
    [
      'bond that counts by its lower 96 bits',
      setting(bonds, bondSlot, (1n << 96n) + 4n),
      'Host is not registered',
    ],
    [
      'hosts where they are not judged',
      (words) => {
        setting(hosts, slotOf('host', boot.deviceId), off)(words)
        setting(kmsAuth, uint(11n), 0n)(words)
      },
      undefined,
    ],
    [
      'measurements',
      setting(images, approvalSlot('measurements', setOf(boot.mrSystem)), off),
      'Measurements are not allowed for this OS image',
    ],
    [
      'measurements of an open image',
      (words) => {
        setting(images, approvalSlot('measurements', setOf(boot.mrSystem)), off)(words)
        setting(images, closedSlot, 0n)(words)
      },
      undefined,
    ],
    [
      'measurements of an image that could not be measured',
      (words) => {
        setting(images, closedSlot, 0n)(words)
        words[images] = { ...words[images], [approvalSlot('measurements', setOf(id('77')))]: off }
      },
      'Measurements are not allowed for this OS image',
      { boot: { mustBeApproved: id('77') } },
    ],
    [
      'measurements without a registry of images',
      setting(kmsAuth, uint(12n), 0n),
      'Measurements are not allowed for this OS image',
      { boot: { mustBeApproved: id('77') } },
    ],
    [
      'KMS measurement',
      setting(kmsAuth, slotOf('kmsMeasurement', boot.mrAggregated), off),
      'Aggregated MR not allowed',
      { question: 'kms' },
    ],
    [
      'KMS device',
      setting(kmsAuth, slotOf('kmsDevice', boot.deviceId), off),
      'KMS is not allowed to boot on this device',
      { question: 'kms' },
    ],
    [
      'KMS image',
      setting(kmsAuth, slotOf('osImage', boot.osImageHash), off),
      'OS image is not allowed',
      { question: 'kms' },
    ],
    [
      'KMS TCB',
      () => {},
      'TCB status is not up to date',
      { question: 'kms', boot: { tcbStatus: 'OutOfDate' } },
    ],
    [
      'KMS host',
      setting(hosts, slotOf('host', boot.deviceId), off),
      'Host is not registered',
      { question: 'kms' },
    ],
    [
      'KMS, whose app is not asked about',
      setting(kmsAuth, slotOf('app', appId), off),
      undefined,
      { question: 'kms' },
    ],
  ]
  test.each(cases)('%s', (_, change, expected, asked) => {
    expect(refusal(change, asked)).toBe(expected)
  })

  test('every value that a rule reads must be in the evidence', () => {
    const whole = granting()
    let missed = 0
    for (const [address, slots] of Object.entries(whole)) {
      for (const slot of Object.keys(slots)) {
        const words = structuredClone(whole)
        delete words[address]?.[slot]
        for (const question of ['app', 'kms'] as const) {
          try {
            expect(denialReasonAt(caseOf(words, { question }), now)).toBeUndefined()
          } catch (error) {
            expect((error as Error).message).toContain('its evidence does not prove')
            missed++
          }
        }
      }
    }
    // of an app 18 words, of a KMS 12
    expect(missed).toBeGreaterThan(30)
  })

  test('each contract must have pinned code', () => {
    const codes = Object.fromEntries(Object.keys(granting()).map((each) => [each, '0xproxy']))
    const behind = Object.keys(granting()).at(-1) as string
    const own = { ...codes, [behind]: '0xcode' }
    const all = ['proxy', 'kmsAuth', 'app', 'hosts', 'bonds', 'images'] as const
    const pins = {
      ...Object.fromEntries(all.map((role) => [role, ['0xcode']])),
      proxy: ['0xproxy'],
    } as unknown as PinnedCodeHashes
    expect(refusal(() => {}, { pins, codes: own })).toBeUndefined()
    for (const role of all) {
      const asked = { pins: { ...pins, [role]: [] }, codes: own }
      const found = (() => {
        try {
          return refusal(() => {}, asked)
        } catch (error) {
          return (error as Error).message
        }
      })()
      const isApps = role === 'app'
      expect(found, role).toMatch(isApps ? /rules this KMS knows/ : /is not the pinned code of/)
    }
    expect(refusal(() => {}, { pins, codes: { ...own, [`0x${appId}`]: undefined } })).toBe(
      'App not deployed or invalid address',
    )
  })
})

describe('approvals that start or end between block and entry', () => {
  const ending = setting(
    `0x${appId}`,
    slotOf('device', boot.deviceId),
    approval({ until: now + 200 }),
  )
  test.each([
    [now, undefined],
    [now + 259, undefined],
    [now + 260, 'Device not allowed'],
  ])('depend on the time of the entry: %i', (writtenAt, expected) => {
    const words = granting()
    ending(words)
    const why = whyNotGranted(caseOf(words, { writtenAt }))
    expect(why?.replace(/ \(at \d+\)/, '')).toBe(expected)
  })

  test('an approval that starts after the block does not allow the release', () => {
    const words = granting()
    setting(`0x${appId}`, slotOf('device', boot.deviceId), approval({ from: now + 1 }))(words)

    expect(whyNotGranted(caseOf(words, { writtenAt: now + 600 }))).toContain('Device not allowed')
  })
})

describe('key epochs in an entry', () => {
  const rules = word([184, 3], [216, 2])
  const checkEpochs = (write: number, read: number, ends = 0n, writtenAt = now) => {
    const words = granting()
    setting(`0x${appId}`, uint(4n), rules)(words)
    setting(`0x${appId}`, uint(5n), ends)(words)
    return whyNotGranted(caseOf(words, { writtenAt }), { logged: { write, read } })
  }

  test('must be the newest one', () => {
    expect(epochsAt(caseOf(granting()), now)).toEqual({ write: 4, read: 4 })
    expect(checkEpochs(4, 4)).toBeUndefined()
    for (const [write, read] of [
      [4, 3],
      [3, 3],
      [5, 5],
      [4, 5],
      [4, 0],
    ] as const) {
      expect(checkEpochs(write, read), `${write} ${read}`).toContain('it released epochs')
    }
  })

  test('include the previous one during a migration, and not after it', () => {
    const ends = word([0, 3], [32, now + 100], [72, 1])
    expect(checkEpochs(3, 3, ends)).toBeUndefined()
    const newer = word([0, 2], [32, now + 100], [72, 1])
    expect(checkEpochs(4, 3, newer)).toBeUndefined()
    expect(checkEpochs(4, 2, newer)).toContain('it released epochs')
    expect(checkEpochs(4, 3, newer, now + 159)).toBeUndefined()
    expect(checkEpochs(4, 3, newer, now + 160)).toContain('it released epochs')
  })

  test('must be null for a foreign app', () => {
    const words = granting()
    const executed = caseOf(words, { executedBy: ['a'] })
    expect(whyNotGranted(executed, { logged: null })).toBeUndefined()
    expect(whyNotGranted(executed, { logged: { write: 1, read: 1 } })).toContain(
      'has no key epochs',
    )
  })
})
