/** A clock that is compared with the newest final block. */
import { AssentError } from '../../errors/index.ts'
import type { Clock } from '../../lib/clock.ts'
import type { BootAuthorizer } from '../boot/boot.ts'
import { clockToleranceSeconds } from '../proven/view-context.ts'

/**
 * The same clock, which is refused while it is behind the newest final block. Certificates and collateral are checked with
 * it, so that a host cannot use expired ones by setting the clock back.
 *
 * The later of both times is not used instead: a clock that is proven wrong is an outage that an operator must see, and the
 * process has other uses for the clock.
 *
 * @returns a clock that throws CHAIN_FROM_FUTURE
 */
export function refuseClockBehind(
  clock: Clock,
  { newestBlockTime }: Pick<BootAuthorizer, 'newestBlockTime'>,
): Clock {
  return () => {
    const now = clock()
    const behind = (newestBlockTime?.() ?? now) - now
    if (behind <= clockToleranceSeconds) return now
    const message = `The clock is ${behind} seconds behind the newest final block.`
    throw new AssentError('CHAIN_FROM_FUTURE', message, { facts: { behind } })
  }
}
