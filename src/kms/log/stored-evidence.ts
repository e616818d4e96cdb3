/**
 * Inclusion evidence as the log stores it: facts about a block once per segment, and each trie node once per segment.
 *
 * A trie node is named by its hash in its parent. So an entry does not list its nodes: a verifier walks from the block
 * header to the storage words, as the KMS did.
 */
import { randomBytes } from 'node:crypto'

import { type ChainEvidence, canonicalJson } from '../../chain/evidence.ts'
import { to0x, utf8ToBytes } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import { sha256 } from './format.ts'

/**
 * Inclusion evidence in the form in which segments store it: trie nodes are kept once, because neighbouring decisions
 * share most of them.
 */
export interface StoredEvidence {
  /** keccak-256 of `json`, which entries refer to. */
  readonly digest: string
  /** Block, contract and quorum. */
  readonly json: string
  /** Block header and trie nodes, hex, without duplicates. */
  readonly nodes: readonly string[]
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
  const { chainId, kmsContract, blockHash, agreement, executedBy, header, contracts } = evidence
  const json = canonicalJson({
    version: 2,
    chainId,
    kmsContract,
    blockHash,
    agreement,
    ...(executedBy ? { executedBy } : {}),
  })
  const nodes = new Set<string>([header])
  for (const { accountProof, storage } of Object.values(contracts)) {
    for (const path of [accountProof, ...Object.values(storage)]) {
      for (const node of path) nodes.add(node)
    }
  }
  const digest = keccak256(to0x(utf8ToBytes(json)))
  const laidOut = { digest, json, nodes: [...nodes], part: `${process}:${++parts}` }
  stored.set(evidence, laidOut)
  return laidOut
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

  /** @param base64 nodes as the file has them */
  addNodes(base64: readonly unknown[]): void {
    for (const node of base64) this.#nodes.add(nodeId(Buffer.from(String(node), 'base64')))
  }

  addAll(other: EvidenceIndex): void {
    for (const record of other.#records) this.addRecord(record)
    for (const node of other.#nodes) this.#nodes.add(node)
    for (const part of other.#parts) this.addPart(part)
  }

  /** Nodes, base64, that are in neither index. */
  missing({ nodes, part }: StoredEvidence, other: EvidenceIndex): readonly string[] {
    if (this.#parts.has(part) || other.#parts.has(part)) return []
    return nodes.flatMap((hex) => {
      const bytes = Buffer.from(hex.slice(2), 'hex')
      const id = nodeId(bytes)
      return this.#nodes.has(id) || other.#nodes.has(id) ? [] : [bytes.toString('base64')]
    })
  }

  /** Remembers that all nodes of this evidence are in the file. */
  addPart(part: string): void {
    this.#parts.add(part)
    if (this.#parts.size > partsKept) this.#parts.delete(this.#parts.values().next().value ?? '')
  }
}

const partsKept = 4096

/** A short id of a node: 16 bytes of SHA-256. */
function nodeId(node: Uint8Array): string {
  return Buffer.from(sha256(node).subarray(0, 16)).toString('base64')
}
