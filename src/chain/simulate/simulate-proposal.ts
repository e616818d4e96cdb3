/**
 * Executes a proposal on a local copy of the chain: the governor queues it and executes it through the timelock, with
 * the code and the state of the chain, at the earliest time at which that is possible.
 *
 * One thing is assumed: an open vote succeeds. Everything else is executed, so missing roles of the timelock, a deadline
 * that will have passed, or a call that fails are found as they would happen.
 */
import { type Address, encodeFunctionData, toHex } from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { assentGovernorAbi } from '../abi.ts'
import { mappingSlot, uint256 } from '../approval.ts'
import { decodeRevert } from '../call.ts'
import type { AddressBook } from '../governance/describe-call.ts'
import type { ProposalState } from '../governance/governance.ts'
import type { ProposalFacts } from '../governance/proposals.ts'
import {
  type DecodedAccountChange,
  type DecodedChange,
  type DecodedEvent,
  decodeAccounts,
  decodeChanges,
  decodeEvents,
} from './decode-result.ts'
import type { LocalChain, LocalExecution, TracedCall } from './local-chain.ts'

/** The contracts of the DAO that votes. */
export interface DaoContracts {
  readonly governor: Address
  readonly timelock: Address
}

/** Why an execution failed. */
export interface SimulatedFailure {
  /** The step that reverts: `queue` in the governor, or `execute` in the timelock. */
  readonly step: 'queue' | 'execute'
  /** Position of the failed call in the proposal, from 1; undefined if governor or timelock refused. */
  readonly call: number | undefined
  /** Name of the contract's error, for example `ApprovalUnknown`. */
  readonly error: string
  /** Arguments of the decoded error, as text. */
  readonly values: readonly string[]
  /** Revert data as returned. */
  readonly data: Hex
}

/** The result of executing a proposal locally. */
export interface ProposalSimulation {
  /** Proposal id, decimal. */
  readonly proposal: string
  /** The block on whose state it ran. */
  readonly block: { readonly number: string; readonly hash: Hex; readonly timestamp: number }
  /** Facts that were assumed and not executed, in sentences. */
  readonly assumptions: readonly string[]
  /** Times of the simulated transactions, unix seconds. */
  readonly queuedAt: number | undefined
  /** Unix seconds of the simulated execution. */
  readonly executedAt: number
  readonly succeeded: boolean
  /** Why it fails; undefined if it succeeds. */
  readonly failure: SimulatedFailure | undefined
  /** Gas of the execution, as in a transaction of its own. */
  readonly gasUsed: string
  /** In the order of emission. */
  readonly events: readonly DecodedEvent[]
  /** Every changed storage word. */
  readonly changes: readonly DecodedChange[]
  /** Accounts with a changed balance or code. */
  readonly accounts: readonly DecodedAccountChange[]
  /** Every call of the last transaction, in the order in which it began. */
  readonly calls: readonly TracedCall[]
}

/** States from which a proposal can still be executed. */
const openStates: readonly ProposalState[] = ['pending', 'active', 'succeeded', 'queued']

/** Storage slot of `_proposalVotes` in AssentGovernor; a test compares it with the compiler's layout. */
export const proposalVotesSlot = 9n

/** The DAO that executes the proposal, and the names for its results. */
export interface SimulationContext {
  readonly dao: DaoContracts
  readonly book: AddressBook
  /** Seconds from queueing to execution, as the timelock has it at the block. */
  readonly timelockDelay: number
}

/**
 * Executes a proposal on `chain` and keeps its effects there if it succeeds.
 *
 * @throws PROPOSAL_STATE_WRONG if the proposal is over, and as {@link LocalChain.execute}
 * @example
 * const chain = await LocalChain.open(await openBlockState(client))
 * const { succeeded, failure, changes } = await simulateProposal(chain, facts, context)
 */
