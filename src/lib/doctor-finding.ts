/** Findings of the doctors (`assent relayer doctor`, `assent kms doctor`): one result for each check. */
import { AssentError } from '../errors/index.ts'

/** `failed` makes the doctor exit with 1; `warning` does not. */
export type FindingStatus = 'ok' | 'warning' | 'failed'

/** The result of one check. */
export interface DoctorFinding {
  /** What was checked, for example `clock` or the URL of an endpoint. */
  readonly check: string
  readonly status: FindingStatus
  /** What was found, in one sentence. */
  readonly found: string
  /** The next step, or null if there is nothing to do. */
  readonly nextStep: string | null
}

/** A finding without a next step. */
export function ok(check: string, found: string): DoctorFinding {
  return { check, status: 'ok', found, nextStep: null }
}

/** A finding that needs attention later. */
export function warning(check: string, found: string, nextStep: string): DoctorFinding {
  return { check, status: 'warning', found, nextStep }
}

/** A finding that stops the service from working. */
export function failed(check: string, found: string, nextStep: string): DoctorFinding {
  return { check, status: 'failed', found, nextStep }
}

/**
 * Checks that the local clock is not behind another clock.
 *
 * A local clock that is ahead is not a finding here: network latency alone can cause it.
 *
 * @param behind seconds by which the local clock is behind
 * @param tolerance seconds that are accepted
 */
export function examineSkew(check: string, behind: number, tolerance: number): DoctorFinding {
  return behind > tolerance
    ? failed(check, `${behind} s behind`, 'Synchronise the clock of this host (NTP).')
    : ok(check, `not more than ${tolerance} s behind`)
}

/** @returns 1 if a check failed, otherwise 0; warnings do not count */
export function exitCodeOf(findings: readonly DoctorFinding[]): 0 | 1 {
  return findings.some(({ status }) => status === 'failed') ? 1 : 0
}

/** Runs one check. If it throws, the error becomes a failed finding, so that the other checks still run. */
export async function guard(
  check: string,
  run: () => Promise<DoctorFinding[]>,
): Promise<DoctorFinding[]> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof AssentError) {
      return [failed(check, `${error.code}: ${error.message}`, error.hint)]
    }
    // the message of an unknown error could contain a secret, such as a URL with a key
    const name = error instanceof Error ? error.name : 'an unknown error'
    return [failed(check, `the check ended with an error (${name})`, 'See the log of the service.')]
  }
}
