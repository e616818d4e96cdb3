/**
 * Reads calls from every form in which they are exported: a draft, a Safe batch, the steps of a plain timelock, raw
 * calls, and the calldata of a proposal. So the same review shows if two forms are the same decision.
 */
import {
  type Address,
  decodeFunctionData,
  encodeAbiParameters,
  type Hex,
  keccak256,
  zeroHash,
} from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { addressSchema } from '../../lib/schema.ts'
import { assentGovernorAbi, timelockControllerAbi } from '../abi.ts'
import type { Call } from '../call.ts'
import { safeChecksum } from './export-calls.ts'

const hexSchema = z
  .string()
  .max(2_000_000)
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/)
  .transform((text) => text.toLowerCase() as Hex)
const rawCall = z.strictObject({
  to: addressSchema,
  value: z.string().regex(/^\d{1,78}$/),
  data: hexSchema,
})
const safeTransaction = z.strictObject({
  ...rawCall.shape,
  // the Safe web app would encode the call from these instead of `data`
  contractMethod: z.null(),
  contractInputsValues: z.null(),
})
const maxCalls = 1_000

const safeSchema = z.looseObject({
  version: z.literal('1.0'),
  chainId: z.string(),
  meta: z.looseObject({ checksum: hexSchema }),
  transactions: z.array(safeTransaction).max(maxCalls),
})
const timelockSchema = z.strictObject({
  operation: hexSchema,
  salt: hexSchema,
  schedule: rawCall,
  afterSeconds: z.int().nonnegative(),
  execute: rawCall,
})
const draftSchema = z.strictObject({
  chainId: z.int().positive(),
  calls: z.array(rawCall).max(maxCalls),
})
const rawSchema = z.array(rawCall).max(maxCalls)

/** The forms of exported calls. */
export type ExportForm = 'draft' | 'safe' | 'timelock' | 'calldata'

/**
 * Reads exported calls and checks what each form promises: the chain, the checksum of a Safe batch, and the operation
 * id of a timelock, whose two steps must have the same calls.
 *
 * @throws DRAFT_INVALID
 * @example
 * const { form, calls } = readExportedCalls(JSON.parse(text), 1)
 */
export function readExportedCalls(
  json: unknown,
  chainId: number,
): { readonly form: ExportForm; readonly calls: readonly Call[] } {
  const draft = draftSchema.safeParse(json)
  if (draft.success) {
    requireChain(draft.data.chainId, chainId)
    return { form: 'draft', calls: draft.data.calls.map(toCall) }
  }
  const safe = safeSchema.safeParse(json)
  if (safe.success) {
    requireChain(Number(safe.data.chainId), chainId)
    const found = safeChecksum(json as { meta: object })
    require(found === safe.data.meta.checksum, 'The checksum of the Safe batch is wrong.')
    return { form: 'safe', calls: safe.data.transactions.map(toCall) }
  }
  const timelock = timelockSchema.safeParse(json)
  if (timelock.success) return { form: 'timelock', calls: callsOfTimelock(timelock.data) }
  const raw = rawSchema.safeParse(json)
  if (raw.success) return { form: 'calldata', calls: raw.data.map(toCall) }
  throw new AssentError(
    'DRAFT_INVALID',
    'The file is not a draft, a Safe batch, steps of a timelock or a list of calls.',
  )
}

/** The calls in the calldata of `propose`. @throws DRAFT_INVALID if it is another call */
export function callsOfProposal(data: Hex): readonly Call[] {
  const decoded = decode(() => decodeFunctionData({ abi: assentGovernorAbi, data }))
  if (decoded.functionName !== 'propose') throw invalid('The calldata does not propose anything.')
  const [targets, values, calldatas] = decoded.args
  return zip(targets, values, calldatas)
}

function callsOfTimelock(steps: z.infer<typeof timelockSchema>): readonly Call[] {
  const schedule = decode(() =>
    decodeFunctionData({ abi: timelockControllerAbi, data: steps.schedule.data }),
  )
  const execute = decode(() =>
    decodeFunctionData({ abi: timelockControllerAbi, data: steps.execute.data }),
  )
  if (schedule.functionName !== 'scheduleBatch' || execute.functionName !== 'executeBatch') {
    throw invalid('The steps do not schedule and execute a batch.')
  }
  const [targets, values, payloads, predecessor, salt, delay] = schedule.args
  const operation = [targets, values, payloads, predecessor, salt] as const
  const types = ['address[]', 'uint256[]', 'bytes[]', 'bytes32', 'bytes32'].map((type) => ({
    type,
  }))
  const id = (each: readonly unknown[]) => keccak256(encodeAbiParameters(types, each))
  require(id(operation) === id(execute.args), 'The steps schedule and execute different calls.')
  require(id(operation) === steps.operation, 'The operation id is not that of the calls.')
  require(salt === steps.salt && predecessor === zeroHash, 'The salt is not that of the calls.')
  require(delay === BigInt(steps.afterSeconds), 'The delay is not that of the schedule.')
  require(steps.schedule.to === steps.execute.to, 'The steps go to different timelocks.')
  return zip(targets, values, payloads)
}

/** Whether two lists make the same calls, in the same order. */
export function areSameCalls(a: readonly Call[], b: readonly Call[]): boolean {
  const key = ({ to, data, value = 0n }: Call) => `${to} ${value} ${data}`.toLowerCase()
  return a.length === b.length && a.every((call, i) => key(call) === key(b[i] as Call))
}

function zip(
  targets: readonly Address[],
  values: readonly bigint[],
  payloads: readonly Hex[],
): Call[] {
  require(targets.length === values.length &&
    targets.length ===
      payloads.length, 'The lists of targets, values and calldata have different lengths.')
  return targets.map((to, i) => ({
    to,
    value: values[i] ?? 0n,
    data: payloads[i] ?? '0x',
    summary: `call ${i + 1}`,
  }))
}

function toCall({ to, value, data }: z.infer<typeof rawCall>, index: number): Call {
  return { to, value: BigInt(value), data, summary: `call ${index + 1}` }
}

function decode<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw invalid('The calldata is not a call of the expected contract.', cause)
  }
}

function requireChain(found: number, expected: number): void {
  if (found === expected) return
  throw new AssentError('DRAFT_INVALID', 'The calls are for another chain.', {
    facts: { expected, found },
  })
}

function require(holds: boolean, message: string): void {
  if (!holds) throw invalid(message)
}

function invalid(message: string, cause?: unknown): AssentError {
  return new AssentError('DRAFT_INVALID', message, cause === undefined ? {} : { cause })
}
