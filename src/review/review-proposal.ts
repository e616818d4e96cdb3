/**
 * Reviews a proposal, or calls that nobody proposed yet: what the calls do, what their hashes stand for, what happens
 * when they are executed, which boots change, and what a voter must not overlook.
 *
 * The review of the same calls at the same block is the same in every byte. So its digest can be published with the
 * proposal, and everyone can compute it again.
 */
import { type Address, type PublicClient, sha256 } from 'viem'
import { canonicalJson } from '../chain/boot/evidence.ts'
import type { Call } from '../chain/call.ts'
import {
  type AddressBook,
  type CallDescription,
  describeCall,
} from '../chain/governance/describe-call.ts'
import { findRepeats } from '../chain/governance/find-repeats.ts'
import { timelockDelay } from '../chain/governance/governance.ts'
import { listChanges } from '../chain/governance/proposal-text.ts'
import { type ProposalFacts, readQueuedProposals } from '../chain/governance/proposals.ts'
import type { Addresses } from '../chain/record/deployments.ts'
import { openBlockState } from '../chain/simulate/block-state.ts'
import { type ChangedBoots, compareBoots } from '../chain/simulate/changed-boots/compare-boots.ts'
import { listBoots } from '../chain/simulate/changed-boots/list-boots.ts'
import { LocalChain } from '../chain/simulate/local-chain.ts'
import { connectToLocalCopy, readStateOfLocalCopy } from '../chain/simulate/local-reader.ts'
import { proposeLocally } from '../chain/simulate/propose-locally.ts'
import {
  executeProposals,
  type ProposalSimulation,
  simulateProposal,
} from '../chain/simulate/simulate-proposal.ts'
import { type Hex, to0x, utf8ToBytes } from '../lib/bytes.ts'
import { type ApprovalReview, reviewApprovals } from './approval-review.ts'
import { findWarnings, type Warning } from './warnings.ts'

/** The contracts of the DAO that decides, and those of the deployment. */
export interface ReviewContracts {
  /** The governor that decides, of the deployment or of an app's DAO. */
  readonly governor: Address
  readonly timelock: Address
  /** Contracts of the deployment, for evidence and changed boots. */
  readonly addresses: Addresses
  /** Names of addresses. */
  readonly book: AddressBook
  /** First block of the deployment: where searches for events start. */
  readonly fromBlock: bigint
}

/** The subject of a review: a proposal, or calls without a proposal. */
export type ReviewSubject =
  | { readonly facts: ProposalFacts; readonly text: string }
  | { readonly calls: readonly Call[] }

/** Block, manifests and progress of a review. */
export interface ReviewOptions {
  /** Default: the newest block. */
  readonly blockNumber?: bigint | undefined
  /** Manifests of releases, as bytes; each is used for the release whose hash it has. */
  readonly files?: readonly Uint8Array[]
  /** Executes all queued proposals first, in the order of their times. */
  readonly afterQueued?: boolean
  /** Called with a step and how much of it is done, for people who wait. */
  readonly onProgress?: (step: string, done: number, total: number) => void
}

/** A review. Times in unix seconds. */
export interface ProposalReview {
  /** Version of this JSON form. */
  readonly version: 1
  readonly chainId: number
  /** The block whose state was reviewed. */
  readonly block: ProposalSimulation['block']
  readonly governor: Address
  /** null: calls that were not proposed. */
  readonly proposal: string | null
  /** Queued proposals that were executed first. */
  readonly executedFirst: readonly string[]
  /** In the order of execution; `value` is wei as decimal text. */
  readonly calls: readonly {
    readonly to: Address
    readonly value: string
    readonly data: Hex
    readonly contract: string | null
    readonly functionName: string | null
    readonly effects: readonly string[]
    readonly irreversible: string | null
  }[]
  /** The approvals that it gives and the meaning of their ids, in the order of the events. */
  readonly approvals: readonly ApprovalReview[]
  readonly warnings: readonly Warning[]
  /** Result of the execution on a local copy of the chain. */
  readonly execution: Omit<ProposalSimulation, 'calls' | 'block' | 'proposal'>
  /** null if the execution fails: then no boot changes. */
  readonly changedBoots: ChangedBoots | null
}

