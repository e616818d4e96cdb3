/** The way from a platform's PCK to the key that signs its quotes. The same for all quotes of one platform. */
import { createHash } from 'node:crypto'

import { equalBytes } from '../lib/bytes.ts'
import { P256Key } from './certificates/p256.ts'
import type { Quote } from './parse.ts'
import { Rejection } from './verdict.ts'

/** Intel QVL 4.1.2.5.13 and 4.1.2.5.14: the PCK vouches for the QE, the QE for the attestation key. */
export function verifyQe(
  { qeReport, qeReportSignature, attestationKey, qeAuthData }: Quote,
  pck: P256Key,
): P256Key {
  if (!pck.verifies(qeReport.bytes, qeReportSignature)) {
    throw new Rejection(
      'QUOTE_QE_REPORT_SIGNATURE_INVALID',
      'The QE report is not signed by the PCK.',
    )
  }
  const binding = createHash('sha256').update(attestationKey).update(qeAuthData).digest()
  // only the first half binds; Intel's library ignores the rest
  if (!equalBytes(binding, qeReport.reportData.subarray(0, 32))) {
    throw new Rejection(
      'QUOTE_QE_REPORT_DATA_MISMATCH',
      'The QE report does not bind the attestation key.',
    )
  }
  // a copy, so that a remembered key does not keep the quote
  return new P256Key(attestationKey.slice())
}
