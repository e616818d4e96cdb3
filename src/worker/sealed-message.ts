/**
 * Inputs and results of requests: public, or encrypted with X25519 (RFC 7748), HKDF-SHA256 (RFC 5869) and AES-256-GCM.
 *
 * The key depends on chain, contract and requester (input) or request (result). So a copied input opens in no request of
 * another account, and nothing that was sealed for another purpose opens here.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'

import { x25519 } from '@noble/curves/ed25519.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

import type { RequestsContract } from '../chain/registries/requests.ts'
import { AssentError } from '../errors/index.ts'
import { concatBytes, fromHex, type Hex, requireLength, utf8ToBytes } from '../lib/bytes.ts'

/** First byte of a message. */
const forms = { public: 0, sealed: 1 } as const
const keyLength = 32
const epochLength = 4
const tagLength = 16
/** The key is used once, because the sender's half is new for each message (NIST SP 800-38D §8.2.1 needs no more). */
const iv = new Uint8Array(12)

/** What an input is for. */
export interface InputContext extends RequestsContract {
  readonly app: Hex
  /** The account that sends the request. */
  readonly requester: Hex
}

/** What a result is for. */
export interface ResultContext extends RequestsContract {
  readonly id: Hex
}

/** An input as the app gets it. */
export interface OpenedInput {
  readonly body: Uint8Array
  /** X25519 key for the result, 32 bytes; undefined: the input is public, and so is the result. */
  readonly replyKey: Uint8Array | undefined
}

/** A public input or result: anyone can read it. */
export function publicMessage(body: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(forms.public), body)
}

/**
 * Seals an input to the request key of an app.
 *
 * @param to verified request key: epoch, and X25519 key of 32 bytes
 * @param replyKey X25519 public key to which the result is sealed, 32 bytes
 * @returns form (1) ‖ key epoch (4) ‖ ephemeral key (32) ‖ ciphertext ‖ tag (16)
 * @throws LENGTH_WRONG, REQUEST_KEY_UNTRUSTED for a key of small order
 * @example
 * const reply = x25519.utils.randomSecretKey()
 * const input = sealInput(key, context, body, x25519.getPublicKey(reply))
 */
export function sealInput(
  to: { readonly epoch: number; readonly publicKey: Uint8Array },
  context: InputContext,
  body: Uint8Array,
  replyKey: Uint8Array,
): Uint8Array {
  requireLength(replyKey, 'reply key', keyLength)
  const epoch = uint32(to.epoch)
  const plaintext = concatBytes(replyKey, body)
  return concatBytes(
    Uint8Array.of(forms.sealed),
    epoch,
    seal(to.publicKey, concatBytes(inputInfo(context), epoch), plaintext),
  )
}

/** The key epoch of a sealed input; undefined: it is public. @throws REQUEST_INPUT_UNREADABLE */
export function epochOfInput(input: Uint8Array): number | undefined {
  if (input[0] === forms.public) return undefined
  if (input[0] !== forms.sealed || input.length < 1 + epochLength) throw unreadable()
  return new DataView(input.buffer, input.byteOffset + 1, epochLength).getUint32(0)
}

/**
 * Opens an input.
 *
 * @param requestKey X25519 private key of the input's epoch, 32 bytes; not needed for a public input
 * @throws REQUEST_INPUT_UNREADABLE
 */
export function openInput(
  requestKey: Uint8Array | undefined,
  context: InputContext,
  input: Uint8Array,
): OpenedInput {
  if (epochOfInput(input) === undefined) return { body: input.slice(1), replyKey: undefined }
  if (requestKey === undefined) throw unreadable()
  const head = 1 + epochLength
  const info = concatBytes(inputInfo(context), input.subarray(1, head))
  const plaintext = open(requestKey, info, input.subarray(head))
  if (plaintext.length < keyLength) throw unreadable()
  return { replyKey: plaintext.slice(0, keyLength), body: plaintext.slice(keyLength) }
}

/**
 * Seals a result to the requester; without a reply key it is public.
 *
 * @returns form (1) ‖ ephemeral key (32) ‖ ciphertext ‖ tag (16), or form (0) ‖ body
 * @throws REQUEST_KEY_UNTRUSTED for a key of small order
 */
export function sealResult(
  replyKey: Uint8Array | undefined,
  context: ResultContext,
  body: Uint8Array,
): Uint8Array {
  if (replyKey === undefined) return publicMessage(body)
  return concatBytes(Uint8Array.of(forms.sealed), seal(replyKey, resultInfo(context), body))
}

/**
 * Opens a result.
 *
 * @param replySecret X25519 private key of the reply key; undefined for a public result
 * @throws REQUEST_INPUT_UNREADABLE
 */
export function openResult(
  replySecret: Uint8Array | undefined,
  context: ResultContext,
  result: Uint8Array,
): Uint8Array {
  if (result[0] === forms.public) return result.slice(1)
  if (result[0] !== forms.sealed || replySecret === undefined) throw unreadable()
  return open(replySecret, resultInfo(context), result.subarray(1))
}

function inputInfo({ chainId, requests, app, requester }: InputContext): Uint8Array {
  return concatBytes(
    utf8ToBytes('assent-request-input-v1'),
    uint256(chainId),
    fromHex(requests, 'requests', 20),
    fromHex(app, 'app', 20),
    fromHex(requester, 'requester', 20),
  )
}

function resultInfo({ chainId, requests, id }: ResultContext): Uint8Array {
  return concatBytes(
    utf8ToBytes('assent-request-output-v1'),
    uint256(chainId),
    fromHex(requests, 'requests', 20),
    fromHex(id, 'request', 32),
  )
}

function seal(to: Uint8Array, info: Uint8Array, plaintext: Uint8Array): Uint8Array {
  requireLength(to, 'public key', keyLength)
  const secret = x25519.utils.randomSecretKey()
  const ephemeral = x25519.getPublicKey(secret)
  const key = messageKey(secret, to, concatBytes(info, ephemeral, to))
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag())
  secret.fill(0)
  key.fill(0)
  return concatBytes(ephemeral, ciphertext)
}

function open(secret: Uint8Array, info: Uint8Array, sealed: Uint8Array): Uint8Array {
  requireLength(secret, 'private key', keyLength)
  if (sealed.length < keyLength + tagLength) throw unreadable()
  const ephemeral = sealed.subarray(0, keyLength)
  try {
    const to = x25519.getPublicKey(secret)
    const key = messageKey(secret, ephemeral, concatBytes(info, ephemeral, to))
    const decipher = createDecipheriv('aes-256-gcm', key, iv)
    decipher.setAuthTag(sealed.subarray(-tagLength))
    return concatBytes(decipher.update(sealed.subarray(keyLength, -tagLength)), decipher.final())
  } catch {
    throw unreadable()
  }
}

/** @throws REQUEST_KEY_UNTRUSTED for a public key of small order (RFC 7748 §6.1): the secret would be zero */
function messageKey(secret: Uint8Array, other: Uint8Array, info: Uint8Array): Uint8Array {
  try {
    return hkdf(sha256, x25519.getSharedSecret(secret, other), undefined, info, 32)
  } catch (cause) {
    const message = 'The public key has a small order, so everybody could open the message.'
    throw new AssentError('REQUEST_KEY_UNTRUSTED', message, { cause })
  }
}

function unreadable(): AssentError {
  return new AssentError('REQUEST_INPUT_UNREADABLE', 'The message cannot be opened with this key.')
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(epochLength)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function uint256(value: number): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0'), 'number', 32)
}
