/**
 * dstack's key derivation, byte for byte: from the root keys to the keys of one app.
 *
 * A changed byte here makes existing disks unreadable. So no derivation may change for an app that already has keys.
 */

import { createECDH } from 'node:crypto'
import { x25519 } from '@noble/curves/ed25519.js'

import { p256 } from '@noble/curves/nist.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

import { instanceSignerMessage } from '../../chain/registries/instance-statements.ts'
import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, requireLength, utf8ToBytes } from '../../lib/bytes.ts'
import { k256Address, recoverK256Digest, signK256, signK256Digest } from '../../lib/k256.ts'

/** The two root keys from which all app keys are derived: scalars of 32 bytes. */
export interface RootKeys {
  /** P-256: the key of the root certificate authority. */
  readonly ca: Uint8Array
  /** secp256k1: signs app keys and environment keys. */
  readonly k256: Uint8Array
}

/** The keys of one instance of an app, as `GetAppKey` returns them. */
export interface AppKeys {
  /** 32 bytes; encrypts the disk of this instance. */
  readonly diskCryptKey: Uint8Array
  /** X25519 private key, 32 bytes, not clamped, as dstack sends it. */
  readonly envCryptKey: Uint8Array
  /** secp256k1 scalar, 32 bytes: the app key. */
  readonly k256Key: Uint8Array
  /** r ‖ s ‖ recovery id, 65 bytes: the root key's signature over the app key. */
  readonly k256Signature: Uint8Array
}

/** Text or bytes of a derivation context. The parts are concatenated without a separator, as in dstack. */
export type ContextPart = Uint8Array | string

const hkdfSalt = utf8ToBytes('RATLS')
const appIdLength = 20
const pkcs8Head = fromHex(
  '308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420',
  'PKCS#8 head',
)
const pkcs8PublicKeyHead = fromHex('a144034200', 'PKCS#8 public key head')
/** The bytes before the uncompressed point in every P-256 SubjectPublicKeyInfo (RFC 5480 §2). */
export const spkiHead = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'SPKI head')

/**
 * All keys of one instance of an app, in the first epoch.
 *
 * @param appId 20 bytes
 * @param instanceId 20 bytes, or empty for an app with `no_instance_id`
 * @throws LENGTH_WRONG
 * @example
 * const { diskCryptKey, k256Key } = deriveAppKeys(root, appId, instanceId)
 */
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

/** The disk key of an instance. It has no epoch and never changes, so a disk can be opened as long as it exists. */
export function deriveDiskKey(
  root: RootKeys,
  appId: Uint8Array,
  instanceId: Uint8Array,
): Uint8Array {
  return deriveDhSecret(root.ca, [appId, instanceId, 'app-disk-crypt-key'])
}

/** The X25519 private key that decrypts an app's environment variables. */
export function deriveEnvKey(root: RootKeys, appId: Uint8Array): Uint8Array {
  requireLength(appId, 'app id', appIdLength)
  return deriveDhSecret(root.ca, [appId, 'env-encrypt-key'])
}

/** The keys of an app that change with each key epoch. Lengths as in `AppKeys`. */
export interface EpochKeySet {
  /** As the app contract counts, from 1. */
  readonly epoch: number
  /** X25519 private key, 32 bytes. */
  readonly envCryptKey: Uint8Array
  /** secp256k1 private key, 32 bytes. */
  readonly k256Key: Uint8Array
  /** Signature of the root key, 65 bytes. */
  readonly k256Signature: Uint8Array
}

/**
 * The keys of one epoch. The first epoch has dstack's keys. Every later epoch has its own root keys, derived from the
 * KMS's, and its app keys are derived from these as dstack does. Disk keys do not depend on the epoch.
 *
 * @throws LENGTH_WRONG, KMS_EPOCH_INVALID
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

/** The environment key of one epoch (X25519 private key). @throws LENGTH_WRONG, KMS_EPOCH_INVALID */
export function deriveEpochEnvKey(root: RootKeys, appId: Uint8Array, epoch: number): Uint8Array {
  return deriveEnvKey(epochRoots(root, epoch), appId)
}

