import { createPrivateKey, sign, X509Certificate } from 'node:crypto'
import { decode } from '@msgpack/msgpack'
import { p256 } from '@noble/curves/nist.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuthorizeBoot } from '../../src/kms/authorization/authorize.ts'
import {
  extensionIds,
  fromPem,
  isIssuedBy,
  readCertificate,
} from '../../src/kms/certificates/certificate.ts'
import {
  type CertificateRequest,
  encodeCertificateRequest,
  parseCertificateRequest,
  requireAllowedRequest,
} from '../../src/kms/certificates/csr.ts'
import { certificateForm, certificateReportData } from '../../src/kms/certificates/ratls.ts'
import { type KmsConfig, reservedNamesOf } from '../../src/kms/config.ts'
import { encodePkcs8, encodeSpki } from '../../src/kms/keys/derive.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { concatBytes, fromHex, toHex } from '../../src/lib/bytes.ts'
import { scaleBytes, scaleText } from '../../src/lib/scale.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { runtimeEventDigest, runtimeEventPreimage } from '../../src/quote/measurements/event-log.ts'
import type { BootInfo } from '../../src/quote/measurements/measure.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { describeRecorded, readVectorJson } from '../vectors.ts'
import { at, createDeployment, type KmsDeployment } from './fixture.ts'
import { ask, askForKeys, json, mint } from './http-fixture.ts'

describeRecorded('recorded certificate requests of version 2', () => {
  const { cases } = readVectorJson<{
    cases: { ext_quote: boolean; quote: string; encoded: string }[]
  }>('dstack/kat/csr-v2-scale.json')

  test.each(cases)('are decoded and encoded to the same bytes', ({ ext_quote, quote, encoded }) => {
    const request = parseCertificateRequest(2, fromHex(encoded, 'csr'))

    expect(request).toMatchObject({
      spki: Uint8Array.of(1, 2, 3),
      organization: undefined,
      subject: 'test.example.com',
      names: [],
      serverAuth: true,
      clientAuth: false,
      withQuote: ext_quote,
      withAppInfo: false,
      notBefore: undefined,
      notAfter: undefined,
    })
    expect(toHex(request.attestation.quote)).toBe(quote)
    expect(toHex(encodeCertificateRequest(request))).toBe(encoded)
  })
})

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm
let asked: { question: string; boot: BootInfo }[]

beforeAll(async () => {
  deployment = await createDeployment()
  asked = []
  const recording: AuthorizeBoot = async (question, boot) => {
    asked.push({ question, boot })
    const block = { number: 1n, hash: '0x00' as const, timestamp: at }
    return { allowed: true, reason: '', gatewayAppId: 'gateway', block }
  }
  kms = await deployment.start({ authorizeBoot: recording })
  cvm = deployment.boot()
})
afterAll(() => deployment.close())

const key = p256.utils.randomSecretKey()
const spki = encodeSpki(key)

function wish(changed: Partial<CertificateRequest> = {}): CertificateRequest {
  return {
    spki,
    organization: 'Demo',
    subject: 'demo.example',
    names: ['demo.example', '*.demo.example', '10.0.0.1'],
    serverAuth: true,
    clientAuth: true,
    withQuote: true,
    withAppInfo: true,
    notBefore: at - 60,
    notAfter: at + 86_400,
    attestation: decodeAttestation(cvm.attestation(certificateReportData(spki), 'quote')),
    ...changed,
  }
}

function signCsr(csr: Uint8Array, by = key): Uint8Array {
  const pkcs8 = Buffer.from(encodePkcs8(by))
  const signer = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return new Uint8Array(sign('sha256', csr, signer))
}

async function send(csr: Uint8Array, signature = signCsr(csr), version = 2, vmConfig = '') {
  const body = JSON.stringify({
    api_version: version,
    csr: toHex(csr),
    signature: toHex(signature),
    vm_config: vmConfig,
  })
  const answer = await ask(kms, { path: '/prpc/KMS.SignCert', headers: json, body })
  const parsed = JSON.parse(answer.text) as { certificate_chain: string[]; error?: string }
  return { ...answer, chain: parsed.certificate_chain, error: parsed.error }
}

