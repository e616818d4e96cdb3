/**
 * Conditions of a boot and until when they hold, on storage words that the test makes. `view-parity.test.ts` compares
 * them with the contracts.
 */
import { keccak256, stringToHex } from 'viem'
import { beforeEach, describe, expect, test } from 'vitest'

import { appKey, approvalSlot } from '../../../src/chain/approval.ts'
import {
  appSlots,
  hostSlots,
  hostsSlots,
  implementationSlot,
  kmsAuthSlots,
  statusSlot,
} from '../../../src/chain/proven/slots.ts'
import type { StateReader } from '../../../src/chain/rpc/state-reader.ts'
import { explainApp, explainHost, explainKms } from '../../../src/chain/why/explain-boot.ts'
import type { Hex } from '../../../src/lib/bytes.ts'

const now = 1_800_000_000
const kms: Hex = `0x${'a1'.repeat(20)}`
const hosts: Hex = `0x${'a2'.repeat(20)}`
const appId: Hex = `0x${'a5'.repeat(20)}`
const id = (byte: string): Hex => `0x${byte.repeat(32)}`
const [composeHash, osImageHash, deviceId, mrAggregated, mrSystem] = [
  id('11'),
  id('22'),
  id('33'),
  id('44'),
  id('55'),
]
const boot = { appId, composeHash, osImageHash, deviceId, mrAggregated, mrSystem }
const complete = { ...boot, tcbStatus: 'UpToDate' }

/* STATE */

const codes = ['proxy', 'kmsAuth', 'app', 'hosts'] as const
const codeOf = (name: string) => keccak256(stringToHex(name))
const behind = (name: string): Hex => `0x${codeOf(name).slice(26)}`
const pinned = {
  proxy: [codeOf('proxy')],
  kmsAuth: [codeOf('kmsAuth')],
  app: [codeOf('app')],
  hosts: [codeOf('hosts')],
  bonds: [],
  images: [],
}
const registry = { kms, pinned }

let words: Map<string, bigint>
let accounts: Map<Hex, Hex>
const put = (address: Hex, slot: Hex, word: bigint) => words.set(address + slot, word)
const reader: StateReader = {
  account: async (address) => {
    const codeHash = accounts.get(address)
    return codeHash && { codeHash }
  },
  words: async (address, slots) => slots.map((slot) => words.get(address + slot) ?? 0n),
}

interface Times {
  readonly activeFrom?: number
  readonly expiresAt?: number
  readonly suspendedUntil?: number
  readonly endedAt?: number
  readonly index?: number
  readonly revoked?: boolean
}

/** An approval word as contracts/types/Approval.sol packs it. */
function approval(times: Times = {}): bigint {
  const { activeFrom = 1, expiresAt = 0, suspendedUntil = 0, endedAt = 0, index = 1 } = times
  const fields: [number, bigint][] = [
    [activeFrom, 0n],
    [expiresAt, 40n],
    [suspendedUntil, 80n],
    [endedAt, 120n],
    [1, 160n],
    [index, 192n],
    [times.revoked ? 1 : 0, 224n],
  ]
  return fields.reduce((word, [value, shift]) => word | (BigInt(value) << shift), 0n)
}

function addProxy(address: Hex, code: (typeof codes)[number]) {
  accounts.set(address, codeOf('proxy'))
  accounts.set(behind(code), codeOf(code))
  put(address, implementationSlot, BigInt(behind(code)))
}

const setRules = (rules: {
  requireTcb?: boolean
  oldest?: number
  nextOldest?: number
  supersededAt?: number
}) => {
  const { requireTcb = false, oldest = 0, nextOldest = 0, supersededAt = 0 } = rules
  put(appId, appSlots.rules, (requireTcb ? 1n << 144n : 0n) | (BigInt(oldest) << 216n))
  put(appId, appSlots.ends, BigInt(nextOldest) | (BigInt(supersededAt) << 32n))
}

/** Adds a host registry that admits the device until `until`. */
function admitHost(until: number, statusUntil = 2 ** 39) {
  addProxy(hosts, 'hosts')
  put(kms, kmsAuthSlots.hosts, BigInt(hosts))
  const [first, second] = hostSlots(deviceId)
  put(hosts, first, (1n << 160n) | (BigInt(until) << 200n) | (1n << 240n))
  put(hosts, second, 1n << 112n)
  put(hosts, hostsSlots.rules, 0n)
  put(hosts, statusSlot(1), BigInt(statusUntil))
  put(hosts, approvalSlot('host', deviceId), approval())
}

