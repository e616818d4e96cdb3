/** One step of the chain of trust of an app. */

/** The source of the result of a step. */
export type StepSource =
  /** a signature or a hash that was verified here */
  | 'proof'
  /** the state of the chain, as one endpoint shows it */
  | 'state'
  /** an event of the chain, as one endpoint shows it */
  | 'event'
  /** what the host or the holder of the evidence says */
  | 'claim'

/** `not-checked`: nothing speaks against it, and nothing shows it. */
export type StepVerdict = 'yes' | 'no' | 'not-checked'

export interface TrustStep {
  readonly step: string
  readonly verdict: StepVerdict
  /** What was found, in one sentence. */
  readonly found: string
  readonly source: StepSource
}

export function step(
  name: string,
  verdict: StepVerdict,
  source: StepSource,
  found: string,
): TrustStep {
  return { step: name, verdict, found, source }
}
