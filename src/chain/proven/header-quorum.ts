/**
 * Finds the newest final block that an RPC quorum returns.
 *
 * With a light client the block's hash is known before (`consensus/signed-headers.ts`).
 */
import pRetry from 'p-retry'

import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { ConsensusStatus, EndpointFault, Finality } from '../boot/boot.ts'
import type { Agreement, NamedNode, RollupEvidence } from '../boot/evidence.ts'
import type { BlockReference } from './checkpoint.ts'
import { collectAnswers } from './endpoint-health.ts'
import {
  type BlockHeader,
  blockSchema,
  type HeaderField,
  quantitySchema,
  readHeader,
} from './header.ts'
import type { Endpoint } from './rpc-endpoint.ts'

/** A final block and the endpoints that returned it. */
export interface AgreedHeader {
  /** The final block. Its hash matches its fields. */
  readonly header: BlockHeader
  /** Required number and names of the endpoints that returned it, for the release log. */
  readonly agreement: Agreement
  /** Endpoints that did not return this block, each with an error code. */
  readonly disagreeing: readonly EndpointFault[]
  /**
   * Hash of the newest block that a sync committee signed or a dispute game claims, final or not. Its state can deny and
   * never allows. Undefined without them, and where it is not newer than the final block.
   */
  readonly signedHead?: Hex | undefined
  /** Light-client messages that prove the block, for the release log. Undefined without a light client. */
  readonly signatures?: readonly NamedNode[] | undefined
  /** What proves the block through L1, for the release log. Only on a rollup. */
  readonly rollup?: RollupEvidence | undefined
  /** On a rollup: time of the L1 block that proves it, Unix seconds; for metrics. */
  readonly l1BlockTime?: number | undefined
  /** For metrics. */
  readonly consensus?: ConsensusStatus | undefined
}

/** A source of final blocks. */
export interface HeaderSource {
  /**
   * The newest final block that has an RPC quorum.
   *
   * @param known the trusted checkpoint; a block that does not descend from it is not accepted
   * @throws CHAIN_NO_AGREEMENT, CHAIN_FORKED, CHAIN_BEHIND_MEMORY, CHAIN_ID_WRONG
   */
  newest(known: BlockReference | undefined): Promise<AgreedHeader>
}

/** The RPC quorum: endpoints, and how many of them must agree. */
export interface QuorumRules {
  /** In the order of the settings. */
  readonly endpoints: readonly Endpoint[]
  /** Endpoints that must return the same block. */
  readonly required: number
  /** Endpoints of another chain do not count. */
  readonly chainId: number
  /** The block to request from each endpoint; a hash: the block that a light client proved to be final. */
  readonly finality: Finality | { readonly hash: Hex }
  /** Header fields of forks that this version does not know. */
  readonly headerFields?: readonly HeaderField[]
}

/** Vote of one endpoint: its newest final block, or the reason why it does not count. */
type HeaderVote =
  | { readonly endpoint: Endpoint; readonly header: BlockHeader }
  | { readonly endpoint: Endpoint; readonly error: AssentError }

/**
 * Final blocks by RPC quorum: `required` endpoints must return the same block. Slow endpoints are waited for only if the
 * quorum needs them.
 */
export function agreedHeaders(rules: QuorumRules): HeaderSource {
  const { endpoints, required } = rules
  const late = (index: number): HeaderVote => tooLate(endpoints[index] as Endpoint)
  return {
    newest: async (known) => {
      const asked = endpoints.map((each) => fetchHeaderVote(each, rules, known))
      const isEnough = (votes: readonly HeaderVote[]) =>
        votes.filter((vote) => 'header' in vote).length >= required
      const quick = await collectAnswers(asked, isEnough, late)
      const agreed = await agree(quick, rules)
      if (agreed !== undefined) return agreed
      const votes = await Promise.all(asked)
      const slow = await agree(votes, rules)
      if (slow !== undefined) return slow
      throw disagreement(votes, rules)
    },
  }
}

/**
 * The block at one height, as an RPC quorum returns it: for a reader that compares the chain with another source at the
 * block of that source.
 *
 * @throws CHAIN_NO_AGREEMENT, CHAIN_FORKED, CHAIN_ID_WRONG
 */
