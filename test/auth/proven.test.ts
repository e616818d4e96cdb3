/** The webhook from its settings: three endpoints, proofs, a memory, metrics. */

import { mkdtemp } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPublicClient, type EIP1193Provider, http, type PublicClient } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { authConfigPrefix, authConfigSchema } from '../../src/auth/config.ts'
import { type RunningAuth, startAuth } from '../../src/auth/service.ts'
import { noEnd } from '../../src/chain/approval.ts'
import { initCheckpoint, openChain } from '../../src/chain/boot/boot-config.ts'
import { readPinnedCode } from '../../src/chain/proven/pinning.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { loadConfig } from '../../src/lib/config.ts'
import { createLog } from '../../src/lib/log.ts'
import { type Anvil, findAnvil, startAnvil } from '../anvil.ts'
import { type Liar, type Lie, startLiar } from '../chain/malicious-endpoint.ts'
import { appCall, deployRegistries, kmsCall, type Registries } from '../chain/registries.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the webhook over proofs is NOT tested. ***\n')

const [release, image, device] = ['11', '22', '33'].map((byte): Hex => `0x${byte.repeat(32)}`) as [
  Hex,
  Hex,
  Hex,
]
const silent: Lie = () => (response: ServerResponse) => response.destroy()

let anvil: Anvil
let chain: Registries
let endpoints: Liar[]
let app: Hex
let settings: Record<string, unknown>
let now: number
let running: RunningAuth | undefined

