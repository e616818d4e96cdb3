/**
 * Final blocks of an OP Stack chain, proven through the storage of L1.
 *
 * Endpoints of the L2 cannot invent a block: its hash is in the output root that a dispute game claims, and the game is
 * proven under an L1 block that a light client or an RPC quorum named.
 */
import { AssentError, isAssentError } from '../../errors/index.ts'
import { createByteCache } from '../../lib/byte-cache.ts'
import type { Clock } from '../../lib/clock.ts'
import type { EndpointFault } from '../boot/boot.ts'
import type { RollupEvidence, TriePath } from '../boot/evidence.ts'
import type { BlockReference, ChainCheckpoint } from '../proven/checkpoint.ts'
import { createHealth } from '../proven/endpoint-health.ts'
import {
  type AgreedHeader,
  agreedHeaders,
  type HeaderSource,
  type QuorumRules,
} from '../proven/header-quorum.ts'
import { askFor, proveByEndpoints } from '../proven/prover.ts'
import type { Endpoint } from '../proven/rpc-endpoint.ts'
import { createStateCache, openState } from '../proven/state.ts'
import { requireRecentByClock } from '../proven/view-context.ts'
import { askClaims } from './claim.ts'
import {
  type ClaimedGame,
  countingGames,
  type GameRules,
  newerGames,
  readGrounds,
} from './games.ts'
import { type ClaimedBlock, fetchClaimedBlock } from './output-root.ts'

/** The chain on which the dispute games are. */
export interface L1Options {
  /** EIP-155 chain id. */
  readonly chainId: number
  /** Its final blocks. */
  readonly source: HeaderSource
  /** Endpoints that serve its proofs. */
  readonly endpoints: readonly Endpoint[]
  /** The highest L1 block that this node ever accepted. */
  readonly checkpoint: ChainCheckpoint
  /** Highest age of the L1 block by the local clock, in seconds. */
  readonly maxBlockAgeSeconds: number
}

/** Bytes of memory for proven state of L1, and for L2 blocks. */
const stateBytes = 8 * 2 ** 20
const blockBytes = 2 ** 18
/** Most faults of one refresh that are reported. */
const maxFaults = 64

type Failed = (fault: EndpointFault) => void

/**
 * @param rules the L2 endpoints that must show the block; their `finality` is not used
 * @throws from `newest`: ROLLUP_*, and CHAIN_* or CONSENSUS_* of both chains
 * @example opStackHeaders(rules, games, { chainId: 1, source, endpoints, checkpoint, maxBlockAgeSeconds: 3600 }, { clock })
 */
export function opStackHeaders(
  rules: QuorumRules,
  games: GameRules,
  l1: L1Options,
  { clock, now = () => performance.now() }: { readonly clock: Clock; readonly now?: () => number },
): HeaderSource {
  const memory = createStateCache(stateBytes)
  const prove = proveByEndpoints(l1.endpoints, now, memory.nodes)
  const names = l1.endpoints.map(({ name }) => name)
  const claims = askClaims(l1.endpoints, createHealth(now))
  const blocks = rememberBlocks(rules, now)
  return {
    newest: async (known) => {
      const faults: EndpointFault[] = []
      const failed: Failed = (fault) => void (faults.length < maxFaults && faults.push(fault))
      const blockOf = blocks(failed)
      const settled = await newestOfL1(l1, known, clock)
      const { header } = settled
      const state = openState(header, askFor(names, prove, { fault: failed }), memory)
      const l1State = { reads: state.read(), time: header.timestamp }
      const askClaim = claims(failed)
      const found = countingGames(l1State, games, askClaim)
      const { counting, block } = await firstUsable(found, blockOf, known)
      const newer = await newerGames(l1State, games, { counting, askClaim })
      const [agreed, denying] = await Promise.all([
        agreedHeaders({ ...rules, finality: { hash: block.header.hash } }).newest(known),
        firstShown(newer, blockOf),
      ])
      const grounds = state.read()
      await readGrounds(grounds, games, counting)
      if (settled.isNewer) await l1.checkpoint.write(header)
      return {
        ...agreed,
        disagreeing: [...agreed.disagreeing, ...settled.disagreeing, ...faults],
        signedHead: denying?.header.hash,
        consensus: settled.consensus,
        l1BlockTime: header.timestamp,
        rollup: evidenceOf(l1, settled, { game: counting, block, paths: grounds.paths() }),
      }
    },
  }
}

