/** Where a program inside a CVM gets its quotes from. */

/** A quote and what is needed to understand it. */
export interface Evidence {
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
  attest(reportData: Uint8Array): Promise<Evidence>
}