/** The message that the root key signs for an app key: dstack's in the first epoch, later one that names the epoch. */
export function epochKeyMessage(
  appId: Uint8Array,
  epoch: number,
  publicKey: Uint8Array,
): Uint8Array {
  if (epoch === firstEpoch) return appKeyMessage(appId, publicKey)
  return concatBytes(utf8ToBytes('assent-kms-issued-epoch:'), appId, uint32(epoch), publicKey)
}

/** The epoch with dstack's own keys. An app that never rotates its keys has no other. */
export const firstEpoch = 1
const epochSalt = utf8ToBytes('ASSENT-EPOCH')

/** A salt different from dstack's: no choice of an app id can make the two derivations collide. */
function epochRoots(root: RootKeys, epoch: number): RootKeys {
  if (!Number.isInteger(epoch) || epoch < firstEpoch || epoch > 0xffff_ffff) {
    throw new AssentError('KMS_EPOCH_INVALID', `${epoch} is not a key epoch.`, { facts: { epoch } })
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

/**
 * The secp256k1 key that signs statements about instances of an app in one key epoch. It never leaves the KMS, and no app
 * can derive it: an app gets a sibling of it (`app-key`), not its parent.
 *
 * @throws LENGTH_WRONG, KMS_EPOCH_INVALID
 */
export function deriveInstanceSigner(root: RootKeys, appId: Uint8Array, epoch: number): Uint8Array {
  requireLength(appId, 'app id', appIdLength)
  return deriveKey(epochRoots(root, epoch).k256, [appId, 'assent-instance-signer'])
}

/**
 * Signs a statement about an instance's key, and its signer with the root key.
 *
 * @param digest `instanceStatementDigest`, 32 bytes
 * @returns two signatures of 65 bytes: by the instance signer, and by the root key over it
 */
export function signInstanceStatement(
  root: RootKeys,
  { appId, epoch }: { readonly appId: Uint8Array; readonly epoch: number },
  digest: Uint8Array,
): { readonly statement: Uint8Array; readonly link: Uint8Array } {
  const signer = deriveInstanceSigner(root, appId, epoch)
  const address = k256Address(k256PublicKey(signer))
  const statement = signK256Digest(signer, digest)
  signer.fill(0)
  return { statement, link: signK256(root.k256, instanceSignerMessage(appId, epoch, address)) }
}

/** The P-256 scalar of the CA of one app, under which `SignCert` issues. The caller overwrites it after use. */
export function deriveAppCaKey(root: RootKeys, appId: Uint8Array): Uint8Array {
  requireLength(appId, 'app id', appIdLength)
  return deriveP256Key(root.ca, [appId, 'app-ca'])
}

/**
 * Authenticates the trusted checkpoint on this node's disk. The context is shorter than every app context, which starts
 * with a 20-byte id, so the key differs from all app keys.
 */
export function deriveCheckpointKey(root: RootKeys): Uint8Array {
  return deriveKey(root.k256, ['assent/chain-memory'])
}

/** HKDF-SHA256 (RFC 5869) with dstack's salt `RATLS`. @param length bytes */
export function deriveKey(ikm: Uint8Array, parts: readonly ContextPart[], length = 32): Uint8Array {
  return hkdf(sha256, ikm, hkdfSalt, joinParts(parts), length)
}

/** @throws KMS_SCALAR_OUT_OF_RANGE, about once in 2^32 derivations. dstack fails in the same case. */
export function deriveP256Key(scalar: Uint8Array, parts: readonly ContextPart[]): Uint8Array {
  const derived = deriveKey(scalar, parts)
  if (!p256.utils.isValidSecretKey(derived)) {
    throw new AssentError('KMS_SCALAR_OUT_OF_RANGE', 'The derived P-256 scalar is out of range.')
  }
  return derived
}

/** dstack's secret for a symmetric or X25519 key: SHA-256 of the derived P-256 key in PKCS#8, with its public key. */
export function deriveDhSecret(scalar: Uint8Array, parts: readonly ContextPart[]): Uint8Array {
  const derived = deriveP256Key(scalar, parts)
  const pkcs8 = encodePkcs8(derived)
  const secret = sha256(pkcs8)
  derived.fill(0)
  pkcs8.fill(0)
  return secret
}

/** PKCS#8 of a P-256 scalar in the one form that dstack hashes and stores: 138 bytes, with the public key. */
export function encodePkcs8(scalar: Uint8Array): Uint8Array {
  requireLength(scalar, 'P-256 scalar', 32)
  return concatBytes(pkcs8Head, scalar, pkcs8PublicKeyHead, publicPoint('prime256v1', scalar))
}

/** SubjectPublicKeyInfo (91 bytes) of a P-256 scalar. */
export function encodeSpki(scalar: Uint8Array): Uint8Array {
  requireLength(scalar, 'P-256 scalar', 32)
  return concatBytes(spkiHead, publicPoint('prime256v1', scalar))
}

/** The compressed secp256k1 public key, 33 bytes. */
export function k256PublicKey(scalar: Uint8Array): Uint8Array {
  return publicPoint('secp256k1', scalar, 'compressed')
}

/** The X25519 public key of an environment key, 32 bytes. */
export function envPublicKey(envKey: Uint8Array): Uint8Array {
  return x25519.getPublicKey(envKey)
}

/** Signs an app's public key with the root key, in dstack's form (65 bytes). */
export function signAppKey(root: RootKeys, appId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return signK256(root.k256, appKeyMessage(appId, publicKey))
}

/** dstack's message for an app key, which Keccak-256 hashes before it is signed. */
export function appKeyMessage(appId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return concatBytes(utf8ToBytes('dstack-kms-issued:'), appId, publicKey)
}

/**
 * Signs an app's environment key with the root key, in dstack's form.
 *
 * @param timestamp Unix seconds; undefined for dstack's legacy form without a time
 */
export function signEnvPublicKey(
  root: RootKeys,
  appId: Uint8Array,
  publicKey: Uint8Array,
  timestamp?: number,
): Uint8Array {
  return signK256(root.k256, envKeyMessage(appId, publicKey, timestamp))
}

/** Signs the environment key of a stated epoch; the message names the epoch and always has a time. */
export function signEpochEnvPublicKey(
  root: RootKeys,
  { appId, epoch }: { readonly appId: Uint8Array; readonly epoch: number },
  publicKey: Uint8Array,
  timestamp: number,
): Uint8Array {
  return signK256(root.k256, epochEnvKeyMessage({ appId, epoch }, publicKey, timestamp))
}

/** The message for an environment key of a stated epoch. */
export function epochEnvKeyMessage(
  { appId, epoch }: { readonly appId: Uint8Array; readonly epoch: number },
  publicKey: Uint8Array,
  timestamp: number,
): Uint8Array {
  const head = concatBytes(utf8ToBytes('assent-env-encrypt-pubkey-epoch:'), uint32(epoch))
  return concatBytes(head, envKeyMessage(appId, publicKey, timestamp))
}

/** dstack's message for an environment key; the time is 8 bytes, big-endian. */
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
 * Recovers the public key that made a signature over the Keccak-256 hash of a message.
 *
 * @param signature r ‖ s ‖ recovery id, 65 bytes, low s
 * @returns compressed secp256k1 key, 33 bytes
 * @throws KMS_SIGNATURE_INVALID, LENGTH_WRONG
 */
export function recoverK256(signature: Uint8Array, message: Uint8Array): Uint8Array {
  return recoverK256Digest(signature, keccak_256(message))
}

/** OpenSSL's scalar multiplication: constant time, and ten times faster than one in JavaScript. */
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
