/** The time by which the chain decides, for questions to services that decide by the same time. */
import { toChainError } from '../../chain/call.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ChainContext } from '../session/session.ts'

/**
 * The clock of a block that would be made now. A development chain has a clock of its own; on other chains it is the time of
 * day. It is trusted like the root keys, which the same endpoint names.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function chainClock({ publicClient }: ChainContext): Promise<Clock> {
  const block = await publicClient
    .getBlock({ blockTag: 'pending' })
    // not every endpoint has a pending block
    .catch(() => publicClient.getBlock())
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the newest block')
    })
  const start = performance.now()
  return () => Number(block.timestamp) + Math.floor((performance.now() - start) / 1000)
}
