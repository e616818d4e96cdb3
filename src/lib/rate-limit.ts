/** How often one peer may ask: a bucket of permits per name, refilled evenly. */

export interface RateLimitOptions {
  /** Permits a minute, and as many at once. */
  readonly perMinute: number
  /** Names remembered; the one unused for longest is forgotten first, with its bucket full again. */
  readonly capacity?: number
  /** Milliseconds, never going back. */
  readonly now?: () => number
}

/** Takes one permit; returns false where none is left. */
export type RateLimit = (name: string) => boolean

interface Bucket {
  permits: number
  at: number
}

export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { perMinute, capacity = 10_000, now = () => performance.now() } = options
  const buckets = new Map<string, Bucket>()
  return (name) => {
    const at = now()
    const bucket = buckets.get(name) ?? { permits: perMinute, at }
    const refilled = bucket.permits + ((at - bucket.at) / 60_000) * perMinute
    const permits = Math.min(perMinute, refilled)
    const granted = permits >= 1
    buckets.delete(name)
    buckets.set(name, { permits: granted ? permits - 1 : permits, at })
    if (buckets.size > capacity) buckets.delete(buckets.keys().next().value ?? '')
    return granted
  }
}
