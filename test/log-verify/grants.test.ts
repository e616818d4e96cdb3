/** Whether what the log says was given was granted by the state that its evidence proves. */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { network } from 'hardhat'
import type { EIP1193Provider } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BootDecision } from '../../src/chain/boot.ts'
import { agreedHeaders } from '../../src/chain/proven/headers.ts'
import { volatileMemory } from '../../src/chain/proven/memory.ts'
import { openView } from '../../src/chain/proven/view.ts'
import { type Entry, loggedBlock, loggedBoot } from '../../src/kms/log/entry.ts'
import { storedEvidence } from '../../src/kms/log/journal.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { fromHex, type Hex, toHex } from '../../src/lib/bytes.ts'
import { type LogFile, verifyLog } from '../../src/log-verify/verify.ts'
import type { BootInfo } from '../../src/quote/measure.ts'
import { providerEndpoint } from '../chain/endpoints.ts'
import { appCall, deployRegistries, kmsCall, type Registries } from '../chain/registries.ts'
import { begin, newPlace, rootKey } from '../kms/log/place.ts'

const [older, newer, image, measurement, device] = [1, 2, 3, 4, 5].map(
  (byte): Hex => `0x${`0${byte}`.repeat(32)}`,
) as [Hex, Hex, Hex, Hex, Hex]

let connection: Awaited<ReturnType<typeof network.create>>
let chain: Registries
let app: Hex
let end: number
let now: number

beforeAll(async () => {
  connection = await network.create()
  chain = await deployRegistries(connection.provider as unknown as EIP1193Provider, 'hardhat')
  app = await chain.createApp({ allowAnyDevice: true })
  const { kmsAuth, send, client } = chain
  await send(kmsAuth, kmsCall('addOsImageHash', [image]))
  await send(kmsAuth, kmsCall('addKmsAggregatedMr', [measurement]))
  await send(kmsAuth, kmsCall('addKmsDevice', [device]))
  for (const release of [older, newer]) await send(app, appCall('addComposeHash', [release]))
  end = Number((await client.getBlock()).timestamp) + 1000
  await send(app, appCall('supersede', [2, end, true]))
  now = Number((await client.getBlock()).timestamp)
})
afterAll(() => connection.close())

const bootOf = (release: Hex): BootInfo => ({
  teeVariant: 'dstack-tdx',
  appId: fromHex(app, 'app'),
  composeHash: fromHex(release, 'release'),
  instanceId: new Uint8Array(20),
  deviceId: fromHex(device, 'device'),
  mrAggregated: fromHex(measurement, 'measurement'),
  mrSystem: new Uint8Array(32),
  osImageHash: fromHex(image, 'image'),
  keyProviderInfo: new Uint8Array(),
  tcbStatus: 'UpToDate',
  advisoryIds: [],
})

async function decide(question: 'isAppAllowed' | 'isKmsAllowed', boot: BootInfo) {
  const endpoints = [providerEndpoint(connection.provider as unknown as EIP1193Provider, '1')]
  const view = openView({
    chainId: 31337,
    kms: chain.kmsAuth,
    pinned: chain.pinned,
    source: agreedHeaders({ endpoints, required: 1, chainId: 31337, finality: 'finalized' }),
    endpoints,
    required: 1,
    memory: volatileMemory(),
    maxBlockAgeSeconds: 5000,
    refreshSeconds: 60,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => now,
  })
  return view.ask(question, boot)
}

/** A log with one decision in it, true or not. */
async function write(decision: BootDecision, boot: BootInfo, changed: object, at = now) {
  const { evidence } = decision
  if (evidence === undefined) throw new Error('nothing proves it')
  const place = await newPlace({ clock: () => at })
  const log = await begin(place)
  const stored = storedEvidence(evidence)
  const entry = {
    kind: 'release',
    method: 'GetAppKey',
    quote: '00',
    boot: loggedBoot(boot),
    block: loggedBlock(decision.block),
    proof: stored.digest,
    epochs: decision.epochs ?? null,
    ...changed,
  } as Entry
  await log.append(entry, stored)
  await log.close()
  const names = (await readdir(place.folder)).filter((name) => name.endsWith('.log'))
  return Promise.all(
    names.map(async (name) => ({ name, content: await readFile(join(place.folder, name)) })),
  )
}