interface SettledHeader extends AgreedHeader {
  /** This node has not accepted it before. */
  readonly isNewer: boolean
}

/** @param known undefined: a new node, which has no L1 block either */
async function newestOfL1(
  { chainId, source, checkpoint, maxBlockAgeSeconds }: L1Options,
  known: BlockReference | undefined,
  clock: Clock,
): Promise<SettledHeader> {
  const before = known === undefined ? undefined : await checkpoint.read()
  const agreed = await source.newest(before)
  try {
    requireRecentByClock(agreed.header, { clock, maxBlockAgeSeconds })
  } catch (cause) {
    if (!isAssentError(cause)) throw cause
    const facts = { ...cause.facts, chainId }
    throw new AssentError(cause.code, `On L1: ${cause.message}`, { cause, facts })
  }
  return { ...agreed, isNewer: before === undefined || agreed.header.number > before.number }
}

type BlockOf = (game: ClaimedGame) => Promise<ClaimedBlock>

/** The L2 blocks of claims. One that was found is not asked for again. */
function rememberBlocks(
  { endpoints, headerFields }: QuorumRules,
  now: () => number,
): (failed: Failed) => BlockOf {
  const found = createByteCache<ClaimedBlock>(blockBytes)
  const health = createHealth(now)
  return (failed) =>
    async ({ claim, l2Block }) => {
      const { rootClaim: outputRoot } = claim
      const known = found.get(outputRoot)
      if (known !== undefined && known.header.number === l2Block) return known
      const asked = { outputRoot, number: l2Block }
      const block = await fetchClaimedBlock(endpoints, asked, { headerFields, health, failed })
      found.set(outputRoot, block, block.header.rlp.length)
      return block
    }
}

interface UsableGame {
  readonly counting: ClaimedGame
  readonly block: ClaimedBlock
}

/**
 * The first game whose block an endpoint shows, and whose block is not older than the known one. So an invented claim, and
 * an anchor game that is far behind, hide no good game.
 *
 * @param groups the highest block of each group is first
 */
async function firstUsable(
  groups: AsyncIterable<readonly ClaimedGame[]>,
  blockOf: BlockOf,
  known: BlockReference | undefined,
): Promise<UsableGame> {
  let older: UsableGame | undefined
  let failure: unknown
  const show = async (counting: ClaimedGame): Promise<UsableGame[]> => {
    try {
      return [{ counting, block: await blockOf(counting) }]
    } catch (error) {
      if (!isAssentError(error)) throw error
      failure ??= error
      return []
    }
  }
  for await (const [first, ...others] of groups) {
    if (first === undefined) continue
    let shown = await show(first)
    // at once, because a slow endpoint delays each claim that nobody can show
    if (shown.length === 0) shown = (await Promise.all(others.map(show))).flat()
    const [highest] = shown
    if (highest === undefined) continue
    if (known === undefined || highest.block.header.number >= known.number) return highest
    older ??= highest
  }
  if (older !== undefined) return older
  throw failure
}

/** The highest of these blocks that an endpoint shows. A claim that nobody can show denies nothing. */
async function firstShown(
  games: readonly ClaimedGame[],
  blockOf: BlockOf,
): Promise<ClaimedBlock | undefined> {
  const shown = await Promise.all(
    games.map((game) =>
      blockOf(game).catch((error: unknown) => {
        if (!isAssentError(error)) throw error
      }),
    ),
  )
  return shown.find((block) => block !== undefined) ?? undefined
}

function evidenceOf(
  { chainId }: L1Options,
  { header, agreement, signatures }: SettledHeader,
  found: {
    readonly game: ClaimedGame
    readonly block: ClaimedBlock
    readonly paths: readonly TriePath[]
  },
): RollupEvidence {
  const { game, block, paths } = found
  return {
    chainId,
    header: header.rlp,
    blockHash: header.hash,
    agreement,
    ...(signatures ? { signatures } : {}),
    paths,
    game: game.id.address,
    ...game.claim,
    messagePasserStorageRoot: block.messagePasserStorageRoot,
  }
}
