/**
 * What a decision was read from, whole enough that a stranger can read it again without any endpoint.
 *
 * The header's hash is what the endpoints agreed on; its state root proves the accounts, their storage
 * roots the slots. Values are not repeated beside their proofs, so that nothing can contradict them.
 */
import { keccak256 } from 'viem'
import { z } from 'zod'

import { type Hex, to0x, utf8ToBytes } from '../lib/bytes.ts'
import { addressSchema, bytes32Schema } from '../lib/schema.ts'

const bytesSchema = z
  .string()
  .regex(/^0x(?:[0-9a-f]{2})*$/, '0x and lower-case bytes')
  .transform((text) => text as Hex)

/** Nodes of a trie from its root down, each RLP. */
const proofSchema = z.array(bytesSchema).max(65)

export const chainEvidenceSchema = z.strictObject({
  version: z.literal(1),
  chainId: z.int().min(1),
  /** The KmsAuth that was asked. */
  kmsContract: addressSchema,
  /** RLP of the block's header. */
  header: bytesSchema,
  /** keccak-256 of the header. */
  blockHash: bytes32Schema,
  /** Who vouched for the block: `required` of `configured` had to. Names are hosts, never whole addresses. */
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
  /** Endpoints that executed a foreign app's own answer and agreed on it; nothing proves that answer. */
  executedBy: z.array(z.string().max(300)).optional(),
})

export type ChainEvidence = z.output<typeof chainEvidenceSchema>

const digests = new WeakMap<ChainEvidence, Hex>()

/**
 * keccak-256 over the one JSON form of the evidence: members sorted by name, no spaces. Decisions of one
 * block and app share one evidence, so it is worth storing once under this name.
 */
export function evidenceDigest(evidence: ChainEvidence): Hex {
  const known = digests.get(evidence)
  if (known !== undefined) return known
  const digest = keccak256(to0x(utf8ToBytes(canonicalJson(evidence))))
  digests.set(evidence, digest)
  return digest
}

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}
