/** Classifies errors: a denial, an outage or an invalid request. Logs, metrics and the release log depend on it. */
import type { AssentError, ErrorCode } from '../../errors/index.ts'

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

/** Something that the decision needs failed; the same request may succeed later. */
const outagePattern =
  /^(CHAIN_|CONTRACT_|PCCS_|TEE_|UNEXPECTED$|KMS_OVERLOADED$|KMS_KEYS_|KMS_LOG_|KMS_WORKER_)/

/** @example outcomeOf(new AssentError('CHAIN_STALE', '…')) // 'outage' */
export function outcomeOf(error: AssentError | undefined): RequestOutcome {
  if (error === undefined) return 'ok'
  if (invalidCodes.includes(error.code)) return 'invalid'
  return outagePattern.test(error.code) ? 'outage' : 'denied'
}
