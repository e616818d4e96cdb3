/**
 * The X.509 certificates of Intel's attestation PKI (RFC 5280): root, two PCK CAs, TCB signing, PCK.
 *
 * The parser reads what the verifier needs. It refuses what Intel never issues: other algorithms, other versions,
 * unknown critical extensions.
 */
import { isUtf8 as isUtf8Text } from 'node:buffer'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import { DerReader, tag } from './der.ts'
import { P256Key, SPKI_BYTES, SPKI_PREFIX } from './p256.ts'

/** AlgorithmIdentifier of ecdsa-with-SHA256, without parameters (RFC 5758 §3.2). */
const ECDSA_WITH_SHA256 = Uint8Array.of(
  ...[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
)

/** Object identifiers: their DER content in hex. */
const oid = {
  commonName: '550403',
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  basicConstraints: '551d13',
  crlDistributionPoints: '551d1f',
  authorityKeyId: '551d23',
  /** 1.2.840.113741.1.13.1 */
  sgx: '2a864886f84d010d01',
} as const

/** Genuine certificates have less than 1,300 bytes. */
const MAX_CERTIFICATE_BYTES = 8_192

/** A parsed certificate. Its signature is not verified yet. */
export interface Certificate {
  /** The whole certificate. */
  readonly der: Uint8Array
  /** The bytes that the signature covers (tbsCertificate). */
  readonly signedBytes: Uint8Array
  /** DER. */
  readonly signature: Uint8Array
  /** Serial number as big-endian hex without leading zero bytes. */
  readonly serial: string
  /** DER of the name, compared byte by byte. */
  readonly issuer: Uint8Array
  /** Name in DER. */
  readonly subject: Uint8Array
  /** CN. */
  readonly subjectCommonName: string
  /** Unix seconds, both inclusive. */
  readonly notBefore: number
  /** Unix seconds; the certificate is valid in this second. */
  readonly notAfter: number
  /** Public key. */
  readonly key: P256Key
  /** basicConstraints (RFC 5280 §4.2.1.9). */
  readonly isCa: boolean
  /** Most CA certificates below it; undefined for no limit. */
  readonly pathLength?: number
  /** RFC 5280 §4.2.1.3. */
  readonly keyUsage: {
    readonly digitalSignature: boolean
    readonly keyCertSign: boolean
    readonly crlSign: boolean
  }
  /** Intel's SGX extension; only a PCK certificate has it. */
  readonly sgx?: SgxExtension
}

/** The platform that Intel certifies in a PCK certificate. */
export interface SgxExtension {
  /** 16 bytes. */
  readonly ppid: Uint8Array
  /** 16 component SVNs. TCB levels are compared with these and not with `cpuSvn`. */
  readonly components: readonly number[]
  /** SVN of the provisioning certification enclave. */
  readonly pceSvn: number
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array
  /** 2 bytes. */
  readonly pceId: Uint8Array
  /** 6 bytes. */
  readonly fmspc: Uint8Array
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  readonly sgxType: number
  /** 16 bytes. Only platforms of the Platform CA have it. */
  readonly platformInstanceId?: Uint8Array
}

/**
 * Parses one DER certificate.
 *
 * @param document name of the certificate in error messages
 * @throws QUOTE_DER_MALFORMED, QUOTE_CERTIFICATE_MALFORMED, QUOTE_TOO_LARGE
 */
export function parseCertificate(der: Uint8Array, document: string): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw new AssentError('QUOTE_TOO_LARGE', `${document} has more bytes than any certificate.`, {
      facts: { document, found: der.length, expected: `at most ${MAX_CERTIFICATE_BYTES}` },
    })
  }
  const outer = DerReader.of(der, document)
  const certificate = outer.enter(tag.sequence, 'certificate')
  outer.finish('certificate')

  const signedBytes = certificate.readWhole(tag.sequence, 'tbsCertificate')
  requireAlgorithm(certificate, document)
  const signature = readSignature(certificate, document)
  certificate.finish('certificate')

  return { der, signedBytes, signature, ...readTbsCertificate(signedBytes, document) }
}

type TbsCertificate = Omit<Certificate, 'der' | 'signedBytes' | 'signature'>

