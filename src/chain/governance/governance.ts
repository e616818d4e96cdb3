/** Governance steps: propose, vote, queue, execute. */
import {
  type Address,
  encodeFunctionData,
  keccak256,
  type PublicClient,
  parseEventLogs,
  type TransactionReceipt,
  toBytes,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { quoteText } from '../../lib/printable.ts'
import { assentGovernorAbi, assentVotesAbi, timelockControllerAbi } from '../abi.ts'
import { type Call, type Clients, callOf, sendCall, toChainError } from '../call.ts'

/** States of a proposal; the index is the number in OpenZeppelin's `IGovernor`. */
export const proposalStates = [
  'pending',
  'active',
  'canceled',
  'defeated',
  'succeeded',
  'queued',
  'expired',
  'executed',
] as const

/** One of {@link proposalStates}. Only `succeeded` can be queued, and only `queued` can be executed. */
export type ProposalState = (typeof proposalStates)[number]

/** Choices of a vote with their numbers in OpenZeppelin's `GovernorCountingSimple`. */
export const supports = { against: 0, for: 1, abstain: 2 } as const

/** One of `for`, `against`, `abstain`. An abstention counts for the quorum and for neither side. */
export type VoteChoice = keyof typeof supports

/** A proposal that this program created. */
export interface Proposal {
  /** The governor's id: keccak-256 of the calls and the hash of the description. */
  readonly id: bigint
  /** Executed together, in this order. */
  readonly calls: readonly Call[]
  /** Markdown. Its keccak-256 is part of the proposal's id. */
  readonly description: string
  /** Unix seconds: voting is open after `voteStart` and until `voteEnd`. */
  readonly voteStart: number
  /** Unix seconds of the last second in which votes count. */
  readonly voteEnd: number
}

/**
 * Delegates the votes of the caller's tokens. Tokens without a delegate have no votes.
 *
 * @throws as {@link sendCall}
 * @example
 * await delegate(clients, votes, clients.walletClient.account.address)
 */
export function delegate(
  clients: Clients,
  votes: Address,
  delegatee: Address,
): Promise<TransactionReceipt> {
  return sendCall(clients, delegateCall(votes, delegatee))
}

/** The call of {@link delegate}, for other signers. */
export function delegateCall(votes: Address, delegatee: Address): Call {
  return callOf(votes, assentVotesAbi, 'delegate', [delegatee], `delegate votes to ${delegatee}`)
}

/**
 * Creates a proposal. All calls are executed, or none.
 *
 * The sender needs votes for the governor's proposal threshold.
 *
 * @throws TRANSACTION_REVERTED, and as {@link sendCall}
 * @example
 * const call = registry.approve(kmsAuth, [{ kind: 'osImage', id }], notAfter)
 * const { id: proposalId, voteStart } = await propose(clients, governor, [call], '# Approve image 0.5.4')
 */
export async function propose(
  clients: Clients,
  governor: Address,
  calls: readonly Call[],
  description: string,
): Promise<Proposal> {
  const receipt = await sendCall(clients, proposalCall(governor, calls, description))
  const [created] = parseEventLogs({
    abi: assentGovernorAbi,
    eventName: 'ProposalCreated',
    logs: receipt.logs.filter((log) => log.address.toLowerCase() === governor.toLowerCase()),
  })
  if (created === undefined) {
    throw new AssentError('TRANSACTION_REVERTED', 'The governor created no proposal.', {
      facts: { governor, transaction: receipt.transactionHash },
    })
  }
  const { proposalId, voteStart, voteEnd } = created.args
  const times = { voteStart: Number(voteStart), voteEnd: Number(voteEnd) }
  return { id: proposalId, calls, description, ...times }
}

/**
 * The call that creates a proposal, for other signers.
 *
 * @example const { to, data } = proposalCall(governor, calls, '# Approve image 0.5.4')
 */
export function proposalCall(governor: Address, calls: readonly Call[], description: string): Call {
  const { targets, values, calldatas } = actions(calls)
  return {
    to: governor,
    data: encodeFunctionData({
      abi: assentGovernorAbi,
      functionName: 'propose',
      args: [targets, values, calldatas, description],
    }),
    summary: `propose ${calls.length === 1 ? 'one call' : `${calls.length} calls`}: ${quoteText(description.split('\n', 1)[0] ?? '')}`,
  }
}

/**
 * Casts a vote with the votes that the sender had when voting started. A vote cannot be changed.
 *
 * @param reason free text that the event contains
 * @throws as {@link sendCall}, for example `GovernorAlreadyCastVote` in a CALL_REVERTED
 * @example await vote(clients, governor, proposalId, 'for', 'The build is reproducible.')
 */
export function vote(
  clients: Clients,
  governor: Address,
  proposalId: bigint,
  support: VoteChoice,
  reason = '',
): Promise<TransactionReceipt> {
  return sendCall(clients, voteCall(governor, proposalId, support, reason))
}

/** The call of {@link vote}, for other signers. */
export function voteCall(governor: Address, id: bigint, support: VoteChoice, reason = ''): Call {
  const args = [id, supports[support], reason] as const
  return callOf(governor, assentGovernorAbi, 'castVoteWithReason', args, `vote ${support} on ${id}`)
}

/**
 * Puts a successful proposal into the timelock. Any account can do this.
 *
 * @throws as {@link sendCall}
 * @example if ((await proposalState(client, governor, id)) === 'succeeded') await queue(clients, governor, id)
 */
export function queue(
  clients: Clients,
  governor: Address,
  proposalId: bigint,
): Promise<TransactionReceipt> {
  return sendCall(clients, queueCall(governor, proposalId))
}

/**
 * Executes a queued proposal after the timelock delay. Any account can do this.
 *
 * @throws as {@link sendCall}; CALL_REVERTED with the error of the call that failed
 * @example
 * const eta = await proposalEta(client, governor, id)
 * if (eta !== 0 && now >= eta) await execute(clients, governor, id)
 */
export function execute(
  clients: Clients,
  governor: Address,
  proposalId: bigint,
): Promise<TransactionReceipt> {
  return sendCall(clients, executeCall(governor, proposalId))
}

/**
 * Cancels a proposal. The proposal guardian can do this until the execution, except for a proposal that only replaces
 * the guardian. A proposer can do it for its own proposal: before voting starts, or at any time if the governor has no
 * guardian.
 *
 * @throws as {@link sendCall}
 * @example await cancel(guardian, governor, proposalId)
 */
export function cancel(
  clients: Clients,
  governor: Address,
  proposalId: bigint,
): Promise<TransactionReceipt> {
  return sendCall(clients, cancelCall(governor, proposalId))
}

/**
 * Reads the state of a proposal at the newest block.
 *
 * @throws CALL_REVERTED if no proposal has this id, CHAIN_UNREACHABLE
 * @example const state = await proposalState(client, governor, proposalId) // 'active'
 */
export async function proposalState(
  client: PublicClient,
  governor: Address,
  proposalId: bigint,
): Promise<ProposalState> {
  const number = await ask(`state of ${proposalId}`, () =>
    client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'state',
      args: [proposalId],
    }),
  )
  const state = proposalStates[number]
  if (state === undefined) {
    throw new AssentError('CHAIN_UNREACHABLE', 'The governor answered with an unknown state.', {
      facts: { governor, number },
    })
  }
  return state
}

