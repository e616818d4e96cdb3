import { mkdtemp, readdir } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { AuthorizeBoot } from '../../src/kms/authorization/authorize.ts'
import { createSelfAuthorizer } from '../../src/kms/authorization/self-authorization.ts'
import { generateKeys, openKeyStore } from '../../src/kms/keys/key-store.ts'
import { type OnboardOptions, onboardKms } from '../../src/kms/onboarding/onboard.ts'
import { startOnboarding } from '../../src/kms/onboarding/onboard-service.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import type { BootInfo } from '../../src/quote/measurements/measure.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { at, createDeployment, type KmsDeployment, kmsCompose } from './fixture.ts'

let deployment: KmsDeployment
let source: RunningKms
let replica: SimulatedCvm
/** The questions of each side of an onboarding, and the nodes that the chain refuses. */
let asked: BootInfo[]
let refused: (boot: BootInfo) => boolean
const proxies: Server[] = []

const ask: AuthorizeBoot = async (question, boot) => {
  expect(question).toBe('isKmsAllowed')
  asked.push(boot)
  const block = { number: 1n, hash: '0x00' as const, timestamp: at }
  const answer = { gatewayAppId: 'gateway', block }
  if (!refused(boot)) return { ...answer, allowed: true, reason: '' }
  return {
    ...answer,
    allowed: false,
    refusedBy: 'contract-rules',
    reason: 'Aggregated MR not allowed',
  }
}

beforeAll(async () => {
  asked = []
  refused = () => false
  deployment = await createDeployment()
  source = await deployment.start({ authorizeBoot: ask })
  const host = deployment.simulator.createPlatform({ name: 'second host' })
  replica = deployment.boot({ compose: kmsCompose }, host)
  replica.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
})
beforeEach(() => {
  asked = []
  refused = () => false
})
afterAll(async () => {
  for (const proxy of proxies) proxy.close()
  await deployment.close()
})

async function options(changed: Partial<OnboardOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'kms-onboard-'))
  const store = openKeyStore(folder, { kind: 'insecure-plain' })
  const { rules } = deployment
  const self = createSelfAuthorizer(replica.source, rules, ask)
  const given = {
    sourceUrl: source.url,
    store,
    source: replica.source,
    rules,
    authorizeBoot: ask,
    self,
  }
  return { folder, ...given, ...changed }
}

describe('a KMS replica in onboarding', () => {
  test('gets the same keys after each side asked the chain about the other', async () => {
    const given = await options()
    const { caPubkey, k256Pubkey } = await onboardKms(given)
    const devices = asked.map(({ deviceId }) => toHex(deviceId))

    expect(await given.store.load()).toEqual(deployment.keys)
    expect([toHex(caPubkey), toHex(k256Pubkey)]).toEqual([
      toHex(source.caPublicKey),
      toHex(source.k256PublicKey),
    ])
    expect(new Set(devices)).toEqual(
      new Set([toHex(replica.deviceId), toHex(deployment.host.deviceId)]),
    )
    // the whole log: a KMS is approved as it runs, with its key provider
    expect(asked.every(({ keyProviderInfo }) => keyProviderInfo.length > 0)).toBe(true)
  })

  test('accepts a URL with /prpc, and checks the expected root', async () => {
    const caPublicKey = source.caPublicKey
    const given = await options({ sourceUrl: `${source.url}/prpc/`, caPublicKey })

    await onboardKms(given)
    const other = await options({ caPublicKey: new Uint8Array(91) })
    await expect(onboardKms(other)).rejects.toMatchObject({ code: 'KMS_PEER_UNTRUSTED' })
    expect(await readdir(other.folder)).toEqual([])
  })

  test('never replaces existing keys', async () => {
    const given = await options()
    await given.store.create(generateKeys())

    await expect(onboardKms(given)).rejects.toMatchObject({ code: 'KMS_KEYS_EXIST' })
  })
})

