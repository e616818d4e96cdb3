/**
 * Client of `CertifyInstance`: an instance gets the KMS's statement about a key of its own, with which anyone can register
 * the key on-chain (`Instances.registerIssued`).
 */
import { z } from 'zod'

import {
  type InstanceBinding,
  instanceBindingDigest,
  instanceSignerMessage,
  instanceStatementDigest,
} from '../chain/registries/instance-statements.ts'
import { AssentError } from '../errors/index.ts'
import { equalBytes, fromHex, to0x, toHex } from '../lib/bytes.ts'
import { k256Address, recoverK256Digest, signK256Digest } from '../lib/k256.ts'
import type { QuoteSource } from '../tee/source.ts'
import { callKms, type KmsClientOptions, mintIdentity } from './client.ts'
import { recoverK256 } from './keys/derive.ts'

/** The KMS's statement about one key. */
export interface InstanceCertificate {
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** Release that the KMS verified, 32 bytes. */
  readonly composeHash: Uint8Array
  /** Key epoch, from 1. */
  readonly epoch: number
  /** Signature of the app's instance signer, 65 bytes. */
  readonly statement: Uint8Array
  /** Signature of the root key over the instance signer, 65 bytes. */
  readonly link: Uint8Array
}

const hexOf = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${length * 2}}$`), `${length} bytes of hex`)
    .transform((text) => fromHex(text, 'answer', length))

const answerSchema = z.object({
  app_id: hexOf(20),
  compose_hash: hexOf(32),
  epoch: z.int().min(1).max(0xffff_ffff),
  statement: hexOf(65),
  link: hexOf(65),
})

/**
 * Asks the KMS for its statement about a key, from inside a CVM. Compare it with the root key on-chain afterwards:
 * {@link verifyInstanceCertificate}.
 *
 * @param source quotes of this CVM
 * @param vmConfig JSON as the host gave it to the guest
 * @param binding the key, its app, the registry, and a recent block
 * @throws KMS_REFUSED with the KMS's reason, KMS_UNAVAILABLE, KMS_UNREACHABLE, KMS_PEER_UNTRUSTED, KMS_ANSWER_INVALID,
 *   TEE_*
 */
export async function certifyInstance(
  options: KmsClientOptions,
  source: QuoteSource,
  vmConfig: string,
  binding: InstanceBinding,
): Promise<InstanceCertificate> {
  const identity = await mintIdentity(options, source)
  const request = {
    vm_config: vmConfig,
    key: binding.key.slice(2),
    registry: binding.registry.slice(2),
    block_number: Number(binding.block.number),
    block_hash: binding.block.hash.slice(2),
  }
  const answer = await callKms(options, 'CertifyInstance', request, answerSchema, identity)
  const { app_id: appId, compose_hash: composeHash, epoch, statement, link } = answer
  return { appId, composeHash, epoch, statement, link }
}

/**
 * Verifies that a statement is about this binding and leads to the root key.
 *
 * @param rootPublicKey root key of the KMS, 33 bytes compressed. Read it from the chain, never from the KMS itself.
 * @throws KMS_KEY_CHAIN_BROKEN, KMS_SIGNATURE_INVALID
 */
export function verifyInstanceCertificate(
  binding: InstanceBinding,
  certificate: InstanceCertificate,
  rootPublicKey: Uint8Array,
): void {
  const { appId, composeHash, epoch, statement, link } = certificate
  const digest = instanceStatementDigest(binding, composeHash)
  const signer = k256Address(recoverK256Digest(statement, digest))
  const root = recoverK256(link, instanceSignerMessage(appId, epoch, signer))
  if (to0x(appId) === binding.app.toLowerCase() && equalBytes(root, rootPublicKey)) return
  throw new AssentError('KMS_KEY_CHAIN_BROKEN', 'The statement was not made under the root key.', {
    facts: { expected: toHex(rootPublicKey), found: toHex(root), appId: toHex(appId) },
  })
}

/**
 * The signature by which a key shows that it belongs to the instance (`possession` in `Instances`), 65 bytes.
 *
 * @param key secp256k1 private key of the instance, 32 bytes
 */
export function signInstanceBinding(key: Uint8Array, binding: InstanceBinding): Uint8Array {
  return signK256Digest(key, instanceBindingDigest(binding))
}
