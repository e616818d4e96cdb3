/**
 * The keys that a dstack guest agent derives for its app (guest API v0 and v1), and the claims that the app key signs
 * about them.
 *
 * v0 derives from a path only, and the app chooses the text of the claim. v1 binds algorithm and domain into key and
 * claim. Source: `docs/guest-api-v1.md` of dstack's repository, and its `guest-agent` for v0.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

import { AssentError } from '../errors/index.ts'
import { concatBytes, toHex, utf8ToBytes } from '../lib/bytes.ts'

/** The types of keys that a guest agent derives. */
export type GuestKeyAlgorithm = 'secp256k1' | 'ed25519'

/** A derived key. `key` is a secret. */
export interface GuestKey {
  /** 32 bytes: the big-endian scalar of secp256k1, or the seed of Ed25519 (RFC 8032). */
  readonly key: Uint8Array
  /** 33 bytes compressed for secp256k1, 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array
}

/** The name of a key in guest API v1: domain and algorithm. */
export interface GuestKeyName {
  /** Any text. There is no hierarchy: `a/b` is not derived from `a`. */
  readonly domain: string
  readonly algorithm: GuestKeyAlgorithm
}

const keyTag = 'dstack-guest-v1-key'
const claimTag = 'dstack-guest-v1-key-claim'
const v0Salt = utf8ToBytes('RATLS')
const v1Salt = utf8ToBytes('dstack-guest-v1')

/**
 * A key of guest API v0. Both algorithms get the same 32 bytes, as in dstack.
 *
 * @param appKey the app's root key, 32 bytes
 */
export function deriveGuestKeyV0(
  appKey: Uint8Array,
  path: string,
  algorithm: GuestKeyAlgorithm,
): GuestKey {
  return toGuestKey(hkdf(sha256, appKey, v0Salt, utf8ToBytes(path), 32), algorithm)
}

/**
 * A key of guest API v1.
 *
 * @param appKey the app's root key, 32 bytes
 * @throws INPUT_INVALID if the derived scalar is out of range, which happens for about one name in 2^128
 * @example
 * deriveGuestKeyV1(appKey, { domain: 'storage-encryption', algorithm: 'secp256k1' }).publicKey
 */
export function deriveGuestKeyV1(
  appKey: Uint8Array,
  { domain, algorithm }: GuestKeyName,
): GuestKey {
  const info = prefixed(keyTag, algorithm, domain)
  return toGuestKey(hkdf(sha256, appKey, v1Salt, info, 32), algorithm)
}

/** The bytes that the app key signs about a key of guest API v0. The app chooses `purpose`. */
export function guestKeyClaimV0(purpose: string, publicKey: Uint8Array): Uint8Array {
  return utf8ToBytes(`${purpose}:${toHex(publicKey)}`)
}

/** The bytes that the app key signs about a key of guest API v1. No claim of v0 has this form. */
export function guestKeyClaimV1(
  { domain, algorithm }: GuestKeyName,
  publicKey: Uint8Array,
): Uint8Array {
  return prefixed(claimTag, algorithm, domain, publicKey)
}

/** Each part after its length (4 bytes, big-endian): two different lists never have the same encoding. */
function prefixed(...parts: (string | Uint8Array)[]): Uint8Array {
  return concatBytes(
    ...parts.flatMap((part) => {
      const bytes = typeof part === 'string' ? utf8ToBytes(part) : part
      const length = new Uint8Array(4)
      new DataView(length.buffer).setUint32(0, bytes.length)
      return [length, bytes]
    }),
  )
}

function toGuestKey(key: Uint8Array, algorithm: GuestKeyAlgorithm): GuestKey {
  if (algorithm === 'ed25519') return { key, publicKey: ed25519.getPublicKey(key) }
  if (!secp256k1.utils.isValidSecretKey(key)) {
    throw new AssentError('INPUT_INVALID', 'This name has no secp256k1 key; choose another.')
  }
  return { key, publicKey: secp256k1.getPublicKey(key, true) }
}
