import { writeFile } from 'node:fs/promises'

import { type Address, formatUnits } from 'viem'
import { z } from 'zod'

import type { Call } from '../src/chain/call.ts'
import { describeCall, nameOf } from '../src/chain/governance/describe-call.ts'
import { readDraft } from '../src/chain/governance/drafts.ts'
import {
  cancelCall,
  delegateCall,
  executeCall,
  queueCall,
  type VoteChoice,
  voteCall,
} from '../src/chain/governance/governance.ts'
import { summarize } from '../src/chain/governance/proposal-text.ts'
import {
  listProposals,
  nextStep,
  type ProposalFacts,
  readDaoSettings,
  readDescription,
  readProposal,
  requireCanceller,
  requireState,
  requireVoteSigned,
  requireVoteToCast,
  type SignedVote,
  signVote,
  submitVoteCall,
} from '../src/chain/governance/proposals.ts'
import { readTimeline } from '../src/chain/governance/timeline.ts'
import { AssentError } from '../src/errors/index.ts'
import { describeIssues } from '../src/lib/config.ts'
import { mapWithConcurrency } from '../src/lib/map-with-concurrency.ts'
import { addressSchema } from '../src/lib/schema.ts'
import { action } from './action.ts'
import { readAddress, readCount, readJson, readProposalId, readSupport } from './arguments.ts'
import { blocksOf, linesOf } from './draw-timeline.ts'
import { type OwnerArguments, sendCalls, submitCalls } from './execute-plan.ts'
import {
  type CommonArguments,
  confirm,
  progressOf,
  readAddressBook,
  requireGovernor,
  type Session,
  signerOf,
  type TransactionArguments,
  updateRecord,
} from './session.ts'

export const delegateVotes = action<TransactionArguments & { to: string; governor?: string }>(
  async (args, session) => {
    const account = (await signerOf(session, args.from)).walletClient.account.address
    const delegatee = args.to === 'self' ? account : readAddress(args.to, 'to')
    const governor = await requireGovernor(session, args.governor)
    const { token } = await readDaoSettings(session.publicClient, governor)
    return sendCalls(session, [delegateCall(token, delegatee)], args)
  },
)

export const proposeDraft = action<OwnerArguments & { file: string }>(async (args, session) => {
  const calls = await readDraft(args.file, session.chainId)
  if (calls.length === 0) {
    throw new AssentError('DRAFT_INVALID', `${args.file} has no calls.`, {
      facts: { file: args.file },
    })
  }
  return submitCalls(session, calls, { ...args, via: args.via === 'auto' ? 'propose' : args.via })
})

/* ON A PROPOSAL */

interface ProposalArguments {
  readonly proposal: string
  readonly governor?: string
}

interface Open {
  readonly governor: Address
  readonly facts: ProposalFacts
}

async function open(session: Session, { proposal, governor }: ProposalArguments): Promise<Open> {
  const at = await requireGovernor(session, governor)
  const facts = await readProposal(session.publicClient, at, readProposalId(proposal))
  return { governor: at, facts }
}

interface Voting extends TransactionArguments, ProposalArguments {
  readonly support: string
  readonly reason?: string
}

export const castVote = action<Voting>(async (args, session) => {
  const support = readSupport(args.support)
  const { governor, facts } = await open(session, args)
  requireState(facts, 'active', 'vote')
  const voter = (await signerOf(session, args.from)).walletClient.account.address
  const weight = await requireVoteToCast(session.publicClient, governor, voter, facts)
  await printCalls(session, governor, facts)
  session.output.line(`${voter} votes "${support}" with ${formatUnits(weight, 18)} votes.`)
  const call = voteCall(governor, facts.id, support, args.reason)
  return { proposalId: facts.id, support, weight, ...(await sendCalls(session, [call], args)) }
})

export const signVoteOnly = action<Voting & { out?: string }>(async (args, session) => {
  const support = readSupport(args.support)
  const { governor, facts } = await open(session, args)
  if (facts.state !== 'pending') requireState(facts, 'active', 'sign a vote')
  const clients = await signerOf(session, args.from)
  const { output } = session
  await printCalls(session, governor, facts)
  output.line(
    `Signs without a transaction: ${clients.walletClient.account.address} votes "${support}".`,
  )
  output.warning('Anyone who has the signed vote can submit it. A vote cannot be changed.')
  await confirm(args, args.json)
  const signed = await signVote(clients, governor, facts.id, support)
  if (args.out === undefined) output.line(JSON.stringify(signed, null, 2))
  else {
    await writeFile(args.out, `${JSON.stringify(signed, null, 2)}\n`)
    output.line(`Written to ${args.out}`)
  }
  return signed
})

const signedSchema = z.strictObject({
  chainId: z.int().positive(),
  governor: addressSchema,
  proposalId: z.string().regex(/^\d{1,78}$/),
  support: z.enum(['against', 'for', 'abstain']),
  voter: addressSchema,
  signature: z.templateLiteral(['0x', z.string().regex(/^(?:[0-9a-fA-F]{2})+$/)]),
})

export const submitSignedVote = action<TransactionArguments & { file: string }>(
  async (args, session) => {
    const parsed = signedSchema.safeParse(await readJson(args.file))
    if (!parsed.success) {
      throw new AssentError('SIGNATURE_INVALID', `${args.file}: ${describeIssues(parsed.error)}`)
    }
    const vote: SignedVote = parsed.data
    const { publicClient } = session
    const facts = await readProposal(publicClient, vote.governor, BigInt(vote.proposalId))
    requireState(facts, 'active', 'submit a vote')
    await requireVoteSigned(publicClient, vote)
    await requireVoteToCast(publicClient, vote.governor, vote.voter, facts)
    return sendCalls(session, [submitVoteCall(vote)], { ...args, governor: vote.governor })
  },
)

