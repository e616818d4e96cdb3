/** Certificates and revocation lists against two independent readers, and strict DER by example. */
import { X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { X509Crl } from '@peculiar/x509'
import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { type Certificate, parseCertificate } from '../../src/quote/certificates/certificate.ts'
import { readTrustedRoot } from '../../src/quote/certificates/certificate-chain.ts'
import { parseRevocationList } from '../../src/quote/certificates/crl.ts'
import { DerReader, tag } from '../../src/quote/certificates/der.ts'
import { SPKI_PREFIX, signatureToDer } from '../../src/quote/certificates/p256.ts'
import { splitPemChain } from '../../src/quote/certificates/pem.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { syntheticCase, syntheticCases, syntheticRoot } from '../synthetic.ts'
import {
  describeRecorded,
  readVector,
  readVectorJson,
  readVectorText,
  vectorsFolder,
} from '../vectors.ts'
import type { RecordedQuote } from './recorded.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof AssentError) return error.code
    throw error
  }
  return 'accepted'
}

/** Compares every field that node:crypto also tells. */
function expectSameAsNode(der: Uint8Array): Certificate {
  const own = parseCertificate(der, 'certificate')
  const node = new X509Certificate(der)
  const jwk = node.publicKey.export({ format: 'jwk' })

  expect(own.serial).toBe(node.serialNumber.toLowerCase().replace(/^(00)+/, ''))
  expect(own.notBefore).toBe(Date.parse(node.validFrom) / 1000)
  expect(own.notAfter).toBe(Date.parse(node.validTo) / 1000)
  expect(node.subject).toContain(`CN=${own.subjectCommonName}`)
  expect(own.isCa).toBe(node.ca)
  expect(Buffer.from(own.key.point).toString('base64url')).toBe(
    Buffer.concat([
      Buffer.from(jwk.x as string, 'base64url'),
      Buffer.from(jwk.y as string, 'base64url'),
    ]).toString('base64url'),
  )
  return own
}

describe('certificates of the synthetic quotes', () => {
  const ders = new Map<string, Uint8Array>()
  for (const { id, quote, collateral } of syntheticCases) {
    if (id.startsWith('hdr_') || id.startsWith('auth_') || id.startsWith('v5_body')) continue
    const chains = [
      ...parseQuote(quote).pckChain,
      ...splitPemChain(collateral.tcb_info_issuer_chain, { field: 'chain' }),
    ]
    for (const der of chains) ders.set(toHex(der), der)
  }

  test('are parsed like node:crypto parses them', () => {
    expect(ders.size).toBeGreaterThan(60)
    for (const der of ders.values()) expectSameAsNode(der)
  })

  test('are refused at every shorter length', () => {
    for (let length = 0; length < syntheticRoot.length; length++) {
      expect(codeOf(() => parseCertificate(syntheticRoot.subarray(0, length), 'root'))).toBe(
        'QUOTE_DER_MALFORMED',
      )
    }
  })

  test('are refused with a trailing byte', () => {
    expect(codeOf(() => parseCertificate(Uint8Array.of(...syntheticRoot, 0), 'root'))).toBe(
      'QUOTE_DER_MALFORMED',
    )
  })
})

