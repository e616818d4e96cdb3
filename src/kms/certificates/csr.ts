/**
 * dstack's certificate signing requests, versions 1 and 2, in SCALE encoding: the wanted certificate and a quote.
 *
 * dstack signs any name for any time. Here names and validity are limited; all requests of today's dstack guests fit.
 */
import { AssentError } from '../../errors/index.ts'
import { concatBytes } from '../../lib/bytes.ts'
import { ScaleReader, scaleBytes, scaleCompact, scaleText } from '../../lib/scale.ts'
import {
  type Attestation,
  decodeAttestation,
  decodeAttestedQuote,
  encodeAttestation,
} from '../../quote/attestation.ts'
import { parseQuote, type Quote } from '../../quote/parse.ts'
import { verifyEcdsa } from '../keys/ecdsa.ts'
import { defaultLifetime, earliestNotBefore } from './certificate.ts'
import { canonicalAddress, coversHost, isHostName } from './certificate-names.ts'
import { toAttestation } from './ratls.ts'

/** A decoded request. */
export interface CertificateRequest {
  /** SubjectPublicKeyInfo, P-256, DER. */
  readonly spki: Uint8Array
  /** Subject O; undefined for none. */
  readonly organization: string | undefined
  /** Common name. */
  readonly subject: string
  /** Host names and IP addresses for the subject alternative name. */
  readonly names: readonly string[]
  /** Whether the certificate may identify a TLS server. */
  readonly serverAuth: boolean
  /** Whether the certificate may identify a TLS client. */
  readonly clientAuth: boolean
  /** Put the attestation into the certificate (extension `.8`). */
  readonly withQuote: boolean
  /** Put facts about the app into the certificate (extension `.9`). */
  readonly withAppInfo: boolean
  /** Unix seconds; undefined lets the KMS choose. */
  readonly notBefore: number | undefined
  /** Unix seconds; undefined for the default lifetime. */
  readonly notAfter: number | undefined
  /** Its report data must be bound to `spki`. */
  readonly attestation: Attestation
}

const confirmation = 'please sign cert:'
const maxNames = 64
const maxCommonName = 253
const maxOrganization = 64

/**
 * The public key of a request. The signature is checked with it before the rest is decoded, so that only the holder of
 * the key makes the KMS decode an attestation.
 *
 * @returns SubjectPublicKeyInfo, DER
 * @throws KMS_CSR_INVALID
 */
export function readRequestKey(bytes: Uint8Array): Uint8Array {
  return readStart(new ScaleReader(bytes, malformed))
}

function readStart(reader: ScaleReader): Uint8Array {
  if (reader.text('confirm') !== confirmation)
    throw malformed('it does not start with the confirmation text')
  return reader.bytes('pubkey')
}

/**
 * The quote of a request, without decoding its event log. The KMS verifies it before it decodes the rest.
 *
 * @throws KMS_CSR_INVALID, ATTESTATION_MALFORMED, QUOTE_*
 */
export function readRequestQuote(version: 1 | 2, bytes: Uint8Array): Quote {
  const { reader } = readFields(version, bytes)
  return version === 1 ? parseQuote(reader.bytes('quote')) : decodeAttestedQuote(reader.rest())
}

/** Decodes a request. @throws KMS_CSR_INVALID, ATTESTATION_MALFORMED, EVENT_LOG_MALFORMED */
export function parseCertificateRequest(version: 1 | 2, bytes: Uint8Array): CertificateRequest {
  const { reader, fields } = readFields(version, bytes)
  const attestation = version === 1 ? legacyAttestation(reader) : decodeAttestation(reader.rest())
  return { ...fields, attestation }
}

/** Everything before the attestation, and the reader at its start. */
function readFields(version: 1 | 2, bytes: Uint8Array) {
  const reader = new ScaleReader(bytes, malformed)
  const common = {
    spki: readStart(reader),
    organization: reader.option('organization', () => reader.text('organization')),
    subject: reader.text('subject'),
    names: reader.list('names', () => reader.text('name')),
    serverAuth: reader.bool('server auth'),
    clientAuth: reader.bool('client auth'),
    withQuote: reader.bool('ext_quote'),
  }
  if (version === 1) {
    const unset = { withAppInfo: false, notBefore: undefined, notAfter: undefined }
    return { reader, fields: { ...common, ...unset } }
  }
  const added = {
    withAppInfo: reader.bool('ext_app_info'),
    notBefore: reader.option('not_before', () => toSeconds(reader.u64('not_before'))),
    notAfter: reader.option('not_after', () => toSeconds(reader.u64('not_after'))),
  }
  return { reader, fields: { ...common, ...added } }
}

