/** Verifies that a key of dstack's guest API v1 belongs to an app of a known KMS. */
import { type GuestKeyName, guestKeyClaimV1 } from '../../tee/guest-keys.ts'
import { verifyAppKey } from '../client.ts'
import { recoverK256 } from './derive.ts'

/** A public key of an app, with the two signatures that lead to the KMS's root key. */
export interface GuestKeyChain extends GuestKeyName {
  /** 20 bytes: the app that the key must belong to. */
  readonly appId: Uint8Array
  /** 33 bytes compressed for secp256k1, 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array
  /** The app key's signature over the claim, and the root key's signature over the app key: 65 bytes each, low s. */
  readonly signatureChain: readonly [Uint8Array, Uint8Array]
}

/**
 * Verifies the signature chain of a key as `docs/guest-api-v1.md` of dstack's repository requires ("Verifying a chain").
 *
 * @param rootPublicKey root key of the KMS, 33 bytes compressed. Read it from the chain, never from the KMS itself.
 * @returns the app key, 33 bytes compressed
 * @throws KMS_KEY_CHAIN_BROKEN, KMS_SIGNATURE_INVALID
 * @example const appKey = verifyGuestKeyChain(chain, rootPublicKey)
 */
export function verifyGuestKeyChain(chain: GuestKeyChain, rootPublicKey: Uint8Array): Uint8Array {
  const claim = guestKeyClaimV1(chain, chain.publicKey)
  const appKey = recoverK256(chain.signatureChain[0], claim)
  verifyAppKey(chain.appId, appKey, chain.signatureChain[1], rootPublicKey)
  return appKey
}
