/** Block headers as nodes tell them, believed only as far as their hash: it must follow from all fields. */
import { keccak256, numberToHex, toRlp } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { hexSchema } from '../../lib/schema.ts'

export interface BlockHeader {
  readonly number: bigint
  readonly hash: Hex
  readonly stateRoot: Hex
  /** Unix seconds. */
  readonly timestamp: number
  /** What the hash is of. */
  readonly rlp: Hex
}

/** A number as JSON-RPC writes it: no leading zeros, at most 32 bytes. */
export const quantitySchema = z
  .string()
  .regex(/^0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})$/, 'a quantity')
  .transform((text) => BigInt(text))

const bytes32 = hexSchema(32)

/** Chains whose validators stand in the header write several kilobytes here. */
const maxExtraBytes = 16_384
const extraDataSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'bytes')
  .max(2 + 2 * maxExtraBytes)
  .transform((text) => text.toLowerCase() as Hex)

/** In the order of the header; what a fork added is there from its fork on, and everything before it. */
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

/** `eth_getBlockByNumber`; members that this program does not know may be the header's. */
export const blockSchema = z.looseObject({ hash: bytes32, ...originalFields, ...optional })

/** A field that a fork added after those that this program knows. */
export interface HeaderField {
  /** As JSON-RPC calls it. */
  readonly name: string
  readonly kind: 'bytes' | 'quantity'
}

/** What nodes tell beside the header: of the block's body, of its place, and what rollups add. */
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
 * The header behind an answer.
 *
 * @param further fields after those that this program knows, in the order of the header
 * @throws CHAIN_HEADER_INVALID if the hash is not that of the fields, CHAIN_HEADER_UNKNOWN if there are members
 * that may be fields of a fork that this program does not know
 */
export function readHeader(
  block: z.output<typeof blockSchema>,
  further: readonly HeaderField[] = [],
): BlockHeader {
  const rlp = encodeHeader(block, further)
  const hash = keccak256(rlp)
  if (hash !== block.hash) throw mismatch(block, hash, further)
  if (block.timestamp >= latestTimestamp) {
    throw new AssentError('CHAIN_HEADER_INVALID', 'A block’s time is beyond all sense.')
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
    const message = 'A block’s hash is not that of its header.'
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
    throw new AssentError('CHAIN_HEADER_INVALID', 'A block lacks fields that its fork has.')
  }
  return toRlp([...original, ...added.slice(0, count)].map((value) => encodeField(value)))
}

function readField(value: unknown, { name, kind }: HeaderField): Hex | bigint | undefined {
  if (value === undefined || value === null) return undefined
  const parsed = (kind === 'bytes' ? extraDataSchema : quantitySchema).safeParse(value)
  if (parsed.success) return parsed.data
  throw new AssentError('CHAIN_HEADER_INVALID', `A block’s ${name} is no ${kind}.`, {
    facts: { name, kind },
  })
}

function encodeField(value: Hex | bigint | null | undefined): Hex {
  if (typeof value !== 'bigint') return value ?? '0x'
  if (value === 0n) return '0x'
  const digits = numberToHex(value).slice(2)
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`
}
