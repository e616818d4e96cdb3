/** Rebuilds the state of a deployment from its events, in memory, and compares it with the chain. */
import type { PublicClient } from 'viem'

import type { Deployment } from '../chain/record/deployments.ts'
import { createReader } from '../relayer/endpoints/quorum.ts'
import { type Comparison, compareWithChain } from './compare.ts'
import { openDatabase } from './database/database.ts'
import { openFollower, type Progress } from './follow.ts'
import { createChainReader } from './read-chain.ts'
import { sourcesOf } from './sources.ts'

/** The block of the comparison, and its result. */
export interface Replay extends Comparison {
  readonly block: number
}

/** Most blocks in one request; smaller after a refusal. */
const span = 10_000

/**
 * Replays all events up to the newest block.
 *
 * @throws RELAYER_CHAIN_UNREACHABLE, CHAIN_UNREACHABLE, CHAIN_ANSWER_INVALID
 * @example
 * const { differences } = await replayDeployment(client, await readDeployment('deployments', 1))
 */
export async function replayDeployment(
  client: PublicClient,
  deployment: Deployment,
  onProgress: (progress: Progress) => void = () => undefined,
): Promise<Replay> {
  const quorum = createReader({ clients: [client], finality: { depth: 0 } })
  const reader = createChainReader(quorum)
  // blocks that come later are not read, so that events and state belong to one block
  const { latest: block } = await reader.heights()
  const genesis = await reader.header(0)
  const database = await openDatabase({ memory: true })
  try {
    const follower = await openFollower({
      db: database.db,
      reader: { ...reader, heights: async () => ({ latest: block, final: block }) },
      chainId: deployment.chainId,
      genesis: genesis?.hash ?? '0x',
      ...sourcesOf(deployment),
      span,
      onProgress,
    })
    while (await follower.step());
    return { block, ...(await compareWithChain(database.db, client, BigInt(block))) }
  } finally {
    await database.close()
  }
}
