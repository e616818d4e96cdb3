/**
 * Quotes in the forms in which people have them: raw bytes, text, answers of dstack's guest agent, and certificates.
 *
 * The form is detected from the content. Content that can be read in two ways is refused. Nothing here is verified.
 */
import { AssentError } from '../errors/index.ts'
import { equalBytes, fromHex, toHex } from '../lib/bytes.ts'
import { type JsonLimits, readJson } from '../lib/json.ts'
import { type Attestation, decodeAttestation } from '../quote/attestation.ts'
import { parseQuote } from '../quote/parse.ts'
import { readCertificateEvidence } from './certificate-evidence.ts'

/** A quote with the data that came with it. */
export type EvidenceForm =
  /** the bytes of a quote, or a text of them */
  | 'quote'
  /** an answer of the guest agent to GetQuote */
  | 'GetQuote'
  /** an answer of the guest agent to Attest, or the VersionedAttestation in it */
  | 'Attest'
  | 'certificate'

/** A quote with everything that came with it. */
export interface QuoteEvidence {
  readonly form: EvidenceForm
  /** Raw bytes; perhaps no quote at all, which its parser says. */
  readonly quote: Uint8Array
  /**
   * Quote, event log and VM configuration; absent if only the quote is there.
   *
   * @throws EVENT_LOG_*, ATTESTATION_*, KMS_EVIDENCE_INVALID
   */
  readonly attestation?: () => Promise<Attestation>
  /** The certificate that the quote is in, DER. */
  readonly certificate?: Uint8Array
}

/** No evidence is larger: an attestation has at most 10 MiB, and its hex twice as much. */
export const maxEvidenceBytes = 24 * 1024 * 1024

/**
 * Reads evidence in any form: a quote, a VersionedAttestation or a certificate (DER) as bytes, as hex (also in lines, as
 * `xxd -p` writes) or as base64; certificates in PEM, the first of which counts; and JSON: the answers of dstack's guest
 * agent (GetQuote and Attest, API v0 and v1), or a list of bytes.
 *
 * @throws QUOTE_MISSING if the content has no quote
 * @throws QUOTE_AMBIGUOUS if it can be read in two ways
 * @throws HEX_INVALID, ATTESTATION_*, KMS_CERTIFICATE_INVALID, INPUT_TOO_LARGE
 *
 * @example
 * const { quote } = await readEvidence(await readFile('answer.json'))
 */
export async function readEvidence(bytes: Uint8Array): Promise<QuoteEvidence> {
  const text = textOf(bytes)
  if (text === undefined) return readBinary(bytes)
  if (text.startsWith('{') || text.startsWith('[')) return readJsonEvidence(text)
  if (text.startsWith('-----BEGIN ')) return readCertificateEvidence(firstCertificate(text))
  const decoded = decodeText(text)
  return decoded === undefined ? { form: 'quote', quote: bytes } : readBinary(decoded)
}

/** Printable ASCII, without the space around it. A raw quote starts with a version and a zero byte. */
function textOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString('latin1')
  return /^[\t\n\r\x20-\x7e]*$/.test(text) ? text.trim() : undefined
}

/* BYTES */

function readBinary(bytes: Uint8Array): QuoteEvidence | Promise<QuoteEvidence> {
  const kind = kindOf(bytes)
  if (kind === 'attestation') return readVersionedAttestation(bytes)
  if (kind === 'certificate') return readCertificateEvidence(bytes)
  return { form: 'quote', quote: bytes }
}

/** Detects the kind of content from its first bytes. No content is of two kinds. */
function kindOf(bytes: Uint8Array): 'quote' | 'attestation' | 'certificate' | undefined {
  const [first = -1, second = -1] = bytes
  // version of a quote (16 bits), or type TDX (32 bits at offset 4) behind a version that its parser names
  if ((first === 4 || first === 5) && second === 0) return 'quote'
  if (toHex(bytes.subarray(4, 8)) === '81000000') return 'quote'
  // version 0 of one of five platforms, or a MessagePack map
  if (first === 0 && second >= 0 && second <= 4) return 'attestation'
  if ((first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf) return 'attestation'
  // a DER sequence with a length of two bytes
  if (first === 0x30 && second === 0x82) return 'certificate'
  return undefined
}

function readVersionedAttestation(bytes: Uint8Array): QuoteEvidence {
  const attestation = decodeAttestation(bytes)
  return { form: 'Attest', quote: attestation.quote, attestation: async () => attestation }
}

/* TEXT */

/** The bytes of hex or base64; undefined for another text. @throws QUOTE_AMBIGUOUS, HEX_INVALID */
function decodeText(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, '')
  if (digits === '') return undefined
  const isHex = /^(?:0x)?[0-9a-fA-F]+$/.test(digits)
  const base64 = decodeBase64(digits)
  if (!isHex) return base64
  const isAlsoBase64 = base64 !== undefined && kindOf(base64) !== undefined
  const hex = /^(?:0x)?(?:..)*$/.test(digits) ? fromHex(digits, 'evidence') : undefined
  const isMeantAsHex = hex !== undefined && kindOf(hex) !== undefined
  if (isAlsoBase64 && isMeantAsHex) throw ambiguous('It is a quote both as hex and as base64.')
  if (isAlsoBase64) return base64
  return hex ?? fromHex(digits, 'quote')
}

