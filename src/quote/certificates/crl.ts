/** X.509 certificate revocation lists (CRLs), version 2, as Intel issues them (RFC 5280 §5). */
import { AssentError } from '../../errors/index.ts'
import { LAST_SECOND } from '../collateral/signed-json.ts'
import { readCommonName, readSerial, readSignature, requireAlgorithm } from './certificate.ts'
import { DerReader, tag } from './der.ts'

/** A CRL with 1,000 entries has about 50 KB. */
export const MAX_CRL_BYTES = 131_072

/** Extensions of a CRL or an entry that do not change which certificates are revoked. */
const harmlessExtensions: ReadonlySet<string> = new Set([
  '551d14', // CRL number
  '551d15', // reason
  '551d18', // invalidity date
  '551d23', // authority key id
])

/** A parsed CRL. Its signature is not verified yet. */
export interface RevocationList {
  /** tbsCertList: the bytes under the signature. */
  readonly signedBytes: Uint8Array
  /** DER. */
  readonly signature: Uint8Array
  /** DER of the name, compared byte by byte. */
  readonly issuer: Uint8Array
  /** Unix seconds, both inclusive. */
  readonly thisUpdate: number
  /** Unix seconds; the list is valid in this second. */
  readonly nextUpdate: number
  /** Revoked serial numbers, in the form of `Certificate.serial`. */
  readonly revoked: ReadonlySet<string>
}

/**
 * Parses one DER CRL.
 *
 * @param document name of the document in error messages
 * @throws QUOTE_DER_MALFORMED, QUOTE_CERTIFICATE_MALFORMED, QUOTE_CRL_MALFORMED, QUOTE_TOO_LARGE
 */
export function parseRevocationList(der: Uint8Array, document: string): RevocationList {
  if (der.length > MAX_CRL_BYTES) {
    throw new AssentError('QUOTE_TOO_LARGE', `${document} has more than ${MAX_CRL_BYTES} bytes.`, {
      facts: { document, found: der.length, expected: `at most ${MAX_CRL_BYTES}` },
    })
  }
  const outer = DerReader.of(der, document)
  const list = outer.enter(tag.sequence, 'crl')
  outer.finish('crl')
  const signedBytes = list.readWhole(tag.sequence, 'tbsCertList')
  requireAlgorithm(list, document)
  const signature = readSignature(list, document)
  list.finish('crl')

  return { signedBytes, signature, ...readTbsList(signedBytes, document) }
}

function readTbsList(
  signedBytes: Uint8Array,
  document: string,
): Omit<RevocationList, 'signedBytes' | 'signature'> {
  const tbs = DerReader.of(signedBytes, document).enter(tag.sequence, 'tbsCertList')
  if (tbs.readNumber('version', 1) !== 1) throw malformed(document, 'version', 'not v2')
  requireAlgorithm(tbs, document)
  const issuer = tbs.readWhole(tag.sequence, 'issuer')
  readCommonName(issuer, document)
  const thisUpdate = tbs.readTime('thisUpdate')
  const nextUpdate = tbs.readTime('nextUpdate')
  if (nextUpdate <= thisUpdate || nextUpdate > LAST_SECOND) {
    throw malformed(document, 'nextUpdate', 'not after thisUpdate, or after 2106')
  }
  const revoked = new Set<string>()
  if (tbs.isNext(tag.sequence)) {
    const entries = tbs.enter(tag.sequence, 'revokedCertificates')
    // RFC 5280 §5.1.2.6: without entries the whole list is absent
    if (entries.isAtEnd) throw malformed(document, 'revokedCertificates', 'empty')
    while (!entries.isAtEnd) revoked.add(readEntry(entries, document))
  }
  const wrapper = tbs.enter(tag.context0, 'crlExtensions')
  tbs.finish('tbsCertList')
  refuseUnknownCritical(wrapper.enter(tag.sequence, 'crlExtensions'), document)
  wrapper.finish('crlExtensions')
  return { issuer, thisUpdate, nextUpdate, revoked }
}

/** Reads one entry. Every listed serial number is revoked, with any date and reason. */
function readEntry(entries: DerReader, document: string): string {
  const entry = entries.enter(tag.sequence, 'revokedCertificate')
  const serial = readSerial(entry, document)
  entry.readTime('revocationDate')
  if (!entry.isAtEnd)
    refuseUnknownCritical(entry.enter(tag.sequence, 'crlEntryExtensions'), document)
  entry.finish('revokedCertificate')
  return serial
}

/** RFC 5280 §5.2: a CRL with an unknown critical extension must not be used. */
function refuseUnknownCritical(list: DerReader, document: string): void {
  while (!list.isAtEnd) {
    const extension = list.enter(tag.sequence, 'extension')
    const type = extension.readOid('extension')
    const isCritical = extension.isNext(tag.boolean) && extension.readTrue('extension.critical')
    const value = extension.read(tag.octetString, 'extension')
    extension.finish('extension')
    DerReader.of(value, document).requireWellFormed('extension')
    if (isCritical && !harmlessExtensions.has(type)) {
      throw malformed(document, `extension ${type}`, 'critical and unknown')
    }
  }
}

function malformed(document: string, field: string, found: string): AssentError {
  return new AssentError('QUOTE_CRL_MALFORMED', `${document}: ${field} is ${found}.`, {
    facts: { document, field, found },
  })
}
