/** One question to either implementation of the verifier, one shape of answer. */

import type { ProvenApp } from '../../audit/prove-app.ts'
import { createOnchainVerifier, type OnchainVerified } from '../../chain/verifier/verify-onchain.ts'
import { type AssentError, type ErrorCode, isAssentError } from '../../errors/index.ts'
import { malformedErrors } from '../../errors/quote.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import type { Collateral } from '../../quote/collateral/collateral.ts'
import { checkPolicy, type QuotePolicy } from '../../quote/policy.ts'
import { describeVerdict, hexFields } from '../../quote/to-json.ts'
import type { Rejected, Verified } from '../../quote/verdict.ts'
import { verifyQuote } from '../../quote/verify.ts'
import { createCollateralCache } from '../../quote/verify-cache.ts'
import { type AppJson, describeApp } from './describe-app.ts'
import { startInProcessChain } from './in-process-chain.ts'

/** The output of `quote verify --json`: scripts decide by `verdict`, people look up `code`. */
export interface VerifyOutput {
  readonly verdict: 'verified' | 'rejected' | 'malformed'
  /** why not; null for a verified quote */
  readonly code: string | null
  readonly message: string | null
  /** Facts of a rejection, such as document and field. */
  readonly facts: Readonly<Record<string, unknown>>
  /** null if the quote is not genuine; set if only the policy refuses it */
  readonly status: string | null
  /** ISO 8601; null without a verdict. */
  readonly tcbDate: string | null
  readonly advisoryIds: readonly string[]
  /** the verifier that answered */
  readonly verifier: Implementation
  /** what the event log proves; null without an event log, or if the quote is not genuine */
  readonly app: AppJson | null
  readonly [field: string]: unknown
}

/** The verifier that answers: the library or the contract. */
export type Implementation = 'typescript' | 'solidity'

/** The question about one quote. */
export interface VerificationInput {
  readonly quote: Uint8Array
  readonly collateral: Collateral
  /** unix seconds */
  readonly at: number
}

/** One verifier under one root of trust, for any number of quotes. */
export interface Verifier {
  /** The answer without any policy. @throws QUOTE_* for malformed evidence */
  verify(evidence: VerificationInput): Promise<Verified | OnchainVerified | Rejected>
  close(): Promise<void>
  readonly name: Implementation
}

/** Remembers collateral, so that many quotes under the same bundle are cheap. */
export function createTypeScriptVerifier(root: TrustAnchor): Verifier {
  const cache = createCollateralCache()
  return {
    name: 'typescript',
    verify: async ({ quote, collateral, at }) =>
      verifyQuote(quote, collateral, { at, root, cache }),
    close: async () => {},
  }
}

/** @throws IN_PROCESS_CHAIN_UNAVAILABLE */
export async function createSolidityVerifier(root: TrustAnchor): Promise<Verifier> {
  const chain = await startInProcessChain()
  const { verify } = await createOnchainVerifier(chain)
  return {
    name: 'solidity',
    verify: ({ quote, collateral, at }) => verify(quote, collateral, { at, root }),
    close: () => chain.close(),
  }
}

/** A quote with its collateral, and what is asked beyond the quote. */
export interface Question {
  readonly input: VerificationInput
  /** Proves the app from the verified quote; undefined: there is no event log. @throws what speaks against it */
  proveApp(): Promise<ProvenApp | undefined>
}

/** @param read may fail with what makes a quote or a bundle malformed */
export async function answer(
  verifier: Verifier,
  policy: QuotePolicy | 'none',
  read: () => Promise<Question>,
): Promise<VerifyOutput> {
  try {
    const { input, proveApp } = await read()
    const verdict = decide(await verifier.verify(input), policy, verifier.name)
    return verdict.verdict === 'verified' ? await addApp(verdict, proveApp) : verdict
  } catch (error) {
    if (!isAssentError(error) || !isMalformed(error)) throw error
    return failedAnswer('malformed', error, verifier.name)
  }
}

/** The quote stays described if its event log, app-compose file or image is another one. */
async function addApp(
  verified: VerifyOutput,
  proveApp: Question['proveApp'],
): Promise<VerifyOutput> {
  try {
    const app = await proveApp()
    return { ...verified, app: app === undefined ? null : describeApp(app) }
  } catch (error) {
    if (!isAssentError(error) || isMalformed(error)) throw error
    const { code, message, facts } = error
    if (!refusals.has(code)) throw error
    return { ...verified, verdict: 'rejected', code, message, facts }
  }
}

/** Codes that say that the evidence belongs together with another quote, file or image. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'EVENT_LOG_RTMR3_MISMATCH',
  'APP_INFO_INCOMPLETE',
  'MR_CONFIG_ID_MISMATCH',
  'COMPOSE_HASH_MISMATCH',
  'IMAGE_NOT_PROVEN',
  'KMS_REPORT_DATA_UNBOUND',
])

function decide(
  verdict: Verified | OnchainVerified | Rejected,
  policy: QuotePolicy | 'none',
  verifier: Implementation,
): VerifyOutput {
  if (verdict.verdict === 'rejected') return failedAnswer('rejected', verdict, verifier)
  const described = 'issuedAt' in verdict ? describeVerdict(verdict) : describeOnchain(verdict)
  const proven = { ...described, code: null, message: null, facts: {}, verifier, app: null }
  if (policy === 'none') return proven
  try {
    checkPolicy(policySubject(verdict), policy)
    return proven
  } catch (error) {
    if (!isAssentError(error)) throw error
    const { code, message, facts } = error
    return { ...proven, verdict: 'rejected', code, message, facts }
  }
}

function describeOnchain(verified: OnchainVerified) {
  const { verdict, status, tcbDate, advisoryIds, ...rest } = verified
  return { verdict, status, tcbDate, advisoryIds, ...hexFields(rest) }
}

/** The contract tells the oldest date of the three documents, which is the one that a policy bounds. */
function policySubject(verdict: Verified | OnchainVerified) {
  if ('issuedAt' in verdict) return verdict
  const oldest = verdict.collateralIssuedAt
  return { ...verdict, issuedAt: { tcbInfo: oldest, qeIdentity: oldest, pckCrl: oldest } }
}

function failedAnswer(
  verdict: 'rejected' | 'malformed',
  { code, message, facts }: Pick<AssentError, 'code' | 'message' | 'facts'>,
  verifier: Implementation,
): VerifyOutput {
  const unknown = { status: null, tcbDate: null, advisoryIds: [], app: null }
  return { verdict, code, message, facts, ...unknown, verifier }
}

/** Codes, in addition to those of quotes, for evidence that does not follow its format. */
const malformed: ReadonlySet<ErrorCode> = new Set([
  'HEX_INVALID',
  'QUOTE_MISSING',
  'QUOTE_AMBIGUOUS',
  'ATTESTATION_MALFORMED',
  'ATTESTATION_UNSUPPORTED',
  'KMS_CERTIFICATE_INVALID',
  'KMS_EVIDENCE_INVALID',
  'IMAGE_CLAIM_INVALID',
  'OS_IMAGE_MEASUREMENT_MALFORMED',
])

/** Whether quote or collateral is at fault, and not how the command was used. */
function isMalformed({ code }: AssentError): boolean {
  return code in malformedErrors || malformed.has(code)
}
