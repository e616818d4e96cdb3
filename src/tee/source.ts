/** Where a program inside a CVM gets its quotes from. */
import { AssentError } from '../errors/index.ts'
import { equalBytes, toHex } from '../lib/bytes.ts'
import { parseQuote } from '../quote/parse.ts'

/** A quote and what is needed to understand it. */
export interface RawAttestation {
  readonly quote: Uint8Array
  /** JSON, as the guest agent renders it; `[]` where the source knows no log. */
  readonly eventLog: string
  /** JSON, as the host described the machine; empty where the source does not know it. */
  readonly vmConfig: string
}

export interface QuoteSource {
  /**
   * A quote over exactly these 64 bytes.
   *
   * @throws TEE_UNAVAILABLE, TEE_TIMEOUT, TEE_REFUSED, TEE_ANSWER_INVALID, TEE_REPORT_DATA_MISMATCH
   */
  attest(reportData: Uint8Array): Promise<RawAttestation>
}

/**
 * What every source checks before it hands a quote out.
 *
 * @throws TEE_REPORT_DATA_MISMATCH, TEE_ANSWER_INVALID
 */
export function requireReportData(quote: Uint8Array, reportData: Uint8Array): void {
  const quoted = readReportData(quote)
  if (equalBytes(quoted, reportData)) return
  throw new AssentError(
    'TEE_REPORT_DATA_MISMATCH',
    'The quote is over other report data than was asked for.',
    { facts: { asked: toHex(reportData), quoted: toHex(quoted) } },
  )
}

function readReportData(quote: Uint8Array): Uint8Array {
  try {
    return parseQuote(quote).report.reportData
  } catch (cause) {
    throw new AssentError('TEE_ANSWER_INVALID', 'The source of quotes gave no TDX quote.', {
      cause,
    })
  }
}
