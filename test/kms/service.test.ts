import { Agent, createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'

import { getRequestListener } from '@hono/node-server'
import { createPublicClient, custom } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { type BootChain, trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import { AssentError } from '../../src/errors/index.ts'
import { verifyAttestation } from '../../src/kms/authorization/verify-attestation.ts'
import {
  extensionIds,
  issueRootCa,
  issueTempCa,
  keyToPem,
  readCertificate,
  toPem,
} from '../../src/kms/certificates/certificate.ts'
import {
  fetchAppKeys,
  firstContact,
  mintIdentity,
  verifyFetchedKeys,
} from '../../src/kms/client.ts'
import { deriveAppKeys } from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { equalBytes, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { encodeAttestation } from '../../src/quote/attestation.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { describeRecorded, readVector } from '../vectors.ts'
import { at, compose, createDeployment, type KmsDeployment } from './fixture.ts'
import { ask, askForKeys, mint, mintSelfIssued } from './http-fixture.ts'

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start()
  cvm = deployment.boot()
})
beforeEach(async () => {
  await deployment.setComposeHash(cvm.composeHash)
  deployment.logged.length = 0
})
afterAll(() => deployment.close())

const client = (running = kms) => ({ url: running.url, clock: () => at })
const identityOf = (one: SimulatedCvm) =>
  mint(deployment.keys, { attestation: (reportData) => one.attestation(reportData) })
const metricsOf = (running = kms) => running.metrics.registry.metrics()

describe('KMS service: an allowed CVM', () => {
  test("gets the keys of dstack's derivation, whose signatures lead to the root", async () => {
    const keys = await fetchAppKeys(client(), cvm.source, cvm.vmConfig)

    expect(keys).toMatchObject(deriveAppKeys(deployment.keys, cvm.appId, cvm.instanceId))
    expect(keys.osImageHash).toEqual(deployment.image.osImageHash)
    expect(keys.gatewayAppId).toBe('gateway')
    expect(keys.caPublicKey).toEqual(kms.caPublicKey)
    verifyFetchedKeys(cvm.appId, keys, kms.k256PublicKey)
    expect(() => verifyFetchedKeys(new Uint8Array(20), keys, kms.k256PublicKey)).toThrow(
      expect.objectContaining({ code: 'KMS_KEY_CHAIN_BROKEN' }),
    )
  })

  test('can verify the KMS by the quote in its certificate', async () => {
    let judged = 0
    const verifyServer = async (attestation: Parameters<typeof verifyAttestation>[0]) => {
      judged++
      return verifyAttestation(attestation, deployment.rules)
    }
    await fetchAppKeys({ ...client(), verifyServer }, cvm.source, cvm.vmConfig)

    expect(judged).toBe(1)
  })

  test('does not accept a KMS with another root than the pinned one', async () => {
    const pinned = { ...client(), caPublicKey: new Uint8Array(91) }

    await expect(fetchAppKeys(pinned, cvm.source, cvm.vmConfig)).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
  })

  test('gets keys with the vm_config of its attestation if it sends none', async () => {
    expect(await askForKeys(kms, await identityOf(cvm))).toMatchObject({ status: 200 })
  })

  test('gets keys if its certificate has the legacy format', async () => {
    const legacy = await mint(deployment.keys, {
      extensions: (reportData) =>
        new Map([
          [extensionIds.quote, cvm.quote(reportData)],
          [extensionIds.eventLog, utf8ToBytes(cvm.eventLog('quote'))],
        ]),
    })
    expect(await askForKeys(kms, legacy, cvm.vmConfig)).toMatchObject({ status: 200 })
  })
})

describe('KMS service: a denied CVM', () => {
  test('with one changed byte of its compose file gets the contract’s reason', async () => {
    const other = deployment.boot({ compose: compose.replace('demo', 'demO') })

    await expect(fetchAppKeys(client(), other.source, other.vmConfig)).rejects.toMatchObject({
      code: 'KMS_REFUSED',
      message: 'App not allowed: Boot denied: Compose hash not allowed',
      facts: { status: 400, code: 'KMS_BOOT_DENIED' },
    })
    const line = deployment.logged.find((one) => one.includes('GetAppKey'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      level: 'warn',
      outcome: 'denied',
      boot: { composeHash: toHex(other.composeHash) },
    })
    expect(await metricsOf()).toContain('{code="KMS_BOOT_DENIED",reason="compose-hash"} 1')
  })

  test('is denied at the next boot after its approval was withdrawn', async () => {
    await fetchAppKeys(client(), cvm.source, cvm.vmConfig)
    await deployment.setBehaviour('deny')

    await expect(fetchAppKeys(client(), cvm.source, cvm.vmConfig)).rejects.toMatchObject({
      facts: { code: 'KMS_BOOT_DENIED' },
    })
  })

  test.each(['revert', 'burn', 'long', 'short'])(
    'with an app contract that answers with %s gets a reason',
    async (behaviour) => {
      await deployment.setBehaviour(behaviour)
      const answer = await askForKeys(kms, await identityOf(cvm))

      expect(answer).toMatchObject({ status: 400, code: 'KMS_BOOT_DENIED' })
      expect(answer.error).toMatch(/^App not allowed: Boot denied: app contract /)
    },
  )

  test('a KMS that the chain no longer approves gives no CVM its keys', async () => {
    const identity = await identityOf(cvm)
    await deployment.setBehaviour('self-deny')

    expect(await askForKeys(kms, identity)).toEqual({
      status: 400,
      code: 'KMS_SELF_DENIED',
      error: 'KMS self authorization failed: KMS is not allowed: Aggregated MR not allowed',
    })
    await expect(mintIdentity(client(), cvm.source)).rejects.toMatchObject({
      facts: { code: 'KMS_SELF_DENIED' },
    })
  })

  test('a KMS gives no CVM its keys while the gateway is `any`, unless the settings allow it', async () => {
    await deployment.setGateway('any')
    const identity = await identityOf(cvm)
    const careless = await deployment.start({ insecureAllowAnyGateway: true })

    const health = (one: RunningKms) => ask(one, { path: '/health', method: 'GET' })

    expect(await askForKeys(kms, identity)).toMatchObject({ code: 'KMS_GATEWAY_ANY' })
    expect(await health(kms)).toMatchObject({ status: 503 })
    expect(await askForKeys(careless, identity)).toMatchObject({ status: 200 })
    expect(await health(careless)).toMatchObject({ status: 200 })
    await deployment.setGateway('gateway')
  })
})

describe('KMS service: a client with a self-signed certificate', () => {
  const attested = (reportData: Uint8Array) => cvm.attestation(reportData)
  const untrusted = { status: 400, code: 'KMS_CLIENT_UNTRUSTED' }

  test('gets the same keys as a client under the temporary CA', async () => {
    const path = '/prpc/GetAppKey?json'
    const [own, temporary] = await Promise.all(
      [await mintSelfIssued(attested), await identityOf(cvm)].map((identity) =>
        ask(kms, { path, body: '{"api_version":1}', identity }),
      ),
    )

    expect(own?.status).toBe(200)
    expect(own?.text).toBe(temporary?.text)
  })

  test('is anonymous without a quote, and is refused with a quote of another key', async () => {
    expect(await askForKeys(kms, await mintSelfIssued())).toMatchObject({
      code: 'KMS_NO_ATTESTATION',
    })
    const elsewhere = await mintSelfIssued(() => cvm.attestation(new Uint8Array(64)))
    expect(await askForKeys(kms, elsewhere)).toMatchObject({ code: 'KMS_REPORT_DATA_UNBOUND' })
  })

  test.each([
    ['that has expired', { notAfter: at - 1 }],
    ['that is not valid yet', { notBefore: at + 1 }],
    ['that is a server’s only', { serverAuth: true }],
  ])('is refused with a certificate %s', async (_, changed) => {
    expect(await askForKeys(kms, await mintSelfIssued(attested, changed))).toMatchObject(untrusted)
    const both = { serverAuth: true, clientAuth: true }
    expect(await askForKeys(kms, await mintSelfIssued(attested, both))).toMatchObject({
      status: 200,
    })
  })

  test('is refused with a signature of another key or with the name of another issuer', async () => {
    const identity = await mintSelfIssued(attested)
    const broken = new Uint8Array(identity.certificate)
    // inside the last number of the signature
    broken[broken.length - 3] = (broken[broken.length - 3] ?? 0) ^ 1
    const other = generateKeys()
    const issuer = { key: other.tempCa, certificate: await issueTempCa(other.tempCa) }
    const stranger = await mint(deployment.keys, { issuer, attestation: attested })
    const namesake = await mintSelfIssued(attested)
    const sameName = await mint(deployment.keys, {
      issuer: { key: other.tempCa, certificate: namesake.certificate },
      attestation: attested,
    })

    for (const bad of [{ ...identity, certificate: broken }, stranger, sameName]) {
      expect(await askForKeys(kms, bad)).toMatchObject(untrusted)
    }
  })
})

describe('KMS client: a server without GetTempCaCert, as dstack since 0.6.1,', () => {
  const asked: string[] = []
  let newer: { url: string }
  let server: Server

  beforeAll(async () => {
    server = createServer(
      kms.tls,
      getRequestListener((request, env) => {
        const { pathname } = new URL(request.url)
        asked.push(pathname)
        if (!pathname.endsWith('GetTempCaCert')) return kms.app.fetch(request, env)
        const error = 'Service not found: GetTempCaCert'
        return Response.json({ error }, { status: 400 })
      }),
    )
    await new Promise<void>((listening) => server.listen(0, 'localhost', listening))
    newer = { url: `https://localhost:${(server.address() as AddressInfo).port}` }
  })
  afterAll(() => new Promise((closed) => server.close(closed)))

  test('is used with a self-signed certificate', async () => {
    const pinned = { ...newer, clock: () => at, caPublicKey: kms.caPublicKey }
    const keys = await fetchAppKeys(pinned, cvm.source, cvm.vmConfig)

    expect(keys).toMatchObject(deriveAppKeys(deployment.keys, cvm.appId, cvm.instanceId))
    expect(asked.map((path) => path.replace('/prpc/KMS.', ''))).toEqual([
      'GetTempCaCert',
      'GetMeta',
      'GetAppKey',
    ])
    const { certificate } = await mintIdentity(pinned, cvm.source)
    const { issuer, subject } = readCertificate(certificate)
    expect(issuer).toEqual(subject)
  })

  test('is checked by its pinned root and its quote', async () => {
    const wrong = { ...newer, clock: () => at, caPublicKey: new Uint8Array(91) }
    await expect(fetchAppKeys(wrong, cvm.source, cvm.vmConfig)).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
    const verifyServer = () => Promise.reject(new AssentError('KMS_QUOTE_REJECTED', 'no'))
    const judging = { ...newer, clock: () => at, verifyServer }
    await expect(firstContact(judging, cvm.source)).rejects.toMatchObject({
      code: 'KMS_QUOTE_REJECTED',
    })
    const met = await firstContact({ ...judging, verifyServer: async () => {} }, cvm.source)
    expect(met.identity.rootCertificate).toEqual(kms.rootCertificate)
  })

  test('is not assumed after another error of GetTempCaCert', async () => {
    await deployment.setBehaviour('self-deny')
    asked.length = 0
    await expect(mintIdentity(client(), cvm.source)).rejects.toMatchObject({ code: 'KMS_REFUSED' })
    await deployment.setBehaviour('allow')
  })
})

test('KMS client: a server whose certificate is not under the root that it shows is refused', async () => {
  const { ca, tempCa } = generateKeys()
  const shown = {
    ca_cert: toPem(await issueRootCa(ca)),
    temp_ca_key: keyToPem(tempCa),
    temp_ca_cert: toPem(await issueTempCa(tempCa)),
  }
  const server = createServer(
    kms.tls,
    getRequestListener(() => Response.json(shown)),
  )
  await new Promise<void>((listening) => server.listen(0, 'localhost', listening))
  const url = `https://localhost:${(server.address() as AddressInfo).port}`
  const contact = firstContact({ url, clock: () => at, verifyServer: async () => {} }, cvm.source)

  await expect(contact).rejects.toMatchObject({
    code: 'KMS_PEER_UNTRUSTED',
    message: expect.stringContaining('the root that the server shows'),
  })
  await new Promise((closed) => server.close(closed))
})

describe('KMS service refuses', () => {
  const refusal = async (one: SimulatedCvm, running = kms) =>
    askForKeys(running, await identityOf(one))

  test('a missing certificate and a certificate without a quote', async () => {
    const error = 'App not allowed: No attestation provided'
    const expected = { status: 400, code: 'KMS_NO_ATTESTATION', error }

    expect(await askForKeys(kms, undefined)).toEqual(expected)
    expect(await askForKeys(kms, await mint(deployment.keys, {}))).toEqual(expected)
  })

  test('a certificate of another temporary CA', async () => {
    const stranger = generateKeys()
    const issuer = { key: stranger.tempCa, certificate: await issueTempCa(stranger.tempCa) }
    const identity = await mint(deployment.keys, {
      issuer,
      attestation: (reportData) => cvm.attestation(reportData),
    })

    expect(await askForKeys(kms, identity)).toMatchObject({
      status: 400,
      code: 'KMS_CLIENT_UNTRUSTED',
    })
  })

  test('a quote over another key', async () => {
    const identity = await mint(deployment.keys, {
      attestation: () => cvm.attestation(new Uint8Array(64).fill(1)),
    })

    expect(await askForKeys(kms, identity)).toEqual({
      status: 400,
      code: 'KMS_REPORT_DATA_UNBOUND',
      error: 'invalid quote: report data mismatch',
    })
  })

  test('report data in the attestation that differs from the quote', async () => {
    const identity = await mint(deployment.keys, {
      attestation: (reportData) =>
        encodeAttestation({
          quote: cvm.quote(new Uint8Array(64).fill(1)),
          eventLog: [],
          runtimeEvents: [],
          reportData,
          config: '',
        }),
    })

    const reverse = await mint(deployment.keys, {
      attestation: (reportData) =>
        encodeAttestation({
          quote: cvm.quote(reportData),
          eventLog: [],
          runtimeEvents: cvm.events,
          reportData: new Uint8Array(64),
          config: cvm.vmConfig,
        }),
    })

    for (const one of [identity, reverse]) {
      expect(await askForKeys(kms, one)).toMatchObject({ code: 'KMS_REPORT_DATA_UNBOUND' })
    }
  })

  test('a debug TD, a TDX module of another signer, and a service TD', async () => {
    const bad: [SimulatedCvm, string][] = [
      [
        deployment.boot({ td: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } }),
        'POLICY',
      ],
      [deployment.boot({ td: { mrSignerSeam: new Uint8Array(48).fill(1) } }), ''],
      [
        deployment.boot({
          td: { mrServiceTd: new Uint8Array(48).fill(1) },
          quote: { version: 5, bodyType: 3 },
        }),
        'POLICY_SERVICE_TD',
      ],
    ]

    for (const [one, code] of bad) {
      const answer = await refusal(one)
      expect(answer.status).toBe(400)
      expect(answer.code).toMatch(/^(POLICY|KMS_QUOTE_REJECTED)/)
      expect(answer.code).toContain(code)
      expect(answer.error).toMatch(/^invalid quote: /)
    }
  })

  test('an outdated and a revoked platform', async () => {
    const old = deployment.simulator.createPlatform({
      name: 'old',
      sgx: { components: [2, 2, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0] },
    })
    const outdated = deployment.boot({}, old)
    const collateral = fixedCollateral(
      deployment.simulator.collateral({ pckCrl: { revoked: [deployment.host.pckSerial] } }),
    )
    const revoking = await deployment.start({
      rules: { ...deployment.rules, collateral },
      selfAuthorization: 'insecure-off',
    })

    expect((await refusal(outdated)).code).toMatch(/^(POLICY_STATUS_REFUSED|KMS_QUOTE_REJECTED)$/)
    expect(await refusal(cvm, revoking)).toMatchObject({ code: 'KMS_QUOTE_REJECTED' })
  })

  test('an open connection one minute after the revocation of its host', async () => {
    let now = 1_000
    let documents = deployment.simulator.collateral()
    const running = await deployment.start({
      selfAuthorization: 'insecure-off',
      now: () => now,
      rules: {
        ...deployment.rules,
        // the host holds the clock back
        clock: () => at,
        collateral: (quote) => fixedCollateral(documents)(quote),
      },
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const identity = await identityOf(cvm)
    const code = async () => {
      const answer = await ask(running, { path: '/prpc/GetAppKey', identity, agent })
      return answer.code ?? answer.status
    }

    expect(await code()).toBe(200)
    documents = deployment.simulator.collateral({
      pckCrl: { revoked: [deployment.host.pckSerial] },
    })
    expect(await code()).toBe(200)
    now += 60_001
    expect(await code()).toBe('KMS_QUOTE_REJECTED')
    agent.destroy()
  })

  test('a quote under another root', async () => {
    const other = createSimulator({ at, seed: new Uint8Array(32).fill(9) })
    const foreign = other.createPlatform().createCvm({ image: deployment.image, compose })

    expect(await refusal(foreign)).toMatchObject({ code: 'KMS_QUOTE_REJECTED' })
  })

  test('expired collateral with an outage error', async () => {
    const later = await deployment.start({
      rules: { ...deployment.rules, clock: () => at + 60 * 86_400 },
      selfAuthorization: 'insecure-off',
    })

    expect(await refusal(cvm, later)).toMatchObject({ code: 'PCCS_UNAVAILABLE' })
    // what its own signatures do not hold is refused all the same
    const other = createSimulator({ at, seed: new Uint8Array(32).fill(9) })
    const foreign = other.createPlatform().createCvm({ image: deployment.image, compose })
    expect(await refusal(foreign, later)).toMatchObject({ code: 'KMS_QUOTE_REJECTED' })
  })

  test('an event log with an added event, a missing event, or another compose hash', async () => {
    const forge = (
      edit: (names: { name: string; payload: Uint8Array; version: 1 | 2 }[]) => void,
    ) =>
      mint(deployment.keys, {
        attestation: (reportData) => {
          const runtimeEvents = cvm.events.map((event) => ({ ...event }))
          edit(runtimeEvents)
          return encodeAttestation({
            quote: cvm.quote(reportData),
            eventLog: [],
            runtimeEvents,
            reportData,
            config: cvm.vmConfig,
          })
        },
      })
    const forged = [
      await forge((events) => events.push({ name: 'x', payload: new Uint8Array(), version: 1 })),
      await forge((events) => events.pop()),
      await forge((events) => {
        const event = events.find(({ name }) => name === 'compose-hash')
        if (event) Object.assign(event, { payload: new Uint8Array(32) })
      }),
    ]

    for (const identity of forged) {
      expect(await askForKeys(kms, identity)).toMatchObject({ code: 'EVENT_LOG_RTMR3_MISMATCH' })
    }
  })

  test('an image hash that the quote does not prove, before the chain is asked', async () => {
    let questions = 0
    const counting = await deployment.start({
      selfAuthorization: 'insecure-off',
      authorizeBoot: async () => {
        questions++
        throw new Error('must not be asked')
      },
    })
    const claim = JSON.parse(cvm.vmConfig)
    const claims = [
      { ...claim, os_image_hash: '11'.repeat(32) },
      { ...claim, memory_size: 0x1_0000_0000 },
      { ...claim, qemu_version: '8.2.2' },
      { ...claim, tdx_attestation_variant: 'legacy' },
      { ...claim, tdx_measurement: undefined },
    ]

    for (const one of claims) {
      const answer = await askForKeys(counting, await identityOf(cvm), JSON.stringify(one))
      expect(answer.code).toMatch(/^(IMAGE_|OS_IMAGE_)/)
      expect(answer.error).toMatch(/^App not allowed: /)
    }
    expect(questions).toBe(0)
  })

  test('a legacy image whose measurement set is not approved', async () => {
    const vmConfig = JSON.stringify({
      os_image_hash: toHex(deployment.image.osImageHash),
      memory_size: 2 ** 31,
    })
    const { mrTd, rtmrs } = cvm.registers
    const set = { mrTd, rtmr0: rtmrs[0], rtmr1: rtmrs[1], rtmr2: rtmrs[2] }
    const serve = (sets: (typeof set)[]) =>
      deployment.start({
        selfAuthorization: 'insecure-off',
        rules: {
          ...deployment.rules,
          images: (hash) => (equalBytes(hash, deployment.image.osImageHash) ? sets : []),
        },
      })
    const identity = await identityOf(cvm)

    expect(await askForKeys(await serve([set]), identity, vmConfig)).toMatchObject({ status: 200 })
    const other = { ...set, rtmr2: new Uint8Array(48) }
    expect(await askForKeys(await serve([other]), identity, vmConfig)).toMatchObject({
      code: 'IMAGE_NOT_PROVEN',
    })
    expect(await askForKeys(await serve([]), identity, vmConfig)).toMatchObject({
      code: 'IMAGE_UNKNOWN',
    })
  })

  test('an attestation of random bytes', async () => {
    const garbage: [Uint8Array, string][] = [
      [new Uint8Array(), 'ATTESTATION_MALFORMED'],
      [Uint8Array.of(0), 'ATTESTATION_MALFORMED'],
      [Uint8Array.of(0x81), 'ATTESTATION_MALFORMED'],
      // a quote of no bytes
      [new Uint8Array(9999), 'QUOTE_TRUNCATED'],
    ]
    for (const [bytes, code] of garbage) {
      const identity = await mint(deployment.keys, { attestation: () => bytes })
      expect(await askForKeys(kms, identity)).toMatchObject({ code })
    }
    const onlyQuote = await mint(deployment.keys, {
      extensions: (reportData) => new Map([[extensionIds.quote, cvm.quote(reportData)]]),
    })
    expect(await askForKeys(kms, onlyQuote)).toMatchObject({ code: 'KMS_EVIDENCE_INVALID' })
  })
})

describeRecorded('a real quote that was recorded elsewhere', () => {
  test('a certificate that is not bound to the connection is refused', async () => {
    const quote = readVector('dstack/external/near-mpc/quote.bin')
    const identity = await mint(deployment.keys, {
      attestation: (reportData) =>
        encodeAttestation({ quote, eventLog: [], runtimeEvents: [], reportData, config: '' }),
    })

    expect(await askForKeys(kms, identity)).toMatchObject({
      status: 400,
      code: 'KMS_REPORT_DATA_UNBOUND',
    })
  })
})

describe('KMS service: an outage', () => {
  const dead = createPublicClient({
    transport: custom({ request: () => Promise.reject(new Error('down')) }, { retryCount: 0 }),
  })
  const silent = createPublicClient({
    transport: custom({ request: () => new Promise(() => {}) }, { retryCount: 0 }),
  })

  test('releases nothing while the clock is behind the newest final block', async () => {
    const chain = trustSingleEndpoint(deployment.chain)
    let newest: number | undefined
    const late = await deployment.start({ chain: { ...chain, newestBlockTime: () => newest } })
    expect(await askForKeys(late, await identityOf(cvm))).toMatchObject({ status: 200 })

    newest = at + 15
    expect(await askForKeys(late, await identityOf(cvm))).toMatchObject({ status: 200 })
    newest = at + 16
    expect(await askForKeys(late, await identityOf(cvm))).toMatchObject({
      status: 400,
      code: 'CHAIN_FROM_FUTURE',
    })
    expect(await metricsOf(late)).not.toContain('outcome="denied"')
  })

  test('releases nothing and is reported as an outage everywhere', async () => {
    const broken: [string, Partial<BootChain>][] = [
      ['CHAIN_UNREACHABLE', { client: dead }],
      ['CHAIN_TIMEOUT', { client: silent, timeoutMs: 50 }],
      ['CHAIN_ID_WRONG', { chainId: 1 }],
      ['CONTRACT_MISSING', { kms: `0x${'11'.repeat(20)}` }],
      ['CHAIN_STALE', { clock: () => 9_999_999_999 }],
    ]
    for (const [code, change] of broken) {
      const lost = await deployment.start({
        chain: trustSingleEndpoint({ ...deployment.chain, ...change }),
      })
      deployment.logged.length = 0

      expect(await askForKeys(lost, await identityOf(cvm))).toMatchObject({ status: 400, code })
      const metrics = await metricsOf(lost)
      expect(metrics).toContain(`assent_kms_outages_total{code="${code}"} 1`)
      expect(metrics).not.toContain('outcome="denied"')
      expect(deployment.logged.join('')).toContain('"outcome":"outage"')
      expect(deployment.logged.join('')).not.toMatch(/denied|not allowed/)
    }
  })

  test('after the KMS was allowed is not reported as a denial of the app', async () => {
    const lost = await deployment.start({
      authorizeBoot: async (question) => {
        if (question === 'isAppAllowed') throw new AssentError('CHAIN_UNREACHABLE', 'No answer.')
        const block = { number: 1n, hash: '0x00' as const, timestamp: at }
        return { allowed: true, reason: '', gatewayAppId: 'gateway', block }
      },
    })

    expect(await askForKeys(lost, await identityOf(cvm))).toEqual({
      status: 400,
      code: 'CHAIN_UNREACHABLE',
      error: 'No answer.',
    })
  })

  test('of collateral is not reported as an invalid quote', async () => {
    let down = true
    const lost = await deployment.start({
      selfAuthorization: 'insecure-off',
      rules: {
        ...deployment.rules,
        collateral: async (quote) => {
          if (down) throw new AssentError('PCCS_UNAVAILABLE', 'No service gives the collateral.')
          return deployment.rules.collateral(quote)
        },
      },
    })
    const identity = await identityOf(cvm)

    expect(await askForKeys(lost, identity)).toEqual({
      status: 400,
      code: 'PCCS_UNAVAILABLE',
      error: 'No service gives the collateral.',
    })
    down = false
    expect(await askForKeys(lost, identity)).toMatchObject({ status: 200 })
  })

  test('of the guest agent prevents the start of a KMS', async () => {
    const source = { attest: () => Promise.reject(new Error('no agent')) }

    await expect(deployment.start({ source })).rejects.toThrow('no agent')
  })
})

test('a KMS has the same root certificate after a restart 20 days later', async () => {
  const shown = async (running: RunningKms) => {
    const answer = await ask(running, { path: '/prpc/KMS.GetTempCaCert?json', body: '{}' })
    return JSON.parse(answer.text) as { ca_cert: string; temp_ca_cert: string }
  }
  const before = await shown(kms)
  const later = await deployment.start({
    rules: { ...deployment.rules, clock: () => at + 20 * 86_400 },
  })

  expect(later.rootCertificate).toEqual(kms.rootCertificate)
  const after = await shown(later)
  expect(after.ca_cert).toBe(before.ca_cert)
  expect(after.temp_ca_cert).toBe(before.temp_ca_cert)
})

test('the KMS never logs a secret', async () => {
  await fetchAppKeys(client(), cvm.source, cvm.vmConfig)
  await deployment.setBehaviour('deny')
  await askForKeys(kms, await identityOf(cvm))
  await askForKeys(kms, undefined)
  const keys = deriveAppKeys(deployment.keys, cvm.appId, cvm.instanceId)
  const { ca, k256 } = deployment.keys
  const secrets = [ca, k256, keys.diskCryptKey, keys.envCryptKey, keys.k256Key]

  const log = deployment.logged.join('')
  expect(log.length).toBeGreaterThan(500)
  for (const secret of secrets) {
    expect(log).not.toContain(toHex(secret))
    expect(log).not.toContain(Buffer.from(secret).toString('base64'))
    expect(log).not.toContain([...secret].join(','))
  }
  expect(log).not.toContain('PRIVATE KEY')
})
