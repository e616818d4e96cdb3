/** Parts that the commands on one proposal share. */
import type { Address } from 'viem'
import { z } from 'zod'
import type { Call } from '../../chain/call.ts'
import { type AddressBook, describeCall, nameOf } from '../../chain/governance/describe-call.ts'
import { proposalStates } from '../../chain/governance/governance.ts'
import { nextStep, type ProposalFacts, readProposal } from '../../chain/governance/proposals.ts'
import { requireGovernor } from '../input/contracts.ts'
import { resolveProposal } from '../input/names.ts'
import { decimal, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'
import { readAddressBook } from './read-address-book.ts'
import { sentSchema } from './submission.ts'
import { sendCalls } from './submit-calls.ts'

/** A proposal and its governor. */
export interface OpenedProposal {
  /** The governor of the proposal: of the deployment, or of an app's DAO. */
  readonly governor: Address
  /** State, votes and times at the newest block. */
  readonly facts: ProposalFacts
}

interface ProposalArguments {
  readonly proposal: string
  readonly governor: string | undefined
}

/**
 * Finds the proposal of a command by id, first digits (at least 6) or name, and reads it at the newest block.
 *
 * @throws USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS, CHAIN_UNREACHABLE
 */
export async function openProposal(
  session: Session,
  { proposal, governor }: ProposalArguments,
): Promise<OpenedProposal> {
  const at = await requireGovernor(session, governor)
  const id = await resolveProposal(session, at, proposal)
  return { governor: at, facts: await readProposal(session.publicClient, at, id) }
}

/**
 * Prints the descriptions of a proposal's calls, which do not depend on its text.
 *
 * @returns the names and types of the contracts that the calls go to
 */
export async function printCalls(
  session: Session,
  { governor, facts }: OpenedProposal,
): Promise<AddressBook> {
  const { output, now } = session
  const { calls, id, state } = facts
  const book = await readAddressBook(
    session,
    calls.map(({ to }) => to),
    governor,
  )
  output.heading(`Proposal ${id} (${state}) would:`)
  for (const call of calls) {
    const { to, effects, irreversible } = describeCall(book, call, now)
    output.line(`  ${nameOf(book, to)}`)
    for (const each of effects) output.line(`    - ${each}`)
    if (irreversible !== undefined) output.warning(`    Cannot be undone: ${irreversible}`)
  }
  return book
}

/** The JSON value of a step of a proposal: queue, execute, cancel. */
export const stepSchema = sentSchema({
  id: decimal,
  state: z.enum(proposalStates),
  eta: unixTime.describe('earliest execution in unix seconds; 0: not queued'),
})

/** Takes one step of a proposal and prints the next one. */
export async function takeStep(session: Session, opened: OpenedProposal, call: Call) {
  const { governor, facts } = opened
  await printCalls(session, opened)
  const sent = await sendCalls(session, [call], { governor })
  const after = await readProposal(session.publicClient, governor, facts.id)
  session.output.line(`The proposal is ${after.state} now. ${nextStep(after)}`)
  return { id: facts.id, state: after.state, eta: after.eta, ...sent }
}