describe('the KMS does not send root keys', () => {
  const isReplica = ({ deviceId }: BootInfo) => toHex(deviceId) === toHex(replica.deviceId)

  test('when the chain does not approve the replica', async () => {
    let questions = 0
    refused = (boot) => isReplica(boot) && ++questions > 1
    const given = await options()

    await expect(onboardKms(given)).rejects.toMatchObject({
      code: 'KMS_REFUSED',
      message: 'Boot denied: Aggregated MR not allowed',
      facts: { code: 'KMS_BOOT_DENIED' },
    })
    expect(await given.store.load()).toBeUndefined()
  })

  test('when the replica’s own chain does not approve the source', async () => {
    const given = await options({
      authorizeBoot: async (question, boot) =>
        isReplica(boot)
          ? ask(question, boot)
          : {
              allowed: false,
              refusedBy: 'contract-rules',
              reason: 'Aggregated MR not allowed',
              gatewayAppId: '',
              block: { number: 1n, hash: '0x00', timestamp: at },
            },
    })

    await expect(onboardKms(given)).rejects.toMatchObject({
      code: 'KMS_BOOT_DENIED',
      message: 'The source KMS: Boot denied: Aggregated MR not allowed',
    })
    expect(await given.store.load()).toBeUndefined()
  })

  test('when the quote of the source does not verify', async () => {
    const other = deployment.simulator.collateral({
      pckCrl: { revoked: [deployment.host.pckSerial] },
    })
    const rules = { ...deployment.rules, collateral: fixedCollateral(other) }

    await expect(onboardKms(await options({ rules }))).rejects.toMatchObject({
      code: 'KMS_QUOTE_REJECTED',
    })
  })

  test('when another server answers the second request, even one with the same root keys', async () => {
    const twin = await deployment.start({ authorizeBoot: ask })
    let connections = 0
    const url = await proxy(() => (++connections === 1 ? source : twin))

    await expect(onboardKms(await options({ sourceUrl: url }))).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
    expect(connections).toBe(2)
  })

  test('when the source does not answer', async () => {
    const given = await options({ sourceUrl: 'https://127.0.0.1:1' })

    await expect(onboardKms(given)).rejects.toMatchObject({ code: 'KMS_UNREACHABLE' })
  })
})

