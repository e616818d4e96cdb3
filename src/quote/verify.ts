/**
 * Verification of TDX quotes by the rules of Intel's quote verification library (QVL) of 2026, with Node's crypto. The
 * contract `QuoteVerifier.sol` implements the same rules.
 *
 * A quote policy is a separate step, see `policy.ts`. Some rules are stricter than Intel's: certificate names are
 * compared as a whole, documents must be the exact bytes that Intel signed, and a revoked module is rejected also if
 * only the running module (TEE_TCB_SVN2) is revoked.
 */
import { hash } from 'node:crypto'

import { equalBytes } from '../lib/bytes.ts'
import type { Certificate, SgxExtension } from './certificates/certificate.ts'
import {
  certificateValidity,
  type PckChain,
  readTrustedRoot,
  requireNotRevoked,
  requireUnixSeconds,
  requireValid,
  verifyPckChain,
} from './certificates/certificate-chain.ts'
import type { P256Key } from './certificates/p256.ts'
import type { TrustAnchor } from './certificates/trust-anchor.ts'
import type { Collateral } from './collateral/collateral.ts'
import { requireQeIdentity } from './collateral/qe-identity.ts'
import { requireSamePlatform } from './collateral/tcb-info.ts'
import {
  requireCurrent,
  type TrustedCollateral,
  verifyCollateral,
} from './collateral/trusted-collateral.ts'
import { parseQuote, type Quote } from './parse.ts'
import { rateTcb, requireTdxModule } from './tcb.ts'
import { Rejection, type Verdict, type Verified } from './verdict.ts'
import type { VerificationCache } from './verify-cache.ts'
import { verifyQe } from './verify-qe.ts'

/** Options of {@link verifyQuote}. */
export interface VerifyOptions {
  /** Unix seconds at which all certificates and collateral must be valid. */
  readonly at: number
  /** The root of trust: `'intel'`, or the root certificate or key of a simulator. */
  readonly root: TrustAnchor
  /** Reuses verified collateral and platforms; see `createCollateralCache`. */
  readonly cache?: VerificationCache
}

/**
 * Verifies a raw TDX quote with collateral at a given time.
 *
 * Malformed input throws. A well-formed quote that is not genuine does not throw: the verdict is `rejected` and has a
 * code. A verified quote can still be from a debug TD or an outdated platform: call `checkPolicy` as well.
 *
 * @param bytes raw quote of version 4 or 5; trailing padding is ignored
 * @throws QUOTE_* of the table `malformedErrors` if quote or collateral are malformed
 * @throws INPUT_INVALID if `at` is not in seconds
 *
 * @example
 * const verdict = verifyQuote(quote, collateral, { at: 1_790_000_000, root: 'intel' })
 * if (verdict.verdict === 'verified') console.log(verdict.status, verdict.expiresAt)
 * else console.log(verdict.code, verdict.facts)
 */
export function verifyQuote(
  bytes: Uint8Array,
  collateral: Collateral,
  options: VerifyOptions,
): Verdict {
  return verifyParsedQuote(parseQuote(bytes), collateral, options)
}

/** Verifies a quote that `parseQuote` returned. @throws as {@link verifyQuote} */
export function verifyParsedQuote(
  quote: Quote,
  collateral: Collateral,
  options: VerifyOptions,
): Verdict {
  requireUnixSeconds(options.at)
  const verifier = options.cache ?? uncached
  const root = verifier.readTrustedRoot(options.root)
  try {
    const trusted = verifier.verifyCollateral(collateral, root)
    const chain = verifier.verifyPckChain(quote.pckChain, trusted.pckIssuers, root)
    const signer = () => verifier.verifyQe(quote, chain.pck.key)
    return evaluate({ quote, chain, trusted, signer, at: options.at })
  } catch (error) {
    if (error instanceof Rejection) return error.verdict
    throw error
  }
}

/**
 * Checks that collateral can be used: it is signed, well-formed and valid now, and no signer is revoked.
 *
 * @throws Rejection, QUOTE_*
 */
export function requireUsable(collateral: Collateral, options: VerifyOptions): void {
  const verifier = options.cache ?? uncached
  const trusted = verifier.verifyCollateral(collateral, verifier.readTrustedRoot(options.root))
  requireCurrent(trusted, options.at)
}

/** The platform that signed a quote, proven by the certificates in the quote. */
export interface Origin {
  readonly sgx: SgxExtension
  /** The PCK CA. */
  readonly ca: Certificate
}

/**
 * Checks everything that needs no collateral: the PCK chain, the QE report, the attestation key and the quote signature.
 *
 * A service calls it before it fetches collateral, so that only owners of real platforms cause requests to a PCCS. It is
 * not a verdict: revocation, validity and TCB level are not checked.
 *
 * @throws Rejection if a signature is invalid, QUOTE_* if a certificate is malformed
 */
