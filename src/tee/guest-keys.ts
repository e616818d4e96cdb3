/**
 * The keys that a dstack guest agent derives for its app, in guest API v0 and v1, and the claims that the
 * app's root key signs about them.
 *
 * v0 derives from a path alone and lets the app choose the text of the claim; v1 binds algorithm and domain
 * into key and claim. Source: dstack `docs/guest-api-v1.md`, and `guest-agent` for v0.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

import { AssentError } from '../errors/index.ts'
import { concatBytes, toHex, utf8ToBytes } from '../lib/bytes.ts'

/** The two kinds of key that a guest agent derives. */
export type GuestKeyAlgorithm = 'secp256k1' | 'ed25519'

/** A derived key. `key` is a secret. */
export interface GuestKey {
  /** 32 bytes: the big-endian scalar of secp256k1, or the seed of Ed25519 (RFC 8032). */
  readonly key: Uint8Array
  /** 33 bytes compressed for secp256k1, 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array
}

/** What names a key of guest API v1. */
export interface GuestKeyName {
  /** Any text; `a/b` is not a child of `a`. */
  readonly domain: string
  readonly algorithm: GuestKeyAlgorithm
}

const keyTag = 'dstack-guest-v1-key'
const claimTag = 'dstack-guest-v1-key-claim'
const v0Salt = utf8ToBytes('RATLS')
const v1Salt = utf8ToBytes('dstack-guest-v1')

/**
 * A key of guest API v0. Both algorithms get the same 32 bytes, as dstack does it.
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
 * @throws INPUT_INVALID for the one name in 2^128 whose scalar is out of range
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

/** The bytes that the app's root key signs about a key of guest API v0. `purpose` is chosen by the app. */
export function guestKeyClaimV0(purpose: string, publicKey: Uint8Array): Uint8Array {
  return utf8ToBytes(`${purpose}:${toHex(publicKey)}`)
}

/** The bytes that the app's root key signs about a key of guest API v1. No v0 claim has this form. */
export function guestKeyClaimV1(
  { domain, algorithm }: GuestKeyName,
  publicKey: Uint8Array,
): Uint8Array {
  return prefixed(claimTag, algorithm, domain, publicKey)
}

/** Each part behind its length as four big-endian bytes: no two lists of parts have the same encoding. */
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
