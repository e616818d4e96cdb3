/**
 * The file with which an instance hands a proof of its key to anyone who registers it: by quote, or by a statement of the
 * KMS. It has no secret.
 */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { addressSchema, bytes32Schema } from '../../lib/schema.ts'
import type { AttestedRuntimeEvent } from '../../quote/attestation.ts'
import { parseEventLog, runtimeEvents } from '../../quote/measurements/event-log.ts'
import type { InstanceBinding } from './instance-statements.ts'
import type { IssuedInstance, QuotedInstance } from './instances.ts'

const hex = (length?: number) =>
  z
    .string()
    .regex(/^(?:[0-9a-f]{2})+$/, 'hexadecimal digits')
    .max(200_000)
    .refine((text) => length === undefined || text.length === 2 * length, `${length} bytes of hex`)
    .transform((text) => fromHex(text, 'proof'))

const bindingSchema = z.strictObject({
  chainId: z.int().positive(),
  instances: addressSchema,
  app: addressSchema,
  key: addressSchema,
  block: z.int().nonnegative(),
  blockHash: bytes32Schema,
})

const proofSchema = z.discriminatedUnion('way', [
  z.strictObject({
    way: z.literal('quote'),
    binding: bindingSchema,
    possession: hex(65),
    quote: hex(),
    osImageHash: bytes32Schema,
    eventLog: z.string().max(4_194_304),
  }),
  z.strictObject({
    way: z.literal('key-chain'),
    binding: bindingSchema,
    possession: hex(65),
    composeHash: bytes32Schema,
    epoch: z.int().min(1).max(0xffff_ffff),
    statement: hex(65),
    link: hex(65),
  }),
])

/** A proof of an instance's key. By quote it also has the runtime events of the boot. */
export type InstanceProof =
  | (QuotedInstance & { readonly way: 'quote'; readonly events: readonly AttestedRuntimeEvent[] })
  | (IssuedInstance & { readonly way: 'key-chain' })

/**
 * Reads a proof from JSON. Unknown members are refused.
 *
 * @throws INPUT_INVALID, EVENT_LOG_*
 */
export function parseInstanceProof(json: unknown): InstanceProof {
  const parsed = proofSchema.safeParse(json)
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `Instance proof: ${describeIssues(parsed.error)}`)
  }
  const { chainId, instances: registry, app, key, block, blockHash } = parsed.data.binding
  const binding: InstanceBinding = {
    chainId,
    registry,
    app,
    key,
    block: { number: BigInt(block), hash: blockHash },
  }
  if (parsed.data.way === 'key-chain') return { ...parsed.data, binding }
  const { eventLog, ...rest } = parsed.data
  const events = runtimeEvents(parseEventLog(eventLog), 'full').map(
    ({ event: name, payload, version }): AttestedRuntimeEvent => ({ name, payload, version }),
  )
  return { ...rest, binding, events }
}

/** What a proof file says before it is written: bytes are not encoded yet. */
export type ProofFile =
  | (QuotedInstance & { readonly way: 'quote'; readonly eventLog: string })
  | (IssuedInstance & { readonly way: 'key-chain' })

/** The JSON of a proof. {@link parseInstanceProof} reads it. */
export function instanceProofToJson(proof: ProofFile): Record<string, unknown> {
  const { chainId, registry, app, key, block } = proof.binding
  const shared = {
    way: proof.way,
    binding: {
      chainId,
      instances: registry.toLowerCase(),
      app: app.toLowerCase(),
      key: key.toLowerCase(),
      block: Number(block.number),
      blockHash: block.hash,
    },
    possession: toHex(proof.possession),
  }
  if (proof.way === 'quote') {
    const { quote, osImageHash, eventLog } = proof
    return { ...shared, quote: toHex(quote), osImageHash, eventLog }
  }
  const { composeHash, epoch, statement, link } = proof
  return { ...shared, composeHash, epoch, statement: toHex(statement), link: toHex(link) }
}
