/**
 * Whether what the log says was decided follows from the state that its evidence proves: told truly it holds,
 * told otherwise it is found, for each rule of the contracts.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { network } from 'hardhat'
import { concat, type EIP1193Provider, keccak256, sha256 } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { kinds, noEnd } from '../../src/chain/approval.ts'
import type { BootDecision } from '../../src/chain/boot/boot.ts'
import { type Entry, loggedBlock, loggedBoot } from '../../src/kms/log/entry.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { storedEvidence } from '../../src/kms/log/stored-evidence.ts'
import { fromHex, type Hex, toHex } from '../../src/lib/bytes.ts'
import { type LogExpectations, type LogFile, verifyLog } from '../../src/log-verify/verify.ts'
import type { BootInfo } from '../../src/quote/measurements/measure.ts'
import { viewOf } from '../chain/endpoints.ts'
import {
  appCall,
  bondsCall,
  deployRegistries,
  hostsCall,
  imagesCall,
  kmsCall,
  type Registries,
} from '../chain/registries.ts'
import { begin, newLocation, rootKey } from '../kms/log/log-fixture.ts'

const [older, newer, image, measurement, device, other] = [1, 2, 3, 4, 5, 6].map(
  (byte): Hex => `0x${`0${byte}`.repeat(32)}`,
) as [Hex, Hex, Hex, Hex, Hex, Hex]
const registers: Hex = `0x${'07'.repeat(192)}`
const shown = sha256(concat([registers, `0x${'00'.repeat(32)}`]))

let connection: Awaited<ReturnType<typeof network.create>>
let chain: Registries
let app: Hex
let strict: Hex
let end: number
let now: number
/** The node’s own, of a block before what a test does to others. */
let standing: BootDecision

beforeAll(async () => {
  connection = await network.create()
  chain = await deployRegistries(connection.provider as unknown as EIP1193Provider, 'hardhat')
  app = await chain.createApp({ allowAnyDevice: true })
  strict = await chain.createApp()
  const { kmsAuth, hosts, bonds, images, send, client } = chain
  await send(kmsAuth, kmsCall('addOsImageHash', [image]))
  await send(kmsAuth, kmsCall('addKmsAggregatedMr', [measurement]))
  await send(kmsAuth, kmsCall('addKmsDevice', [device]))
  for (const release of [older, newer]) await send(app, appCall('addComposeHash', [release]))
  await send(strict, appCall('addComposeHash', [newer]))
  await send(strict, appCall('addDevice', [device]))
  await send(kmsAuth, kmsCall('setHosts', [hosts, noEnd]))
  const terms = { kind: kinds.host, id: device, activeFrom: 0, expiresAt: 0, evidence: '0x' }
  await send(hosts, hostsCall('approve', [[terms], noEnd]))
  await send(hosts, hostsCall('setStatusAcceptedUntil', [1, 2 ** 39, noEnd]))
  await chain.proveHost(device)
  await send(hosts, hostsCall('setBonds', [bonds, noEnd]))
  await send(bonds, bondsCall('setTerms', [2, 3_600, noEnd]))
  await send(bonds, bondsCall('deposit', [device, 2]))
  await send(kmsAuth, kmsCall('setImages', [images, noEnd]))
  const set = { osImageHash: image, variant: 0, registers, activeFrom: 0, expiresAt: 0 }
  await send(images, imagesCall('approveMeasurementSets', [[{ ...set, evidence: '0x' }], noEnd]))
  await send(images, imagesCall('closeImages', [[image]]))
  end = Number((await client.getBlock()).timestamp) + 1000
  await send(app, appCall('supersede', [2, end, true]))
  now = Number((await client.getBlock()).timestamp)
  standing = await decide('isKmsAllowed', bootOf(newer))
})
afterAll(() => connection.close())

const bytes = (text: Hex) => fromHex(text, 'text')
const bootOf = (release: Hex, appId = app): BootInfo => ({
  teeVariant: 'dstack-tdx',
  appId: bytes(appId),
  composeHash: bytes(release),
  instanceId: new Uint8Array(20),
  deviceId: bytes(device),
  mrAggregated: bytes(measurement),
  mrSystem: bytes(shown),
  osImageHash: bytes(image),
  keyProviderInfo: new Uint8Array(),
  tcbStatus: 'UpToDate',
  advisoryIds: [],
})

