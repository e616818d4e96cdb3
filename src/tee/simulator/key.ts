/** Keys and random bytes of a simulator, all derived from one seed, so that they are reproducible. */
import { createECDH } from 'node:crypto'

import { p256 } from '@noble/curves/nist.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

import { utf8ToBytes } from '../../lib/bytes.ts'

/** A P-256 key pair. */
export interface SigningKey {
  /** Scalar, 32 bytes. */
  readonly secret: Uint8Array
  /** x ‖ y, 64 bytes, as in quotes. */
  readonly publicKey: Uint8Array
}

/** Bytes derived from seed and label (HKDF). @param length bytes */
export function deriveBytes(seed: Uint8Array, label: string, length: number): Uint8Array {
  return hkdf(sha256, seed, utf8ToBytes('assent-simulator/v1'), utf8ToBytes(label), length)
}

/** A P-256 key derived from seed and label. */
export function deriveKey(seed: Uint8Array, label: string): SigningKey {
  const secret = p256.utils.randomSecretKey(deriveBytes(seed, `key/${label}`, 48))
  const point = createECDH('prime256v1')
  point.setPrivateKey(secret)
  return { secret, publicKey: new Uint8Array(point.getPublicKey()).slice(1) }
}

/**
 * ECDSA with SHA-256, r ‖ s, 64 bytes. The nonce of RFC 6979 makes it reproducible. s is not normalized, as in Intel's
 * signatures.
 */
export function sign(key: SigningKey, message: Uint8Array): Uint8Array {
  return p256.sign(sha256(message), key.secret, { prehash: false, lowS: false })
}

/** Converts r ‖ s to ECDSA-Sig-Value in DER. */
export function toDerSignature(signature: Uint8Array): Uint8Array {
  return p256.Signature.fromBytes(signature).toBytes('der')
}