/** @throws CHAIN_UNREACHABLE, CHAIN_ANSWER_INVALID, SIMULATION_TOO_LARGE, PROPOSAL_STATE_WRONG, PROPOSAL_WOULD_FAIL */
export async function reviewProposal(
  client: PublicClient,
  contracts: ReviewContracts,
  subject: ReviewSubject,
  options: ReviewOptions = {},
): Promise<ProposalReview> {
  const { governor, addresses, book, fromBlock } = contracts
  const { blockNumber, files = [], afterQueued = false, onProgress } = options
  const state = await openBlockState(
    client,
    blockNumber === undefined ? {} : { number: blockNumber },
  )
  const chain = await LocalChain.open(state)
  const delay = await timelockDelay(connectToLocalCopy(chain), contracts.timelock)
  const context = { dao: contracts, book, timelockDelay: delay }

  const executed = afterQueued
    ? await executeProposals(chain, await queuedBefore(client, governor, subject), context, {
        onProgress: (done, total) => onProgress?.('Executing queued proposals', done, total),
      })
    : []
  const stateBefore = await chain.fork()
  const facts =
    'facts' in subject
      ? subject.facts
      : await proposeLocally(chain, governor, subject.calls, 'A review of calls')
  onProgress?.('Executing the proposal', 0, 1)
  const simulation = await simulateProposal(chain, facts, context)

  const descriptions = facts.calls.map((call) => describeCall(book, call))
  const approvals = await reviewApprovals(simulation.events, {
    client,
    blockNumber: state.block.number,
    fromBlock,
    images: addresses.images as Hex | undefined,
    files,
    executedAt: simulation.executedAt,
  })
  const repeats = await findRepeats(readStateOfLocalCopy(stateBefore), {
    calls: facts.calls,
    book,
    at: simulation.executedAt,
  })
  const warnings = findWarnings({
    calls: facts.calls,
    descriptions,
    book,
    simulation,
    approvals,
    repeats,
    text: 'text' in subject ? subject.text : undefined,
    generatedList: listChanges(descriptions, book),
  })
  const states = { before: stateBefore, after: chain, at: simulation.executedAt }
  const changedBoots = simulation.succeeded
    ? await compareBoots(
        states,
        await listBoots(states, { client, addresses, logs: simulation.events }),
        {
          kmsAuth: addresses.kmsAuth as Hex,
          onProgress: (done, total) => onProgress?.('Asking about boots', done, total),
        },
      )
    : null
  await chain.requireSameBlock()
  const { calls: _, block, proposal, ...execution } = simulation
  return {
    version: 1,
    chainId: state.chainId,
    block,
    governor,
    proposal: 'facts' in subject ? proposal : null,
    executedFirst: executed.filter(({ succeeded }) => succeeded).map(({ proposal: id }) => id),
    calls: facts.calls.map((call, index) => callToJson(call, descriptions[index])),
    approvals,
    warnings,
    execution,
    changedBoots,
  }
}

/** The queued proposals, without the reviewed one. */
async function queuedBefore(
  client: PublicClient,
  governor: Address,
  subject: ReviewSubject,
): Promise<ProposalFacts[]> {
  const reviewed = 'facts' in subject ? subject.facts.id : undefined
  const queued = await readQueuedProposals(client, governor)
  return queued.filter(({ id }) => id !== reviewed)
}

/** A call with its description as JSON; `value` is wei as decimal text. */
export function callToJson(
  { to, data, value = 0n }: Call,
  description: CallDescription | undefined,
): ProposalReview['calls'][number] {
  return {
    to,
    value: value.toString(),
    data,
    contract: description?.contract ?? null,
    functionName: description?.functionName ?? null,
    effects: description?.effects ?? [],
    irreversible: description?.irreversible ?? null,
  }
}

/** The review as bytes: JSON with sorted members and without spaces. */
export function encodeReview(review: ProposalReview): Uint8Array {
  return utf8ToBytes(canonicalJson(review))
}

/** The review as plain JSON: the value that {@link encodeReview} encodes. */
export function reviewToJson(review: ProposalReview): unknown {
  return JSON.parse(new TextDecoder().decode(encodeReview(review)))
}

/** SHA-256 of {@link encodeReview}. */
export function reviewDigest(review: ProposalReview): Hex {
  return sha256(to0x(encodeReview(review)))
}