function readTbsCertificate(signedBytes: Uint8Array, document: string): TbsCertificate {
  const tbs = DerReader.of(signedBytes, document).enter(tag.sequence, 'tbsCertificate')
  const version = tbs.enter(tag.context0, 'version')
  if (version.readNumber('version', 2) !== 2) throw malformed(document, 'version', 'not v3')
  version.finish('version')
  const serial = readSerial(tbs, document)
  requireAlgorithm(tbs, document)
  const issuer = tbs.readWhole(tag.sequence, 'issuer')
  const validity = tbs.enter(tag.sequence, 'validity')
  const notBefore = validity.readTime('notBefore')
  const notAfter = validity.readTime('notAfter')
  validity.finish('validity')
  const subject = tbs.readWhole(tag.sequence, 'subject')
  const key = readKey(tbs, document)
  const extensions = readExtensions(tbs.enter(tag.context3, 'extensions'), document)
  tbs.finish('tbsCertificate')

  readCommonName(issuer, document)
  const subjectCommonName = readCommonName(subject, document)
  return { serial, issuer, subject, subjectCommonName, notBefore, notAfter, key, ...extensions }
}

/** Reads a serial number of at most 20 bytes. Zero is no valid one, but programs shall accept it (RFC 5280 §4.1.2.2). */
export function readSerial(reader: DerReader, document: string): string {
  const content = reader.readUnsigned('serialNumber')
  const digits = content[0] === 0 && content.length > 1 ? content.subarray(1) : content
  if (digits.length > 20) {
    throw malformed(document, 'serialNumber', `${digits.length} bytes`)
  }
  return toHex(digits)
}

/** Checks that the next value is ecdsa-with-SHA256. @throws QUOTE_CERTIFICATE_MALFORMED */
export function requireAlgorithm(reader: DerReader, document: string): void {
  if (!equalBytes(reader.readWhole(tag.sequence, 'signatureAlgorithm'), ECDSA_WITH_SHA256)) {
    throw malformed(document, 'signatureAlgorithm', 'not ecdsa-with-SHA256')
  }
}

/** Reads a BIT STRING that contains a strict ECDSA-Sig-Value (RFC 3279 §2.2.3). */
export function readSignature(reader: DerReader, document: string): Uint8Array {
  const signature = readBitString(reader, 'signature', document)
  const outer = DerReader.of(signature, document)
  const value = outer.enter(tag.sequence, 'signature')
  outer.finish('signature')
  for (const field of ['signature.r', 'signature.s']) {
    if (value.readUnsigned(field).length > 33) throw malformed(document, field, 'too long')
  }
  value.finish('signature')
  return signature
}

function readBitString(reader: DerReader, field: string, document: string): Uint8Array {
  const content = reader.read(tag.bitString, field)
  if (content[0] !== 0) throw malformed(document, field, 'has unused bits')
  return content.subarray(1)
}

function readKey(reader: DerReader, document: string): P256Key {
  const spki = reader.readWhole(tag.sequence, 'subjectPublicKeyInfo')
  const prefix = spki.subarray(0, SPKI_PREFIX.length)
  if (spki.length !== SPKI_BYTES || !equalBytes(prefix, SPKI_PREFIX)) {
    throw malformed(document, 'subjectPublicKeyInfo', 'not an uncompressed P-256 key')
  }
  return new P256Key(spki.subarray(SPKI_PREFIX.length))
}

/** Reads the common name. Intel writes it first and once, as UTF8String or PrintableString of at most 32 bytes. */
export function readCommonName(name: Uint8Array, document: string): string {
  const rdns = DerReader.of(name, document).enter(tag.sequence, 'name')
  const [type, value] = readAttribute(rdns, document)
  if (type !== oid.commonName) throw malformed(document, 'commonName', 'not the first of the name')
  if (value.length === 0 || value.length > 32) {
    throw malformed(document, 'commonName', `of ${value.length} octets`)
  }
  while (!rdns.isAtEnd) {
    if (readAttribute(rdns, document)[0] === oid.commonName) {
      throw malformed(document, 'commonName', 'appears twice')
    }
  }
  return Buffer.from(value).toString('latin1')
}

