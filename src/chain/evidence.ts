/**
 * Inclusion evidence of a decision: header and trie nodes, complete enough to repeat the decision offline.
 *
 * The endpoints agreed on the header's hash. Its state root proves the accounts, and their storage roots prove the
 * slots. Values are not stored beside their proofs, so the two cannot differ.
 */
import type { Hex } from '../lib/bytes.ts'

export interface ChainEvidence {
  readonly chainId: number
  /** Address of the `KmsAuth` contract. */
  readonly kmsContract: Hex
  /** RLP of the block's header. */
  readonly header: Hex
  /** keccak-256 of the header. */
  readonly blockHash: Hex
  readonly agreement: Agreement
  /** The trie nodes of every value that the decision read, from the root to the value. */
  readonly paths: readonly TriePath[]
  /** Endpoints that returned the same answer of a foreign app. That answer is not proven. */
  readonly executedBy?: readonly string[]
}

/** Trie nodes from a root to a value. Decisions at one block share the paths of shared values. */
export type TriePath = readonly NamedNode[]

/** keccak-256 and encoding of a trie node. */
export type NamedNode = readonly [hash: Hex, node: Hex]

/** RPC quorum for a block: `required` of `configured` endpoints. Names are host names, never URLs. */
export interface Agreement {
  readonly required: number
  readonly configured: number
  readonly endpoints: readonly string[]
}

/**
 * JSON with object members sorted by name and without spaces, so that equal values have equal bytes. Arrays keep their
 * order.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}
