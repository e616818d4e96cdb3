/**
 * `assent dao vote`: votes `for`, `against` or `abstain` on a proposal. Prints the calls first; sends one call.
 *
 * @throws PROPOSAL_STATE_WRONG unless the vote is open, VOTES_TOO_FEW for an account without votes
 */
import { formatUnits } from 'viem'
import { z } from 'zod'
import { voteCall } from '../../chain/governance/governance.ts'
import {
  nextStep,
  readProposal,
  requireState,
  requireVoteToCast,
} from '../../chain/governance/proposals.ts'
import { openProposal, printCalls } from '../calls/on-proposal.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { vote } from '../dao.ts'
import { readSupport } from '../input/arguments.ts'
import { decimal } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema({
  id: decimal,
  support: z.enum(['for', 'against', 'abstain']),
  weight: decimal.describe('votes in smallest units'),
})

export async function run(args: ArgumentsOf<typeof vote>, session: Session) {
  const support = readSupport(args.support)
  const opened = await openProposal(session, args)
  const { governor, facts } = opened
  requireState(facts, 'active', 'vote')
  const voter = (await session.signer()).walletClient.account.address
  const weight = await requireVoteToCast(session.publicClient, governor, voter, facts)
  await printCalls(session, opened)
  session.output.line(`${voter} votes "${support}" with ${formatUnits(weight, 18)} votes.`)
  const call = voteCall(governor, facts.id, support, args.reason)
  const sent = await sendCalls(session, [call], { governor })
  const after = await readProposal(session.publicClient, governor, facts.id)
  session.output.line(`The proposal is ${after.state} now. ${nextStep(after)}`)
  if (after.state === 'active') {
    session.output.line(`Next, once the vote has succeeded: assent dao queue ${facts.id}`)
  }
  return { id: facts.id, support, weight, ...sent }
}
