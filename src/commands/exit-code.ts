/** One rule for the exit codes of all commands. */
import { AssentError, type ErrorCode, isAssentError } from '../errors/index.ts'
import { malformedErrors } from '../errors/quote.ts'

/** Exit codes of `assent`. */
export const exitCodes = {
  /** Done, or the answer is yes. */
  yes: 0,
  /** The answer is no: rejected, denied, refused, failed. */
  no: 1,
  /** Wrong usage, input or configuration. Nothing was sent. */
  usage: 2,
  /** No complete answer: an outage, or something could not be checked. */
  unknown: 3,
} as const

/** The reader of the output stopped before there was an answer: 128 + SIGPIPE, as shells report it. */
export const outputClosed = 141

/** Ctrl-C at a question: 128 + SIGINT, as shells report it. */
const interrupted = 130

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** Codes that say that the question, a file or a setting was wrong. */
const usage: ReadonlySet<ErrorCode> = new Set([
  'USAGE_INVALID',
  'NAME_UNKNOWN',
  'NAME_AMBIGUOUS',
  'CONFIG_INVALID',
  'CASE_INCOMPLETE',
  'QUOTE_MISSING',
  'QUOTE_AMBIGUOUS',
  'ATTESTATION_MALFORMED',
  'ATTESTATION_UNSUPPORTED',
  'HEX_INVALID',
  'LENGTH_WRONG',
  'INPUT_INVALID',
  'INPUT_TOO_LARGE',
  'FILE_UNREADABLE',
  'FILE_EXISTS',
  'FILE_UNWRITABLE',
  'MANIFEST_INVALID',
  'COMPOSE_INVALID',
  'IMAGE_NOT_PINNED',
  'IMAGE_REFERENCE_INVALID',
  'ENV_INVALID',
  'MANIFEST_KMS_DIFFERS',
  'POLICY_INVALID',
  'DEPLOYMENT_INVALID',
  'DRAFT_INVALID',
  'EVIDENCE_INVALID',
  'SIGNER_UNCLEAR',
  'CONFIRMATION_MISSING',
  'CHAIN_ID_WRONG',
  'CONTRACT_MISSING',
  'CONTRACT_MISMATCH',
  'PROPOSAL_UNKNOWN',
  'IN_PROCESS_CHAIN_UNAVAILABLE',
  'COMPILER_MISSING',
  'KEYSTORE_INVALID',
  'KEYSTORE_PASSWORD',
  'SIGNER_WRONG',
  'ADDRESS_IN_USE',
  'ADDRESS_UNUSABLE',
] satisfies ErrorCode[])

/** Codes that say that nobody answered, or that an answer cannot be relied on. A fault of Assent itself is no answer. */
const outage =
  /^UNEXPECTED$|UNREACHABLE|UNAVAILABLE|TIMEOUT|NO_AGREEMENT|STALE|ANSWER_INVALID|NOT_READY|OVERLOADED|BEHIND_MEMORY|FORKED|PROOF_REFUSED|DISAGREES|SIMULATION_TOO_LARGE|WALLET_TRANSACTION_UNKNOWN/

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): ExitCode | typeof interrupted {
  if (isAssentError(error, 'QUESTION_INTERRUPTED')) return interrupted
  return exitCodeOfError(error instanceof AssentError ? error.code : 'UNEXPECTED')
}

/**
 * The exit code for an error: 2 if the question, a file or a setting was wrong, 3 if nobody answered or an answer cannot be
 * relied on, otherwise 1.
 */
export function exitCodeOfError(code: ErrorCode): ExitCode {
  if (usage.has(code) || code in malformedErrors) return exitCodes.usage
  return outage.test(code) ? exitCodes.unknown : exitCodes.no
}
