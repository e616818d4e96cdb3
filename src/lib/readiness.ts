/**
 * Whether a service could do its work now: found out by doing what every request needs, and kept for a while, so that
 * asking costs nothing and many who ask cause no more work than one.
 */
import { AssentError, errorCatalogue, isAssentError } from '../errors/index.ts'

export interface ReadinessOptions {
  /** Throws what would keep a request from being answered. */
  readonly check: () => Promise<unknown>
  /** Milliseconds that never go back. */
  readonly now?: () => number
}

export interface Readiness {
  readonly status: 200 | 503
  /** `OK`, or the code of the trouble and what it means. It is shown to anyone, so it names nobody. */
  readonly text: string
}

/** For so long an answer counts, so there is one check a second at most. */
const worthMs = 1_000
/** A check that takes longer is trouble too. */
const patienceMs = 5_000

export function createReadiness({ check, now = () => performance.now() }: ReadinessOptions) {
  let last: { readonly at: number; readonly health: Readiness } | undefined
  let checking: Promise<Readiness> | undefined

  const look = async (): Promise<Readiness> => {
    const health = await check().then(
      () => ({ status: 200, text: 'OK' }) as const,
      (error: unknown) => unhealthy(error),
    )
    last = { at: now(), health }
    checking = undefined
    return health
  }
  return async (): Promise<Readiness> => {
    if (last !== undefined && now() - last.at <= worthMs) return last.health
    checking ??= look()
    return withStragglerTimeout(checking)
  }
}

function withStragglerTimeout(checking: Promise<Readiness>): Promise<Readiness> {
  const slow = new AssentError('SERVICE_NOT_READY', 'The check of this service takes too long.')
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(unhealthy(slow)), patienceMs)
    void checking.then(resolve).finally(() => clearTimeout(timer))
  })
}

function unhealthy(error: unknown): Readiness {
  const code = isAssentError(error) ? error.code : 'UNEXPECTED'
  return { status: 503, text: `${code}: ${errorCatalogue[code].why}` }
}
