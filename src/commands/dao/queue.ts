/**
 * `assent dao queue`: puts a successful proposal into the timelock. Sends one call; anyone may.
 *
 * @throws PROPOSAL_STATE_WRONG unless the proposal has succeeded
 */
import { queueCall } from '../../chain/governance/governance.ts'
import { requireState } from '../../chain/governance/proposals.ts'
import { openProposal, stepSchema, takeStep } from '../calls/on-proposal.ts'
import type { ArgumentsOf } from '../command.ts'
import type { queue } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = stepSchema

export async function run(args: ArgumentsOf<typeof queue>, session: Session) {
  const opened = await openProposal(session, args)
  requireState(opened.facts, 'succeeded', 'queue')
  return takeStep(session, opened, queueCall(opened.governor, opened.facts.id))
}
