/** An unmodified guest gets its keys: every byte of what it sends and reads is made by hand from the specification. */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { RunningKms } from '../../../src/kms/service.ts'
import type { SimulatedCvm } from '../../../src/tee/simulator/cvm.ts'
import { readCommittedJson } from '../../vectors.ts'
import { createDeployment, type KmsDeployment } from '../fixture.ts'
import {
  big,
  bytes,
  dstackExtension,
  type Fields,
  fromPem,
  hex,
  join,
  protobuf,
  readCertificate,
  readDer,
  readProtobuf,
  scale,
  text,
} from './encodings.ts'
import {
  type Ask,
  ask,
  attestationV0,
  attestationV1,
  type Extension,
  hkdf,
  type Identity,
  mintTemp,
  nameOf,
  newKey,
  pkcs8,
  reportDataOf,
  serialOf,
  sha256,
  sharedSecret,
} from './peer.ts'

/** Made elsewhere from the same formulas: root, app id, keys and signatures that must come out. */
const known = readCommittedJson<Record<string, string>>('dstack/kat/k256-derivation-derived.json')
const kat = (name: string) => bytes(known[name] ?? '')
const ca = new Uint8Array(32).fill(9)

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm
let temp: { certificate: string; key: string; root: string }

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start({
    keys: { ca, k256: kat('root_k256_key'), tempCa: new Uint8Array(32).fill(8) },
  })
  cvm = deployment.boot({ appId: kat('app_id') })
  temp = await getTempCa()
})
afterAll(() => deployment.close())

const json = { 'content-type': 'application/json' }

/** First contact: the server is not checked (§6.1). */
async function getTempCa(url = kms.url) {
  const { body } = await ask(url, {
    path: '/prpc/KMS.GetTempCaCert?json',
    body: '{}',
    headers: json,
  }).then(({ text: words }) => ({ body: JSON.parse(words) }))
  return { certificate: body.temp_ca_cert, key: body.temp_ca_key, root: body.ca_cert }
}

const v0 =
  (one = cvm) =>
  (reportData: Uint8Array): Extension[] => [
    { last: 8, content: attestationV0(one, reportData, one.vmConfig) },
  ]
const identityOf = (extensions = v0()): Identity => mintTemp(temp, extensions)
const askMutual = (asked: Ask, identity = identityOf()) =>
  ask(kms.url, { ca: temp.root, identity, ...asked })

const bytesOf = (fields: Fields, number: number) =>
  fields.filter(([each]) => each === number).map(([, value]) => value as Uint8Array)
const one = (fields: Fields, number: number) => bytesOf(fields, number)[0] ?? new Uint8Array()
const words = (data: Uint8Array) => Buffer.from(data).toString()

async function getAppKey(extensions = v0(), vmConfig = cvm.vmConfig): Promise<Fields> {
  const body = protobuf([
    [1, 1n],
    [2, vmConfig],
  ])
  const reply = await askMutual({ path: '/prpc/KMS.GetAppKey', body }, identityOf(extensions))
  if (reply.status !== 200) throw new Error(words(one(readProtobuf(reply.body), 1)))
  return readProtobuf(reply.body)
}

/** r ‖ s ‖ recovery id 0 or 1 over keccak-256 (§5.4). */
function signerOf(signature: Uint8Array, message: Uint8Array): string {
  expect(signature).toHaveLength(65)
  const parsed = secp256k1.Signature.fromBytes(signature.slice(0, 64), 'compact')
  expect(parsed.hasHighS()).toBe(false)
  const point = parsed.addRecoveryBit(signature[64] ?? 9).recoverPublicKey(keccak_256(message))
  return hex(point.toBytes(true))
}

const refusal = async (asked: Ask) => {
  const reply = await ask(kms.url, asked)
  return { status: reply.status, type: reply.headers.get('content-type'), text: reply.text }
}

