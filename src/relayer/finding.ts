/** What `assent relayer doctor` found in one place, and what to do about it. */

export type Verdict = 'ok' | 'warning' | 'failed'

export interface Finding {
  readonly check: string
  readonly verdict: Verdict
  readonly found: string
  /** What to do; null where nothing is. */
  readonly todo: string | null
}

export function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found, todo: null }
}

export function warning(check: string, found: string, todo: string): Finding {
  return { check, verdict: 'warning', found, todo }
}

export function failed(check: string, found: string, todo: string): Finding {
  return { check, verdict: 'failed', found, todo }
}

/** A clock that is behind another by more than the tolerance; being ahead shows nothing here. */
export function examineSkew(check: string, behind: number, tolerance: number): Finding {
  return behind > tolerance
    ? failed(check, `${behind} s behind`, 'Synchronise the clock of this machine (NTP).')
    : ok(check, `not more than ${tolerance} s behind`)
}
