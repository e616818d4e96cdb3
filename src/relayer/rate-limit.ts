/** A token bucket for each caller: short bursts pass, a stream above the rate does not. */
import type { Clock } from '../lib/clock.ts'

export interface RateLimit {
  readonly perMinute: number
  readonly burst: number
}

/** @returns a function that gives the seconds to wait, 0 if the request may pass */
export function createRateLimiter(limit: RateLimit, clock: Clock): (caller: string) => number {
  const buckets = new Map<string, { tokens: number; at: number }>()
  const perSecond = limit.perMinute / 60
  return (caller) => {
    const at = clock()
    const bucket = buckets.get(caller) ?? { tokens: limit.burst, at }
    const elapsed = Math.max(0, at - bucket.at)
    const tokens = Math.min(limit.burst, bucket.tokens + elapsed * perSecond)
    const passes = tokens >= 1
    buckets.set(caller, { tokens: passes ? tokens - 1 : tokens, at })
    return passes ? 0 : Math.ceil((1 - tokens) / perSecond)
  }
}
