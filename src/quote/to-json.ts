/** A quote and a verdict as plain JSON, for people and other programs: bytes as lower-case hex. */
import { isAssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import { parseCertificate } from './certificates/certificate.ts'
import type { Quote } from './parse.ts'
import type { Verified } from './verdict.ts'

/** What a quote claims. Nothing of it is verified. */
export function describeQuote(quote: Quote) {
  const { header, qeReport } = quote
  return {
    version: quote.version,
    bodyType: quote.bodyType,
    length: quote.length,
    header: { qeVendorId: toHex(header.qeVendorId), userData: toHex(header.userData) },
    report: hexFields(quote.report),
    attestationKey: toHex(quote.attestationKey),
    qeReport: {
      cpuSvn: toHex(qeReport.cpuSvn),
      miscSelect: qeReport.miscSelect,
      attributes: toHex(qeReport.attributes),
      mrEnclave: toHex(qeReport.mrEnclave),
      mrSigner: toHex(qeReport.mrSigner),
      isvProdId: qeReport.isvProdId,
      isvSvn: qeReport.isvSvn,
      reportData: toHex(qeReport.reportData),
    },
    qeAuthData: toHex(quote.qeAuthData),
    pck: describePck(quote),
  }
}

/** The leaf of the quote's chain, or why it cannot be read. */
function describePck({ pckChain }: Quote) {
  try {
    const pck = parseCertificate(pckChain[0] as Uint8Array, 'PCK certificate')
    const { serial, subjectCommonName, notBefore, notAfter, sgx } = pck
    const validity = { notBefore, notAfter }
    return { serial, subjectCommonName, ...validity, ...(sgx ? hexFields(sgx) : {}) }
  } catch (error) {
    if (isAssentError(error)) return { code: error.code, message: error.message }
    throw error
  }
}

/** What a verified quote proves, the answer first. */
export function describeVerdict(verified: Verified) {
  const { verdict, status, tcbDate, advisoryIds, quote, ...rest } = verified
  const answer = { verdict, status, tcbDate, advisoryIds }
  return { ...answer, ...hexFields(rest), quote: describeQuote(quote) }
}

/** Bytes become hex, at any depth. */
type HexEncoded<T> = T extends Uint8Array
  ? string
  : T extends readonly (infer Item)[]
    ? HexEncoded<Item>[]
    : T extends object
      ? { [Key in keyof T]: HexEncoded<T[Key]> }
      : T

/** `value` with all bytes in it as lower-case hex. */
export function hexFields<T>(value: T): HexEncoded<T> {
  if (value instanceof Uint8Array) return toHex(value) as HexEncoded<T>
  if (Array.isArray(value)) return value.map(hexFields) as HexEncoded<T>
  if (typeof value !== 'object' || value === null) return value as HexEncoded<T>
  const fields = Object.entries(value).map(([key, field]) => [key, hexFields(field)])
  return Object.fromEntries(fields) as HexEncoded<T>
}
