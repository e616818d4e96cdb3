import { Agent } from 'node:https'
import { connect } from 'node:tls'

import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import { AssentError, type ErrorCode } from '../../src/errors/index.ts'
import type { AttestationRules } from '../../src/kms/authorization/verify-attestation.ts'
import { fromPem, isIssuedBy, keyFromPem } from '../../src/kms/certificates/certificate.ts'
import { envKeyMessage, recoverK256 } from '../../src/kms/keys/derive.ts'
import type { NodeLog } from '../../src/kms/log/node-log.ts'
import {
  AppIdSchema,
  AppKeyResponseSchema,
  GetAppKeyRequestSchema,
  GetMetaResponseSchema,
  GetTempCaCertResponseSchema,
  RpcErrorSchema,
} from '../../src/kms/rpc/kms_pb.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import type { CollateralSource } from '../../src/quote/collateral/collateral-source.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { at, createDeployment, type KmsDeployment } from './fixture.ts'
import { ask, json, mint } from './http-fixture.ts'

/** What a log says that may not release anything. */
const failingNow = (code: ErrorCode) => () => {
  throw new AssentError(code, 'with a witness’s own words')
}

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm
let identity: { key: Uint8Array; certificate: Uint8Array }

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start({
    bootstrapInfo: {
      caPubkey: Uint8Array.of(1),
      k256Pubkey: Uint8Array.of(2),
      attestation: Uint8Array.of(3),
    },
  })
  cvm = deployment.boot()
  identity = await mint(deployment.keys, { attestation: (data) => cvm.attestation(data) })
})
afterAll(() => deployment.close())

const octets = 'application/octet-stream'

describe('KMS RPC in protobuf', () => {
  test('answers GetAppKey in the binary encoding', async () => {
    const body = toBinary(GetAppKeyRequestSchema, create(GetAppKeyRequestSchema, { apiVersion: 1 }))
    const answer = await ask(kms, { path: '/prpc/KMS.GetAppKey', body, identity })
    const message = fromBinary(AppKeyResponseSchema, answer.body)

    expect([answer.status, answer.type]).toEqual([200, octets])
    expect(message.diskCryptKey).toHaveLength(32)
    expect(message.tproxyAppId).toBe('gateway')
    expect(await isIssuedBy(fromPem(message.caCert), kms.rootCertificate)).toBe(true)
  })

  test('reads an empty body as the default message', async () => {
    const answer = await ask(kms, { path: '/prpc/KMS.GetTempCaCert' })
    const message = fromBinary(GetTempCaCertResponseSchema, answer.body)

    expect(keyFromPem(message.tempCaKey)).toEqual(deployment.keys.tempCa)
  })

  test('returns an error as field 1 with status 400', async () => {
    const answer = await ask(kms, { path: '/prpc/GetAppKey' })

    expect([answer.status, answer.type]).toEqual([400, octets])
    expect(fromBinary(RpcErrorSchema, answer.body).message).toBe(
      'App not allowed: No attestation provided',
    )
    // field 1, length-delimited, 40 bytes
    expect(toHex(answer.body.subarray(0, 2))).toBe('0a28')
  })

  test('skips any number of unknown fields, and ends nested groups early', async () => {
    const path = '/prpc/GetAppKey'
    const asked = toBinary(
      GetAppKeyRequestSchema,
      create(GetAppKeyRequestSchema, { apiVersion: 1 }),
    )
    const filled = (fill: number[]) =>
      Buffer.concat([asked, Buffer.alloc(256 * 1024 - 16, Buffer.from(fill))])
    const [many, deep] = [filled([0x78, 1]), filled([0x7b])]
    const before = process.memoryUsage().rss

    expect(await ask(kms, { path, body: many, identity })).toMatchObject({ status: 200 })
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20)
    expect(await ask(kms, { path, body: deep, identity })).toMatchObject({ status: 400 })
  })

  test('refuses malformed bytes', async () => {
    for (const body of [
      Uint8Array.of(0xff),
      Uint8Array.of(0x12, 0x7f, 1),
      Uint8Array.of(0x0a, 1, 0xff),
    ]) {
      const answer = await ask(kms, { path: '/prpc/GetAppKey', body, identity })
      expect([answer.status, answer.code]).toEqual([400, 'KMS_REQUEST_INVALID'])
    }
  })
})

