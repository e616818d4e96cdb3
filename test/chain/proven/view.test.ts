/** What a view of the chain does with time, finality, restarts and endpoints that differ. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { network } from 'hardhat'
import type { EIP1193Provider } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { noEnd } from '../../../src/chain/approval.ts'

import type { ChainEvent, EvaluatedBoot, Finality } from '../../../src/chain/boot/boot.ts'
import { openCheckpoint, volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import type { Endpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { type ChainView, openView } from '../../../src/chain/proven/view.ts'
import type { ViewOptions } from '../../../src/chain/proven/view-context.ts'
import { AssentError } from '../../../src/errors/index.ts'
import { fromHex, type Hex } from '../../../src/lib/bytes.ts'
import { providerEndpoint } from '../endpoints.ts'
import { compile, fakeKmsSource } from '../fakes.ts'
import { appCall, deployRegistries, kmsCall, type Registries } from '../registries.ts'

/** What an endpoint knows so far; `down`: it does not answer. */
type Knowledge = { latest: bigint; safe: bigint; finalized: bigint } | 'down'

let connection: Awaited<ReturnType<typeof network.create>>
let provider: EIP1193Provider
let chain: Registries
let knowledge: Knowledge[]
let asked: string[]
let now: number
let app: Hex
let foreign: Hex
/** Heights: before anything was approved, after, and after the release was withdrawn again. */
let nothing: bigint
let approved: bigint
let withdrawn: bigint

const release = `0x${'11'.repeat(32)}` as const
const image = `0x${'22'.repeat(32)}` as const
const device = `0x${'33'.repeat(32)}` as const

beforeAll(async () => {
  connection = await network.create()
  provider = connection.provider as unknown as EIP1193Provider
  chain = await deployRegistries(provider, 'hardhat')
  app = await chain.createApp({ allowAnyDevice: true })
  const { FakeKms } = compile(fakeKmsSource)
  foreign = await chain.deployCode(FakeKms?.bytecode as Hex)
  const { kmsAuth, send, client } = chain
  await send(kmsAuth, kmsCall('addOsImageHash', [image]))
  await send(kmsAuth, kmsCall('registerApp', [foreign]))
  nothing = await client.getBlockNumber()
  await send(app, appCall('addComposeHash', [release]))
  approved = await client.getBlockNumber()
  await send(app, appCall('removeComposeHash', [release]))
  withdrawn = await client.getBlockNumber()
})
afterAll(() => connection.close())

beforeEach(async () => {
  knowledge = [at(approved), at(approved), at(approved)]
  asked = []
  now = (await timeOf(withdrawn)) + 10
})

/** Everything is final that is known. */
const at = (height: bigint) => ({ latest: height, safe: height, finalized: height })
const timeOf = async (blockNumber: bigint) =>
  Number((await chain.client.getBlock({ blockNumber })).timestamp)

function endpoint(index: number): Endpoint {
  const real = providerEndpoint(provider, `${index}`)
  return {
    name: `${index}`,
    request: async (method, params, result) => {
      asked.push(method)
      const known = knowledge[index]
      if (known === undefined || known === 'down') {
        throw new AssentError('CHAIN_TIMEOUT', 'It is down.')
      }
      const [first] = params
      const isTag = typeof first === 'string' && first in known
      const height = isTag ? known[first as keyof typeof known] : undefined
      const sent = height === undefined ? params : [`0x${height.toString(16)}`, ...params.slice(1)]
      return real.request(method, sent, result)
    },
  }
}

function look(changed: Partial<ViewOptions> & { finality?: Finality } = {}): ChainView {
  const endpoints = [0, 1, 2].map(endpoint)
  const { finality = 'finalized', ...options } = changed
  return openView({
    chainId: 31337,
    kms: chain.kmsAuth,
    pinned: chain.pinned,
    source: agreedHeaders({ endpoints, required: 2, chainId: 31337, finality }),
    endpoints,
    required: 2,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 100,
    refreshSeconds: 60,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => now,
    ...options,
  })
}

const bootOf = (appId: Hex = app): EvaluatedBoot => ({
  appId: fromHex(appId, 'app'),
  composeHash: fromHex(release, 'release'),
  instanceId: new Uint8Array(0),
  deviceId: fromHex(device, 'device'),
  mrAggregated: new Uint8Array(32),
  mrSystem: new Uint8Array(32),
  osImageHash: fromHex(image, 'image'),
  tcbStatus: 'UpToDate',
  advisoryIds: [],
})
const ask = (view: ChainView, appId?: Hex) => view.authorize('isAppAllowed', bootOf(appId))

describe('an approval', () => {
  const spread = { latest: 0n, safe: 0n, finalized: 0n }

  test.each([
    ['finalized', 'finalized', false],
    ['safe', 'safe', true],
    ['one confirmation', { confirmations: 1 }, true],
    ['two confirmations', { confirmations: 2 }, false],
  ] as const)('counts as soon as its block is %s', async (_, finality, allowed) => {
    // the head is one block after the safe block, which is one block after the final block
    Object.assign(spread, { latest: approved + 1n, safe: approved, finalized: nothing })
    knowledge = [spread, spread, spread]
    const view = look({ finality, withdrawals: 'insecure-wait-until-final' })

    expect(await ask(view)).toMatchObject({ allowed })
  })

  test('is an outage on a chain shorter than the confirmations', async () => {
    await expect(ask(look({ finality: { confirmations: 10_000 } }))).rejects.toMatchObject({
      code: 'CHAIN_NO_AGREEMENT',
    })
  })
})

