/**
 * The certificate chains of Intel's attestation PKI: root → PCK CA → PCK, and root → TCB signing (Intel, "SGX PCK
 * Certificate and CRL Profile Specification").
 *
 * The chains are fixed, so there is no path building: each position requires a name, constraints and a signature. Validity
 * and revocation are checked at each use, so that a verified chain can be cached.
 */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import { Rejection, type RejectionCode } from '../verdict.ts'
import { type Certificate, parseCertificate, type SgxExtension } from './certificate.ts'
import type { RevocationList } from './crl.ts'
import { intelRootKey } from './intel-root.ts'
import { P256Key, SPKI_BYTES, SPKI_PREFIX } from './p256.ts'
import type { TrustAnchor } from './trust-anchor.ts'

const commonNames = {
  root: ['Intel SGX Root CA'],
  // the root also signs the TCB signing certificate, which must not be accepted as a CA
  pckCa: ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'],
  tcbSigning: ['Intel SGX TCB Signing'],
  pck: ['Intel SGX PCK Certificate'],
} as const

/** The validity of a certificate or a collateral document. */
export interface Validity {
  /** Name of the document, for errors. */
  readonly document: string
  /** Unix seconds, both inclusive. */
  readonly notBefore: number
  /** Unix seconds: the last valid second. */
  readonly notAfter: number
  /** Code of the rejection after `notAfter`. */
  readonly expired: RejectionCode
}

/** The key of the root of trust. */
export interface TrustedRoot {
  readonly key: P256Key
}

const intelRoot: TrustedRoot = { key: new P256Key(intelRootKey) }

/**
 * Reads a root of trust: a DER certificate or a P-256 public key (SubjectPublicKeyInfo, 91 bytes).
 *
 * Only the key of a certificate is used, because chains are compared with the key and not with the certificate.
 *
 * @throws QUOTE_DER_MALFORMED, QUOTE_CERTIFICATE_MALFORMED
 */
export function readTrustedRoot(root: TrustAnchor): TrustedRoot {
  if (root === 'intel') return intelRoot
  const isKey =
    root.length === SPKI_BYTES && equalBytes(root.subarray(0, SPKI_PREFIX.length), SPKI_PREFIX)
  const key = isKey
    ? new P256Key(root.slice(SPKI_PREFIX.length))
    : parseCertificate(new Uint8Array(root), 'trusted root').key
  return equalBytes(key.point, intelRootKey) ? intelRoot : { key }
}

/** A verified chain of two certificates. */
export interface IssuerChain {
  readonly issuer: Certificate
  readonly root: Certificate
}

/**
 * Verifies a chain `[issuer, root]`, without validity and revocation.
 *
 * @param role which certificate the issuer must be
 * @param document name of the chain in error messages
 * @param known a root certificate that was already verified with `trusted`; the same object is not verified again
 * @throws Rejection
 */
export function verifyIssuerChain(
  chain: readonly Certificate[],
  role: 'pckCa' | 'tcbSigning',
  trusted: TrustedRoot,
  document: string,
  known?: Certificate,
): IssuerChain {
  const [issuer, root] = chain
  if (issuer === undefined || root === undefined || chain.length !== 2) {
    throw invalid(document, 'length', chain.length, 2)
  }
  if (root !== known) requireRoot(root, trusted, document)
  requireName(issuer, role, document)
  requireIssued(issuer, root, trusted.key, document)
  if (role === 'pckCa') requireCa(issuer, 0, document)
  else requireEndEntity(issuer, document)
  return { issuer, root }
}

function requireRoot(root: Certificate, trusted: TrustedRoot, document: string): void {
  if (!equalBytes(root.key.point, trusted.key.point)) {
    throw new Rejection('QUOTE_ROOT_UNTRUSTED', `The ${document} ends in another root.`, {
      document,
      found: toHex(root.key.point),
      expected: toHex(trusted.key.point),
    })
  }
  requireName(root, 'root', document)
  requireIssued(root, root, trusted.key, document)
  requireCa(root, 1, document)
}

/** A verified PCK chain of a quote. Validity and revocation are not checked yet. */
export interface PckChain {
  readonly pck: Certificate
  /** Intel's SGX extension of the PCK certificate. */
  readonly sgx: SgxExtension
  readonly ca: Certificate
  readonly root: Certificate
}

/**
 * Verifies the certificate chain of a quote: PCK, PCK CA, root.
 *
 * @param known chain of the collateral; certificates with the same bytes are not verified again
 * @throws Rejection; QUOTE_* if a certificate is malformed
 */
export function verifyPckChain(
  chain: readonly Uint8Array[],
  known: IssuerChain | undefined,
  trusted: TrustedRoot,
): PckChain {
  const document = 'PCK chain'
  const [leaf, ...issuers] = chain
  if (leaf === undefined || chain.length !== 3) throw invalid(document, 'length', chain.length, 3)
  const { issuer: ca, root } = verifyPckIssuers(issuers, known, trusted, document)

  const pck = parseCertificate(leaf, 'PCK certificate')
  requireIssued(pck, ca, ca.key, document)
  requireEndEntity(pck, document)
  requireName(pck, 'pck', document, 'QUOTE_PCK_INVALID')
  if (pck.sgx === undefined) {
    throw new Rejection('QUOTE_PCK_INVALID', 'The leaf has no SGX extension.', { document })
  }
  return { pck, sgx: pck.sgx, ca, root }
}

