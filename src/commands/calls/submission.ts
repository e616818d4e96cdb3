/** The JSON value of commands that make calls. */
import { z } from 'zod'

import { proposalStates } from '../../chain/governance/governance.ts'
import { address, bytes, bytes32, decimal, unixTime } from '../output/json.ts'

/** A call in words. */
export const callSchema = z.strictObject({
  to: address,
  contract: z.string().nullable().describe('type of the contract; null: unknown'),
  effects: z.array(z.string()).describe('one sentence for each effect'),
  irreversible: z.string().nullable().describe('what cannot be undone afterwards'),
})

/** A call that a command is about to make. */
export const plannedCallSchema = callSchema.extend({
  repeats: z
    .array(z.string())
    .describe('approvals in the call that change nothing, one sentence for each'),
})

const sent = {
  outcome: z.literal('sent'),
  by: address,
  transactions: z.array(bytes32),
}

const rawCall = z.strictObject({ to: address, value: decimal, data: bytes })

const outcomes = [
  sent,
  {
    outcome: z.literal('proposed'),
    governor: address,
    proposals: z.array(
      z.strictObject({
        id: decimal,
        isNew: z.boolean().describe('false: the same calls were proposed before'),
        proposer: address,
        state: z.enum(proposalStates),
        voteStart: unixTime,
        voteEnd: unixTime,
      }),
    ),
  },
  {
    outcome: z.literal('dry-run'),
    by: address.optional(),
    governor: address.optional(),
    proposals: z.array(z.strictObject({ id: decimal, description: z.string() })).optional(),
    draft: z.string().optional(),
  },
  { outcome: z.literal('drafted'), draft: z.string(), calls: z.int() },
  {
    outcome: z.literal('exported'),
    safe: z.record(z.string(), z.unknown()).describe('a batch of Safe’s Transaction Builder'),
  },
  {
    outcome: z.literal('exported'),
    timelock: z.strictObject({
      operation: bytes32,
      salt: bytes32,
      schedule: rawCall,
      afterSeconds: z.int(),
      execute: rawCall,
    }),
  },
  { outcome: z.literal('exported'), calls: z.array(rawCall) },
] as const

const descriptions = z.array(plannedCallSchema)

/** Which of the two schemas below a schema is, and what the command adds. The page of commands explains each only once. */
export interface CallResult {
  readonly name: 'submission' | 'sent'
  readonly more: z.ZodRawShape
}

const callResults = new WeakMap<z.ZodType, CallResult>()

/**
 * The named part of a schema that `submissionSchema` or `sentSchema` made, so that docs/commands.md describes it
 * once.
 */
export function callResultOf(schema: z.ZodType): CallResult | undefined {
  return callResults.get(schema)
}

/**
 * The schema of a command that sends, proposes, drafts or exports calls.
 *
 * @param more members that the command adds
 */
export function submissionSchema(more: z.ZodRawShape = {}) {
  const schema = z.union(outcomes.map((each) => z.strictObject({ ...more, descriptions, ...each })))
  callResults.set(schema, { name: 'submission', more })
  return schema
}

/** The schema of a command that only sends its calls itself. */
export function sentSchema(more: z.ZodRawShape = {}) {
  const schema = z.strictObject({ ...more, descriptions, ...sent })
  callResults.set(schema, { name: 'sent', more })
  return schema
}

/** A call in words. */
export interface CallJson {
  /** Address of the called contract. */
  readonly to: string
  /** Name in the deployment; null for other contracts. */
  readonly contract: string | null
  /** One sentence for each effect. */
  readonly effects: readonly string[]
  /** The effect that cannot be undone; null: everything can be undone. */
  readonly irreversible: string | null
  /** One sentence for each approval that is given by the same terms already. */
  readonly repeats: readonly string[]
}

/** A proposal that was made now, or that was open already. */
export interface MadeProposal {
  readonly id: bigint
  /** False if an open proposal with the same calls existed; no second one was submitted. */
  readonly isNew: boolean
  readonly proposer: string
  readonly state: (typeof proposalStates)[number]
  /** Unix seconds. */
  readonly voteStart: number
  /** Unix seconds. */
  readonly voteEnd: number
}

/** Transactions that were sent and included in a block. */
export interface Sent {
  readonly outcome: 'sent'
  /** The account that sent them. */
  readonly by: string
  /** Hashes in the order of the calls. */
  readonly transactions: readonly `0x${string}`[]
}

/** The outcome for the calls. */
export type Outcome =
  | Sent
  | {
      readonly outcome: 'proposed'
      readonly governor: string
      readonly proposals: readonly MadeProposal[]
    }
  | {
      readonly outcome: 'dry-run'
      readonly by?: string
      readonly governor?: string
      readonly proposals?: readonly { readonly id: bigint; readonly description: string }[]
      readonly draft?: string
    }
  | { readonly outcome: 'drafted'; readonly draft: string; readonly calls: number }
  | {
      readonly outcome: 'exported'
      readonly safe?: object
      readonly timelock?: object
      readonly calls?: readonly object[]
    }

/** Result of a command that changes the chain: the described calls, and what happened to them. */
export type Submission = { readonly descriptions: readonly CallJson[] } & Outcome