describe('dstack guest protocol: the TLS handshake and GetTempCaCert', () => {
  test('the server sends only a leaf with usage kms:rpc, its domain and an attestation over its key', async () => {
    const reply = await ask(kms.url, { path: '/prpc/GetTempCaCert' })
    const leaf = readCertificate(new Uint8Array(reply.server.raw))
    const attestation = dstackExtension(leaf, 8) ?? new Uint8Array()

    expect(reply.server.issuerCertificate).toBeUndefined()
    expect(words(dstackExtension(leaf, 4) ?? leaf.spki)).toBe('kms:rpc')
    expect(reply.server.subject.CN).toBe('localhost')
    expect(reply.server.subjectaltname).toBe('DNS:localhost')
    expect(leaf.extensions.has('551d25')).toBe(false)
    expect(attestation[0]).toBe(0)
    expect(hex(attestation)).toContain(hex(reportDataOf(leaf.spki)))
    expect(reply.headers.get('x-app-version')).toMatch(/^\d+\./)
  })

  test('GetTempCaCert returns the temporary CA, its key and the root in three fields', async () => {
    const reply = await ask(kms.url, { path: '/prpc/KMS.GetTempCaCert' })
    const fields = readProtobuf(reply.body)

    expect(reply.headers.get('content-type')).toBe('application/octet-stream')
    expect(fields.map(([number]) => number)).toEqual([1, 2, 3])
    const temporary = new X509Certificate(words(one(fields, 1)))
    const root = new X509Certificate(words(one(fields, 3)))
    expect([temporary.subject, temporary.issuer]).toEqual(
      Array(2).fill('O=Dstack\nCN=Dstack Client Temp CA'),
    )
    expect([root.subject, root.issuer]).toEqual(Array(2).fill('O=Dstack\nCN=Dstack KMS CA'))
    expect(words(one(fields, 2))).toMatch(/^-----BEGIN PRIVATE KEY-----/)
    expect(hex(fromPem(words(one(fields, 2))))).toBe(hex(pkcs8(new Uint8Array(32).fill(8))))
    expect(temporary.verify(temporary.publicKey) && root.verify(root.publicKey)).toBe(true)
  })

  test('certificates follow the profile: usages, path lengths, serial number, dates, key identifier', async () => {
    for (const [pem, path] of [
      [temp.root, 1],
      [temp.certificate, 0],
    ] as const) {
      const read = readCertificate(fromPem(pem))
      const value = (oid: string) => read.extensions.get(oid)
      expect(read.notBefore).toBe('750101000000Z')
      expect(hex(read.serial)).toBe(hex(serialOf(read.spki)))
      // digitalSignature, keyCertSign, cRLSign; CA with its path length; both critical
      expect([hex(value('551d0f')?.value ?? ca), value('551d0f')?.critical]).toEqual([
        '03020186',
        true,
      ])
      expect([hex(value('551d13')?.value ?? ca), value('551d13')?.critical]).toEqual([
        `30060101ff0201${hex(big(path, 1))}`,
        true,
      ])
      const identifier = readDer(value('551d0e')?.value ?? ca)[0]?.content ?? ca
      expect(hex(identifier)).toBe(hex(sha256(read.spki).slice(0, 20)))
      expect(read.extensions.has('551d23')).toBe(false)
    }
  })
})