/** Encodes a request of version 2, as a guest does. */
export function encodeCertificateRequest(request: CertificateRequest): Uint8Array {
  const { organization, names, notBefore, notAfter } = request
  return concatBytes(
    scaleText(confirmation),
    scaleBytes(request.spki),
    option(organization === undefined ? undefined : scaleText(organization)),
    scaleText(request.subject),
    scaleCompact(names.length),
    ...names.map(scaleText),
    flags(request.serverAuth, request.clientAuth, request.withQuote, request.withAppInfo),
    option(notBefore === undefined ? undefined : u64(notBefore)),
    option(notAfter === undefined ? undefined : u64(notAfter)),
    encodeAttestation(request.attestation),
  )
}

/**
 * Checks the signature over the whole request by the key that it wants certified.
 *
 * @param signature ECDSA with SHA-256, DER
 * @throws KMS_CSR_UNSIGNED
 */
export function requireSigned(bytes: Uint8Array, signature: Uint8Array, spki: Uint8Array): void {
  if (verifyEcdsa(bytes, signature, spki)) return
  throw new AssentError('KMS_CSR_UNSIGNED', 'Failed to verify csr signature: Invalid signature')
}

/**
 * Checks names, lengths and validity. No app gets a certificate for the name of a KMS node: a guest that checks only root
 * and name would accept this app as the KMS.
 *
 * @param now Unix seconds
 * @param kmsNames host names or addresses of all KMS nodes with the same root keys
 * @throws KMS_CSR_REFUSED
 */
export function requireAllowedRequest(
  request: CertificateRequest,
  now: number,
  kmsNames: readonly string[],
): void {
  const { subject, organization = '', names } = request
  requireText('the subject', subject, maxCommonName)
  requireText('the organization', organization, maxOrganization)
  if (names.length > maxNames) throw refused(`more than ${maxNames} names`)
  const isName = (name: string) => isHostName(name) || canonicalAddress(name) !== undefined
  if (!names.every(isName)) throw refused('a name that is neither a host name nor an IP address')
  const isKms = (name: string) => kmsNames.some((known) => coversHost(name, known))
  if ([subject, ...names].some(isKms)) {
    throw refused('the name of a KMS node')
  }
  const notBefore = request.notBefore ?? earliestNotBefore
  const notAfter = request.notAfter ?? now + defaultLifetime
  if (notBefore < earliestNotBefore || notAfter > now + defaultLifetime || notBefore >= notAfter) {
    throw refused('a validity outside 1975 to ten years from now')
  }
}

function requireText(what: string, text: string, longestText: number): void {
  if ([...text].length > longestText)
    throw refused(`${what} of more than ${longestText} characters`)
  if (/\p{Cc}/u.test(text)) throw refused(`${what} with control characters`)
}

/** Version 1 has quote and event log side by side, and no VM configuration. */
function legacyAttestation(reader: ScaleReader): Attestation {
  const quote = reader.bytes('quote')
  const eventLog = reader.text('event log')
  reader.end()
  return toAttestation({ quote, eventLog, vmConfig: '' }, parseQuote(quote).report.reportData)
}

function toSeconds(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('it has a time beyond 2^53 seconds')
  return Number(value)
}

function option(content: Uint8Array | undefined): Uint8Array {
  return content === undefined ? Uint8Array.of(0) : concatBytes(Uint8Array.of(1), content)
}

function flags(...values: boolean[]): Uint8Array {
  return Uint8Array.from(values, Number)
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)
}

function malformed(why: string, facts: Record<string, unknown> = {}, cause?: unknown): AssentError {
  return new AssentError('KMS_CSR_INVALID', `The certificate request cannot be read: ${why}.`, {
    facts,
    cause,
  })
}

function refused(what: string): AssentError {
  return new AssentError('KMS_CSR_REFUSED', `The certificate request asks for ${what}.`)
}
