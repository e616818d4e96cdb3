/** The life of a proposal as stages one after the other, as far as they are known. */
import type { PublicClient } from 'viem'
import { type Address, parseEventLogs } from 'viem'

import { assentGovernorAbi } from '../abi.ts'
import { toChainError } from '../call.ts'
import { historyOf } from '../history.ts'
import { timelockDelay } from './governance.ts'
import type { DaoSettings, ProposalFacts } from './proposals.ts'

/** What of a proposal's life is in events only. Times in unix seconds, 0 if it did not happen. */
export interface Moments {
  readonly proposedAt: number
  readonly queuedAt: number
  readonly executedAt: number
  readonly canceledAt: number
}

export interface Stage {
  readonly name: 'look' | 'vote' | 'queue' | 'wait' | 'execute'
  /** Undefined if nobody knows yet. */
  readonly from: number | undefined
  readonly to: number | undefined
  readonly is: 'over' | 'now' | 'ahead' | 'never'
}

/** How long after its time the governor still executes. */
const executionWindow = 30 * 86_400

/**
 * Stages without gaps: each begins where the one before ends. Those after an end are `never`.
 *
 * @param delay seconds in the timelock
 */
export function timelineOf(facts: ProposalFacts, moments: Moments, delay: number): Stage[] {
  const { state, voteStart, voteEnd, eta, now } = facts
  const { proposedAt, queuedAt, executedAt, canceledAt } = moments
  const waitEnd = eta || (queuedAt === 0 ? undefined : queuedAt + delay)
  const last = executedAt || (waitEnd === undefined ? undefined : waitEnd + executionWindow)
  const ends = {
    look: voteStart,
    vote: voteEnd,
    queue: queuedAt || undefined,
    wait: waitEnd,
    execute: last,
  }
  const stopped = state === 'defeated' ? voteEnd : canceledAt || Number.POSITIVE_INFINITY
  const stages: Stage[] = []
  let from: number | undefined = proposedAt
  for (const name of ['look', 'vote', 'queue', 'wait', 'execute'] as const) {
    const end: number | undefined = ends[name]
    if (from !== undefined && from >= stopped) stages.push({ name, from, to: end, is: 'never' })
    else {
      const to: number | undefined = stopped < (end ?? Number.POSITIVE_INFINITY) ? stopped : end
      stages.push({ name, from, to, is: whereIs(from, to, now) })
    }
    from = stopped <= (end ?? now) ? stopped : end
  }
  return stages
}

function whereIs(from: number | undefined, to: number | undefined, now: number): Stage['is'] {
  if (from === undefined || from > now) return 'ahead'
  return to !== undefined && to <= now ? 'over' : 'now'
}

/** @throws CHAIN_UNREACHABLE */
export async function readMoments(
  client: PublicClient,
  governor: Address,
  { id }: Pick<ProposalFacts, 'id'>,
  fromBlock: bigint,
): Promise<Moments> {
  const logs = parseEventLogs({
    abi: assentGovernorAbi,
    eventName: ['ProposalCreated', 'ProposalQueued', 'ProposalExecuted', 'ProposalCanceled'],
    logs: await historyOf(client, governor, fromBlock),
  })
  const timeOf = async (name: (typeof logs)[number]['eventName']): Promise<number> => {
    const log = logs.find(({ eventName, args }) => eventName === name && args.proposalId === id)
    if (log?.blockNumber == null) return 0
    try {
      return Number((await client.getBlock({ blockNumber: log.blockNumber })).timestamp)
    } catch (cause) {
      throw toChainError(cause, `read block ${log.blockNumber}`)
    }
  }
  const [proposedAt, queuedAt, executedAt, canceledAt] = await Promise.all([
    timeOf('ProposalCreated'),
    timeOf('ProposalQueued'),
    timeOf('ProposalExecuted'),
    timeOf('ProposalCanceled'),
  ])
  return { proposedAt, queuedAt, executedAt, canceledAt }
}

/** Both together, for a proposal of this DAO. */
export async function readTimeline(
  client: PublicClient,
  governor: Address,
  facts: ProposalFacts,
  { settings, fromBlock }: { settings: DaoSettings; fromBlock: bigint },
): Promise<Stage[]> {
  const moments = await readMoments(client, governor, facts, fromBlock)
  return timelineOf(facts, moments, await timelockDelay(client, settings.timelock))
}
