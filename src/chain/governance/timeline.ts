/** The stages of a proposal, from review to execution. */
import type { Address, Log, PublicClient } from 'viem'

import { assentGovernorAbi } from '../abi.ts'
import { toChainError } from '../call.ts'
import { blockAt, findInHistory } from '../rpc/history.ts'
import { timelockDelay } from './governance.ts'
import {
  type DaoSettings,
  executionWindow,
  findCreation,
  type HistoryProgress,
  isOfProposal,
  type ProposalFacts,
} from './proposals.ts'

/** Times that are only in events, in unix seconds; 0 if the event did not happen. */
export interface ProposalTimes {
  readonly proposedAt: number
  readonly queuedAt: number
  readonly executedAt: number
  readonly canceledAt: number
}

/** One stage of a proposal. */
export interface Stage {
  /** Stages in their order: review before voting, vote, queueing, timelock, execution. */
  readonly name: 'review' | 'vote' | 'queue' | 'timelock' | 'execute'
  /** Unix seconds; undefined if not known yet. */
  readonly from: number | undefined
  /** Unix seconds; undefined while the end is not known. */
  readonly to: number | undefined
  /** `skipped`: the proposal was defeated or cancelled before. */
  readonly status: 'done' | 'current' | 'upcoming' | 'skipped'
}

/**
 * The stages without gaps: each starts when the previous one ends. Stages after a defeat or cancellation are `skipped`.
 *
 * @param delay seconds in the timelock
 */
export function timelineOf(facts: ProposalFacts, times: ProposalTimes, delay: number): Stage[] {
  const { state, voteStart, voteEnd, eta, now } = facts
  const { proposedAt, queuedAt, executedAt, canceledAt } = times
  const waitEnd = eta || (queuedAt === 0 ? undefined : queuedAt + delay)
  const last = executedAt || (waitEnd === undefined ? undefined : waitEnd + executionWindow)
  const unqueuedEnd = voteEnd + executionWindow
  const ends = {
    review: voteStart,
    vote: voteEnd,
    queue: queuedAt || (state === 'succeeded' || state === 'expired' ? unqueuedEnd : undefined),
    timelock: waitEnd,
    execute: last,
  }
  const stopped = state === 'defeated' ? voteEnd : canceledAt || Number.POSITIVE_INFINITY
  const stages: Stage[] = []
  let from: number | undefined = proposedAt
  for (const name of ['review', 'vote', 'queue', 'timelock', 'execute'] as const) {
    const end: number | undefined = ends[name]
    if (from !== undefined && from >= stopped)
      stages.push({ name, from, to: end, status: 'skipped' })
    else {
      const to: number | undefined = stopped < (end ?? Number.POSITIVE_INFINITY) ? stopped : end
      stages.push({ name, from, to, status: statusAt(from, to, now) })
    }
    from = stopped <= (end ?? now) ? stopped : end
  }
  return stages
}

function statusAt(from: number | undefined, to: number | undefined, now: number): Stage['status'] {
  if (from === undefined || from > now) return 'upcoming'
  return to !== undefined && to <= now ? 'done' : 'current'
}

/**
 * Reads the times of a proposal's events. Each search starts at the earliest time at which the event can have happened.
 *
 * @param delay seconds in the timelock
 * @throws CHAIN_UNREACHABLE
 */
export async function readProposalTimes(
  client: PublicClient,
  governor: Address,
  facts: Pick<ProposalFacts, 'id' | 'state' | 'voteStart' | 'voteEnd' | 'eta'>,
  {
    fromBlock,
    delay,
    onProgress,
  }: { fromBlock: bigint; delay: number; onProgress?: HistoryProgress },
): Promise<ProposalTimes> {
  const { id, state, voteEnd, eta } = facts
  const created = await findCreation(client, governor, facts, fromBlock, onProgress)
  const first = created?.blockNumber ?? fromBlock
  const find = async (
    name: 'ProposalQueued' | 'ProposalExecuted' | 'ProposalCanceled',
    from: number,
    to?: number,
  ): Promise<number> => {
    const start = await blockAt(client, from - 1, first)
    const end = to === undefined ? {} : { toBlock: await blockAt(client, to, start) }
    const search = { abi: assentGovernorAbi, events: [name], onProgress, ...end }
    const isThisProposal = (log: Log) => isOfProposal(log, name, id)
    return timeOf(client, await findInHistory(client, governor, start, isThisProposal, search))
  }
  // if the delay was changed since, the event is at another time
  const queuing = async () =>
    (await find('ProposalQueued', eta - delay, eta - delay)) ||
    (await find('ProposalQueued', voteEnd, eta))
  return {
    proposedAt: await timeOf(client, created),
    queuedAt: eta === 0 ? 0 : await queuing(),
    executedAt: state === 'executed' ? await find('ProposalExecuted', eta || voteEnd) : 0,
    canceledAt: state === 'canceled' ? await find('ProposalCanceled', 0) : 0,
  }
}

async function timeOf(client: PublicClient, log: Log | undefined): Promise<number> {
  if (log?.blockNumber == null) return 0
  const { blockNumber } = log
  const block = await client.getBlock({ blockNumber }).catch((cause: unknown) => {
    throw toChainError(cause, `read block ${blockNumber}`)
  })
  return Number(block.timestamp)
}

/** Settings and search of a timeline. */
export interface TimelineOptions {
  readonly settings: DaoSettings
  /** The governor's first block. */
  readonly fromBlock: bigint
  readonly onProgress?: HistoryProgress | undefined
}

/** Reads the events of a proposal and returns its stages. @throws CHAIN_UNREACHABLE */
export async function readTimeline(
  client: PublicClient,
  governor: Address,
  facts: ProposalFacts,
  { settings, fromBlock, onProgress }: TimelineOptions,
): Promise<Stage[]> {
  const delay = await timelockDelay(client, settings.timelock)
  const search = { fromBlock, delay, ...(onProgress === undefined ? {} : { onProgress }) }
  return timelineOf(facts, await readProposalTimes(client, governor, facts, search), delay)
}
