/** Classifies why a node refused a transaction, by the error texts of the common node implementations. */
import { BaseError } from 'viem'

/** Answer of a node to a sent transaction. */
export type NodeAnswer =
  /** The transaction is in the node's pool. */
  | 'accepted'
  /** The nonce is used on chain. */
  | 'nonce-too-low'
  /** The node has not seen the nonces below. */
  | 'nonce-too-high'
  /** The fees are too low for the pool, or to replace another transaction. */
  | 'underpriced'
  | 'insufficient-funds'
  /** The node executed the call and it reverted. */
  | 'reverted'
  /** The node will never accept this transaction. */
  | 'rejected'
  | 'rate-limited'
  /** No answer. The node may have accepted the transaction. */
  | 'unreachable'
  /** A refusal with an unknown text; it is treated like an outage and tried again. */
  | 'unknown'

/** The first match counts. `replacement … underpriced` must come before the other patterns of that sentence. */
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

/** Classifies the error of `eth_sendRawTransaction`. */
export function classifyNodeError(error: unknown): NodeAnswer {
  const words = wordsOf(error)
  for (const [answer, pattern] of vocabulary) {
    if (pattern.test(words)) return answer
  }
  return 'unknown'
}

/** viem's transport errors quote the request, so only the node's own text is matched. */
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

/** Chooses the answer to act on; one node that accepted is enough. */
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

/** Answers after which the relayer pays more: higher fees, or an empty transaction. */
const costly: ReadonlySet<NodeAnswer> = new Set(['underpriced', 'reverted', 'rejected'])

/**
 * One answer from the answers of several nodes.
 *
 * @param quorum how many nodes must give an answer that costs gas
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

/** Equal, or both mean that the transaction is never accepted. */
function isAlike(a: NodeAnswer, b: NodeAnswer): boolean {
  const isNever = (answer: NodeAnswer) => answer === 'reverted' || answer === 'rejected'
  return a === b || (isNever(a) && isNever(b))
}
