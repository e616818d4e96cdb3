/** ECDSA over P-256 with SHA-256: the one kind of signature in dstack's certificates and certificate requests. */
import { createPublicKey, verify } from 'node:crypto'

import { equalBytes } from '../../lib/bytes.ts'
import { spkiHead } from './derive.ts'

/**
 * @param signature ECDSA-Sig-Value in DER
 * @param spki SubjectPublicKeyInfo, DER, 91 bytes; keys of other kinds and forms verify nothing
 */
export function verifyEcdsa(message: Uint8Array, signature: Uint8Array, spki: Uint8Array): boolean {
  if (spki.length !== 91 || !equalBytes(spki.subarray(0, spkiHead.length), spkiHead)) return false
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    return verify('sha256', message, key, signature)
  } catch {
    // a point that is not on the curve
    return false
  }
}
