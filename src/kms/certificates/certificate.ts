/**
 * Issues certificates in dstack's profile. Only this file of the KMS uses the X.509 library.
 *
 * Keys are P-256 scalars of 32 bytes, certificates are DER, times are Unix seconds.
 */
import 'reflect-metadata'

import { p256 } from '@noble/curves/nist.js'
import { sha256 } from '@noble/hashes/sha2.js'
import * as x509 from '@peculiar/x509'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, equalBytes, fromHex, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { encodePkcs8, encodeSpki } from '../keys/derive.ts'
import { verifyEcdsa } from '../keys/ecdsa.ts'
import { canonicalAddress } from './certificate-names.ts'
import { type CertificateFacts, readCertificate } from './read-certificate.ts'

export { type CertificateFacts, readCertificate } from './read-certificate.ts'

const arc = '1.3.6.1.4.1.62397.1'
/** dstack's certificate extensions. */
export const extensionIds = {
  /** Quote in the legacy form; newer certificates have `attestation`. */
  quote: `${arc}.1`,
  /** Event log in the legacy form. */
  eventLog: `${arc}.2`,
  /** App id, 20 bytes. */
  appId: `${arc}.3`,
  /** What the certificate is for: `kms:rpc`, `app:ca`, `app:custom`. */
  usage: `${arc}.4`,
  /** VersionedAttestation. */
  attestation: `${arc}.8`,
  /** Nine facts about the app; see app-info.ts. */
  appInfo: `${arc}.9`,
} as const

/** 1975-01-01T00:00:00Z, where dstack starts every certificate. Unix seconds. */
export const earliestNotBefore = 157_766_400
/** How long app CAs and leaves are valid unless a request says otherwise: dstack's 3,650 days, in seconds. */
export const defaultLifetime = 3650 * 86_400
/** 9999-12-31T23:59:59Z: no expiry date (RFC 5280 §4.1.2.5). */
const noExpiry = 253_402_300_799
/** Bytes. Of a peer's certificate, the X.509 library gets the issuer name only. */
const maxName = 1_024
/** Characters. A certificate with a quote has about 20 KB. */
const maxPem = 256 * 1024
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** AlgorithmIdentifier of ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758 §3.2). */
const ecdsaWithSha256 = fromHex('300a06082a8648ce3d040302', 'ecdsa-with-SHA256')

/** Key and certificate of a CA. */
export interface CertificateAuthority {
  /** P-256 scalar, 32 bytes. */
  readonly key: Uint8Array
  /** DER. */
  readonly certificate: Uint8Array
}

/** A certificate that is not a CA. */
export interface LeafRequest {
  /** SubjectPublicKeyInfo, DER, P-256. */
  readonly spki: Uint8Array
  /** Subject CN; dstack's guests compare it with the name that they asked for. */
  readonly commonName: string
  /** Subject O. */
  readonly organization?: string
  /** Host names and IP addresses for the subject alternative name. */
  readonly names?: readonly string[]
  /** Adds `id-kp-serverAuth` (RFC 5280 §4.2.1.12). */
  readonly serverAuth?: boolean
  /** Adds `id-kp-clientAuth`. */
  readonly clientAuth?: boolean
  /** Values of dstack's extensions by OID, not yet wrapped. */
  readonly extensions?: ReadonlyMap<string, Uint8Array>
  /** Default: 1975. */
  readonly notBefore?: number
  /** Default: 3,650 days from now. */
  readonly notAfter?: number
}

interface Profile extends LeafRequest {
  /** Number of CAs that may follow below; set for CAs only (RFC 5280 §4.2.1.9). */
  readonly pathLength?: number
}

/**
 * `Dstack KMS CA`: the root certificate. Its public key identifies the KMS.
 *
 * The certificate depends on the key alone: no clock, no random nonce. So it is the same, byte for byte, after each
 * restart and on each replica, and clients can pin its PEM.
 *
 * @param key P-256 scalar, 32 bytes
 * @param notAfter Unix seconds; without it the certificate does not expire
 */
export function issueRootCa(key: Uint8Array, notAfter = noExpiry): Promise<Uint8Array> {
  const profile = { organization: 'Dstack', commonName: 'Dstack KMS CA', pathLength: 1, notAfter }
  return issueAuthority(key, profile)
}

/**
 * `Dstack Client Temp CA`: clients sign their certificates with its key, which every client can fetch. So a chain to
 * it proves nothing. The same bytes for the same key, as for the root.
 *
 * @param key P-256 scalar, 32 bytes
 */