describe('dstack guest protocol: GetAppKey', () => {
  test('returns exactly the expected keys in the numbered fields of the message', async () => {
    const fields = await getAppKey()

    expect(fields.map(([number]) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(words(one(fields, 1))).toBe(temp.root)
    expect(hex(one(fields, 4))).toBe(known.app_k256_key)
    expect(hex(one(fields, 5))).toBe(known.k256_signature)
    expect(hex(one(fields, 2))).toBe(
      hex(sharedSecret(ca, cvm.appId, cvm.instanceId, text('app-disk-crypt-key'))),
    )
    expect(hex(one(fields, 3))).toBe(hex(sharedSecret(ca, cvm.appId, text('env-encrypt-key'))))
    expect([words(one(fields, 6)), words(one(fields, 7))]).toEqual(['gateway', 'gateway'])
    expect(hex(one(fields, 8))).toBe(hex(deployment.image.osImageHash))
  })

  test('returns the same in JSON with the names, hex and order of generated clients', async () => {
    const body = JSON.stringify({ api_version: 1, vm_config: cvm.vmConfig, later: [1] })
    const reply = await askMutual({ path: '/prpc/GetAppKey?json', body, headers: json })
    const fields = await getAppKey()

    expect(reply.headers.get('content-type')).toBe('application/json')
    expect(Object.entries(JSON.parse(reply.text))).toEqual([
      ['ca_cert', temp.root],
      ['disk_crypt_key', hex(one(fields, 2))],
      ['env_crypt_key', hex(one(fields, 3))],
      ['k256_key', hex(one(fields, 4))],
      ['k256_signature', hex(one(fields, 5))],
      ['tproxy_app_id', 'gateway'],
      ['gateway_app_id', 'gateway'],
      ['os_image_hash', hex(one(fields, 8))],
    ])
  })

  test('returns a key whose signature chain leads to the root key (§6.3)', async () => {
    const fields = await getAppKey()
    const appKey = secp256k1.getPublicKey(one(fields, 4), true)
    const message = join(text('dstack-kms-issued:'), cvm.appId, appKey)

    expect(signerOf(one(fields, 5), message)).toBe(known.root_k256_pubkey)
  })

  test('accepts an attestation of version 1 in MessagePack', async () => {
    const packed = (data: Uint8Array) => [
      { last: 8, content: attestationV1(cvm, data, cvm.vmConfig) },
    ]

    expect(await getAppKey(packed)).toEqual(await getAppKey())
  })

  test('accepts a legacy certificate with the quote in extension .1 and the event log in .2', async () => {
    const legacy = (data: Uint8Array) => [
      { last: 1, content: cvm.quote(data) },
      { last: 2, content: text(cvm.eventLog('quote')) },
    ]

    expect(await getAppKey(legacy)).toEqual(await getAppKey())
    // with no log there is nothing to read, and nothing in it to fall back on
    await expect(getAppKey((data) => legacy(data).slice(0, 1))).rejects.toThrow('invalid quote')
    await expect(getAppKey(legacy, '')).rejects.toThrow('App not allowed')
  })

  test('uses the vm_config of the attestation if the request has none', async () => {
    expect(await getAppKey(v0(), '')).toEqual(await getAppKey())
  })

  test('returns a disk key for each instance and the same other keys for all instances', async () => {
    const other = deployment.boot({ appId: cvm.appId, instanceSeed: new Uint8Array(20).fill(1) })
    const [mine, others] = [await getAppKey(), await getAppKey(v0(other))]

    expect(one(others, 2)).not.toEqual(one(mine, 2))
    for (const number of [3, 4, 5]) expect(one(others, number)).toEqual(one(mine, number))
  })

  test('returns the key that opens an environment encrypted by a client', async () => {
    const reply = await ask(kms.url, {
      path: '/prpc/KMS.GetAppEnvEncryptPubKey',
      body: protobuf([[1, cvm.appId]]),
    })
    const fields = readProtobuf(reply.body)
    const [publicKey, timestamp] = [one(fields, 1), fields.find(([number]) => number === 3)?.[1]]
    expect(fields.map(([number]) => number)).toEqual([1, 2, 3, 4])
    const named = join(text('dstack-env-encrypt-pubkey:'), cvm.appId)
    expect(signerOf(one(fields, 2), join(named, publicKey))).toBe(known.root_k256_pubkey)
    const timed = join(named, big(Number(timestamp), 8), publicKey)
    expect(signerOf(one(fields, 4), timed)).toBe(known.root_k256_pubkey)

    const plain = text('{"env":[{"key":"A","value":"ü"}]}')
    const sent = encrypt(publicKey, plain)
    expect(hex(decrypt(one(await getAppKey(), 3), sent))).toBe(hex(plain))
  })
})

/** X25519, AES-256-GCM under the raw shared secret: ephemeral key ‖ iv ‖ ciphertext ‖ tag (§5.5). */
function encrypt(publicKey: Uint8Array, plain: Uint8Array): Uint8Array {
  const mine = generateKeyPairSync('x25519')
  const shared = diffieHellman({ privateKey: mine.privateKey, publicKey: x25519Public(publicKey) })
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', shared, iv)
  const body = join(cipher.update(plain), cipher.final(), cipher.getAuthTag())
  const ephemeral = new Uint8Array(mine.publicKey.export({ format: 'der', type: 'spki' })).slice(
    -32,
  )
  return join(ephemeral, iv, body)
}

function decrypt(secret: Uint8Array, sent: Uint8Array): Uint8Array {
  const privateKey = x25519Private(secret)
  const shared = diffieHellman({ privateKey, publicKey: x25519Public(sent.slice(0, 32)) })
  const decipher = createDecipheriv('aes-256-gcm', shared, sent.slice(32, 44))
  decipher.setAuthTag(sent.slice(-16))
  return join(decipher.update(sent.slice(44, -16)), decipher.final())
}

const x25519Public = (raw: Uint8Array) =>
  createPublicKey({
    key: Buffer.from(join(bytes('302a300506032b656e032100'), raw)),
    format: 'der',
    type: 'spki',
  })
const x25519Private = (raw: Uint8Array) => ({
  key: Buffer.from(join(bytes('302e020100300506032b656e04220420'), raw)),
  format: 'der' as const,
  type: 'pkcs8' as const,
})

describe('dstack guest protocol: SignCert', () => {
  /** `config1` and `config2` of §5.8. */
  interface Wish {
    readonly version: 1 | 2
    readonly organization?: string
    readonly names?: readonly string[]
    readonly server?: boolean
    readonly client?: boolean
    readonly withQuote?: boolean
    readonly withInfo?: boolean
    readonly notBefore?: number
    readonly notAfter?: number
  }

  async function request(wish: Wish) {
    const { key, spki } = newKey()
    const data = reportDataOf(spki)
    const option = (value: number | undefined) =>
      scale.option(value === undefined ? undefined : scale.u64(value))
    const csr = join(
      scale.str('please sign cert:'),
      scale.bytes(spki),
      scale.option(wish.organization === undefined ? undefined : scale.str(wish.organization)),
      scale.str('guest.example'),
      scale.vec((wish.names ?? []).map(scale.str)),
      ...[wish.server, wish.client, wish.withQuote].map((each) => scale.bool(each === true)),
      ...(wish.version === 1
        ? [scale.bytes(cvm.quote(data)), scale.str(cvm.eventLog('quote'))]
        : [
            scale.bool(wish.withInfo === true),
            option(wish.notBefore),
            option(wish.notAfter),
            attestationV0(cvm, data, cvm.vmConfig, 'quote'),
          ]),
    )
    const body = protobuf([
      [1, BigInt(wish.version)],
      [2, csr],
      [3, sign('sha256', csr, key)],
      [4, wish.version === 1 ? cvm.vmConfig : ''],
    ])
    const reply = await ask(kms.url, { path: '/prpc/KMS.SignCert', body })
    const chain = bytesOf(readProtobuf(reply.body), 1).map(words)
    if (reply.status !== 200) throw new Error(chain[0])
    return { spki, data, chain, read: chain.map((each) => readCertificate(fromPem(each))) }
  }

  test.each([1, 2] as const)(
    'returns leaf, app CA and root for version %i, each signed by the next',
    async (version) => {
      const { spki, chain, read } = await request({
        version,
        names: ['guest.example', '10.0.0.1'],
        server: true,
        client: true,
      })
      const [leaf, appCa, root] = chain.map((each) => new X509Certificate(each))
      const [leafRead, appRead] = read

      expect(chain).toHaveLength(3)
      expect(chain[2]).toBe(temp.root)
      expect(root && appCa?.verify(root.publicKey)).toBe(true)
      expect(appCa && leaf?.verify(appCa.publicKey)).toBe(true)
      expect(hex(leafRead?.spki ?? ca)).toBe(hex(spki))
      expect(leaf?.subject).toBe('CN=guest.example')
      expect(leaf?.subjectAltName).toBe('DNS:guest.example, IP Address:10.0.0.1')
      expect(leaf?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
      expect(hex(leafRead?.serial ?? ca)).toBe(hex(serialOf(spki)))
      expect(leafRead?.notBefore).toBe('750101000000Z')
      expect(hex(dstackExtension(leafRead, 3) ?? ca)).toBe(hex(cvm.appId))
      expect(words(dstackExtension(leafRead, 4) ?? ca)).toBe('app:custom')
      expect(appCa?.subject).toBe('O=Dstack\nCN=Dstack App CA')
      expect(hex(dstackExtension(appRead, 3) ?? ca)).toBe(hex(cvm.appId))
      expect(words(dstackExtension(appRead, 4) ?? ca)).toBe('app:ca')
      // its key is P256(root CA, app id, "app-ca")
      expect(hex(appRead?.spki.slice(-65) ?? ca)).toBe(
        hex(pkcs8(hkdf(ca, cvm.appId, text('app-ca'))).slice(-65)),
      )
    },
  )

  test('adds organization, dates, quote and app info only if they are requested', async () => {
    const at = 1_787_000_000
    const wish = { version: 2, organization: 'Guests', notBefore: at, notAfter: at + 3600 } as const
    const { data, chain, read } = await request({ ...wish, withQuote: true, withInfo: true })
    const [leaf] = chain.map((each) => new X509Certificate(each))
    const info = dstackExtension(read[0], 9) ?? ca

    expect(hex(read[0]?.subject ?? ca)).toBe(hex(nameOf('Guests', 'guest.example')))
    expect([leaf?.validFromDate.getTime(), leaf?.validToDate.getTime()]).toEqual([
      at * 1000,
      (at + 3600) * 1000,
    ])
    // the log in the form of certificates
    expect(hex(dstackExtension(read[0], 8) ?? ca)).toBe(
      hex(attestationV0(cvm, data, cvm.vmConfig, 'certificate')),
    )
    // a list of nine: app, release, instance, device as binary
    expect(hex(info.slice(0, 3))).toBe('99c414')
    expect(hex(info)).toContain(
      `${hex(cvm.appId)}c420${hex(cvm.composeHash)}c414${hex(cvm.instanceId)}`,
    )
    expect(hex(info)).toContain(`c420${hex(cvm.deviceId)}`)

    const plain = await request({ version: 2 })
    expect([...(plain.read[0]?.extensions.keys() ?? [])]).toEqual(
      expect.not.arrayContaining(['551d11', '551d25']),
    )
    expect(dstackExtension(plain.read[0], 8)).toBeUndefined()
    expect(dstackExtension(plain.read[0], 9)).toBeUndefined()
  })
})

describe('dstack guest protocol: transport', () => {
  test('repeated prefixes of the protocol name in the path are removed', async () => {
    for (const path of ['GetMeta', 'KMS.GetMeta', 'KMS.KMS.GetMeta']) {
      expect((await ask(kms.url, { path: `/prpc/${path}` })).status).toBe(200)
    }
    expect(await refusal({ path: '/prpc/Admin.GetMeta?json' })).toMatchObject({
      status: 400,
      text: '{\n  "error": "Service not found: Admin.GetMeta"\n}',
    })
  })

  test('JSON is selected by query or content type, and protobuf is the default', async () => {
    const typeOf = async (asked: Ask) => (await ask(kms.url, asked)).headers.get('content-type')
    for (const query of ['?json', '?json=', '?json=1', '?json=true']) {
      expect(await typeOf({ path: `/prpc/GetMeta${query}` }), query).toBe('application/json')
    }
    expect(await typeOf({ path: '/prpc/GetMeta', headers: json, body: '{}' })).toBe(
      'application/json',
    )
    const utf8 = { 'content-type': 'application/json; charset=utf-8' }
    expect(await typeOf({ path: '/prpc/GetMeta', headers: utf8 })).toBe('application/json')
    for (const query of ['?json=0', '?json=false', '']) {
      expect(await typeOf({ path: `/prpc/GetMeta${query}` })).toBe('application/octet-stream')
    }
  })

  test('GET takes the request from the query and answers in JSON', async () => {
    const appId = hex(cvm.appId)
    const path = `/prpc/GetAppEnvEncryptPubKey?app_id=${appId}`
    const got = await ask(kms.url, { path, method: 'GET' })
    const posted = await ask(kms.url, {
      path: '/prpc/GetAppEnvEncryptPubKey',
      headers: json,
      body: `{"app_id":"0x${appId}"}`,
    })

    expect(got.headers.get('content-type')).toBe('application/json')
    expect(JSON.parse(got.text)).toEqual(JSON.parse(posted.text))
    expect(JSON.parse(got.text).timestamp).toBeTypeOf('number')
  })

  test('a chunked body is read like any other', async () => {
    const body = protobuf([[1, cvm.appId]])
    const reply = await ask(kms.url, { path: '/prpc/GetAppEnvEncryptPubKey', body, chunked: true })

    expect(reply.status).toBe(200)
  })

  test('unknown protobuf fields are skipped', async () => {
    const body = protobuf([
      [1, cvm.appId],
      [500, 'later'],
      [501, 7n],
    ])

    expect((await ask(kms.url, { path: '/prpc/GetAppEnvEncryptPubKey', body })).status).toBe(200)
  })

  test('TLS 1.3 is used, and health and metrics need no certificate', async () => {
    const health = await ask(kms.url, { path: '/health', method: 'GET' })
    const metrics = await ask(kms.url, { path: '/metrics', method: 'GET' })

    expect([health.text, health.protocol]).toEqual(['OK', 'TLSv1.3'])
    expect(metrics.text).toMatch(/^dstack_kms_attestation_requests_total \d/m)
    expect(metrics.text).toMatch(/^dstack_kms_attestation_failures_total \d/m)
  })

  test('GetMeta returns its fields in numbered order, with absent values absent or null', async () => {
    const binary = readProtobuf((await ask(kms.url, { path: '/prpc/GetMeta' })).body)
    const read = JSON.parse((await ask(kms.url, { path: '/prpc/GetMeta?json' })).text)

    // false is not written in protobuf: 2 and 5; there was no bootstrap: 4
    expect(binary.map(([number]) => number)).toEqual([1, 3, 6, 7, 8, 9])
    expect(hex(one(binary, 3))).toBe(known.root_k256_pubkey)
    expect(read).toMatchObject({
      allow_any_upgrade: false,
      bootstrap_info: null,
      is_dev: false,
      chain_id: 31337,
    })
  })
})

describe('dstack guest protocol: an error has the text of dstack and status 400', () => {
  const jsonError = (message: string) => ({
    status: 400,
    type: 'application/json',
    text: JSON.stringify({ error: message }, null, 2),
  })
  const withIdentity = (extensions: (data: Uint8Array) => readonly Extension[], body = '{}') =>
    refusal({
      path: '/prpc/GetAppKey?json',
      body,
      identity: mintTemp(temp, extensions),
      ca: temp.root,
    })

  test('and is field 1 in protobuf', async () => {
    const { status, body, headers } = await ask(kms.url, { path: '/prpc/GetAppKey' })

    expect([status, headers.get('content-type')]).toEqual([400, 'application/octet-stream'])
    expect(readProtobuf(body)).toEqual([[1, text('App not allowed: No attestation provided')]])
  })

  test('for an unsupported version, before any other check', async () => {
    expect(await refusal({ path: '/prpc/GetAppKey?json', body: '{"api_version":2}' })).toEqual(
      jsonError('Unsupported API version: 2'),
    )
    expect(await refusal({ path: '/prpc/SignCert?json', body: '{"api_version":3}' })).toEqual(
      jsonError('Unsupported API version: 3'),
    )
  })

  test('for a missing certificate or a certificate without a quote', async () => {
    const expected = jsonError('App not allowed: No attestation provided')
    expect(await refusal({ path: '/prpc/GetAppKey?json' })).toEqual(expected)
    expect(await refusal({ path: '/prpc/GetKmsKey?json' })).toEqual(
      jsonError('No attestation provided'),
    )
    expect(await withIdentity(() => [])).toEqual(expected)
  })

  test('for a quote over another key, before the method runs', async () => {
    const elsewhere = () => v0()(new Uint8Array(64))

    expect(await withIdentity(elsewhere)).toEqual(jsonError('invalid quote: report data mismatch'))
    expect(await withIdentity(elsewhere, '{"api_version":2}')).toEqual(
      jsonError('invalid quote: report data mismatch'),
    )
  })

  test('for an event log that does not replay, a debug TD, and malformed bytes', async () => {
    const longer = (data: Uint8Array) => {
      const { content } = v0()(data)[0] as Extension
      // one letter of the runtime event's name, which the replay hashes
      const at = Buffer.from(content).lastIndexOf('compose-hash')
      return [{ last: 8, content: content.with(at, 0x64) }]
    }
    expect((await withIdentity(longer)).text).toMatch(
      /RTMR3 mismatch, quoted: [0-9a-f]{96}, replayed: /,
    )
    const debug = deployment.boot({ td: { tdAttributes: bytes('0100001000000000') } })
    expect((await withIdentity(v0(debug))).text).toMatch(/"invalid quote: /)
    const noise = (data: Uint8Array) => [{ last: 8, content: join(Uint8Array.of(0x7f), data) }]
    expect((await withIdentity(noise)).text).toMatch(/"invalid quote: /)
  })

  test('for an app that the chain denies, and for a KMS that the chain denies', async () => {
    const body = '{"api_version":1}'
    await deployment.setBehaviour('deny')
    expect(await withIdentity(v0(), body)).toEqual(
      jsonError('App not allowed: Boot denied: Device not allowed'),
    )
    await deployment.setBehaviour('self-deny')
    const denied = jsonError(
      'KMS self authorization failed: KMS is not allowed: Aggregated MR not allowed',
    )
    expect(await withIdentity(v0(), body)).toEqual(denied)
    for (const method of ['GetTempCaCert', 'GetAppEnvEncryptPubKey', 'GetKmsKey', 'SignCert']) {
      expect(await refusal({ path: `/prpc/${method}?json` }), method).toEqual(denied)
    }
    expect((await ask(kms.url, { path: '/prpc/GetMeta' })).status).toBe(200)
    await deployment.setBehaviour('allow')
  })

  test('for an app id of another length', async () => {
    const { text: answer } = await refusal({
      path: '/prpc/GetAppEnvEncryptPubKey?json',
      body: '{"app_id":"00"}',
    })

    expect(answer).toContain('app_id must be 20 bytes')
  })

  test('for a certificate request that its key did not sign', async () => {
    const { spki, key } = newKey()
    const csr = join(
      scale.str('please sign cert:'),
      scale.bytes(spki),
      bytes('0004780000000000'),
      bytes('0000'),
      attestationV0(cvm, reportDataOf(spki), cvm.vmConfig),
    )
    const body = JSON.stringify({
      api_version: 2,
      csr: hex(csr),
      signature: hex(sign('sha256', text('x'), key)),
    })

    expect(await refusal({ path: '/prpc/SignCert?json', body })).toEqual(
      jsonError('Failed to verify csr signature: Invalid signature'),
    )
  })
})
