/**
 * Reads from a certificate what the KMS needs: key, names, dates and dstack's extensions. Every request with a client
 * certificate passes here, so it accepts strict DER only and calls no library.
 */
import { AssentError } from '../../errors/index.ts'
import { DerReader, tag } from '../../quote/certificates/der.ts'

/** A certificate as the KMS reads it. Names are DER of the RDNSequence. */
export interface CertificateFacts {
  /** tbsCertificate, DER: the signed bytes. */
  readonly signedPart: Uint8Array
  /** ECDSA-Sig-Value, DER. */
  readonly signature: Uint8Array
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** Name as DER (RFC 5280, section 4.1.2.4), to compare byte for byte. */
  readonly issuer: Uint8Array
  /** Name as DER. */
  readonly subject: Uint8Array
  /** Unix seconds. */
  readonly notBefore: number
  /** Unix seconds. */
  readonly notAfter: number
  /** The CA bit of the basic constraints. */
  readonly isAuthority: boolean
  /** It has a critical extension that this reader does not know (RFC 5280 §4.2). */
  readonly hasUnknownCritical: boolean
  /** Its extended key usage is absent or includes TLS clients (RFC 5280 §4.2.1.12). */
  readonly mayBeClient: boolean
  /** dstack's extensions by OID, without the inner OCTET STRING. */
  readonly extensions: ReadonlyMap<string, Uint8Array>
}

const dstackArc = '1.3.6.1.4.1.62397.1'
/** The same arc as DER content, in hex. Each of dstack's extensions has one more octet. */
const dstackArcHex = '2b0601040183e73d01'
const basicConstraints = '551d13'
const keyUsage = '551d0f'
const subjectAltName = '551d11'
const extendedKeyUsage = '551d25'
const readExtensionIds = [basicConstraints, keyUsage, subjectAltName, extendedKeyUsage]
const clientAuth = '2b06010505070302'
const anyPurpose = '551d2500'

/** Reads a version 3 certificate in DER. @throws KMS_CERTIFICATE_INVALID */
export function readCertificate(der: Uint8Array): CertificateFacts {
  try {
    return read(der)
  } catch (cause) {
    if (cause instanceof AssentError && cause.code === 'KMS_CERTIFICATE_INVALID') throw cause
    throw new AssentError('KMS_CERTIFICATE_INVALID', 'The certificate is not valid X.509.', {
      cause,
    })
  }
}

/** RFC 5280 §4.1 */
function read(der: Uint8Array): CertificateFacts {
  const outer = DerReader.of(der, 'certificate')
  const certificate = outer.enter(tag.sequence, 'certificate')
  outer.finish('certificate')
  const signedPart = certificate.readWhole(tag.sequence, 'tbsCertificate')
  certificate.readWhole(tag.sequence, 'signatureAlgorithm')
  const bits = certificate.read(tag.bitString, 'signature')
  certificate.finish('certificate')

  const tbs = DerReader.of(signedPart, 'certificate').enter(tag.sequence, 'tbsCertificate')
  const version = tbs.enter(tag.context0, 'version')
  if (version.readNumber('version', 2) !== 2)
    throw invalid('The certificate is not X.509 version 3.')
  version.finish('version')
  tbs.readUnsigned('serialNumber')
  tbs.readWhole(tag.sequence, 'signature')
  const issuer = tbs.readWhole(tag.sequence, 'issuer').slice()
  const validity = tbs.enter(tag.sequence, 'validity')
  const notBefore = validity.readTime('notBefore')
  const notAfter = validity.readTime('notAfter')
  validity.finish('validity')
  const subject = tbs.readWhole(tag.sequence, 'subject').slice()
  const spki = tbs.readWhole(tag.sequence, 'subjectPublicKeyInfo').slice()
  const found = tbs.isAtEnd ? none : readExtensions(tbs.enter(tag.context3, 'extensions'))
  tbs.finish('tbsCertificate')
  // X.690 §8.6.2: the first octet is the number of unused bits in the last one
  if (bits[0] !== 0) throw invalid('The signature of the certificate does not have whole octets.')
  const signature = bits.slice(1)
  return { signedPart, signature, spki, issuer, subject, notBefore, notAfter, ...found }
}

const none = {
  isAuthority: false,
  hasUnknownCritical: false,
  mayBeClient: true,
  extensions: new Map<string, Uint8Array>(),
}

function readExtensions(wrapper: DerReader) {
  const list = wrapper.enter(tag.sequence, 'extensions')
  wrapper.finish('extensions')
  const extensions = new Map<string, Uint8Array>()
  const seen = new Set<string>()
  let isAuthority = false
  let hasUnknownCritical = false
  let mayBeClient = true
  while (!list.isAtEnd) {
    const extension = list.enter(tag.sequence, 'extension')
    const id = extension.readOid('extension')
    const isCritical = extension.isNext(tag.boolean) && extension.readBoolean('extension.critical')
    const value = extension.read(tag.octetString, 'extension')
    extension.finish('extension')
    if (seen.has(id)) throw invalid(`Extension ${nameOf(id)} occurs twice.`)
    seen.add(id)
    if (id === basicConstraints) isAuthority = readIsAuthority(value)
    if (id === extendedKeyUsage) mayBeClient = readMayBeClient(value)
    if (isCritical && !readExtensionIds.includes(id)) hasUnknownCritical = true
    if (isDstacks(id)) extensions.set(nameOf(id), unwrapOctets(value, nameOf(id)))
  }
  return { isAuthority, hasUnknownCritical, mayBeClient, extensions }
}

function readMayBeClient(value: Uint8Array): boolean {
  const outer = DerReader.of(value, 'certificate')
  const purposes = outer.enter(tag.sequence, 'extKeyUsage')
  outer.finish('extKeyUsage')
  let mayBeClient = false
  while (!purposes.isAtEnd) {
    const purpose = purposes.readOid('extKeyUsage')
    if (purpose === clientAuth || purpose === anyPurpose) mayBeClient = true
  }
  return mayBeClient
}

/** The CA bit (RFC 5280 §4.2.1.9). An explicit false means the same as an absent value. */
function readIsAuthority(value: Uint8Array): boolean {
  const outer = DerReader.of(value, 'certificate')
  const constraints = outer.enter(tag.sequence, 'basicConstraints')
  outer.finish('basicConstraints')
  const isAuthority =
    constraints.isNext(tag.boolean) && constraints.readBoolean('basicConstraints.cA')
  if (!constraints.isAtEnd) constraints.readNumber('basicConstraints.pathLen', 255)
  constraints.finish('basicConstraints')
  return isAuthority
}

/** dstack puts a DER OCTET STRING into the extension's own OCTET STRING. */
function unwrapOctets(value: Uint8Array, id: string): Uint8Array {
  try {
    const reader = DerReader.of(value, 'certificate')
    const content = reader.read(tag.octetString, id)
    reader.finish(id)
    return content.slice()
  } catch (cause) {
    throw invalid(`Extension ${id} is not an OCTET STRING.`, cause)
  }
}

function isDstacks(id: string): boolean {
  return id.length === dstackArcHex.length + 2 && id.startsWith(dstackArcHex)
}

/** dstack's extensions have dotted names, others the hex of their OID. */
function nameOf(id: string): string {
  if (!isDstacks(id)) return id
  return `${dstackArc}.${Number.parseInt(id.slice(dstackArcHex.length), 16)}`
}

function invalid(message: string, cause?: unknown): AssentError {
  return new AssentError('KMS_CERTIFICATE_INVALID', message, { cause })
}