/**
 * Unix seconds from which a queued proposal can be executed; 0 if it is not queued.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function proposalEta(
  client: PublicClient,
  governor: Address,
  proposalId: bigint,
): Promise<number> {
  const eta = await ask(`eta of ${proposalId}`, () =>
    client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'proposalEta',
      args: [proposalId],
    }),
  )
  return Number(eta)
}

/**
 * The votes on a proposal, in smallest units.
 *
 * @throws CHAIN_UNREACHABLE
 * @example const { for: yes, against, abstain } = await tally(client, governor, proposalId)
 */
export async function tally(
  client: PublicClient,
  governor: Address,
  proposalId: bigint,
): Promise<Record<VoteChoice, bigint>> {
  const [against, inFavour, abstain] = await ask(`votes on ${proposalId}`, () =>
    client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'proposalVotes',
      args: [proposalId],
    }),
  )
  return { against, for: inFavour, abstain }
}

/** Seconds between queueing and the earliest execution. */
export async function timelockDelay(client: PublicClient, timelock: Address): Promise<number> {
  const delay = await ask('delay of the timelock', () =>
    client.readContract({
      address: timelock,
      abi: timelockControllerAbi,
      functionName: 'getMinDelay',
    }),
  )
  return Number(delay)
}

/**
 * The id that the governor gives to these calls with this description.
 *
 * @example const id = await proposalIdOf(client, governor, calls, description)
 */
export function proposalIdOf(
  client: PublicClient,
  governor: Address,
  calls: readonly Call[],
  description: string,
): Promise<bigint> {
  const { targets, values, calldatas } = actions(calls)
  return ask('id of a proposal', () =>
    client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'hashProposal',
      args: [targets, values, calldatas, keccak256(toBytes(description))],
    }),
  )
}

/** The call of {@link queue}, for other signers. */
export function queueCall(governor: Address, id: bigint): Call {
  return callOf(governor, assentGovernorAbi, 'queue', [id], `queue ${id}`)
}

/** The call of {@link execute}, for other signers. */
export function executeCall(governor: Address, id: bigint): Call {
  return callOf(governor, assentGovernorAbi, 'execute', [id], `execute ${id}`)
}

/** The call of {@link cancel}, for other signers. */
export function cancelCall(governor: Address, id: bigint): Call {
  return callOf(governor, assentGovernorAbi, 'cancel', [id], `cancel ${id}`)
}

function actions(calls: readonly Call[]): {
  targets: Address[]
  values: bigint[]
  calldatas: Hex[]
} {
  return {
    targets: calls.map((call) => call.to),
    values: calls.map((call) => call.value ?? 0n),
    calldatas: calls.map((call) => call.data),
  }
}

async function ask<T>(words: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw toChainError(cause, words)
  }
}
