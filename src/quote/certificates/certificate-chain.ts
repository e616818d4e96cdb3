/**
 * Intel's attestation PKI: root → PCK CA → PCK, and root → TCB signing (Intel, "SGX PCK Certificate and
 * CRL Profile Specification").
 *
 * The shapes are fixed, so there is no path building: each certificate has one place, and what may stand
 * there is checked by name, constraint and signature. Times and revocation are checked at each use.
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
  // TCB signing is also signed by the root and must never stand here
  pckCa: ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'],
  tcbSigning: ['Intel SGX TCB Signing'],
  pck: ['Intel SGX PCK Certificate'],
} as const

/** Something relied on, with the seconds in which it may be. */
export interface Validity {
  readonly document: string
  /** unix seconds, both inclusive */
  readonly notBefore: number
  readonly notAfter: number
  readonly expired: RejectionCode
}

/** The key that everything must lead to. */
export interface TrustedRoot {
  readonly key: P256Key
}

const intelRoot: TrustedRoot = { key: new P256Key(intelRootKey) }

/**
 * Reads the root to trust: a certificate (DER) or a P-256 public key (SubjectPublicKeyInfo, 91 bytes).
 *
 * Of a certificate only the key counts: Intel pins its root by key, and so does every chain here.
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

/** A chain of two certificates that leads to the trusted root. */
export interface IssuerChain {
  readonly issuer: Certificate
  readonly root: Certificate
}

/**
 * Checks everything about `[issuer, root]` but time and revocation.
 *
 * @param known a root certificate that was verified under `trusted` already: the same object is not verified again
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

/** What the PCK chain of a quote proves, revocation and time aside. */
export interface PckChain {
  readonly pck: Certificate
  readonly sgx: SgxExtension
  readonly ca: Certificate
  readonly root: Certificate
}

/**
 * Checks the chain that came with a quote, leaf first.
 *
 * @param known chain of the collateral: certificates with the same bytes are not verified again
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

/** RFC 5280 §4.2.1.3 and §4.2.1.9. `below`: how many CAs must be able to follow. */
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

/** Checks that `list` is the revocation list of `issuer`. */
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

/** A list speaks only for certificates of its own issuer: pass the issuer's list. */
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

export function certificateValidity(certificate: Certificate): Validity {
  const { notBefore, notAfter, subjectCommonName } = certificate
  return { document: subjectCommonName, notBefore, notAfter, expired: 'QUOTE_CERTIFICATE_EXPIRED' }
}

/** Checks that all are valid at `at`; gives the last second at which all still are. */
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

/** @throws INPUT_INVALID: a wrong unit or a fraction must not decide about validity */
export function requireUnixSeconds(at: number): void {
  // the year 5138 in seconds, 1973 in milliseconds
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