type Asked = BootInfo & { readonly requiredMrSystem?: Uint8Array }

function decide(question: 'isAppAllowed' | 'isKmsAllowed', boot: Asked, at = now) {
  return viewOf(connection.provider as unknown as EIP1193Provider, chain, () => at).authorize(
    question,
    boot,
  )
}

const boots = (boot: Asked) => ({
  ...loggedBoot(boot),
  ...(boot.requiredMrSystem ? { mustBeApproved: toHex(boot.requiredMrSystem) } : {}),
})

/** A log with one decision in it, true or not, of a node that was allowed to serve. */
async function write(decision: BootDecision, boot: Asked, changed: object = {}, at = now) {
  const { evidence } = decision
  if (evidence === undefined) throw new Error('nothing proves it')
  const location = await newLocation({ clock: () => at })
  const log = await begin(location)
  const stored = storedEvidence(evidence)
  const [block, proof] = [loggedBlock(decision.block), stored.digest]
  const own = standing
  const ownStored = own.evidence && storedEvidence(own.evidence)
  await log.append(
    {
      kind: 'self',
      quote: '00',
      boot: loggedBoot(bootOf(newer)),
      block: loggedBlock(own.block),
      proof: ownStored?.digest ?? null,
    },
    ownStored,
  )
  const entry = {
    kind: 'release',
    method: 'GetAppKey',
    quote: '00',
    boot: boots(boot),
    block,
    proof,
    epochs: decision.epochs ?? null,
    ...changed,
  } as Entry
  await log.append(entry, stored)
  await log.close()
  const names = (await readdir(location.folder)).filter((name) => name.endsWith('.log'))
  return Promise.all(
    names.map(async (name) => ({ name, content: await readFile(join(location.folder, name)) })),
  )
}

const { identity } = deriveLogKey(rootKey, 'kms-1')
const problems = (files: readonly LogFile[], demanded: Partial<LogExpectations> = {}) =>
  verifyLog(files, {
    rootKey: toHex(identity.rootKey),
    pins: chain.pinned,
    ...demanded,
  }).problems.map(({ code, what }) => [code, what])

/** What was done on the chain in between is undone. */
async function undoing<T>(run: () => Promise<T>): Promise<T> {
  const id = await chain.test.snapshot()
  const time = now
  try {
    return await run()
  } finally {
    await chain.test.revert({ id })
    now = time
  }
}

async function then(...sent: readonly (readonly [Hex, Hex])[]): Promise<void> {
  for (const [to, data] of sent) await chain.send(to, data)
  now = Number((await chain.client.getBlock()).timestamp)
}

