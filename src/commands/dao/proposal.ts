/**
 * `assent dao proposal`: shows a proposal: calls in words, description, timeline, votes and, unless `--quick` is
 * given, the review with its execution on a local copy. Reads the chain only.
 */
import { formatUnits } from 'viem'
import { z } from 'zod'
import { type AddressBook, describeCall } from '../../chain/governance/describe-call.ts'
import {
  type ProposalState,
  proposalStates,
  type VoteChoice,
} from '../../chain/governance/governance.ts'
import {
  nextStep,
  type ProposalFacts,
  readDaoSettings,
  readDescription,
} from '../../chain/governance/proposals.ts'
import { readTimeline, type Stage } from '../../chain/governance/timeline.ts'
import {
  callToJson,
  type ProposalReview,
  reviewProposal,
  reviewToJson,
} from '../../review/review-proposal.ts'
import { type OpenedProposal, openProposal, printCalls } from '../calls/on-proposal.ts'
import { readReviewContracts } from '../calls/review-contracts.ts'
import { callSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { showProposal } from '../dao.ts'
import { readBytes } from '../input/arguments.ts'
import { blocksOf, legendOf, linesOf } from '../output/draw-timeline.ts'
import { address, bytes, bytes32, decimal, unixTime } from '../output/json.ts'
import { type Output, progressOf } from '../output/output.ts'
import { printReview, reviewSchema } from '../output/review-json.ts'
import type { Session } from '../session/session.ts'

const time = unixTime.nullable()

export const schema = z.strictObject({
  governor: address,
  id: decimal,
  state: z.enum(proposalStates),
  proposer: address,
  calls: z.array(
    callSchema.extend({
      value: decimal.describe('wei'),
      data: bytes,
      functionName: z.string().nullable(),
    }),
  ),
  description: z.string(),
  descriptionHash: bytes32,
  votes: z.strictObject({ for: decimal, against: decimal, abstain: decimal }),
  quorum: decimal.nullable().describe('null until voting starts'),
  voteStart: unixTime,
  voteEnd: unixTime,
  eta: unixTime.describe('earliest execution in unix seconds; 0: not queued'),
  earliestExecution: unixTime.describe('in unix seconds, queued or not'),
  notAfter: unixTime.nullable().describe('a later execution reverts; null: no deadline'),
  now: unixTime.describe('the chain’s time'),
  timeline: z.array(
    z.strictObject({
      name: z.enum(['review', 'vote', 'queue', 'timelock', 'execute']),
      from: time,
      to: time,
      status: z.enum(['done', 'current', 'upcoming', 'skipped']),
    }),
  ),
  review: reviewSchema.nullable().describe('null: the proposal is over, or --quick was given'),
})

const openStates: readonly ProposalState[] = ['pending', 'active', 'succeeded', 'queued']

export async function run(args: ArgumentsOf<typeof showProposal>, session: Session) {
  const opened = await openProposal(session, args)
  const details = await readDetails(session, opened)
  const book = await printCalls(session, opened)
  printDetails(session, opened, details)
  const isReviewed = !args.quick && openStates.includes(opened.facts.state)
  const review = isReviewed
    ? await reviewOf(session, opened, { description: details.description, args })
    : undefined
  if (review !== undefined) printReview(session.output, review, { hasPrintedCalls: true })
  return toJson(opened, details, { book, review, now: session.now })
}

interface Details {
  /** Text of the proposal, from its events. */
  readonly description: string
  readonly tokenSymbol: string
  readonly timeline: readonly Stage[]
}

async function readDetails(
  { publicClient, output, deployment, addresses }: Session,
  { governor, facts }: OpenedProposal,
): Promise<Details> {
  const isRecorded = governor === addresses.governor
  const fromBlock = BigInt(isRecorded ? (deployment.contracts.governor?.block ?? 0) : 0)
  const onProgress = progressOf(output, 'Searching for its events')
  const description = await readDescription(publicClient, governor, facts, fromBlock, onProgress)
  const settings = await readDaoSettings(publicClient, governor)
  const search = { settings, fromBlock, onProgress }
  const timeline = await readTimeline(publicClient, governor, facts, search)
  return { description, tokenSymbol: settings.tokenSymbol, timeline }
}

function printDetails(
  { output }: Session,
  { facts }: OpenedProposal,
  { description, tokenSymbol, timeline }: Details,
): void {
  output.line()
  output.heading('Its text')
  output.quotation(description)
  output.line()
  output.heading(`${facts.state}. ${nextStep(facts)}`)
  const { isTTY, columns = 80 } = process.stdout
  if (isTTY === true) {
    output.line(`  ${blocksOf(timeline, facts.now, Math.min(columns, 80) - 2)}`)
    output.line(`  ${legendOf(timeline)}`)
  }
  for (const line of linesOf(timeline)) output.line(`  ${line}`)
  output.line()
  printVotes(output, facts, tokenSymbol)
}

function toJson(
  { governor, facts }: OpenedProposal,
  { description, timeline }: Details,
  { book, review, now }: { book: AddressBook; review: ProposalReview | undefined; now: number },
) {
  return {
    governor,
    ...facts,
    quorum: facts.quorum ?? null,
    notAfter: facts.notAfter ?? null,
    description,
    calls: facts.calls.map((call) => callToJson(call, describeCall(book, call, now))),
    timeline: timeline.map(({ from, to, ...stage }) => ({
      ...stage,
      from: from ?? null,
      to: to ?? null,
    })),
    review: review === undefined ? null : reviewToJson(review),
  }
}

async function reviewOf(
  session: Session,
  { governor, facts }: OpenedProposal,
  { description, args }: { description: string; args: ArgumentsOf<typeof showProposal> },
): Promise<ProposalReview> {
  const { publicClient, output } = session
  const targets = facts.calls.map(({ to }) => to)
  const contracts = await readReviewContracts(session, governor, targets)
  return reviewProposal(
    publicClient,
    contracts,
    { facts, text: description },
    {
      files: await Promise.all((args.manifest ?? []).map(readBytes)),
      afterQueued: args.afterQueued,
      onProgress: (step, done, total) => output.progress(`${step}: ${done} of ${total}`),
    },
  )
}

function printVotes(output: Output, facts: ProposalFacts, symbol: string): void {
  output.line(`  proposed by ${facts.proposer}`)
  for (const support of ['for', 'against', 'abstain'] satisfies VoteChoice[]) {
    output.line(`  ${support.padEnd(8)} ${formatUnits(facts.votes[support], 18)} ${symbol}`)
  }
  const needed =
    facts.quorum === undefined ? 'known when voting starts' : formatUnits(facts.quorum, 18)
  output.line(`  quorum   ${needed} (for and abstain count)`)
}