function decodeBase64(digits: string): Uint8Array | undefined {
  const decoded = Buffer.from(digits, 'base64')
  return decoded.toString('base64') === digits ? new Uint8Array(decoded) : undefined
}

/** @throws QUOTE_MISSING */
function firstCertificate(pem: string): Uint8Array {
  const block = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem)
  const der = decodeBase64((block?.[1] ?? '').replace(/\s+/g, ''))
  if (block !== null && der !== undefined) return der
  throw missing('The PEM text has no certificate.')
}

/* JSON */

/** An event log as a list has objects of up to seven members, evidence about GPUs is nested deeper. */
const jsonLimits: JsonLimits = { depth: 12, values: 200_000 }

const decidingMembers = ['quote', 'attestation', 'event_log', 'vm_config'] as const

async function readJsonEvidence(text: string): Promise<QuoteEvidence> {
  const { value, repeated } = parse(text)
  if (Array.isArray(value)) return { form: 'quote', quote: bytesOfList(value) }
  const twice = decidingMembers.find((name) => repeated.has(name))
  if (twice !== undefined) throw ambiguous(`The JSON object has the member ${twice} twice.`)
  return readAnswer(value as Record<string, unknown>)
}

function parse(text: string) {
  try {
    return readJson(text, jsonLimits)
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('QUOTE_MISSING', 'The file begins like JSON, but is not JSON.', { cause })
  }
}

function bytesOfList(list: readonly unknown[]): Uint8Array {
  const isBytes = list.every((each) => Number.isInteger(each) && (each as number) >= 0)
  if (isBytes && list.every((each) => (each as number) < 256)) {
    return Uint8Array.from(list as number[])
  }
  throw missing('The JSON list is not a list of bytes.')
}

/** An answer of the guest agent. Members that are empty count as absent, as in protobuf. */
function readAnswer(answer: Record<string, unknown>): QuoteEvidence {
  const quoted = textMember(answer, 'quote')
  const attested = textMember(answer, 'attestation')
  const attestation =
    attested === '' ? undefined : readVersionedAttestation(fromHex(attested, 'attestation'))
  if (quoted === '') {
    if (attestation !== undefined) return attestation
    throw missing('The JSON object has neither a quote nor an attestation.', {
      members: Object.keys(answer).slice(0, 10),
    })
  }
  const quote = decodeText(quoted) ?? fromHex(quoted, 'quote')
  if (attestation !== undefined && !isSameQuote(attestation.quote, quote)) {
    throw ambiguous('The members quote and attestation contain two different quotes.')
  }
  if (attestation !== undefined) return { ...attestation, form: 'GetQuote' }
  if (isEmptyLog(answer.event_log)) return { form: 'GetQuote', quote }
  return { form: 'GetQuote', quote, attestation: () => attestationOf(answer, quote) }
}

/** Without the padding after it. @throws QUOTE_* */
function isSameQuote(a: Uint8Array, b: Uint8Array): boolean {
  const [one, other] = [a, b].map((quote) => quote.subarray(0, parseQuote(quote).length))
  return one !== undefined && other !== undefined && equalBytes(one, other)
}

/** @throws QUOTE_MISSING if it is not text */
function textMember(answer: Record<string, unknown>, name: string): string {
  const value = answer[name] ?? ''
  if (typeof value === 'string') return value
  throw missing(`The member ${name} of the JSON object is not text.`)
}

function isEmptyLog(log: unknown): boolean {
  if (typeof log === 'string') return /^\s*(?:\[\s*\])?\s*$/.test(log)
  return log === undefined || log === null || (Array.isArray(log) && log.length === 0)
}

async function attestationOf(
  answer: Record<string, unknown>,
  quote: Uint8Array,
): Promise<Attestation> {
  const { toAttestation } = await import('../kms/certificates/ratls.ts')
  const { event_log: log } = answer
  const eventLog = typeof log === 'string' ? log : JSON.stringify(log)
  const vmConfig = textMember(answer, 'vm_config')
  const { reportData } = parseQuote(quote).report
  const stated = fromHex(textMember(answer, 'report_data'), 'report_data')
  if (stated.length > 0 && !equalBytes(stated, reportData)) {
    throw ambiguous('The member report_data differs from the report data in the quote.')
  }
  return toAttestation({ quote, eventLog, vmConfig }, reportData)
}

/* ERRORS */

function ambiguous(message: string): AssentError {
  return new AssentError('QUOTE_AMBIGUOUS', message)
}

function missing(message: string, facts: Record<string, unknown> = {}): AssentError {
  return new AssentError('QUOTE_MISSING', message, { facts })
}
