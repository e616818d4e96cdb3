/** Finds who gave an approval: the transaction, and the proposal with its votes if a DAO decided. */
import { type Address, type Log, type PublicClient, parseEventLogs } from 'viem'

import { approvalRegistryAbi } from '../chain/abi.ts'
import { decodeApproval, kinds } from '../chain/approval.ts'
import { toChainError } from '../chain/call.ts'
import { readApproval } from '../chain/registries/registry.ts'
import { historyOf } from '../chain/rpc/history.ts'
import type { Hex } from '../lib/bytes.ts'
import {
  type ApprovalRef,
  type DecidingVote,
  findVote,
  type KnownGovernance,
} from './deciding-vote.ts'

/** The transaction that gave an approval, and the vote behind it. */
export interface ApprovalDecision extends ApprovalRef {
  readonly transaction: Hex
  readonly block: bigint
  /** Unix seconds of the block. */
  readonly at: number
  /** Account that sent the transaction: of a vote, anyone who executed it. */
  readonly sender: Address
  /** undefined: no proposal of a known DAO gave it. */
  readonly vote: DecidingVote | undefined
  /** Later approvals of the same version, oldest first. */
  readonly repeats: readonly RepeatedApproval[]
}

/** A second approval of what was approved already. It keeps the version, so proofs under it stay valid. */
export interface RepeatedApproval {
  readonly transaction: Hex
  readonly block: bigint
  /** Whether it changed the start, the end or the evidence. */
  readonly hasEffect: boolean
}

/**
 * Finds the event that began the version of the approval which the registry has now. A later approval of the same
 * version decided at most its times and its evidence, so it is a repeat. Events are as true as the endpoint.
 *
 * @param fromBlock the registry's first block
 * @param known the governors that can be believed
 * @returns undefined if there is no such event
 * @throws CHAIN_UNREACHABLE
 */
export async function findDecision(
  client: PublicClient,
  approval: ApprovalRef,
  fromBlock: bigint,
  known: KnownGovernance,
  onProgress?: (read: bigint, total: bigint) => void,
): Promise<ApprovalDecision | undefined> {
  const { registry, kind, id } = approval
  const options = { abi: approvalRegistryAbi, args: { kind: kinds[kind], id }, onProgress }
  const given = eventsOf(
    await historyOf(client, registry, fromBlock, { ...options, events: ['ApprovalGiven'] }),
    approval,
  )
  if (given.length === 0) return undefined
  const { version } = await readApproval(client, registry, kind, id)
  const [first, ...later] = given.filter((each) => each.version === version)
  if (first === undefined) return undefined
  // only changes between two approvals say what the second one changed
  const changed =
    later.length === 0
      ? []
      : await historyOf(client, registry, first.block, { ...options, events: ['ApprovalChanged'] })
  const repeats = findRepeats(first, later, eventsOf(changed, approval))
  const { transaction, block, logIndex } = first
  try {
    const [receipt, { timestamp }] = await Promise.all([
      client.getTransactionReceipt({ hash: transaction }),
      client.getBlock({ blockNumber: block }),
    ])
    const at = Number(timestamp)
    const { logs } = receipt
    const vote = await findVote(client, approval, { logs, logIndex }, known)
    return { ...approval, transaction, block, at, sender: receipt.from, vote, repeats }
  } catch (cause) {
    throw toChainError(cause, `read the transaction ${transaction}`)
  }
}

/** An event with a new word of the approval. */
interface WordEvent {
  readonly transaction: Hex
  readonly block: bigint
  readonly logIndex: number
  readonly word: bigint
  readonly version: number
  /** undefined: the event changes no evidence. */
  readonly evidence: Hex | undefined
}

/** The events of this approval alone: an endpoint can answer with others. */
function eventsOf(logs: readonly Log[], { kind, id }: ApprovalRef): WordEvent[] {
  const events = parseEventLogs({
    abi: approvalRegistryAbi,
    eventName: ['ApprovalGiven', 'ApprovalChanged'],
    logs: [...logs],
  })
  return events.flatMap(({ args, transactionHash, blockNumber, logIndex, eventName }) => {
    if (args.kind !== kinds[kind] || args.id !== id) return []
    if (transactionHash === null || blockNumber === null || logIndex === null) return []
    const word = args.approval
    return {
      transaction: transactionHash,
      block: blockNumber,
      logIndex,
      word,
      version: decodeApproval(word).version,
      evidence: eventName === 'ApprovalGiven' ? args.evidence : undefined,
    }
  })
}

/** Compares each later approval with the word and the evidence before it. */
function findRepeats(
  first: WordEvent,
  later: readonly WordEvent[],
  changed: readonly WordEvent[],
): RepeatedApproval[] {
  const inOrder = [...later, ...changed].sort(
    (a, b) => Number(a.block - b.block) || a.logIndex - b.logIndex,
  )
  let { word, evidence } = first
  const repeats: RepeatedApproval[] = []
  for (const each of inOrder.filter((event) => isAfter(event, first))) {
    if (each.evidence !== undefined) {
      const { transaction, block } = each
      const hasEffect = each.word !== word || each.evidence !== evidence
      repeats.push({ transaction, block, hasEffect })
    }
    word = each.word
    evidence = each.evidence ?? evidence
  }
  return repeats
}

function isAfter(a: WordEvent, b: WordEvent): boolean {
  return a.block > b.block || (a.block === b.block && a.logIndex > b.logIndex)
}
