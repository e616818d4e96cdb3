/** What a node's refusal of a transaction means, in the words of the nodes in use. Pure. */
import { BaseError } from 'viem'

export type NodeAnswer =
  /** In the node's pool, or known to it already. */
  | 'accepted'
  /** The nonce is used on chain. */
  | 'nonce-too-low'
  /** The node wants the nonces below first. */
  | 'nonce-too-high'
  /** Too little for the pool, or for replacing what it holds. */
  | 'underpriced'
  | 'insufficient-funds'
  /** The node ran it and it reverts. */
  | 'reverted'
  /** Never acceptable as it is. */
  | 'rejected'
  | 'rate-limited'
  /** No answer. The node may have taken it all the same. */
  | 'unreachable'
  /** A refusal in words that are not known: tried again like an outage. */
  | 'unknown'

/** First match wins; `replacement … underpriced` must precede whatever else the sentence says. */
const vocabulary: readonly (readonly [NodeAnswer, RegExp])[] = [
  [
    'accepted',
    /already ?known|known transaction|already imported|already in (the )?(pool|mempool)|already exists/i,
  ],
  [
    'underpriced',
    /underpriced|could not replace|replacementnotallowed|fee ?too ?low|gas price too low|below (the )?(configured )?minimum|less than block base fee|too low for the next block|max fee per gas is too low|another transaction with same nonce/i,
  ],
  [
    'nonce-too-low',
    /nonce (is )?too low|old ?nonce|nonce ?already ?used|invalid nonce.*(less|lower)|lower than the current nonce/i,
  ],
  [
    'nonce-too-high',
    /nonce (is )?too high|nonce ?gap|too far in (the )?future|too distant|nonce.*too far|future transaction/i,
  ],
  [
    'insufficient-funds',
    /insufficient ?funds|enough funds|upfront cost exceeds|exceeds (account )?balance|gas required exceeds allowance/i,
  ],
  ['reverted', /revert|vm exception|always failing/i],
  [
    'rejected',
    /intrinsic gas|exceeds block gas limit|gas ?limit ?exceeded|gas limit (is )?too high|exceeds the configured cap|not supported|invalid sender|invalid chain|wrong chain|oversized|max initcode|invalid signature|exceeds transaction gas|transaction gas limit/i,
  ],
  ['rate-limited', /rate limit|too many requests|limit exceeded|\b429\b|capacity exceeded/i],
  [
    'unreachable',
    /timed? ?out|timeout|took too long|fetch failed|econn|socket|network|http request failed|bad gateway|unavailable|aborted/i,
  ],
]

/** Classifies what `eth_sendRawTransaction` failed with. */
export function classifyNodeError(error: unknown): NodeAnswer {
  const words = wordsOf(error)
  for (const [answer, pattern] of vocabulary) {
    if (pattern.test(words)) return answer
  }
  return 'unknown'
}

/** Transport errors of viem quote the request; only what the node said may be matched. */
function wordsOf(error: unknown): string {
  const words: string[] = []
  for (let each = error; each instanceof Error && words.length < 12; each = each.cause) {
    words.push(
      each instanceof BaseError
        ? `${each.name}: ${each.details} ${each.shortMessage}`
        : each.message,
    )
    const { status } = each as { status?: unknown }
    if (status === 429) words.push('too many requests')
  }
  return words.join('\n')
}

/** The answer to act on when several nodes were asked: one that took it decides. */
const precedence: readonly NodeAnswer[] = [
  'accepted',
  'nonce-too-low',
  'underpriced',
  'insufficient-funds',
  'reverted',
  'nonce-too-high',
  'rejected',
  'rate-limited',
  'unreachable',
  'unknown',
]

/** What makes the relayer raise its fees, or give the nonce to an empty transaction: both cost gas. */
const costly: ReadonlySet<NodeAnswer> = new Set(['underpriced', 'reverted', 'rejected'])

/**
 * @param quorum how many must say what costs gas, and are enough to be heard before the others
 */
export function combineAnswers(answers: readonly NodeAnswer[], quorum: number): NodeAnswer {
  if (answers.includes('accepted')) return 'accepted'
  const given = precedence.filter((answer) => answers.includes(answer))
  const count = (answer: NodeAnswer) => answers.filter((each) => isAlike(each, answer)).length
  return (
    given.find((answer) => count(answer) >= quorum) ??
    given.find((answer) => !costly.has(answer)) ??
    'unknown'
  )
}

/** Both say that the transaction is never taken as it is. */
function isAlike(a: NodeAnswer, b: NodeAnswer): boolean {
  const isNever = (answer: NodeAnswer) => answer === 'reverted' || answer === 'rejected'
  return a === b || (isNever(a) && isNever(b))
}
