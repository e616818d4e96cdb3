/**
 * Whether to believe a TDX quote: the rules of Intel's quote verification library of 2026, on Node's
 * native crypto, the same as `QuoteVerifier.sol`.
 *
 * Policy is another question, see `policy.ts`. Stricter than Intel's library on purpose: certificate
 * names are compared whole, documents must be the exact bytes Intel signed, unknown fields in them are
 * refused, and a revoked module is refused even where only the running one (TEE_TCB_SVN2) is revoked.
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

export interface VerifyOptions {
  /** unix seconds at which everything must be valid */
  readonly at: number
  readonly root: TrustAnchor
  /** spares verifying the same collateral and platform again; see `createCollateralCache` */
  readonly cache?: VerificationCache
}

/**
 * Verifies a raw TDX quote with collateral at a given time.
 *
 * Malformed input throws; well-formed input that is not believed is a `rejected` verdict. A verified
 * quote may still be from a debug TD: `checkPolicy` decides what to accept.
 *
 * @throws QUOTE_* of the `malformedErrors` table, INPUT_INVALID
 */
export function verifyQuote(
  bytes: Uint8Array,
  collateral: Collateral,
  options: VerifyOptions,
): Verdict {
  return verifyParsedQuote(parseQuote(bytes), collateral, options)
}

/** The same for a quote that `parseQuote` made. @throws INPUT_INVALID */
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
    return judge({ quote, chain, trusted, signer, at: options.at })
  } catch (error) {
    if (error instanceof Rejection) return error.verdict
    throw error
  }
}

/**
 * Checks that collateral can judge a quote at all: signed by Intel, well formed, in its time, no signer revoked.
 *
 * @throws Rejection, QUOTE_*
 */
export function requireUsable(collateral: Collateral, options: VerifyOptions): void {
  const verifier = options.cache ?? uncached
  const trusted = verifier.verifyCollateral(collateral, verifier.readTrustedRoot(options.root))
  requireCurrent(trusted, options.at)
}

/** The platform that made a quote, as its own signatures prove it. */
export interface Origin {
  readonly sgx: SgxExtension
  /** The PCK CA. */
  readonly ca: Certificate
}

/**
 * Checks what needs no collateral: PCK chain to the trusted root, QE report, attestation key, quote signature.
 *
 * So only owners of real platforms make us ask anyone about their platform. It is not a verdict: nothing is said
 * about revocation, time or TCB level.
 *
 * @throws Rejection; QUOTE_* for certificates that are malformed
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
  /** Throws unless the PCK vouches for the QE, and the QE for this key. */
  readonly signer: () => P256Key
  readonly at: number
}

/** Everything that a cache must not remember. */
function judge({ quote, chain, trusted, signer, at }: VerificationState): Verified {
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
    // Intel reports date and advisories of the launch evaluation, also where a relaunch is advised
    ...rating.launch,
    ...rating,
  }
}

/** Each certificate by its own issuer's list, and by no other. */
function requireNothingRevoked(chain: PckChain, trusted: TrustedCollateral): void {
  requireListOfIssuer(chain, trusted)
  requireNotRevoked(chain.ca, trusted.rootCrl, 'QUOTE_CA_REVOKED')
  requireNotRevoked(trusted.pckIssuers.issuer, trusted.rootCrl, 'QUOTE_CA_REVOKED')
  for (const signer of trusted.signers) {
    requireNotRevoked(signer, trusted.rootCrl, 'QUOTE_TCB_SIGNING_REVOKED')
  }
  requireNotRevoked(chain.pck, trusted.pckCrl, 'QUOTE_PCK_REVOKED')
}

/** Intel QVL 4.1.2.5.7: the list must be of the CA that issued this PCK, by name and by key. */
function requireListOfIssuer(
  { pck, ca }: PckChain,
  { pckCrl, pckIssuers }: TrustedCollateral,
): void {
  const sameName = equalBytes(pckCrl.issuer, pck.issuer)
  if (sameName && equalBytes(ca.key.point, pckIssuers.issuer.key.point)) return
  throw new Rejection('QUOTE_CRL_ISSUER_MISMATCH', 'The PCK CRL is of another CA than the PCK.', {
    found: pckIssuers.issuer.subjectCommonName,
    expected: ca.subjectCommonName,
  })
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