describe('a certificate from SignCert', () => {
  test('has the requested fields and is signed by the app CA, which the root signed', async () => {
    const answer = await send(encodeCertificateRequest(wish()))
    const [leaf, appCa, root] = answer.chain.map(fromPem)
    if (!leaf || !appCa || !root) throw new Error('no chain')
    // as PEM: Node would find the PEM of the quote's own chain inside the DER first
    const read = new X509Certificate(answer.chain[0] ?? '')
    const facts = readCertificate(leaf)

    expect(root).toEqual(kms.rootCertificate)
    expect(await isIssuedBy(appCa, root)).toBe(true)
    expect(await isIssuedBy(leaf, appCa)).toBe(true)
    expect(read.subject).toBe('O=Demo\nCN=demo.example')
    expect(read.subjectAltName).toBe('DNS:demo.example, DNS:*.demo.example, IP Address:10.0.0.1')
    expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect([facts.spki, facts.notBefore, facts.notAfter]).toEqual([spki, at - 60, at + 86_400])
    expect(facts.extensions.get(extensionIds.appId)).toEqual(cvm.appId)
    expect(Buffer.from(facts.extensions.get(extensionIds.usage) ?? []).toString()).toBe(
      'app:custom',
    )
    expect(readCertificate(appCa).extensions.get(extensionIds.appId)).toEqual(cvm.appId)
    const carried = decodeAttestation(facts.extensions.get(extensionIds.attestation) ?? spki)
    expect(carried.eventLog.every(({ imr, payload }) => imr === 3 || payload.length > 0)).toBe(true)
  })

  test('has nine extensions about the app, with the verified device id', async () => {
    const answer = await send(encodeCertificateRequest(wish()))
    const leaf = readCertificate(fromPem(answer.chain[0] ?? ''))
    const info = decode(leaf.extensions.get(extensionIds.appInfo) ?? spki) as Uint8Array[]

    expect(info).toHaveLength(9)
    expect(toHex(info[0] ?? spki)).toBe(toHex(cvm.appId))
    expect(toHex(info[1] ?? spki)).toBe(toHex(cvm.composeHash))
    expect(toHex(info[3] ?? spki)).toBe(toHex(cvm.deviceId))
    expect(asked.at(-1)?.boot.deviceId).toEqual(cvm.deviceId)
    expect(info[8]).toBeNull()
  })

  test('has the verified values if the request contains another vm_config', async () => {
    const own = wish().attestation
    const other = JSON.stringify({ ...JSON.parse(own.config), os_image_hash: 'ab'.repeat(32) })
    const csr = encodeCertificateRequest(wish({ attestation: { ...own, config: other } }))
    const answer = await send(csr, signCsr(csr), 2, cvm.vmConfig)
    const { extensions } = readCertificate(fromPem(answer.chain[0] ?? ''))
    const carried = decodeAttestation(extensions.get(extensionIds.attestation) ?? spki)
    const info = decode(extensions.get(extensionIds.appInfo) ?? spki) as Uint8Array[]

    expect(carried.config).toBe(cvm.vmConfig)
    expect(toHex(info[6] ?? spki)).toBe(JSON.parse(carried.config).os_image_hash)
    // nothing but the other configuration has changed
    expect({ ...carried, config: '' }).toEqual({ ...certificateForm(own), config: '' })
  })

  test('has no extension that was not requested', async () => {
    const plain = wish({ withQuote: false, withAppInfo: false, organization: undefined, names: [] })
    const answer = await send(encodeCertificateRequest(plain))
    const leaf = fromPem(answer.chain[0] ?? '')

    expect([...readCertificate(leaf).extensions.keys()]).toEqual([
      extensionIds.appId,
      extensionIds.usage,
    ])
    expect(new X509Certificate(leaf).subjectAltName).toBeUndefined()
  })

  test('is issued for version 1, with quote and log as separate members', async () => {
    const data = certificateReportData(spki)
    const csr = concatBytes(
      scaleText('please sign cert:'),
      scaleBytes(spki),
      Uint8Array.of(0),
      scaleText('demo.example'),
      Uint8Array.of(0, 1, 0, 0),
      scaleBytes(cvm.quote(data)),
      scaleText(cvm.eventLog('quote')),
    )

    expect(await send(csr, signCsr(csr), 1, cvm.vmConfig)).toMatchObject({ status: 200 })
  })

  test('keeps digest and preimage of version 2 events from any encoding of the log', async () => {
    const second = deployment.boot({ eventVersion: 2 })
    const data = certificateReportData(spki)
    const forms = [second.attestation(data, 'quote'), second.attestation(data, 'certificate')]
    const bare = forms.map(decodeAttestation).map((attestation) => ({
      ...attestation,
      eventLog: attestation.eventLog.map(({ preimage: _, ...event }) =>
        event.imr === 3 ? { ...event, digest: new Uint8Array() } : event,
      ),
    }))
    for (const attestation of [...forms.map(decodeAttestation), ...bare]) {
      const answer = await send(encodeCertificateRequest(wish({ attestation })))
      const { extensions } = readCertificate(fromPem(answer.chain[0] ?? ''))
      const carried = decodeAttestation(extensions.get(extensionIds.attestation) ?? spki)
      const runtime = carried.eventLog.filter(({ imr }) => imr === 3)

      expect(runtime.length).toBeGreaterThan(3)
      for (const { event, payload, digest, preimage } of runtime) {
        expect(preimage).toEqual(runtimeEventPreimage(event, payload, 2))
        expect(digest).toEqual(runtimeEventDigest(event, payload, 2))
      }
    }
  })

  test('is authorized for a running app by its measurements at boot', async () => {
    asked.length = 0
    await askForKeys(
      kms,
      await mint(deployment.keys, { attestation: (data) => cvm.attestation(data) }),
    )
    const running = deployment.boot()
    running.advance('ready', { keyProvider: { name: 'kms', id: kms.caPublicKey } })
    const attestation = decodeAttestation(running.attestation(certificateReportData(spki), 'quote'))
    const answer = await send(encodeCertificateRequest(wish({ attestation })))
    const boots = asked.filter(({ question }) => question === 'isAppAllowed')

    expect(answer.status).toBe(200)
    expect(boots).toHaveLength(2)
    expect(boots[1]?.boot).toEqual(boots[0]?.boot)
  })
})

