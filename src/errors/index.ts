/**
 * Every error of Assent, by stable code.
 *
 * Tests and callers compare the code, people read the message. `docs/errors.md` is generated from these tables. A code
 * never gets another meaning and is not renamed within a major version.
 */
import { boundedFacts, boundedText, maxMessage } from './bounded.ts'
import { chainErrors } from './chain.ts'
import { cliErrors } from './cli.ts'
import { commonErrors } from './common.ts'
import { consensusErrors } from './consensus.ts'
import { indexerErrors } from './indexer.ts'
import { kmsErrors } from './kms.ts'
import { manifestErrors } from './manifest.ts'
import { quoteErrors } from './quote.ts'
import { relayerErrors } from './relayer.ts'
import { requestErrors } from './requests.ts'
import { rollupErrors } from './rollup.ts'
import { teeErrors } from './tee.ts'

/** The general explanation of one error code. */
export interface ErrorEntry {
  /** The cause, in one or two sentences. */
  readonly why: string
  /** The next step for the reader. */
  readonly fix: string
}

/**
 * Cause and next step of every error code.
 *
 * @example
 * const { why, fix } = errorCatalogue[error.code]
 */
export const errorCatalogue = {
  ...commonErrors,
  ...quoteErrors,
  ...teeErrors,
  ...chainErrors,
  ...consensusErrors,
  ...rollupErrors,
  ...requestErrors,
  ...relayerErrors,
  ...indexerErrors,
  ...kmsErrors,
  ...manifestErrors,
  ...cliErrors,
} as const satisfies Record<string, ErrorEntry>

/** A code of {@link errorCatalogue}, such as `'QUOTE_TRUNCATED'`. */
export type ErrorCode = keyof typeof errorCatalogue

/** Optional parts of an {@link AssentError}. */
export interface ErrorOptions {
  /** The error that led to this one. */
  readonly cause?: unknown
  /** What was found and what was expected, for logs and programs. Never put a secret here. */
  readonly facts?: Readonly<Record<string, unknown>>
  /** The next step in this case, if it is more specific than the catalogue's `fix`. */
  readonly hint?: string
}

/**
 * The only error class that Assent throws on purpose: a stable code, a message, facts, a next step and the cause.
 *
 * Message and facts may contain data from a peer, so long texts and lists are cut (see `bounded.ts`).
 *
 * @example
 * try {
 *   parseQuote(bytes)
 * } catch (error) {
 *   if (isAssentError(error, 'QUOTE_TRUNCATED')) console.error(error.message, error.facts, error.hint)
 *   else throw error
 * }
 */
export class AssentError extends Error {
  override readonly name = 'AssentError'
  /** Stable identifier; compare this and not the message. */
  readonly code: ErrorCode
  /** What was found and what was expected. Empty if there is nothing to add to the message. */
  readonly facts: Readonly<Record<string, unknown>>
  /** The next step for the reader. */
  readonly hint: string

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(boundedText(message, maxMessage), { cause: options.cause })
    this.code = code
    this.facts = boundedFacts(options.facts ?? {})
    this.hint = options.hint ?? errorCatalogue[code].fix
  }

  /** The form for `--json` output and HTTP bodies. It leaves out the cause and the stack. */
  toJSON(): { code: ErrorCode; message: string; facts: Record<string, unknown>; hint: string } {
    return { code: this.code, message: this.message, facts: { ...this.facts }, hint: this.hint }
  }
}

/**
 * Tells if a caught value is an {@link AssentError}.
 *
 * @param error any caught value
 * @param code if given, the error must also have this code
 * @example if (isAssentError(error, 'CHAIN_UNREACHABLE')) retryLater()
 */
export function isAssentError(error: unknown, code?: ErrorCode): error is AssentError {
  return error instanceof AssentError && (code === undefined || error.code === code)
}
