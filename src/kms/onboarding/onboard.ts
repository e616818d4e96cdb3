/**
 * Onboarding: gets the root keys from a running KMS node, so that this node becomes its replica.
 *
 * Each side verifies the other's quote and asks the chain about it. dstack connects twice and does not check that the
 * same server answers. Here the second connection is pinned to the server key whose quote was verified.
 */
import { randomBytes } from 'node:crypto'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex } from '../../lib/bytes.ts'
import type { QuoteSource } from '../../tee/source.ts'
import { type AuthorizeBoot, authorizeKms } from '../authorization/authorize.ts'
import type { SelfAuthorizer } from '../authorization/self-authorization.ts'
import {
  type AttestationRules,
  verifyAttestation,
  verifyBoot,
} from '../authorization/verify-attestation.ts'
import { keyFromPem, readCertificate } from '../certificates/certificate.ts'
import {
  type ClientIdentity,
  callKms,
  firstContact,
  type KmsClientOptions,
  readFromKms,
} from '../client.ts'
import { encodeSpki, k256PublicKey } from '../keys/derive.ts'
import { type KeyStore, type KmsSecrets, loadOrBootstrap, wipeKeys } from '../keys/key-store.ts'
import { type KnownLog, readAnswer } from '../log/witness-response.ts'
import { withErrorContext } from '../rpc/error-context.ts'

/** Dependencies of an onboarding. */
export interface OnboardOptions {
  /** URL of the running KMS node, with or without `/prpc`. */
  readonly sourceUrl: string
  /** Folder for the received keys. */
  readonly store: KeyStore
  /** Gives quotes of this CVM. */
  readonly source: QuoteSource
  /** Rules for the quote of the other node. */
  readonly rules: AttestationRules
  /** Asks the chain about the other node, so that only an approved KMS can give root keys. */
  readonly authorizeBoot: AuthorizeBoot
  /** Whether this node itself must be allowed before it asks for keys. */
  readonly self: SelfAuthorizer | 'insecure-off'
  /** Expected root CA key (SubjectPublicKeyInfo, DER), if the operator knows it. */
  readonly caPublicKey?: Uint8Array
  /** Stores the head of the source's release log, which contains the handover: so the source cannot roll it back. */
  readonly remember?: (source: KnownLog) => Promise<void>
}

const kmsKeyAnswer = z.object({
  temp_ca_key: z.string(),
  keys: z.tuple([z.object({ ca_key: z.string(), k256_key: z.string().regex(/^[0-9a-f]{64}$/) })]),
})

const metaAnswer = z.object({ k256_pubkey: z.string().regex(/^[0-9a-f]{66}$/) })

/**
 * Gets and stores the root keys. Nothing is stored unless all checks passed.
 *
 * @returns the root public keys: SubjectPublicKeyInfo in DER, and compressed secp256k1
 * @throws KMS_KEYS_EXIST, KMS_SELF_DENIED, KMS_BOOT_DENIED, KMS_PEER_UNTRUSTED, KMS_REFUSED, KMS_ANSWER_INVALID
 */
export async function onboardKms(
  options: OnboardOptions,
): Promise<{ caPubkey: Uint8Array; k256Pubkey: Uint8Array }> {
  const { store, self } = options
  if (self !== 'insecure-off')
    await withErrorContext('KMS is not allowed to onboard', self.authorize)
  const existing = await store.load()
  if (existing !== undefined) {
    wipeKeys(existing)
    throw new AssentError('KMS_KEYS_EXIST', 'This KMS already has root keys.')
  }
  const keys = await fetchKeys(options)
  const caPubkey = encodeSpki(keys.ca)
  const k256Pubkey = k256PublicKey(keys.k256)
  // loadOrBootstrap overwrites these keys and returns those that the disk has
  const stored = await loadOrBootstrap(store, () => keys)
  wipeKeys(stored.keys)
  return { caPubkey, k256Pubkey }
}

/** Verifies the source, then gets its keys over a pinned connection. */
async function fetchKeys(options: OnboardOptions): Promise<KmsSecrets> {
  const { source, rules, authorizeBoot, caPublicKey } = options
  const client: KmsClientOptions = {
    url: options.sourceUrl.replace(/\/+$/, '').replace(/\/prpc$/, ''),
    clock: rules.clock,
    ...(caPublicKey ? { caPublicKey } : {}),
  }
  const verifyServer = async (attestation: Parameters<typeof verifyAttestation>[0]) => {
    const proven = await verifyAttestation(attestation, rules)
    await authorizeKms(authorizeBoot, verifyBoot(proven, '', 'full', rules))
  }
  const { identity, serverPublicKey } = await withErrorContext('The source KMS', () =>
    firstContact({ ...client, verifyServer }, source),
  )
  const pinned = { ...client, serverPublicKey }
  const { vmConfig } = await source.attest(new Uint8Array(64))
  const request = { vm_config: vmConfig }
  const answer = await callKms(pinned, 'GetKmsKey', request, kmsKeyAnswer, identity)
  const meta = await callKms(pinned, 'GetMeta', {}, metaAnswer, identity)
  const [{ ca_key, k256_key }] = answer.keys
  const keys = {
    ca: keyFromPem(ca_key),
    k256: fromHex(k256_key, 'k256_key', 32),
    tempCa: keyFromPem(answer.temp_ca_key),
  }
  requireMatchingKeys(keys, identity, fromHex(meta.k256_pubkey, 'k256_pubkey'))
  const sourceLog = await readSourceLog(pinned, identity, k256PublicKey(keys.k256))
  if (sourceLog !== undefined) await options.remember?.(sourceLog)
  return keys
}

/** The current head of the source's release log; undefined if it has none, as dstack's KMS. */
async function readSourceLog(
  source: KmsClientOptions,
  identity: ClientIdentity,
  rootKey: Uint8Array,
): Promise<KnownLog | undefined> {
  const nonce = randomBytes(16).toString('hex')
  const text = await readFromKms(source, `/log/head?nonce=${nonce}`, identity)
  if (text === undefined) return undefined
  const { identity: log, head } = readAnswer(text, nonce, rootKey)
  return { node: log.node, publicKey: log.publicKey, head }
}

/** Checks that the keys belong to the public keys that the source shows to everyone. @throws KMS_ANSWER_INVALID */
function requireMatchingKeys(
  keys: KmsSecrets,
  { rootCertificate }: ClientIdentity,
  publicK256: Uint8Array,
): void {
  const fits =
    equalBytes(encodeSpki(keys.ca), readCertificate(rootCertificate).spki) &&
    equalBytes(k256PublicKey(keys.k256), publicK256)
  if (fits) return
  wipeKeys(keys)
  throw new AssentError(
    'KMS_ANSWER_INVALID',
    'The keys from the source do not belong to its public keys.',
  )
}
