import { X509Certificate } from 'node:crypto'

import { describe, expect, test } from 'vitest'
import {
  extensionIds,
  fromPem,
  isIssuedBy,
  issueAppCa,
  issueLeaf,
  issueRootCa,
  issueTempCa,
  keyFromPem,
  keyToPem,
  readCertificate,
  toPem,
} from '../../src/kms/certificates/certificate.ts'
import { encodeSpki } from '../../src/kms/keys/derive.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { describeRecorded, readVectorJson, readVectorText } from '../vectors.ts'

const now = 1_787_000_000
const rootKey = new Uint8Array(32).fill(1)
const leafKey = new Uint8Array(32).fill(2)
const rootCertificate = await issueRootCa(rootKey)
const root = { key: rootKey, certificate: rootCertificate }
const appId = new Uint8Array(20).fill(4)

/** The signed part: everything between the outer SEQUENCE and the signature algorithm. */
function signedPart(der: Uint8Array): string {
  const view = Buffer.from(der)
  const start = view[1] === 0x82 ? 4 : 3
  return view.subarray(start, start + 4 + view.readUInt16BE(start + 2)).toString('hex')
}

describeRecorded('KMS certificates and a recorded certificate of a real KMS:', () => {
  const { ca_cert, key_provider } = readVectorJson<{
    ca_cert: string
    key_provider: { None: { key: string } }
  }>('dstack/simulator-current/appkeys.json')
  const pkcs8 = Buffer.from(key_provider.None.key.replace('pkcs8-der-base64:', ''), 'base64')
  const key = new Uint8Array(pkcs8.subarray(36, 68))

  test('the root certificate is reproduced byte for byte', async () => {
    const real = fromPem(ca_cert)
    const { notAfter } = readCertificate(real)

    // dstack's encoder leaves a zero byte in the key usage bits, which DER forbids, and counts it twice above
    const canonical = signedPart(real)
      .replace('0303078600', '03020186')
      .replace('0101ff0405', '0101ff0404')
      .replace('300f0603551d0f', '300e0603551d0f')
      .replace('a3463044', 'a3453043')
      .replace(/^30820140/, '3082013f')
    expect(signedPart(await issueRootCa(key, notAfter))).toBe(canonical)
  })

  test('the root certificate verifies itself in OpenSSL and in the KMS reader', async () => {
    const real = fromPem(ca_cert)
    const ours = await issueRootCa(key)

    expect(await isIssuedBy(real, ours)).toBe(true)
    expect(await isIssuedBy(ours, real)).toBe(true)
    expect(await isIssuedBy(real, rootCertificate)).toBe(false)
  })

  test('quote and event log of a certificate from 2024 are read from both encodings', () => {
    const der = fromPem(readVectorText('dstack/ra-tls/2024-ratls-temp-cert.pem'))
    const { extensions } = readCertificate(der)

    expect(toHex(extensions.get(extensionIds.quote)?.subarray(0, 4) ?? new Uint8Array())).toBe(
      '04000200',
    )
    const log = Buffer.from(extensions.get(extensionIds.eventLog) ?? []).toString()
    expect(JSON.parse(log.split('\n')[0] ?? '')).toMatchObject({ imr: expect.any(Number) })
  })
})

