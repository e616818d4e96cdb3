/**
 * `assent dao sign-vote`: signs a vote off-chain (EIP-712). Sends nothing; anyone can submit the file with `assent
 * dao submit-vote`.
 *
 * @throws PROPOSAL_STATE_WRONG unless the vote is open or not started yet
 */
import { z } from 'zod'
import { requireState, signVote } from '../../chain/governance/proposals.ts'
import { openProposal, printCalls } from '../calls/on-proposal.ts'
import type { ArgumentsOf } from '../command.ts'
import type { signVote as command } from '../dao.ts'
import { readSupport } from '../input/arguments.ts'
import { address, bytes, decimal } from '../output/json.ts'
import { printOrWrite } from '../output/print-or-write.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  chainId: z.int(),
  governor: address,
  proposalId: decimal,
  support: z.enum(['for', 'against', 'abstain']),
  voter: address,
  signature: bytes,
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const support = readSupport(args.support)
  const opened = await openProposal(session, args)
  const { governor, facts } = opened
  if (facts.state !== 'pending') requireState(facts, 'active', 'sign a vote')
  const clients = await session.signer()
  const { output } = session
  await printCalls(session, opened)
  output.line(
    `Signs without a transaction: ${clients.walletClient.account.address} votes "${support}".`,
  )
  output.warning('Anyone who has the signed vote can submit it. A vote cannot be changed.')
  await session.confirm()
  const signed = await signVote(clients, governor, facts.id, support)
  await printOrWrite(output, signed, args.out)
  return signed
}
