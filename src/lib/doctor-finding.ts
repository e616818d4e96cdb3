/** What a doctor (`assent relayer doctor`, `assent kms doctor`) found in one place, and what to do about it. */
import { AssentError } from '../errors/index.ts'

export type FindingStatus = 'ok' | 'warning' | 'failed'

export interface DoctorFinding {
  readonly check: string
  readonly verdict: FindingStatus
  readonly found: string
  /** What to do; null where nothing is. */
  readonly todo: string | null
}

export function ok(check: string, found: string): DoctorFinding {
  return { check, verdict: 'ok', found, todo: null }
}

export function warning(check: string, found: string, todo: string): DoctorFinding {
  return { check, verdict: 'warning', found, todo }
}

export function failed(check: string, found: string, todo: string): DoctorFinding {
  return { check, verdict: 'failed', found, todo }
}

/** A clock that is behind another by more than the tolerance; being ahead shows nothing here. */
export function examineSkew(check: string, behind: number, tolerance: number): DoctorFinding {
  return behind > tolerance
    ? failed(check, `${behind} s behind`, 'Synchronise the clock of this machine (NTP).')
    : ok(check, `not more than ${tolerance} s behind`)
}

/** 0: fit. 1: something failed. Warnings do not count. */
export function exitCodeOf(findings: readonly DoctorFinding[]): 0 | 1 {
  return findings.some(({ verdict }) => verdict === 'failed') ? 1 : 0
}

/** A check that throws has failed; the others go on. */
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
    const words = error instanceof Error ? error.name : 'an unknown error'
    return [failed(check, `it could not be examined (${words})`, 'See the service’s log.')]
  }
}