describe('a release', () => {
  test('during a migration, an old release gets the old key epoch and a new release gets both', async () => {
    for (const [release, epochs] of [
      [older, { write: 1, read: 1 }],
      [newer, { write: 2, read: 1 }],
    ] as const) {
      const boot = bootOf(release)
      const decision = await decide('isAppAllowed', boot)

      expect(decision).toMatchObject({ allowed: true, epochs })
      expect(problems(await write(decision, boot))).toEqual([])
    }
  })

  test('with a key epoch that was not allowed, or without one, is reported', async () => {
    const cases: [Hex, object | null][] = [
      [older, { write: 2, read: 1 }],
      [older, { write: 2, read: 2 }],
      [newer, { write: 1, read: 1 }],
      [newer, { write: 2, read: 0 }],
      [newer, { write: 3, read: 2 }],
      [newer, { write: 2, read: 3 }],
      [newer, null],
    ]
    for (const [release, epochs] of cases) {
      const boot = bootOf(release)
      const found = problems(await write(await decide('isAppAllowed', boot), boot, { epochs }))

      expect(found, JSON.stringify(epochs)).toEqual([
        ['NOT_GRANTED', expect.stringContaining('allowed were')],
      ])
    }
    const boot = bootOf(newer)
    const half = { epochs: { write: 2 } }
    expect(problems(await write(await decide('isAppAllowed', boot), boot, half))).toEqual([
      ['ENTRY', 'epochs.read is missing or malformed'],
    ])
  })

  test('of the previous key epoch after the migration is reported', async () => {
    const boot = bootOf(newer)
    const decision = await decide('isAppAllowed', boot)
    const late = (epochs: object) => write(decision, boot, { epochs }, end + 120)

    expect(problems(await late({ write: 2, read: 1 }))).toHaveLength(1)
    expect(problems(await late({ write: 2, read: 2 }))).toEqual([])
  })

  test('for another app, image, device, release or mr_system than in its evidence is reported', async () => {
    const boot = bootOf(newer)
    const decision = await decide('isAppAllowed', boot)
    for (const [name, value] of [
      ['appId', '77'.repeat(20)],
      ['osImageHash', '77'.repeat(32)],
      ['composeHash', '77'.repeat(32)],
      ['composeHash', 'xx'],
      ['deviceId', '77'.repeat(32)],
      ['mrSystem', '77'.repeat(32)],
    ] as const) {
      const changed = { boot: { ...loggedBoot(boot), [name]: value } }
      expect(problems(await write(decision, boot, changed))[0]?.[0], name).toBe('NOT_GRANTED')
    }
  })

  test('that rests on an old block or on too few endpoints is reported', async () => {
    const boot = bootOf(newer)
    const decision = await decide('isAppAllowed', boot)
    const files = await write(decision, boot, {}, now + 500)

    expect(problems(files, { maxBlockAgeSeconds: 500, quorum: 2 })).toEqual([])
    expect(problems(files, { maxBlockAgeSeconds: 300 })).toEqual([
      ['NOT_GRANTED', expect.stringContaining('old')],
      ['NOT_GRANTED', expect.stringContaining('old')],
    ])
    expect(problems(files, { quorum: 3 }).map(([code]) => code)).toEqual(['PROOF', 'PROOF'])
  })

  test('that rests on contracts without pinned code is reported', async () => {
    const boot = bootOf(newer)
    const files = await write(await decide('isAppAllowed', boot), boot)

    for (const role of ['proxy', 'kmsAuth', 'app', 'hosts', 'bonds', 'images'] as const) {
      const pins = { ...chain.pinned, [role]: [`0x${'77'.repeat(32)}`] }
      expect(
        problems(files, { pins }).map(([code]) => code),
        role,
      ).toContain('NOT_GRANTED')
    }
  })

  test('without inclusion evidence is reported, unless --accept-unproven is set', async () => {
    const boot = bootOf(newer)
    const files = await write(await decide('isAppAllowed', boot), boot, { proof: null })

    expect(problems(files)).toEqual([['UNPROVEN', expect.anything()]])
    expect(problems(files, { acceptUnproven: true })).toEqual([])
  })

  test('by a node without a recent self-authorization is reported', async () => {
    const boot = bootOf(newer)
    const decision = await decide('isAppAllowed', boot)
    const later = { ...decision.block, hash: `0x${'99'.repeat(32)}` as const }
    const files = await write({ ...decision, block: later }, boot, { proof: null })

    // within a minute its last word counts, whatever block it was of
    expect(problems(files, { acceptUnproven: true })).toEqual([])
    const silent = files.map(({ name, content }) => ({
      name,
      content: Buffer.from(content.toString().replace('"kind":"self"', '"kind":"seal"')),
    }))
    expect(problems(silent).map(([code]) => code)).toContain('NODE_NOT_ALLOWED')
  })
})

/** A rule, a state in which it denies a boot, and the reason string of the contract. */
interface Rule {
  readonly name: string
  readonly reason: string
  readonly against?: () => readonly (readonly [Hex, Hex])[]
  readonly boot?: () => Partial<Asked>
  readonly later?: number
}

