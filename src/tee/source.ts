/** Interface of quote sources: where a program in a CVM gets quotes from. */
import { AssentError } from '../errors/index.ts'
import { equalBytes, toHex } from '../lib/bytes.ts'
import { parseQuote } from '../quote/parse.ts'

/** A quote, and what a verifier needs to interpret it. */
export interface RawAttestation {
  /** TDX quote, version 4 or 5. */
  readonly quote: Uint8Array
  /** Event log as JSON, in the form of dstack's guest agent; `[]` if the source has no event log. */
  readonly eventLog: string
  /** VM configuration as JSON from the host; empty if the source does not have it. */
  readonly vmConfig: string
}

/** A source of quotes: the guest agent, the kernel, or a simulated CVM. */
export interface QuoteSource {
  /**
   * Gets a quote with this report data.
   *
   * @param reportData 64 bytes
   * @throws TEE_UNAVAILABLE, TEE_TIMEOUT, TEE_REFUSED, TEE_ANSWER_INVALID, TEE_REPORT_DATA_MISMATCH
   */
  attest(reportData: Uint8Array): Promise<RawAttestation>
}

/**
 * Checks that a quote contains the requested report data. Every source does this before it returns a quote.
 *
 * @throws TEE_REPORT_DATA_MISMATCH, TEE_ANSWER_INVALID
 */
export function requireReportData(quote: Uint8Array, reportData: Uint8Array): void {
  const quoted = readReportData(quote)
  if (equalBytes(quoted, reportData)) return
  throw new AssentError(
    'TEE_REPORT_DATA_MISMATCH',
    'The quote contains other report data than requested.',
    { facts: { expected: toHex(reportData), found: toHex(quoted) } },
  )
}

function readReportData(quote: Uint8Array): Uint8Array {
  try {
    return parseQuote(quote).report.reportData
  } catch (cause) {
    throw new AssentError('TEE_ANSWER_INVALID', 'The quote source did not return a TDX quote.', {
      cause,
    })
  }
}
