/**
 * Requests to several RPC endpoints of which any may be slow, silent or dishonest. Slow endpoints do not delay the
 * others.
 */
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Endpoint } from './rpc-endpoint.ts'

/** Milliseconds to wait for the other endpoints after enough have answered. */
export const graceMs = 1_000

/** Milliseconds after which the next endpoint is asked as well. */
const hedgeMs = 500

/** Milliseconds for which an endpoint that failed is asked last. */
const unhealthyMs = 60_000

/**
 * Collects the answers of all endpoints, but waits only `graceMs` for the rest when there are enough.
 *
 * The relayer has a variant (`createQuorumWait` in src/relayer/endpoints/quorum.ts) that also remembers late endpoints
 * and reports them as a metric. This one has no state: the KMS reads far less often.
 *
 * @param isEnough whether these answers are enough
 * @param late the value in place of a missing answer
 */
export async function collectAnswers<T>(
  asked: readonly Promise<T>[],
  isEnough: (answers: readonly T[]) => boolean,
  late: (index: number) => T,
): Promise<T[]> {
  const answers = new Map<number, T>()
  let timer: NodeJS.Timeout | undefined
  const enough = new Promise<void>((resolve) => {
    const consider = () => {
      if (timer === undefined && isEnough([...answers.values()])) {
        timer = setTimeout(resolve, graceMs)
      }
    }
    asked.forEach((each, index) => {
      each.then(
        (answer) => {
          answers.set(index, answer)
          consider()
        },
        () => {},
      )
    })
    consider()
  })
  try {
    await Promise.race([Promise.all(asked), enough])
  } finally {
    clearTimeout(timer)
  }
  return asked.map((_, index) => (answers.has(index) ? (answers.get(index) as T) : late(index)))
}

/** Remembers which endpoints failed in the last minute. */
export interface EndpointHealth {
  /** Records a failure now. The endpoint counts as failed for a minute. */
  fail(endpoint: Endpoint): void
  /** Forgets the failure, after a good answer. */
  recover(endpoint: Endpoint): void
  /** Whether the endpoint had no failure in the last minute. */
  isHealthy(endpoint: Endpoint): boolean
}

/** @param now a monotonic clock in milliseconds */
export function createHealth(now: () => number): EndpointHealth {
  const failedAt = new Map<string, number>()
  return {
    fail: ({ name }) => void failedAt.set(name, now()),
    recover: ({ name }) => void failedAt.delete(name),
    isHealthy: ({ name }) => now() - (failedAt.get(name) ?? Number.NEGATIVE_INFINITY) > unhealthyMs,
  }
}

/**
 * The first answer without an error. Endpoints are asked in order; the next one is asked when one fails or is slow. Then
 * the signal of all requests is aborted, so that nobody reads on what a slow endpoint sends.
 *
 * @throws the error of this node's own limit or of an endpoint's rate limit if there was one, then that of an invalid
 *   answer, otherwise the first error
 */
export async function queryEndpointsInOrder<T>(
  endpoints: readonly Endpoint[],
  ask: (endpoint: Endpoint, signal: AbortSignal) => Promise<T>,
  {
    health,
    failed,
  }: { health: EndpointHealth; failed: (endpoint: Endpoint, error: AssentError) => void },
): Promise<T> {
  const well = endpoints.filter(health.isHealthy)
  const order = [...well, ...endpoints.filter((each) => !well.includes(each))]
  const errors: AssentError[] = []
  const requests = new AbortController()
  return new Promise<T>((resolve, reject) => {
    let next = 0
    let open = 0
    let isDone = false
    let timer: NodeJS.Timeout | undefined
    const end = (settle: () => void) => {
      isDone = true
      clearTimeout(timer)
      settle()
      requests.abort()
    }
    const advance = () => {
      clearTimeout(timer)
      const endpoint = order[next++]
      if (endpoint === undefined) {
        if (open === 0) end(() => reject(mostTelling(errors)))
        return
      }
      open++
      timer = setTimeout(() => {
        // it may still answer, but the next request starts with another endpoint
        health.fail(endpoint)
        advance()
      }, hedgeMs)
      ask(endpoint, requests.signal).then(
        (answer) => {
          if (isDone) return
          health.recover(endpoint)
          end(() => resolve(answer))
        },
        (error: unknown) => {
          open--
          if (isDone) return
          if (!isAssentError(error)) return end(() => reject(error))
          errors.push(error)
          // a request that was never sent says nothing about its endpoint
          if (error.code !== 'CHAIN_NODE_OVERLOADED') {
            health.fail(endpoint)
            failed(endpoint, error)
          }
          advance()
        },
      )
    }
    advance()
  })
}

/** If a request was refused for its number, the endpoints have not shown all. A wrong answer explains more than a missing one. */
function mostTelling(errors: readonly AssentError[]): AssentError {
  const codes = [
    'CHAIN_NODE_OVERLOADED',
    'CHAIN_RATE_LIMITED',
    'CHAIN_PROOF_INVALID',
    'CHAIN_PROOF_REFUSED',
    'CHAIN_ANSWER_INVALID',
  ] as const
  const found = codes.flatMap((code) => errors.filter((error) => error.code === code))
  return found[0] ?? errors[0] ?? new AssentError('CHAIN_UNREACHABLE', 'No endpoint is configured.')
}

/** The answer, within this many milliseconds. @throws CHAIN_TIMEOUT if it takes longer */
export async function withinMs<T>(ms: number, asked: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const facts = { timeoutMs: ms }
      reject(new AssentError('CHAIN_TIMEOUT', `No answer within ${ms} ms.`, { facts }))
    }, ms)
  })
  try {
    return await Promise.race([asked, late])
  } finally {
    clearTimeout(timer)
  }
}