describe('a withdrawal', () => {
  test('denies as soon as one endpoint shows it', async () => {
    knowledge[2] = { ...at(approved), latest: withdrawn }

    expect(await ask(look())).toMatchObject({
      allowed: false,
      refusedBy: 'unconfirmed-withdrawal',
      reason: 'Compose hash not allowed',
      block: { number: withdrawn },
    })
  })

  test('waits for finality if configured', async () => {
    const waiting = () => look({ withdrawals: 'insecure-wait-until-final' })
    knowledge[2] = { ...at(approved), latest: withdrawn }
    expect(await ask(waiting())).toMatchObject({ allowed: true })

    knowledge = [at(withdrawn), at(withdrawn), at(approved)]
    expect(await ask(waiting())).toMatchObject({ allowed: false, refusedBy: 'contract-rules' })
  })

  test('can be simulated by an endpoint that lags a little', async () => {
    knowledge[2] = at(nothing)

    expect(await ask(look())).toMatchObject({ refusedBy: 'unconfirmed-withdrawal' })
  })

  test('is ignored from an endpoint that is far behind the final block', async () => {
    const late = { ...bootOf(), composeHash: new Uint8Array(32).fill(0x66) }
    await chain.pass(500)
    await chain.send(app, appCall('addComposeHash', [`0x${'66'.repeat(32)}`]))
    const height = await chain.client.getBlockNumber()
    now = await timeOf(height)
    knowledge = [at(height), at(height), at(nothing)]

    expect(await look().authorize('isAppAllowed', late)).toMatchObject({ allowed: true })
  })

  test('is checked in every snapshot, and an approval never counts early', async () => {
    knowledge = [at(nothing), at(nothing), { ...at(nothing), latest: approved }]

    expect(await ask(look())).toMatchObject({ allowed: false, refusedBy: 'contract-rules' })
  })
})

describe('a final block', () => {
  test('that is too old by the local clock decides nothing', async () => {
    const view = look()
    expect(await ask(view)).toMatchObject({ allowed: true })
    now = (await timeOf(approved)) + 101

    // without another look: time passes between them
    const before = asked.length
    await expect(ask(view)).rejects.toMatchObject({ code: 'CHAIN_STALE' })
    expect(asked.length).toBe(before)
    await expect(ask(look())).rejects.toMatchObject({ code: 'CHAIN_STALE' })
  })

  test('from the future decides nothing', async () => {
    now = (await timeOf(approved)) - 16

    await expect(ask(look())).rejects.toMatchObject({ code: 'CHAIN_FROM_FUTURE' })
  })

  test('does not allow an approval that ended after it or starts after it', async () => {
    const { kmsAuth, send, client } = chain
    const other = `0x${'44'.repeat(32)}` as const
    const start = Number((await client.getBlock()).timestamp)
    const approve = (id: Hex, activeFrom: number, expiresAt: number) =>
      send(
        kmsAuth,
        kmsCall('approve', [[{ kind: 0, id, activeFrom, expiresAt, evidence: '0x' }], noEnd]),
      )
    await approve(other, 0, start + 50)
    await send(app, appCall('addComposeHash', [`0x${'55'.repeat(32)}`]))
    const height = await client.getBlockNumber()
    knowledge = [at(height), at(height), at(height)]
    const boot = {
      ...bootOf(),
      composeHash: new Uint8Array(32).fill(0x55),
      osImageHash: fromHex(other, 'image'),
    }

    now = start + 49
    expect(await look().authorize('isAppAllowed', boot)).toMatchObject({ allowed: true })
    now = start + 50
    expect(await look().authorize('isAppAllowed', boot)).toMatchObject({
      allowed: false,
      reason: 'OS image is not allowed',
    })
  })
})

