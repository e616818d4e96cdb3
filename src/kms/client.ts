/**
 * KMS client: gets the keys of an app from inside its CVM, and verifies where a key came from.
 *
 * The first request accepts any server. Which KMS it was is known only from its root public key: pin it
 * (`caPublicKey`), or compare it with the one on-chain.
 */
import type { X509Certificate } from 'node:crypto'
import { type RequestOptions, request } from 'node:https'
import { checkServerIdentity, type PeerCertificate, type TLSSocket } from 'node:tls'

import { p256 } from '@noble/curves/nist.js'
import { z } from 'zod'

import { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
import { equalBytes, fromHex, toHex, utf8ToBytes } from '../lib/bytes.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { collectPieces } from '../lib/collect-pieces.ts'
import { describeIssues } from '../lib/config.ts'
import type { Attestation } from '../quote/attestation.ts'
import type { QuoteSource } from '../tee/source.ts'
import {
  type CertificateAuthority,
  extensionIds,
  fromPem,
  isIssuedBy,
  keyFromPem,
  keyToPem,
  readCertificate,
  toPem,
} from './certificates/certificate.ts'
import { issueAttested, readBoundAttestation, selfIssueAttested } from './certificates/ratls.ts'
import {
  appKeyMessage,
  type EpochKeySet,
  encodeSpki,
  epochKeyMessage,
  k256PublicKey,
  recoverK256,
} from './keys/derive.ts'
import { isOutage } from './rpc/request-outcome.ts'

/** Address of a KMS, and how its certificate is checked. */
export interface KmsClientOptions {
  /** `https://host:port`, without `/prpc`. */
  readonly url: string
  /** Root CA key (SubjectPublicKeyInfo, DER) to require: dstack's `key_provider_id`. */
  readonly caPublicKey?: Uint8Array
  /** Verifies the quote in the server certificate. Without it, only the root key identifies the server. */
  readonly verifyServer?: (attestation: Attestation) => Promise<unknown>
  /** Key of the server certificate, if it is known. It is then required, and the host name is not compared. */
  readonly serverPublicKey?: Uint8Array
  /** For one request; default 30,000. */
  readonly timeoutMs?: number
  /** Unix seconds, for the validity of the client certificate. */
  readonly clock?: Clock
}

/** An RA-TLS client certificate with its key, and the root that the server must chain to. */
export interface ClientIdentity {
  /** P-256 scalar. */
  readonly key: Uint8Array
  /** DER. */
  readonly certificate: Uint8Array
  /** DER. */
  readonly rootCertificate: Uint8Array
}

/** Answer of `GetAppKey`. Lengths as in `AppKeys`. */
export interface FetchedAppKeys {
  /** DER. */
  readonly rootCertificate: Uint8Array
  /** Root CA key, SubjectPublicKeyInfo in DER. */
  readonly caPublicKey: Uint8Array
  /** 32 bytes; encrypts the disk of this instance. It never changes. */
  readonly diskCryptKey: Uint8Array
  /** 32 bytes: X25519 private key that decrypts the app's environment variables. */
  readonly envCryptKey: Uint8Array
  /** 32 bytes: secp256k1 private key of the app. */
  readonly k256Key: Uint8Array
  /** 65 bytes: the root key's signature over the app's public key. */
  readonly k256Signature: Uint8Array
  /** App id of the gateway that the chain names, hex. */
  readonly gatewayAppId: string
  /** 32 bytes: the base image that the KMS verified. */
  readonly osImageHash: Uint8Array
  /** The key epoch for new data; undefined from a KMS without key epochs. */
  readonly writeEpoch: number | undefined
  /** Keys of every epoch that this release may use. */
  readonly epochKeys: readonly EpochKeySet[]
}

const hexOf = (length: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${length * 2}}$`), `${length} bytes of hex`)
    .transform((text) => fromHex(text, 'answer', length))

const tempCaAnswer = z.object({
  temp_ca_cert: z.string(),
  temp_ca_key: z.string(),
  ca_cert: z.string(),
})

const metaAnswer = z.object({ ca_cert: z.string() })

const appKeyAnswer = z.object({
  ca_cert: z.string(),
  disk_crypt_key: hexOf(32),
  env_crypt_key: hexOf(32),
  k256_key: hexOf(32),
  k256_signature: hexOf(65),
  gateway_app_id: z.string(),
  os_image_hash: hexOf(32),
  write_epoch: z.int().min(0).default(0),
  epoch_keys: z
    .array(
      z.object({
        epoch: z.int().min(1),
        env_crypt_key: hexOf(32),
        k256_key: hexOf(32),
        k256_signature: hexOf(65),
      }),
    )
    .default([]),
})

/** Bytes. */
const maxAnswer = 10 * 1024 * 1024

/**
 * Gets the keys of the app that runs in this CVM: fetches the temporary CA, makes a certificate with a quote, and calls
 * `GetAppKey`.
 *
 * The server is trusted by its root certificate only. A client that knows the root key must compare it afterwards with
 * `verifyFetchedKeys`, or verify the server's quote with `verifyServer`.
 *
 * @param source quotes of this CVM, for example `createAgentClient({ socket })`
 * @param vmConfig JSON as the host gave it to the guest
 * @throws KMS_UNREACHABLE, KMS_PEER_UNTRUSTED, KMS_REFUSED with the KMS's reason, KMS_UNAVAILABLE,
 *   KMS_ANSWER_INVALID, TEE_*
 * @example
 * const keys = await fetchAppKeys({ url: 'https://kms.example.org:8000', caPublicKey }, agent, vmConfig)
 * verifyFetchedKeys(appId, keys, rootPublicKeyFromChain)
 */
export async function fetchAppKeys(
  options: KmsClientOptions,
  source: QuoteSource,
  vmConfig: string,
): Promise<FetchedAppKeys> {
  const identity = await mintIdentity(options, source)
  const request = { api_version: 1, vm_config: vmConfig }
  const answer = await callKms(options, 'GetAppKey', request, appKeyAnswer, identity)
  return {
    rootCertificate: identity.rootCertificate,
    caPublicKey: readCertificate(identity.rootCertificate).spki,
    diskCryptKey: answer.disk_crypt_key,
    envCryptKey: answer.env_crypt_key,
    k256Key: answer.k256_key,
    k256Signature: answer.k256_signature,
    gatewayAppId: answer.gateway_app_id,
    osImageHash: answer.os_image_hash,
    writeEpoch: answer.write_epoch === 0 ? undefined : answer.write_epoch,
    epochKeys: answer.epoch_keys.map((keys) => ({
      epoch: keys.epoch,
      envCryptKey: keys.env_crypt_key,
      k256Key: keys.k256_key,
      k256Signature: keys.k256_signature,
    })),
  }
}

/**
 * Makes a client certificate with a quote over its own key. It is signed by the temporary CA of the KMS, or by its own
 * key if the KMS has none, as dstack from 0.6.1 on.
 *
 * @throws KMS_UNREACHABLE, KMS_PEER_UNTRUSTED, KMS_ANSWER_INVALID, TEE_*
 */
export async function mintIdentity(
  options: KmsClientOptions,
  source: QuoteSource,
): Promise<ClientIdentity> {
  return mint(options, await fetchServerInfo(options), source)
}

/**
 * The same, but verifies the server's quote first, and returns the server's key to pin further connections to.
 *
 * @throws what `verifyServer` throws, and KMS_PEER_UNTRUSTED if the server does not chain to the root that it shows
 */
export async function firstContact(
  options: KmsClientOptions & Required<Pick<KmsClientOptions, 'verifyServer'>>,
  source: QuoteSource,
): Promise<{ identity: ClientIdentity; serverPublicKey: Uint8Array }> {
  const serverInfo = await fetchServerInfo(options)
  const { server } = serverInfo
  await checkQuote(options.verifyServer, server)
  const identity = await mint(options, serverInfo, source)
  if (!isIssuedBy(server, identity.rootCertificate)) {
    throw new AssentError(
      'KMS_PEER_UNTRUSTED',
      'The server certificate does not chain to the root that the server shows.',
    )
  }
  return { identity, serverPublicKey: readCertificate(server).spki }
}

/** Certificates that a KMS shows to every client: its root CA and, if it has one, its temporary CA. */
interface KmsServerInfo {
  readonly rootCertificate: Uint8Array
  /** Undefined if clients sign their own certificates. */
  readonly tempCa: CertificateAuthority | undefined
  /** Certificate of the server that answered, DER. */
  readonly server: Uint8Array
}

/**
 * Gets the temporary CA in the first request, over TLS without verification: nothing is trusted yet. The root that this
 * answer names is what all later connections must chain to.
 */
async function fetchServerInfo(options: KmsClientOptions): Promise<KmsServerInfo> {
  const answer = await send(options, 'GetTempCaCert', {}, undefined)
  if (lacksMethod(answer)) {
    const meta = await send(options, 'GetMeta', {}, undefined)
    const rootCertificate = fromPem(readAnswer('GetMeta', meta, metaAnswer).ca_cert)
    return { rootCertificate, tempCa: undefined, server: certificateOf(meta) }
  }
  const { ca_cert, temp_ca_key, temp_ca_cert } = readAnswer('GetTempCaCert', answer, tempCaAnswer)
  const tempCa = { key: keyFromPem(temp_ca_key), certificate: fromPem(temp_ca_cert) }
  return { rootCertificate: fromPem(ca_cert), tempCa, server: certificateOf(answer) }
}

/** Tells if the server has no method of this name, as dstack words it, and not that the method failed. */
function lacksMethod(answer: RpcResponse): boolean {
  if (answer.status === 200) return false
  return answer.status === 404 || /^(?:Service|Method) not found\b/i.test(reasonOf(answer) ?? '')
}

function certificateOf({ server }: RpcResponse): Uint8Array {
  return new Uint8Array(server?.raw ?? [])
}

/**
 * Makes the client certificate: a fresh P-256 key, and a quote whose report data is the hash of its
 * SubjectPublicKeyInfo.
 */
async function mint(
  options: KmsClientOptions,
  { rootCertificate, tempCa }: KmsServerInfo,
  source: QuoteSource,
): Promise<ClientIdentity> {
  const { clock = systemClock } = options
  const pinned = options.caPublicKey
  if (pinned !== undefined && !equalBytes(readCertificate(rootCertificate).spki, pinned)) {
    throw new AssentError(
      'KMS_PEER_UNTRUSTED',
      'The KMS has another root key than the pinned one.',
      {
        facts: { expected: toHex(pinned) },
      },
    )
  }
  const key = p256.utils.randomSecretKey()
  const leaf = { commonName: 'RA-TLS TEMP Cert' }
  const certificate =
    tempCa === undefined
      ? await selfIssueAttested(key, leaf, source, clock())
      : await issueAttested(tempCa, { ...leaf, spki: encodeSpki(key) }, source, clock())
  return { key, certificate, rootCertificate }
}

/**
 * Calls a method in JSON.
 *
 * @param identity client certificate; without it the server is not checked, as in the first request
 *
 * @throws KMS_UNREACHABLE, KMS_PEER_UNTRUSTED, KMS_REFUSED, KMS_UNAVAILABLE, KMS_ANSWER_INVALID
 */
export async function callKms<S extends z.ZodType>(
  options: KmsClientOptions,
  method: string,
  body: object,
  schema: S,
  identity?: ClientIdentity,
): Promise<z.output<S>> {
  const answer = await send(options, method, body, identity)
  if (identity !== undefined) await checkServer(options, answer.server, identity)
  return readAnswer(method, answer, schema)
}

/**
 * Reads a page of the KMS that is not an RPC method, such as `/log/head`.
 *
 * @returns undefined if the KMS has no such page
 * @throws as `callKms`
 */
export async function readFromKms(
  options: KmsClientOptions,
  path: string,
  identity: ClientIdentity,
): Promise<string | undefined> {
  const answer = await exchange(options, { path, name: path }, identity)
  await checkServer(options, answer.server, identity)
  if (lacksMethod(answer)) return undefined
  if (answer.status !== 200) throw failure(answer)
  return Buffer.from(answer.body).toString('utf8')
}

function readAnswer<S extends z.ZodType>(
  method: string,
  answer: RpcResponse,
  schema: S,
): z.output<S> {
  if (answer.status !== 200) throw failure(answer)
  const parsed = schema.safeParse(parseJson(answer))
  if (parsed.success) return parsed.data
  throw new AssentError('KMS_ANSWER_INVALID', `${method}: ${describeIssues(parsed.error)}`)
}

/** A key of dstack's guest API v0 with its signature chain. */
export interface KeyChain {
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** The key to verify: compressed secp256k1 (33 bytes) or Ed25519 (32 bytes). */
  readonly publicKey: Uint8Array
  /** The purpose with which the app requested the key. */
  readonly purpose: string
  /** The app key's signature over the key, and the root key's signature over the app key. */
  readonly signatureChain: readonly [Uint8Array, Uint8Array]
}

/**
 * Verifies that a key of dstack's guest API v0 belongs to an app of the KMS with this root key.
 *
 * @param rootPublicKey compressed secp256k1, 33 bytes; read it from the chain, not from the KMS
 * @throws KMS_KEY_CHAIN_BROKEN, KMS_SIGNATURE_INVALID
 * @example
 * verifyKeyChain({ appId, publicKey, purpose: 'signing', signatureChain }, rootPublicKey)
 */
export function verifyKeyChain(chain: KeyChain, rootPublicKey: Uint8Array): void {
  const claim = utf8ToBytes(`${chain.purpose}:${toHex(chain.publicKey)}`)
  const appKey = recoverK256(chain.signatureChain[0], claim)
  verifyAppKey(chain.appId, appKey, chain.signatureChain[1], rootPublicKey)
}

/**
 * Verifies that the root key signed this app key.
 *
 * @throws KMS_KEY_CHAIN_BROKEN, KMS_SIGNATURE_INVALID
 * @example verifyAppKey(appId, appPublicKey, keys.k256Signature, rootPublicKey)
 */
export function verifyAppKey(
  appId: Uint8Array,
  appPublicKey: Uint8Array,
  signature: Uint8Array,
  rootPublicKey: Uint8Array,
): void {
  requireSignedByRoot(signature, appKeyMessage(appId, appPublicKey), rootPublicKey)
}

/**
 * Verifies fetched keys, including those of all epochs. Call it before you use keys of a KMS that you did not pin.
 *
 * @throws KMS_KEY_CHAIN_BROKEN, KMS_SIGNATURE_INVALID
 * @example
 * const keys = await fetchAppKeys({ url }, agent, vmConfig)
 * verifyFetchedKeys(appId, keys, rootPublicKey)
 */
export function verifyFetchedKeys(
  appId: Uint8Array,
  {
    k256Key,
    k256Signature,
    epochKeys = [],
  }: Pick<FetchedAppKeys, 'k256Key' | 'k256Signature'> & Partial<FetchedAppKeys>,
  rootPublicKey: Uint8Array,
): void {
  verifyAppKey(appId, k256PublicKey(k256Key), k256Signature, rootPublicKey)
  for (const { epoch, k256Key: key, k256Signature: signature } of epochKeys) {
    const message = epochKeyMessage(appId, epoch, k256PublicKey(key))
    requireSignedByRoot(signature, message, rootPublicKey)
  }
}

function requireSignedByRoot(
  signature: Uint8Array,
  message: Uint8Array,
  rootPublicKey: Uint8Array,
): void {
  const signer = recoverK256(signature, message)
  if (equalBytes(signer, rootPublicKey)) return
  throw new AssentError('KMS_KEY_CHAIN_BROKEN', 'The app key was not signed by the root.', {
    facts: { expected: toHex(rootPublicKey), found: toHex(signer) },
  })
}

interface RpcResponse {
  readonly status: number
  readonly code: string | undefined
  readonly body: Uint8Array
  readonly server: X509Certificate | undefined
}

function send(
  options: KmsClientOptions,
  method: string,
  body: object,
  identity: ClientIdentity | undefined,
): Promise<RpcResponse> {
  const path = `/prpc/KMS.${method}?json`
  return exchange(options, { name: method, path, payload: JSON.stringify(body) }, identity)
}

/** One request on its own connection: POST if there is a payload, else GET. */
function exchange(
  { url, serverPublicKey, timeoutMs = 30_000 }: KmsClientOptions,
  { name, path, payload }: { name: string; path: string; payload?: string },
  identity: ClientIdentity | undefined,
): Promise<RpcResponse> {
  const length = { 'content-length': Buffer.byteLength(payload ?? '') }
  const options: RequestOptions = {
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
    ...(payload === undefined
      ? { method: 'GET' }
      : { method: 'POST', headers: { 'content-type': 'application/json', ...length } }),
    ...(identity === undefined
      ? { rejectUnauthorized: false }
      : mutualTls(identity, serverPublicKey)),
  }
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(unreachable(name, cause))
    const outgoing = request(new URL(path, url), options, (incoming) => {
      const server = (incoming.socket as TLSSocket).getPeerX509Certificate()
      const code = incoming.headers['x-assent-error']
      const body = collectPieces(incoming, maxAnswer, () =>
        incoming.destroy(new RangeError('The answer is too long.')),
      )
      incoming.on('error', fail)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          code: typeof code === 'string' ? code : undefined,
          body: new Uint8Array(body()),
          server,
        }),
      )
    })
    outgoing.on('error', fail)
    outgoing.end(payload)
  })
}

/** Trusts only the root from the first request, and only a server certificate with the usage `kms:rpc`. */
function mutualTls(
  identity: ClientIdentity,
  serverPublicKey: Uint8Array | undefined,
): RequestOptions {
  return {
    key: keyToPem(identity.key),
    cert: toPem(identity.certificate),
    ca: toPem(identity.rootCertificate),
    minVersion: 'TLSv1.3',
    checkServerIdentity: (host: string, peer: PeerCertificate) =>
      (serverPublicKey === undefined ? checkServerIdentity(host, peer) : undefined) ??
      wrongServer(new Uint8Array(peer.raw), serverPublicKey),
  }
}

function wrongServer(
  certificate: Uint8Array,
  serverPublicKey: Uint8Array | undefined,
): AssentError | undefined {
  const { spki, extensions } = readCertificate(certificate)
  if (serverPublicKey !== undefined && !equalBytes(spki, serverPublicKey)) {
    return new AssentError('KMS_PEER_UNTRUSTED', 'The server is not the one of the first request.')
  }
  const usage = extensions.get(extensionIds.usage)
  if (usage !== undefined && equalBytes(usage, utf8ToBytes('kms:rpc'))) return undefined
  return new AssentError(
    'KMS_PEER_UNTRUSTED',
    'The server certificate is not for a KMS (usage kms:rpc).',
  )
}

/**
 * Checks the server's certificate before anything is sent: the usage `kms:rpc`, and its quote if the caller verifies
 * servers.
 */
async function checkServer(
  { verifyServer }: KmsClientOptions,
  server: X509Certificate | undefined,
  { rootCertificate }: ClientIdentity,
): Promise<void> {
  const certificate = new Uint8Array(server?.raw ?? [])
  if (!isIssuedBy(certificate, rootCertificate)) {
    throw new AssentError(
      'KMS_PEER_UNTRUSTED',
      'The server certificate does not chain to the expected root.',
    )
  }
  if (verifyServer !== undefined) await checkQuote(verifyServer, certificate)
}

async function checkQuote(
  verifyServer: (attestation: Attestation) => Promise<unknown>,
  certificate: Uint8Array,
): Promise<void> {
  const { attestation } = readBoundAttestation(certificate)
  if (attestation === undefined) {
    throw new AssentError('KMS_PEER_UNTRUSTED', 'The server certificate contains no quote.')
  }
  await verifyServer(attestation)
}

function parseJson({ body, status }: RpcResponse): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    // the body may contain keys, so it is not part of the error
    throw new AssentError('KMS_ANSWER_INVALID', 'The answer is not JSON.', { facts: { status } })
  }
}

/**
 * Only the KMS itself can refuse: status 400 with a reason, as dstack answers every error. The header tells if a KMS of
 * Assent decided, or could not decide. An unmodified dstack-kms has no such header, so all its errors are refusals.
 */
function failure(answer: RpcResponse): AssentError {
  const { status, code } = answer
  const facts = { status, code: code ?? null }
  const reason = reasonOf(answer)
  const mayPass = status === 429 || status >= 500 || (code !== undefined && isOutageCode(code))
  if (mayPass) {
    const message = `The KMS cannot decide now: ${reason ?? `status ${status}`}`
    return new AssentError('KMS_UNAVAILABLE', message, { facts })
  }
  if (status === 400 && reason !== undefined) {
    return new AssentError('KMS_REFUSED', reason, { facts })
  }
  return new AssentError('KMS_ANSWER_INVALID', `The KMS answered with status ${status}.`, { facts })
}

/** A code that this version does not know is an outage, as for the KMS itself. */
function isOutageCode(code: string): boolean {
  const isKnown = Object.hasOwn(errorCatalogue, code)
  return !isKnown || isOutage(new AssentError(code as ErrorCode, 'from the KMS'))
}

const errorAnswer = z.object({ error: z.string().min(1) })

/** The KMS's own words; undefined if the answer is not in its form. */
function reasonOf({ body }: RpcResponse): string | undefined {
  try {
    return errorAnswer.parse(JSON.parse(Buffer.from(body).toString('utf8'))).error.slice(0, 2000)
  } catch {
    return undefined
  }
}

function unreachable(method: string, cause: unknown): AssentError {
  if (isAssentError(cause)) return cause
  const { code } = cause as { code?: string }
  const untrusted =
    code !== undefined && /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|^UNSPECIFIED$/.test(code)
  return untrusted
    ? new AssentError('KMS_PEER_UNTRUSTED', 'The server certificate is not valid.', {
        cause,
        facts: { reason: code },
      })
    : new AssentError('KMS_UNREACHABLE', `The KMS did not answer ${method}.`, { cause })
}

/** Public facts of a running node. */
export interface NodePage {
  readonly status: number
  readonly text: string
}

/**
 * Reads a public page (`/health`, `/metrics`, `/log/head`) without checking the server: its content is a claim.
 *
 * @throws KMS_UNREACHABLE
 */
export async function readPublicPage(options: KmsClientOptions, path: string): Promise<NodePage> {
  const { status, body } = await exchange(options, { path, name: path }, undefined)
  return { status, text: Buffer.from(body).toString('utf8') }
}

const nodeMetaAnswer = z.object({
  ca_cert: z.string(),
  k256_pubkey: hexOf(33),
  gateway_app_id: z.string().nullish(),
  kms_contract_address: z.string().nullish(),
  chain_id: z.union([z.int(), z.string().regex(/^\d{1,20}$/)]).nullish(),
})

/** `GetMeta` of a node. */
export interface NodeMeta {
  /** SubjectPublicKeyInfo of the root CA, DER. */
  readonly caPublicKey: Uint8Array
  /** Compressed secp256k1 root key, 33 bytes. */
  readonly k256PublicKey: Uint8Array
  readonly gatewayAppId: string | null
  readonly kmsContract: string | null
  readonly chainId: number | null
  /** Whether the root CA of the answer certified the server that answered, so that it has the root keys or got its
   * certificate from a node that has them. */
  readonly isServerOfRoot: boolean
}

/**
 * Asks a node for its root keys, chain and gateway. Compare the root keys with the chain: only then `isServerOfRoot` says
 * that the server is a node of this KMS.
 *
 * @throws KMS_UNREACHABLE, KMS_UNAVAILABLE, KMS_REFUSED, KMS_ANSWER_INVALID
 */
export async function readNodeMeta(options: KmsClientOptions): Promise<NodeMeta> {
  const response = await send(options, 'GetMeta', {}, undefined)
  const answer = readAnswer('GetMeta', response, nodeMetaAnswer)
  const root = fromPem(answer.ca_cert)
  return {
    caPublicKey: readCertificate(root).spki,
    k256PublicKey: answer.k256_pubkey,
    gatewayAppId: answer.gateway_app_id ?? null,
    kmsContract: answer.kms_contract_address ?? null,
    chainId: answer.chain_id == null ? null : Number(answer.chain_id),
    isServerOfRoot: isIssuedBy(certificateOf(response), root),
  }
}