function verifyPckIssuers(
  issuers: readonly Uint8Array[],
  known: IssuerChain | undefined,
  trusted: TrustedRoot,
  document: string,
): IssuerChain {
  const [ca, root] = issuers as [Uint8Array, Uint8Array]
  if (known && equalBytes(ca, known.issuer.der) && equalBytes(root, known.root.der)) return known
  const parsed = [parseCertificate(ca, 'PCK CA'), parseCertificate(root, 'root CA')]
  return verifyIssuerChain(parsed, 'pckCa', trusted, document)
}

function requireName(
  certificate: Certificate,
  role: keyof typeof commonNames,
  document: string,
  code: RejectionCode = 'QUOTE_CHAIN_INVALID',
): void {
  const expected: readonly string[] = commonNames[role]
  const found = certificate.subjectCommonName
  if (!expected.includes(found)) {
    throw new Rejection(
      code,
      `The ${document} has "${found}" where ${expected.join(' or ')} belongs.`,
      {
        document,
        found,
        expected,
      },
    )
  }
}

function requireIssued(
  certificate: Certificate,
  issuer: Certificate,
  key: P256Key,
  document: string,
): void {
  const name = certificate.subjectCommonName
  if (!equalBytes(certificate.issuer, issuer.subject)) {
    throw invalid(document, `issuer of ${name}`, toHex(certificate.issuer), toHex(issuer.subject))
  }
  if (!key.verifies(certificate.signedBytes, certificate.signature)) {
    throw invalid(document, `signature of ${name}`, 'invalid', 'valid')
  }
}

/** Checks that a certificate is a CA (RFC 5280 §4.2.1.3, §4.2.1.9). @param below CAs that must be allowed below it */
function requireCa(certificate: Certificate, below: number, document: string): void {
  const { isCa, keyUsage, pathLength, subjectCommonName } = certificate
  if (!isCa || !keyUsage.keyCertSign || !keyUsage.crlSign || (pathLength ?? below) < below) {
    throw invalid(document, subjectCommonName, { isCa, keyUsage, pathLength }, 'a CA')
  }
}

function requireEndEntity(certificate: Certificate, document: string): void {
  const { isCa, keyUsage, subjectCommonName } = certificate
  if (isCa || !keyUsage.digitalSignature) {
    throw invalid(document, subjectCommonName, { isCa, keyUsage }, 'an end entity that signs')
  }
}

/** Checks name and signature of a CRL. @throws Rejection if another CA issued it */
export function requireIssuedList(
  list: RevocationList,
  issuer: Certificate,
  document: string,
): void {
  if (!equalBytes(list.issuer, issuer.subject)) {
    throw new Rejection('QUOTE_CRL_ISSUER_MISMATCH', `The ${document} is of another issuer.`, {
      document,
      found: toHex(list.issuer),
      expected: toHex(issuer.subject),
    })
  }
  if (!issuer.key.verifies(list.signedBytes, list.signature)) {
    throw new Rejection(
      'QUOTE_CRL_SIGNATURE_INVALID',
      `The ${document} is not signed by its issuer.`,
      {
        document,
      },
    )
  }
}

/** Checks that a certificate is not in a CRL. The CRL must be from the issuer of this certificate. @throws Rejection */
export function requireNotRevoked(
  certificate: Certificate,
  list: RevocationList,
  code: RejectionCode,
): void {
  if (list.revoked.has(certificate.serial)) {
    throw new Rejection(code, `Intel revoked ${certificate.subjectCommonName}.`, {
      serial: certificate.serial,
    })
  }
}

/** The validity of a certificate. */
export function certificateValidity(certificate: Certificate): Validity {
  const { notBefore, notAfter, subjectCommonName } = certificate
  return { document: subjectCommonName, notBefore, notAfter, expired: 'QUOTE_CERTIFICATE_EXPIRED' }
}

/**
 * Checks that all documents are valid at `at` (Unix seconds).
 *
 * @returns the last second in which all of them are valid
 * @throws Rejection
 */
export function requireValid(validities: readonly Validity[], at: number): number {
  let expiresAt = Number.MAX_SAFE_INTEGER
  for (const { document, notBefore, notAfter, expired } of validities) {
    const facts = { document, at, notBefore, notAfter }
    if (at < notBefore) {
      throw new Rejection('QUOTE_NOT_YET_VALID', `${document} is not valid yet.`, facts)
    }
    if (at > notAfter) throw new Rejection(expired, `${document} has expired.`, facts)
    expiresAt = Math.min(expiresAt, notAfter)
  }
  return expiresAt
}

/**
 * Checks that a time is in whole seconds. Milliseconds would make every document look expired. @throws INPUT_INVALID
 */
export function requireUnixSeconds(at: number): void {
  // in seconds this is the year 5138, in milliseconds 1973
  if (!Number.isSafeInteger(at) || at < 0 || at > 100_000_000_000) {
    throw new AssentError('INPUT_INVALID', 'The time must be whole unix seconds.', {
      facts: { field: 'at', found: at },
    })
  }
}

function invalid(document: string, field: string, found: unknown, expected: unknown): Rejection {
  return new Rejection('QUOTE_CHAIN_INVALID', `The ${document} has a wrong ${field}.`, {
    document,
    field,
    found,
    expected,
  })
}
