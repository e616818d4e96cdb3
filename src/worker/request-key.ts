/**
 * The request key of an app and key epoch: inputs are encrypted to it.
 *
 * The root key of the KMS signs the app key of an epoch, and the app key signs the request key. So a requester needs only
 * the root key that the chain stores, and can get the statement from anyone.
 */
import { x25519 } from '@noble/curves/ed25519.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { z } from 'zod'

import { AssentError, isAssentError } from '../errors/index.ts'
import { type EpochKeySet, epochKeyMessage, recoverK256 } from '../kms/keys/derive.ts'
import { concatBytes, equalBytes, fromHex, requireLength, to0x, utf8ToBytes } from '../lib/bytes.ts'
import { signK256 } from '../lib/k256.ts'
import { addressSchema, bytes32Schema, hexSchema } from '../lib/schema.ts'

/** A request key with the statement that leads to the root key. */
export interface RequestKey {
  /** App id, 20 bytes. */
  readonly appId: Uint8Array
  /** Key epoch of the app, from 1. */
  readonly epoch: number
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Signature of the root key over the app key, 65 bytes. */
  readonly appKeySignature: Uint8Array
  /** Signature of the app key over the request key, 65 bytes. */
  readonly signature: Uint8Array
}

const salt = utf8ToBytes('ASSENT-REQUEST-KEY')

/**
 * The X25519 private key to which inputs of an epoch are encrypted. All instances of the app have it.
 *
 * @param k256Key the app key of the epoch, 32 bytes
 */
export function deriveRequestKey(k256Key: Uint8Array): Uint8Array {
  requireLength(k256Key, 'app key', 32)
  return hkdf(sha256, k256Key, salt, utf8ToBytes('x25519'), 32)
}

/** The request key of an epoch with its statement, as an instance publishes it. @param appId 20 bytes */
export function stateRequestKey(appId: Uint8Array, keys: EpochKeySet): RequestKey {
  const secret = deriveRequestKey(keys.k256Key)
  const publicKey = x25519.getPublicKey(secret)
  secret.fill(0)
  const signature = signK256(keys.k256Key, requestKeyMessage(appId, keys.epoch, publicKey))
  return { appId, epoch: keys.epoch, publicKey, appKeySignature: keys.k256Signature, signature }
}

/**
 * Verifies that a request key is of this app and epoch and leads to the root key.
 *
 * @param expected the app id (20 bytes), the newest key epoch as the chain counts it, and the root key that the chain
 *   stores (33 bytes, compressed)
 * @throws REQUEST_KEY_UNTRUSTED
 */
export function verifyRequestKey(
  key: RequestKey,
  expected: { readonly appId: Uint8Array; readonly epoch: number; readonly root: Uint8Array },
): void {
  const { appId, epoch, publicKey, appKeySignature, signature } = key
  const isMeant = equalBytes(appId, expected.appId) && epoch === expected.epoch
  if (isMeant && leadsToRoot()) return
  throw new AssentError(
    'REQUEST_KEY_UNTRUSTED',
    isMeant
      ? 'The request key is not signed under the root key that is recorded on-chain.'
      : 'The request key is of another app or key epoch.',
    { facts: { app: to0x(appId), epoch, expected: { epoch: expected.epoch } } },
  )

  function leadsToRoot(): boolean {
    try {
      const appKey = recoverK256(signature, requestKeyMessage(appId, epoch, publicKey))
      const root = recoverK256(appKeySignature, epochKeyMessage(appId, epoch, appKey))
      return equalBytes(root, expected.root)
    } catch (error) {
      if (isAssentError(error, 'KMS_SIGNATURE_INVALID')) return false
      throw error
    }
  }
}

function requestKeyMessage(appId: Uint8Array, epoch: number, publicKey: Uint8Array): Uint8Array {
  requireLength(appId, 'app id', 20)
  requireLength(publicKey, 'request key', 32)
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, epoch)
  return concatBytes(utf8ToBytes('assent-request-key:'), appId, number, publicKey)
}

/** The JSON form of a request key, which a worker publishes. */
export const requestKeySchema = z
  .strictObject({
    app: addressSchema,
    epoch: z.int().min(1).max(0xffff_ffff),
    publicKey: bytes32Schema,
    appKeySignature: hexSchema(65),
    signature: hexSchema(65),
  })
  .transform(
    ({ app, epoch, ...key }): RequestKey => ({
      appId: fromHex(app, 'app', 20),
      epoch,
      publicKey: fromHex(key.publicKey, 'request key', 32),
      appKeySignature: fromHex(key.appKeySignature, 'signature', 65),
      signature: fromHex(key.signature, 'signature', 65),
    }),
  )

/** Writes a request key as JSON, see {@link requestKeySchema}. */
export function requestKeyToJson(key: RequestKey): z.input<typeof requestKeySchema> {
  return {
    app: to0x(key.appId),
    epoch: key.epoch,
    publicKey: to0x(key.publicKey),
    appKeySignature: to0x(key.appKeySignature),
    signature: to0x(key.signature),
  }
}
