/** Verifies a quote off-chain, by the same rules as the contract, before any gas is spent on it. */
import { AssentError, isAssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import {
  type CollateralSource,
  verifyWithSource,
} from '../../quote/collateral/collateral-source.ts'
import { parseEventLog, requireRtmr3 } from '../../quote/measurements/event-log.ts'
import { parseQuote } from '../../quote/parse.ts'
import { checkPolicy, defaultPolicy, type QuotePolicy } from '../../quote/policy.ts'
import type { Verified } from '../../quote/verdict.ts'
import { createCollateralCache, type VerificationCache } from '../../quote/verify-cache.ts'
import type { LastError } from '../outbox/outbox.ts'
import { toLastError } from '../outbox/transitions.ts'
import type { QuoteCheckResult, SubmittedQuote, VerifySubmission } from './intake.ts'

/** Rules for quotes. */
export interface SubmissionVerifierOptions {
  /** Source of Intel's collateral. */
  readonly collateral: CollateralSource
  /** Unix seconds. */
  readonly clock: Clock
  /** Must be the root of trust of the on-chain verifier. */
  readonly root: TrustAnchor
  /** Default: the standard policy. */
  readonly policy?: QuotePolicy
  /** Seconds for which the collateral must still be valid; default 3,600. */
  readonly minimumRemainingValidity?: number
}

/**
 * Creates a function that verifies quotes: signature chain, TCB status, event log, quote policy, remaining validity. It
 * returns all reasons for a rejection at once.
 */
export function createSubmissionVerifier(options: SubmissionVerifierOptions): VerifySubmission {
  const cache = createCollateralCache()
  return (submission) => verifySubmission(submission, options, cache)
}

/**
 * Runs the checks that do not depend on each other and collects all reasons. A malformed quote is thrown at once,
 * because nothing else can be checked.
 */
async function verifySubmission(
  { quote: bytes, eventLog }: SubmittedQuote,
  options: SubmissionVerifierOptions,
  cache: VerificationCache,
): Promise<QuoteCheckResult> {
  const { clock, collateral, policy = defaultPolicy, root } = options
  const quote = parseQuote(bytes)
  const events = parseEventLog(eventLog)
  const verdict = await verifyWithSource(quote, collateral, { root, clock, cache })
  const at = clock()

  const replay = refusalOf(() => requireRtmr3(events, quote.report.rtmrs[3]))
  if (verdict.verdict === 'rejected') {
    const { code, message, facts } = verdict
    return { ok: false, reasons: [{ code, message, facts }, ...replay] }
  }
  const reasons = [
    ...replay,
    ...refusalOf(() => checkPolicy(verdict, policy)),
    ...refusalOf(() => requireValidity(verdict, at, options.minimumRemainingValidity ?? 3_600)),
  ]
  if (reasons.length > 0) return { ok: false, reasons }
  return {
    ok: true,
    signedBytes: quote.signedBytes,
    deviceId: verdict.deviceId,
    expiresAt: verdict.expiresAt,
    facts: describeVerdict(verdict),
  }
}

/** Refuses a quote whose collateral ends soon: its transaction could be mined after the end. */
function requireValidity({ expiresAt }: Verified, at: number, minimum: number): void {
  if (expiresAt - at >= minimum) return
  throw new AssentError(
    'RELAYER_COLLATERAL_NEAR_EXPIRY',
    `The collateral ends in ${expiresAt - at} seconds; at least ${minimum} are needed.`,
    { facts: { expiresAt, at, minimum } },
  )
}

/** The error of a check as a list, so that all errors can be reported at once. Other exceptions are thrown. */
function refusalOf(check: () => void): LastError[] {
  try {
    check()
    return []
  } catch (error) {
    if (isAssentError(error)) return [toLastError(error)]
    throw error
  }
}

/** The part of the verdict that is stored and returned: status, advisories, dates and ids. */
function describeVerdict(verdict: Verified): Record<string, unknown> {
  const { status, advisoryIds, tcbDate, tcbEvaluationNumbers, expiresAt, at } = verdict
  return {
    status,
    advisoryIds,
    tcbDate,
    tcbEvaluationNumbers,
    verifiedAt: at,
    expiresAt,
    fmspc: toHex(verdict.fmspc),
    deviceId: toHex(verdict.deviceId),
  }
}
