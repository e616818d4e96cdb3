import { expect, test } from 'vitest'

import { AssentError, type ErrorCode, errorCatalogue } from '../../src/errors/index.ts'
import { outcomeOf } from '../../src/kms/rpc/request-outcome.ts'

const codes = Object.keys(errorCatalogue) as ErrorCode[]
const outcome = (code: ErrorCode) => outcomeOf(new AssentError(code, 'x'))

test('the KMS reports an outage for every error that does not concern the caller', () => {
  const others =
    /^(CHAIN|CONSENSUS|PCCS|TEE|CONTRACT|KMS_KEYS|KMS_LOG|KMS_WORKER|SERVICE|FILE|CONFIG)_/
  const wrong = codes.filter((code) => others.test(code) && outcome(code) !== 'outage')

  expect(wrong).toEqual([])
  for (const code of [
    'UNEXPECTED',
    'KMS_OVERLOADED',
    'KMS_UNREACHABLE',
    'KMS_NOT_BOOTSTRAPPED',
    // a PCCS that serves old documents
    'POLICY_COLLATERAL_TOO_OLD',
    'POLICY_EVALUATION_NUMBER_TOO_LOW',
  ] as const) {
    expect(`${code} ${outcome(code)}`).toBe(`${code} outage`)
  }
})

test('the KMS reports a denial only for facts that the caller showed', () => {
  const denied = codes.filter((code) => outcome(code) === 'denied' && !code.startsWith('QUOTE_'))

  expect(denied.sort()).toEqual([
    'APP_INFO_INCOMPLETE',
    'ATTESTATION_MALFORMED',
    'ATTESTATION_UNSUPPORTED',
    'EVENT_LOG_CONTRADICTORY',
    'EVENT_LOG_MALFORMED',
    'EVENT_LOG_RTMR3_MISMATCH',
    'IMAGE_CLAIM_INVALID',
    'IMAGE_NOT_PROVEN',
    'IMAGE_UNKNOWN',
    'KMS_BOOT_DENIED',
    'KMS_CERTIFICATE_INVALID',
    'KMS_CLIENT_UNTRUSTED',
    'KMS_CSR_REFUSED',
    'KMS_CSR_UNSIGNED',
    'KMS_EVIDENCE_INVALID',
    'KMS_GATEWAY_ANY',
    'KMS_PEER_UNTRUSTED',
    'KMS_QUOTE_REJECTED',
    'KMS_REFUSED',
    'KMS_REPORT_DATA_UNBOUND',
    'KMS_SELF_DENIED',
    'KMS_SIGNATURE_INVALID',
    'MR_CONFIG_ID_MISMATCH',
    'MR_CONFIG_ID_UNSUPPORTED',
    'OS_IMAGE_MEASUREMENT_MALFORMED',
    'POLICY_ADVISORY_REFUSED',
    'POLICY_DEVICE_REFUSED',
    'POLICY_FMSPC_REFUSED',
    'POLICY_SEAM_SIGNER_REFUSED',
    'POLICY_SEPT_VE_DISABLE_CLEAR',
    'POLICY_SERVICE_TD_REFUSED',
    'POLICY_STATUS_REFUSED',
    'POLICY_TCB_DATE_TOO_OLD',
    'POLICY_TD_ATTRIBUTES_REFUSED',
    'POLICY_TD_UNTRUSTED',
    'POLICY_XFAM_REFUSED',
    'VM_CONFIG_MALFORMED',
  ])
})
