/** One case of the test of verdicts, and its outcome as text that is equal for equal outcomes. */
import { to0x } from '../../src/lib/bytes.ts'
import type { Verdict } from '../../src/quote/verdict.ts'

export interface VerdictCase {
  readonly name: string
  /** Hexadecimal. */
  readonly quote: string
  readonly collateral: unknown
  /** Hexadecimal DER, or Intel's. */
  readonly root: string
  /** Unix seconds. */
  readonly at: number
}

export function outcomeOf(
  judge: () => Verdict,
  isAssentError: (error: unknown) => error is Error & { code: string },
): string {
  try {
    return JSON.stringify(judge(), (_, value) =>
      value instanceof Uint8Array ? to0x(value) : value,
    )
  } catch (error) {
    if (isAssentError(error)) return `${error.code}: ${error.message}`
    throw error
  }
}
