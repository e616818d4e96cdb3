/**
 * TLS certificates that carry a quote over their own key.
 *
 * A chain to the temp CA proves nothing, since its private key is public, and neither does a certificate that its own
 * key signed; the quote in the certificate, bound to the certificate's key, is all that counts.
 */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import {
  type Attestation,
  type AttestedEvent,
  decodeAttestation,
  encodeAttestation,
  quoteOf,
} from '../../quote/attestation.ts'
import {
  parseEventLog,
  runtimeEventDigest,
  runtimeEventPreimage,
} from '../../quote/measurements/event-log.ts'
import { reportData } from '../../quote/measurements/measure.ts'
import { parseQuote } from '../../quote/parse.ts'
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
 * What a chain to the temp CA shows of a client's certificate, for one that its own key signed: signature, dates, and
 * that it may be a client's.
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
    'invalid client certificate: neither the temporary CA nor its own key vouches for it',
    { facts: { reason, isSelfIssued, isCurrent, mayBeClient, hasUnknownCritical } },
  )
}

/** Asks for a quote over these 64 bytes and puts it into dstack's form. */
export async function attest(source: QuoteSource, data: Uint8Array): Promise<Attestation> {
  return toAttestation(await source.attest(data), data)
}

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

/** A certificate that its own key signs and that carries a quote over this key. */
export async function selfIssueAttested(
  key: Uint8Array,
  request: Omit<LeafRequest, 'spki'>,
  source: QuoteSource,
  now: number,
): Promise<Uint8Array> {
  const extensions = await attestedExtensions(encodeSpki(key), request, source)
  return issueSelfSigned(key, { ...request, extensions }, now)
}

/** A leaf whose certificate carries a quote over its own key. */
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
 * Certificates carry only what a verifier cannot do without: RTMR3's events and the ACPI digests. A runtime event of
 * version 1 needs no digest; for one of version 2 dstack's verifier compares digest and preimage, so both are there.
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

/** What a peer's certificate says, or `undefined` where it carries no quote. @throws KMS_EVIDENCE_INVALID */
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

/** The peer's key and attestation, bound to each other. @throws KMS_REPORT_DATA_UNBOUND, KMS_EVIDENCE_INVALID */
export function readBoundAttestation(der: Uint8Array): {
  spki: Uint8Array
  attestation: Attestation | undefined
} {
  const certificate = readCertificate(der)
  const attestation = readAttestation(certificate)
  if (attestation !== undefined) requireBound(attestation, certificate.spki)
  return { spki: certificate.spki, attestation }
}

/** @throws KMS_REPORT_DATA_UNBOUND: a quote recorded elsewhere, or made for another key */
export function requireBound(attestation: Attestation, spki: Uint8Array): void {
  const expected = certificateReportData(spki)
  const quoted = quoteOf(attestation).report.reportData
  // the copy beside the quote must agree too, or two readers could see two things
  if (equalBytes(quoted, expected) && equalBytes(attestation.reportData, expected)) return
  throw new AssentError('KMS_REPORT_DATA_UNBOUND', 'report data mismatch', {
    facts: { expected: toHex(expected), found: toHex(quoted) },
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