const appRules: readonly Rule[] = [
  {
    name: 'a host whose approval was withdrawn',
    reason: 'Host is not registered',
    against: () => [[chain.hosts, kmsCall('withdraw', [kinds.host, [device]])]],
  },
  {
    name: 'a host whose proof is older than is asked for',
    reason: 'Host is not registered',
    against: () => [[chain.hosts, hostsCall('setRules', [rulesSince(2 ** 39), noEnd])]],
  },
  {
    name: 'a host that nobody proved',
    reason: 'Host is not registered',
    boot: () => ({ deviceId: bytes(other) }),
  },
  {
    name: 'a host whose TCB status passes no more',
    reason: 'Host is not registered',
    against: () => [[chain.hosts, hostsCall('setStatusAcceptedUntil', [1, 0, noEnd])]],
  },
  {
    name: 'a host whose TCB status has run out since the block',
    reason: 'Host is not registered',
    against: () => [[chain.hosts, hostsCall('setStatusAcceptedUntil', [1, now + 1000, noEnd])]],
    later: 1_200,
  },
  {
    name: 'a host that was approved anew since it was proven',
    reason: 'Host is not registered',
    against: () => [
      [chain.hosts, kmsCall('withdraw', [kinds.host, [device]])],
      [
        chain.hosts,
        hostsCall('approve', [
          [{ kind: kinds.host, id: device, activeFrom: 0, expiresAt: 0, evidence: '0x' }],
          noEnd,
        ]),
      ],
    ],
  },
  {
    name: 'a host with too small a bond',
    reason: 'Host is not registered',
    against: () => [[chain.bonds, bondsCall('unbond', [device, 1])]],
  },
  {
    name: 'a closed image that shows a set that was withdrawn',
    reason: 'Measurements are not allowed for this OS image',
    against: () => [[chain.images, kmsCall('withdraw', [kinds.measurements, [setId()]])]],
  },
  {
    name: 'a set that nobody approved',
    reason: 'Measurements are not allowed for this OS image',
    boot: () => ({ mrSystem: bytes(other) }),
  },
  {
    name: 'an image that could not be measured and shows no approved set, though it is open',
    reason: 'Measurements are not allowed for this OS image',
    against: () => [[chain.images, imagesCall('openImages', [[image], noEnd])]],
    boot: () => ({ requiredMrSystem: bytes(other) }),
  },
  {
    name: 'such an image where nobody keeps sets',
    reason: 'Measurements are not allowed for this OS image',
    against: () => [[chain.kmsAuth, kmsCall('setImages', [`0x${'00'.repeat(20)}`, noEnd])]],
    boot: () => ({ requiredMrSystem: bytes(shown) }),
  },
  {
    name: 'a device that the app does not list',
    reason: 'Device not allowed',
    against: () => [[strict, appCall('removeDevice', [device])]],
    boot: () => ({ appId: bytes(strict) }),
  },
  {
    name: 'a TCB level that the app does not take',
    reason: 'TCB status is not up to date',
    against: () => [[app, appCall('setRequireTcbUpToDate', [true])]],
    boot: () => ({ tcbStatus: 'OutOfDate' }),
  },
  {
    name: 'a release that was removed',
    reason: 'Compose hash not allowed',
    against: () => [[app, appCall('removeComposeHash', [newer])]],
  },
  {
    name: 'a release whose time has run out since the block',
    reason: 'Compose hash not allowed',
    boot: () => ({ composeHash: bytes(older) }),
    later: 1_200,
  },
  {
    name: 'an image that was removed',
    reason: 'OS image is not allowed',
    against: () => [[chain.kmsAuth, kmsCall('removeOsImageHash', [image])]],
  },
  {
    name: 'an app that nobody registered',
    reason: 'App not registered',
    boot: () => ({ appId: new Uint8Array(20).fill(9) }),
  },
  {
    name: 'an app without code',
    reason: 'App not deployed or invalid address',
    against: () => [[chain.kmsAuth, kmsCall('registerApp', [`0x${'09'.repeat(20)}`])]],
    boot: () => ({ appId: new Uint8Array(20).fill(9) }),
  },
  {
    name: 'an app with code of its own',
    reason: 'App contract is not one whose rules this KMS knows',
    against: () => [[chain.kmsAuth, kmsCall('registerApp', [chain.bonds])]],
    boot: () => ({ appId: bytes(chain.bonds) }),
  },
]

