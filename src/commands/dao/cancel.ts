/**
 * `assent dao cancel`: cancels a proposal. Sends the call from the proposal guardian at any stage, or from the
 * proposer before the vote starts.
 *
 * @throws AUTHORITY_MISSING if this account may not cancel it
 */
import { cancelCall } from '../../chain/governance/governance.ts'
import { requireCanceller } from '../../chain/governance/proposals.ts'
import { openProposal, stepSchema, takeStep } from '../calls/on-proposal.ts'
import type { ArgumentsOf } from '../command.ts'
import type { cancel } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = stepSchema

export async function run(args: ArgumentsOf<typeof cancel>, session: Session) {
  const opened = await openProposal(session, args)
  const { governor, facts } = opened
  const account = (await session.signer()).walletClient.account.address
  await requireCanceller(session.publicClient, governor, account, facts)
  return takeStep(session, opened, cancelCall(governor, facts.id))
}