describe('the KMS onboarding listener', () => {
  const start = async (changed: Partial<OnboardOptions> = {}) => {
    const given = await options(changed)
    const evidence = createSelfAuthorizer(replica.source, deployment.rules, ask)
    const service = await startOnboarding({
      ...given,
      evidence,
      domain: 'kms.example',
      kmsContract: deployment.chain.kms,
      log: createLog({ service: 'onboard', level: 'silent' }),
      host: '127.0.0.1',
      port: 0,
    })
    const call = async (name: string, body: object) => {
      const response = await fetch(`${service.url}/prpc/Onboard.${name}?json`, {
        method: 'POST',
        body: JSON.stringify(body),
      })
      return { status: response.status, json: await response.json() }
    }
    return { ...given, service, call }
  }

  test('returns the identity of this KMS before it is approved', async () => {
    refused = () => true
    const { service, call } = await start()
    const { json } = await call('GetAttestationInfo', {})
    await service.stop()

    expect(json).toMatchObject({
      device_id: toHex(replica.deviceId),
      os_image_hash: toHex(deployment.image.osImageHash),
      tee_variant: 'dstack-tdx',
      kms_contract_address: deployment.chain.kms,
      ppid: toHex(replica.platform.ppid),
    })
  })

  test('creates root keys once', async () => {
    const { service, call, store } = await start()
    const wrong = await call('Bootstrap', { domain: 'other.example' })
    const [first, second] = await Promise.all([
      call('Bootstrap', { domain: 'kms.example' }),
      call('Bootstrap', { domain: 'kms.example' }),
    ])
    const third = await call('Bootstrap', { domain: 'kms.example' })
    await service.stop()

    expect(wrong.status).toBe(400)
    expect([first.status, second.status].sort()).toEqual([200, 400])
    expect(third.json).toEqual({ error: 'KMS has already been bootstrapped' })
    expect(await store.load()).toBeDefined()
  })

  test('refuses a source_token, which would replace the check of the quote, and stores no keys', async () => {
    const { service, call, store } = await start()
    const request = { domain: 'kms.example', source_url: source.url }
    const refused = await call('Onboard', { ...request, source_token: 'secret' })
    await service.stop()

    expect(refused.status).toBe(400)
    expect(refused.json).toEqual({ error: 'Not supported: Onboard.Onboard.source_token' })
    expect(await store.load()).toBeUndefined()
  })

  test('continues until it has keys, and changes nothing for a GET or a page of another origin', async () => {
    const { service, call, store } = await start()
    let isFinished = false
    void service.finished.then(() => {
      isFinished = true
    })
    const ask = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(service.url + path, init)
      return [response.status, response.headers.get('x-assent-error')]
    }

    expect(await ask('/health')).toEqual([503, null])
    expect(await ask('/finish')).toEqual([409, 'KMS_NOT_BOOTSTRAPPED'])
    expect(await ask('/finish', { method: 'POST' })).toEqual([409, 'KMS_NOT_BOOTSTRAPPED'])
    expect((await call('Finish', {})).status).toBe(400)
    const query = `domain=kms.example&source_url=${encodeURIComponent(source.url)}`
    for (const path of [`Onboard.Onboard?${query}`, `Bootstrap?${query}`, 'Onboard.Finish']) {
      expect(await ask(`/prpc/${path}`)).toEqual([400, 'KMS_REQUEST_INVALID'])
    }
    const body = JSON.stringify({ domain: 'kms.example', source_url: source.url })
    for (const headers of [{ origin: 'http://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      const init = { method: 'POST', body, headers }
      expect((await ask('/prpc/Onboard.Onboard?json', init))[0]).toBe(403)
    }
    // a site whose name leads to this listener (DNS rebinding); `fetch` sets no Host
    const { port } = new URL(service.url)
    for (const [name, status] of [
      ['evil.example', 403],
      ['127.0.0.1.evil.example', 403],
      ['kms.example', 409],
      ['localhost', 409],
      ['[::1]', 409],
    ] as const) {
      const headers = { host: `${name}:${port}`, origin: `http://${name}:${port}` }
      const found = await new Promise((resolve) => {
        request(`${service.url}/finish`, { method: 'POST', headers }, ({ statusCode }) =>
          resolve(statusCode),
        ).end()
      })
      expect([name, found]).toEqual([name, status])
    }
    expect((await ask('/prpc/Onboard.GetAttestationInfo?json'))[0]).toBe(200)
    await service.stop()

    expect(await store.load()).toBeUndefined()
    expect(isFinished).toBe(false)
  })

  test('onboards from another node and ends with Finish', async () => {
    const { service, call, store } = await start()
    const onboarded = await call('Onboard', { source_url: source.url, domain: 'kms.example' })
    const finished = await call('Finish', {})
    await service.finished
    await service.stop()

    expect(onboarded).toEqual({
      status: 200,
      json: { k256_pubkey: toHex(source.k256PublicKey) },
    })
    expect(finished.json).toBeNull()
    expect(await store.load()).toEqual(deployment.keys)
  })
})

/** Forwards each connection to the KMS that `choose` names for it. */
async function proxy(choose: () => RunningKms): Promise<string> {
  const server = createServer((inward: Socket) => {
    const outward = connect(Number(new URL(choose().url).port), 'localhost')
    inward.pipe(outward).pipe(inward)
    for (const socket of [inward, outward]) socket.on('error', () => socket.destroy())
  })
  proxies.push(server)
  await new Promise<void>((listening) => server.listen(0, 'localhost', listening))
  const { port } = server.address() as { port: number }
  return `https://localhost:${port}`
}
