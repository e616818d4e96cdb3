/** Schemas of the JSON files with DAO parameters. No field has a default. */
import { parseUnits } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { readAddress, readDuration, readJson } from './arguments.ts'

/** A duration such as `14d`, as seconds. */
export const durationSchema = z.string().transform((text) => readDuration(text, 'duration'))

/** An address with a valid checksum, or in lower case (EIP-55). */
export const accountSchema = z.string().transform((text) => readAddress(text, 'address'))

/** A number of tokens as text, such as `1000.5`; as bigint with 18 decimals. */
export const tokensSchema = z
  .string()
  .regex(/^\d{1,60}(?:\.\d{1,18})?$/, 'a number of tokens, as text')
  .transform((text) => parseUnits(text, 18))

/** Amounts of a token with any number of decimals. */
export const unitsSchema = z
  .string()
  .regex(/^\d{1,30}$/, 'a whole number of smallest units, as text')
  .transform(BigInt)

/** A new votes token: its whole supply goes to `holder`. */
export const newTokenSchema = z.strictObject({
  name: z.string().min(1),
  symbol: z.string().min(1),
  holder: accountSchema,
  supply: tokensSchema,
})

/** A token that exists. Its supply is named, because anyone could raise it for a moment around the creation. */
export const wrappedTokenSchema = z.strictObject({
  name: z.string(),
  symbol: z.string(),
  underlying: accountSchema,
  supply: unitsSchema,
})

/** Fields that the files of `deployment create` and `dao create` have in common. */
export const daoFields = {
  votingDelay: durationSchema,
  votingPeriod: durationSchema,
  lateQuorumExtension: durationSchema,
  proposalThreshold: tokensSchema,
  quorumPercent: z.int().min(0).max(100),
  timelockDelay: durationSchema,
  guardian: z.union([z.literal('nobody'), accountSchema]),
  suspension: durationSchema,
}

/** @throws FILE_UNREADABLE, INPUT_INVALID, USAGE_INVALID */
export async function readBy<S extends z.ZodType>(schema: S, file: string): Promise<z.output<S>> {
  const parsed = schema.safeParse(await readJson(file))
  if (parsed.success) return parsed.data
  throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`)
}
