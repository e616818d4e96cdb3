/**
 * The hash tree of heartbeats: how a posted value covers nonces, and how a node proves it for its own nonce.
 *
 *   leaf  = H(0 ‖ nonce)
 *   node  = H(1 ‖ smaller child ‖ larger child); a node without a partner rises unchanged
 *   value = H(2 ‖ previous value ‖ Merkle root)
 *
 * H is SHA-256 over the domain text and these bytes. A value is what a relayer posts. It covers the value before it, so a
 * nonce stays provable when a later post replaces its value, in whatever order posts are mined and also if some never are.
 */
import { hash } from 'node:crypto'

import { concatBytes, fromHex, type Hex, to0x, utf8ToBytes } from '../../lib/bytes.ts'

/** Nonces below one Merkle root: at most 2 ** `maxDepth`. */
export const maxDepth = 12
/** Later roots in one proof. With a post every minute they span more than eight hours. */
export const maxLater = 512

/** The previous value of a relayer's first value. */
export const noValue: Hex = `0x${'00'.repeat(32)}`

/** The Merkle path from a nonce to a posted value. All entries have 32 bytes. */
export interface HeartbeatProof {
  /** Siblings from the leaf to the Merkle root; at most `maxDepth`. */
  readonly path: readonly Hex[]
  /** The value that was posted before this root. */
  readonly previous: Hex
  /** Merkle roots that were posted afterwards, in their order; at most `maxLater`. */
  readonly later: readonly Hex[]
}

const domain = utf8ToBytes('assent-heartbeat-v1')
const [leafTag, nodeTag, valueTag] = [0, 1, 2] as const

/** The Merkle root over nonces. @throws RangeError for no nonce, or more than 2 ** `maxDepth` */
export function merkleRoot(nonces: readonly Hex[]): Hex {
  return levelsOf(nonces).at(-1)?.[0] as Hex
}

/**
 * Siblings from the nonce with this index to the Merkle root.
 *
 * @throws RangeError if there is no such nonce, or more than 2 ** `maxDepth`
 */
export function merklePath(nonces: readonly Hex[], index: number): Hex[] {
  if (nonces[index] === undefined) throw new RangeError('no such nonce')
  return levelsOf(nonces).flatMap((level, height) => {
    const sibling = level[Math.floor(index / 2 ** height) ^ 1]
    return sibling === undefined ? [] : [sibling]
  })
}

/** The value to post for a Merkle root after `previous`. */
export function heartbeatValue(previous: Hex, root: Hex): Hex {
  return digest(valueTag, previous, root)
}

/**
 * Whether a posted value covers a nonce. A value that covers a nonce cannot be older than the nonce.
 *
 * @example covers(word, nonce, { path: [], previous: noValue, later: [] })
 */
export function covers(value: Hex, nonce: Hex, { path, previous, later }: HeartbeatProof): boolean {
  if (path.length > maxDepth || later.length > maxLater) return false
  const root = path.reduce(nodeOf, leafOf(nonce))
  let reached = heartbeatValue(previous, root)
  for (const next of later) {
    if (reached === value) return true
    reached = heartbeatValue(reached, next)
  }
  return reached === value
}

/** From the leaves to the root. */
function levelsOf(nonces: readonly Hex[]): Hex[][] {
  if (nonces.length === 0 || nonces.length > 2 ** maxDepth) {
    throw new RangeError(`a tree over ${nonces.length} nonces`)
  }
  const levels = [nonces.map(leafOf)]
  for (let level = levels[0] as Hex[]; level.length > 1; levels.push(level)) level = parents(level)
  return levels
}

function parents(level: readonly Hex[]): Hex[] {
  return level.flatMap((left, index) => {
    if (index % 2 === 1) return []
    const right = level[index + 1]
    return [right === undefined ? left : nodeOf(left, right)]
  })
}

function leafOf(nonce: Hex): Hex {
  return digest(leafTag, nonce)
}

function nodeOf(one: Hex, other: Hex): Hex {
  return one < other ? digest(nodeTag, one, other) : digest(nodeTag, other, one)
}

function digest(tag: number, ...words: readonly Hex[]): Hex {
  const bytes = words.map((word) => fromHex(word, 'heartbeat word', 32))
  return to0x(hash('sha256', concatBytes(domain, Uint8Array.of(tag), ...bytes), 'buffer'))
}