beforeAll(async () => {
  if (absent) return
  anvil = await startAnvil({ args: ['--chain-id', '31337', '--slots-in-an-epoch', '1'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  chain = await deployRegistries({ request } as unknown as EIP1193Provider, 'anvil')
  endpoints = await Promise.all([1, 2, 3].map(() => startLiar(anvil.url)))
  app = await chain.createApp({ allowAnyDevice: true })
  await chain.send(chain.kmsAuth, kmsCall('addOsImageHash', [image]))
  await chain.send(chain.kmsAuth, kmsCall('setGatewayAppId', ['gateway']))
  await chain.send(chain.kmsAuth, kmsCall('setHosts', [chain.hosts, noEnd]))
  await chain.send(chain.kmsAuth, kmsCall('setImages', [chain.images, noEnd]))
  await chain.send(chain.kmsAuth, kmsCall('setHosts', [`0x${'00'.repeat(20)}`, noEnd]))
  await chain.send(app, appCall('addComposeHash', [release]))
  await chain.test.mine({ blocks: 4 })
  now = Number((await chain.client.getBlock()).timestamp)
  const client = createPublicClient({ transport: http(anvil.url) }) as PublicClient
  settings = {
    chainId: 31337,
    kmsContract: chain.kmsAuth,
    finality: 'finalized',
    maxBlockAgeSeconds: 300,
    chainView: {
      endpoints: endpoints.map(({ url }) => url),
      quorum: 2,
      checkpointFolder: join(await mkdtemp(join(tmpdir(), 'auth-')), 'chain'),
      refreshSeconds: 1,
      pinnedCode: await readPinnedCode(client, chain.kmsAuth, { hosts: chain.hosts }),
    },
  }
}, 120_000)
afterEach(async () => {
  await running?.stop()
  running = undefined
  for (const endpoint of endpoints ?? []) endpoint.lie = undefined
})
afterAll(async () => {
  await Promise.all((endpoints ?? []).map((endpoint) => endpoint.stop()))
  await anvil?.stop()
})

const configured = () =>
  loadConfig(authConfigSchema, {
    file: undefined,
    env: Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [
        `${authConfigPrefix}_${name.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase()}`,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    ),
    prefix: authConfigPrefix,
  })

async function start(): Promise<RunningAuth> {
  running = await startAuth({
    chain: openChain(await configured(), { clock: () => now }),
    outageStatus: 503,
    acceptMissingTeeVariant: false,
    requestsPerMinute: 1000,
    log: createLog({ service: 'auth', level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  })
  return running
}

async function ask({ url }: RunningAuth, composeHash = release) {
  const zeros = '00'.repeat(32)
  const body = {
    teeVariant: 'dstack-tdx',
    mrAggregated: zeros,
    mrSystem: zeros,
    osImageHash: image.slice(2),
    appId: app.slice(2),
    composeHash: composeHash.slice(2),
    instanceId: '',
    deviceId: device.slice(2),
    tcbStatus: 'UpToDate',
    advisoryIds: [],
  }
  const sent = { method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(`${url}/bootAuth/app`, sent)
  const { status, headers } = response
  const code = headers.get('x-assent-error')
  return { status, code, ...((await response.json()) as { isAllowed: boolean; reason: string }) }
}

const get = async ({ url }: RunningAuth, path: string) => {
  const response = await fetch(`${url}${path}`)
  return { status: response.status, text: await response.text() }
}

describe.skipIf(absent)('the auth webhook with a proven chain view', () => {
  test('does not answer without a trusted checkpoint, and answers after init-checkpoint', async () => {
    const auth = await start()
    expect(await ask(auth)).toMatchObject({ status: 503, code: 'CHAIN_CHECKPOINT_MISSING' })
    expect(await get(auth, '/health')).toEqual({
      status: 503,
      text: expect.stringMatching(/^CHAIN_CHECKPOINT_MISSING: .+\.$/),
    })

    await initCheckpoint(await configured(), { clock: () => now })
    expect(await ask(auth)).toMatchObject({ status: 200, isAllowed: true })
    await expect
      .poll(() => get(auth, '/health'), { timeout: 5_000 })
      .toEqual({
        status: 200,
        text: 'OK',
      })
    expect(await ask(auth, `0x${'77'.repeat(32)}`)).toMatchObject({
      status: 200,
      isAllowed: false,
      reason: 'Compose hash not allowed',
    })
  })

  test('exports metrics of the chain snapshot and of endpoints that differ', async () => {
    const [first] = endpoints
    if (first) first.lie = silent
    const auth = await start()
    await ask(auth)
    const { text } = await get(auth, '/metrics')
    const finalized = await chain.client.getBlock({ blockTag: 'finalized' })

    expect(text).toContain(`assent_auth_chain_view_height ${finalized.number}\n`)
    expect(text).toContain(`assent_auth_chain_view_timestamp_seconds ${finalized.timestamp}\n`)
    expect(text).toContain('assent_auth_chain_endpoints_out_of_quorum 1\n')
    expect(text).toMatch(
      /chain_endpoint_faults_total\{endpoint="1:[^"]+",code="CHAIN_UNREACHABLE"\} [1-9]/,
    )
  })

  test('reports an outage when too few endpoints agree or the block is too old', async () => {
    for (const endpoint of endpoints.slice(1)) endpoint.lie = silent
    const auth = await start()
    expect(await ask(auth)).toMatchObject({ status: 503, code: 'CHAIN_NO_AGREEMENT' })
    expect((await get(auth, '/metrics')).text).toContain(
      'assent_auth_chain_refresh_failures_total{code="CHAIN_NO_AGREEMENT"} 1\n',
    )
    for (const endpoint of endpoints) endpoint.lie = undefined
    const before = now
    now += 400
    expect(await ask(auth)).toMatchObject({ status: 503, code: 'CHAIN_STALE' })
    now = before
  })
})

describe.skipIf(absent)('settings of the auth webhook', () => {
  test.each([
    ['one endpoint', { endpoints: ['https://a'] }],
    ['one endpoint twice', { endpoints: ['https://a', 'https://a'] }],
    ['a quorum of one by number', { quorum: 1 }],
    ['no code of proxies', { pinnedCode: { proxy: [] } }],
    ['no checkpoint folder', { checkpointFolder: undefined }],
    ['a word more', { trustEverything: true }],
  ])('with %s are refused', async (_, changed) => {
    const kept = settings
    settings = { ...kept, chainView: { ...(kept.chainView as object), ...changed } }
    try {
      await expect(configured()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    } finally {
      settings = kept
    }
  })
})
