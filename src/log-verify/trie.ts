/** Merkle-Patricia proofs (Ethereum yellow paper, appendix D). */
import { keccak_256 } from '@noble/hashes/sha3.js'

import { decodeRlp, type Rlp } from './rlp.ts'

/** keccak-256. */
export function keccak(bytes: Uint8Array): Buffer {
  return Buffer.from(keccak_256(bytes))
}

const emptyRoot = keccak(Buffer.from([0x80]))

/**
 * Reads the value of `keccak(key)` from a proof. Undefined if the nodes prove that there is no value.
 *
 * @throws RangeError if the nodes prove nothing: they have another root, are incomplete, or some are not on the path
 */
export function provenValue(
  root: Buffer,
  key: Buffer,
  nodes: readonly Buffer[],
): Buffer | undefined {
  if (root.equals(emptyRoot)) {
    // some nodes return the single node of an empty trie
    const [only = Buffer.from([0x80])] = nodes
    if (nodes.length <= 1 && only.equals(Buffer.from([0x80]))) return undefined
    throw new RangeError('nodes of an empty trie')
  }
  let used = 0
  const value = walk(root, key, (hash) => {
    const node = nodes[used++]
    if (node === undefined) throw new RangeError('cut off')
    if (!keccak(node).equals(hash)) throw new RangeError('a node that is not the one named')
    return decodeNode(node)
  })
  if (used !== nodes.length) throw new RangeError('nodes beyond the end of the path')
  return value
}

/** Thrown if a node is missing. Then the value is unknown: neither present nor absent. */
export class NotProven extends RangeError {}

/** Trie nodes by their hash, from many tries, each stored once. */
export class NodePool {
  readonly #nodes = new Map<string, { bytes: Buffer; items?: readonly Rlp[] }>()

  /** Adds a node under the keccak-256 of its bytes. */
  add(bytes: Buffer): void {
    this.#nodes.set(keccak(bytes).toString('latin1'), { bytes })
  }

  /** RLP of the node with this hash. */
  bytesOf(hash: Buffer): Buffer | undefined {
    return this.#nodes.get(hash.toString('latin1'))?.bytes
  }

  /** Reads a value like `provenValue`, from the nodes in this pool. @throws NotProven if a node is missing */
  value(root: Buffer, key: Buffer): Buffer | undefined {
    if (root.equals(emptyRoot)) return undefined
    return walk(root, key, (hash) => this.#node(hash))
  }

  #node(hash: Buffer): readonly Rlp[] {
    const known = this.#nodes.get(hash.toString('latin1'))
    if (known === undefined) throw new NotProven('its evidence lacks a node of the path')
    known.items ??= decodeNode(known.bytes)
    return known.items
  }
}

/** Follows the path of a key from the root to its end. @param nodeOf returns the node with a hash */
function walk(
  root: Buffer,
  key: Buffer,
  nodeOf: (hash: Buffer) => readonly Rlp[],
): Buffer | undefined {
  const path = [...keccak(key)].flatMap((byte) => [byte >> 4, byte & 15])
  let expected: Rlp = root
  let depth = 0
  for (;;) {
    // a node shorter than a hash is contained in its parent
    const node: readonly Rlp[] = Buffer.isBuffer(expected) ? nodeOf(expected) : expected
    const step = descend(node, path, depth)
    if (step.next === undefined || isEmpty(step.next)) return step.value
    expected = step.next
    depth = step.depth
  }
}

interface ProofStep {
  readonly next?: Rlp
  readonly depth: number
  readonly value?: Buffer | undefined
}

function descend(node: readonly Rlp[], path: readonly number[], depth: number): ProofStep {
  if (node.length === 17) {
    const nibble = path[depth]
    // all keys have the same length, so a branch has no value
    if (nibble === undefined) throw new RangeError('a branch beyond the key')
    const next = node[nibble] as Rlp
    if (!isEmpty(next)) requireReference(next)
    return { next, depth: depth + 1 }
  }
  const [encoded, rest] = node
  if (node.length !== 2 || !Buffer.isBuffer(encoded) || rest === undefined) {
    throw new RangeError('not a node')
  }
  const { nibbles, isLeaf } = readPath(encoded)
  const matches = nibbles.every((nibble, index) => nibble === path[depth + index])
  const reached = depth + nibbles.length
  if (!isLeaf) {
    if (nibbles.length === 0 || isEmpty(rest))
      throw new RangeError('an extension that leads nowhere')
    requireReference(rest)
    return matches ? { next: rest, depth: reached } : { depth }
  }
  if (reached !== path.length) throw new RangeError('a leaf that is not at the end of a key')
  if (!Buffer.isBuffer(rest)) throw new RangeError('a leaf that holds a list')
  return { depth: reached, value: matches ? rest : undefined }
}

/** Checks a reference to a node: its hash, or the node itself if it is shorter than a hash. */
function requireReference(item: Rlp): void {
  const isHash = Buffer.isBuffer(item) && item.length === 32
  const isShort = !Buffer.isBuffer(item) && lengthOf(item) < 32
  if (!isHash && !isShort) throw new RangeError('neither a hash nor a short node')
}

/** Length of the RLP encoding of an item below 56 bytes. */
function lengthOf(item: Rlp): number {
  if (!Buffer.isBuffer(item)) return 1 + item.reduce((sum, each) => sum + lengthOf(each), 0)
  const [first] = item
  return item.length === 1 && (first as number) < 0x80 ? 1 : 1 + item.length
}

function decodeNode(node: Buffer): readonly Rlp[] {
  const items = decodeRlp(node)
  if (Buffer.isBuffer(items)) throw new RangeError('not a node')
  return items
}

/** Decodes a path in hex-prefix encoding (appendix C). */
function readPath(encoded: Buffer): { nibbles: number[]; isLeaf: boolean } {
  const nibbles = [...encoded].flatMap((byte) => [byte >> 4, byte & 15])
  const flag = nibbles[0]
  if (flag === undefined || flag > 3) throw new RangeError('a path without its flag')
  const isOdd = (flag & 1) === 1
  if (!isOdd && nibbles[1] !== 0) throw new RangeError('a padded path')
  return { nibbles: nibbles.slice(isOdd ? 1 : 2), isLeaf: flag >= 2 }
}

function isEmpty(item: Rlp): boolean {
  return Buffer.isBuffer(item) && item.length === 0
}