export async function simulateProposal(
  chain: LocalChain,
  facts: ProposalFacts,
  context: SimulationContext,
): Promise<ProposalSimulation> {
  requireOpen(facts)
  const assumptions = assumeVoteSucceeds(chain, facts, context.dao.governor)
  const before = await chain.fork()

  const queuedAt = facts.state === 'queued' ? undefined : queueTime(chain, facts)
  const queued =
    queuedAt === undefined ? undefined : await send(chain, facts, context, 'queue', queuedAt)
  const executedAt = executionTime(chain, facts, queuedAt, context.timelockDelay)
  const executed =
    queued === undefined || queued.succeeded
      ? await send(chain, facts, context, 'execute', executedAt)
      : undefined
  const last = executed ?? (queued as LocalExecution)

  const { book } = context
  const block = chain.origin
  return {
    proposal: facts.id.toString(),
    block: { number: block.number.toString(), hash: block.hash, timestamp: block.timestamp },
    assumptions,
    queuedAt,
    executedAt,
    succeeded: last.succeeded,
    failure: last.succeeded
      ? undefined
      : failureOf(last, executed === undefined ? 'queue' : 'execute', context.dao.timelock),
    gasUsed: last.gasUsed.toString(),
    events: last.succeeded ? decodeEvents(last.logs, book) : [],
    changes: decodeChanges(await chain.changedWords(before), {
      book,
      preimages: chain.preimages,
      now: executedAt,
    }),
    accounts: decodeAccounts(await chain.changedAccounts(before), book),
    calls: last.calls,
  }
}

/**
 * Executes proposals on `chain`, one after another, as {@link simulateProposal} does. A proposal that fails changes
 * nothing.
 *
 * @param proposals in the order of their execution
 * @returns one result per proposal, in the same order
 * @throws as {@link simulateProposal}
 */
export async function executeProposals(
  chain: LocalChain,
  proposals: readonly ProposalFacts[],
  context: SimulationContext,
  { onProgress }: { onProgress?: (done: number, total: number) => void } = {},
): Promise<ProposalSimulation[]> {
  const results: ProposalSimulation[] = []
  for (const [index, facts] of proposals.entries()) {
    onProgress?.(index, proposals.length)
    results.push(await simulateProposal(chain, facts, context))
  }
  return results
}

function requireOpen({ id, state }: ProposalFacts): void {
  if (openStates.includes(state)) return
  throw new AssentError('PROPOSAL_STATE_WRONG', `Proposal ${id} is ${state}.`, {
    facts: { id: id.toString(), state },
    hint: 'Only a proposal that can still be executed can be simulated.',
  })
}

/** Gives the proposal so many votes for it that it succeeds. */
function assumeVoteSucceeds(chain: LocalChain, facts: ProposalFacts, governor: Address): string[] {
  if (facts.state !== 'pending' && facts.state !== 'active') return []
  const votes = BigInt(mappingSlot(uint256(facts.id), uint256(proposalVotesSlot)))
  // against, for, abstain: one word each
  chain.assume(governor as Hex, toHex(votes + 1n, { size: 32 }), 2n ** 200n)
  return ['The vote succeeds.']
}

/** The first second after the vote, or the next one. */
function queueTime(chain: LocalChain, { voteEnd }: ProposalFacts): number {
  return Math.max(voteEnd, chain.head.timestamp) + 1
}

function executionTime(
  chain: LocalChain,
  { eta }: ProposalFacts,
  queuedAt: number | undefined,
  delay: number,
): number {
  return Math.max(queuedAt === undefined ? eta : queuedAt + delay, chain.head.timestamp + 1)
}

function send(
  chain: LocalChain,
  { id, proposer }: ProposalFacts,
  { dao }: SimulationContext,
  functionName: 'queue' | 'execute',
  timestamp: number,
): Promise<LocalExecution> {
  const data = encodeFunctionData({ abi: assentGovernorAbi, functionName, args: [id] })
  const from = proposer.toLowerCase() as Hex
  return chain.execute({ from, to: dao.governor.toLowerCase() as Hex, data }, { timestamp })
}

function failureOf(
  { data, failure, calls }: LocalExecution,
  step: 'queue' | 'execute',
  timelock: Address,
): SimulatedFailure {
  const made = calls.filter(
    ({ from, to, code }) => from === timelock.toLowerCase() && to === code && to !== undefined,
  )
  const failed = made.findLastIndex((each) => each.failed)
  const { error, values } = decodeRevert(data)
  return {
    step,
    call: step === 'execute' && failed >= 0 ? failed + 1 : undefined,
    error: failure === 'revert' ? error : (failure ?? error),
    values,
    data,
  }
}
