/** From the PCK certificate to the attestation key. The result is the same for all quotes of one platform. */
import { createHash } from 'node:crypto'

import { equalBytes } from '../lib/bytes.ts'
import { P256Key } from './certificates/p256.ts'
import type { Quote } from './parse.ts'
import { Rejection } from './verdict.ts'

/**
 * Checks that the PCK key signed the QE report, and that the QE report contains the hash of the attestation key (Intel
 * QVL 4.1.2.5.13 and 4.1.2.5.14).
 *
 * @returns the attestation key
 * @throws Rejection
 */
export function verifyQe(
  { qeReport, qeReportSignature, attestationKey, qeAuthData }: Quote,
  pck: P256Key,
): P256Key {
  if (!pck.verifies(qeReport.bytes, qeReportSignature)) {
    throw new Rejection(
      'QUOTE_QE_REPORT_SIGNATURE_INVALID',
      'The QE report is not signed by the PCK key.',
    )
  }
  const binding = createHash('sha256').update(attestationKey).update(qeAuthData).digest()
  // the hash is in the first half of the report data; Intel's library ignores the second half
  if (!equalBytes(binding, qeReport.reportData.subarray(0, 32))) {
    throw new Rejection(
      'QUOTE_QE_REPORT_DATA_MISMATCH',
      'The QE report does not bind the attestation key.',
    )
  }
  // a copy, because a view would keep the whole quote in memory as long as a cache has the key
  return new P256Key(attestationKey.slice())
}