export async function agreedHeaderAt(
  rules: Omit<QuorumRules, 'finality'>,
  height: bigint,
): Promise<AgreedHeader> {
  const { endpoints, required, chainId, headerFields } = rules
  const asked = endpoints.map(async (endpoint): Promise<HeaderVote> => {
    try {
      const [header] = await Promise.all([
        fetchHeader(endpoint, height, headerFields),
        requireChain(endpoint, chainId),
      ])
      return { endpoint, header }
    } catch (error) {
      if (isAssentError(error)) return { endpoint, error }
      throw error
    }
  })
  const isEnough = (votes: readonly HeaderVote[]) => largestGroup(votes) >= required
  const late = (index: number): HeaderVote => tooLate(endpoints[index] as Endpoint)
  const votes = await collectAnswers(asked, isEnough, late)
  const agreed = count(votes, height, rules)
  if (agreed !== undefined) return agreed
  throw disagreement(votes, rules)
}

/** The newest block with a quorum, if there is one. */
async function agree(
  ownHeads: readonly HeaderVote[],
  rules: QuorumRules,
): Promise<AgreedHeader | undefined> {
  const heights = ownHeads.flatMap((vote) => ('header' in vote ? [vote.header.number] : []))
  const candidates = [...new Set(heights)].sort((a, b) => (a < b ? 1 : -1))
  for (const height of candidates) {
    const isEnough = (votes: readonly HeaderVote[]) => largestGroup(votes) >= rules.required
    const late = (index: number): HeaderVote => tooLate((ownHeads[index] as HeaderVote).endpoint)
    const votes = await collectAnswers(
      ownHeads.map((vote) => voteAt(vote, height, rules)),
      isEnough,
      late,
    )
    const agreed = count(votes, height, rules)
    if (agreed !== undefined) return agreed
  }
  return undefined
}

function largestGroup(votes: readonly HeaderVote[]): number {
  const hashes = votes.flatMap((vote) => ('header' in vote ? [vote.header.hash] : []))
  return Math.max(0, ...hashes.map((hash) => hashes.filter((other) => other === hash).length))
}

/** A block header by tag, number or hash; its hash is checked. @throws CHAIN_* */
export async function fetchHeader(
  endpoint: Endpoint,
  block: 'latest' | 'finalized' | 'safe' | bigint | { readonly hash: Hex },
  further: readonly HeaderField[] | undefined,
): Promise<BlockHeader> {
  const isHash = typeof block === 'object'
  const method = isHash ? 'eth_getBlockByHash' : 'eth_getBlockByNumber'
  const name = isHash ? block.hash : typeof block === 'bigint' ? `0x${block.toString(16)}` : block
  const header = readHeader(
    await retryOnce(() => endpoint.request(method, [name, false], blockSchema)),
    further,
  )
  if (isHash ? header.hash === block.hash : typeof block === 'string' || header.number === block) {
    return header
  }
  throw new AssentError('CHAIN_ANSWER_INVALID', `${endpoint.name} returned another block.`, {
    facts: { endpoint: endpoint.name, asked: name, found: String(header.number) },
  })
}

/** Repeats a request once after a connection error, such as a stale connection, or a rate limit, but not after an answer. */
export function retryOnce<T>(ask: () => Promise<T>): Promise<T> {
  return pRetry(ask, {
    retries: 1,
    minTimeout: 50,
    maxTimeout: 200,
    // a JSON-RPC error is an answer
    shouldRetry: ({ error }) =>
      isAssentError(error, 'CHAIN_RATE_LIMITED') ||
      (isAssentError(error, 'CHAIN_UNREACHABLE') && error.facts.rpcCode === undefined),
  })
}

async function fetchHeaderVote(
  endpoint: Endpoint,
  rules: QuorumRules,
  known: BlockReference | undefined,
): Promise<HeaderVote> {
  try {
    const [header] = await Promise.all([
      finalHeader(endpoint, rules),
      requireChain(endpoint, rules.chainId),
    ])
    if (known !== undefined) await requireAncestor(endpoint, header, { known, rules })
    return { endpoint, header }
  } catch (error) {
    if (isAssentError(error)) return { endpoint, error }
    throw error
  }
}

async function finalHeader(
  endpoint: Endpoint,
  { finality, headerFields }: QuorumRules,
): Promise<BlockHeader> {
  if (typeof finality === 'string' || 'hash' in finality) {
    return fetchHeader(endpoint, finality, headerFields)
  }
  const head = await fetchHeader(endpoint, 'latest', headerFields)
  const number = head.number - BigInt(finality.confirmations)
  if (number === head.number) return head
  if (number >= 0n) return fetchHeader(endpoint, number, headerFields)
  throw new AssentError(
    'CHAIN_HEAD_TOO_LOW',
    'The chain has fewer blocks than the required confirmations.',
    {
      facts: { endpoint: endpoint.name, head: String(head.number) },
    },
  )
}

