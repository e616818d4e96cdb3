/** The result of `verifyQuote`: verified and rejected quotes are both values, not exceptions. */
import type { malformedErrors, rejectionErrors } from '../errors/quote.ts'
import type { Quote } from './parse.ts'

/** Intel's TCB statuses that a verified quote can have. (`Revoked` is a rejection.) */
export const tcbStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const

/** One of Intel's TCB statuses for a verified quote. */
export type TcbStatus = (typeof tcbStatuses)[number]

/** One TCB evaluation: for the TDX module that launched the TD, or for the one that runs now. */
export interface TcbEvaluation {
  readonly status: TcbStatus
  /** Oldest date of the matching TCB levels, in Intel's form: `2025-05-14T00:00:00Z`. */
  readonly tcbDate: string
  /** Advisories of the platform's level, then of the quoting enclave's, then of the TDX module's. */
  readonly advisoryIds: readonly string[]
}

/** Issue dates of the collateral, in Unix seconds. */
export interface IssueTimes {
  /** Issue date of the TCB info. */
  readonly tcbInfo: number
  /** Issue date of the QE identity. */
  readonly qeIdentity: number
  /** Issue date of the PCK CRL. */
  readonly pckCrl: number
  /** Issue date of the root CRL. */
  readonly rootCrl: number
}

/** A genuine quote, and what it proves about its platform. */
export interface Verified extends TcbEvaluation {
  /** Distinguishes it from {@link Rejected}. */
  readonly verdict: 'verified'
  /** The parsed quote. */
  readonly quote: Quote
  /** The time of the verdict, in Unix seconds. */
  readonly at: number
  /** Last Unix second in which all certificates and collateral of the verdict are valid. */
  readonly expiresAt: number
  /** 6 bytes: the platform family. */
  readonly fmspc: Uint8Array
  /** 2 bytes: the provisioning certification enclave. */
  readonly pceId: Uint8Array
  /** 16 bytes: the id of the platform. TCB updates do not change it. */
  readonly ppid: Uint8Array
  /** 32 bytes: SHA-256 of the PPID. The device id in dstack and in the host registry. */
  readonly deviceId: Uint8Array
  /** 16 bytes. Only platforms with several packages (Platform CA) have it. */
  readonly platformInstanceId?: Uint8Array
  /**
   * Evaluation numbers of the collateral that was used; both matter, because Intel issues the documents separately.
   */
  readonly tcbEvaluationNumbers: { readonly tcbInfo: number; readonly qeIdentity: number }
  /** Unix seconds. */
  readonly issuedAt: IssueTimes
  /** By TEE_TCB_SVN: the module that launched the TD. */
  readonly launch: TcbEvaluation
  /** By TEE_TCB_SVN2: the module that runs now. Only TD report 1.5 and later have it. */
  readonly current?: TcbEvaluation
}

/** Reason of a rejection; docs/errors.md explains each. */
export type RejectionCode = keyof typeof rejectionErrors

/** Code of an error that says that bytes do not follow their format. */
export type MalformedCode = keyof typeof malformedErrors

/** A well-formed quote that is not genuine. */
export interface Rejected {
  /** Distinguishes it from {@link Verified}. */
  readonly verdict: 'rejected'
  /** Stable; docs/verifier.md explains each. */
  readonly code: RejectionCode
  /** One sentence for people. */
  readonly message: string
  /** Values behind the message, without secrets. */
  readonly facts: Readonly<Record<string, unknown>>
}

/** Result of `verifyQuote`. Compare `verdict` first. */
export type Verdict = Verified | Rejected

/**
 * Thrown inside the verification to end it with a `Rejected` verdict. `verifyQuote` catches it, so a rejection never
 * becomes an error, and an error of the format never becomes a verdict.
 */
export class Rejection extends Error {
  readonly verdict: Rejected

  constructor(code: RejectionCode, message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.verdict = { verdict: 'rejected', code, message, facts }
  }
}
