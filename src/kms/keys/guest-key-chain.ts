/** Follows a key of guest API v1 back to the KMS root that issued the app's key. */
import { type GuestKeyName, guestKeyClaimV1 } from '../../tee/guest-keys.ts'
import { verifyAppKey } from '../client.ts'
import { recoverK256 } from './derive.ts'

/** A key that somebody shows, with the proof of where it came from. */
export interface GuestKeyChain extends GuestKeyName {
  /** 20 bytes: the app that the key must belong to. */
  readonly appId: Uint8Array
  /** 33 bytes compressed for secp256k1, 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array
  /** The app key over the claim, the root over the app key; 65 bytes each, low s. */
  readonly signatureChain: readonly [Uint8Array, Uint8Array]
}

/**
 * Checks a key's chain as dstack's `docs/guest-api-v1.md` says ("Verifying a chain").
 *
 * The root's public key must come from elsewhere: from the chain, never from the KMS that is being checked.
 *
 * @returns the app's root key, compressed
 * @throws KMS_KEY_CHAIN_BROKEN, KMS_SIGNATURE_INVALID
 */
export function verifyGuestKeyChain(chain: GuestKeyChain, rootPublicKey: Uint8Array): Uint8Array {
  const claim = guestKeyClaimV1(chain, chain.publicKey)
  const appKey = recoverK256(chain.signatureChain[0], claim)
  verifyAppKey(chain.appId, appKey, chain.signatureChain[1], rootPublicKey)
  return appKey
}