/** @throws CHAIN_ID_WRONG if the endpoint serves another chain */
export async function requireChain(endpoint: Endpoint, chainId: number): Promise<void> {
  const found = await retryOnce(() => endpoint.request('eth_chainId', [], quantitySchema))
  if (found === BigInt(chainId)) return
  throw new AssentError(
    'CHAIN_ID_WRONG',
    `${endpoint.name} serves chain ${found}, not ${chainId}.`,
    {
      facts: { endpoint: endpoint.name, expected: chainId, found: String(found) },
    },
  )
}

/** An endpoint counts only if its chain contains the block of the trusted checkpoint. */
async function requireAncestor(
  endpoint: Endpoint,
  header: BlockHeader,
  { known, rules }: { readonly known: BlockReference; readonly rules: QuorumRules },
): Promise<void> {
  const facts = {
    endpoint: endpoint.name,
    known: String(known.number),
    found: String(header.number),
  }
  if (header.number < known.number) {
    const message = `${endpoint.name} is behind block ${known.number}, which this node accepted before.`
    throw new AssentError('CHAIN_BEHIND_MEMORY', message, { facts })
  }
  const same =
    header.number === known.number
      ? header
      : await fetchHeader(endpoint, known.number, rules.headerFields)
  if (same.hash === known.hash && header.timestamp >= known.timestamp) return
  const message = `${endpoint.name} has another block ${known.number} than the one that this node accepted before.`
  throw new AssentError('CHAIN_FORKED', message, { facts })
}

/** Vote of an endpoint for a height at or below its own. */
async function voteAt(
  vote: HeaderVote,
  height: bigint,
  { headerFields }: QuorumRules,
): Promise<HeaderVote> {
  if ('error' in vote || vote.header.number === height) return vote
  const { endpoint, header } = vote
  if (header.number < height) return { endpoint, error: lagging(endpoint, height) }
  try {
    return { endpoint, header: await fetchHeader(endpoint, height, headerFields) }
  } catch (error) {
    if (isAssentError(error)) return { endpoint, error }
    throw error
  }
}

/** @throws CHAIN_FORKED if two blocks of one height have a quorum */
function count(
  votes: readonly HeaderVote[],
  height: bigint,
  { required, endpoints }: Pick<QuorumRules, 'required' | 'endpoints'>,
): AgreedHeader | undefined {
  const byHash = new Map<string, { header: BlockHeader; names: string[] }>()
  for (const vote of votes) {
    if (!('header' in vote)) continue
    const { header, endpoint } = vote
    const group = byHash.get(header.hash) ?? { header, names: [] }
    group.names.push(endpoint.name)
    byHash.set(header.hash, group)
  }
  const supported = [...byHash.values()].filter(({ names }) => names.length >= required)
  const [winner, rival] = supported
  if (winner === undefined) return undefined
  if (rival !== undefined) {
    throw new AssentError('CHAIN_FORKED', `Two different final blocks ${height} have a quorum.`, {
      facts: { block: String(height), first: winner.header.hash, second: rival.header.hash },
    })
  }
  const disagreeing = votes.flatMap((vote) => {
    if ('error' in vote) return [{ endpoint: vote.endpoint.name, code: vote.error.code }]
    if (vote.header.hash === winner.header.hash) return []
    return [{ endpoint: vote.endpoint.name, code: 'CHAIN_FORKED' }]
  })
  return {
    header: winner.header,
    agreement: { required, configured: endpoints.length, endpoints: winner.names },
    disagreeing,
  }
}

const shareable = [
  'CHAIN_FORKED',
  'CHAIN_BEHIND_MEMORY',
  'CHAIN_ID_WRONG',
  'CHAIN_HEADER_UNKNOWN',
] as const

/** The error when there is no quorum: the common reason of the endpoints if there is one. */
function disagreement(
  votes: readonly HeaderVote[],
  { required, endpoints }: Pick<QuorumRules, 'required' | 'endpoints'>,
) {
  const found = votes.map((vote) => ({
    endpoint: vote.endpoint.name,
    code: 'error' in vote ? vote.error.code : 'counted',
  }))
  const shared = shareable.find(
    (code) => found.filter((each) => each.code === code).length > endpoints.length - required,
  )
  const message = `Fewer than ${required} of ${endpoints.length} endpoints return the same block.`
  return new AssentError(shared ?? 'CHAIN_NO_AGREEMENT', message, { facts: { required, found } })
}

function tooLate(endpoint: Endpoint): HeaderVote {
  const error = new AssentError('CHAIN_TIMEOUT', `${endpoint.name} did not answer in time.`, {
    facts: { endpoint: endpoint.name },
  })
  return { endpoint, error }
}

function lagging(endpoint: Endpoint, height: bigint): AssentError {
  return new AssentError('CHAIN_UNREACHABLE', `${endpoint.name} does not know block ${height} yet.`)
}
