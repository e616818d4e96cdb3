/**
 * Shorter forms of a quote for the on-chain verifier. They prove the same as the raw quote: what is left
 * out is what anybody could replay, and the chain remembers it under a record's address.
 *
 * Layouts in `docs/verifier.md`; the first byte tells them apart from a raw quote, which begins with 4 or 5.
 */
import { AssentError } from '../errors/index.ts'
import { concatBytes } from '../lib/bytes.ts'
import type { Quote } from './parse.ts'

const leafForm = 0xa1
const knownPckForm = 0xa2
const knownKeyForm = 0xa3

/** With the PCK certificate in DER, without the rest of the chain. */
export function encodeWithLeaf(quote: Quote): Uint8Array {
  const [leaf] = quote.pckChain
  if (leaf === undefined || leaf.length > 0xffff) {
    throw new AssentError('QUOTE_CERTIFICATE_MALFORMED', 'The quote carries no PCK certificate.', {
      facts: { found: leaf?.length ?? 0, expected: 'a certificate of at most 65535 bytes' },
    })
  }
  return concatBytes(
    Uint8Array.of(leafForm),
    u16(leaf.length),
    leaf,
    qeParts(quote),
    quote.signedBytes,
  )
}

/** For a platform whose PCK certificate is in the record at `record` (20 bytes). */
export function encodeWithKnownPck(quote: Quote, record: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(knownPckForm), record, qeParts(quote), quote.signedBytes)
}

/** For an attestation key that is in the record of a host or of a verdict at `record` (20 bytes). */
export function encodeWithKnownKey(quote: Quote, record: Uint8Array): Uint8Array {
  const { signature, attestationKey, signedBytes } = quote
  return concatBytes(Uint8Array.of(knownKeyForm), record, signature, attestationKey, signedBytes)
}

/** A further quote of a batch, whose head has the same attestation key. */
export function encodeOfSameKey(quote: Quote): Uint8Array {
  return concatBytes(quote.signature, quote.signedBytes)
}

function qeParts(quote: Quote): Uint8Array {
  return concatBytes(
    quote.signature,
    quote.attestationKey,
    quote.qeReport.bytes,
    quote.qeReportSignature,
    u16(quote.qeAuthData.length),
    quote.qeAuthData,
  )
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8)
}
