/**
 * Compact quotes for the on-chain verifier. They prove the same as the raw quote: a compact quote leaves out public data
 * that is stored in a verification record on-chain.
 *
 * The layouts are in `docs/verifier.md`. The first byte distinguishes them from a raw quote, which starts with 4 or 5.
 */
import { AssentError } from '../errors/index.ts'
import { concatBytes } from '../lib/bytes.ts'
import type { Quote } from './parse.ts'

const leafForm = 0xa1
const knownPckForm = 0xa2
const knownKeyForm = 0xa3

/** Encodes a quote with its PCK certificate in DER, without the other certificates of the chain. */
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

/** Encodes a quote of a platform whose PCK certificate is in a record. @param record address, 20 bytes */
export function encodeWithKnownPck(quote: Quote, record: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(knownPckForm), record, qeParts(quote), quote.signedBytes)
}

/**
 * Encodes a quote whose attestation key is in a record of a PCK certificate or a TCB verdict. @param record address, 20
 * bytes
 */
export function encodeWithKnownKey(quote: Quote, record: Uint8Array): Uint8Array {
  const { signature, attestationKey, signedBytes } = quote
  return concatBytes(Uint8Array.of(knownKeyForm), record, signature, attestationKey, signedBytes)
}

/** Encodes another quote of a batch whose first quote has the same attestation key. */
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
