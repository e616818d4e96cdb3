/** Puts the failed step in front of a message, as dstack's context chains read. */
import { AssentError, isAssentError } from '../../errors/index.ts'
import { outcomeOf } from './request-outcome.ts'

/** Runs one step; its error keeps code and facts. */
export async function within<T>(withErrorContext: string, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw isAssentError(error) ? prefixed(withErrorContext, error) : error
  }
}

/** The same for a step that is a verdict: what could not be judged is not called refused. */
export async function judging<T>(step: string, run: () => Promise<T>): Promise<T> {
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
