/** Parses block headers of untrusted nodes. A header is accepted only if its hash is the hash of all its fields. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import { hexSchema } from '../../lib/schema.ts'
import { encodeFields } from './trie.ts'

/** A block header whose hash was recomputed from its fields. */
export interface BlockHeader {
  /** Block number. */
  readonly number: bigint
  /** keccak-256 of `rlp`. */
  readonly hash: Hex
  /** Root of the state trie after the block; storage proofs are checked under it. */
  readonly stateRoot: Hex
  /** Unix seconds. */
  readonly timestamp: number
  /** The bytes that the hash is computed from. */
  readonly rlp: Hex
}

/** A JSON-RPC quantity: no leading zeros, at most 32 bytes. */
export const quantitySchema = z
  .string()
  .regex(/^0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})$/, 'a quantity')
  .transform((text) => BigInt(text))

const bytes32 = hexSchema(32)

/** Some chains store their validators here: several kilobytes. */
const maxExtraBytes = 16_384
const extraDataSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'bytes')
  .max(2 + 2 * maxExtraBytes)
  .transform((text) => text.toLowerCase() as Hex)

/** Fields in the order of the header. A field of a fork is present only if all earlier ones are. */
const originalFields = {
  parentHash: bytes32,
  sha3Uncles: bytes32,
  miner: hexSchema(20),
  stateRoot: bytes32,
  transactionsRoot: bytes32,
  receiptsRoot: bytes32,
  logsBloom: hexSchema(256),
  difficulty: quantitySchema,
  number: quantitySchema,
  gasLimit: quantitySchema,
  gasUsed: quantitySchema,
  timestamp: quantitySchema,
  extraData: extraDataSchema,
  mixHash: bytes32,
  nonce: hexSchema(8),
}
const addedFields = {
  // london
  baseFeePerGas: quantitySchema,
  // shanghai
  withdrawalsRoot: bytes32,
  // cancun
  blobGasUsed: quantitySchema,
  excessBlobGas: quantitySchema,
  parentBeaconBlockRoot: bytes32,
  // prague; osaka added none
  requestsHash: bytes32,
}

const optional = Object.fromEntries(
  Object.entries(addedFields).map(([name, schema]) => [name, schema.nullish()]),
) as { [K in keyof typeof addedFields]: z.ZodOptional<z.ZodNullable<(typeof addedFields)[K]>> }

/** Result of `eth_getBlockByNumber`. Unknown members are kept, because they may be header fields of a new fork. */
export const blockSchema = z.looseObject({ hash: bytes32, ...originalFields, ...optional })

/** A header field of a fork that this version does not know. */
export interface HeaderField {
  /** Name in JSON-RPC. */
  readonly name: string
  /** `quantity`: a number without leading zeros. `bytes`: a fixed byte string. */
  readonly kind: 'bytes' | 'quantity'
}

/** Header fields in the settings, in the order of the header. */
export const headerFieldsSchema = z
  .array(
    z.strictObject({
      name: z.string().regex(/^[a-zA-Z][a-zA-Z0-9]{0,63}$/),
      kind: z.enum(['bytes', 'quantity']),
    }),
  )
  .max(16)
  .default([])

/** Members that are not header fields: the block's body, its position, and extensions of rollups. */
const besideHeader = new Set([
  'hash',
  'size',
  'totalDifficulty',
  'transactions',
  'uncles',
  'withdrawals',
  'author',
  'sealFields',
  'milliTimestamp',
  'l1BlockNumber',
  'sendCount',
  'sendRoot',
])

const latestTimestamp = 2n ** 40n

/**
 * Checks an answer and returns its header.
 *
 * @param further header fields that this version does not know, in the order of the header
 * @throws CHAIN_HEADER_INVALID if the hash does not match the fields
 * @throws CHAIN_HEADER_UNKNOWN if there are members that may be header fields of an unknown fork
 */
export function readHeader(
  block: z.output<typeof blockSchema>,
  further: readonly HeaderField[] = [],
): BlockHeader {
  const rlp = encodeHeader(block, further)
  const hash = keccak256(rlp)
  if (hash !== block.hash) throw mismatch(block, hash, further)
  if (block.timestamp >= latestTimestamp) {
    throw new AssentError('CHAIN_HEADER_INVALID', 'The timestamp of a block is out of range.')
  }
  const { number, stateRoot, timestamp } = block
  return { number, hash, stateRoot, timestamp: Number(timestamp), rlp }
}

function mismatch(
  block: z.output<typeof blockSchema>,
  computed: Hex,
  further: readonly HeaderField[],
): AssentError {
  const facts = { block: String(block.number), told: block.hash, computed }
  const known = new Set([
    ...Object.keys(originalFields),
    ...Object.keys(addedFields),
    ...besideHeader,
    ...further.map(({ name }) => name),
  ])
  const members = Object.keys(block).filter((name) => !known.has(name))
  if (members.length === 0) {
    const message = 'The hash of a block does not match its header fields.'
    return new AssentError('CHAIN_HEADER_INVALID', message, { facts })
  }
  const unknown = members.slice(0, 8).map((name) => name.replace(/[^\w]+/g, ' ').slice(0, 40))
  const message = `This chain has header fields that this version does not know: ${unknown.join(', ')}.`
  return new AssentError('CHAIN_HEADER_UNKNOWN', message, { facts: { ...facts, unknown } })
}

/** RLP of the fields. @throws CHAIN_HEADER_INVALID */
export function encodeHeader(
  block: z.output<typeof blockSchema>,
  further: readonly HeaderField[] = [],
): Hex {
  const original = Object.keys(originalFields).map((name) => block[name] as Hex | bigint)
  const added = [
    ...Object.keys(addedFields).map((name) => block[name] as Hex | bigint | null | undefined),
    ...further.map((field) => readField(block[field.name], field)),
  ]
  const absent = added.findIndex((value) => value === undefined || value === null)
  const count = absent === -1 ? added.length : absent
  if (added.slice(count).some((value) => value !== undefined && value !== null)) {
    throw new AssentError('CHAIN_HEADER_INVALID', 'A block header lacks fields of its fork.')
  }
  return encodeFields([...original, ...added.slice(0, count)].map((value) => encodeField(value)))
}

function readField(value: unknown, { name, kind }: HeaderField): Hex | bigint | undefined {
  if (value === undefined || value === null) return undefined
  const parsed = (kind === 'bytes' ? extraDataSchema : quantitySchema).safeParse(value)
  if (parsed.success) return parsed.data
  throw new AssentError(
    'CHAIN_HEADER_INVALID',
    `The header field ${name} of a block is not a valid ${kind}.`,
    {
      facts: { name, kind },
    },
  )
}

function encodeField(value: Hex | bigint | null | undefined): Hex {
  if (typeof value !== 'bigint') return value ?? '0x'
  if (value === 0n) return '0x'
  const digits = value.toString(16)
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`
}
