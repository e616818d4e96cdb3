/**
 * `assent dao review`: reviews a proposal, a draft or an exported file at one block and writes the review as JSON and
 * Markdown. Two people get the same bytes for the same block, so they can compare the SHA-256.
 */
import { existsSync } from 'node:fs'

import { z } from 'zod'

import type { Call } from '../../chain/call.ts'
import { readExportedCalls } from '../../chain/governance/read-exports.ts'
import { replaceFile } from '../../lib/files.ts'
import { reviewToMarkdown } from '../../review/describe-review.ts'
import {
  encodeReview,
  reviewDigest,
  reviewProposal,
  reviewToJson,
} from '../../review/review-proposal.ts'
import { openProposal } from '../calls/on-proposal.ts'
import { readReviewContracts } from '../calls/review-contracts.ts'
import type { ArgumentsOf } from '../command.ts'
import type { review as command } from '../dao.ts'
import { readBytes, readCount, readJson } from '../input/arguments.ts'
import { requireGovernor } from '../input/contracts.ts'
import { bytes32 } from '../output/json.ts'
import { printReview, reviewSchema } from '../output/review-json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  digest: bytes32.describe('SHA-256 of the review as JSON with sorted members and no spaces'),
  review: reviewSchema,
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { publicClient, output } = session
  const governor = await requireGovernor(session, args.governor)
  const calls = await readCalls(args, session)
  const targets = calls.map(({ to }) => to)
  const contracts = await readReviewContracts(session, governor, targets)
  const review = await reviewProposal(
    publicClient,
    contracts,
    { calls },
    {
      blockNumber: args.block === undefined ? undefined : BigInt(readCount(args.block, '--block')),
      files: await Promise.all((args.manifest ?? []).map(readBytes)),
      afterQueued: args.afterQueued,
      onProgress: (step, done, total) => output.progress(`${step}: ${done} of ${total}`),
    },
  )
  const digest = reviewDigest(review)
  if (args.out === undefined) printReview(output, review)
  else {
    await replaceFile(`${args.out}.json`, encodeReview(review))
    await replaceFile(`${args.out}.md`, reviewToMarkdown(review))
    output.line(`Written to ${args.out}.json and ${args.out}.md. SHA-256 of the JSON: ${digest}`)
    output.line(`Everyone gets the same bytes with: --block ${review.block.number}`)
  }
  return { digest, review: reviewToJson(review) }
}

/** The calls of the file with this name, in any exported form; without such a file, of a proposal. */
async function readCalls(
  args: ArgumentsOf<typeof command>,
  session: Session,
): Promise<readonly Call[]> {
  if (existsSync(args.subject)) {
    return readExportedCalls(await readJson(args.subject), session.chainId).calls
  }
  const opened = await openProposal(session, { ...args, proposal: args.subject })
  return opened.facts.calls
}
