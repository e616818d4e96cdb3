/**
 * Inclusion evidence of a decision: header and storage proofs, complete enough to repeat the decision offline.
 *
 * The endpoints agreed on the header's hash. Its state root proves the accounts, and their storage roots prove the
 * slots. Values are not stored beside their proofs, so the two cannot differ.
 */
import { z } from 'zod'

import { type Hex, to0x, utf8ToBytes } from '../lib/bytes.ts'
import { keccak256 } from '../lib/keccak.ts'
import { addressSchema, bytes32Schema } from '../lib/schema.ts'

const bytesSchema = z
  .string()
  .regex(/^0x(?:[0-9a-f]{2})*$/, '0x and lower-case bytes')
  .transform((text) => text as Hex)

/** Trie nodes from the root to the leaf, each as RLP. */
const proofSchema = z.array(bytesSchema).max(65)

/** Format of inclusion evidence, as the release log stores it. Unknown members are refused. */
export const chainEvidenceSchema = z.strictObject({
  version: z.literal(1),
  chainId: z.int().min(1),
  /** Address of the KmsAuth contract. */
  kmsContract: addressSchema,
  /** RLP of the block's header. */
  header: bytesSchema,
  /** keccak-256 of the header. */
  blockHash: bytes32Schema,
  /** RPC quorum for the block: `required` of `configured` endpoints. Names are host names, never URLs. */
  agreement: z.strictObject({
    required: z.int().min(1),
    configured: z.int().min(1),
    endpoints: z.array(z.string().max(300)),
  }),
  /** By address: the account under the state root, and by slot the storage under the account's root. */
  contracts: z.record(
    addressSchema,
    z.strictObject({
      accountProof: proofSchema,
      storage: z.record(bytes32Schema, proofSchema),
    }),
  ),
  /** Endpoints that returned the same answer of a foreign app. That answer is not proven. */
  executedBy: z.array(z.string().max(300)).optional(),
})

/**
 * Inclusion evidence: the block header and the Merkle-Patricia proofs (EIP-1186) with which anyone can check a decision
 * offline. docs/release-log.md describes the members.
 */
export type ChainEvidence = z.output<typeof chainEvidenceSchema>

const digests = new WeakMap<ChainEvidence, Hex>()

/**
 * keccak-256 of the evidence as canonical JSON: members sorted by name, no spaces. Decisions about one block and app
 * share their evidence, so it is stored once under this digest.
 */
export function evidenceDigest(evidence: ChainEvidence): Hex {
  const known = digests.get(evidence)
  if (known !== undefined) return known
  const digest = keccak256(to0x(utf8ToBytes(canonicalJson(evidence))))
  digests.set(evidence, digest)
  return digest
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
