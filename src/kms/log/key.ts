/**
 * The key that signs a node's release log.
 *
 * It is derived from the root key and the node's name. So a log that is started again under the same name has the same
 * key, and every witness of the longer log detects it. A holder of the root key could sign for every node, but such an
 * attacker can derive all app keys without any log.
 */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign,
  verify,
} from 'node:crypto'

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

import { concatBytes, fromHex, utf8ToBytes } from '../../lib/bytes.ts'
import { k256PublicKey } from '../keys/derive.ts'
import {
  keyMessage,
  type LogHead,
  type LogIdentity,
  type SealedHead,
  sealMessage,
} from './format.ts'

/** Report data that binds a node's quote to the key of its log: SHA-256 of `keyMessage`, padded with zeros. */
export function logKeyReportData({ node, publicKey }: LogIdentity): Uint8Array {
  return concatBytes(sha256(keyMessage(node, publicKey)), new Uint8Array(32))
}

/**
 * The Ed25519 key with which one node signs its log. It is derived from the root key and the node's name, so a node
 * that lost its disk has the same key again.
 */
export interface LogKey {
  /** Public part, for segment headers and answers. */
  readonly identity: LogIdentity
  /** Signs a head. */
  seal(head: LogHead): SealedHead
  /** Ed25519, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
  /** HMAC-SHA256 for files that only this node may write. */
  mac(bytes: Uint8Array): Uint8Array
}

const pkcs8Head = fromHex('302e020100300506032b657004220420', 'Ed25519 PKCS#8 head')
const spkiHead = fromHex('302a300506032b6570032100', 'Ed25519 SPKI head')

/**
 * Derives the key of a node's log.
 *
 * @param k256 secp256k1 root key of the KMS, 32 bytes
 * @param node permanent name of the node
 */
export function deriveLogKey(k256: Uint8Array, node: string): LogKey {
  const seed = derive(k256, 'release-log-key-v1', node)
  const macSecret = derive(k256, 'release-log-head-v1', node)
  const macKey = createSecretKey(macSecret)
  macSecret.fill(0)
  const der = concatBytes(pkcs8Head, seed)
  const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
  seed.fill(0)
  der.fill(0)
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const publicKey = new Uint8Array(spki.subarray(spkiHead.length))
  const signBytes = (message: Uint8Array) => new Uint8Array(sign(null, message, key))
  return {
    identity: {
      node,
      publicKey,
      rootKey: k256PublicKey(k256),
      // SHA-256, unlike the Keccak of other KMS signatures: no signature can be used for the other purpose
      rootSignature: secp256k1.sign(keyMessage(node, publicKey), k256),
    },
    seal: (head) => ({ ...head, signature: signBytes(sealMessage(node, head)) }),
    sign: signBytes,
    mac: (bytes) => new Uint8Array(createHmac('sha256', macKey).update(bytes).digest()),
  }
}

/** Tells if the log's key signed this head. */
export function isSealedBy(
  { node, publicKey }: Pick<LogIdentity, 'node' | 'publicKey'>,
  head: SealedHead,
) {
  return isSignedBy(publicKey, sealMessage(node, head), head.signature)
}

/** Tells if an Ed25519 key signed a message. */
export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  const spki = Buffer.from(concatBytes(spkiHead, publicKey))
  try {
    return verify(null, message, { key: spki, format: 'der', type: 'spki' }, signature)
  } catch {
    return false
  }
}

/** Tells if the root key signed this log's key. The caller must check that the root key is the expected one. */
export function isOfRoot({ node, publicKey, rootKey, rootSignature }: LogIdentity): boolean {
  try {
    return secp256k1.verify(rootSignature, keyMessage(node, publicKey), rootKey)
  } catch {
    return false
  }
}

function derive(k256: Uint8Array, purpose: string, node: string): Uint8Array {
  // no other derivation of the KMS uses this salt, so the keys are independent
  return hkdf(sha256, k256, utf8ToBytes('assent'), utf8ToBytes(`${purpose}\n${node}`), 32)
}
