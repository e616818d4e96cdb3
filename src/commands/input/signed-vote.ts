import { z } from 'zod'
import type { SignedVote } from '../../chain/governance/proposals.ts'
import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { addressSchema } from '../../lib/schema.ts'
import { readJson } from './arguments.ts'
/** The file of a signed vote: `assent dao sign-vote` writes it, `assent dao submit-vote` reads it. */
export const signedVoteSchema = z.strictObject({
  chainId: z.int().positive(),
  governor: addressSchema,
  proposalId: z.string().regex(/^\d{1,78}$/),
  support: z.enum(['against', 'for', 'abstain']),
  voter: addressSchema,
  signature: z.templateLiteral(['0x', z.string().regex(/^(?:[0-9a-fA-F]{2})+$/)]),
})

/** @throws FILE_UNREADABLE, INPUT_INVALID, SIGNATURE_INVALID */
export async function readSignedVote(file: string): Promise<SignedVote> {
  const parsed = signedVoteSchema.safeParse(await readJson(file))
  if (parsed.success) return parsed.data
  throw new AssentError('SIGNATURE_INVALID', `${file}: ${describeIssues(parsed.error)}`)
}
