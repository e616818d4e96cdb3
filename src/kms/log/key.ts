/**
 * The key that signs a node's release log.
 *
 * It follows from the root key and the node's name, so a log that is started over under the same name has
 * the same key, and everyone who saw the longer one notices. Whoever holds the root can sign for every node;
 * whoever holds the root needs no log to take keys.
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

/** What a node's quote says of the key of its log. */
export function logKeyReportData({ node, publicKey }: LogIdentity): Uint8Array {
  return concatBytes(sha256(keyMessage(node, publicKey)), new Uint8Array(32))
}

export interface LogKey {
  readonly identity: LogIdentity
  seal(head: LogHead): SealedHead
  sign(message: Uint8Array): Uint8Array
  /** For files that only this node may have written. */
  mac(bytes: Uint8Array): Uint8Array
}

const pkcs8Head = fromHex('302e020100300506032b657004220420', 'Ed25519 PKCS#8 head')
const spkiHead = fromHex('302a300506032b6570032100', 'Ed25519 SPKI head')

/** @param k256 the KMS's root key */
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
      // SHA-256 where the KMS's other signatures use Keccak, so that none can stand for another
      rootSignature: secp256k1.sign(keyMessage(node, publicKey), k256),
    },
    seal: (head) => ({ ...head, signature: signBytes(sealMessage(node, head)) }),
    sign: signBytes,
    mac: (bytes) => new Uint8Array(createHmac('sha256', macKey).update(bytes).digest()),
  }
}

export function isSealedBy(
  { node, publicKey }: Pick<LogIdentity, 'node' | 'publicKey'>,
  head: SealedHead,
) {
  return isSignedBy(publicKey, sealMessage(node, head), head.signature)
}

export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  const spki = Buffer.from(concatBytes(spkiHead, publicKey))
  try {
    return verify(null, message, { key: spki, format: 'der', type: 'spki' }, signature)
  } catch {
    return false
  }
}

/** Whether the root vouches for this log's key. */
export function isOfRoot({ node, publicKey, rootKey, rootSignature }: LogIdentity): boolean {
  try {
    return secp256k1.verify(rootSignature, keyMessage(node, publicKey), rootKey)
  } catch {
    return false
  }
}

function derive(k256: Uint8Array, purpose: string, node: string): Uint8Array {
  // no other derivation of the KMS uses this salt
  return hkdf(sha256, k256, utf8ToBytes('assent'), utf8ToBytes(`${purpose}\n${node}`), 32)
}