const { identity } = deriveLogKey(rootKey, 'kms-1')
const problems = (files: readonly LogFile[]) =>
  verifyLog(files, { rootKey: toHex(identity.rootKey) }).problems.map(({ code, what }) => [
    code,
    what,
  ])

describe('a release', () => {
  test('during a migration: the old epoch for the old, both for the new', async () => {
    for (const [release, epochs] of [
      [older, { write: 1, read: 1 }],
      [newer, { write: 2, read: 1 }],
    ] as const) {
      const boot = bootOf(release)
      const decision = await decide('isAppAllowed', boot)

      expect(decision).toMatchObject({ allowed: true, epochs })
      expect(problems(await write(decision, boot, {}))).toEqual([])
    }
  })

  test('with an epoch that was not granted, or none, is found', async () => {
    const cases: [Hex, object | null][] = [
      [older, { write: 2, read: 1 }],
      [older, { write: 2, read: 2 }],
      [newer, { write: 1, read: 1 }],
      [newer, { write: 2, read: 0 }],
      [newer, { write: 3, read: 2 }],
      [newer, { write: 2, read: 3 }],
      [newer, { write: 2 }],
      [newer, null],
    ]
    for (const [release, epochs] of cases) {
      const boot = bootOf(release)
      const found = problems(await write(await decide('isAppAllowed', boot), boot, { epochs }))

      expect(found, JSON.stringify(epochs)).toEqual([
        ['NOT_GRANTED', expect.stringContaining('granted were')],
      ])
    }
  })

  test('of the epoch before, written down after the migration, is found', async () => {
    const boot = bootOf(newer)
    const decision = await decide('isAppAllowed', boot)
    const late = (epochs: object) => write(decision, boot, { epochs }, end + 120)

    expect(problems(await late({ write: 2, read: 1 }))).toHaveLength(1)
    expect(problems(await late({ write: 2, read: 2 }))).toEqual([])
  })

  test('of another app, image or release than its evidence shows is found', async () => {
    const boot = bootOf(newer)
    const decision = await decide('isAppAllowed', boot)
    for (const [name, value] of [
      ['appId', '77'.repeat(20)],
      ['osImageHash', '77'.repeat(32)],
      ['composeHash', '77'.repeat(32)],
      ['composeHash', 'xx'],
    ] as const) {
      const changed = { boot: { ...loggedBoot(boot), [name]: value } }
      expect(problems(await write(decision, boot, changed))[0]?.[0], name).toBe('NOT_GRANTED')
    }
  })

  test('of what the chain denied is found', async () => {
    const boot = { ...bootOf(newer), osImageHash: new Uint8Array(32).fill(9) }
    const decision = await decide('isAppAllowed', boot)

    expect(decision).toMatchObject({ allowed: false })
    expect(problems(await write(decision, boot, { epochs: { write: 2, read: 1 } }))).toEqual([
      ['NOT_GRANTED', expect.stringContaining('osImage')],
    ])
  })
})

describe('root keys', () => {
  const handover = { kind: 'handover', method: 'GetKmsKey' }

  test('to a KMS that was approved, and to one that was not', async () => {
    const boot = bootOf(newer)
    expect(problems(await write(await decide('isKmsAllowed', boot), boot, handover))).toEqual([])

    const other = { ...boot, mrAggregated: new Uint8Array(32).fill(9) }
    expect(problems(await write(await decide('isKmsAllowed', other), other, handover))).toEqual([
      ['NOT_GRANTED', expect.stringContaining('kmsMeasurement')],
    ])
  })
})
