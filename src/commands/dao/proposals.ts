/**
 * `assent dao proposals`: lists proposals, newest first, with state, first call and next step. Reads the governor
 * only; `--offset` and `--limit` choose the page.
 */
import { z } from 'zod'
import { describeCall } from '../../chain/governance/describe-call.ts'
import { proposalStates } from '../../chain/governance/governance.ts'
import { summarize } from '../../chain/governance/proposal-text.ts'
import { listProposals, nextStep, readProposal } from '../../chain/governance/proposals.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { readAddressBook } from '../calls/read-address-book.ts'
import type { ArgumentsOf } from '../command.ts'
import type { proposals as command } from '../dao.ts'
import { readCount } from '../input/arguments.ts'
import { requireGovernor } from '../input/contracts.ts'
import { address, decimal, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  governor: address,
  total: z.int(),
  offset: z.int(),
  proposals: z.array(
    z.strictObject({
      id: decimal,
      state: z.enum(proposalStates),
      effects: z.array(z.string()),
      voteStart: unixTime,
      voteEnd: unixTime,
      eta: unixTime.describe('earliest execution in unix seconds; 0: not queued'),
    }),
  ),
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { publicClient, output } = session
  const governor = await requireGovernor(session, args.governor)
  const offset = readCount(args.offset, '--offset')
  const limit = readCount(args.limit, '--limit')
  const { total, ids } = await listProposals(publicClient, governor, { offset, limit })
  output.heading(
    `${total} proposals, newest first${ids.length < total ? `; ${ids.length} shown` : ''}`,
  )
  const all = await mapWithConcurrency(ids, (id) => readProposal(publicClient, governor, id))
  const targets = all.flatMap(({ calls }) => calls.map(({ to }) => to))
  const book = await readAddressBook(session, targets, governor)
  const proposals = all.map((facts) => {
    const { id, state, voteStart, voteEnd, eta } = facts
    const descriptions = facts.calls.map((call) => describeCall(book, call, session.now))
    const { first, more } = summarize(descriptions)
    output.line(`${id}`)
    output.line(`  ${state}: ${first}${more > 0 ? ` (and ${more} more)` : ''}`)
    output.line(`  ${nextStep(facts)}`)
    const effects = descriptions.flatMap((each) => each.effects)
    return { id, state, effects, voteStart, voteEnd, eta }
  })
  return { governor, total, offset, proposals }
}
