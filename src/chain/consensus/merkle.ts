/** Merkle branches under generalized indices (`ssz/merkle-proofs.md`). */
import { sha256 } from '@noble/hashes/sha2.js'

import { concatBytes, equalBytes, isZero } from '../../lib/bytes.ts'

/** Number of levels between a generalized index and the root: `floorlog2`. */
export function depthOf(generalizedIndex: number): number {
  return 31 - Math.clz32(generalizedIndex)
}

/**
 * The root above a leaf: the fold inside `is_valid_merkle_branch` (phase0).
 *
 * @param branch one sibling for each level, the lowest first
 */
export function rootOfBranch(
  leaf: Uint8Array,
  branch: readonly Uint8Array[],
  generalizedIndex: number,
): Uint8Array {
  return branch.reduce((node, sibling, level) => {
    const isRight = ((generalizedIndex >> level) & 1) === 1
    return sha256(isRight ? concatBytes(sibling, node) : concatBytes(node, sibling))
  }, leaf)
}

/**
 * `is_valid_normalized_merkle_branch` (Altair light client): a branch in a longer vector has zeros in front, and
 * nothing but zeros.
 */
export function isValidBranch(
  leaf: Uint8Array,
  branch: readonly Uint8Array[],
  generalizedIndex: number,
  root: Uint8Array,
): boolean {
  const extra = branch.length - depthOf(generalizedIndex)
  if (extra < 0 || !branch.slice(0, extra).every(isZero)) return false
  return equalBytes(rootOfBranch(leaf, branch.slice(extra), generalizedIndex), root)
}
