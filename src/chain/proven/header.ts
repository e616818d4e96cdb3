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
const extraDataSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2}){0,1024}$/, 'at most 1024 bytes')
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

/** `eth_getBlockByNumber`; the members that are not the header's are not looked at. */
export const blockSchema = z.object({ hash: bytes32, ...originalFields, ...optional })

const latestTimestamp = 2n ** 40n

/**
 * The header behind an answer.
 *
 * @throws CHAIN_HEADER_INVALID if the hash is not that of the fields; so too for a fork of whose fields
 * this program does not know
 */
export function readHeader(block: z.output<typeof blockSchema>): BlockHeader {
  const rlp = encodeHeader(block)
  const hash = keccak256(rlp)
  if (hash !== block.hash) {
    throw new AssentError('CHAIN_HEADER_INVALID', 'A block’s hash is not that of its header.', {
      facts: { block: String(block.number), told: block.hash, computed: hash },
    })
  }
  if (block.timestamp >= latestTimestamp) {
    throw new AssentError('CHAIN_HEADER_INVALID', 'A block’s time is beyond all sense.')
  }
  const { number, stateRoot, timestamp } = block
  return { number, hash, stateRoot, timestamp: Number(timestamp), rlp }
}

/** RLP of the fields. */
export function encodeHeader(block: z.output<typeof blockSchema>): Hex {
  const added = Object.keys(addedFields).map((name) => block[name as keyof typeof addedFields])
  const present = added.findIndex((value) => value === undefined || value === null)
  const count = present === -1 ? added.length : present
  if (added.slice(count).some((value) => value !== undefined && value !== null)) {
    throw new AssentError('CHAIN_HEADER_INVALID', 'A block lacks fields that its fork has.')
  }
  const original = Object.keys(originalFields).map(
    (name) => block[name as keyof typeof originalFields],
  )
  return toRlp([...original, ...added.slice(0, count)].map((value) => encodeField(value)))
}

function encodeField(value: Hex | bigint | null | undefined): Hex {
  if (typeof value !== 'bigint') return value ?? '0x'
  if (value === 0n) return '0x'
  const digits = numberToHex(value).slice(2)
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`
}