describeRecorded('recorded certificates and CRLs', () => {
  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')

  test.each([
    'pck_platform_ca',
    'pck_processor_ca',
    'root_ca',
    'tcb_signing_2018-2025',
    'tcb_signing_2025-2032',
  ])('%s is parsed like node:crypto parses it', (name) => {
    const own = expectSameAsNode(readVector(`dcap/certs/${name}.der`))

    expect(splitPemChain(readVectorText(`dcap/certs/${name}.pem`), { field: 'pem' })[0]).toEqual(
      own.der,
    )
  })

  test("Intel's root certificate has the pinned key", () => {
    const root = readVector('dcap/certs/root_ca.der')

    expect(readTrustedRoot(root)).toBe(readTrustedRoot('intel'))
    expect(readTrustedRoot(syntheticRoot)).not.toBe(readTrustedRoot('intel'))
  })

  test.each(recorded.map((entry) => [entry.id, entry] as const))(
    'the PCK certificate of %s is parsed like node:crypto parses it',
    (_, entry) => {
      const { pckChain } = parseQuote(readVector(`dcap/${entry.file}`))
      const own = expectSameAsNode(pckChain[0] as Uint8Array)

      expect(own.serial).toBe(entry.pck.serial.slice(2).padStart(own.serial.length, '0'))
      expect(own.sgx).toMatchObject({
        pceSvn: entry.pck.pcesvn,
        components: [...hex(entry.pck.tcbComponents)],
        cpuSvn: hex(entry.pck.cpusvn),
        pceId: hex(entry.pck.pceid),
        fmspc: hex(entry.pck.fmspc),
        sgxType: entry.pck.sgxType,
        platformInstanceId: hex(entry.pck.platformInstanceId),
      })
    },
  )

  const lists = readdirSync(join(vectorsFolder as string, 'dcap/crl')).filter((file) =>
    file.endsWith('.der'),
  )

  test(`${lists.length} CRLs are parsed like another library parses them`, () => {
    for (const file of lists) {
      const der = readVector(`dcap/crl/${file}`)
      const own = parseRevocationList(der, file)
      const other = new X509Crl(der as Uint8Array<ArrayBuffer>)
      const serials = other.entries.map((entry) =>
        entry.serialNumber.toLowerCase().replace(/^(00)+/, ''),
      )

      expect([...own.revoked], file).toEqual(serials)
      expect(own.revoked.size).toBe(Number(/_n(\d+)\.der$/.exec(file)?.[1]))
      expect(own.thisUpdate).toBe(other.thisUpdate.getTime() / 1000)
      expect(own.nextUpdate).toBe((other.nextUpdate as Date).getTime() / 1000)
    }
  })

  test.each([57, 129])('a Platform CRL of %d entries is signed by Intel', (entries) => {
    const text = readVectorText(`dcap/extra/crl_large/platform-${entries}-20260716.hex`)
    const list = parseRevocationList(hex(text.trim().replace(/^0x/, '')), 'CRL')
    const issuer = parseCertificate(readVector('dcap/certs/pck_platform_ca.der'), 'CA')

    expect(list.revoked.size).toBe(entries)
    expect(issuer.key.verifies(list.signedBytes, list.signature)).toBe(true)
  })
})

describe('the SGX extension', () => {
  const leaf = parseQuote(syntheticCase('valid_v4_td10').quote).pckChain[0] as Uint8Array
  const type = '06092a864886f84d010d01'

  /** The leaf with other (type, value) pairs; nothing in it checks a signature. */
  function withPairs(change: (pairs: string[]) => string[]): Uint8Array {
    const text = toHex(leaf)
    const start = text.indexOf(`${type}04`) + type.length
    const pairs: string[] = []
    const reader = DerReader.of(hex(text.slice(start)), 'extension')
    // what follows the extension is not read
    const list = DerReader.of(reader.read(tag.octetString, 'value'), 'sgx').enter(
      tag.sequence,
      'sgx',
    )
    while (!list.isAtEnd) pairs.push(toHex(list.readWhole(tag.sequence, 'pair')))
    const changed = change(pairs).join('')
    expect(changed).toHaveLength(pairs.join('').length)
    return hex(text.replace(pairs.join(''), changed))
  }
  const read = (change: (pairs: string[]) => string[]) =>
    codeOf(() => parseCertificate(withPairs(change), 'PCK'))

  test('can have its elements in any order', () => {
    const { sgx } = parseCertificate(leaf, 'PCK')
    const orders: ((pairs: string[]) => string[])[] = [
      (pairs) => [...pairs].reverse(),
      ([first = '', ...others]) => [...others, first],
      (pairs) => [...pairs.slice(3), ...pairs.slice(0, 3)],
    ]
    for (const order of orders) {
      expect(parseCertificate(withPairs(order), 'PCK').sgx).toEqual(sgx)
    }
  })

  test.each([1, 2, 3, 4, 5])('is refused without element %d', (element) => {
    const unknown = (pair: string) =>
      pair.replace(new RegExp(`^(30.*?060a2a864886f84d010d01)0${element}`), '$108')
    const absent = (pair: string) =>
      pair.replace(new RegExp(`^(30.*?060a2a864886f84d010d01)0${element}`), '$106')

    expect(read((pairs) => pairs.map(unknown))).toBe('QUOTE_CERTIFICATE_MALFORMED')
    expect(read((pairs) => pairs.map(absent))).toMatch(/^QUOTE_(DER|CERTIFICATE)_MALFORMED$/)
  })

  test('is refused with a repeated element', () => {
    // the platform instance id is as long as a PPID
    const twice = (pairs: string[]) =>
      pairs.map((pair) => pair.replace('060a2a864886f84d010d0106', '060a2a864886f84d010d0101'))

    expect(read(twice)).toBe('QUOTE_CERTIFICATE_MALFORMED')
  })
})

