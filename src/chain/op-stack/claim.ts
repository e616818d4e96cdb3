/** The claim of a dispute game, as endpoints of L1 name it. Nothing here is proven: the caller compares it with the factory. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { createByteCache } from '../../lib/byte-cache.ts'
import type { Hex } from '../../lib/bytes.ts'
import { bytesSchema } from '../../lib/schema.ts'
import type { EndpointFault } from '../boot/boot.ts'
import { type EndpointHealth, queryEndpointsInOrder } from '../proven/endpoint-health.ts'
import { retryOnce } from '../proven/header-quorum.ts'
import type { Endpoint } from '../proven/rpc-endpoint.ts'
import type { AskClaim } from './games.ts'
import type { GameClaim } from './layout.ts'

/** `gameData()` of `IDisputeGame`. */
const gameData: Hex = '0xfa24f743'

/** Longest extra data: a proof is part of it in some kinds of games. */
const maxExtraDataBytes = 4096

/** Four words and the padded extra data. */
const answerSchema = z
  .string()
  .max(2 + 2 * (128 + maxExtraDataBytes))
  .pipe(bytesSchema)

/** Bytes of memory for claims that were confirmed. They never change. */
const cacheBytes = 2 ** 18

/**
 * Asks these endpoints with `eth_call`, one after the other. The claim of a known game is not asked for again.
 *
 * @param failed called for each endpoint that names no claim, or a wrong one
 */
export function askClaims(
  endpoints: readonly Endpoint[],
  health: EndpointHealth,
): (failed: (fault: EndpointFault) => void) => AskClaim {
  const known = createByteCache<GameClaim>(cacheBytes)
  return (failed) => async (game, isProven) => {
    const before = known.get(game)
    if (before !== undefined && (await isProven(before))) return before
    const ask = async (endpoint: Endpoint, signal: AbortSignal) => {
      const params = [{ to: game, data: gameData }, 'latest']
      const answer = await retryOnce(() =>
        endpoint.request('eth_call', params, answerSchema, { signal }),
      )
      const claim = readClaim(answer, endpoint.name)
      if (await isProven(claim)) return claim
      throw unproven(endpoint.name, game)
    }
    const claim = await queryEndpointsInOrder(endpoints, ask, {
      health,
      failed: ({ name }, { code }) => failed({ endpoint: name, code }),
    })
    known.set(game, claim, game.length + claim.rootClaim.length + claim.extraData.length)
    return claim
  }
}

/** ABI of `(uint32 gameType, bytes32 rootClaim, bytes extraData)`. @throws CHAIN_ANSWER_INVALID */
function readClaim(answer: Hex, endpoint: string): GameClaim {
  const word = (index: number) => answer.slice(2 + 64 * index, 2 + 64 * (index + 1))
  const start = 2 + 64 * 4
  const [offset, length] = [word(2), word(3)].map((digits) => Number(`0x${digits || '0'}`))
  const end = start + 2 * (length as number)
  const isClaim =
    offset === 96 &&
    Number(length) >= 32 &&
    Number(length) <= maxExtraDataBytes &&
    answer.length >= end
  if (isClaim) return { rootClaim: `0x${word(1)}`, extraData: `0x${answer.slice(start, end)}` }
  throw new AssentError('CHAIN_ANSWER_INVALID', `${endpoint} names no claim of a dispute game.`, {
    facts: { endpoint },
  })
}

function unproven(endpoint: string, game: Hex): AssentError {
  const message = `${endpoint} names another claim for a dispute game than the factory has.`
  return new AssentError('ROLLUP_CLAIM_UNPROVEN', message, { facts: { endpoint, game } })
}
