/**
 * Which block is believed: one on which enough of the configured endpoints agree.
 *
 * A light client can say which block that must be (`consensus/signed-headers.ts`).
 */
import pRetry from 'p-retry'

import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { EndpointFault, Finality } from '../boot.ts'
import type { ChainEvidence } from '../evidence.ts'
import type { BlockReference } from './checkpoint.ts'
import { hear } from './endpoint-health.ts'
import {
  type BlockHeader,
  blockSchema,
  type HeaderField,
  quantitySchema,
  readHeader,
} from './header.ts'
import type { Endpoint } from './rpc-endpoint.ts'

/** A final block, and who vouches for it. */
export interface AgreedHeader {
  readonly header: BlockHeader
  readonly agreement: ChainEvidence['agreement']
  /** Endpoints that did not vouch for it, each with the code of what they did instead. */
  readonly disagreeing: readonly EndpointFault[]
}

export interface HeaderSource {
  /**
   * The newest final block that can be vouched for.
   *
   * @param known what this node has believed before; nothing that contradicts it is vouched for
   * @throws CHAIN_NO_AGREEMENT, CHAIN_FORKED, CHAIN_BEHIND_MEMORY, CHAIN_ID_WRONG
   */
  newest(known: BlockReference | undefined): Promise<AgreedHeader>
}

export interface QuorumRules {
  readonly endpoints: readonly Endpoint[]
  readonly required: number
  readonly chainId: number
  /** Which block each endpoint is asked for; a hash: the one that a light client proved to be final. */
  readonly finality: Finality | { readonly hash: Hex }
  /** Of forks that this program does not know. */
  readonly headerFields?: readonly HeaderField[]
}

/** What one endpoint says: its own newest final block, or why it does not count. */
type HeaderVote =
  | { readonly endpoint: Endpoint; readonly header: BlockHeader }
  | { readonly endpoint: Endpoint; readonly error: AssentError }

/** Believes what `required` of the endpoints say alike. Those that are slow are waited for only where it takes them. */
export function agreedHeaders(rules: QuorumRules): HeaderSource {
  const { endpoints, required } = rules
  const late = (index: number): HeaderVote => tooLate(endpoints[index] as Endpoint)
  return {
    newest: async (known) => {
      const asked = endpoints.map((each) => fetchHeaderVote(each, rules, known))
      const isEnough = (stands: readonly HeaderVote[]) =>
        stands.filter((stand) => 'header' in stand).length >= required
      const quick = await hear(asked, isEnough, late)
      const vouched = await agree(quick, rules)
      if (vouched !== undefined) return vouched
      const stands = await Promise.all(asked)
      const slow = await agree(stands, rules)
      if (slow !== undefined) return slow
      throw disagreement(stands, rules)
    },
  }
}

/** The newest block that enough of them stand for, if there is one. */
async function agree(
  stands: readonly HeaderVote[],
  rules: QuorumRules,
): Promise<AgreedHeader | undefined> {
  const heights = stands.flatMap((stand) => ('header' in stand ? [stand.header.number] : []))
  const candidates = [...new Set(heights)].sort((a, b) => (a < b ? 1 : -1))
  for (const height of candidates) {
    const isEnough = (votes: readonly HeaderVote[]) => largestGroup(votes) >= rules.required
    const late = (index: number): HeaderVote => tooLate((stands[index] as HeaderVote).endpoint)
    const votes = await hear(
      stands.map((stand) => voteAt(stand, height, rules)),
      isEnough,
      late,
    )
    const vouched = count(votes, height, rules)
    if (vouched !== undefined) return vouched
  }
  return undefined
}

function largestGroup(votes: readonly HeaderVote[]): number {
  const hashes = votes.flatMap((vote) => ('header' in vote ? [vote.header.hash] : []))
  return Math.max(0, ...hashes.map((hash) => hashes.filter((other) => other === hash).length))
}

/** A block by tag, number or hash, its hash checked. @throws CHAIN_* */
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
  throw new AssentError('CHAIN_ANSWER_INVALID', `${endpoint.name} gave another block.`, {
    facts: { endpoint: endpoint.name, asked: name, found: String(header.number) },
  })
}

/** A connection that went stale deserves a second try; an endpoint that answers badly does not. */
export function retryOnce<T>(ask: () => Promise<T>): Promise<T> {
  return pRetry(ask, {
    retries: 1,
    minTimeout: 50,
    maxTimeout: 200,
    // an error that a node answers with is an answer
    shouldRetry: ({ error }) =>
      isAssentError(error, 'CHAIN_UNREACHABLE') && error.facts.rpcCode === undefined,
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
  throw new AssentError('CHAIN_HEAD_TOO_LOW', 'The chain is shorter than the confirmations.', {
    facts: { endpoint: endpoint.name, head: String(head.number) },
  })
}

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

/** An endpoint counts only if its chain contains the block that this node has believed before. */
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
    const message = `${endpoint.name} is behind block ${known.number}, which this node has seen.`
    throw new AssentError('CHAIN_BEHIND_MEMORY', message, { facts })
  }
  const same =
    header.number === known.number
      ? header
      : await fetchHeader(endpoint, known.number, rules.headerFields)
  if (same.hash === known.hash && header.timestamp >= known.timestamp) return
  const message = `${endpoint.name} shows another block ${known.number} than this node has seen.`
  throw new AssentError('CHAIN_FORKED', message, { facts })
}

/** What an endpoint says of a height at or below its own. */
async function voteAt(
  stand: HeaderVote,
  height: bigint,
  { headerFields }: QuorumRules,
): Promise<HeaderVote> {
  if ('error' in stand || stand.header.number === height) return stand
  const { endpoint, header } = stand
  if (header.number < height) return { endpoint, error: lagging(endpoint, height) }
  try {
    return { endpoint, header: await fetchHeader(endpoint, height, headerFields) }
  } catch (error) {
    if (isAssentError(error)) return { endpoint, error }
    throw error
  }
}

/** @throws CHAIN_FORKED if two blocks of one height find enough support */
function count(
  votes: readonly HeaderVote[],
  height: bigint,
  { required, endpoints }: QuorumRules,
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
    throw new AssentError('CHAIN_FORKED', `Two final blocks ${height} find enough support.`, {
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

/** The one reason that keeps enough endpoints from counting, if there is one. */
function disagreement(stands: readonly HeaderVote[], { required, endpoints }: QuorumRules) {
  const found = stands.map((stand) => ({
    endpoint: stand.endpoint.name,
    code: 'error' in stand ? stand.error.code : 'counted',
  }))
  const shared = shareable.find(
    (code) => found.filter((each) => each.code === code).length > endpoints.length - required,
  )
  const message = `Fewer than ${required} of ${endpoints.length} endpoints agree on a block.`
  return new AssentError(shared ?? 'CHAIN_NO_AGREEMENT', message, { facts: { required, found } })
}

function tooLate(endpoint: Endpoint): HeaderVote {
  const error = new AssentError('CHAIN_TIMEOUT', `${endpoint.name} is slower than the others.`, {
    facts: { endpoint: endpoint.name },
  })
  return { endpoint, error }
}

function lagging(endpoint: Endpoint, height: bigint): AssentError {
  return new AssentError('CHAIN_UNREACHABLE', `${endpoint.name} does not know block ${height} yet.`)
}
