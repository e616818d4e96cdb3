/** PEM certificate chains as Intel writes them (RFC 7468 §3, the strict form). */
import { AssentError } from '../../errors/index.ts'

/** Genuine chains have two or three certificates. A few more are read, so that the verifier can name the mistake. */
const MAX_CERTIFICATES = 8

const begin = '-----BEGIN CERTIFICATE-----\n'
const end = '-----END CERTIFICATE-----'
const lineLength = 64

/** The source of a certificate chain. */
export interface PemPlace {
  /** Name of the chain in error messages. */
  readonly field: string
  /** Position of the chain in its document, for error messages. */
  readonly offset?: number
  /** Accepts one NUL after the chain, as in quotes. */
  readonly trailingNul?: boolean
}

/**
 * Splits a PEM chain into DER certificates, in the written order.
 *
 * Nothing but certificates is accepted: no text between them, no other line length, no second encoding of the same
 * bytes.
 *
 * @throws QUOTE_PEM_MALFORMED
 */
export function splitPemChain(pem: Uint8Array | string, place: PemPlace): Uint8Array[] {
  const text = typeof pem === 'string' ? pem : asBuffer(pem).toString('latin1')
  const length = place.trailingNul && text.endsWith('\0') ? text.length - 1 : text.length

  const chain: Uint8Array[] = []
  let position = 0
  while (position < length) {
    const bodyStart = position + begin.length
    const bodyEnd = text.indexOf(end, bodyStart)
    const next = bodyEnd + end.length
    if (!text.startsWith(begin, position) || bodyEnd < 0 || next > length) {
      throw malformed(place, position, 'is not a PEM certificate')
    }
    if (next !== length && text[next] !== '\n') throw malformed(place, next, 'lacks a line feed')
    if (chain.length === MAX_CERTIFICATES) {
      throw malformed(place, position, 'has too many certificates')
    }
    chain.push(decodeBase64(text.slice(bodyStart, bodyEnd), place, position))
    position = next === length ? next : next + 1
  }
  if (chain.length === 0) throw malformed(place, 0, 'has no certificate')
  return chain
}

/**
 * Node's decoder ignores what it does not know, so the bytes are encoded again and compared: only one text is accepted
 * for the same bytes.
 */
function decodeBase64(body: string, place: PemPlace, position: number): Uint8Array {
  const bytes = Buffer.from(body, 'base64')
  if (bytes.length === 0 || wrapLines(bytes.toString('base64')) !== body) {
    throw malformed(place, position, 'is not base64 in lines of 64 characters')
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Ends each line of 64 characters, and the last line, with a line feed. */
function wrapLines(text: string): string {
  let wrapped = ''
  for (let start = 0; start < text.length; start += lineLength) {
    wrapped += `${text.slice(start, start + lineLength)}\n`
  }
  return wrapped
}

/** A view of the same bytes. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

function malformed(place: PemPlace, position: number, what: string): AssentError {
  const offset = (place.offset ?? 0) + position
  return new AssentError('QUOTE_PEM_MALFORMED', `${place.field} ${what} at ${offset}.`, {
    facts: { field: place.field, offset, found: what, expected: 'PEM certificates' },
  })
}
