/**
 * Inclusion evidence of a decision: header and trie nodes, complete enough to repeat the decision offline.
 *
 * The endpoints agreed on the header's hash. Its state root proves the accounts, and their storage roots prove the
 * slots. Values are not stored apart from their proofs, so the two cannot differ.
 */
import type { Hex } from '../../lib/bytes.ts'

/**
 * Inclusion evidence of a decision: the block, its header, and the storage proofs of every value that the decision
 * used. `log-verify` checks it offline, without an endpoint.
 */
export interface ChainEvidence {
  /** EIP-155 id of the chain. */
  readonly chainId: number
  /** Address of the `KmsAuth` contract. */
  readonly kmsContract: Hex
  /** RLP of the block's header. */
  readonly header: Hex
  /** keccak-256 of the header. */
  readonly blockHash: Hex
  /** The endpoints that returned this block. */
  readonly agreement: Agreement
  /** The trie nodes of every value that the decision read, from the root to the value. */
  readonly paths: readonly TriePath[]
  /** Endpoints that returned the same answer of a foreign app. That answer is not proven. */
  readonly executedBy?: readonly string[]
  /** Light-client messages that prove that the validators finalized the block, in the order in which they are checked. */
  readonly signatures?: readonly NamedNode[] | undefined
  /** On a rollup: what proves the block through L1. */
  readonly rollup?: RollupEvidence | undefined
}

/** What proves an L2 block through the storage of its L1. */
export interface RollupEvidence {
  /** EIP-155 id of the L1. */
  readonly chainId: number
  /** RLP of the header of the L1 block. */
  readonly header: Hex
  /** keccak-256 of that header. */
  readonly blockHash: Hex
  /** The L1 endpoints that returned this L1 block. */
  readonly agreement: Agreement
  /** Light-client messages that prove that the validators finalized the L1 block. */
  readonly signatures?: readonly NamedNode[] | undefined
  /** The trie nodes of every value of L1 that shows that the game counts. */
  readonly paths: readonly TriePath[]
  /** The dispute game. */
  readonly game: Hex
  /** The output root that it claims, 32 bytes. */
  readonly rootClaim: Hex
  /** Its first 32 bytes are the number of the L2 block. */
  readonly extraData: Hex
  /** Part of the output root, beside the L2 header's state root and hash. */
  readonly messagePasserStorageRoot: Hex
}

/** Trie nodes from a root to a value. Decisions at one block share the paths of shared values. */
export type TriePath = readonly NamedNode[]

/** keccak-256 and encoding of a trie node, a header or a light-client message. */
export type NamedNode = readonly [hash: Hex, node: Hex]

/** RPC quorum for a block: `required` of `configured` endpoints. Names are host names, never URLs. */
export interface Agreement {
  /** RPC quorum: endpoints that had to return the same block. */
  readonly required: number
  /** Endpoints in the settings. */
  readonly configured: number
  /** Host names of the endpoints that returned the block. */
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
