/** Gets the public key for an app's environment from a KMS, and verifies that it comes from the root key. */
import { z } from 'zod'

import { AssentError, isAssentError } from '../errors/index.ts'
import { equalBytes, fromHex, requireLength, toHex } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import { callKms, type KmsClientOptions } from './client.ts'
import { envKeyMessage, epochEnvKeyMessage, firstEpoch, recoverK256 } from './keys/derive.ts'

const hexOf = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${length * 2}}$`), `${length} bytes of hex`)
    .transform((text) => fromHex(text, 'answer', length))
const absent = z.literal('').transform(() => undefined)

const answerSchema = z.object({
  public_key: hexOf(32),
  timestamp: z.int().min(0).default(0),
  signature_v1: z.union([hexOf(65), absent]).optional(),
  epoch: z.int().min(0).default(0),
  epoch_signature: z.union([hexOf(65), absent]).optional(),
})

/** A verified key. */
export interface EnvPublicKey {
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** The key epoch for which it is. */
  readonly epoch: number
}

/** Seconds: dstack's clients accept a statement for this long, and from a clock that is this much ahead. */
const maxAge = 300
const maxAhead = 60

/**
 * Gets and verifies the key. The connection is not verified: the signature of the root key is.
 *
 * @param appId 20 bytes
 * @param root compressed secp256k1 root key, 33 bytes; read it from the chain, not from the KMS
 * @param epoch the newest key epoch of the app, as the chain counts it from 1
 * @throws ENV_KEY_UNTRUSTED, KMS_UNREACHABLE, KMS_UNAVAILABLE, KMS_REFUSED, KMS_ANSWER_INVALID
 */
export async function fetchEnvPublicKey(
  options: KmsClientOptions,
  { appId, root, epoch }: { appId: Uint8Array; root: Uint8Array; epoch: number },
): Promise<EnvPublicKey> {
  requireLength(appId, 'app id', 20)
  requireLength(root, 'root key', 33)
  // an unmodified dstack-kms ignores the epoch, and its only key is that of the first
  const request = { app_id: toHex(appId), epoch }
  const answer = await callKms(options, 'GetAppEnvEncryptPubKey', request, answerSchema)
  const { public_key: publicKey, timestamp } = answer
  const now = (options.clock ?? systemClock)()
  if (timestamp < now - maxAge || timestamp > now + maxAhead) {
    throw untrusted('The statement about the key is too old, or from a clock that is ahead.', {
      found: timestamp,
      expected: `${now - maxAge} to ${now + maxAhead}`,
    })
  }
  const hasEpoch = answer.epoch !== 0
  if (hasEpoch ? answer.epoch !== epoch : epoch !== firstEpoch) {
    throw untrusted(`The KMS answered for epoch ${answer.epoch || firstEpoch}, not ${epoch}.`, {
      found: answer.epoch,
      expected: epoch,
    })
  }
  const signature = hasEpoch ? answer.epoch_signature : answer.signature_v1
  const message = hasEpoch
    ? epochEnvKeyMessage({ appId, epoch }, publicKey, timestamp)
    : envKeyMessage(appId, publicKey, timestamp)
  requireRoot(signature, message, root)
  return { publicKey, epoch }
}

function requireRoot(
  signature: Uint8Array | undefined,
  message: Uint8Array,
  root: Uint8Array,
): void {
  const signer = signature === undefined ? undefined : signerOf(signature, message)
  if (signer !== undefined && equalBytes(signer, root)) return
  throw untrusted('The key is not signed by the root key that is recorded on-chain.', {
    expected: toHex(root),
    found: signer === undefined ? null : toHex(signer),
  })
}

function signerOf(signature: Uint8Array, message: Uint8Array): Uint8Array | undefined {
  try {
    return recoverK256(signature, message)
  } catch (error) {
    if (isAssentError(error, 'KMS_SIGNATURE_INVALID')) return undefined
    throw error
  }
}

function untrusted(message: string, facts: Readonly<Record<string, unknown>>): AssentError {
  return new AssentError('ENV_KEY_UNTRUSTED', message, { facts })
}