describe('strict DER', () => {
  const read = (bytes: string, act: (reader: DerReader) => unknown) =>
    codeOf(() => {
      const reader = DerReader.of(hex(bytes), 'value')
      act(reader)
      reader.finish('value')
    })
  const integer = (reader: DerReader) => reader.readNumber('value', 0xffff)
  const octets = (reader: DerReader) => reader.read(tag.octetString, 'value')

  test.each<[string, string, (reader: DerReader) => unknown, boolean]>([
    ['a number', '02 01 7f', integer, true],
    ['a number of two bytes with the high bit', '02 02 00 c8', integer, true],
    ['a padded number', '02 02 00 7f', integer, false],
    ['a negative number', '02 01 80', integer, false],
    ['an empty number', '02 00', integer, false],
    ['a number too large', '02 03 01 00 00', integer, false],
    ['another tag', '04 01 7f', integer, false],
    ['a short length', `04 7f ${'00'.repeat(127)}`, octets, true],
    ['a long length where needed', `04 81 80 ${'00'.repeat(128)}`, octets, true],
    ['a long length where short would do', '04 81 01 00', octets, false],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`, octets, false],
    ['an indefinite length', '04 80 00 00', octets, false],
    ['a length of four octets', '04 84 00 00 00 01 00', octets, false],
    ['a length past the end', '04 02 00', octets, false],
    ['a length that is cut', '04 82 01', octets, false],
    ['a tag alone', '04', octets, false],
    ['nothing', '', octets, false],
    ['a byte behind', '04 01 00 00', octets, false],
    ['true', '01 01 ff', (reader) => reader.readBoolean('value'), true],
    ['true as one', '01 01 01', (reader) => reader.readBoolean('value'), false],
    ['a boolean of two bytes', '01 02 ff ff', (reader) => reader.readBoolean('value'), false],
    ['false where it is the default', '01 01 00', (reader) => reader.readTrue('value'), false],
    ['an object identifier', '06 03 55 04 03', (reader) => reader.readOid('value'), true],
    ['one with a padded number', '06 04 55 80 04 03', (reader) => reader.readOid('value'), false],
    ['one that ends in a number', '06 03 55 04 83', (reader) => reader.readOid('value'), false],
    ['an empty one', '06 00', (reader) => reader.readOid('value'), false],
  ])('%s', (_, bytes, act, valid) => {
    expect(read(bytes, act)).toBe(valid ? 'accepted' : 'QUOTE_DER_MALFORMED')
  })

  const anything = (reader: DerReader) => reader.requireWellFormed('value')

  test.each([
    ['a value', '04 01 ff', true],
    ['values in values', '30 07 a0 05 30 03 02 01 05', true],
    ['an empty sequence', '30 00', true],
    ['several', '05 00 05 00', true],
    ['nothing', '', false],
    ['a value that is cut', '30 03 02 02 05', false],
    ['a cut value inside', '30 03 02 02 05 00', false],
    ['the end of an indefinite length', '00 00', false],
    ['a tag of several octets', '1f 81 01 00', false],
    ['no DER', '6e 6f 21', false],
  ])('requireWellFormed checks DER of any type: %s', (_, bytes, valid) => {
    expect(read(bytes, anything)).toBe(valid ? 'accepted' : 'QUOTE_DER_MALFORMED')
  })

  const time = (text: string, generalized = false) => {
    const content = Buffer.from(text, 'latin1')
    const bytes = Buffer.concat([Buffer.of(generalized ? 0x18 : 0x17, content.length), content])
    let seconds: number | undefined
    const code = read(bytes.toString('hex'), (reader) => {
      seconds = reader.readTime('value')
    })
    return code === 'accepted' ? seconds : code
  }

  test.each([
    ['260115120000Z', false, Date.UTC(2026, 0, 15, 12) / 1000],
    ['491231235959Z', false, Date.UTC(2049, 11, 31, 23, 59, 59) / 1000],
    ['500101000000Z', false, Date.UTC(1950, 0, 1) / 1000],
    ['240229000000Z', false, Date.UTC(2024, 1, 29) / 1000],
    ['250229000000Z', false, 'QUOTE_DER_MALFORMED'],
    ['261301000000Z', false, 'QUOTE_DER_MALFORMED'],
    ['260100000000Z', false, 'QUOTE_DER_MALFORMED'],
    ['260101240000Z', false, 'QUOTE_DER_MALFORMED'],
    ['260101006000Z', false, 'QUOTE_DER_MALFORMED'],
    ['2601010000Z', false, 'QUOTE_DER_MALFORMED'],
    ['260101000000+0000', false, 'QUOTE_DER_MALFORMED'],
    ['26010100000 Z', false, 'QUOTE_DER_MALFORMED'],
    ['20500101000000Z', true, Date.UTC(2050, 0, 1) / 1000],
    ['20490101000000Z', true, 'QUOTE_DER_MALFORMED'],
    ['20500101000000.5Z', true, 'QUOTE_DER_MALFORMED'],
  ])('time %s', (text, generalized, expected) => {
    expect(time(text, generalized)).toBe(expected)
  })

  test('is refused if it is nested too deeply', () => {
    let reader = DerReader.of(nest(40), 'value')
    const descend = () => {
      for (let depth = 0; depth < 40; depth++) reader = reader.enter(tag.sequence, 'value')
    }

    expect(codeOf(descend)).toBe('QUOTE_DER_MALFORMED')
  })

  test('a certificate of a megabyte is refused before it is parsed', () => {
    expect(codeOf(() => parseCertificate(new Uint8Array(1 << 20), 'x'))).toBe('QUOTE_TOO_LARGE')
    expect(codeOf(() => parseRevocationList(new Uint8Array(1 << 20), 'x'))).toBe('QUOTE_TOO_LARGE')
  })
})

describe('strict PEM', () => {
  const lines = Buffer.alloc(91, 7)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
  const pem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  const split = (text: string, trailingNul = false) =>
    codeOf(() => splitPemChain(text, { field: 'chain', trailingNul }))

  test.each([
    ['one', pem, 'accepted'],
    ['three', pem.repeat(3), 'accepted'],
    ['no line feed at the end', pem.trimEnd(), 'accepted'],
    ['nothing', '', 'QUOTE_PEM_MALFORMED'],
    ['nine', pem.repeat(9), 'QUOTE_PEM_MALFORMED'],
    ['text before', `hello\n${pem}`, 'QUOTE_PEM_MALFORMED'],
    ['text behind', `${pem}hello`, 'QUOTE_PEM_MALFORMED'],
    ['an empty line between', `${pem}\n${pem}`, 'QUOTE_PEM_MALFORMED'],
    ['no line feed between', pem.trimEnd() + pem, 'QUOTE_PEM_MALFORMED'],
    ['carriage returns', pem.replaceAll('\n', '\r\n'), 'QUOTE_PEM_MALFORMED'],
    ['a long line', pem.replace(lines, lines.replaceAll('\n', '')), 'QUOTE_PEM_MALFORMED'],
    ['stray bits', pem.replace('Bw==', 'Bx=='), 'QUOTE_PEM_MALFORMED'],
    ['a key', pem.replaceAll('CERTIFICATE', 'PRIVATE KEY'), 'QUOTE_PEM_MALFORMED'],
    ['a NUL at the end', `${pem}\0`, 'QUOTE_PEM_MALFORMED'],
  ])('%s', (_, text, expected) => {
    expect(split(text)).toBe(expected)
  })

  test('one NUL at the end of a quote is allowed, two are not', () => {
    expect(split(`${pem}\0`, true)).toBe('accepted')
    expect(split(`${pem}\0\0`, true)).toBe('QUOTE_PEM_MALFORMED')
  })
})

describe('P-256 signatures', () => {
  test('are converted to the DER that OpenSSL writes', () => {
    const raw = (r: string, s: string) => hex(r.padStart(64, '0') + s.padStart(64, '0'))

    expect(toHex(signatureToDer(raw('01', '80')))).toBe('300702010102020080')
    expect(toHex(signatureToDer(raw('00', '00')))).toBe('3006020100020100')
    expect(signatureToDer(raw('f'.repeat(64), 'f'.repeat(64)))).toHaveLength(72)
  })

  test('are never valid for a key that is not on the curve', () => {
    const point = new Uint8Array(64).fill(1)
    const root = readTrustedRoot(Uint8Array.of(...SPKI_PREFIX, ...point))

    expect(root.key.verifies(new Uint8Array(1), new Uint8Array(64).fill(1))).toBe(false)
  })
})

/** Sequences in sequences. */
function nest(depth: number): Uint8Array {
  let bytes = Uint8Array.of()
  for (let level = 0; level < depth; level++) bytes = Uint8Array.of(0x30, bytes.length, ...bytes)
  return bytes
}
