/** How often one caller may ask: a bucket of permits per name, refilled evenly. */

export interface Rate {
  /** Permits that come back in a minute. */
  readonly perMinute: number
  /** Permits at once after a pause; as many as a minute gives if absent. */
  readonly burst?: number
}

export interface RateLimitOptions extends Rate {
  /** Names remembered. The one unused for longest is forgotten first, and starts again with a full bucket. */
  readonly capacity?: number
  /** Milliseconds that never go back. */
  readonly now?: () => number
}

/**
 * Takes one permit of a name.
 *
 * @returns seconds to wait until there is one, rounded up; 0 if one was taken
 */
export type RateLimit = (name: string) => number

interface Bucket {
  permits: number
  at: number
}

/**
 * @example
 * const waitFor = createRateLimit({ perMinute: 600 })
 * if (waitFor('192.0.2.1') > 0) refuse()
 */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { perMinute, capacity = 100_000, now = () => performance.now() } = options
  const burst = options.burst ?? perMinute
  const perMs = perMinute / 60_000
  const buckets = new Map<string, Bucket>()
  return (name) => {
    const at = now()
    const bucket = buckets.get(name) ?? { permits: burst, at }
    const permits = Math.min(burst, bucket.permits + Math.max(0, at - bucket.at) * perMs)
    const granted = permits >= 1
    buckets.delete(name)
    buckets.set(name, { permits: granted ? permits - 1 : permits, at })
    if (buckets.size > capacity) buckets.delete(buckets.keys().next().value ?? '')
    return granted ? 0 : Math.ceil((1 - permits) / perMs / 1_000)
  }
}
