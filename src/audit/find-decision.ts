/** Finds who gave an approval: the transaction, and the proposal with its votes if a DAO decided. */
import { type Address, type PublicClient, parseEventLogs } from 'viem'

import { approvalRegistryAbi, assentGovernorAbi } from '../chain/abi.ts'
import { type Kind, kinds } from '../chain/approval.ts'
import { toChainError } from '../chain/call.ts'
import { readProposal } from '../chain/governance/proposals.ts'
import { historyOf } from '../chain/history.ts'
import type { Hex } from '../lib/bytes.ts'

/** An approval in one registry. */
export interface ApprovalRef {
  readonly registry: Address
  readonly kind: Kind
  readonly id: Hex
}

/** The vote behind an approval. Votes in smallest units. */
export interface DecidingVote {
  readonly governor: Address
  readonly proposal: bigint
  readonly proposer: Address
  readonly votes: { readonly for: bigint; readonly against: bigint; readonly abstain: bigint }
}

/** The transaction that gave an approval, and the vote behind it. */
export interface ApprovalDecision extends ApprovalRef {
  readonly transaction: Hex
  readonly block: bigint
  /** Unix seconds of the block. */
  readonly at: number
  /** Account that sent the transaction: of a vote, anyone who executed it. */
  readonly sender: Address
  /** undefined: the transaction executed no proposal. */
  readonly vote: DecidingVote | undefined
}

/**
 * Finds the newest event that gave the approval. It is as true as the endpoint: events are not in the state.
 *
 * @param fromBlock the registry's first block
 * @returns undefined if there is no such event
 * @throws CHAIN_UNREACHABLE
 */
export async function findDecision(
  client: PublicClient,
  approval: ApprovalRef,
  fromBlock: bigint,
  onProgress?: (read: bigint, total: bigint) => void,
): Promise<ApprovalDecision | undefined> {
  const { registry, kind, id } = approval
  const logs = await historyOf(client, registry, fromBlock, {
    abi: approvalRegistryAbi,
    events: ['ApprovalGiven'],
    args: { kind: kinds[kind], id },
    onProgress,
  })
  const given = parseEventLogs({ abi: approvalRegistryAbi, eventName: 'ApprovalGiven', logs })
  const last = given.findLast(({ args }) => args.kind === kinds[kind] && args.id === id)
  if (last?.transactionHash == null || last.blockNumber === null) return undefined
  const { transactionHash: transaction, blockNumber: block } = last
  try {
    const [receipt, { timestamp }] = await Promise.all([
      client.getTransactionReceipt({ hash: transaction }),
      client.getBlock({ blockNumber: block }),
    ])
    const at = Number(timestamp)
    const vote = await voteIn(client, receipt.logs)
    return { ...approval, transaction, block, at, sender: receipt.from, vote }
  } catch (cause) {
    throw toChainError(cause, `read the transaction ${transaction}`)
  }
}

type Logs = Awaited<ReturnType<PublicClient['getTransactionReceipt']>>['logs']

/** The proposal that the transaction executed. Only a governor that knows it as executed counts. */
async function voteIn(client: PublicClient, logs: Logs): Promise<DecidingVote | undefined> {
  const executed = parseEventLogs({ abi: assentGovernorAbi, eventName: 'ProposalExecuted', logs })
  const [event] = executed
  if (event === undefined) return undefined
  const { address: governor } = event
  const { id, proposer, votes, state } = await readProposal(client, governor, event.args.proposalId)
  return state === 'executed' ? { governor, proposal: id, proposer, votes } : undefined
}