export const queueProposal = action<TransactionArguments & ProposalArguments>(
  async (args, session) => {
    const { governor, facts } = await open(session, args)
    requireState(facts, 'succeeded', 'queue')
    return step(session, args, facts, queueCall(governor, facts.id))
  },
)

export const executeProposal = action<TransactionArguments & ProposalArguments>(
  async (args, session) => {
    const { governor, facts } = await open(session, args)
    // stopped after it was carried out, or carried out by somebody else: the record is told all the same
    if (facts.state === 'executed') {
      const upgraded = await updateRecord(session, args)
      if (upgraded.length > 0)
        return { proposalId: facts.id, state: facts.state, done: false, upgraded }
    }
    requireState(facts, 'queued', 'execute')
    if (facts.eta > facts.now) {
      throw new AssentError(
        'PROPOSAL_STATE_WRONG',
        `Proposal ${facts.id} still waits. ${nextStep(facts)}`,
        {
          facts: { id: facts.id.toString(), state: facts.state, eta: facts.eta, now: facts.now },
        },
      )
    }
    const done = await step(session, args, facts, executeCall(governor, facts.id))
    return { ...done, upgraded: await updateRecord(session, args) }
  },
)

export const cancelProposal = action<TransactionArguments & ProposalArguments>(
  async (args, session) => {
    const { governor, facts } = await open(session, args)
    const account = (await signerOf(session, args.from)).walletClient.account.address
    await requireCanceller(session.publicClient, governor, account, facts)
    return step(session, args, facts, cancelCall(governor, facts.id))
  },
)

async function step(
  session: Session,
  args: TransactionArguments & { governor?: string },
  facts: ProposalFacts,
  call: Call,
) {
  await printCalls(session, call.to, facts)
  const done = await sendCalls(session, [call], args)
  const after = await readProposal(session.publicClient, call.to, facts.id)
  session.output.line(`The proposal is ${after.state} now. ${nextStep(after)}`)
  return { proposalId: facts.id, state: after.state, eta: after.eta, ...done }
}

/** Prints the descriptions of a proposal's calls, which do not depend on its text. */
async function printCalls(
  session: Session,
  governor: Address,
  { calls, id, state }: ProposalFacts,
): Promise<void> {
  const { output, now } = session
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
}

/* SHOWING */

export const showProposals = action<
  CommonArguments & { offset: string; limit: string; governor?: string }
>(async (args, session) => {
  const { publicClient, output } = session
  const governor = await requireGovernor(session, args.governor)
  const offset = readCount(args.offset, '--offset')
  const limit = readCount(args.limit, '--limit')
  const { total, ids } = await listProposals(publicClient, governor, { offset, limit })
  output.heading(
    `${total} proposals, newest first${ids.length < total ? `; ${ids.length} shown` : ''}`,
  )
  const proposals = []
  const all = await mapWithConcurrency(ids, (id) => readProposal(publicClient, governor, id))
  const targets = all.flatMap(({ calls }) => calls.map(({ to }) => to))
  const book = await readAddressBook(session, targets, governor)
  for (const facts of all) {
    const { id } = facts
    const descriptions = facts.calls.map((call) => describeCall(book, call, session.now))
    const effects = descriptions.flatMap((each) => each.effects)
    const { first, more } = summarize(descriptions)
    output.line(`${id}`)
    output.line(`  ${facts.state}: ${first}${more > 0 ? ` (and ${more} more)` : ''}`)
    output.line(`  ${nextStep(facts)}`)
    proposals.push({
      id,
      state: facts.state,
      effects,
      voteStart: facts.voteStart,
      voteEnd: facts.voteEnd,
      eta: facts.eta,
    })
  }
  return { total, offset, proposals }
})

export const showProposal = action<CommonArguments & ProposalArguments>(async (args, session) => {
  const { publicClient, output, deployment, addresses } = session
  const { governor, facts } = await open(session, args)
  const firstBlock =
    governor === addresses.governor ? (deployment.contracts.governor?.block ?? 0) : 0
  const fromBlock = BigInt(firstBlock)
  const onProgress = progressOf(output, 'Searching for its events')
  const description = await readDescription(publicClient, governor, facts, fromBlock, onProgress)
  const settings = await readDaoSettings(publicClient, governor)
  await printCalls(session, governor, facts)
  output.line()
  output.heading('Its text')
  output.line(description)
  output.line()
  const timeline = await readTimeline(publicClient, governor, facts, {
    settings,
    fromBlock,
    onProgress,
  })
  output.heading(`${facts.state}. ${nextStep(facts)}`)
  if (process.stdout.isTTY === true) output.line(`  ${blocksOf(timeline, facts.now)}`)
  for (const line of linesOf(timeline)) output.line(`  ${line}`)
  output.line()
  output.line(`  proposed by ${facts.proposer}`)
  for (const support of ['for', 'against', 'abstain'] satisfies VoteChoice[]) {
    output.line(
      `  ${support.padEnd(8)} ${formatUnits(facts.votes[support], 18)} ${settings.tokenSymbol}`,
    )
  }
  const needed =
    facts.quorum === undefined ? 'known when voting starts' : formatUnits(facts.quorum, 18)
  output.line(`  quorum   ${needed} (for and abstain count)`)
  const book = await readAddressBook(
    session,
    facts.calls.map(({ to }) => to),
    governor,
  )
  const descriptions = facts.calls.map((call) => describeCall(book, call, session.now))
  return { governor, ...facts, description, descriptions, timeline }
})