describe('SignCert refuses', () => {
  const code = async (change: Partial<CertificateRequest>) =>
    (await send(encodeCertificateRequest(wish(change)))).code

  test('a request that its own key did not sign', async () => {
    const csr = encodeCertificateRequest(wish())
    const other = signCsr(csr, p256.utils.randomSecretKey())

    for (const signature of [other, new Uint8Array(), new Uint8Array(71), signCsr(spki)]) {
      expect(await send(csr, signature)).toMatchObject({
        status: 400,
        code: 'KMS_CSR_UNSIGNED',
        error: 'Failed to verify csr signature: Invalid signature',
      })
    }
    expect(await code({ spki: Uint8Array.of(1, 2, 3) })).toBe('KMS_CSR_UNSIGNED')
    const offCurve = new Uint8Array(spki)
    offCurve.fill(1, 27)
    expect(await code({ spki: offCurve })).toBe('KMS_CSR_UNSIGNED')
    // the signature comes before whatever else is wrong
    const cut = csr.subarray(0, csr.length - 1000)
    expect((await send(cut, other)).code).toBe('KMS_CSR_UNSIGNED')
    expect((await send(cut)).code).toBe('ATTESTATION_MALFORMED')
  })

  test('a quote over another key', async () => {
    const attestation = decodeAttestation(cvm.attestation(new Uint8Array(64)))
    const answer = await send(encodeCertificateRequest(wish({ attestation })))

    expect(answer.code).toBe('KMS_REPORT_DATA_UNBOUND')
    expect(answer.error).toMatch(/^Quote verification failed: /)
  })

  test('oversized names and times', async () => {
    const refused: Partial<CertificateRequest>[] = [
      { names: ['a b'] },
      { names: [''] },
      { names: ['a..b'] },
      { names: ['x.*.y'] },
      { names: ['-a.example'] },
      { names: ['user@example'] },
      { names: ['http://example'] },
      { names: [`${'a'.repeat(64)}.example`] },
      { names: Array.from({ length: 65 }, (_, index) => `h${index}`) },
      { subject: 'x'.repeat(254) },
      { subject: 'a\u0000b' },
      { organization: 'x'.repeat(65) },
      { notAfter: at + 3651 * 86_400 },
      { notBefore: 0 },
      { notBefore: at + 10, notAfter: at + 10 },
    ]
    for (const change of refused) {
      expect(await code(change), JSON.stringify(change)).toBe('KMS_CSR_REFUSED')
    }
    expect(await code({ notBefore: undefined, notAfter: undefined })).toBeUndefined()
  })

  test('the name of the KMS itself in any spelling', async () => {
    const refusals: [string, string[]][] = [
      ['kms.example.org', ['kms.example.org', 'KMS.Example.ORG', '*.example.org', '*.EXAMPLE.org']],
      ['kms.example.org', ['*.org']],
      ['KMS.example.org.', ['kms.example.org', '*.example.org']],
      ['10.0.0.1', ['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1', '0:0:0:0:0:FFFF:0a00:0001']],
      ['2001:db8::1', ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:db8::0.0.0.1']],
    ]
    for (const [ownName, names] of refusals) {
      for (const name of names) {
        const wishes = [wish({ names: ['a.example', name] }), wish({ subject: name, names: [] })]
        for (const one of wishes) {
          expect(() => requireAllowedRequest(one, at, [ownName]), `${name} of ${ownName}`).toThrow(
            expect.objectContaining({ code: 'KMS_CSR_REFUSED' }),
          )
        }
      }
    }
    const subjects = ['kms.example.org.', ' kms.example.org', '[2001:db8::1]']
    for (const subject of subjects) {
      const ownName = subject.includes(':') ? '2001:db8::1' : 'kms.example.org'
      expect(() => requireAllowedRequest(wish({ subject, names: [] }), at, [ownName])).toThrow()
    }
    const others = ['example.org', 'xkms.example.org', '*.kms.example.org', 'kms.example.org.uk']
    expect(() =>
      requireAllowedRequest(wish({ names: others }), at, ['kms.example.org']),
    ).not.toThrow()
    expect(() =>
      requireAllowedRequest(wish({ names: ['10.0.0.2'] }), at, ['10.0.0.1']),
    ).not.toThrow()
    expect(await code({ names: ['localhost'] })).toBe('KMS_CSR_REFUSED')
  })

  test('the name of another node with the same root keys', () => {
    const kmsNames = ['kms-1.example.org', 'kms-2.example.org']
    const ask = (name: string) => () => requireAllowedRequest(wish({ names: [name] }), at, kmsNames)

    expect(ask('kms-2.example.org')).toThrow(expect.objectContaining({ code: 'KMS_CSR_REFUSED' }))
    expect(ask('kms-3.example.org')).not.toThrow()
  })

  test('the hosts of its witnesses and reserved names', () => {
    const witnesses = {
      nodes: [{ node: 'kms-2', url: 'https://kms-2.example.org:8000' }],
      urls: ['https://[2001:db8::1]:8000'],
    }
    const releaseLog = { witnesses } as unknown as KmsConfig['releaseLog']
    const config = { reservedNames: ['kms-3.example.org'], releaseLog } as KmsConfig

    expect(reservedNamesOf(config)).toEqual([
      'kms-3.example.org',
      'kms-2.example.org',
      '[2001:db8::1]',
    ])
  })

  test('addresses with a zone, and names that programs parse as an address', async () => {
    for (const name of ['fe80::1%1', 'fe80::1%eth0', '0x7f.1', '2130706433', '1.2.3', 'a.0x7f']) {
      expect(await code({ names: [name] }), name).toBe('KMS_CSR_REFUSED')
    }
  })

  test('other versions and malformed requests', async () => {
    const csr = encodeCertificateRequest(wish())

    for (const version of [0, 3]) {
      expect(await send(csr, signCsr(csr), version)).toMatchObject({
        code: 'KMS_API_VERSION_UNSUPPORTED',
        error: `Unsupported API version: ${version}`,
      })
    }
    for (const bad of [new Uint8Array(), csr.subarray(0, 30), concatBytes(csr, spki), spki]) {
      expect((await send(bad)).code).toMatch(/^(KMS_CSR_INVALID|ATTESTATION_MALFORMED)$/)
    }
    const otherWords = new Uint8Array(csr)
    otherWords[3] = 0x21
    expect((await send(otherWords)).code).toBe('KMS_CSR_INVALID')
  })
})