export function issueTempCa(key: Uint8Array): Promise<Uint8Array> {
  const name = { organization: 'Dstack', commonName: 'Dstack Client Temp CA' }
  return issueAuthority(key, { ...name, pathLength: 0, notAfter: noExpiry })
}

/** `Dstack App CA`: the CA of one app, issued by the root. */
export function issueAppCa(
  root: CertificateAuthority,
  appCaKey: Uint8Array,
  appId: Uint8Array,
  now: number,
): Promise<Uint8Array> {
  const profile = {
    spki: encodeSpki(appCaKey),
    organization: 'Dstack',
    commonName: 'Dstack App CA',
    pathLength: 0,
    extensions: new Map([
      [extensionIds.appId, appId],
      [extensionIds.usage, utf8ToBytes('app:ca')],
    ]),
  }
  return issue(root, profile, now)
}

/** A leaf that its own key signs. The issuer proves nothing; a quote in its extensions has to. */
export function issueSelfSigned(
  key: Uint8Array,
  request: Omit<LeafRequest, 'spki'>,
  now: number,
): Promise<Uint8Array> {
  return selfSign(key, request, now)
}

/** A leaf that `issuer` signs. */
export function issueLeaf(
  issuer: CertificateAuthority,
  request: LeafRequest,
  now: number,
): Promise<Uint8Array> {
  return issue(issuer, request, now)
}

/**
 * Tells if `issuer` is a CA that signed `der`: checks name, CA bit and signature. The caller checks the dates.
 *
 * @throws KMS_CERTIFICATE_INVALID
 */
export function isIssuedBy(der: Uint8Array, issuer: Uint8Array): boolean {
  const child = readCertificate(der)
  const parent = readCertificate(issuer)
  const fits = parent.isAuthority && equalBytes(child.issuer, parent.subject)
  return fits && isSignedBy(child, parent.spki)
}

/** Tells if the key `spki` signed the certificate. */
export function isSignedBy({ signedPart, signature }: CertificateFacts, spki: Uint8Array): boolean {
  return verifyEcdsa(signedPart, signature, spki)
}

/** A certificate as PEM, with a final line feed. */
export function toPem(der: Uint8Array): string {
  return `${x509.PemConverter.encode(ownBuffer(der), 'CERTIFICATE')}\n`
}

/** A private key as PKCS#8 PEM, as dstack writes it. The result is a secret. */
export function keyToPem(key: Uint8Array): string {
  return `${x509.PemConverter.encode(ownBuffer(encodePkcs8(key)), 'PRIVATE KEY')}\n`
}

/** DER of a PEM text. @throws KMS_CERTIFICATE_INVALID unless it is exactly one certificate of at most 256 KiB */
export function fromPem(pem: string): Uint8Array {
  const blocks = decodePem(pem)
  const [block] = blocks
  if (blocks.length !== 1 || block?.type !== 'CERTIFICATE') {
    throw new AssentError('KMS_CERTIFICATE_INVALID', 'Expected exactly one PEM certificate.')
  }
  return new Uint8Array(block.rawData)
}

/**
 * The scalar of a PKCS#8 PEM. The key must be P-256 in dstack's own form of 138 bytes.
 *
 * @throws KMS_KEY_INVALID
 */
export function keyFromPem(pem: string): Uint8Array {
  const [block, ...more] = decodePem(pem)
  const der = block?.type === 'PRIVATE KEY' && more.length === 0 && new Uint8Array(block.rawData)
  if (der && der.length === 138) {
    const scalar = der.slice(36, 68)
    if (p256.utils.isValidSecretKey(scalar) && equalBytes(encodePkcs8(scalar), der)) return scalar
  }
  throw new AssentError('KMS_KEY_INVALID', 'Expected one P-256 private key in PKCS#8 PEM.')
}

function decodePem(pem: string): x509.PemStruct[] {
  if (pem.length > maxPem) return []
  try {
    return x509.PemConverter.decodeWithHeaders(pem)
  } catch {
    return []
  }
}

/**
 * A self-signed authority whose bytes follow from key and profile. WebCrypto signs with a random nonce, so the
 * certificate is signed again with the nonce of RFC 6979. This happens at start only and is not on a request's path.
 */
async function issueAuthority(
  key: Uint8Array,
  profile: Omit<Profile, 'spki'> & { readonly notAfter: number },
): Promise<Uint8Array> {
  const { signedPart } = readCertificate(await selfSign(key, profile, profile.notAfter))
  const signature = p256.sign(signedPart, key, { format: 'der' })
  const bits = derValue(0x03, concatBytes(Uint8Array.of(0), signature))
  return derValue(0x30, concatBytes(signedPart, ecdsaWithSha256, bits))
}

