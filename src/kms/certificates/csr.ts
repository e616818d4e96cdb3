/**
 * dstack's certificate signing requests, version 1 and 2: what an app wants certified, with its quote.
 *
 * dstack signs any name for any time; here both are bounded, and everything it asks for today fits.
 */
import { AssentError } from '../../errors/index.ts'
import { concatBytes } from '../../lib/bytes.ts'
import { ScaleReader, scaleBytes, scaleCompact, scaleText } from '../../lib/scale.ts'
import { type Attestation, decodeAttestation, encodeAttestation } from '../../quote/attestation.ts'
import { parseQuote } from '../../quote/parse.ts'
import { verifyEcdsa } from '../keys/ecdsa.ts'
import { defaultLifetime, earliestNotBefore } from './certificate.ts'
import { canonicalAddress, isHostName, standsFor } from './certificate-names.ts'
import { toAttestation } from './ratls.ts'

export interface CertificateRequest {
  /** SubjectPublicKeyInfo, P-256, DER. */
  readonly spki: Uint8Array
  readonly organization: string | undefined
  readonly subject: string
  readonly names: readonly string[]
  readonly serverAuth: boolean
  readonly clientAuth: boolean
  /** The certificate shall carry the attestation. */
  readonly withQuote: boolean
  /** The certificate shall carry what the attestation says about the app. */
  readonly withAppInfo: boolean
  /** Unix seconds. */
  readonly notBefore: number | undefined
  readonly notAfter: number | undefined
  readonly attestation: Attestation
}

const confirmation = 'please sign cert:'
const maxNames = 64
const maxCommonName = 253
const maxOrganization = 64

/**
 * The key that a request wants certified: what its signature is checked with, before the rest is read.
 *
 * @throws KMS_CSR_INVALID
 */
export function readRequestKey(bytes: Uint8Array): Uint8Array {
  return readStart(new ScaleReader(bytes, malformed))
}

function readStart(reader: ScaleReader): Uint8Array {
  if (reader.text('confirm') !== confirmation) throw malformed('it does not ask for a certificate')
  return reader.bytes('pubkey')
}

/** @throws KMS_CSR_INVALID, ATTESTATION_MALFORMED, EVENT_LOG_MALFORMED */
export function parseCertificateRequest(version: 1 | 2, bytes: Uint8Array): CertificateRequest {
  const reader = new ScaleReader(bytes, malformed)
  const spki = readStart(reader)
  const wishes = {
    organization: reader.option('organization', () => reader.text('organization')),
    subject: reader.text('subject'),
    names: reader.list('names', () => reader.text('name')),
    serverAuth: reader.bool('server auth'),
    clientAuth: reader.bool('client auth'),
    withQuote: reader.bool('ext_quote'),
  }
  if (version === 1) {
    const attestation = legacyAttestation(reader)
    const unset = { withAppInfo: false, notBefore: undefined, notAfter: undefined }
    return { spki, ...wishes, ...unset, attestation }
  }
  const withAppInfo = reader.bool('ext_app_info')
  const notBefore = reader.option('not_before', () => toSeconds(reader.u64('not_before')))
  const notAfter = reader.option('not_after', () => toSeconds(reader.u64('not_after')))
  const attestation = decodeAttestation(reader.rest())
  return { spki, ...wishes, withAppInfo, notBefore, notAfter, attestation }
}

/** Version 2, as a guest writes it. */
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

/** ECDSA with SHA-256 over the whole request, DER, by the key to be certified. @throws KMS_CSR_UNSIGNED */
export function requireSigned(bytes: Uint8Array, signature: Uint8Array, spki: Uint8Array): void {
  if (verifyEcdsa(bytes, signature, spki)) return
  throw new AssentError('KMS_CSR_UNSIGNED', 'Failed to verify csr signature: Invalid signature')
}

/**
 * What a certificate may say. Guests that check the root and the name only would take an app with a certificate in the
 * KMS's own name for the KMS, so no app gets one.
 *
 * @param ownName host name or address under which this KMS serves
 * @throws KMS_CSR_REFUSED
 */
export function requireAllowedRequest(
  request: CertificateRequest,
  now: number,
  ownName: string,
): void {
  const { subject, organization = '', names } = request
  requireText('the subject', subject, maxCommonName)
  requireText('the organization', organization, maxOrganization)
  if (names.length > maxNames) throw refused(`more than ${maxNames} names`)
  const odd = names.find((name) => !isHostName(name) && canonicalAddress(name) === undefined)
  if (odd !== undefined) throw refused('a name that is neither a host’s nor an address')
  if ([subject, ...names].some((name) => standsFor(name, ownName))) {
    throw refused('the name of this KMS')
  }
  const notBefore = request.notBefore ?? earliestNotBefore
  const notAfter = request.notAfter ?? now + defaultLifetime
  if (notBefore < earliestNotBefore || notAfter > now + defaultLifetime || notBefore >= notAfter) {
    throw refused('a validity outside of 1975 to ten years from now')
  }
}

function requireText(what: string, text: string, longestText: number): void {
  if ([...text].length > longestText)
    throw refused(`${what} of more than ${longestText} characters`)
  if (/\p{Cc}/u.test(text)) throw refused(`${what} with control characters`)
}

function legacyAttestation(reader: ScaleReader): Attestation {
  const quote = reader.bytes('quote')
  const eventLog = reader.text('event log')
  reader.end()
  return toAttestation({ quote, eventLog, vmConfig: '' }, parseQuote(quote).report.reportData)
}

function toSeconds(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('it has a time that never comes')
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
