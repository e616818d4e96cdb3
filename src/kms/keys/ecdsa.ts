/** ECDSA over P-256 with SHA-256: the only signature scheme in dstack's certificates and certificate requests. */
import { createPublicKey, verify } from 'node:crypto'

import { equalBytes } from '../../lib/bytes.ts'
import { spkiHead } from './derive.ts'

/**
 * Verifies a signature.
 *
 * @param signature ECDSA-Sig-Value in DER (RFC 3279 §2.2.3)
 * @param spki SubjectPublicKeyInfo in DER, 91 bytes
 * @returns false also for keys of another type or encoding
 */
export function verifyEcdsa(message: Uint8Array, signature: Uint8Array, spki: Uint8Array): boolean {
  if (spki.length !== 91 || !equalBytes(spki.subarray(0, spkiHead.length), spkiHead)) return false
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    return verify('sha256', message, key, signature)
  } catch {
    // the point is not on the curve
    return false
  }
}
