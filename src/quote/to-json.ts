/** Quotes and verdicts as plain JSON, for people and other programs. Bytes are lower-case hex. */
import { isAssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import { parseCertificate } from './certificates/certificate.ts'
import { deviceId } from './measurements/measure.ts'
import type { Quote } from './parse.ts'
import type { Verified } from './verdict.ts'

/** Describes the content of a quote. Nothing in it is verified. */
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

/** Describes the PCK certificate, or the error if it cannot be parsed. */
function describePck({ pckChain }: Quote) {
  try {
    const pck = parseCertificate(pckChain[0] as Uint8Array, 'PCK certificate')
    const { serial, subjectCommonName, notBefore, notAfter, sgx } = pck
    const validity = { notBefore, notAfter }
    const named = { serial, subjectCommonName, ...validity }
    return sgx ? { ...named, deviceId: toHex(deviceId(sgx.ppid)), ...hexFields(sgx) } : named
  } catch (error) {
    if (isAssentError(error)) return { code: error.code, message: error.message }
    throw error
  }
}

/** Describes a verified quote; verdict and status come first. */
export function describeVerdict(verified: Verified) {
  const { verdict, status, tcbDate, advisoryIds, quote, ...rest } = verified
  const answer = { verdict, status, tcbDate, advisoryIds }
  return { ...answer, ...hexFields(rest), quote: describeQuote(quote) }
}

/** The type after bytes were replaced by hex, at any depth. */
type HexEncoded<T> = T extends Uint8Array
  ? string
  : T extends readonly (infer Item)[]
    ? HexEncoded<Item>[]
    : T extends object
      ? { [Key in keyof T]: HexEncoded<T[Key]> }
      : T

/** Copies a value and replaces all bytes in it by lower-case hex. */
export function hexFields<T>(value: T): HexEncoded<T> {
  if (value instanceof Uint8Array) return toHex(value) as HexEncoded<T>
  if (Array.isArray(value)) return value.map(hexFields) as HexEncoded<T>
  if (typeof value !== 'object' || value === null) return value as HexEncoded<T>
  const fields = Object.entries(value).map(([key, field]) => [key, hexFields(field)])
  return Object.fromEntries(fields) as HexEncoded<T>
}