describe('KMS certificates, parsed by OpenSSL,', () => {
  test('include the root, the temporary CA and the app CA', async () => {
    const temp = await issueTempCa(leafKey)
    const app = await issueAppCa(root, leafKey, appId, now)
    const [rootRead, tempRead, appRead] = [rootCertificate, temp, app].map(
      (der) => new X509Certificate(der),
    )

    expect(rootRead?.subject).toBe('O=Dstack\nCN=Dstack KMS CA')
    expect(tempRead?.subject).toBe('O=Dstack\nCN=Dstack Client Temp CA')
    expect(appRead?.subject).toBe('O=Dstack\nCN=Dstack App CA')
    expect(appRead?.issuer).toBe(rootRead?.subject)
    expect([rootRead?.ca, tempRead?.ca, appRead?.ca]).toEqual([true, true, true])
    expect(rootRead && appRead?.verify(rootRead.publicKey)).toBe(true)
    expect(rootRead?.validFrom).toBe('Jan  1 00:00:00 1975 GMT')
    expect(readCertificate(app).notAfter).toBe(now + 3650 * 86_400)
  })

  test('include a leaf with names, usages and extensions', async () => {
    const leaf = await issueLeaf(
      root,
      {
        spki: encodeSpki(leafKey),
        commonName: 'kms.example',
        names: ['kms.example', '127.0.0.1'],
        serverAuth: true,
        extensions: new Map([[extensionIds.usage, Buffer.from('kms:rpc')]]),
      },
      now,
    )
    const read = new X509Certificate(leaf)

    expect(read.subjectAltName).toBe('DNS:kms.example, IP Address:127.0.0.1')
    expect(read.ca).toBe(false)
    expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(await isIssuedBy(leaf, rootCertificate)).toBe(true)
  })

  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['2001:db8::1', '2001:DB8:0:0:0:0:0:1'],
    ['::ffff:10.0.0.1', '0:0:0:0:0:FFFF:A00:1'],
    ['64:ff9b::192.0.2.33', '64:FF9B:0:0:0:0:C000:221'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['1:2:3:4:5:6:7.8.9.10', '1:2:3:4:5:6:708:90A'],
  ])('can have the address %s as a subject alternative name', async (name, read) => {
    const request = { spki: encodeSpki(leafKey), commonName: 'x', names: [name] }
    const leaf = await issueLeaf(root, request, now)

    expect(new X509Certificate(leaf).subjectAltName).toBe(`IP Address:${read}`)
  })

  test('have extension values as an OCTET STRING inside the OCTET STRING, at every length', async () => {
    for (const length of [0, 1, 127, 128, 255, 256, 20_000]) {
      const content = new Uint8Array(length).fill(5)
      const extensions = new Map([[extensionIds.attestation, content]])
      const request = { spki: encodeSpki(leafKey), commonName: 'x', extensions }
      const leaf = await issueLeaf(root, request, now)

      expect(readCertificate(leaf).extensions.get(extensionIds.attestation)).toEqual(content)
    }
    const usage = new Map([[extensionIds.usage, Buffer.from('kms:rpc')]])
    const leaf = await issueLeaf(
      root,
      { spki: encodeSpki(leafKey), commonName: 'x', extensions: usage },
      now,
    )
    // OID 1.3.6.1.4.1.62397.1.4, then 04 09 ‖ 04 07 ‖ "kms:rpc"
    expect(toHex(leaf)).toContain(`060a2b0601040183e73d01040409${'0407'}6b6d733a727063`)
  })

  test('have the same bytes for root and temporary CA at each start', async () => {
    const certificates = await Promise.all(
      [issueRootCa, issueTempCa].flatMap((issue) => [issue(leafKey), issue(leafKey)]),
    )
    const [root, rootAgain, temp, tempAgain] = certificates.map(toPem)

    expect(rootAgain).toBe(root)
    expect(tempAgain).toBe(temp)
    expect(toPem(await issueRootCa(rootKey))).not.toBe(root)
  })

  test('have no end date for root and temporary CA', async () => {
    for (const der of [await issueRootCa(leafKey), await issueTempCa(leafKey)]) {
      const read = new X509Certificate(der)

      expect(read.validTo).toBe('Dec 31 23:59:59 9999 GMT')
      expect(read.verify(read.publicKey)).toBe(true)
      expect(isIssuedBy(der, der)).toBe(true)
    }
  })
})

describe('the KMS certificate reader refuses', () => {
  test('bytes that are not one certificate', () => {
    const cut = rootCertificate.subarray(0, -1)
    const longer = new Uint8Array([...rootCertificate, 0])

    for (const der of [new Uint8Array(), cut, longer, Buffer.from('hello')]) {
      expect(() => readCertificate(der)).toThrow(
        expect.objectContaining({ code: 'KMS_CERTIFICATE_INVALID' }),
      )
    }
    for (const pem of ['', 'hello', toPem(rootCertificate) + toPem(rootCertificate)]) {
      expect(() => fromPem(pem)).toThrow(
        expect.objectContaining({ code: 'KMS_CERTIFICATE_INVALID' }),
      )
    }
  })

  test('a leaf certificate as an issuer', async () => {
    const request = { spki: encodeSpki(leafKey), commonName: 'a' }
    const leaf = await issueLeaf(root, request, now)
    const below = await issueLeaf({ key: leafKey, certificate: leaf }, request, now)

    expect(await isIssuedBy(below, leaf)).toBe(false)
  })

  test('keys in any other format', () => {
    expect(keyFromPem(keyToPem(rootKey))).toEqual(rootKey)
    const zero = keyToPem(rootKey).replace('AQEBAQEB', 'AAAAAAAA')
    for (const pem of ['', toPem(rootCertificate), zero, keyToPem(rootKey) + keyToPem(leafKey)]) {
      expect(() => keyFromPem(pem)).toThrow(expect.objectContaining({ code: 'KMS_KEY_INVALID' }))
    }
  })
})
