/**
 * dstack's key derivation, byte for byte: root keys in, the keys of one app out.
 *
 * A wrong byte here loses disks, so nothing in this file may change for an app that already has keys.
 */

import { createECDH } from 'node:crypto'
import { x25519 } from '@noble/curves/ed25519.js'

import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, requireLength, utf8ToBytes } from '../../lib/bytes.ts'
import { signK256 } from '../../lib/k256.ts'

/** The two secrets from which every app key follows: 32-byte scalars. */
export interface RootKeys {
  /** P-256, the root certificate authority. */
  readonly ca: Uint8Array
  /** secp256k1, signs what the KMS issued. */
  readonly k256: Uint8Array
}

export interface AppKeys {
  readonly diskCryptKey: Uint8Array
  /** X25519 private key, unclamped as dstack hands it out. */
  readonly envCryptKey: Uint8Array
  readonly k256Key: Uint8Array
  readonly k256Signature: Uint8Array
}

/** Text or bytes of a derivation context; parts are joined with nothing between them. */
export type ContextPart = Uint8Array | string

const hkdfSalt = utf8ToBytes('RATLS')
const appIdLength = 20
const pkcs8Head = fromHex(
  '308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420',
  'PKCS#8 head',
)
const pkcs8PublicKeyHead = fromHex('a144034200', 'PKCS#8 public key head')
/** What comes before the uncompressed point in every P-256 SubjectPublicKeyInfo. */
export const spkiHead = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'SPKI head')

/** Everything `GetAppKey` releases for one instance of one app. An app without instances has an empty `instanceId`. */
export function deriveAppKeys(root: RootKeys, appId: Uint8Array, instanceId: Uint8Array): AppKeys {
  requireLength(appId, 'app id', appIdLength)
  const k256Key = deriveKey(root.k256, [appId, 'app-key'])
  return {
    diskCryptKey: deriveDiskKey(root, appId, instanceId),
    envCryptKey: deriveEnvKey(root, appId),
    k256Key,
    k256Signature: signAppKey(root, appId, k256PublicKey(k256Key)),
  }
}

/** Of no epoch: an instance's disk opens with this one for as long as it exists. */
export function deriveDiskKey(
  root: RootKeys,
  appId: Uint8Array,
  instanceId: Uint8Array,
): Uint8Array {
  return deriveDhSecret(root.ca, [appId, instanceId, 'app-disk-crypt-key'])
}

/** The X25519 private key with which an app opens its encrypted environment. */
export function deriveEnvKey(root: RootKeys, appId: Uint8Array): Uint8Array {
  requireLength(appId, 'app id', appIdLength)
  return deriveDhSecret(root.ca, [appId, 'env-encrypt-key'])
}

/** What one epoch of an app has beside the keys that never change. */
export interface EpochKeySet {
  /** From 1, as the chain counts. */
  readonly epoch: number
  readonly envCryptKey: Uint8Array
  readonly k256Key: Uint8Array
  readonly k256Signature: Uint8Array
}

/**
 * Keys of one epoch: the first has dstack's, every later one has roots of its own, from which its keys
 * follow as dstack's do. No disk key is among them: a disk must open whatever epochs have come and gone.
 */
export function deriveEpochKeys(root: RootKeys, appId: Uint8Array, epoch: number): EpochKeySet {
  requireLength(appId, 'app id', appIdLength)
  const epochRoot = epochRoots(root, epoch)
  const k256Key = deriveKey(epochRoot.k256, [appId, 'app-key'])
  const publicKey = k256PublicKey(k256Key)
  return {
    epoch,
    envCryptKey: deriveEpochEnvKey(root, appId, epoch),
    k256Key,
    k256Signature: signK256(root.k256, epochKeyMessage(appId, epoch, publicKey)),
  }
}

/** The private key of the encrypted environment of one epoch. */
export function deriveEpochEnvKey(root: RootKeys, appId: Uint8Array, epoch: number): Uint8Array {
  return deriveEnvKey(epochRoots(root, epoch), appId)
}

/** What the root signs of an app's key: in the first epoch dstack's message, later one that names the epoch. */
export function epochKeyMessage(
  appId: Uint8Array,
  epoch: number,
  publicKey: Uint8Array,
): Uint8Array {
  if (epoch === firstEpoch) return appKeyMessage(appId, publicKey)
  return concatBytes(utf8ToBytes('assent-kms-issued-epoch:'), appId, uint32(epoch), publicKey)
}

/** dstack’s own: an app that never rotates has no other. */
export const firstEpoch = 1
const epochSalt = utf8ToBytes('ASSENT-EPOCH')

