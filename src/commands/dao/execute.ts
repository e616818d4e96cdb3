/**
 * `assent dao execute`: executes a queued proposal whose timelock delay is over. Sends the call; anyone may. Then the
 * deployment record gets the implementations that the proposal installed.
 *
 * @throws PROPOSAL_STATE_WRONG with the time at which it can be executed
 */
import { z } from 'zod'
import { executeCall } from '../../chain/governance/governance.ts'
import { nextStep, requireState } from '../../chain/governance/proposals.ts'
import { AssentError } from '../../errors/index.ts'
import { openProposal, stepSchema, takeStep } from '../calls/on-proposal.ts'
import { updateRecord } from '../calls/update-record.ts'
import type { ArgumentsOf } from '../command.ts'
import type { execute } from '../dao.ts'
import { decimal } from '../output/json.ts'
import type { Session } from '../session/session.ts'

const upgraded = z
  .array(z.string())
  .describe('contracts whose current code was written into the deployment record')

export const schema = z.union([
  stepSchema.extend({ upgraded }),
  z.strictObject({
    outcome: z.literal('executed-before'),
    id: decimal,
    state: z.literal('executed'),
    upgraded,
  }),
])

export async function run(args: ArgumentsOf<typeof execute>, session: Session) {
  const opened = await openProposal(session, args)
  const { governor, facts } = opened
  // it was executed by a stopped run or by another account, and the record was not updated
  if (facts.state === 'executed') {
    const changed = await updateRecord(session)
    if (changed.length > 0)
      return { outcome: 'executed-before', id: facts.id, state: facts.state, upgraded: changed }
  }
  requireState(facts, 'queued', 'execute')
  if (facts.eta > facts.now) {
    throw new AssentError(
      'PROPOSAL_STATE_WRONG',
      `Proposal ${facts.id} still waits. ${nextStep(facts)}`,
      { facts: { id: facts.id.toString(), state: facts.state, eta: facts.eta, now: facts.now } },
    )
  }
  const done = await takeStep(session, opened, executeCall(governor, facts.id))
  return { ...done, upgraded: await updateRecord(session) }
}
