/** Rate limits: one token bucket for each name, refilled at a constant rate. */

/** The limit of one name. */
export interface Rate {
  /** Requests that become available in one minute. */
  readonly perMinute: number
  /** Most requests at once after a pause. Default: `perMinute`. */
  readonly burst?: number
}

/** A rate, and how many names it remembers. */
export interface RateLimitOptions extends Rate {
  /**
   * Most names in memory, 100,000 by default. Above that, the name that was used longest ago is dropped and starts
   * again with a full bucket.
   */
  readonly capacity?: number
  /** Monotonic time in milliseconds. */
  readonly now?: () => number
}

/** A token bucket for each name. */
export interface RateLimit {
  /**
   * Takes one request from the bucket of `name`.
   *
   * @param cost requests that this one counts for; an expensive one is allowed too, and the next must wait longer
   * @returns 0 if the request is allowed; otherwise the seconds to wait, rounded up
   */
  (name: string, cost?: number): number
  /** The seconds until the next request of `name` is allowed; takes nothing. */
  secondsUntilNext(name: string): number
}

interface Bucket {
  permits: number
  at: number
}

/**
 * Creates a rate limit.
 *
 * @example
 * const secondsToWait = createRateLimit({ perMinute: 600 })
 * if (secondsToWait('192.0.2.1') > 0) refuse()
 */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { perMinute, capacity = 100_000, now = () => performance.now() } = options
  const burst = options.burst ?? perMinute
  const perMs = perMinute / 60_000
  const buckets = new Map<string, Bucket>()
  const permitsOf = (name: string, at: number) => {
    const bucket = buckets.get(name) ?? { permits: burst, at }
    return Math.min(burst, bucket.permits + Math.max(0, at - bucket.at) * perMs)
  }
  const secondsFor = (permits: number) =>
    permits >= 1 ? 0 : Math.ceil((1 - permits) / perMs / 1_000)
  const take = (name: string, cost = 1) => {
    const at = now()
    const permits = permitsOf(name, at)
    const isAllowed = permits >= 1
    // deleting first moves the name to the end of the map, so the first key is the one used longest ago
    buckets.delete(name)
    buckets.set(name, { permits: isAllowed ? permits - cost : permits, at })
    if (buckets.size > capacity) buckets.delete(buckets.keys().next().value ?? '')
    return secondsFor(permits)
  }
  return Object.assign(take, {
    secondsUntilNext: (name: string) => secondsFor(permitsOf(name, now())),
  })
}