describe('KMS RPC in JSON', () => {
  test.each(['?json', '?json=true', '?json=1', '?json='])('is selected by %s', async (query) => {
    const answer = await ask(kms, { path: `/prpc/GetMeta${query}` })

    expect([answer.status, answer.type]).toEqual([200, 'application/json'])
  })

  test('is selected by the content type or by GET', async () => {
    const posted = await ask(kms, { path: '/prpc/GetMeta', headers: json, body: '{}' })
    const got = await ask(kms, { path: '/prpc/KMS.KMS.GetMeta', method: 'GET' })

    expect(JSON.parse(posted.text)).toEqual(JSON.parse(got.text))
    expect(posted.version).toMatch(/^[0-9]/)
  })

  test('ignores empty path segments and needs a method', async () => {
    expect(await ask(kms, { path: '/prpc//GetMeta', method: 'GET' })).toMatchObject({ status: 200 })
    expect(await ask(kms, { path: '/prpc//KMS.GetMeta?json' })).toMatchObject({ status: 200 })
    expect(await ask(kms, { path: '/prpc/' })).toMatchObject({ status: 422 })
  })

  test('is replaced by the binary encoding with ?json=false', async () => {
    expect(await ask(kms, { path: '/prpc/GetMeta?json=false' })).toMatchObject({ type: octets })
  })

  test('has names in snake case, bytes in hex and numbers as numbers', async () => {
    const { text } = await ask(kms, { path: '/prpc/GetMeta', method: 'GET' })

    expect(JSON.parse(text)).toEqual({
      ca_cert: expect.stringContaining('BEGIN CERTIFICATE'),
      allow_any_upgrade: false,
      k256_pubkey: toHex(kms.k256PublicKey),
      bootstrap_info: { ca_pubkey: '01', k256_pubkey: '02', attestation: '03' },
      is_dev: false,
      gateway_app_id: 'gateway',
      kms_contract_address: deployment.chain.kms,
      chain_id: deployment.chain.chainId,
      app_auth_implementation: '0x0000000000000000000000000000000000001234',
    })
  })

  test('has null for an absent value', async () => {
    const plain = await deployment.start()
    const { text } = await ask(plain, { path: '/prpc/GetMeta', method: 'GET' })

    expect(JSON.parse(text).bootstrap_info).toBeNull()
    const binary = await ask(plain, { path: '/prpc/GetMeta' })
    expect(fromBinary(GetMetaResponseSchema, binary.body).bootstrapInfo).toBeUndefined()
  })

  test('answers GetAppKey by GET with the request in the query', async () => {
    const answer = await ask(kms, {
      path: `/prpc/KMS.GetAppKey?api_version=1&vm_config=${encodeURIComponent(cvm.vmConfig)}`,
      method: 'GET',
      identity,
    })

    expect(Object.keys(JSON.parse(answer.text))).toEqual([
      'ca_cert',
      'disk_crypt_key',
      'env_crypt_key',
      'k256_key',
      'k256_signature',
      'tproxy_app_id',
      'gateway_app_id',
      'os_image_hash',
    ])
  })

  test('prints an error like dstack', async () => {
    const answer = await ask(kms, {
      path: '/prpc/GetAppKey?json',
      body: '{"api_version":2}',
      identity,
    })

    expect([answer.status, answer.type]).toEqual([400, 'application/json'])
    expect(answer.text).toBe('{\n  "error": "Unsupported API version: 2"\n}')
  })

  test('ignores unknown members and refuses wrong ones', async () => {
    const send = async (body: string) => {
      const answer = await ask(kms, { path: '/prpc/GetAppKey', headers: json, body, identity })
      return answer.code ?? answer.status
    }
    expect(await send('{"api_version":1,"new_member":true}')).toBe(200)
    expect(await send('{"api_version":1,"new":1,"new":{"deep":[[]]}}')).toBe(200)
    for (const body of [
      '{"api_version":"1"}',
      '{"api_version":-1}',
      '{"api_version":1.5}',
      '{"api_version":4294967296}',
      '{"vm_config":7}',
      // as serde refuses them: null for a required member, a member twice
      '{"api_version":null}',
      '{"vm_config":null}',
      '{"api_version":1,"api_version":1}',
      '{"vm_config":"{}","vm_conf\\u0069g":"{}"}',
      'null',
      '[]',
      '"x"',
      '{',
      'ÿ',
    ]) {
      expect(await send(body), body).toBe('KMS_REQUEST_INVALID')
    }
  })

  test('refuses null for bytes', async () => {
    const path = '/prpc/GetAppEnvEncryptPubKey'
    const answer = await ask(kms, { path, headers: json, body: '{"app_id":null}' })

    expect([answer.status, answer.code]).toEqual([400, 'KMS_REQUEST_INVALID'])
  })

  test.each([
    ['deep', '['.repeat(5_000_000)],
    ['many members', `{"a":[${'[],'.repeat(3_000_000)}[]]}`],
    ['names', `{${Array.from({ length: 300_000 }, (_, i) => `"m${i}":0`).join()}}`],
  ])('refuses an oversized body before it is parsed: %s', async (_, body) => {
    const before = process.cpuUsage()
    const answer = await ask(kms, { path: '/prpc/GetMeta', headers: json, body })

    expect([answer.status, answer.code]).toEqual([400, 'INPUT_TOO_LARGE'])
    expect(process.cpuUsage(before).user).toBeLessThan(1_500_000)
  })

  test('refuses a repeated query parameter', async () => {
    const path = '/prpc/GetAppKey?api_version=1&api_version=0'

    expect(await ask(kms, { path, method: 'GET', identity })).toMatchObject({
      code: 'KMS_REQUEST_INVALID',
    })
  })
})

