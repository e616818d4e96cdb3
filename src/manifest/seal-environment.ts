/**
 * Seals an environment for an app, as dstack's clients do (`docs/encrypted-env-spec.md` of dstack's repository): X25519
 * (RFC 7748) with an ephemeral key, and AES-256-GCM with the raw shared secret as key.
 *
 * It hides the values from the host. It does not prove who sealed them: see `environment-pin.ts`.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

import { x25519 } from '@noble/curves/ed25519.js'
import { z } from 'zod'

import { AssentError } from '../errors/index.ts'
import { concatBytes, type Hex, requireLength, to0x, utf8ToBytes } from '../lib/bytes.ts'
import type { Environment } from './environment.ts'

const keyLength = 32
const ivLength = 12
const tagLength = 16

/** The largest sealed environment that the guest reads, bytes. */
export const maxSealedBytes = 256 * 1024

/**
 * Seals an environment.
 *
 * @param publicKey X25519 public key of the app, 32 bytes: verify that it comes from the KMS root before
 * @returns ephemeral public key (32) ‖ IV (12) ‖ ciphertext ‖ tag (16): the file `.encrypted-env`
 * @throws LENGTH_WRONG, ENV_INVALID if the result is too long, ENV_KEY_UNTRUSTED for a key of small order
 * @example await writeFile('env.sealed', sealEnvironment(publicKey, parseEnvironment(text)))
 */
export function sealEnvironment(publicKey: Uint8Array, environment: Environment): Uint8Array {
  requireLength(publicKey, 'public key', keyLength)
  const secret = x25519.utils.randomSecretKey()
  const plaintext = utf8ToBytes(
    JSON.stringify({ env: [...environment].map(([key, value]) => ({ key, value })) }),
  )
  const shared = sharedSecret(secret, publicKey)
  try {
    const iv = new Uint8Array(randomBytes(ivLength))
    const cipher = createCipheriv('aes-256-gcm', shared, iv)
    const ciphertext = concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag())
    const sealed = concatBytes(x25519.getPublicKey(secret), iv, ciphertext)
    if (sealed.length <= maxSealedBytes) return sealed
    throw new AssentError(
      'ENV_INVALID',
      'The sealed environment is larger than the guest accepts.',
      {
        facts: { found: sealed.length, expected: `at most ${maxSealedBytes} bytes` },
      },
    )
  } finally {
    secret.fill(0)
    shared.fill(0)
    plaintext.fill(0)
  }
}

const plaintextSchema = z.strictObject({
  env: z.array(z.strictObject({ key: z.string(), value: z.string() })).max(1024),
})

/**
 * Opens a sealed environment with the app's environment key, which only a KMS and the app have.
 *
 * @param envKey X25519 private key, 32 bytes
 * @throws ENV_UNREADABLE, LENGTH_WRONG
 */
export function openEnvironment(envKey: Uint8Array, sealed: Uint8Array): Environment {
  const plaintext = openSealed(envKey, sealed)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(plaintext)
    const { env } = plaintextSchema.parse(JSON.parse(text))
    const environment = new Map(env.map(({ key, value }) => [key, value]))
    if (environment.size === env.length) return environment
  } catch {
    // the cause could contain a value, so it is left out
  }
  throw unreadable()
}

/** The plaintext of a sealed environment. @throws ENV_UNREADABLE, LENGTH_WRONG */
export function openSealed(envKey: Uint8Array, sealed: Uint8Array): Uint8Array {
  requireLength(envKey, 'environment key', keyLength)
  const head = keyLength + ivLength
  if (sealed.length < head + tagLength || sealed.length > maxSealedBytes) throw unreadable()
  const shared = sharedSecret(envKey, sealed.subarray(0, keyLength))
  try {
    const decipher = createDecipheriv('aes-256-gcm', shared, sealed.subarray(keyLength, head))
    decipher.setAuthTag(sealed.subarray(-tagLength))
    return concatBytes(decipher.update(sealed.subarray(head, -tagLength)), decipher.final())
  } catch {
    throw unreadable()
  } finally {
    shared.fill(0)
  }
}

/** SHA-256 of a sealed environment, which a manifest pins. It shows nothing about the values. */
export function sealedDigest(sealed: Uint8Array): Hex {
  return to0x(new Uint8Array(createHash('sha256').update(sealed).digest()))
}

/** @throws ENV_KEY_UNTRUSTED for a public key of small order (RFC 7748 §6.1): the secret would be zero */
function sharedSecret(secret: Uint8Array, publicKey: Uint8Array): Uint8Array {
  try {
    return x25519.getSharedSecret(secret, publicKey)
  } catch (cause) {
    const message = 'The public key has a small order, so everybody could open the environment.'
    throw new AssentError('ENV_KEY_UNTRUSTED', message, { cause })
  }
}

function unreadable(): AssentError {
  return new AssentError('ENV_UNREADABLE', 'The sealed environment cannot be opened with this key.')
}
