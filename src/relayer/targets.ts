/** What is sent on chain for each kind of intent, and how to see that it happened. */
import type { Abi, PublicClient } from 'viem'
import { z } from 'zod'
import { hostsAbi } from '../chain/abi.ts'
import { readHost, registerHostFor } from '../chain/hosts.ts'
import { AssentError } from '../errors/index.ts'
import { fromHex, type Hex } from '../lib/bytes.ts'
import { describeIssues } from '../lib/config.ts'
import { addressSchema, bytes32Schema } from '../lib/schema.ts'

/** The part of an intent that a target understands. */
export interface Errand {
  readonly id: string
  readonly key: string
  readonly payload: unknown
}

export interface Permit {
  /** As it is stored with the intent. */
  readonly value: unknown
  /** Unix seconds after which the contract refuses it; null if it does not expire. */
  readonly deadline: number | null
}

export interface Target {
  /** Checks what came with the quote for the contract; throws INPUT_INVALID. */
  parsePermit(permit: unknown): Permit
  /** Contract and calldata; throws INPUT_INVALID for a payload that is not its own. */
  encode(errand: Errand): { readonly to: Hex; readonly data: Hex; readonly value?: bigint }
  /**
   * Whether the record on chain is as the errand wants it at this block, whoever brought it there.
   * A transaction's success is not asked: it may have changed nothing.
   */
  isDone(errand: Errand, client: PublicClient, blockNumber: bigint): Promise<boolean>
  /** To decode what the contract reverts with. */
  readonly errors: Abi
}

/** By kind of intent; a kind that is missing is not served. */
export type Targets = Readonly<Record<string, Target>>

/* HOSTS */

const hostPermit = z.strictObject({
  operator: addressSchema,
  /** The block whose hash the quote contains. */
  blockNumber: z.int().min(0),
  deadline: z.int().min(1),
  signature: z
    .string()
    .regex(/^0x([0-9a-fA-F]{2}){1,2048}$/, 'bytes as 0x and hexadecimal digits')
    .transform((text) => text.toLowerCase() as Hex),
})

const hostPayload = z.strictObject({
  quote: z.string(),
  deviceId: bytes32Schema,
  permit: hostPermit,
})

/** Registers a machine in `Hosts`: anyone may pay, the operator's signature is the authority. */
export function createHostTarget(registry: Hex): Target {
  return {
    errors: hostsAbi,
    parsePermit(permit) {
      const value = check(hostPermit, permit, 'Permit')
      return { value, deadline: value.deadline }
    },
    encode({ payload }) {
      const { quote, permit } = check(hostPayload, payload, 'Payload')
      const { blockNumber, ...rest } = permit
      const bytes = fromHex(quote, 'quote')
      return registerHostFor(registry, bytes, BigInt(blockNumber), rest)
    },
    async isDone({ payload }, client, blockNumber) {
      const { deviceId, permit } = check(hostPayload, payload, 'Payload')
      const host = await readHost(client, registry, deviceId, blockNumber)
      const isSameOperator = host.operator.toLowerCase() === permit.operator
      return isSameOperator && host.provenAtBlock >= permit.blockNumber
    },
  }
}

/** @throws INPUT_INVALID naming every wrong field */
function check<S extends z.ZodType>(schema: S, value: unknown, name: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new AssentError('INPUT_INVALID', `${name}: ${describeIssues(parsed.error)}`, {
    facts: { fields: parsed.error.issues.map(({ path }) => path.join('.')) },
  })
}
