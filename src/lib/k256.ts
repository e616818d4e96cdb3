/** Recoverable secp256k1 signatures in dstack's form. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

import { concatBytes } from './bytes.ts'

/**
 * Signs the Keccak-256 hash of a message: deterministic (RFC 6979), low s.
 *
 * @param key 32 bytes: a secp256k1 scalar
 * @returns 65 bytes: r ‖ s ‖ recovery id (0 or 1), in dstack's order
 */
export function signK256(key: Uint8Array, message: Uint8Array): Uint8Array {
  const options = { prehash: false, format: 'recovered' } as const
  const signature = secp256k1.sign(keccak_256(message), key, options)
  // noble puts the recovery id first, dstack puts it last
  return concatBytes(signature.subarray(1), signature.subarray(0, 1))
}
