/** Each thing that a release needs is broken alone, and the doctor names it and says what to change. */

import { once } from 'node:events'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createPublicClient, type EIP1193Provider, http, type PublicClient } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { initCheckpoint } from '../../src/chain/boot/boot-config.ts'
import { slotOf } from '../../src/chain/heartbeat/heartbeat.ts'
import { readPinnedCode } from '../../src/chain/proven/pinning.ts'
import { type KmsConfig, kmsConfigSchema } from '../../src/kms/config.ts'
import { examineKms } from '../../src/kms/doctor.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { exitCodeOf } from '../../src/lib/doctor-finding.ts'
import type { AgentClient } from '../../src/tee/agent.ts'
import { type Anvil, findAnvil, startAnvil } from '../anvil.ts'
import { smallNetwork } from '../chain/consensus/networks.ts'
import { type Liar, startLiar } from '../chain/malicious-endpoint.ts'
import { deployRegistries } from '../chain/registries.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the doctor of the KMS is NOT tested. ***\n')

let anvil: Anvil
let endpoints: Liar[]
let settings: Record<string, unknown>
let now: number
let hasKeys: boolean

beforeAll(async () => {
  if (absent) return
  anvil = await startAnvil({ args: ['--chain-id', '31337', '--slots-in-an-epoch', '1'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  const chain = await deployRegistries({ request } as unknown as EIP1193Provider, 'anvil')
  await chain.test.mine({ blocks: 4 })
  now = Number((await chain.client.getBlock()).timestamp)
  endpoints = await Promise.all([1, 2].map(() => startLiar(anvil.url)))
  const client = createPublicClient({ transport: http(anvil.url) }) as PublicClient
  const folder = await mkdtemp(join(tmpdir(), 'kms-doctor-'))
  settings = {
    chainId: 31337,
    kmsContract: chain.kmsAuth,
    finality: 'finalized',
    maxBlockAgeSeconds: 300,
    chainView: {
      endpoints: endpoints.map(({ url }) => url),
      quorum: 2,
      checkpointFolder: join(folder, 'memory'),
      refreshSeconds: 1,
      pinnedCode: await readPinnedCode(client, chain.kmsAuth, { hosts: chain.hosts }),
    },
    domain: 'localhost',
    keysFolder: join(folder, 'keys'),
    keyProtection: 'sealed',
    trustedRoot: 'intel',
    collateral: { pccsUrls: ['http://127.0.0.1:1'], timeoutMs: 500 },
    imageVerification: 'required',
    selfAuthorization: 'required',
    releaseLog: 'insecure-off',
  }
}, 120_000)
beforeEach(() => {
  hasKeys = true
  for (const each of endpoints ?? []) each.lie = undefined
})
afterAll(async () => {
  for (const each of endpoints ?? []) await each.stop()
  await anvil?.stop()
})

const agent = {
  attest: async () => {
    throw new Error('no agent')
  },
} as unknown as AgentClient

async function examine(changed: Partial<Record<keyof KmsConfig, unknown>> = {}, at = now) {
  const config = kmsConfigSchema.parse({ ...settings, ...changed })
  const store = {
    load: async () => (hasKeys ? generateKeys() : undefined),
    create: async () => {},
  }
  const findings = await examineKms({ config, agent, store, clock: () => at })
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]))
}

const refuses = (method: string, message: string) => (asked: string) =>
  asked === method
    ? (response: ServerResponse) =>
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32602, message } }))
    : undefined

const endpointsOf = (found: Awaited<ReturnType<typeof examine>>) =>
  Object.values(found).filter(({ check }) => check.startsWith('endpoint '))

