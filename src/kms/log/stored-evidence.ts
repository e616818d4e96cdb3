/**
 * Inclusion evidence as the log stores it: facts about a block once per segment, and each trie node once per segment.
 *
 * A trie node is named by its hash in its parent. So an entry does not list its nodes: a verifier walks from the block
 * header to the storage words, as the KMS did.
 */
import { randomBytes } from 'node:crypto'

import {
  type Agreement,
  type ChainEvidence,
  canonicalJson,
  type NamedNode,
  type RollupEvidence,
  type TriePath,
} from '../../chain/boot/evidence.ts'
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
  /** The block header with its hash, and the trie nodes of each value. */
  readonly block: NamedNode
  /** Proven values with the trie nodes that prove them. */
  readonly paths: readonly TriePath[]
  /**
   * Proof of the block itself, which decisions at one block share: light-client messages; on a rollup the header and the
   * trie nodes of L1. Empty if an RPC quorum alone supports the block.
   */
  readonly signatures: TriePath
  /** Identifies these nodes in all processes of the node. */
  readonly part: string
}

const noSignatures: TriePath = []
const process = randomBytes(9).toString('base64')
const stored = new WeakMap<ChainEvidence, StoredEvidence>()
let parts = 0

/** Converts evidence. Decisions about one app at one block share the same evidence, so the result is kept. */
export function storedEvidence(evidence: ChainEvidence): StoredEvidence {
  const known = stored.get(evidence)
  if (known !== undefined) return known
  const { blockHash, header, paths, rollup } = evidence
  const signatures = rollup ? nodesOfL1(rollup) : (evidence.signatures ?? noSignatures)
  const block = [blockHash, header] as const
  const part = `${process}:${++parts}`
  const converted = { ...recordOf(evidence), block, paths, signatures, part }
  stored.set(evidence, converted)
  return converted
}

const nodesByRollup = new WeakMap<RollupEvidence, TriePath>()

/** Header, trie nodes and light-client messages of L1. */
function nodesOfL1(rollup: RollupEvidence): TriePath {
  const known = nodesByRollup.get(rollup)
  if (known !== undefined) return known
  const { paths, signatures = noSignatures, blockHash, header } = rollup
  const byName = new Map([...paths.flat(), ...signatures, [blockHash, header] as const])
  const nodes = [...byName]
  nodesByRollup.set(rollup, nodes)
  return nodes
}

type EvidenceRecord = Pick<StoredEvidence, 'digest' | 'json'>

const records = new WeakMap<Agreement, EvidenceRecord & { readonly blockHash: string }>()

/** All apps at one block have the same record, except foreign apps. */
function recordOf(evidence: ChainEvidence): EvidenceRecord {
  const { chainId, kmsContract, blockHash, agreement, executedBy, signatures, rollup } = evidence
  const known = records.get(agreement)
  if (known?.blockHash === blockHash && executedBy === undefined) return known
  const signed = signatures && { signatures: namesOf(signatures) }
  const proven = rollup && { rollup: rollupFacts(rollup) }
  const version = proven ? 4 : signed ? 3 : 2
  const facts = { version, chainId, kmsContract, blockHash, agreement, ...signed, ...proven }
  const json = canonicalJson(executedBy === undefined ? facts : { ...facts, executedBy })
  const record = { digest: keccak256(to0x(utf8ToBytes(json))), json, blockHash }
  if (executedBy === undefined) records.set(agreement, record)
  return record
}

function rollupFacts({ header: _header, paths: _paths, signatures, ...facts }: RollupEvidence) {
  return signatures ? { ...facts, signatures: namesOf(signatures) } : facts
}

function namesOf(messages: TriePath): string[] {
  return messages.map(([name]) => name)
}

/** Trie nodes and a header that a segment does not contain yet. */
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
  /** Paths of shared values: one look-up in place of one for each of their nodes. */
  readonly #paths = new WeakSet<TriePath>()

  /** True if the segment already contains this evidence. */
  hasRecord(digest: string): boolean {
    return this.#records.has(digest)
  }

  /** Called when the evidence is on the disk. */
  addRecord(digest: string): void {
    this.#records.add(digest)
  }

  /** Called when the trie nodes are on the disk. */
  addNodes(ids: readonly string[]): void {
    for (const id of ids) this.#nodes.add(id)
  }

  /** Adds records and nodes of another index. */
  addAll(other: EvidenceIndex): void {
    for (const record of other.#records) this.addRecord(record)
    for (const node of other.#nodes) this.#nodes.add(node)
  }

  /** The nodes that are in neither index. */
  missing({ block, paths, signatures, part }: StoredEvidence, other: EvidenceIndex): MissingNodes {
    const found = new Map<string, string>()
    if (this.#parts.has(part) || other.#parts.has(part)) return { ids: [], nodes: [] }
    const look = (path: TriePath) => {
      for (const [hash, node] of path) {
        const id = nodeId(hash)
        if (this.#nodes.has(id) || other.#nodes.has(id) || found.has(id)) continue
        found.set(id, Buffer.from(node.slice(2), 'hex').toString('base64'))
      }
    }
    look([block])
    for (const path of [signatures, ...paths])
      if (!this.#paths.has(path) && !other.#paths.has(path)) look(path)
    return { ids: [...found.keys()], nodes: [...found.values()] }
  }

  /** Remembers that all nodes of this evidence are in the file. */
  addEvidence({ part, paths, signatures }: StoredEvidence): void {
    for (const path of [signatures, ...paths]) this.#paths.add(path)
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
