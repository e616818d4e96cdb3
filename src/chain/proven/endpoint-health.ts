/**
 * Asking several endpoints of which any may be slow, silent or lying: those that answer are not kept waiting by
 * those that do not.
 */
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Endpoint } from './rpc-endpoint.ts'

/** For how long those who are enough wait for the others. */
export const graceMs = 1_000

/** After how long a second endpoint is asked what the first has not answered. */
const hedgeMs = 500

/** For how long an endpoint that failed is asked last. */
const troubleMs = 60_000

/**
 * All answers, or those that are there a moment after they are enough.
 *
 * @param late what stands for an answer that is not there
 */
export async function hear<T>(
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

/** Which endpoints failed lately. */
export interface EndpointHealth {
  fail(endpoint: Endpoint): void
  recover(endpoint: Endpoint): void
  isWell(endpoint: Endpoint): boolean
}

/** @param now milliseconds, never going back */
export function createHealth(now: () => number): EndpointHealth {
  const failedAt = new Map<string, number>()
  return {
    fail: ({ name }) => void failedAt.set(name, now()),
    recover: ({ name }) => void failedAt.delete(name),
    isWell: ({ name }) => now() - (failedAt.get(name) ?? Number.NEGATIVE_INFINITY) > troubleMs,
  }
}

/**
 * The first good answer: endpoints are asked in their order, the next one as soon as one fails or takes long.
 *
 * @throws the error of the first that failed by an answer, else of the first that failed
 */
export async function askInTurn<T>(
  endpoints: readonly Endpoint[],
  ask: (endpoint: Endpoint) => Promise<T>,
  {
    health,
    failed,
  }: { health: EndpointHealth; failed: (endpoint: Endpoint, error: AssentError) => void },
): Promise<T> {
  const well = endpoints.filter(health.isWell)
  const order = [...well, ...endpoints.filter((each) => !well.includes(each))]
  const errors: AssentError[] = []
  return new Promise<T>((resolve, reject) => {
    let next = 0
    let open = 0
    let isDone = false
    let timer: NodeJS.Timeout | undefined
    const end = (settle: () => void) => {
      isDone = true
      clearTimeout(timer)
      settle()
    }
    const advance = () => {
      clearTimeout(timer)
      const endpoint = order[next++]
      if (endpoint === undefined) {
        if (open === 0) end(() => reject(gravest(errors)))
        return
      }
      open++
      timer = setTimeout(() => {
        // it may still answer, but the next decision begins elsewhere
        health.fail(endpoint)
        advance()
      }, hedgeMs)
      ask(endpoint).then(
        (answer) => {
          if (isDone) return
          health.recover(endpoint)
          end(() => resolve(answer))
        },
        (error: unknown) => {
          open--
          if (isDone) return
          if (!isAssentError(error)) return end(() => reject(error))
          health.fail(endpoint)
          errors.push(error)
          failed(endpoint, error)
          advance()
        },
      )
    }
    advance()
  })
}

/** An answer that is wrong says more than none. */
function gravest(errors: readonly AssentError[]): AssentError {
  const codes = ['CHAIN_PROOF_INVALID', 'CHAIN_PROOF_REFUSED', 'CHAIN_ANSWER_INVALID'] as const
  const found = codes.flatMap((code) => errors.filter((error) => error.code === code))
  return found[0] ?? errors[0] ?? new AssentError('CHAIN_UNREACHABLE', 'No endpoint is configured.')
}

/** @throws CHAIN_TIMEOUT if it takes longer */
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