describe('a restarted view', () => {
  let folder: string
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'view-')), 'chain')
  })
  const remembering = (): Partial<ViewOptions> => ({
    checkpoint: openCheckpoint({
      folder,
      chainId: 31337,
      kms: chain.kmsAuth,
      key: new Uint8Array(32),
    }),
  })

  test('needs a trusted checkpoint', async () => {
    await expect(ask(look(remembering()))).rejects.toMatchObject({
      code: 'CHAIN_CHECKPOINT_MISSING',
    })
    await look(remembering()).bootstrap()

    expect(await ask(look(remembering()))).toMatchObject({ allowed: true })
    await expect(look(remembering()).bootstrap()).rejects.toMatchObject({
      code: 'CHAIN_CHECKPOINT_EXISTS',
    })
  })

  test('never goes back to a block before the checkpoint', async () => {
    await look(remembering()).bootstrap()
    knowledge = [at(withdrawn), at(withdrawn), at(withdrawn)]
    expect(await ask(look(remembering()))).toMatchObject({ allowed: false })

    // every endpoint says now what was true before
    knowledge = [at(approved), at(approved), at(approved)]
    await expect(ask(look(remembering()))).rejects.toMatchObject({ code: 'CHAIN_BEHIND_MEMORY' })
    await rm(folder, { recursive: true })
    await expect(ask(look(remembering()))).rejects.toMatchObject({
      code: 'CHAIN_CHECKPOINT_MISSING',
    })
  })

  test('uses the checkpoint that another process wrote at once', async () => {
    await look(remembering()).bootstrap()
    const view = look({ ...remembering(), refreshSeconds: 0 })
    await ask(view)
    knowledge = [at(withdrawn), at(withdrawn), at(withdrawn)]
    await ask(look(remembering()))

    knowledge = [at(approved), at(approved), at(approved)]
    await expect(ask(view)).rejects.toMatchObject({ code: 'CHAIN_BEHIND_MEMORY' })
  })
})

describe('an outage', () => {
  test('is an error and never a denial', async () => {
    knowledge = ['down', 'down', at(approved)]
    const view = look()

    await expect(ask(view)).rejects.toMatchObject({
      code: 'CHAIN_NO_AGREEMENT',
      facts: { required: 2 },
    })
    expect(view.trouble?.()).toBe('CHAIN_NO_AGREEMENT')
    knowledge = [at(approved), 'down', at(approved)]
    expect(await ask(view)).toMatchObject({ allowed: true })
    expect(view.trouble?.()).toBeUndefined()
  })

  test('is reported to observers with the endpoint that differs', async () => {
    const events: ChainEvent[] = []
    const view = look()
    view.watch?.((event) => events.push(event))
    knowledge = [at(approved), 'down', at(approved)]
    await ask(view)

    expect(events).toEqual([
      {
        kind: 'looked',
        block: expect.objectContaining({ number: approved }),
        disagreeing: [{ endpoint: '1', code: 'CHAIN_TIMEOUT' }],
      },
    ])
  })

  test('of the checkpoint storage prevents decisions', async () => {
    const memory = {
      ...volatileCheckpoint(),
      write: () =>
        Promise.reject(new AssentError('CHAIN_CHECKPOINT_UNWRITABLE', 'The disk is full.')),
    }

    await expect(ask(look({ checkpoint: memory }))).rejects.toMatchObject({
      code: 'CHAIN_CHECKPOINT_UNWRITABLE',
    })
  })
})

describe('a chain snapshot', () => {
  test('is shared by concurrent requests', async () => {
    const view = look()
    await Promise.all(Array.from({ length: 50 }, () => ask(view)))
    const first = asked.filter((method) => method === 'eth_getProof').length
    await Promise.all(Array.from({ length: 50 }, () => ask(view)))

    expect(asked.filter((method) => method === 'eth_chainId')).toHaveLength(3)
    expect(first).toBeLessThan(12)
    expect(asked.filter((method) => method === 'eth_getProof')).toHaveLength(first)
  })
})

describe('the newest epoch of an address', () => {
  const newest = (view: ChainView, address: Hex, beforeRequest?: () => void) =>
    view.newestEpoch?.(fromHex(address, 'app'), beforeRequest)
  const proofs = () => asked.filter((method) => method === 'eth_getProof').length

  test('that was never registered needs no proof of its account', async () => {
    const view = look()
    await view.facts()
    expect(await newest(view, `0x${'01'.repeat(20)}`)).toBeUndefined()
    const before = proofs()
    for (let id = 2; id < 250; id++) {
      const address = `0x${id.toString(16).padStart(2, '0').repeat(20)}` as const
      expect(await newest(view, address)).toBeUndefined()
    }

    // only the missing nodes of the storage of KmsAuth
    expect(proofs() - before).toBeLessThan(30)
    expect(await newest(view, app)).toBe(1)
  })

  test('is not requested if the caller may not cause a request', async () => {
    const view = look()
    await view.facts()
    const before = asked.length
    const refuse = () => {
      throw new AssentError('KMS_OVERLOADED', 'Too many.')
    }
    const code = 'KMS_OVERLOADED'

    await expect(newest(view, app, refuse)).rejects.toMatchObject({ code })
    expect(asked).toHaveLength(before)
    let requests = 0
    expect(await newest(view, app, () => void requests++)).toBe(1)
    expect(requests).toBeGreaterThan(0)
    // known now, so no request is needed
    expect(await newest(view, app, refuse)).toBe(1)
  })
})

describe('a foreign app', () => {
  const executing: Partial<ViewOptions> = { foreignApps: 'insecure-execute' }

  test('is refused', async () => {
    expect(await ask(look(), foreign)).toMatchObject({ allowed: false, refusedBy: 'foreign-app' })
  })

  test('is executed by the endpoints if configured, and the evidence says so', async () => {
    expect(await ask(look(executing), foreign)).toMatchObject({
      allowed: true,
      evidence: { executedBy: ['0', '1', '2'] },
    })
  })
})