/** Another salt than dstack's, so that no app id, however chosen, makes two derivations meet. */
function epochRoots(root: RootKeys, epoch: number): RootKeys {
  if (!Number.isInteger(epoch) || epoch < firstEpoch || epoch > 0xffff_ffff) {
    throw new AssentError('KMS_EPOCH_INVALID', `${epoch} is no epoch.`, { facts: { epoch } })
  }
  if (epoch === firstEpoch) return root
  const derive = (ikm: Uint8Array, name: string) =>
    hkdf(sha256, ikm, epochSalt, joinParts([uint32(epoch), name]), 32)
  return { ca: derive(root.ca, 'ca'), k256: derive(root.k256, 'k256') }
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

/** The P-256 scalar of the certificate authority of one app. */
export function deriveAppCaKey(root: RootKeys, appId: Uint8Array): Uint8Array {
  requireLength(appId, 'app id', appIdLength)
  return deriveP256Key(root.ca, [appId, 'app-ca'])
}

/** Authenticates this node's memory of the chain; shorter than what any app's keys are derived from. */
export function deriveCheckpointKey(root: RootKeys): Uint8Array {
  return deriveKey(root.k256, ['assent/chain-memory'])
}

/** HKDF-SHA256 (RFC 5869) with dstack's salt. */
export function deriveKey(ikm: Uint8Array, parts: readonly ContextPart[], length = 32): Uint8Array {
  return hkdf(sha256, ikm, hkdfSalt, joinParts(parts), length)
}

/** @throws KMS_SCALAR_OUT_OF_RANGE (once in 2^32 derivations); dstack does not retry either. */
export function deriveP256Key(scalar: Uint8Array, parts: readonly ContextPart[]): Uint8Array {
  const derived = deriveKey(scalar, parts)
  if (!p256.utils.isValidSecretKey(derived)) {
    throw new AssentError('KMS_SCALAR_OUT_OF_RANGE', 'The derived P-256 scalar is out of range.')
  }
  return derived
}

/** SHA-256 of the derived key's PKCS#8 form, which includes the public key. */
export function deriveDhSecret(scalar: Uint8Array, parts: readonly ContextPart[]): Uint8Array {
  const derived = deriveP256Key(scalar, parts)
  const pkcs8 = encodePkcs8(derived)
  const secret = sha256(pkcs8)
  derived.fill(0)
  pkcs8.fill(0)
  return secret
}

/** The one PKCS#8 rendering (138 bytes, with public key) that dstack hashes and stores. */
export function encodePkcs8(scalar: Uint8Array): Uint8Array {
  requireLength(scalar, 'P-256 scalar', 32)
  return concatBytes(pkcs8Head, scalar, pkcs8PublicKeyHead, publicPoint('prime256v1', scalar))
}

/** SubjectPublicKeyInfo (91 bytes) of a P-256 scalar. */
export function encodeSpki(scalar: Uint8Array): Uint8Array {
  requireLength(scalar, 'P-256 scalar', 32)
  return concatBytes(spkiHead, publicPoint('prime256v1', scalar))
}

export function k256PublicKey(scalar: Uint8Array): Uint8Array {
  return publicPoint('secp256k1', scalar, 'compressed')
}

export function envPublicKey(envKey: Uint8Array): Uint8Array {
  return x25519.getPublicKey(envKey)
}

/** The root's word that this app key is its own. */
export function signAppKey(root: RootKeys, appId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return signK256(root.k256, appKeyMessage(appId, publicKey))
}

export function appKeyMessage(appId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes('dstack-kms-issued:'), appId, publicKey)
}

/** Binds an app's environment key to the root; with a time unless the legacy form is asked for. */
export function signEnvPublicKey(
  root: RootKeys,
  appId: Uint8Array,
  publicKey: Uint8Array,
  timestamp?: number,
): Uint8Array {
  return signK256(root.k256, envKeyMessage(appId, publicKey, timestamp))
}

/** The same of a later epoch, which the message names; always with a time. */
export function signEpochEnvPublicKey(
  root: RootKeys,
  { appId, epoch }: { readonly appId: Uint8Array; readonly epoch: number },
  publicKey: Uint8Array,
  timestamp: number,
): Uint8Array {
  const head = concatBytes(utf8ToBytes('assent-env-encrypt-pubkey-epoch:'), uint32(epoch))
  return signK256(root.k256, concatBytes(head, envKeyMessage(appId, publicKey, timestamp)))
}

export function envKeyMessage(
  appId: Uint8Array,
  publicKey: Uint8Array,
  timestamp?: number,
): Uint8Array {
  const head = utf8ToBytes('dstack-env-encrypt-pubkey:')
  if (timestamp === undefined) return concatBytes(head, appId, publicKey)
  const time = new Uint8Array(8)
  new DataView(time.buffer).setBigUint64(0, BigInt(timestamp))
  return concatBytes(head, appId, time, publicKey)
}

/**
 * The compressed key that signed.
 *
 * @throws KMS_SIGNATURE_INVALID
 */
export function recoverK256(signature: Uint8Array, message: Uint8Array): Uint8Array {
  requireLength(signature, 'signature', 65)
  const ordered = concatBytes(signature.subarray(64), signature.subarray(0, 64))
  try {
    // the mirrored signature would recover the same key: only one form of each is taken
    if (secp256k1.Signature.fromBytes(ordered, 'recovered').hasHighS()) {
      throw new RangeError('high s')
    }
    return secp256k1.recoverPublicKey(ordered, keccak_256(message), { prehash: false })
  } catch (cause) {
    throw new AssentError('KMS_SIGNATURE_INVALID', 'No key could have made this signature.', {
      cause,
    })
  }
}

/** OpenSSL's multiplication: in constant time, and ten times quicker than JavaScript's. */
function publicPoint(
  curve: 'prime256v1' | 'secp256k1',
  scalar: Uint8Array,
  form: 'compressed' | 'uncompressed' = 'uncompressed',
): Uint8Array {
  const pair = createECDH(curve)
  pair.setPrivateKey(scalar)
  return new Uint8Array(pair.getPublicKey(null, form))
}

function joinParts(parts: readonly ContextPart[]): Uint8Array {
  return concatBytes(...parts.map((part) => (typeof part === 'string' ? utf8ToBytes(part) : part)))
}
