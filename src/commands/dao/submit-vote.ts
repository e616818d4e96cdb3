/**
 * `assent dao submit-vote`: submits a signed vote and pays for it. Checks signature, state and votes before it sends.
 *
 * @throws SIGNATURE_INVALID, PROPOSAL_STATE_WRONG, VOTES_TOO_FEW
 */
import {
  readProposal,
  requireState,
  requireVoteSigned,
  requireVoteToCast,
  submitVoteCall,
} from '../../chain/governance/proposals.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { submitVote } from '../dao.ts'
import { readSignedVote } from '../input/signed-vote.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof submitVote>, session: Session) {
  const vote = await readSignedVote(args.file)
  const { publicClient } = session
  const facts = await readProposal(publicClient, vote.governor, BigInt(vote.proposalId))
  requireState(facts, 'active', 'submit a vote')
  await requireVoteSigned(publicClient, vote)
  await requireVoteToCast(publicClient, vote.governor, vote.voter, facts)
  return sendCalls(session, [submitVoteCall(vote)], { governor: vote.governor })
}