describe('KMS RPC GetAppEnvEncryptPubKey', () => {
  test('returns a key that the root signed, with and without the time', async () => {
    const body = `{"app_id":"0x${toHex(cvm.appId)}"}`
    const path = '/prpc/GetAppEnvEncryptPubKey'
    const answer = JSON.parse((await ask(kms, { path, headers: json, body })).text)
    const publicKey = fromHex(answer.public_key, 'public_key', 32)
    const recover = (signature: string, timestamp?: number) =>
      toHex(
        recoverK256(
          fromHex(signature, 'signature'),
          envKeyMessage(cvm.appId, publicKey, timestamp),
        ),
      )

    expect(answer.timestamp).toBe(at)
    expect(recover(answer.signature)).toBe(toHex(kms.k256PublicKey))
    expect(recover(answer.signature_v1, at)).toBe(toHex(kms.k256PublicKey))
  })

  test('refuses an app id of another length', async () => {
    const body = toBinary(AppIdSchema, create(AppIdSchema, { appId: new Uint8Array(19) }))

    expect(await ask(kms, { path: '/prpc/GetAppEnvEncryptPubKey', body })).toMatchObject({
      status: 400,
      code: 'LENGTH_WRONG',
    })
  })
})

describe('callers without a quote', () => {
  test('cause at most 30 requests of one client to RPC endpoints', async () => {
    let requests = 0
    const chain = {
      ...trustSingleEndpoint(deployment.chain),
      newestEpoch: async (_: Uint8Array, beforeRequest?: () => void) => {
        beforeRequest?.()
        requests++
        return 1
      },
    }
    const kms = await deployment.start({ chain })
    const path = `/prpc/GetAppEnvEncryptPubKey?app_id=${toHex(cvm.appId)}`
    const agent = new Agent({ keepAlive: true, maxSockets: 5 })
    const send = (options: object = {}) => ask(kms, { path, method: 'GET', ...options })
    const start = performance.now()
    const answers = await Promise.all(Array.from({ length: 40 }, () => send({ agent })))
    // 30 a minute: one more for every two seconds that the test takes
    const refilled = Math.ceil((performance.now() - start) / 2_000)
    agent.destroy()

    expect(requests).toBeGreaterThanOrEqual(30)
    expect(requests).toBeLessThanOrEqual(30 + refilled)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(requests)
    expect(answers.filter(({ code }) => code === 'KMS_OVERLOADED')).toHaveLength(40 - requests)
    expect(await send({ identity })).toMatchObject({ status: 200 })
  })
})

