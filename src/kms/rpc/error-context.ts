/** Adds the failed step to an error message: `App not allowed: No attestation provided`, as dstack's error chains do. */
import { AssentError, isAssentError } from '../../errors/index.ts'
import { outcomeOf } from './request-outcome.ts'

/**
 * Runs a step. If it fails, its message starts with `step`; code, facts and hint stay the same.
 *
 * @example await withErrorContext('KMS self authorization failed', self.authorize)
 */
export async function withErrorContext<T>(step: string, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw isAssentError(error) ? prefixed(step, error) : error
  }
}

/**
 * The same for a step whose name states a denial ("App not allowed"). An outage keeps its own message, because it is
 * never reported as a denial.
 */
export async function withVerdictContext<T>(step: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    const isVerdict = isAssentError(error) && outcomeOf(error) !== 'outage'
    throw isVerdict ? prefixed(step, error) : error
  }
}

function prefixed(step: string, error: AssentError): AssentError {
  const { code, message, facts, hint } = error
  return new AssentError(code, `${step}: ${message}`, { cause: error, facts, hint })
}
