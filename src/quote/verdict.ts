/** The answer of `verifyQuote`: a value for believed and for refused evidence alike. */
import type { rejectionErrors } from '../errors/quote.ts'
import type { Quote } from './parse.ts'

/** Intel's TCB statuses that can be the outcome of a verified quote. */
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

export type TcbStatus = (typeof tcbStatuses)[number]

/** One TCB evaluation: for the module that launched the TD, or for the one that runs now. */
export interface TcbEvaluation {
  readonly status: TcbStatus
  /** oldest of the matched levels' dates, as Intel writes it: `2025-05-14T00:00:00Z` */
  readonly tcbDate: string
  /** of the platform's level, then the quoting enclave's, then the TDX module's */
  readonly advisoryIds: readonly string[]
}

/** When the collateral was issued, unix seconds. */
export interface IssueTimes {
  readonly tcbInfo: number
  readonly qeIdentity: number
  readonly pckCrl: number
  readonly rootCrl: number
}

export interface Verified extends TcbEvaluation {
  readonly verdict: 'verified'
  readonly quote: Quote
  /** unix seconds for which the verdict was made */
  readonly at: number
  /** last unix second at which everything relied on is still valid */
  readonly expiresAt: number
  /** 6 bytes: the platform family */
  readonly fmspc: Uint8Array
  /** 2 bytes */
  readonly pceId: Uint8Array
  /** 16 bytes: the platform's id, unchanged by TCB updates */
  readonly ppid: Uint8Array
  /** 32 bytes: SHA-256 of the PPID, the device id of dstack and of the host registry */
  readonly deviceId: Uint8Array
  /** 16 bytes; only multi-package platforms (Platform CA) have one */
  readonly platformInstanceId?: Uint8Array
  readonly tcbEvaluationNumbers: { readonly tcbInfo: number; readonly qeIdentity: number }
  readonly issuedAt: IssueTimes
  /** by TEE_TCB_SVN: the module that launched the TD */
  readonly launch: TcbEvaluation
  /** by TEE_TCB_SVN2: the module that runs now; only TD report 1.5 and later tell */
  readonly current?: TcbEvaluation
}

export type RejectionCode = keyof typeof rejectionErrors

export interface Rejected {
  readonly verdict: 'rejected'
  readonly code: RejectionCode
  readonly message: string
  readonly facts: Readonly<Record<string, unknown>>
}

export type Verdict = Verified | Rejected

/**
 * Leaves the verification with a `Rejected` verdict. Only `verifyQuote` catches it, so that a rejection
 * can never escape as an error, nor an error of the format be taken for a verdict.
 */
export class Rejection extends Error {
  readonly verdict: Rejected

  constructor(code: RejectionCode, message: string, facts: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.verdict = { verdict: 'rejected', code, message, facts }
  }
}
