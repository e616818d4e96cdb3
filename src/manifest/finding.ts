/** Findings about a manifest. */

/** `error`: the guest refuses it, or the release promises less than it seems to. `warning`: look at it. `note`: know it. */
export type Severity = 'error' | 'warning' | 'note'

/** One finding of the linter. */
export interface ManifestFinding {
  /** Stable, such as `IMAGE_UNPINNED`. */
  readonly code: string
  /** `error`: a guest refuses the manifest. `warning`: the release is weaker than it could be. `note`: check it. */
  readonly severity: Severity
  /** Member of the manifest, or of its Compose file, such as `services.web.image`. */
  readonly place: string
  /** What was found, in one sentence. */
  readonly found: string
  /** The next step. */
  readonly nextStep: string
}

/** Errors first; otherwise in the order of the checks. */
export function sortFindings(findings: readonly ManifestFinding[]): ManifestFinding[] {
  const order: readonly Severity[] = ['error', 'warning', 'note']
  return order.flatMap((severity) => findings.filter((each) => each.severity === severity))
}
