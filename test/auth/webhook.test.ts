import { Writable } from 'node:stream'

import { network } from 'hardhat'
import { createPublicClient, custom, type Hex } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { createAuthMetrics } from '../../src/auth/metrics.ts'
import { type AuthOptions, createAuth, startAuth } from '../../src/auth/service.ts'
import { type BootChain, trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import { createLog } from '../../src/lib/log.ts'
import { compile, fakeKmsSource } from '../chain/fakes.ts'
import { readCommittedJson } from '../vectors.ts'

type Body = Record<string, unknown>

const { examples } = readCommittedJson<{ examples: { fixture: string; body: Body }[] }>(
  'dstack/auth/bootinfo-examples.json',
)
const body = examples[0]?.body ?? {}

let connection: Awaited<ReturnType<typeof network.create>>
let chain: BootChain
let setBehaviour: (value: string) => Promise<void>
let logged: string[]
let options: AuthOptions
let metrics: ReturnType<typeof createAuthMetrics>

beforeAll(async () => {
  connection = await network.create()
  const [wallet] = await connection.viem.getWalletClients()
  const client = await connection.viem.getPublicClient()
  const { FakeKms } = compile(fakeKmsSource)
  if (wallet === undefined || FakeKms === undefined) throw new Error('no chain')
  const hash = await wallet.deployContract(FakeKms)
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  setBehaviour = async (value) => {
    const { abi } = FakeKms
    const address = contractAddress as Hex
    await wallet.writeContract({ address, abi, functionName: 'setBehaviour', args: [value] })
  }
  chain = {
    client,
    chainId: await client.getChainId(),
    kms: contractAddress as Hex,
    finality: { confirmations: 0 },
    maxBlockAgeSeconds: 3600,
    timeoutMs: 2000,
    clock: () => Math.floor(Date.now() / 1000),
  }
})
afterAll(() => connection.close())

beforeEach(async () => {
  await setBehaviour('allow')
  logged = []
  metrics = createAuthMetrics()
  const destination = new Writable({
    write: (line, _encoding, done) => {
      logged.push(String(line))
      done()
    },
  })
  options = {
    chain: trustSingleEndpoint(chain),
    rpcUrl: 'https://user:hunter2@rpc.example/v3/secret-token',
    outageStatus: 503,
    acceptMissingTeeVariant: false,
    requestsPerMinute: 100_000,
    log: createLog({ service: 'auth', level: 'trace', destination }),
  }
})

async function post(sent: unknown, path = '/bootAuth/app', changed: Partial<AuthOptions> = {}) {
  const app = createAuth({ ...options, ...changed }, metrics)
  const text = typeof sent === 'string' ? sent : JSON.stringify(sent)
  const response = await app.request(path, { method: 'POST', body: text })
  return {
    status: response.status,
    outcome: response.headers.get('x-assent-outcome'),
    json: (await response.json()) as Body,
  }
}

describe('a decision of the auth webhook', () => {
  test.each(examples)('is returned for $fixture, as a dstack KMS posts it', async ({ body }) => {
    expect(await post(body)).toEqual({
      status: 200,
      outcome: 'allowed',
      json: { isAllowed: true, reason: '', gatewayAppId: 'gateway' },
    })
  })

  test('contains the reason of the contract and the gateway when it is a denial', async () => {
    await setBehaviour('deny')

    expect(await post(body)).toEqual({
      status: 200,
      outcome: 'denied',
      json: { isAllowed: false, reason: 'Device not allowed', gatewayAppId: 'gateway' },
    })
    expect(logged.join('')).toContain('"outcome":"denied"')
  })

  test('is a denial, not an outage, if the app contract reverts', async () => {
    await setBehaviour('revert')

    expect(await post(body)).toMatchObject({ status: 200, outcome: 'denied' })
    expect(await metrics.registry.metrics()).not.toMatch(/outages_total\{/)
  })

  test('asks the contract isKmsAllowed for /bootAuth/kms', async () => {
    await setBehaviour('self-deny')

    expect(await post(body, '/bootAuth/kms')).toMatchObject({
      json: { isAllowed: false, reason: 'Aggregated MR not allowed' },
    })
  })

  test('uses the zero address for an empty instance id', async () => {
    expect(await post({ ...body, instanceId: '' })).toMatchObject({ outcome: 'allowed' })
  })

  test('denies other TEEs without a request to the chain', async () => {
    for (const teeVariant of ['dstack-amd-sev-snp', 'dstack-gcp-tdx', 'dstack-aws-nitro-tpm', '']) {
      expect(await post({ ...body, teeVariant })).toMatchObject({ status: 200, outcome: 'denied' })
    }
    const { teeVariant: _, ...old } = body
    expect(await post(old)).toMatchObject({ outcome: 'denied' })
    expect(await post(old, '/bootAuth/app', { acceptMissingTeeVariant: true })).toMatchObject({
      outcome: 'allowed',
    })
  })
})

describe('the auth webhook reads the request of each dstack release', () => {
  const { teeVariant: _, ...shared } = body
  const registers = Object.fromEntries(
    ['mrtd', 'rtmr0', 'rtmr1', 'rtmr2', 'rtmr3'].map((name, i) => [name, `${i}${i}`.repeat(48)]),
  )
  const older = { ...registers, ...shared, eventLog: JSON.stringify([{ imr: 0 }]) }

  test.each([
    ['after v0.5.11: teeVariant', { teeVariant: 'dstack-tdx', ...shared }],
    ['v0.5.6 to v0.5.11: attestationMode', { attestationMode: 'dstack-tdx', ...shared }],
    ['v0.5.1 to v0.5.5: registers and event log', older],
    ['of that age, with a log of 300 kB', { ...older, eventLog: 'x'.repeat(300_000) }],
    ['of the future: more members', { ...body, isolation: 'vm', nested: { any: [1, null] } }],
  ])('%s', async (_name, sent) => {
    expect(await post(sent)).toEqual({
      status: 200,
      outcome: 'allowed',
      json: { isAllowed: true, reason: '', gatewayAppId: 'gateway' },
    })
    expect(await post(sent, '/bootAuth/kms')).toMatchObject({ status: 200, outcome: 'allowed' })
  })

  test('denies an attestationMode of another TEE, also with TDX registers', async () => {
    for (const attestationMode of ['dstack-gcp-tdx', 'dstack-nitro-enclave', 'other', '']) {
      const denied = { status: 200, outcome: 'denied' }
      expect(await post({ attestationMode, ...shared })).toMatchObject(denied)
      expect(await post({ attestationMode, ...older })).toMatchObject(denied)
    }
  })

  test.each(Object.keys(registers))(
    'does not take a body without a whole %s for a TD',
    async (name) => {
      const { [name]: _, ...without } = older as Body
      const denied = { status: 200, outcome: 'denied' }
      expect(await post(without)).toMatchObject(denied)
      expect(await post({ ...without, [name]: '00'.repeat(47) })).toMatchObject(denied)
      expect(await post({ ...without, [name]: 7 })).toMatchObject(denied)
    },
  )

  test('refuses a body with two members that name different TEEs', async () => {
    const sent = { ...shared, teeVariant: 'dstack-tdx', attestationMode: 'dstack-gcp-tdx' }
    expect(await post(sent)).toMatchObject({ status: 400, outcome: 'invalid' })
    expect(await post({ ...sent, attestationMode: 'dstack-tdx' })).toMatchObject({ status: 200 })
  })
})

describe('the auth webhook with an invalid request', () => {
  const refused = { status: 400, outcome: 'invalid' }
  const reply = { isAllowed: false, reason: 'invalid authorization request', gatewayAppId: '' }

  test.each([
    'mrAggregated',
    'osImageHash',
    'mrSystem',
    'appId',
    'composeHash',
    'instanceId',
    'deviceId',
  ])('refuses %s with a wrong length, invalid characters, or missing', async (field) => {
    const value = String(body[field])
    const wrong = [value.slice(2), `${value}00`, `0${value.slice(1)}g`, `0X${value}`, '0x', 7, null]
    for (const bad of wrong) {
      expect(await post({ ...body, [field]: bad })).toEqual({ ...refused, json: reply })
    }
    const { [field]: _, ...without } = body
    expect(await post(without)).toEqual({ ...refused, json: reply })
  })

  test('refuses oversized lists and texts, bodies that are not an object, and invalid JSON', async () => {
    const bad = [
      { ...body, tcbStatus: 'x'.repeat(129) },
      { ...body, advisoryIds: Array.from({ length: 129 }, () => 'a') },
      { ...body, advisoryIds: ['x'.repeat(257)] },
      { ...body, keyProviderInfo: 'zz' },
      { ...body, teeVariant: 7 },
      { ...body, attestationMode: null },
      [],
      null,
      '',
      '{',
    ]
    for (const one of bad) expect(await post(one)).toEqual({ ...refused, json: reply })
    expect(logged.join('')).toContain('"outcome":"invalid"')
  })

  test('logs only a short excerpt of a body with wrong members', async () => {
    const wrong = Object.fromEntries(Object.keys(body).map((name) => [name, 'z'.repeat(10_000)]))
    await post({ ...wrong, advisoryIds: Array.from({ length: 50_000 }, () => 7) })

    expect(logged.join('').length).toBeLessThan(4_000)
  })

  test('accepts an optional 0x, like the server of dstack', async () => {
    expect(await post({ ...body, composeHash: `0x${body.composeHash}` })).toMatchObject({
      outcome: 'allowed',
    })
  })
})

describe('an outage of the auth webhook', () => {
  const dead = createPublicClient({
    transport: custom(
      { request: () => Promise.reject(new Error('connect ECONNREFUSED')) },
      { retryCount: 0 },
    ),
  })
  const silent = createPublicClient({
    transport: custom({ request: () => new Promise(() => {}) }, { retryCount: 0 }),
  })
  const json = { isAllowed: false, gatewayAppId: '', reason: 'authorization backend unavailable' }
  const outages = (): [string, BootChain][] => [
    ['CHAIN_UNREACHABLE', { ...chain, client: dead }],
    ['CHAIN_TIMEOUT', { ...chain, client: silent, timeoutMs: 50 }],
    ['CHAIN_ID_WRONG', { ...chain, chainId: 1 }],
    ['CONTRACT_MISSING', { ...chain, kms: `0x${'11'.repeat(20)}` }],
    ['CHAIN_STALE', { ...chain, clock: () => 9_999_999_999 }],
  ]

  test('is never an approval, and never reads as a denial', async () => {
    for (const [code, broken] of outages()) {
      expect(await post(body, '/bootAuth/app', { chain: trustSingleEndpoint(broken) })).toEqual({
        status: 503,
        outcome: 'outage',
        json,
      })
      expect(await metrics.registry.metrics()).toContain(
        `assent_auth_outages_total{code="${code}"} 1`,
      )
    }
    expect(await metrics.registry.metrics()).not.toMatch(/outcome="denied"/)
    expect(logged.join('')).not.toContain('denied')
  })

  test('has the status code of dstack if the settings ask for it', async () => {
    const broken = { ...chain, client: dead }
    const answer = await post(body, '/bootAuth/app', {
      chain: trustSingleEndpoint(broken),
      outageStatus: 200,
    })

    expect(answer).toEqual({ status: 200, outcome: 'outage', json })
  })

  test('makes GET / fail like the webhook of dstack', async () => {
    const app = createAuth({ ...options, chain: trustSingleEndpoint({ ...chain, client: dead }) })
    const response = await app.request('/')

    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      status: 'error',
      message: 'authorization backend unavailable',
    })
  })
})

