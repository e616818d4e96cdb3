/** Schemas of values in JSON output. */
import { z } from 'zod'

import { type Approval, type State, stateAt, states } from '../../chain/approval.ts'

/** 20 bytes, with or without a checksum in its letters. */
export const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/)

/** 32 bytes as lower-case hex with `0x`. */
export const bytes32 = z.string().regex(/^0x[0-9a-f]{64}$/)

/** Bytes of any length as lower-case hex with `0x`. */
export const bytes = z.string().regex(/^0x(?:[0-9a-f]{2})*$/)

/** A whole number of any size, as text, because JSON numbers cannot hold 256 bits. */
export const decimal = z.string().regex(/^\d{1,78}$/)

/** Unix seconds. */
export const unixTime = z.int().nonnegative().describe('unix seconds')

/** A duration in seconds. */
export const seconds = z.int().nonnegative().describe('seconds')

const approvalFields = {
  state: z.enum(states).describe('at the chain’s time'),
  activeFrom: unixTime,
  expiresAt: unixTime.describe('unix seconds; 0: no end'),
  suspendedUntil: unixTime.describe('unix seconds; 0: not suspended'),
  endedAt: unixTime.describe('unix seconds; 0: neither withdrawn nor revoked'),
  version: z.int().nonnegative().describe('0: never approved'),
  index: z.int().nonnegative().describe('number in the list of its kind, from 1'),
  revoked: z.boolean(),
}

/** An approval with its state. @param more members that the command adds */
export function approvalSchema<const S extends z.ZodRawShape>(more: S) {
  return z.strictObject({ ...more, ...approvalFields })
}

/** An approval in the form of {@link approvalSchema}. @param now unix seconds */
export function approvalToJson(approval: Approval, now: number): Approval & { state: State } {
  return { state: stateAt(approval, now), ...approval }
}