function readAttribute(rdns: DerReader, document: string): [type: string, value: Uint8Array] {
  const rdn = rdns.enter(tag.set, 'name')
  const attribute = rdn.enter(tag.sequence, 'name')
  rdn.finish('name')
  const type = attribute.readOid('name')
  const isUtf8 = attribute.isNext(tag.utf8String)
  const value = attribute.read(isUtf8 ? tag.utf8String : tag.printableString, 'name')
  attribute.finish('name')
  if (!isUtf8Text(value)) throw malformed(document, 'name', 'no text')
  return [type, value]
}

type Extensions = Pick<Certificate, 'isCa' | 'pathLength' | 'keyUsage' | 'sgx'>

function readExtensions(wrapper: DerReader, document: string): Extensions {
  const contents = readExtensionValues(wrapper, document)
  const constraints = contents.get(oid.basicConstraints)
  const usage = contents.get(oid.keyUsage)
  const sgx = contents.get(oid.sgx)
  return {
    ...(constraints ? readBasicConstraints(constraints, document) : { isCa: false }),
    keyUsage: readKeyUsage(usage, document),
    ...(sgx ? { sgx: readSgxExtension(sgx, document) } : {}),
  }
}

const knownExtensions: ReadonlySet<string> = new Set([
  oid.subjectKeyId,
  oid.keyUsage,
  oid.basicConstraints,
  oid.crlDistributionPoints,
  oid.authorityKeyId,
  oid.sgx,
])

/** Reads extension values by type. RFC 5280 §4.2: each type once; an unknown critical extension is refused. */
function readExtensionValues(wrapper: DerReader, document: string): Map<string, Uint8Array> {
  const list = wrapper.enter(tag.sequence, 'extensions')
  wrapper.finish('extensions')
  const values = new Map<string, Uint8Array>()
  while (!list.isAtEnd) {
    const extension = list.enter(tag.sequence, 'extension')
    const type = extension.readOid('extension')
    const isCritical = extension.isNext(tag.boolean) && extension.readTrue('extension.critical')
    const value = extension.read(tag.octetString, 'extension')
    extension.finish('extension')
    DerReader.of(value, document).requireWellFormed('extension')
    if (values.has(type)) throw malformed(document, `extension ${type}`, 'appears twice')
    if (isCritical && !knownExtensions.has(type)) {
      throw malformed(document, `extension ${type}`, 'critical and unknown')
    }
    values.set(type, value)
  }
  return values
}

/** Reads basic constraints (RFC 5280 §4.2.1.9). */
function readBasicConstraints(
  value: Uint8Array,
  document: string,
): Pick<Certificate, 'isCa' | 'pathLength'> {
  const outer = DerReader.of(value, document)
  const constraints = outer.enter(tag.sequence, 'basicConstraints')
  outer.finish('basicConstraints')
  const isCa = constraints.isNext(tag.boolean) && constraints.readTrue('basicConstraints.cA')
  if (constraints.isAtEnd) return { isCa }
  if (!isCa) throw malformed(document, 'basicConstraints.pathLen', 'of an end entity')
  const pathLength = constraints.readNumber('basicConstraints.pathLen', 255)
  constraints.finish('basicConstraints')
  return { isCa, pathLength }
}

/** Reads the key usage (RFC 5280 §4.2.1.3): bits 0 digitalSignature, 5 keyCertSign, 6 cRLSign. Bit 0 is the highest. */
function readKeyUsage(value: Uint8Array | undefined, document: string): Certificate['keyUsage'] {
  if (value === undefined) return { digitalSignature: false, keyCertSign: false, crlSign: false }
  const outer = DerReader.of(value, document)
  const [unusedBits, bits, more] = outer.read(tag.bitString, 'keyUsage')
  outer.finish('keyUsage')
  if (unusedBits === undefined || unusedBits > 7 || bits === undefined || more !== undefined) {
    throw malformed(document, 'keyUsage', 'not a bit string of one octet')
  }
  // X.690 §11.2: the last written bit is 1, and all unused bits are 0
  if ((bits & -bits) !== 1 << unusedBits) {
    throw malformed(document, 'keyUsage', 'not in its shortest form')
  }
  return {
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    crlSign: (bits & 0x02) !== 0,
  }
}