describe('the auth webhook over HTTP', () => {
  test('returns contract and chain for GET /, and no credentials', async () => {
    const auth = await startAuth({ ...options, host: '127.0.0.1', port: 0 })
    const text = await (await fetch(auth.url)).text()
    const health = await fetch(`${auth.url}/health`)
    await auth.stop()

    expect(JSON.parse(text)).toEqual({
      status: 'ok',
      kmsContractAddr: chain.kms,
      ethRpcUrl: 'https://rpc.example',
      gatewayAppId: 'gateway',
      chainId: chain.chainId,
      appAuthImplementation: '0x0000000000000000000000000000000000001234',
      appImplementation: '0x0000000000000000000000000000000000001234',
    })
    expect(text).not.toMatch(/hunter2|secret-token/)
    expect(await health.text()).toBe('OK')
    await expect(fetch(auth.url)).rejects.toThrow()
  })

  test('limits the requests of one address', async () => {
    const auth = await startAuth({ ...options, requestsPerMinute: 3, host: '127.0.0.1', port: 0 })
    const ask = async (path: string) => (await fetch(auth.url + path)).status
    const statuses = []
    for (const path of ['/', '/health', '/metrics', '/']) statuses.push(await ask(path))
    await auth.stop()

    expect(statuses).toEqual([200, 200, 200, 429])
  })

  test('refuses a body that is too large in the format of dstack', async () => {
    const auth = await startAuth({ ...options, host: '127.0.0.1', port: 0 })
    const body = 'x'.repeat(2 ** 20 + 1)
    const response = await fetch(`${auth.url}/bootAuth/app`, { method: 'POST', body })
    const answer = await response.json()
    await auth.stop()

    expect(response.status).toBe(400)
    expect(answer).toEqual({
      isAllowed: false,
      reason: 'invalid authorization request',
      gatewayAppId: '',
    })
  })
})
