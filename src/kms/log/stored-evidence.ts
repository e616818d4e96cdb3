/**
 * The chain's proofs as the log stores them: what is the same for a whole block once, and of the tries each node
 * once a file. A node is named by its hash in the one above it, so nothing says which nodes a decision needs:
 * whoever reads again walks from the block's header to the words, as the KMS did.
 */
import { randomBytes } from 'node:crypto'

import { keccak256 } from 'viem'

import { type ChainEvidence, canonicalJson } from '../../chain/evidence.ts'
import { to0x, utf8ToBytes } from '../../lib/bytes.ts'
import { sha256 } from './format.ts'

export interface StoredEvidence {
  /** keccak-256 of `json`: what decisions name. */
  readonly digest: string
  readonly json: string
  /** The header and the nodes, hex; each once. */
  readonly nodes: readonly string[]
  /** Names these nodes in this process and its workers. */
  readonly part: string
}

const process = randomBytes(9).toString('base64')
const stored = new WeakMap<ChainEvidence, StoredEvidence>()
let parts = 0

/** Decisions of one block and app share one evidence, which is laid out once. */
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

/** What a file of the log holds of evidence: so that nothing is written into it twice. */
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

  /** @param base64 as they are in the file */
  addNodes(base64: readonly unknown[]): void {
    for (const node of base64) this.#nodes.add(nodeId(Buffer.from(String(node), 'base64')))
  }

  addAll(other: EvidenceIndex): void {
    for (const record of other.#records) this.addRecord(record)
    for (const node of other.#nodes) this.#nodes.add(node)
    for (const part of other.#parts) this.addPart(part)
  }

  /** Those that neither this index nor the other one holds, base64. */
  missing({ nodes, part }: StoredEvidence, other: EvidenceIndex): readonly string[] {
    if (this.#parts.has(part) || other.#parts.has(part)) return []
    return nodes.flatMap((hex) => {
      const bytes = Buffer.from(hex.slice(2), 'hex')
      const id = nodeId(bytes)
      return this.#nodes.has(id) || other.#nodes.has(id) ? [] : [bytes.toString('base64')]
    })
  }

  /** That all of it is in the file now. */
  addPart(part: string): void {
    this.#parts.add(part)
    if (this.#parts.size > partsKept) this.#parts.delete(this.#parts.values().next().value ?? '')
  }
}

const partsKept = 4096

/** Any hash will do that tells nodes apart. */
function nodeId(node: Uint8Array): string {
  return Buffer.from(sha256(node).subarray(0, 16)).toString('base64')
}