/**
 * Reads the SGX extension (Intel, "SGX PCK Certificate and CRL Profile Specification" §1.3.5): a sequence of (type,
 * value) with types under 1.2.840.113741.1.13.1. Each type occurs once, in any order, as in Intel's library.
 */
function readSgxExtension(value: Uint8Array, document: string): SgxExtension {
  const outer = DerReader.of(value, document)
  const list = outer.enter(tag.sequence, 'sgx')
  outer.finish('sgx')

  const found: Partial<Mutable<SgxExtension>> = {}
  const seen = new Set<string>()
  while (!list.isAtEnd) {
    const pair = list.enter(tag.sequence, 'sgx')
    const type = pair.readOid('sgx')
    const suffix = type.startsWith(oid.sgx) ? type.slice(oid.sgx.length) : ''
    if (seen.has(suffix)) throw malformed(document, `sgx.${suffix}`, 'repeated')
    seen.add(suffix)
    if (suffix === '01') found.ppid = pair.readOctets('sgx.ppid', 16)
    else if (suffix === '02') Object.assign(found, readSgxTcb(pair, document))
    else if (suffix === '03') found.pceId = pair.readOctets('sgx.pceId', 2)
    else if (suffix === '04') found.fmspc = pair.readOctets('sgx.fmspc', 6)
    else if (suffix === '05') found.sgxType = pair.readNumber('sgx.type', 2, tag.enumerated)
    else if (suffix === '06')
      found.platformInstanceId = pair.readOctets('sgx.platformInstanceId', 16)
    else if (suffix === '07') checkSgxConfiguration(pair)
    else throw malformed(document, `sgx.${suffix}`, `of type ${type}`)
    pair.finish(`sgx.${suffix}`)
  }
  const missing = ['01', '02', '03', '04', '05'].find((suffix) => !seen.has(suffix))
  if (missing !== undefined) throw malformed(document, `sgx.${missing}`, 'missing')
  return found as SgxExtension
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Types and names of the 16 component SVNs, created once. */
const sgxComponents = Array.from({ length: 16 }, (_, index) => ({
  suffix: `02${(index + 1).toString(16).padStart(2, '0')}`,
  field: `sgx.tcb.${index + 1}`,
}))

function readSgxTcb(
  pair: DerReader,
  document: string,
): Pick<SgxExtension, 'components' | 'pceSvn' | 'cpuSvn'> {
  const list = pair.enter(tag.sequence, 'sgx.tcb')
  const components: number[] = []
  for (const { suffix, field } of sgxComponents) {
    components.push(readSgxValue(list, document, suffix, (pair) => pair.readNumber(field, 255)))
  }
  const pceSvn = readSgxValue(list, document, '0211', (entry) =>
    entry.readNumber('sgx.tcb.pceSvn', 65_535),
  )
  const cpuSvn = readSgxValue(list, document, '0212', (entry) =>
    entry.readOctets('sgx.tcb.cpuSvn', 16),
  )
  list.finish('sgx.tcb')
  return { components, pceSvn, cpuSvn }
}

/** Checks the form of dynamicPlatform, cachedKeys and SMTenabled. No rule uses their values. */
function checkSgxConfiguration(pair: DerReader): void {
  const configuration = pair.enter(tag.sequence, 'sgx.configuration')
  while (!configuration.isAtEnd) {
    const entry = configuration.enter(tag.sequence, 'sgx.configuration')
    entry.readOid('sgx.configuration')
    entry.readBoolean('sgx.configuration')
    entry.finish('sgx.configuration')
  }
}

/** Reads the next (type, value) pair, whose type must be 1.2.840.113741.1.13.1.`suffix`. */
function readSgxValue<T>(
  list: DerReader,
  document: string,
  suffix: string,
  read: (pair: DerReader) => T,
): T {
  const field = `sgx.${suffix}`
  const pair = list.enter(tag.sequence, field)
  const type = pair.readOid(field)
  if (type !== oid.sgx + suffix) throw malformed(document, field, `of type ${type}`)
  const value = read(pair)
  pair.finish(field)
  return value
}

function malformed(document: string, field: string, found: string): AssentError {
  return new AssentError('QUOTE_CERTIFICATE_MALFORMED', `${document}: ${field} is ${found}.`, {
    facts: { document, field, found },
  })
}