const kmsRules: readonly Rule[] = [
  {
    name: 'a measurement that was removed',
    reason: 'Aggregated MR not allowed',
    against: () => [[chain.kmsAuth, kmsCall('removeKmsAggregatedMr', [measurement])]],
  },
  {
    name: 'a machine that is not for a KMS',
    reason: 'KMS is not allowed to boot on this device',
    against: () => [[chain.kmsAuth, kmsCall('removeKmsDevice', [device])]],
  },
  {
    name: 'a machine that is not up to date',
    reason: 'TCB status is not up to date',
    boot: () => ({ tcbStatus: 'OutOfDate' }),
  },
  {
    name: 'an image that was removed',
    reason: 'OS image is not allowed',
    against: () => [[chain.kmsAuth, kmsCall('removeOsImageHash', [image])]],
  },
  {
    name: 'a host whose approval was withdrawn',
    reason: 'Host is not registered',
    against: () => [[chain.hosts, kmsCall('withdraw', [kinds.host, [device]])]],
  },
  {
    name: 'an image that could not be measured and shows no approved set',
    reason: 'Measurements are not allowed for this OS image',
    boot: () => ({ requiredMrSystem: bytes(other) }),
  },
]
const rules = [
  ...appRules.map((rule) => ({ ...rule, question: 'isAppAllowed' as const })),
  ...kmsRules.map((rule) => ({ ...rule, question: 'isKmsAllowed' as const })),
]

describe.each(rules)('$question $name', (rule) => {
  const { question, reason } = rule
  const kind = question === 'isAppAllowed' ? 'release' : 'handover'
  const method = question === 'isAppAllowed' ? 'GetAppKey' : 'GetKmsKey'

  test('a denial by this rule is accepted and a key release is reported', async () => {
    await undoing(async () => {
      await then(...(rule.against?.() ?? []))
      const boot: Asked = { ...bootOf(newer), ...rule.boot?.() }
      const at = now + (rule.later ?? 0)
      const decision = await decide(question, boot, at)
      expect(decision).toMatchObject({ allowed: false, reason })

      const denial = { kind: 'denial', method, code: 'KMS_BOOT_DENIED', reason }
      const written = await write(decision, boot, denial, at)
      expect(problems(written)).toEqual([])
      const epochs = { write: 2, read: 1 }
      const forged = await write(decision, boot, { kind, method, epochs }, at + 60)
      expect(problems(forged)).toEqual([['NOT_GRANTED', expect.stringContaining(reason)]])
      const otherwise = await write(decision, boot, { ...denial, reason: 'Because' }, at)
      expect(problems(otherwise)).toEqual([['NOT_DENIED', expect.stringContaining(reason)]])
    })
  })
})

test('a denial is reported if the evidence allows the boot', async () => {
  const boot = bootOf(newer)
  const decision = await decide('isAppAllowed', boot)
  const denial = { kind: 'denial', code: 'KMS_BOOT_DENIED', reason: 'Device not allowed' }

  expect(problems(await write(decision, boot, denial))).toEqual([
    ['NOT_DENIED', expect.stringContaining('its evidence allows it')],
  ])
})

test('an onboarding of an approved KMS is accepted', async () => {
  const boot = bootOf(newer)
  const decision = await decide('isKmsAllowed', boot)
  const handover = { kind: 'handover', method: 'GetKmsKey' }

  expect(problems(await write(decision, boot, handover))).toEqual([])
})

function rulesSince(attestedSince: number) {
  return {
    attestedSince,
    minLifetime: 0,
    maxLifetime: 30 * 86_400,
    window: 255,
    minEvaluationNumber: 0,
    isOpen: false,
    activationDelay: 0,
  }
}

/** keccak256(abi.encode(image, TDX, what it shows)), as the contract tells it. */
function setId(): Hex {
  return keccak256(concat([image, `0x${'00'.repeat(32)}`, shown]))
}
