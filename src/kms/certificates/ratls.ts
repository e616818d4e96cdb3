/**
 * RA-TLS: certificates that carry a quote over their own key.
 *
 * A chain to the temporary CA proves nothing, because its private key is public. A self-signed certificate proves
 * nothing either. Only the quote counts, and its report data must be bound to the certificate's key.
 */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import {
  type Attestation,
  type AttestedEvent,
  decodeAttestation,
  decodeAttestedQuote,
  encodeAttestation,
  quoteOf,
} from '../../quote/attestation.ts'
import {
  parseEventLog,
  runtimeEventDigest,
  runtimeEventPreimage,
} from '../../quote/measurements/event-log.ts'
import { reportData } from '../../quote/measurements/measure.ts'
import { parseQuote, type Quote } from '../../quote/parse.ts'
import type { QuoteSource, RawAttestation } from '../../tee/source.ts'
import { encodeSpki } from '../keys/derive.ts'
import {
  type CertificateAuthority,
  type CertificateFacts,
  extensionIds,
  isSignedBy,
  issueLeaf,
  issueSelfSigned,
  type LeafRequest,
  readCertificate,
} from './certificate.ts'

const runtimeRegister = 3

/** The report data that binds a quote to the key of a certificate (SubjectPublicKeyInfo, DER). */
export function certificateReportData(spki: Uint8Array): Uint8Array {
  return reportData('ratls-cert', spki)
}

/**
 * Checks of a self-signed client certificate what TLS checks of one under the temporary CA: signature, dates, critical
 * extensions, and that it may be used by a client (RFC 5280 §4.2.1.12).
 *
 * @param now Unix seconds
 * @param reason why TLS did not accept the chain, for the facts of the error
 *
 * @throws KMS_CLIENT_UNTRUSTED, KMS_CERTIFICATE_INVALID
 */
export function requireSelfIssued(der: Uint8Array, now: number, reason: string): void {
  const certificate = readCertificate(der)
  const { issuer, subject, spki, notBefore, notAfter, hasUnknownCritical, mayBeClient } =
    certificate
  const isSelfIssued = equalBytes(issuer, subject) && isSignedBy(certificate, spki)
  const isCurrent = notBefore <= now && now <= notAfter
  if (isSelfIssued && isCurrent && mayBeClient && !hasUnknownCritical) return
  throw new AssentError(
    'KMS_CLIENT_UNTRUSTED',
    'invalid client certificate: signed by neither the temporary CA nor its own key, or not valid now',
    { facts: { reason, isSelfIssued, isCurrent, mayBeClient, hasUnknownCritical } },
  )
}

/** Gets a quote over 64 bytes of report data, as dstack's attestation. @throws TEE_*, EVENT_LOG_MALFORMED */
export async function attest(source: QuoteSource, data: Uint8Array): Promise<Attestation> {
  return toAttestation(await source.attest(data), data)
}

/** Quote, event log and VM configuration as dstack's attestation. @throws EVENT_LOG_MALFORMED */
export function toAttestation(evidence: RawAttestation, data: Uint8Array): Attestation {
  const eventLog = parseEventLog(evidence.eventLog)
  return {
    quote: evidence.quote,
    eventLog,
    runtimeEvents: runtimeEventsOf(eventLog),
    reportData: data,
    config: evidence.vmConfig,
  }
}

/** A self-signed certificate with a quote over its key, as guests of newer dstack versions make it. */
export async function selfIssueAttested(
  key: Uint8Array,
  request: Omit<LeafRequest, 'spki'>,
  source: QuoteSource,
  now: number,
): Promise<Uint8Array> {
  const extensions = await attestedExtensions(encodeSpki(key), request, source)
  return issueSelfSigned(key, { ...request, extensions }, now)
}

/** A leaf with a quote over its key, signed by `issuer`. */
export async function issueAttested(
  issuer: CertificateAuthority,
  request: LeafRequest,
  source: QuoteSource,
  now: number,
): Promise<Uint8Array> {
  const extensions = await attestedExtensions(request.spki, request, source)
  return issueLeaf(issuer, { ...request, extensions }, now)
}

async function attestedExtensions(
  spki: Uint8Array,
  request: Pick<LeafRequest, 'extensions'>,
  source: QuoteSource,
): Promise<Map<string, Uint8Array>> {
  const attestation = await attest(source, certificateReportData(spki))
  const extensions = new Map(request.extensions)
  return extensions.set(extensionIds.attestation, encodeAttestation(certificateForm(attestation)))
}

