/**
 * Readiness of a service: tells if it could do its work now.
 *
 * The check does what every request needs. Its result is shared for a second, so that many callers of `/health` cause
 * no more work than one.
 */
import { AssentError, errorCatalogue, isAssentError } from '../errors/index.ts'

/** The check of readiness, and the time for which its result counts. */
export interface ReadinessOptions {
  /** Throws the error that would stop a request from being answered. */
  readonly check: () => Promise<unknown>
  /** Monotonic time in milliseconds. */
  readonly now?: () => number
}

/** Answer of `/health`. */
export interface Readiness {
  readonly status: 200 | 503
  /** `OK`, or an error code with its general explanation. Anyone can read it, so it contains no facts. */
  readonly text: string
}

/** A result is reused for so long: at most one check a second. */
const resultLifetimeMs = 1_000
/** A check that takes longer counts as failed. */
const checkTimeoutMs = 5_000

/** @returns a function that answers a readiness request; it never throws */
export function createReadiness({ check, now = () => performance.now() }: ReadinessOptions) {
  let last: { readonly at: number; readonly readiness: Readiness } | undefined
  let running: Promise<Readiness> | undefined

  const runCheck = async (): Promise<Readiness> => {
    const readiness = await check().then(
      () => ({ status: 200, text: 'OK' }) as const,
      (error: unknown) => notReady(error),
    )
    last = { at: now(), readiness }
    running = undefined
    return readiness
  }
  return async (): Promise<Readiness> => {
    if (last !== undefined && now() - last.at <= resultLifetimeMs) return last.readiness
    running ??= runCheck()
    return withTimeout(running)
  }
}

/** The check itself continues: the next request can use its result. */
function withTimeout(running: Promise<Readiness>): Promise<Readiness> {
  const slow = new AssentError('SERVICE_NOT_READY', 'The readiness check takes too long.')
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(notReady(slow)), checkTimeoutMs)
    void running.then(resolve).finally(() => clearTimeout(timer))
  })
}

function notReady(error: unknown): Readiness {
  const code = isAssentError(error) ? error.code : 'UNEXPECTED'
  return { status: 503, text: `${code}: ${errorCatalogue[code].why}` }
}
