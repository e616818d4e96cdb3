/** Whether a failed request was refused, could not be decided, or was never a proper request. */
import type { AssentError, ErrorCode } from '../../errors/index.ts'

export type RequestOutcome = 'ok' | 'denied' | 'outage' | 'invalid'

/** The request itself is wrong; nothing was decided about anyone. */
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

/** We could not find out; the same request may succeed later. */
const outagePattern =
  /^(CHAIN_|CONTRACT_|PCCS_|TEE_|UNEXPECTED$|KMS_OVERLOADED$|KMS_KEYS_|KMS_LOG_|KMS_WORKER_)/

export function outcomeOf(error: AssentError | undefined): RequestOutcome {
  if (error === undefined) return 'ok'
  if (invalidCodes.includes(error.code)) return 'invalid'
  return outagePattern.test(error.code) ? 'outage' : 'denied'
}