/**
 * The attestation with the part of the event log that a verifier needs: the events of RTMR3 and the ACPI digests. A
 * runtime event of version 1 needs no digest. For version 2, dstack's verifier compares digest and preimage, so both
 * are written.
 */
export function certificateForm(attestation: Attestation): Attestation {
  const eventLog = attestation.eventLog
    .filter((event) => event.imr === runtimeRegister || isAcpi(event))
    .map(toCertificateForm)
  return { ...attestation, eventLog }
}

function toCertificateForm(event: AttestedEvent): AttestedEvent {
  if (event.imr !== runtimeRegister) return event
  if (event.version === 1) return { ...event, digest: nothing }
  const preimage = runtimeEventPreimage(event.event, event.payload, event.version)
  const digest = runtimeEventDigest(event.event, event.payload, event.version)
  return { ...event, digest, preimage }
}

const nothing = new Uint8Array()

/**
 * The attestation in a certificate, in the current or the legacy form.
 *
 * @returns undefined if the certificate has no quote
 * @throws KMS_EVIDENCE_INVALID, ATTESTATION_MALFORMED, EVENT_LOG_MALFORMED
 */
export function readAttestation(certificate: CertificateFacts): Attestation | undefined {
  const current = certificate.extensions.get(extensionIds.attestation)
  if (current !== undefined) return decodeAttestation(current)
  const quote = certificate.extensions.get(extensionIds.quote)
  if (quote === undefined) return undefined
  const log = certificate.extensions.get(extensionIds.eventLog)
  if (log === undefined) {
    throw new AssentError('KMS_EVIDENCE_INVALID', 'missing event log')
  }
  const evidence = { quote, eventLog: Buffer.from(log).toString('utf8'), vmConfig: '' }
  return toAttestation(evidence, parseQuote(quote).report.reportData)
}

/**
 * The quote in a certificate, after checking that it is bound to the certificate's key. The event log is not decoded.
 *
 * @returns undefined if the certificate has no quote
 * @throws KMS_REPORT_DATA_UNBOUND, ATTESTATION_MALFORMED, QUOTE_*
 */
export function readBoundQuote({ extensions, spki }: CertificateFacts): Quote | undefined {
  const current = extensions.get(extensionIds.attestation)
  const legacy = extensions.get(extensionIds.quote)
  const quote = current !== undefined ? decodeAttestedQuote(current) : legacy && parseQuote(legacy)
  if (quote !== undefined) requireBoundQuote(quote, spki)
  return quote
}

/**
 * Key and attestation of a peer's certificate, after checking that the quote is bound to the key.
 *
 * @throws KMS_REPORT_DATA_UNBOUND, KMS_EVIDENCE_INVALID, KMS_CERTIFICATE_INVALID
 */
export function readBoundAttestation(der: Uint8Array): {
  spki: Uint8Array
  attestation: Attestation | undefined
} {
  const certificate = readCertificate(der)
  const attestation = readAttestation(certificate)
  if (attestation !== undefined) requireBound(attestation, certificate.spki)
  return { spki: certificate.spki, attestation }
}

/** Checks that the quote was made for this key. @throws KMS_REPORT_DATA_UNBOUND for a replayed or foreign quote */
export function requireBound(attestation: Attestation, spki: Uint8Array): void {
  requireBoundQuote(quoteOf(attestation), spki)
  // the copy next to the quote must be equal, or two readers could see different values
  requireReportData(attestation.reportData, spki)
}

/** The same before the rest of the attestation is decoded. @throws KMS_REPORT_DATA_UNBOUND */
export function requireBoundQuote({ report }: Quote, spki: Uint8Array): void {
  requireReportData(report.reportData, spki)
}

function requireReportData(found: Uint8Array, spki: Uint8Array): void {
  const expected = certificateReportData(spki)
  if (equalBytes(found, expected)) return
  throw new AssentError('KMS_REPORT_DATA_UNBOUND', 'report data mismatch', {
    facts: { expected: toHex(expected), found: toHex(found) },
  })
}

function runtimeEventsOf(log: readonly AttestedEvent[]) {
  return log
    .filter(({ imr }) => imr === runtimeRegister)
    .map(({ event, payload, version }) => ({ name: event, payload, version }))
}

function isAcpi({ imr, payload }: AttestedEvent): boolean {
  return imr === 0 && Buffer.from(payload).toString('latin1') === 'ACPI DATA'
}
