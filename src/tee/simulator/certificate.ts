/** Encodes X.509 certificates and CRLs in the form of Intel's: the same fields, order and sizes. */
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  CRLDistributionPoints,
  CRLNumber,
  CRLReason,
  CRLReasons,
  DistributionPoint,
  DistributionPointName,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_cRLDistributionPoints,
  id_ce_cRLNumber,
  id_ce_cRLReasons,
  id_ce_keyUsage,
  id_ce_subjectKeyIdentifier,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  RevokedCertificate,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  TBSCertList,
  Time,
  Validity,
  Version,
} from '@peculiar/asn1-x509'

import { tlv } from './der.ts'
import { type SigningKey, sign, toDerSignature } from './key.ts'

/** A distinguished name. */
export interface NameProfile {
  /** Such as `Intel SGX Root CA`. */
  readonly commonName: string
  /** 17 characters, as Intel's, so that all offsets are as in real certificates. */
  readonly organization: string
  /** String type of all parts except the country, which is always a PrintableString. */
  readonly encoding: 'utf8' | 'printable'
}

/** Everything that a certificate states. */
export interface CertificateProfile {
  readonly subject: NameProfile
  readonly issuer: NameProfile
  /** At most 20 bytes. */
  readonly serial: Uint8Array
  /** Unix seconds. */
  readonly notBefore: number
  /** Unix seconds. */
  readonly notAfter: number
  /** x ‖ y, 64 bytes. */
  readonly publicKey: Uint8Array
  /** 20 bytes. */
  readonly subjectKeyId: Uint8Array
  /** 20 bytes: the key id of the issuer. */
  readonly authorityKeyId: Uint8Array
  /** CRL distribution point. */
  readonly crlUrl: string
  /** Path length of a CA; undefined for an end entity. */
  readonly pathLength: number | undefined
  /** Extensions after the usual ones. */
  readonly extra: readonly Extension[]
}

/** Everything that a CRL states. Times are Unix seconds. */
export interface CrlProfile {
  readonly issuer: NameProfile
  /** 20 bytes: the key id of the issuer. */
  readonly authorityKeyId: Uint8Array
  /** Unix seconds. */
  readonly thisUpdate: number
  /** Unix seconds. */
  readonly nextUpdate: number
  /** Serial numbers. */
  readonly revoked: readonly Uint8Array[]
}

/** Changes of the encoded bytes: so the fault catalogue makes certificates that no library encodes. */
export interface Edits {
  /** Before the signature is made. */
  readonly signed?: (tbs: Uint8Array) => Uint8Array
  /** After the signature was made. */
  readonly whole?: (der: Uint8Array) => Uint8Array
}

/** @returns DER */
export function issueCertificate(
  profile: CertificateProfile,
  issuer: SigningKey,
  edits: Edits = {},
): Uint8Array {
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: toBuffer(integerContent(profile.serial)),
    signature: ecdsaWithSha256(),
    issuer: toName(profile.issuer),
    validity: new Validity({
      notBefore: toDate(profile.notBefore),
      notAfter: toDate(profile.notAfter),
    }),
    subject: toName(profile.subject),
    subjectPublicKeyInfo: toPublicKeyInfo(profile.publicKey),
    extensions: new Extensions(certificateExtensions(profile)),
  })
  return signStructure(serialize(tbs), issuer, edits)
}

/** @returns DER */
export function issueCrl(profile: CrlProfile, issuer: SigningKey, edits: Edits = {}): Uint8Array {
  const tbs = new TBSCertList({
    version: Version.v2,
    signature: ecdsaWithSha256(),
    issuer: toName(profile.issuer),
    thisUpdate: new Time(toDate(profile.thisUpdate)),
    nextUpdate: new Time(toDate(profile.nextUpdate)),
    crlExtensions: [
      extension(id_ce_cRLNumber, new CRLNumber(1)),
      extension(id_ce_authorityKeyIdentifier, authorityKey(profile.authorityKeyId)),
    ],
  })
  // an empty list is omitted, as RFC 5280 §5.1.2.6 requires and Intel does
  if (profile.revoked.length > 0) {
    tbs.revokedCertificates = profile.revoked.map((serial) =>
      revocation(serial, profile.thisUpdate),
    )
  }
  return signStructure(serialize(tbs), issuer, edits)
}

