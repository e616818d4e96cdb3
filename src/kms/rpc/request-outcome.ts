/** Classifies errors: a denial, an outage or an invalid request. Logs, metrics and the release log depend on it. */
import { type AssentError, type ErrorCode, isAssentError } from '../../errors/index.ts'

/** `denied`: the caller may not. `outage`: it could not be found out. `invalid`: the request itself is wrong. */
export type RequestOutcome = 'ok' | 'denied' | 'outage' | 'invalid'

/** The request itself is wrong, and nothing was decided. */
const invalidCodes: readonly ErrorCode[] = [
  'KMS_REQUEST_INVALID',
  'KMS_METHOD_UNKNOWN',
  'KMS_FEATURE_UNSUPPORTED',
  'KMS_API_VERSION_UNSUPPORTED',
  'KMS_NO_ATTESTATION',
  'KMS_CSR_INVALID',
  'KMS_EPOCH_INVALID',
  'INPUT_TOO_LARGE',
  'INPUT_INVALID',
  'HEX_INVALID',
  'LENGTH_WRONG',
]

/** The caller showed something that the rules or the chain do not allow; the same request fails again. */
const deniedPatterns: readonly RegExp[] = [
  /^(QUOTE|ATTESTATION|EVENT_LOG|APP_INFO|OS_IMAGE|VM_CONFIG|MR_CONFIG_ID)_/,
  /^IMAGE_(CLAIM_INVALID|NOT_PROVEN|UNKNOWN)$/,
  /^POLICY_.+_(REFUSED|UNTRUSTED|CLEAR)$/,
  /^POLICY_TCB_DATE_TOO_OLD$/,
  /^KMS_(BOOT|SELF)_DENIED$/,
  /^KMS_(QUOTE_REJECTED|REPORT_DATA_UNBOUND|EVIDENCE_INVALID|CERTIFICATE_INVALID|SIGNATURE_INVALID)$/,
  /^KMS_(CLIENT_UNTRUSTED|PEER_UNTRUSTED|CSR_REFUSED|CSR_UNSIGNED|GATEWAY_ANY|REFUSED)$/,
]

/**
 * Codes that are neither invalid nor a denial are outages: something that the decision needs failed, and the same request
 * may succeed later. So a new code is an outage until it is listed as a denial.
 *
 * @example outcomeOf(new AssentError('CHAIN_STALE', '…')) // 'outage'
 */
export function outcomeOf(error: AssentError | undefined): RequestOutcome {
  if (error === undefined) return 'ok'
  const { code } = error
  if (invalidCodes.includes(code)) return 'invalid'
  return deniedPatterns.some((pattern) => pattern.test(code)) ? 'denied' : 'outage'
}

/** Tells if an error of any kind says nothing about the caller. */
export function isOutage(error: unknown): boolean {
  return !isAssentError(error) || outcomeOf(error) === 'outage'
}
