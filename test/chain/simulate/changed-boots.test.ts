/** The predicted changes of boots are what KmsAuth answers on anvil, with and without the real execution. */
import { createPublicClient, http, type PublicClient, sha256, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { hostsAbi, kmsAuthAbi } from '../../../src/chain/abi.ts'
import { appKey } from '../../../src/chain/approval.ts'
import { type Call, callOf, sendCall } from '../../../src/chain/call.ts'
import * as settings from '../../../src/chain/governance/settings.ts'
import { hostReportData } from '../../../src/chain/registries/hosts.ts'
import * as registry from '../../../src/chain/registries/registry.ts'
import {
  type ChangedBoots,
  compareBoots,
} from '../../../src/chain/simulate/changed-boots/compare-boots.ts'
import {
  type BootList,
  type ListedBoot,
  listBoots,
  unlistedDevice,
  unlistedMeasurements,
} from '../../../src/chain/simulate/changed-boots/list-boots.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { findAnvil } from '../../anvil.ts'
import { chainTime } from '../dao.ts'
import { encodeReport } from '../registries.ts'
import {
  appData,
  createLocalDao,
  executeQueued,
  idOf as id,
  type LocalDao,
  never,
  proposeAndSimulate,
  voteAndQueue,
} from './local-dao.ts'

const absent = findAnvil() === undefined
const day = 86_400
const images = [id('a1'), id('a2'), id('a3')] as const
const hosts = [id('d1'), id('d2')] as const
const releases = [id('c1'), id('c2'), id('c3')] as const
const registers: Hex = `0x${'01'.repeat(192)}`
const mrSystem = sha256(`${registers}${'00'.repeat(32)}`)

let dao: LocalDao
/** Sends many questions in one request. */
let batched: PublicClient
/** Allows any device, and one that lists its devices. */
let apps: readonly [Hex, Hex]

async function prepare(): Promise<void> {
  dao = await createLocalDao()
  const transport = http(dao.anvil.url, { batch: { batchSize: 500 } })
  batched = createPublicClient({ transport, cacheTime: 0 })
  const { addresses, publicClient, clients, deploy } = dao
  const { kmsAuth } = addresses
  const registryOfHosts = addresses.hosts as Hex
  const owner = addresses.timelock
  const create = async (allowAnyDevice: boolean) => {
    const call = registry.deployAndRegisterApp(kmsAuth, { owner, allowAnyDevice })
    return registry.deployedApp(await sendCall(clients.stranger, call)).toLowerCase() as Hex
  }
  apps = [await create(true), await create(false)]
  const now = await chainTime(publicClient)
  await dao.decide(
    [
      registry.approve(
        kmsAuth,
        [
          { kind: 'osImage', id: images[0] },
          { kind: 'osImage', id: images[1], expiresAt: now + 10 * day },
          { kind: 'kmsMeasurement', id: id('b1') },
          { kind: 'kmsMeasurement', id: id('b2'), expiresAt: now + 5 * day },
          { kind: 'kmsDevice', id: hosts[0] },
        ],
        never,
      ),
      registry.approve(
        registryOfHosts,
        hosts.map((each) => ({ kind: 'host' as const, id: each })),
        never,
      ),
      settings.setVerifier(registryOfHosts, await deploy('AcceptingVerifier'), never),
    ],
    'Set up',
  )
  await dao.decide(
    [
      ...apps.map((app) =>
        registry.approve(
          app,
          [
            { kind: 'release', id: releases[0] },
            { kind: 'release', id: releases[1], expiresAt: now + 20 * day },
          ],
          never,
        ),
      ),
      registry.approve(apps[1], [{ kind: 'device', id: hosts[0] }], never),
      callOf(kmsAuth, kmsAuthAbi, 'setActivationDelay', [0, 3_600, never], 'a delay for images'),
    ],
    'Releases',
  )
  for (const [index, deviceId] of hosts.entries()) await prove(deviceId, index + 1)
}

/** Registers a host with this TCB status; the test's verifier accepts any report. */
async function prove(deviceId: Hex, status: number): Promise<void> {
  const { addresses, publicClient, clients } = dao
  const { number: head, timestamp } = await publicClient.getBlock()
  const { number, hash } = await publicClient.getBlock({ blockNumber: head - 1n })
  const operator = clients.stranger.walletClient.account.address
  const binding = {
    chainId: 31337,
    registry: addresses.hosts as Hex,
    operator,
    block: { number, hash },
  }
  const quote = encodeReport({
    status,
    deviceId,
    reportData: hostReportData(binding),
    expiresAt: timestamp + 30n * BigInt(day),
  })
  await sendCall(
    clients.stranger,
    callOf(addresses.hosts as Hex, hostsAbi, 'register', [quote, number], 'prove a host'),
  )
}

interface Case {
  readonly name: string
  readonly calls: () => Promise<readonly Call[]> | readonly Call[]
  readonly losses: number
  readonly gains: number
}

const cases: readonly Case[] = [
  {
    name: 'revokes an image',
    calls: () => [registry.revoke(dao.addresses.kmsAuth, 'osImage', [images[0]])],
    losses: 6,
    gains: 0,
  },
  {
    name: 'approves an image that becomes active after its delay and ends',
    calls: async () => [
      registry.approve(
        dao.addresses.kmsAuth,
        [
          {
            kind: 'osImage',
            id: images[2],
            expiresAt: (await chainTime(dao.publicClient)) + 3 * day,
          },
        ],
        never,
      ),
    ],
    losses: 0,
    gains: 6,
  },
  {
    name: 'requires a host registry, and shortens a host',
    calls: async () => [
      registry.setHosts(dao.addresses.kmsAuth, dao.addresses.hosts as Hex),
      registry.shorten(
        dao.addresses.hosts as Hex,
        'host',
        [hosts[1]],
        (await chainTime(dao.publicClient)) + 2 * day,
      ),
    ],
    losses: -1,
    gains: -1,
  },
  {
    name: 'lets boots run on any host',
    calls: () => [registry.setHosts(dao.addresses.kmsAuth, zeroAddress)],
    losses: -1,
    gains: -1,
  },
  {
    name: 'closes an image except for one measurement set',
    calls: () => {
      const registryOfImages = dao.addresses.images as Hex
      const set = {
        osImageHash: images[0],
        variant: 0,
        registers,
        activeFrom: 0,
        expiresAt: 0,
        evidence: '0x' as Hex,
      }
      return [
        settings.setImages(dao.addresses.kmsAuth, registryOfImages, never),
        settings.approveMeasurementSets(registryOfImages, [set], never),
        settings.closeImages(registryOfImages, [images[0]]),
      ]
    },
    losses: -1,
    gains: 0,
  },
  {
    name: 'ends old releases in a week, requires TCB UpToDate, and adds a release',
    calls: async () => [
      registry.addComposeHash(apps[0], releases[2]),
      {
        to: apps[0],
        data: appData('supersede', [2, (await chainTime(dao.publicClient)) + 7 * day, false]),
        summary: 'supersede',
      },
      { to: apps[0], data: appData('setRequireTcbUpToDate', [true]), summary: 'tcb' },
      { to: apps[1], data: appData('setAllowAnyDevice', [true]), summary: 'any' },
    ],
    losses: -1,
    gains: -1,
  },
  {
    name: 'withdraws a KMS measurement, suspends a KMS device and an app',
    calls: () => {
      const { kmsAuth } = dao.addresses
      return [
        registry.withdraw(kmsAuth, 'kmsMeasurement', [id('b1')]),
        registry.suspend(kmsAuth, 'kmsDevice', [hosts[0]]),
        registry.suspend(kmsAuth, 'app', [appKey(apps[0])]),
      ]
    },
    losses: -1,
    gains: 0,
  },
  {
    name: 'changes only a voting parameter',
    calls: () => settings.setVoting(dao.addresses, { votingDelay: 12 }),
    losses: 0,
    gains: 0,
  },
]

/** Every boot of the parts in this test, and of things that nothing names. */
function everyBoot(): ListedBoot[] {
  const none = id('00')
  const devices = [...hosts, unlistedDevice]
  const boots: ListedBoot[] = []
  for (const osImageHash of images) {
    for (const deviceId of devices) {
      for (const mrAggregated of [id('b1'), id('b2')]) {
        boots.push({
          bootOf: 'kms',
          appId: zeroAddress,
          composeHash: none,
          mrSystem: none,
          mrAggregated,
          deviceId,
          osImageHash,
          tcbStatus: 'UpToDate',
        })
      }
      for (const appId of [...apps, dao.app]) {
        for (const composeHash of releases) {
          for (const system of [mrSystem, unlistedMeasurements]) {
            for (const tcbStatus of statusesOf(deviceId)) {
              boots.push({
                bootOf: 'app',
                appId,
                composeHash,
                mrSystem: system,
                mrAggregated: none,
                deviceId,
                osImageHash,
                tcbStatus,
              })
            }
          }
        }
      }
    }
  }
  return boots
}

function statusesOf(deviceId: Hex): string[] {
  if (deviceId === hosts[0]) return ['UpToDate']
  return deviceId === hosts[1] ? ['SWHardeningNeeded'] : ['UpToDate', 'OutOfDate']
}

async function ask({ bootOf, ...boot }: ListedBoot): Promise<boolean> {
  const [allowed] = await batched.readContract({
    address: dao.addresses.kmsAuth,
    abi: kmsAuthAbi,
    functionName: bootOf === 'app' ? 'isAppAllowed' : 'isKmsAllowed',
    args: [{ ...boot, instanceId: zeroAddress, advisoryIds: [] }],
  })
  return allowed
}

/** The answers to every boot at each time; the chain is left at the last one. */
async function answersAt(boots: readonly ListedBoot[], times: readonly number[]) {
  const answers: boolean[][] = []
  for (const time of times) {
    const { timestamp } = await dao.publicClient.getBlock()
    if (timestamp < BigInt(time)) {
      await dao.anvil.client.setNextBlockTimestamp({ timestamp: BigInt(time) })
      await dao.anvil.client.mine({ blocks: 1 })
    }
    answers.push(await Promise.all(boots.map(ask)))
  }
  return answers
}

/** What the prediction says about one boot: the listed boot that stands for it, at this time. */
function predicted(changed: ChangedBoots, list: BootList, boot: ListedBoot, time: number) {
  const same = (name: keyof ListedBoot, other: ListedBoot) => other[name] === boot[name]
  const names = ['bootOf', 'appId', 'composeHash', 'osImageHash', 'mrAggregated'] as const
  const alike = list.boots.filter((each) => names.every((name) => same(name, each)))
  // a listed boot with the very value, else the one that stands for all others
  const narrow = (name: 'deviceId' | 'mrSystem' | 'tcbStatus', other: string) => {
    return (among: ListedBoot[]) => {
      const found = among.filter((each) => same(name, each))
      return found.length > 0 ? found : among.filter((each) => each[name] === other)
    }
  }
  const steps = [
    narrow('deviceId', unlistedDevice),
    narrow('mrSystem', unlistedMeasurements),
    // an app that does not ask for the status is listed with one
    (among: ListedBoot[]) => (among.length === 1 ? among : narrow('tcbStatus', 'OutOfDate')(among)),
  ]
  const [representative] = steps.reduce((among, step) => step(among), alike)
  const isIn = ({ boot: each, periods }: ChangedBoots['losses'][number]) =>
    each === representative &&
    periods.some(({ from, until = Number.POSITIVE_INFINITY }) => from <= time && time < until)
  return { lost: changed.losses.some(isIn), gained: changed.gains.some(isIn) }
}

describe.skipIf(absent)('the boots that a proposal changes', () => {
  beforeEach(prepare)
  afterEach(() => dao?.anvil.stop())

  test.each(cases)('is what KmsAuth answers: $name', async ({ name, calls, losses, gains }) => {
    const { addresses, publicClient, anvil } = dao
    const { chain, before, facts, simulation } = await proposeAndSimulate(dao, await calls(), name)
    expect(simulation.failure).toBeUndefined()
    const { executedAt } = simulation

    const states = { before, after: chain, at: executedAt }
    const logs = simulation.events
    const list = await listBoots(states, { client: publicClient, addresses, logs })
    const changed = await compareBoots(states, list, { kmsAuth: addresses.kmsAuth })

    expect(changed.omitted).toEqual([])
    if (losses >= 0) expect(changed.losses).toHaveLength(losses)
    if (gains >= 0) expect(changed.gains).toHaveLength(gains)

    // the truth: each second around the times that a period names, with and without the execution
    const edges = [...changed.losses, ...changed.gains].flatMap(({ periods }) =>
      periods.flatMap(({ from, until }) => [from, until ?? from]),
    )
    const fixed = [executedAt, executedAt + 3_600, executedAt + 40 * day]
    const times = [...new Set([...edges.flatMap((time) => [time - 1, time]), ...fixed])]
      .filter((time) => time >= executedAt)
      .sort((a, b) => a - b)
    const boots = everyBoot()
    await voteAndQueue(dao, facts, simulation)
    const snapshot = await anvil.client.snapshot()
    const without = await answersAt(boots, times)
    await anvil.client.revert({ id: snapshot })
    await executeQueued(dao, facts, simulation)
    const with_ = await answersAt(boots, times)

    for (const [index, time] of times.entries()) {
      for (const [at, boot] of boots.entries()) {
        const [was, is] = [without[index]?.[at], with_[index]?.[at]]
        expect({ boot, time, ...predicted(changed, list, boot, time) }).toEqual({
          boot,
          time,
          lost: was === true && is === false,
          gained: was === false && is === true,
        })
      }
    }
  })
})