function selfSign(key: Uint8Array, profile: Omit<Profile, 'spki'>, now: number) {
  const whole = { ...profile, spki: encodeSpki(key) }
  return sign(key, distinguishedName(whole), whole, now)
}

/**
 * Signs a certificate with a CA's key. The issuer name is copied byte for byte from the CA's subject, because some
 * verifiers compare the encodings (RFC 5280 §4.1.2.4).
 */
function issue(issuer: CertificateAuthority, profile: Profile, now: number): Promise<Uint8Array> {
  const { subject } = readCertificate(issuer.certificate)
  if (subject.length > maxName) {
    throw new AssentError('KMS_CERTIFICATE_INVALID', 'The name of the issuer is too long.', {
      facts: { found: subject.length, expected: `at most ${maxName} bytes` },
    })
  }
  return sign(issuer.key, new x509.Name(ownBuffer(subject)), profile, now)
}

async function sign(
  key: Uint8Array,
  issuer: x509.Name,
  profile: Profile,
  now: number,
): Promise<Uint8Array> {
  const pkcs8 = ownBuffer(encodePkcs8(key))
  const signingKey = await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign'])
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(profile.spki),
    subject: distinguishedName(profile),
    issuer,
    notBefore: toDate(profile.notBefore ?? earliestNotBefore),
    notAfter: toDate(profile.notAfter ?? now + defaultLifetime),
    publicKey: ownBuffer(profile.spki),
    signingKey,
    extensions: extensionsOf(profile),
  })
  return new Uint8Array(certificate.rawData)
}

/** X.509 extensions in the order in which dstack writes them. */
function extensionsOf(profile: Profile): x509.Extension[] {
  const { names = [], pathLength, extensions = new Map() } = profile
  const isAuthority = pathLength !== undefined
  const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags
  const usages = isAuthority ? digitalSignature | keyCertSign | cRLSign : digitalSignature
  const purposes = [
    ...(profile.serverAuth ? [x509.ExtendedKeyUsage.serverAuth] : []),
    ...(profile.clientAuth ? [x509.ExtendedKeyUsage.clientAuth] : []),
  ]
  const list: x509.Extension[] = []
  if (names.length > 0) list.push(new x509.SubjectAlternativeNameExtension(names.map(toAltName)))
  list.push(new x509.KeyUsagesExtension(usages, true))
  if (purposes.length > 0) list.push(new x509.ExtendedKeyUsageExtension(purposes))
  if (isAuthority) {
    const keyId = toHex(sha256(profile.spki).subarray(0, 20))
    list.push(new x509.SubjectKeyIdentifierExtension(keyId))
    list.push(new x509.BasicConstraintsExtension(true, pathLength, true))
  }
  for (const [id, content] of extensions) {
    list.push(new x509.Extension(id, false, ownBuffer(wrapOctets(content))))
  }
  return list
}

function toAltName(name: string): x509.JsonGeneralName {
  // the library reads only the canonical spelling of an IPv6 address
  const address = canonicalAddress(name)
  return address === undefined ? { type: 'dns', value: name } : { type: 'ip', value: address }
}

function distinguishedName({ organization, commonName }: Omit<Profile, 'spki'>): x509.Name {
  return new x509.Name([
    ...(organization === undefined ? [] : [{ O: [{ utf8String: organization }] }]),
    { CN: [{ utf8String: commonName }] },
  ])
}

/** Depends on the key alone, as in dstack: a certificate that is issued again keeps its serial number. */
function serialNumber(spki: Uint8Array): string {
  const serial = sha256(spki.subarray(spki.length - 65)).slice(0, 20)
  serial[0] = (serial[0] ?? 0) & 0x7f
  return toHex(serial)
}

/** dstack puts a DER OCTET STRING into the extension's own OCTET STRING. */
function wrapOctets(content: Uint8Array): Uint8Array {
  return derValue(0x04, content)
}

function derValue(tag: number, content: Uint8Array): Uint8Array {
  return concatBytes(derHead(tag, content.length), content)
}

function derHead(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length)
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Uint8Array.of(tag, 0x80 | bytes.length, ...bytes)
}

function toDate(seconds: number): Date {
  return new Date(seconds * 1000)
}

/** An ArrayBuffer of exactly these bytes, which the types of WebCrypto require. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
