/** PEM certificate chains as Intel writes them (RFC 7468 §3, strict form). */
import { AssentError } from '../../errors/index.ts'

/** Chains have two or three certificates; a few more parse, so that the verifier can say why not. */
const MAX_CERTIFICATES = 8

const certificatePattern =
  /-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2}\n)-----END CERTIFICATE-----(\n?)/y

export interface PemPlace {
  /** what the chain is, for the error */
  readonly field: string
  /** where it starts in the bytes around it, for the error */
  readonly offset?: number
  /** quotes end the chain with one NUL */
  readonly trailingNul?: boolean
}

/**
 * Splits a PEM chain into DER certificates, in the order written.
 *
 * @throws QUOTE_PEM_MALFORMED
 */
export function splitPemChain(pem: Uint8Array | string, place: PemPlace): Uint8Array[] {
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1')
  const end = place.trailingNul && text.endsWith('\0') ? text.length - 1 : text.length

  const chain: Uint8Array[] = []
  let position = 0
  while (position < end) {
    certificatePattern.lastIndex = position
    const match = certificatePattern.exec(text)
    if (match === null || certificatePattern.lastIndex > end) {
      throw malformed(place, position, 'is not a PEM certificate')
    }
    const lastLine = match[2] === ''
    position = certificatePattern.lastIndex
    if (lastLine && position !== end) throw malformed(place, position, 'lacks a line feed')
    if (chain.length === MAX_CERTIFICATES)
      throw malformed(place, position, 'has too many certificates')
    chain.push(decodeBase64(match[1] as string, place, position))
  }
  if (chain.length === 0) throw malformed(place, 0, 'has no certificate')
  return chain
}

/** Strict: the bytes must encode back to the same text, so stray bits and wrong padding are refused. */
function decodeBase64(lines: string, place: PemPlace, position: number): Uint8Array {
  const text = lines.replaceAll('\n', '')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw malformed(place, position, 'has bad base64')
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function malformed(place: PemPlace, position: number, what: string): AssentError {
  const offset = (place.offset ?? 0) + position
  return new AssentError('QUOTE_PEM_MALFORMED', `${place.field} ${what} at ${offset}.`, {
    facts: { field: place.field, offset, found: what, expected: 'PEM certificates' },
  })
}