describe('the KMS server', () => {
  test('refuses unknown methods and paths', async () => {
    for (const name of ['GetEverything', 'constructor', '__proto__', 'toString']) {
      const answer = await ask(kms, { path: `/prpc/${name}?json` })
      expect(JSON.parse(answer.text)).toEqual({ error: `Service not found: ${name}` })
      expect(answer.status).toBe(400)
    }
    expect((await ask(kms, { path: '/', method: 'GET' })).status).toBe(404)
  })

  test.each([
    ['GetTempCaCert', 4 * 1024],
    ['KMS.GetMeta', 4 * 1024],
    ['GetAppEnvEncryptPubKey', 4 * 1024],
    ['NoSuchMethod', 4 * 1024],
    ['GetAppKey', 256 * 1024],
    ['KMS.KMS.GetKmsKey', 256 * 1024],
    ['SignCert', 1024 * 1024],
  ])('refuses a body of %s with more than %i bytes', async (name, longest) => {
    const path = `/prpc/${name}`
    const tooLarge = { status: 400, code: 'INPUT_TOO_LARGE' }
    const chunked = { 'transfer-encoding': 'chunked' }
    const body = new Uint8Array(longest + 1)

    expect(await ask(kms, { path, body })).toMatchObject(tooLarge)
    expect(await ask(kms, { path, body, headers: chunked })).toMatchObject(tooLarge)
    const fits = await ask(kms, { path, body: body.subarray(1) })
    expect([fits.status, fits.code === 'INPUT_TOO_LARGE']).toEqual([400, false])
  })

  test('serves health and metrics', async () => {
    expect((await ask(kms, { path: '/health', method: 'GET' })).text).toBe('OK')
    const { text } = await ask(kms, { path: '/metrics', method: 'GET' })
    expect(text).toMatch(/assent_kms_requests_total\{method="GetAppKey",outcome="ok"\} [1-9]/)
    expect(text).toMatch(/dstack_kms_attestation_requests_total [1-9]/)
    expect(text).toMatch(/assent_kms_collateral_expiry_timestamp_seconds 1[0-9]{9}/)
  })

  test('is not healthy when it could release no key, and names the reason', async () => {
    const health = async (running: RunningKms) => {
      const { status, text } = await ask(running, { path: '/health', method: 'GET' })
      return `${status} ${text.split(':')[0]}`
    }
    const failing = (code: ErrorCode) => async () => {
      throw new AssentError(code, 'with an endpoint’s own words')
    }
    const collateral = { ...deployment.rules, collateral: failing('PCCS_UNAVAILABLE') }
    const log = { requireReleasable: failingNow('KMS_LOG_UNWITNESSED'), status: () => ({}) }

    expect(await health(kms)).toBe('200 OK')
    for (const [options, code] of [
      [{ authorizeBoot: failing('CHAIN_UNREACHABLE') }, 'CHAIN_UNREACHABLE'],
      [{ rules: collateral }, 'PCCS_UNAVAILABLE'],
      [{ releaseLog: log as unknown as NodeLog }, 'KMS_LOG_UNWITNESSED'],
    ] as const) {
      const running = await deployment.start(options)
      expect(await health(running)).toBe(`503 ${code}`)
      const { text } = await ask(running, { path: '/health', method: 'GET' })
      expect(text).not.toContain('own words')
    }
    await deployment.setBehaviour('self-deny')
    expect(await health(await deployment.start())).toBe('503 KMS_SELF_DENIED')
    await deployment.setBehaviour('allow')
  })

  test('does not do more work for many health requests than for one', async () => {
    let asked = 0
    const { authorize: askChain } = trustSingleEndpoint(deployment.chain)
    const counted = await deployment.start({
      authorizeBoot: (...question) => {
        asked++
        return askChain(...question)
      },
    })
    // one client may have six handshakes at once under these limits
    const agent = new Agent({ keepAlive: true, maxSockets: 5 })
    const all = Array.from({ length: 20 }, () =>
      ask(counted, { path: '/health', method: 'GET', agent }),
    )

    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    agent.destroy()
    expect(asked).toBe(1)
  })

  test('limits the requests of one address on every path', async () => {
    const busy = await deployment.start({ limits: { requestsPerMinute: 2 } })
    const status = async (path: string) => (await ask(busy, { path, method: 'GET' })).status

    expect([await status('/prpc/GetMeta'), await status('/metrics')]).toEqual([200, 200])
    expect([await status('/prpc/GetMeta'), await status('/health')]).toEqual([429, 429])
    expect(await busy.metrics.registry.metrics()).toContain(
      'assent_kms_requests_limited_total{limit="too-often"} 2',
    )
  })

  test('counts a guest by its quote, also when its address has used up its own limit', async () => {
    const busy = await deployment.start({ limits: { requestsPerMinute: 2 } })
    const get = (path: string, asked = {}) => ask(busy, { path, method: 'GET', ...asked })
    for (let count = 0; count < 4; count++) await get('/prpc/GetMeta')
    const other = deployment.boot({ compose: '{"name":"another app"}' })
    const stranger = await mint(deployment.keys, { attestation: (data) => other.attestation(data) })
    const path = '/prpc/GetAppKey?api_version=1'

    expect([(await get('/prpc/GetMeta')).status, (await get(path)).status]).toEqual([429, 429])
    for (let count = 0; count < 2; count++) {
      expect((await get(path, { identity })).status).toBe(200)
    }
    expect((await get(path, { identity })).status).toBe(429)
    expect((await get(path, { identity: stranger })).status).toBe(200)
  })

  test('counts a certificate without a valid quote by its address', async () => {
    const busy = await deployment.start({ limits: { requestsPerMinute: 2 } })
    const get = (asked = {}) => ask(busy, { path: '/prpc/GetMeta', method: 'GET', ...asked })
    const empty = await mint(deployment.keys, {})

    expect([(await get({ identity: empty })).status, (await get()).status]).toEqual([200, 200])
    expect([(await get({ identity: empty })).status, (await get()).status]).toEqual([429, 429])
  })

  describe('a certificate whose quote is rejected', () => {
    /** A KMS that rejects every quote, and the number of quotes that it verified. */
    async function startCounting(requestsPerMinute: number) {
      let verified = 0
      const collateral: CollateralSource = (...wanted) => {
        verified++
        return deployment.rules.collateral(...wanted)
      }
      const rejected: AttestationRules['accept'] = () => {
        throw new AssentError('POLICY_STATUS_REFUSED', 'the status is refused')
      }
      const kms = await deployment.start({
        rules: { ...deployment.rules, collateral, accept: rejected },
        selfAuthorization: 'insecure-off',
        limits: { requestsPerMinute },
      })
      return { kms, verified: () => verified }
    }

    test('is verified once for a connection', async () => {
      const { kms, verified } = await startCounting(100)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const codes = []
      for (let count = 0; count < 5; count++) {
        const asked = { path: '/prpc/GetMeta', method: 'GET', identity, agent } as const
        codes.push((await ask(kms, asked)).code)
      }
      agent.destroy()

      expect(codes).toEqual(Array(5).fill('POLICY_STATUS_REFUSED'))
      expect(verified()).toBe(1)
    })

    test('is not verified after many failures of its address', async () => {
      const { kms, verified } = await startCounting(3)
      const asked = { path: '/prpc/GetMeta', method: 'GET', identity } as const
      for (let count = 0; count < 6; count++) await ask(kms, asked)

      expect((await ask(kms, asked)).status).toBe(429)
      expect(verified()).toBe(3)
    })
  })

  test('does not count a shared address', async () => {
    const limits = { requestsPerMinute: 1, sharedAddresses: ['127.0.0.0/8', '::/64'] }
    const shared = await deployment.start({ limits })
    const asked = { path: '/prpc/GetMeta', method: 'GET' } as const

    for (let count = 0; count < 3; count++) expect((await ask(shared, asked)).status).toBe(200)
  })

  test('does not report an aborted upload as an outage or an error', async () => {
    const left = await deployment.start()
    deployment.logged.length = 0
    const { port, hostname } = new URL(left.url)
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    socket.write('POST /prpc/GetAppKey?json HTTP/1.1\r\nhost: k\r\ncontent-length: 100\r\n\r\n{"a')
    await new Promise((resolve) => setTimeout(resolve, 100))
    socket.destroy()
    const aborted = 'assent_kms_connections_closed_total{reason="aborted"} 1'
    await expect.poll(() => left.metrics.registry.metrics()).toContain(aborted)

    expect(await left.metrics.registry.metrics()).not.toMatch(/outages_total\{.*\} [1-9]/)
    expect(deployment.logged.filter((line) => /"level":"(warn|error|fatal)"/.test(line))).toEqual(
      [],
    )
  })

  test('finishes a running request when it is stopped', async () => {
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let asked: () => void = () => {}
    const arrived = new Promise<void>((resolve) => {
      asked = resolve
    })
    const slow = await deployment.start({
      selfAuthorization: 'insecure-off',
      authorizeBoot: async () => {
        asked()
        await held
        const block = { number: 1n, hash: '0x00' as const, timestamp: at }
        return { allowed: true, reason: '', gatewayAppId: 'gateway', block }
      },
    })
    const running = ask(slow, { path: '/prpc/GetAppKey', identity })
    await arrived
    const stopped = slow.stop()
    release()

    expect((await running).status).toBe(200)
    await stopped
    await expect(ask(slow, { path: '/health', method: 'GET' })).rejects.toThrow()
  })
})
