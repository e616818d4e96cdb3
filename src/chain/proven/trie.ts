/**
 * Walks a Merkle-Patricia trie (Ethereum yellow paper, appendices B to D) from a known root to a key.
 *
 * Nodes are identified by their hash, so a node that was verified once is valid in every block and contract that refers
 * to it. A walk reports the first node that is missing. `src/log-verify/trie.ts` is an independent implementation; a
 * test compares both on all kinds of mutated proofs.
 *
 * Nodes are kept as lower-case hex with prefix `0x`.
 */
import { type ByteCache, createByteCache } from '../../lib/byte-cache.ts'
import type { Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import type { NamedNode, TriePath } from '../boot/evidence.ts'

/** Trie nodes by hash. Each was hashed before it was stored. */
export type NodeStore = ByteCache<Hex>

/**
 * Creates a store of trie nodes by keccak-256, limited to `maxBytes`; the node that was used longest ago is dropped
 * first.
 */
export function createNodeStore(maxBytes: number): NodeStore {
  return createByteCache(maxBytes)
}

/** Result of a walk: a value, no value, or the hash of a missing node. */
export type TrieWalkResult =
  | { readonly value: Hex | undefined; readonly nodes: TriePath }
  | { readonly missing: Hex }

/** keccak-256 of an empty trie. */
export const emptyRoot: Hex = keccak256('0x80')

/**
 * Walks to a key.
 *
 * @param key keccak-256 of the address or slot
 * @param take returns the node with a hash, or undefined
 * @returns the value and exactly the nodes on the path, or the hash of the first missing node
 * @throws RangeError if a node is malformed
 */
export function walk(root: Hex, key: Hex, take: (hash: Hex) => Hex | undefined): TrieWalkResult {
  if (root === emptyRoot) return { value: undefined, nodes: [] }
  const nodes: NamedNode[] = []
  let depth = 2
  let next: Reference = { hash: root }
  for (;;) {
    let place: NodeLocation
    if ('hash' in next) {
      const node = take(next.hash)
      if (node === undefined) return { missing: next.hash }
      nodes.push([next.hash, node])
      place = { text: node, item: readItem(node, 2, node.length) }
    } else {
      place = next
    }
    const step = descend(place, key, depth)
    if ('value' in step) return { value: step.value, nodes }
    depth = step.depth
    next = step.next
  }
}

/** Position of an RLP item's content, in hex digits. */
interface RlpItem {
  readonly isList: boolean
  readonly start: number
  readonly end: number
}

/** A node that is embedded in its parent, or a separate one. */
interface NodeLocation {
  readonly text: Hex
  readonly item: RlpItem
}

type Reference = { readonly hash: Hex } | NodeLocation

type TrieStep =
  | { readonly value: Hex | undefined }
  | { readonly next: Reference; readonly depth: number }

function descend({ text, item }: NodeLocation, key: Hex, depth: number): TrieStep {
  if (!item.isList) throw new RangeError('not a node')
  const count = countItems(text, item)
  if (count === 17) {
    if (depth >= key.length) throw new RangeError('a branch beyond the key')
    const child = itemAt(text, item, digit(key, depth))
    return isEmpty(child) ? { value: undefined } : { next: refer(text, child), depth: depth + 1 }
  }
  if (count !== 2) throw new RangeError('not a node')
  const path = itemAt(text, item, 0)
  const rest = readItem(text, path.end, item.end)
  const { start, isLeaf } = readPath(text, path)
  const length = path.end - start
  const matches = key.startsWith(text.slice(start, path.end), depth)
  if (isLeaf) {
    if (depth + length !== key.length) throw new RangeError('a leaf that is not at a key’s end')
    if (rest.isList) throw new RangeError('a leaf that holds a list')
    return { value: matches ? `0x${text.slice(rest.start, rest.end)}` : undefined }
  }
  if (length === 0 || isEmpty(rest)) throw new RangeError('an extension that leads nowhere')
  const next = refer(text, rest)
  return matches ? { next, depth: depth + length } : { value: undefined }
}

/** A reference is a hash; a node shorter than 32 bytes is embedded in its parent instead. */
function refer(text: Hex, item: RlpItem): Reference {
  if (item.isList) {
    // the length of a node shorter than a hash is one byte
    if (item.end - item.start > 60) throw new RangeError('a long node that has no hash')
    return { text, item }
  }
  if (item.end - item.start !== 64) throw new RangeError('a hash of another length')
  return { hash: `0x${text.slice(item.start, item.end)}` }
}

/** Hex-prefix encoding, appendix C. */
function readPath(text: Hex, { isList, start, end }: RlpItem): { start: number; isLeaf: boolean } {
  if (isList || start === end) throw new RangeError('a path without its flag')
  const flag = digit(text, start)
  if (flag > 3) throw new RangeError('a path without its flag')
  const isOdd = (flag & 1) === 1
  if (!isOdd && digit(text, start + 1) !== 0) throw new RangeError('a padded path')
  return { start: isOdd ? start + 1 : start + 2, isLeaf: flag >= 2 }
}

function isEmpty({ isList, start, end }: RlpItem): boolean {
  return !isList && start === end
}

/* RLP */

/** Limit for the nesting of RLP lists in a node. */
const maxDepth = 16

/**
 * Checks that a text is exactly one RLP item in canonical form.
 *
 * @throws RangeError if it is not
 */
export function requireRlp(text: Hex): void {
  const end = requireItem(text, 2, text.length, 0)
  if (end !== text.length) throw new RangeError('bytes after the item')
}

/** The items of a flat RLP list. @throws RangeError for anything else */
export function readFields(text: Hex): Hex[] {
  requireRlp(text)
  const list = readItem(text, 2, text.length)
  if (!list.isList) throw new RangeError('not a list')
  const fields: Hex[] = []
  for (let at = list.start; at < list.end; ) {
    const item = readItem(text, at, list.end)
    if (item.isList) throw new RangeError('a list in place of a value')
    fields.push(`0x${text.slice(item.start, item.end)}`)
    at = item.end
  }
  return fields
}

/** A flat RLP list of byte strings, as `readFields` reads it. */
export function encodeFields(fields: readonly Hex[]): Hex {
  const items = fields.map((field) => {
    const digits = field.slice(2)
    const isOneByte = digits.length === 2 && digits < '80'
    return isOneByte ? digits : `${encodeLength(digits, 0x80)}${digits}`
  })
  const content = items.join('')
  return `0x${encodeLength(content, 0xc0)}${content}`
}

function encodeLength(digits: string, marker: number): string {
  const length = digits.length / 2
  if (length < 56) return (marker + length).toString(16)
  const width = length.toString(16)
  const even = width.length % 2 === 0 ? width : `0${width}`
  return `${(marker + 55 + even.length / 2).toString(16)}${even}`
}

function requireItem(text: Hex, at: number, limit: number, depth: number): number {
  if (depth > maxDepth) throw new RangeError('nested too deeply')
  const item = readItem(text, at, limit)
  if (!item.isList) return item.end
  for (let next = item.start; next < item.end; ) {
    next = requireItem(text, next, item.end, depth + 1)
  }
  return item.end
}

function countItems(text: Hex, list: RlpItem): number {
  let count = 0
  for (let at = list.start; at < list.end; count++) at = readItem(text, at, list.end).end
  return count
}

function itemAt(text: Hex, list: RlpItem, index: number): RlpItem {
  let item = readItem(text, list.start, list.end)
  for (let passed = 0; passed < index; passed++) item = readItem(text, item.end, list.end)
  return item
}

function readItem(text: Hex, at: number, limit: number): RlpItem {
  if (at + 2 > limit) throw new RangeError('cut off')
  const first = byteAt(text, at)
  if (first < 0x80) return { isList: false, start: at, end: at + 2 }
  const isList = first >= 0xc0
  const marker = first - (isList ? 0xc0 : 0x80)
  const { start, length } = readLength(text, at + 2, marker, limit)
  const end = start + 2 * length
  if (end > limit) throw new RangeError('longer than its surroundings')
  if (!isList && length === 1 && byteAt(text, start) < 0x80) {
    throw new RangeError('a byte in two forms')
  }
  return { isList, start, end }
}

function readLength(text: Hex, at: number, marker: number, limit: number) {
  if (marker < 56) return { start: at, length: marker }
  const width = marker - 55
  const start = at + 2 * width
  if (width > 4 || start > limit) throw new RangeError('a length that no item has')
  let length = 0
  for (let each = at; each < start; each += 2) length = length * 256 + byteAt(text, each)
  if (length < 56 || byteAt(text, at) === 0) throw new RangeError('a length in two forms')
  return { start, length }
}

function byteAt(text: string, at: number): number {
  return 16 * digit(text, at) + digit(text, at + 1)
}

/** Value of a lower-case hexadecimal digit. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 58 ? code - 48 : code - 87
}
