/** Exports calls for other owners: a Safe or a plain timelock. */
import {
  type Address,
  encodeAbiParameters,
  encodeFunctionData,
  type Hex,
  keccak256,
  toBytes,
  zeroHash,
} from 'viem'

import { timelockControllerAbi } from '../abi.ts'
import type { Call } from '../call.ts'

/** A file for Safe's Transaction Builder, with its checksum. */
export interface SafeBatch {
  /** Version of the file format. */
  readonly version: '1.0'
  /** Decimal text. */
  readonly chainId: string
  /** Unix milliseconds. */
  readonly createdAt: number
  /** Name and checksum, as the Safe Transaction Builder reads them. */
  readonly meta: {
    readonly name: string
    readonly description: string
    readonly txBuilderVersion: string
    readonly createdFromSafeAddress: string
    readonly createdFromOwnerAddress: string
    readonly checksum?: Hex
  }
  /** In the order of the calls; `value` is wei as decimal text. */
  readonly transactions: readonly {
    readonly to: Address
    readonly value: string
    readonly data: Hex
    readonly contractMethod: null
    readonly contractInputsValues: null
  }[]
}

/** Facts about a batch that its calls do not contain. */
export interface SafeBatchOptions {
  /** The Safe refuses a batch for another chain. */
  readonly chainId: number
  /** Unix seconds. */
  readonly now: number
  /** Title that the Safe application shows. */
  readonly name: string
  /** Shown by the Safe next to the transactions. */
  readonly description: string
  /** Address of the Safe that will execute the batch. */
  readonly safe?: Address
}

/**
 * A file for Safe's Transaction Builder. The owners of a Safe can import it, review the calls and sign them together.
 *
 * @example
 * const file = safeBatch([call], { chainId: 1, name: 'Approve image 0.5.4', description: '' })
 * await writeFile('batch.json', JSON.stringify(file, null, 2))
 */
export function safeBatch(calls: readonly Call[], options: SafeBatchOptions): SafeBatch {
  const batch: SafeBatch = {
    version: '1.0',
    chainId: String(options.chainId),
    createdAt: options.now * 1000,
    meta: {
      name: options.name,
      description: options.description,
      txBuilderVersion: '1.18.0',
      createdFromSafeAddress: options.safe ?? '',
      createdFromOwnerAddress: '',
    },
    transactions: calls.map(({ to, data, value = 0n }) => ({
      to,
      value: value.toString(),
      data,
      contractMethod: null,
      contractInputsValues: null,
    })),
  }
  return { ...batch, meta: { ...batch.meta, checksum: safeChecksum(batch) } }
}

/** Safe's checksum: keccak256 of the file in Safe's serialization, without the checksum and with the name `null`. */
export function safeChecksum(batch: { readonly meta: object }): Hex {
  const { checksum: _, ...meta } = batch.meta as { checksum?: unknown }
  return keccak256(toBytes(serialize({ ...batch, meta: { ...meta, name: null } })))
}

/** Safe's serialization: the sorted keys, then the values, each followed by a comma. */
function serialize(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(serialize).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  const keys = JSON.stringify(entries.map(([key]) => key))
  return `{${keys}${entries.map(([, each]) => `${serialize(each)},`).join('')}}`
}

/** An operation for a plain timelock: a proposer sends `schedule`, an executor sends `execute` after the delay in seconds. */
export interface TimelockOperation {
  /** The timelock's id of the operation, 32 bytes. */
  readonly id: Hex
  /** Makes the id unique, 32 bytes. */
  readonly salt: Hex
  /** Seconds. */
  readonly delay: number
  /** Sent first, by a proposer of the timelock. */
  readonly schedule: Call
  /** Sent after the delay, by an executor. */
  readonly execute: Call
}

/**
 * Builds an operation for a timelock without a governor.
 *
 * @param delay seconds; at least the timelock's minimum delay
 * @param reason makes the operation id differ from earlier operations with the same calls
 */
export function timelockOperation(
  timelock: Address,
  calls: readonly Call[],
  { delay, reason }: { delay: number; reason: string },
): TimelockOperation {
  const targets = calls.map(({ to }) => to)
  const values = calls.map(({ value }) => value ?? 0n)
  const payloads = calls.map(({ data }) => data)
  const salt = keccak256(toBytes(reason))
  const operation = [targets, values, payloads, zeroHash, salt] as const
  const types = ['address[]', 'uint256[]', 'bytes[]', 'bytes32', 'bytes32'].map((type) => ({
    type,
  }))
  return {
    id: keccak256(encodeAbiParameters(types, operation)),
    salt,
    delay,
    schedule: {
      to: timelock,
      data: encodeFunctionData({
        abi: timelockControllerAbi,
        functionName: 'scheduleBatch',
        args: [...operation, BigInt(delay)],
      }),
      summary: 'schedule the calls',
    },
    execute: {
      to: timelock,
      data: encodeFunctionData({
        abi: timelockControllerAbi,
        functionName: 'executeBatch',
        args: operation,
      }),
      summary: 'execute the scheduled calls',
    },
  }
}