export function verifyOrigin(quote: Quote, options: Omit<VerifyOptions, 'at'>): Origin {
  const verifier = options.cache ?? uncached
  const root = verifier.readTrustedRoot(options.root)
  const { pck, sgx, ca } = verifier.verifyPckChain(quote.pckChain, undefined, root)
  requireQuoteSignature(quote, verifier.verifyQe(quote, pck.key))
  return { sgx, ca }
}

const uncached: VerificationCache = {
  readTrustedRoot,
  verifyCollateral,
  verifyPckChain,
  verifyQe,
}

interface VerificationState {
  readonly quote: Quote
  readonly chain: PckChain
  readonly trusted: TrustedCollateral
  /** Returns the attestation key. Throws if the PCK certificate or the quoting enclave does not certify it. */
  readonly signer: () => P256Key
  readonly at: number
}

/** The checks that depend on time, revocation and TCB levels. Their results are never cached. */
function evaluate({ quote, chain, trusted, signer, at }: VerificationState): Verified {
  const { tcbInfo, qeIdentity } = trusted
  requireNothingRevoked(chain, trusted)
  const quoteValidities = [chain.pck, chain.ca, chain.root].map(certificateValidity)
  const expiresAt = requireValid([...quoteValidities, ...trusted.validities], at)

  requireSamePlatform(tcbInfo, chain.sgx)
  requireTdxModule(quote.report, tcbInfo)
  const attestationKey = signer()
  requireQeIdentity(quote.qeReport, qeIdentity)
  requireQuoteSignature(quote, attestationKey)
  const qeIsvSvn = quote.qeReport.isvSvn
  const rating = rateTcb(quote, { sgx: chain.sgx, qeIsvSvn, tcbInfo, qeIdentity })

  return {
    verdict: 'verified',
    quote,
    at,
    expiresAt,
    ...describePlatform(chain.sgx),
    tcbEvaluationNumbers: {
      tcbInfo: tcbInfo.tcbEvaluationNumber,
      qeIdentity: qeIdentity.tcbEvaluationNumber,
    },
    issuedAt: {
      tcbInfo: tcbInfo.issueDate,
      qeIdentity: qeIdentity.issueDate,
      pckCrl: trusted.pckCrl.thisUpdate,
      rootCrl: trusted.rootCrl.thisUpdate,
    },
    // like Intel's library: date and advisories of the launch, also if a relaunch is advised
    ...rating.launch,
    ...rating,
  }
}

/** Checks each certificate against the CRL of its own issuer. */
function requireNothingRevoked(chain: PckChain, trusted: TrustedCollateral): void {
  requireCrlOfIssuer(chain, trusted)
  requireNotRevoked(chain.ca, trusted.rootCrl, 'QUOTE_CA_REVOKED')
  requireNotRevoked(trusted.pckIssuers.issuer, trusted.rootCrl, 'QUOTE_CA_REVOKED')
  for (const signer of trusted.signers) {
    requireNotRevoked(signer, trusted.rootCrl, 'QUOTE_TCB_SIGNING_REVOKED')
  }
  requireNotRevoked(chain.pck, trusted.pckCrl, 'QUOTE_PCK_REVOKED')
}

/** Intel QVL 4.1.2.5.7: name and key of the CRL's issuer must be those of the CA that issued the PCK certificate. */
function requireCrlOfIssuer(
  { pck, ca }: PckChain,
  { pckCrl, pckIssuers }: TrustedCollateral,
): void {
  const sameName = equalBytes(pckCrl.issuer, pck.issuer)
  if (sameName && equalBytes(ca.key.point, pckIssuers.issuer.key.point)) return
  throw new Rejection(
    'QUOTE_CRL_ISSUER_MISMATCH',
    'The PCK CRL is from another CA than the PCK certificate.',
    {
      found: pckIssuers.issuer.subjectCommonName,
      expected: ca.subjectCommonName,
    },
  )
}

/** Intel QVL 4.1.2.5.17 */
function requireQuoteSignature({ signedBytes, signature }: Quote, attestationKey: P256Key): void {
  if (!attestationKey.verifies(signedBytes, signature)) {
    throw new Rejection(
      'QUOTE_SIGNATURE_INVALID',
      'The quote is not signed by its attestation key.',
    )
  }
}

function describePlatform(sgx: SgxExtension) {
  return {
    fmspc: sgx.fmspc,
    pceId: sgx.pceId,
    ppid: sgx.ppid,
    deviceId: new Uint8Array(hash('sha256', sgx.ppid, 'buffer')),
    ...(sgx.platformInstanceId ? { platformInstanceId: sgx.platformInstanceId } : {}),
  }
}