beforeEach(() => {
  words = new Map()
  accounts = new Map()
  addProxy(kms, 'kmsAuth')
  addProxy(appId, 'app')
  put(kms, approvalSlot('app', appKey(appId)), approval())
  put(kms, approvalSlot('osImage', osImageHash), approval())
  put(kms, approvalSlot('kmsMeasurement', mrAggregated), approval())
  put(kms, approvalSlot('kmsDevice', deviceId), approval())
  put(appId, approvalSlot('release', composeHash), approval())
  put(appId, approvalSlot('device', deviceId), approval())
})

const why = (question: Parameters<typeof explainApp>[2] = complete, times = { block: now, now }) =>
  explainApp(reader, registry, question, times)

/* TESTS */

describe('until when an answer holds', () => {
  test.each<[string, Times, string, string]>([
    ['pending', { activeFrom: now + 60 }, 'unmet', 'denied'],
    ['expiring', { expiresAt: now + 60 }, 'met', 'allowed'],
    ['suspended', { suspendedUntil: now + 60 }, 'unmet', 'denied'],
  ])('a release that is %s', async (_, times, state, answer) => {
    put(appId, approvalSlot('release', composeHash), approval(times))
    const { conditions, timeline, ...explained } = await why()

    expect(explained.answer).toBe(answer)
    expect(conditions.find(({ denial }) => denial === 'releaseNotAllowed')).toMatchObject({
      state,
      until: now + 60,
    })
    expect(timeline.map(({ from }) => from)).toEqual([now, now + 60])
    expect(timeline[1]?.answer).toBe(answer === 'allowed' ? 'denied' : 'allowed')
  })

  test('a release whose supersession is set', async () => {
    setRules({ nextOldest: 2, supersededAt: now + 60 })
    const { answer, conditions, timeline } = await why()

    expect(answer).toBe('allowed')
    const release = conditions.find(({ denial }) => denial === 'releaseNotAllowed')
    expect(release?.found).toContain('superseded by release 2 from')
    expect(release?.until).toBe(now + 60)
    expect(timeline[1]).toMatchObject({ from: now + 60, reason: 'Compose hash not allowed' })
  })

  test('a superseded release says so and is never called active', async () => {
    setRules({ nextOldest: 2, supersededAt: now - 60 })
    const { reason, conditions } = await why()

    expect(reason).toBe('Compose hash not allowed')
    const release = conditions.find(({ state }) => state === 'unmet')
    expect(release?.found).toContain('superseded since')
    expect(release?.nextStep?.note).toContain('never boots again')
  })

  test('a host proof and a TCB status that is accepted until a date', async () => {
    admitHost(now + 500, now + 90)
    const { timeline, host } = await why()

    expect(timeline.map(({ from, answer }) => [from, answer])).toEqual([
      [now, 'allowed'],
      [now + 90, 'denied'],
    ])
    expect(host.map(({ condition, until }) => [condition, until])).toEqual([
      ['proof-valid', now + 500],
      ['proof-recent', null],
      ['status-accepted', now + 90],
      ['approved', null],
      ['proven-under-approval', null],
      ['bonded', null],
    ])
  })

  test('an approval that only the newest time denies: the block is older than its end', async () => {
    put(kms, approvalSlot('osImage', osImageHash), approval({ expiresAt: now }))
    const { answer, at } = await why(complete, { block: now - 10, now })

    expect([answer, at]).toEqual(['denied', now])
  })

  test('what denies at the time of the block is the reason, even if it holds now', async () => {
    put(appId, approvalSlot('device', deviceId), approval({ activeFrom: now }))
    put(kms, approvalSlot('osImage', osImageHash), approval({ expiresAt: now }))
    const { reason } = await why(complete, { block: now - 10, now })

    expect(reason).toBe('Device not allowed')
  })
})