describe.skipIf(absent)('assent kms doctor', () => {
  test('passes working endpoints, contracts, keys and clock, and fails missing services', async () => {
    const found = await examine()

    expect(endpointsOf(found).map(({ status }) => status)).toEqual(['ok', 'ok'])
    for (const check of ['keys', 'clock', 'chain view']) expect(found[check]?.status).toBe('ok')
    expect(found['collateral service 127.0.0.1:1']?.status).toBe('failed')
    expect(found['this KMS']?.status).toBe('failed')
    expect(exitCodeOf(Object.values(found))).toBe(1)
    for (const { status, nextStep } of Object.values(found)) {
      if (status !== 'ok') expect(nextStep).toMatch(/\.$/)
    }
  })

  test('judges the age of the final block of an endpoint only without a light client', async () => {
    const late = now + 1_000
    const statuses = async (chainView: object) =>
      endpointsOf(await examine({ chainView }, late)).map(({ status }) => status)
    expect(await statuses(settings.chainView as object)).toEqual(['failed', 'failed'])

    const consensus = {
      network: { ...smallNetwork, genesisTime: now - 600 },
      beaconApis: ['http://127.0.0.1:1'],
      trustedBlockRoot: `0x${'11'.repeat(32)}`,
      storeFolder: 'none',
    }
    expect(await statuses({ ...(settings.chainView as object), consensus })).toEqual(['ok', 'ok'])
  })

  test('checks the endpoints of L1 on an OP Stack chain', async () => {
    const registry = `0x${'11'.repeat(20)}`
    const l1 = { chainId: 31337, endpoints: [anvil.url], quorum: 'insecure-single-endpoint' }
    const opStack = {
      anchorStateRegistry: registry,
      disputeGameFactory: registry,
      gameType: 0,
      gameLayout: 'fault',
      minAgeSeconds: 0,
      finalityDelaySeconds: 0,
      l1: { ...l1, maxBlockAgeSeconds: 300 },
    }
    const chainView = { ...(settings.chainView as object), opStack }
    const found = await examine({ chainView })

    expect(endpointsOf(found).map(({ check, status }) => [check.slice(0, 13), status])).toEqual([
      ['endpoint 1:12', 'ok'],
      ['endpoint 2:12', 'ok'],
      ['endpoint l1-1', 'ok'],
    ])
    expect(found['chain view']?.found).toContain('ROLLUP_STORAGE_UNEXPECTED')
    const wrong = { ...opStack, l1: { ...opStack.l1, chainId: 1 } }
    const [, , other] = endpointsOf(await examine({ chainView: { ...chainView, opStack: wrong } }))
    expect(other?.found).toContain('chain 31337, not 1')
  })

  test('finds a heartbeat contract that is missing, and a relayer that has not posted to it', async () => {
    const poster: Hex = `0x${'b1'.repeat(20)}`
    const relayers = [{ url: 'http://127.0.0.1:1', poster, tokenFile: 'none' }]
    const ask = async (contract: unknown) => {
      const heartbeat = { contract, relayers, maxAgeSeconds: 3_600 }
      const chainView = { ...(settings.chainView as object), heartbeat }
      return (await examine({ chainView }))['heartbeat contract']
    }
    expect(await ask(`0x${'77'.repeat(20)}`)).toMatchObject({ status: 'failed' })
    // any contract with storage serves as the contract
    const contract = settings.kmsContract as Hex
    expect(await ask(contract)).toMatchObject({
      status: 'warning',
      found: `${poster} has not posted yet`,
    })

    const value: Hex = `0x${'01'.repeat(32)}`
    await anvil.client.setStorageAt({ address: contract, index: slotOf(poster), value })
    await anvil.client.mine({ blocks: 1 })
    expect(await ask(contract)).toMatchObject({ status: 'ok', found: `${poster} has posted` })
  })

  test('finds a missing, an empty and a refused token of a heartbeat relayer', async () => {
    const server = createServer(({ headers }, response) => {
      response.statusCode = headers.authorization === 'Bearer right' ? 404 : 401
      response.end('{}')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const folder = await mkdtemp(join(tmpdir(), 'kms-doctor-token-'))
    const file = join(folder, 'user-config')
    const check = `heartbeat relayer 1:${new URL(url).host}`
    const ask = async (content?: string, tokenName?: string) => {
      if (content !== undefined) await writeFile(file, content)
      const contract = `0x${'11'.repeat(20)}`
      const relayers = [{ url, poster: contract, tokenFile: file, tokenName }]
      const heartbeat = { contract, relayers, maxAgeSeconds: 3_600 }
      const chainView = { ...(settings.chainView as object), heartbeat }
      return (await examine({ chainView }))[check]
    }
    try {
      expect(await ask()).toMatchObject({
        status: 'failed',
        found: expect.stringContaining('FILE_UNREADABLE'),
      })
      const empty = await ask('\n')
      expect(empty).toMatchObject({
        status: 'failed',
        found: expect.stringContaining('HEARTBEAT_TOKEN_INVALID'),
      })
      expect(empty?.nextStep).toContain('docs/heartbeat.md')
      const wrong = await ask('wrong-secret')
      expect(wrong).toMatchObject({
        status: 'failed',
        found: expect.stringContaining('HEARTBEAT_TOKEN_INVALID'),
      })
      expect(JSON.stringify(wrong)).not.toContain('wrong-secret')
      expect(await ask('right\n')).toMatchObject({ status: 'ok' })

      const several = '{ "first": "right", "second": "wrong-secret" }'
      expect(await ask(several, 'first')).toMatchObject({ status: 'ok' })
      for (const name of ['second', 'third', '__proto__']) {
        expect(await ask(several, name)).toMatchObject({ status: 'failed' })
      }
    } finally {
      server.close()
    }
  })

  test('repeats the reason why an endpoint gives no proof at the final block', async () => {
    const words = 'distance to target block exceeds maximum proof window'
    for (const each of endpoints) each.lie = refuses('eth_getProof', words)
    const found = await examine()

    for (const finding of endpointsOf(found)) {
      expect(finding).toMatchObject({ status: 'failed', found: expect.stringContaining(words) })
      expect(finding.nextStep).toContain('no proof')
    }
    expect(found['chain view']?.status).toBe('failed')
  })

  test('predicts that such endpoints cannot create the checkpoint', async () => {
    const words = 'distance to target block exceeds maximum proof window'
    for (const each of endpoints) each.lie = refuses('eth_getProof', words)
    const config = kmsConfigSchema.parse(settings)

    await expect(
      initCheckpoint(config, { clock: () => now, checkpointKey: new Uint8Array(32) }),
    ).rejects.toMatchObject({ code: 'CHAIN_PROOF_REFUSED' })
  })

  test('reports the one faulty endpoint', async () => {
    const [first] = endpoints
    if (first) first.lie = refuses('eth_getBlockByNumber', 'away')
    const [one, two] = endpointsOf(await examine())

    expect([one?.status, two?.status]).toEqual(['failed', 'ok'])
    expect(one?.found).toContain('away')
  })

  test('reports another chain, an old block, a slow clock and code that is not pinned', async () => {
    const view = settings.chainView as { pinnedCode: Record<string, unknown> }
    const pinnedCode = { ...view.pinnedCode, kmsAuth: [`0x${'11'.repeat(32)}`] }

    expect(endpointsOf(await examine({ chainId: 5 }))[0]?.found).toContain('chain 31337, not 5')
    expect(endpointsOf(await examine({}, now + 400))[0]?.status).toBe('failed')
    expect((await examine({}, now - 100)).clock?.status).toBe('failed')
    const unpinned = await examine({ chainView: { ...view, pinnedCode } })
    expect(unpinned['chain view']).toMatchObject({ status: 'failed' })
  })

  test('finds missing keys, a halted or missing log, and missing witnesses', async () => {
    hasKeys = false
    expect((await examine()).keys).toMatchObject({ status: 'failed' })
    hasKeys = true
    const folder = await mkdtemp(join(tmpdir(), 'kms-doctor-log-'))
    const witnesses = { urls: ['https://127.0.0.1:1'], atLeast: 1 }
    const releaseLog = { folder, node: 'kms-1', witnesses, entries: 'private' }
    const found = await examine({ releaseLog })

    expect(found['release log']?.found).toBe('not created')
    expect(found.witnesses).toMatchObject({ status: 'failed', found: '0 of 1 answer, 1 required' })
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'halted.json'), '{}')
    expect((await examine({ releaseLog }))['release log']?.found).toContain('halted')
  })
})
