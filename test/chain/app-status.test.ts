/** The state of an app with everything that is pending, on a live chain: no ended release is called active. */

import { network } from 'hardhat'
import { type EIP1193Provider, keccak256, toHex } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { noEnd } from '../../src/chain/approval.ts'
import { announce, setAllowAnyDevice } from '../../src/chain/registries/app.ts'
import { readAppStatus } from '../../src/chain/why/app-status.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { appCall, deployRegistries, kmsCall, type Registries } from './registries.ts'

const id = (name: string): Hex => keccak256(toHex(name))
const releases = ['one', 'two', 'three'].map(id) as [Hex, Hex, Hex]

let world: Registries
let app: Hex

beforeAll(async () => {
  const { provider } = (await network.create()) as unknown as { provider: EIP1193Provider }
  world = await deployRegistries(provider, 'hardhat')
  app = await world.createApp()
  for (const release of releases) await world.send(app, appCall('addComposeHash', [release]))
})

const timeOfChain = async () => Number((await world.client.getBlock()).timestamp)
const read = async (now?: number) =>
  readAppStatus(world.client, app, { fromBlock: 0n, now: now ?? (await timeOfChain()) })

describe('app status', () => {
  test('shows the end of a release before the supersession takes effect', async () => {
    const end = (await timeOfChain()) + 1_000
    await world.send(app, appCall('supersede', [2, end, true]))
    const { releases: shown, upcoming } = await read()

    expect(shown.map(({ state, endsAt }) => [state, endsAt])).toEqual([
      ['active', end],
      ['active', null],
      ['active', null],
    ])
    expect(shown[0]?.found).toContain('superseded by release 2 from')
    expect(upcoming).toEqual([{ at: end, what: 'release 1 ends' }])
    await world.pass(2_000)
    const [first] = (await read()).releases
    expect(first).toMatchObject({
      state: 'superseded',
      endsAt: null,
      epochs: { write: 0, read: 0 },
    })
    expect(first?.found).toMatch(/^superseded since/)
  })

  test('shows an earlier supersession while a later one is pending', async () => {
    const end = (await timeOfChain()) + 1_000
    await world.send(app, appCall('supersede', [3, end, false]))
    const { releases: shown } = await read()

    expect(shown.map(({ state, endsAt }) => [state, endsAt])).toEqual([
      ['superseded', null],
      ['active', end],
      ['active', null],
    ])
  })

  test('shows when a device becomes active and when it expires', async () => {
    const now = await timeOfChain()
    const device = id('device')
    const terms = {
      kind: 5,
      id: device,
      activeFrom: now + 500,
      expiresAt: now + 900,
      evidence: '0x',
    }
    await world.send(app, kmsCall('approve', [[terms], noEnd]))
    const { devices, upcoming } = await read()

    expect(devices).toMatchObject([{ id: device, state: 'pending', endsAt: null }])
    expect(upcoming[0]).toEqual({ at: now + 500, what: `device ${device} becomes active` })
    const later = await read(now + 600)
    expect(later.devices).toMatchObject([{ state: 'active', endsAt: now + 900 }])
  })

  test('shows the end of a suspension and of an approval, but nothing that is past', async () => {
    const guarded = await world.createApp()
    const device = id('suspended')
    const now = await timeOfChain()
    const terms = { kind: 5, id: device, activeFrom: 0, expiresAt: now + 90_000, evidence: '0x' }
    await world.send(guarded, kmsCall('approve', [[terms], noEnd]))
    await world.send(
      guarded,
      kmsCall('setGuardian', [world.owner.walletClient.account.address, 3_600, noEnd]),
    )
    await world.send(guarded, kmsCall('suspend', [5, [device]]))
    const statusAt = async (time: number) =>
      readAppStatus(world.client, guarded, { fromBlock: 0n, now: time })
    const suspendedUntil = (await statusAt(now)).devices[0]?.approval.suspendedUntil ?? 0
    expect(suspendedUntil).toBeGreaterThan(now)

    const suspended = await statusAt(suspendedUntil - 1)
    expect(suspended.devices).toMatchObject([{ state: 'suspended', endsAt: null }])
    expect(suspended.upcoming).toEqual([
      { at: suspendedUntil, what: `the suspension of device ${device} ends` },
    ])
    const active = await statusAt(suspendedUntil)
    expect(active.devices).toMatchObject([{ state: 'active', endsAt: now + 90_000 }])
    expect(active.upcoming).toEqual([{ at: now + 90_000, what: `device ${device} ends` }])
    expect((await statusAt(now + 90_000)).upcoming).toEqual([])
  })

  test('shows an announced call and when it can be executed', async () => {
    await world.send(app, appCall('setNoticePeriod', [3_600]))
    const announced = announce(app, setAllowAnyDevice(app, true))
    await world.send(app, announced.data)
    await world.send(app, appCall('announce', [id('something else')]))
    const now = await timeOfChain()
    const { announcements, noticePeriod } = await read()

    expect(noticePeriod).toBe(3_600)
    expect(announcements.map(({ call }) => call)).toEqual(['any device: true', null])
    expect(announcements[0]?.from).toBeGreaterThan(now + 3_000)
    expect((await read(now + 40 * 86_400)).announcements).toEqual([])
  })
})
