/** Findings about a manifest. */

/** `error`: the guest refuses it, or it removes a protection. `warning`: the release is weaker than it could be. `note`: to know. */
export type Severity = 'error' | 'warning' | 'note'

/** One finding of the linter. */
export interface ManifestFinding {
  /** Stable, such as `IMAGE_NOT_PINNED`. */
  readonly code: string
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