/** An extension with an ASN.1 value. */
export function extension(id: string, value: object, critical = false): Extension {
  return rawExtension(id, serialize(value), critical)
}

/** An extension with an encoded value. */
export function rawExtension(id: string, value: Uint8Array, critical = false): Extension {
  return new Extension({ extnID: id, critical, extnValue: new OctetString(value) })
}

/** A serial number as the content of a DER INTEGER: positive, shortest form. */
export function integerContent(serial: Uint8Array): Uint8Array {
  const start = serial.findIndex((byte) => byte !== 0)
  if (start === -1) return Uint8Array.of(0)
  const digits = serial.subarray(start)
  return (digits[0] as number) < 0x80 ? digits : Uint8Array.of(0, ...digits)
}

function signStructure(tbs: Uint8Array, issuer: SigningKey, edits: Edits): Uint8Array {
  const signed = edits.signed?.(tbs) ?? tbs
  const signature = toDerSignature(sign(issuer, signed))
  const der = tlv(
    0x30,
    signed,
    serialize(ecdsaWithSha256()),
    tlv(0x03, Uint8Array.of(0), signature),
  )
  return edits.whole?.(der) ?? der
}

function certificateExtensions(profile: CertificateProfile): Extension[] {
  return [
    extension(id_ce_authorityKeyIdentifier, authorityKey(profile.authorityKeyId)),
    extension(id_ce_cRLDistributionPoints, distributionPoint(profile.crlUrl)),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(profile.subjectKeyId)),
    extension(id_ce_keyUsage, keyUsage(profile.pathLength), true),
    extension(id_ce_basicConstraints, basicConstraints(profile.pathLength), true),
    ...profile.extra,
  ]
}

function authorityKey(id: Uint8Array): AuthorityKeyIdentifier {
  return new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(id) })
}

function distributionPoint(url: string): CRLDistributionPoints {
  const fullName = [new GeneralName({ uniformResourceIdentifier: url })]
  return new CRLDistributionPoints([
    new DistributionPoint({ distributionPoint: new DistributionPointName({ fullName }) }),
  ])
}

function keyUsage(pathLength: number | undefined): KeyUsage {
  return new KeyUsage(
    pathLength === undefined
      ? KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation
      : KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
  )
}

function basicConstraints(pathLength: number | undefined): BasicConstraints {
  return pathLength === undefined
    ? new BasicConstraints({ cA: false })
    : new BasicConstraints({ cA: true, pathLenConstraint: pathLength })
}

function revocation(serial: Uint8Array, at: number): RevokedCertificate {
  return new RevokedCertificate({
    userCertificate: toBuffer(integerContent(serial)),
    revocationDate: new Time(toDate(at)),
    crlEntryExtensions: [extension(id_ce_cRLReasons, new CRLReason(CRLReasons.keyCompromise))],
  })
}

/** Intel's order: CN, O, L, ST, C. */
function toName({ commonName, organization, encoding }: NameProfile): Name {
  const part = (type: string, text: string, printable = encoding === 'printable') =>
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({
        type,
        value: new AttributeValue(printable ? { printableString: text } : { utf8String: text }),
      }),
    ])
  return new Name([
    part('2.5.4.3', commonName),
    part('2.5.4.10', organization),
    part('2.5.4.7', 'Santa Clara'),
    part('2.5.4.8', 'CA'),
    part('2.5.4.6', 'US', true),
  ])
}

function ecdsaWithSha256(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' })
}

function toPublicKeyInfo(publicKey: Uint8Array): SubjectPublicKeyInfo {
  return new SubjectPublicKeyInfo({
    algorithm: new AlgorithmIdentifier({
      algorithm: '1.2.840.10045.2.1',
      // prime256v1, OID 1.2.840.10045.3.1.7
      parameters: toBuffer(new Uint8Array(Buffer.from('06082a8648ce3d030107', 'hex'))),
    }),
    subjectPublicKey: toBuffer(Uint8Array.of(4, ...publicKey)),
  })
}

function toDate(at: number): Date {
  return new Date(at * 1000)
}

function serialize(value: object): Uint8Array {
  return new Uint8Array(AsnConvert.serialize(value))
}

function toBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}