describe('every condition is listed, and not only the first denial', () => {
  test('an app that is not registered, with an image that is not approved', async () => {
    put(kms, approvalSlot('app', appKey(appId)), 0n)
    put(kms, approvalSlot('osImage', osImageHash), approval({ revoked: true, endedAt: 5 }))
    const { reason, conditions } = await why()

    expect(reason).toBe('App not registered')
    const unmet = conditions.filter(({ state }) => state === 'unmet')
    expect(unmet.map(({ denial }) => denial)).toEqual(['appNotRegistered', 'imageNotAllowed'])
    expect(unmet.map(({ nextStep }) => nextStep?.by)).toEqual(['anyone', 'DAO'])
    expect(unmet[1]?.found).toContain('revoked')
    // no command brings a revoked image back
    expect(unmet[1]?.nextStep?.command).toBeNull()
  })

  test('a pending approval needs time and no command, a suspended one the command that lifts it', async () => {
    put(kms, approvalSlot('osImage', osImageHash), approval({ activeFrom: now + 60 }))
    put(appId, approvalSlot('device', deviceId), approval({ suspendedUntil: now + 60 }))
    const { conditions } = await why()

    const unmet = conditions.filter(({ state }) => state === 'unmet')
    expect(unmet.map(({ nextStep }) => nextStep?.command)).toEqual([
      null,
      `assent dao guardian lift device ${deviceId} --app ${appId}`,
    ])
  })

  test('conditions of an app without code are not asked', async () => {
    accounts.delete(appId)
    const { reason, conditions } = await why()

    expect(reason).toBe('App not deployed or invalid address')
    const notChecked = conditions.filter(({ state }) => state === 'not-checked')
    expect(notChecked.map(({ denial }) => denial)).toEqual([
      'appForeign',
      'tcbNotUpToDate',
      'releaseNotAllowed',
      'deviceNotAllowed',
    ])
  })

  test('a KMS node', async () => {
    put(kms, approvalSlot('kmsDevice', deviceId), 0n)
    const { reason, conditions } = await explainKms(
      reader,
      registry,
      { ...complete, tcbStatus: 'OutOfDate' },
      { block: now, now },
    )

    expect(reason).toBe('TCB status is not up to date')
    expect(conditions.map(({ state }) => state)).toEqual([
      'unmet',
      'met',
      'met',
      'unmet',
      'met',
      'met',
    ])
  })

  test('a host without a proof', async () => {
    addProxy(hosts, 'hosts')
    put(kms, kmsAuthSlots.hosts, BigInt(hosts))
    const parts = await explainHost(reader, registry, deviceId, now)

    expect(parts[0]).toMatchObject({ state: 'unmet', found: 'The host has no proof.' })
    expect(parts.find(({ condition }) => condition === 'approved')?.nextStep?.by).toBe('DAO')
  })
})

describe('values that are not given', () => {
  test('make the answer unknown, and are named', async () => {
    const { answer, conditions } = await why({ appId, composeHash })

    expect(answer).toBe('unknown')
    expect(conditions.map(({ state, missing }) => [state, ...missing])).toEqual([
      ['met'],
      ['unknown', 'osImageHash'],
      ['met'],
      ['met'],
      ['met'],
      ['met'],
      ['unknown', 'deviceId'],
      ['met'],
      ['unknown', 'osImageHash', 'mrSystem'],
    ])
  })

  test('does not hide a denial', async () => {
    put(appId, approvalSlot('release', composeHash), 0n)

    expect(await why({ appId, composeHash })).toMatchObject({
      answer: 'denied',
      reason: 'Compose hash not allowed',
    })
  })

  test('a TCB status matters only to an app that asks for it', async () => {
    setRules({ requireTcb: true })

    expect((await why(boot)).answer).toBe('unknown')
    expect((await why({ ...boot, tcbStatus: 'OutOfDate' })).reason).toBe(
      'TCB status is not up to date',
    )
  })
})

test('a KmsAuth with unknown code explains nothing', async () => {
  accounts.set(behind('kmsAuth'), codeOf('other'))

  await expect(why()).rejects.toMatchObject({ code: 'CHAIN_CONTRACT_UNKNOWN' })
})

test('a boot of an image that cannot be measured is denied without an image registry', async () => {
  expect((await why()).answer).toBe('allowed')
  expect(await why({ ...complete, requiredMrSystem: mrSystem })).toMatchObject({
    answer: 'denied',
    reason: 'Measurements are not allowed for this OS image',
  })
})
