/**
 * Everything that can go wrong, by stable code.
 *
 * Tests and callers use the code, people read the sentence, `docs/errors.md` is generated from the
 * tables. A code is never reused for another meaning and never renamed within a major version.
 */
import { boundedFacts, boundedText, maxMessage } from './bounded.ts'
import { chainErrors } from './chain.ts'
import { cliErrors } from './cli.ts'
import { commonErrors } from './common.ts'
import { consensusErrors } from './consensus.ts'
import { kmsErrors } from './kms.ts'
import { quoteErrors } from './quote.ts'
import { relayerErrors } from './relayer.ts'
import { teeErrors } from './tee.ts'

/** What a code means to whoever meets it. */
export interface ErrorEntry {
  /** Why it happens, in one sentence. */
  readonly why: string
  /** What to do about it. */
  readonly fix: string
}

export const errorCatalogue = {
  ...commonErrors,
  ...quoteErrors,
  ...teeErrors,
  ...chainErrors,
  ...consensusErrors,
  ...relayerErrors,
  ...kmsErrors,
  ...cliErrors,
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorCatalogue

export interface ErrorOptions {
  /** The error below this one. */
  readonly cause?: unknown
  /** What was found and expected, for logs and machines. Never a secret. */
  readonly facts?: Readonly<Record<string, unknown>>
  /** What to do here, where that is more than the catalogue's general advice. */
  readonly hint?: string
}

/**
 * The one error class of Assent: a stable code, a sentence, the facts, the cause. Sentence and facts are cut where
 * they are too long (`bounded.ts`), since they may hold what a peer sent.
 */
export class AssentError extends Error {
  override readonly name = 'AssentError'
  readonly code: ErrorCode
  readonly facts: Readonly<Record<string, unknown>>
  readonly hint: string

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(boundedText(message, maxMessage), { cause: options.cause })
    this.code = code
    this.facts = boundedFacts(options.facts ?? {})
    this.hint = options.hint ?? errorCatalogue[code].fix
  }

  /** Machine-readable form for `--json` and HTTP bodies. */
  toJSON(): { code: ErrorCode; message: string; facts: Record<string, unknown>; hint: string } {
    return { code: this.code, message: this.message, facts: { ...this.facts }, hint: this.hint }
  }
}

/** Whether `error` is an AssentError, with this code if one is given. */
export function isAssentError(error: unknown, code?: ErrorCode): error is AssentError {
  return error instanceof AssentError && (code === undefined || error.code === code)
}
