/**
 * Inclusion evidence as the log stores it: facts about a block once per segment, and each trie node once per segment.
 *
 * A trie node is named by its hash in its parent. So an entry does not list its nodes: a verifier walks from the block
 * header to the storage words, as the KMS did.
 */
import { randomBytes } from 'node:crypto'

import { type Agreement, type ChainEvidence, canonicalJson } from '../../chain/evidence.ts'
import { to0x, utf8ToBytes } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'

/**
 * Inclusion evidence in the form in which segments store it: trie nodes are kept once, because neighbouring decisions
 * share most of them.
 */
export interface StoredEvidence {
  /** keccak-256 of `json`, which entries refer to. */
  readonly digest: string
  /** Block, contract and quorum. */
  readonly json: string
  /** Block header and trie nodes in hex, by their keccak-256. */
  readonly nodes: ReadonlyMap<string, string>
  /** Identifies these nodes in all processes of the node. */
  readonly part: string
}

const process = randomBytes(9).toString('base64')
const stored = new WeakMap<ChainEvidence, StoredEvidence>()
let parts = 0

/** Converts evidence. Decisions about one app at one block share the same evidence, so the result is kept. */
export function storedEvidence(evidence: ChainEvidence): StoredEvidence {
  const known = stored.get(evidence)
  if (known !== undefined) return known
  const { blockHash, header, nodes } = evidence
  const converted = {
    ...recordOf(evidence),
    nodes: new Map<string, string>([[blockHash, header], ...nodes]),
    part: `${process}:${++parts}`,
  }
  stored.set(evidence, converted)
  return converted
}

type EvidenceRecord = Pick<StoredEvidence, 'digest' | 'json'>

const records = new WeakMap<Agreement, EvidenceRecord & { readonly blockHash: string }>()

/** All apps at one block have the same record, except foreign apps. */
function recordOf(evidence: ChainEvidence): EvidenceRecord {
  const { chainId, kmsContract, blockHash, agreement, executedBy } = evidence
  const known = records.get(agreement)
  if (known?.blockHash === blockHash && executedBy === undefined) return known
  const facts = { version: 2, chainId, kmsContract, blockHash, agreement }
  const json = canonicalJson(executedBy === undefined ? facts : { ...facts, executedBy })
  const record = { digest: keccak256(to0x(utf8ToBytes(json))), json, blockHash }
  if (executedBy === undefined) records.set(agreement, record)
  return record
}

/** Nodes that a segment does not contain yet. */
export interface MissingNodes {
  /** Ids for `EvidenceIndex.addNodes`. */
  readonly ids: readonly string[]
  /** Encodings, base64. */
  readonly nodes: readonly string[]
}

/** The evidence that a segment already contains, so that nothing is written twice. */
export class EvidenceIndex {
  readonly #records = new Set<string>()
  readonly #nodes = new Set<string>()
  readonly #parts = new Set<string>()

  hasRecord(digest: string): boolean {
    return this.#records.has(digest)
  }

  addRecord(digest: string): void {
    this.#records.add(digest)
  }

  addNodes(ids: readonly string[]): void {
    for (const id of ids) this.#nodes.add(id)
  }

  addAll(other: EvidenceIndex): void {
    for (const record of other.#records) this.addRecord(record)
    for (const node of other.#nodes) this.#nodes.add(node)
    for (const part of other.#parts) this.addPart(part)
  }

  /** The nodes that are in neither index. */
  missing({ nodes, part }: StoredEvidence, other: EvidenceIndex): MissingNodes {
    const found = { ids: [] as string[], nodes: [] as string[] }
    if (this.#parts.has(part) || other.#parts.has(part)) return found
    for (const [hash, node] of nodes) {
      const id = nodeId(hash)
      if (this.#nodes.has(id) || other.#nodes.has(id)) continue
      found.ids.push(id)
      found.nodes.push(Buffer.from(node.slice(2), 'hex').toString('base64'))
    }
    return found
  }

  /** Remembers that all nodes of this evidence are in the file. */
  addPart(part: string): void {
    this.#parts.add(part)
    if (this.#parts.size > partsKept) this.#parts.delete(this.#parts.values().next().value ?? '')
  }
}

const partsKept = 4096

/** Ids of the nodes that a segment contains, in base64. */
export function idsOf(nodes: readonly unknown[]): string[] {
  return nodes.map((node) => nodeId(keccak256(to0x(Buffer.from(String(node), 'base64')))))
}

/** A short id of a node: 16 bytes of its keccak-256, one per character. */
function nodeId(hash: string): string {
  return Buffer.from(hash.slice(2, 34), 'hex').toString('latin1')
}
