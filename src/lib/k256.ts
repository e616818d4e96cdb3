/** Recoverable secp256k1 signatures in dstack's form. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

import { AssentError } from '../errors/index.ts'
import { concatBytes, requireLength } from './bytes.ts'

/**
 * Signs the Keccak-256 hash of a message: deterministic (RFC 6979), low s.
 *
 * @param key 32 bytes: a secp256k1 scalar
 * @returns 65 bytes: r ‖ s ‖ recovery id (0 or 1), in dstack's order
 */
export function signK256(key: Uint8Array, message: Uint8Array): Uint8Array {
  return signK256Digest(key, keccak_256(message))
}

/**
 * Signs a digest: deterministic (RFC 6979), low s.
 *
 * @param key 32 bytes: a secp256k1 scalar
 * @param digest 32 bytes
 * @returns 65 bytes: r ‖ s ‖ recovery id (0 or 1)
 */
export function signK256Digest(key: Uint8Array, digest: Uint8Array): Uint8Array {
  requireLength(digest, 'digest', 32)
  const options = { prehash: false, format: 'recovered' } as const
  const signature = secp256k1.sign(digest, key, options)
  // noble puts the recovery id first, dstack puts it last
  return concatBytes(signature.subarray(1), signature.subarray(0, 1))
}

/**
 * The Ethereum address of a secp256k1 public key, 20 bytes.
 *
 * @param publicKey 33 bytes compressed, or 65 bytes
 */
export function k256Address(publicKey: Uint8Array): Uint8Array {
  const point = secp256k1.Point.fromBytes(publicKey).toBytes(false)
  return keccak_256(point.subarray(1)).slice(12)
}

/** The second coordinate of a compressed secp256k1 public key of 33 bytes. */
export function k256Coordinate(publicKey: Uint8Array): bigint {
  return secp256k1.Point.fromBytes(publicKey).toAffine().y
}

/**
 * The public key that made a signature over a digest, 33 bytes compressed.
 *
 * @param signature r ‖ s ‖ recovery id (0 or 1), 65 bytes, with low s
 * @throws KMS_SIGNATURE_INVALID, LENGTH_WRONG
 */
export function recoverK256Digest(signature: Uint8Array, digest: Uint8Array): Uint8Array {
  requireLength(signature, 'signature', 65)
  const ordered = concatBytes(signature.subarray(64), signature.subarray(0, 64))
  try {
    // (r, n − s) would recover the same key: accepting only low s leaves one valid form per signature
    if (secp256k1.Signature.fromBytes(ordered, 'recovered').hasHighS()) {
      throw new RangeError('high s')
    }
    return secp256k1.recoverPublicKey(ordered, digest, { prehash: false })
  } catch (cause) {
    throw new AssentError('KMS_SIGNATURE_INVALID', 'No key could have made this signature.', {
      cause,
    })
  }
}
