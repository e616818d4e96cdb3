/** Reads proposals, their votes and their next steps, and checks who can vote, propose and cancel. */
import {
  type Address,
  encodeFunctionData,
  isAddressEqual,
  keccak256,
  type Log,
  type PublicClient,
  parseEventLogs,
  toBytes,
  zeroAddress,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { assentGovernorAbi, assentVotesAbi, timelockControllerAbi } from '../abi.ts'
import { type Call, type Clients, toChainError } from '../call.ts'
import { blockAt, findInHistory, type HistoryOptions } from '../rpc/history.ts'
import { type AddressBook, deadlineOf, withoutDeadline } from './describe-call.ts'
import { formatDeadline } from './format-time.ts'
import {
  type ProposalState,
  proposalState,
  proposalStates,
  supports,
  timelockDelay,
  type VoteChoice,
} from './governance.ts'

/** The state of one proposal at one block. Times in unix seconds, votes in smallest units. */
export interface ProposalFacts {
  /** The governor's id. */
  readonly id: bigint
  /** At the block that was read. */
  readonly state: ProposalState
  /** Account that created it. */
  readonly proposer: Address
  /** As the governor stores them. Their `summary` is only a number: `describeCall` decodes them. */
  readonly calls: readonly Call[]
  /** keccak-256 of the text. The text itself is in the event `ProposalCreated`. */
  readonly descriptionHash: Hex
  /** Cast votes by choice, in the smallest unit of the token (18 decimals). */
  readonly votes: Readonly<Record<VoteChoice, bigint>>
  /** Votes for and abstentions that are needed; undefined until voting starts. */
  readonly quorum: bigint | undefined
  /** Voting is open after this second. Votes are counted as they were at it. */
  readonly voteStart: number
  /** Last second of voting. A late quorum moves it. */
  readonly voteEnd: number
  /** Earliest execution; 0 if it is not queued. */
  readonly eta: number
  /** Earliest possible execution: `eta`, or one timelock delay after the end of the vote or after now. */
  readonly earliestExecution: number
  /** The earliest execution deadline in its calls: a later execution reverts. Undefined: no deadline. */
  readonly notAfter: number | undefined
  /** The timestamp of the block. */
  readonly now: number
}

/**
 * Reads a proposal at the newest block.
 *
 * @throws PROPOSAL_UNKNOWN, CHAIN_UNREACHABLE
 */
export async function readProposal(
  client: PublicClient,
  governor: Address,
  id: bigint,
): Promise<ProposalFacts> {
  const contract = { address: governor, abi: assentGovernorAbi } as const
  try {
    const block = await client.getBlock()
    const at = { ...contract, blockNumber: block.number }
    const args = [id] as const
    const [state, proposer, details, votes, start, end, eta] = await Promise.all([
      client.readContract({ ...at, functionName: 'state', args }),
      client.readContract({ ...at, functionName: 'proposalProposer', args }),
      client.readContract({ ...at, functionName: 'proposalDetails', args }),
      client.readContract({ ...at, functionName: 'proposalVotes', args }),
      client.readContract({ ...at, functionName: 'proposalSnapshot', args }),
      client.readContract({ ...at, functionName: 'proposalDeadline', args }),
      client.readContract({ ...at, functionName: 'proposalEta', args }),
    ])
    const delay = await delayAt(client, at)
    const [targets, values, calldatas, descriptionHash] = details
    const [against, inFavour, abstain] = votes
    const isOpen = start < block.timestamp
    const quorum = isOpen
      ? await client.readContract({ ...at, functionName: 'quorum', args: [start] })
      : undefined
    return {
      id,
      state: stateOf(state, governor),
      proposer,
      calls: targets.map((to, i) => ({
        to,
        data: calldatas[i] ?? '0x',
        value: values[i] ?? 0n,
        summary: `call ${i + 1}`,
      })),
      descriptionHash,
      votes: { against, for: inFavour, abstain },
      quorum,
      voteStart: Number(start),
      voteEnd: Number(end),
      eta: Number(eta),
      earliestExecution: Number(eta) || Math.max(Number(end), Number(block.timestamp)) + delay,
      notAfter: deadlineOf(calldatas.map((data) => ({ data }))),
      now: Number(block.timestamp),
    }
  } catch (cause) {
    const error = toChainError(cause, `read proposal ${id}`)
    if (error.facts.error !== 'GovernorNonexistentProposal') throw error
    throw new AssentError('PROPOSAL_UNKNOWN', `The governor does not know a proposal ${id}.`, {
      cause,
      facts: { governor, id: id.toString() },
    })
  }
}

async function delayAt(
  client: PublicClient,
  at: { address: Address; abi: typeof assentGovernorAbi; blockNumber: bigint },
): Promise<number> {
  const timelock = await client.readContract({ ...at, functionName: 'timelock' })
  const delay = await client.readContract({
    address: timelock,
    abi: timelockControllerAbi,
    functionName: 'getMinDelay',
    blockNumber: at.blockNumber,
  })
  return Number(delay)
}

function stateOf(number: number, governor: Address): ProposalState {
  const state = proposalStates[number]
  if (state !== undefined) return state
  throw new AssentError('CHAIN_ANSWER_INVALID', 'The governor answered with an unknown state.', {
    facts: { governor, number },
  })
}

/** One page of proposal ids, newest first. @throws CHAIN_UNREACHABLE */
export async function listProposals(
  client: PublicClient,
  governor: Address,
  { offset, limit }: { offset: number; limit: number },
): Promise<{ total: number; ids: bigint[] }> {
  const contract = { address: governor, abi: assentGovernorAbi } as const
  try {
    const blockNumber = await client.getBlockNumber({ cacheTime: 0 })
    const at = { ...contract, blockNumber }
    const total = Number(await client.readContract({ ...at, functionName: 'proposalCount' }))
    const count = Math.max(0, Math.min(limit, total - offset))
    const places = Array.from({ length: count }, (_, i) => BigInt(total - 1 - offset - i))
    const ids = await mapWithConcurrency(places, async (place) => {
      const args = [place] as const
      const [id] = await client.readContract({ ...at, functionName: 'proposalDetailsAt', args })
      return id
    })
    return { total, ids }
  } catch (cause) {
    throw toChainError(cause, 'list the proposals')
  }
}

/**
 * The queued proposals among the newest 100, in the order in which they can be executed. For equal times the smaller id
 * comes first.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function readQueuedProposals(
  client: PublicClient,
  governor: Address,
): Promise<ProposalFacts[]> {
  const { ids } = await listProposals(client, governor, { offset: 0, limit: recentProposals })
  const proposals = await mapWithConcurrency(ids, (id) => readProposal(client, governor, id))
  return proposals.filter(({ state }) => state === 'queued').sort(compareExecution)
}

function compareExecution(a: ProposalFacts, b: ProposalFacts): number {
  return a.eta - b.eta || (a.id < b.id ? -1 : 1)
}

/** The execution window in seconds (`EXECUTION_WINDOW`): for queueing a successful proposal, and then for executing it. */
export const executionWindow = 30 * 86_400

/** Number of newest proposals among which open and queued ones are searched. */
const recentProposals = 100

const openStates: readonly ProposalState[] = ['pending', 'active', 'succeeded', 'queued']

/**
 * Finds an open proposal with the same calls, of any proposer, so that it is not submitted twice. Execution deadlines can
 * differ, but a proposal whose deadline leaves no time to execute it does not count: it would pass in vain.
 *
 * @param book tells which calls have a deadline
 */
export async function findOpenProposal(
  client: PublicClient,
  governor: Address,
  calls: readonly Call[],
  book: AddressBook,
): Promise<ProposalFacts | undefined> {
  const wanted = decisionOf(book, calls)
  const { ids } = await listProposals(client, governor, { offset: 0, limit: recentProposals })
  for (const id of ids) {
    if (!openStates.includes(await proposalState(client, governor, id))) continue
    const facts = await readProposal(client, governor, id)
    const { decides, notAfter } = decisionOf(book, facts.calls)
    const least = Math.min(timeToExecute(facts), Math.max(earliest(facts), wanted.notAfter))
    if (decides === wanted.decides && notAfter >= least && openStates.includes(facts.state))
      return facts
  }
  return undefined
}

/** Earliest execution of a proposal that is open: not before now. */
function earliest({ earliestExecution, now }: ProposalFacts): number {
  return Math.max(earliestExecution, now)
}

/** A deadline that leaves time to queue and execute a proposal. A late quorum can still extend an open vote. */
function timeToExecute(facts: ProposalFacts): number {
  const isVoteOpen = facts.state === 'pending' || facts.state === 'active'
  return earliest(facts) + (isVoteOpen ? 3 * 86_400 : 3_600)
}

/** All calls as comparable text, and their earliest execution deadline. */
function decisionOf(book: AddressBook, calls: readonly Call[]) {
  const each = calls.map((call) => withoutDeadline(book, call))
  return {
    decides: each.map(({ decides }) => decides).join('\n'),
    notAfter: Math.min(...each.map(({ notAfter = Number.POSITIVE_INFINITY }) => notAfter)),
  }
}

/** Receives the progress of a long search. */
export type HistoryProgress = NonNullable<HistoryOptions['onProgress']>

/**
 * Finds the `ProposalCreated` event of a proposal.
 *
 * The id is not a topic of the event, so an endpoint cannot filter by it. But voting starts one voting delay after the event,
 * so its block is nearly always known. If the delay was changed since, the search goes backwards from the vote.
 *
 * @param fromBlock the governor's first block
 */
export async function findCreation(
  client: PublicClient,
  governor: Address,
  { id, voteStart }: Pick<ProposalFacts, 'id' | 'voteStart'>,
  fromBlock: bigint,
  onProgress?: HistoryProgress,
): Promise<Log | undefined> {
  const search = { abi: assentGovernorAbi, events: ['ProposalCreated'], onProgress }
  const isThisProposal = (log: Log) => isOfProposal(log, 'ProposalCreated', id)
  const delay = await client
    .readContract({ address: governor, abi: assentGovernorAbi, functionName: 'votingDelay' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the voting delay')
    })
  const proposedAt = voteStart - Number(delay)
  // several blocks can have the same timestamp
  const before = await blockAt(client, proposedAt - 1, fromBlock)
  const last = await blockAt(client, proposedAt, before)
  const expected = await findInHistory(client, governor, before, isThisProposal, {
    ...search,
    toBlock: last,
  })
  if (expected !== undefined) return expected

  let toBlock = await blockAt(client, voteStart, fromBlock)
  for (let span = 10_000n; toBlock >= fromBlock; span *= 2n) {
    const from = toBlock - span > fromBlock ? toBlock - span : fromBlock
    const found = await findInHistory(client, governor, from, isThisProposal, {
      ...search,
      toBlock,
    })
    if (found !== undefined) return found
    toBlock = from - 1n
  }
  return undefined
}

type ProposalEvent = 'ProposalCreated' | 'ProposalQueued' | 'ProposalExecuted' | 'ProposalCanceled'

/** Whether a log is this event of the governor for this proposal. */
export function isOfProposal(log: Log, eventName: ProposalEvent, id: bigint): boolean {
  const [event] = parseEventLogs({ abi: assentGovernorAbi, eventName, logs: [log] })
  return event?.args.proposalId === id
}

/**
 * The text of a proposal. It is only in an event, so it is compared with the hash in storage: an endpoint cannot show
 * another text.
 *
 * @param fromBlock the governor's first block
 * @throws CHAIN_ANSWER_INVALID if the endpoint returned another text, or none
 */
export async function readDescription(
  client: PublicClient,
  governor: Address,
  facts: Pick<ProposalFacts, 'id' | 'descriptionHash' | 'voteStart'>,
  fromBlock: bigint,
  onProgress?: HistoryProgress,
): Promise<string> {
  const { id, descriptionHash } = facts
  const log = await findCreation(client, governor, facts, fromBlock, onProgress)
  const [created] = parseEventLogs({
    abi: assentGovernorAbi,
    eventName: 'ProposalCreated',
    logs: log === undefined ? [] : [log],
  })
  const text = created?.args.description
  if (text !== undefined && keccak256(toBytes(text)) === descriptionHash) return text
  throw new AssentError(
    'CHAIN_ANSWER_INVALID',
    'The endpoint returned another text, or none, for this proposal.',
    {
      facts: { governor, id: id.toString(), descriptionHash },
    },
  )
}

/** @throws PROPOSAL_STATE_WRONG */
export function requireState(facts: ProposalFacts, expected: ProposalState, toDo: string): void {
  if (facts.state === expected) return
  const { id, state, voteStart, voteEnd, eta, now } = facts
  throw new AssentError(
    'PROPOSAL_STATE_WRONG',
    `Proposal ${id} is ${state}; to ${toDo} it must be ${expected}. ${nextStep(facts)}`,
    { facts: { id: id.toString(), state, expected, voteStart, voteEnd, eta, now } },
  )
}

/** One sentence about the next step of a proposal, or its result. */
export function nextStep(facts: ProposalFacts): string {
  const { state, voteStart, voteEnd, eta, now, notAfter } = facts
  if (openStates.includes(state) && notAfter !== undefined && notAfter < earliest(facts)) {
    return `It can never be executed: its deadline is ${formatDeadline(notAfter, now)}, the earliest execution ${formatDeadline(earliest(facts), now)}.`
  }
  const steps: Record<ProposalState, string> = {
    pending: `Voting starts ${formatDeadline(voteStart + 1, now)}.`,
    active: `Voting ends ${formatDeadline(voteEnd, now)}.`,
    canceled: 'It was cancelled and cannot be reopened.',
    defeated:
      'It was defeated: the quorum was not reached, or more votes were against it than for it.',
    succeeded: `Anyone can queue it until ${formatDeadline(voteEnd + executionWindow, now)}.`,
    queued:
      eta > now
        ? `Anyone can execute it from ${formatDeadline(eta, now)}.`
        : 'Anyone can execute it now.',
    expired: 'It expired: it was not queued or executed in time.',
    executed: 'It was executed.',
  }
  return steps[state]
}

/* VOTES */

/** The votes of an account at a past time, in smallest units. @param time unix seconds */
export async function votesAt(
  client: PublicClient,
  governor: Address,
  account: Address,
  time: number,
): Promise<bigint> {
  try {
    return await client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'getVotes',
      args: [account, BigInt(time)],
    })
  } catch (cause) {
    throw toChainError(cause, `read the votes of ${account}`)
  }
}

/** The current votes of an account. A proposal counts the votes of the second before it. */
export async function votesNow(
  client: PublicClient,
  token: Address,
  account: Address,
): Promise<bigint> {
  try {
    const contract = { address: token, abi: assentVotesAbi } as const
    return await client.readContract({ ...contract, functionName: 'getVotes', args: [account] })
  } catch (cause) {
    throw toChainError(cause, `read the votes of ${account}`)
  }
}

/** @throws VOTES_TOO_FEW */
export async function requireVotesToPropose(
  client: PublicClient,
  { token, proposalThreshold }: Pick<DaoSettings, 'token' | 'proposalThreshold'>,
  governor: Address,
  proposer: Address,
): Promise<void> {
  const block = await client.getBlock().catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
  const found = await votesAt(client, governor, proposer, Number(block.timestamp) - 1)
  if (found >= proposalThreshold) return
  const soon = await votesNow(client, token, proposer)
  const facts = { account: proposer, found: found.toString(), needed: proposalThreshold.toString() }
  if (soon < proposalThreshold) {
    const sentence = `${proposer} has too few votes to propose.`
    throw new AssentError('VOTES_TOO_FEW', sentence, { facts })
  }
  throw new AssentError(
    'VOTES_TOO_FEW',
    `${proposer} can propose from the next block on: its votes were delegated in this second.`,
    { facts, hint: 'Wait for a block; on a development chain: assent simulate advance-time 1s.' },
  )
}

/** The votes that a voter has on a proposal. @throws VOTES_TOO_FEW, PROPOSAL_STATE_WRONG if it has already voted */
export async function requireVoteToCast(
  client: PublicClient,
  governor: Address,
  voter: Address,
  { id, state, voteStart }: ProposalFacts,
): Promise<bigint> {
  const hasVoted = await client
    .readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'hasVoted',
      args: [id, voter],
    })
    .catch((cause: unknown) => {
      throw toChainError(cause, `read whether ${voter} has voted`)
    })
  if (hasVoted) {
    throw new AssentError(
      'PROPOSAL_STATE_WRONG',
      `${voter} has already voted; a vote cannot be changed.`,
      {
        facts: { id: id.toString(), state, voter },
      },
    )
  }
  const weight = await votesAt(client, governor, voter, voteStart)
  if (weight > 0n) return weight
  throw new AssentError('VOTES_TOO_FEW', `${voter} had no votes when voting started.`, {
    facts: { account: voter, found: '0', needed: '1', at: voteStart },
  })
}

/** @throws PROPOSAL_STATE_WRONG, AUTHORITY_MISSING */
export async function requireCanceller(
  client: PublicClient,
  governor: Address,
  account: Address,
  facts: ProposalFacts,
): Promise<void> {
  const { id, state, proposer } = facts
  if (state === 'canceled' || state === 'expired' || state === 'executed') {
    throw new AssentError(
      'PROPOSAL_STATE_WRONG',
      `Proposal ${id} is ${state}. ${nextStep(facts)}`,
      {
        facts: { id: id.toString(), state },
      },
    )
  }
  const { guardian } = await readDaoSettings(client, governor)
  const isProposer = isAddressEqual(account, proposer)
  if (guardian !== undefined && isAddressEqual(account, guardian)) return
  if (isProposer && (state === 'pending' || guardian === undefined)) return
  throw new AssentError('AUTHORITY_MISSING', `${account} may not cancel proposal ${id} now.`, {
    facts: { id: id.toString(), state, account, guardian: guardian ?? null, proposer },
    hint: 'The guardian may at any stage, the proposer before the vote begins.',
  })
}

/** A signed vote. Anyone may submit it. */
export interface SignedVote {
  /** EIP-155 chain id of the governor. */
  readonly chainId: number
  /** Governor that counts the vote. */
  readonly governor: Address
  /** Decimal text, because JSON has no numbers of 256 bits. */
  readonly proposalId: string
  /** The choice. */
  readonly support: VoteChoice
  /** Account whose votes count. */
  readonly voter: Address
  /** EIP-712 signature of the voter, or what its contract accepts (EIP-1271). */
  readonly signature: Hex
}

/** Name and version of the governor in typed messages. */
export const ballotDomain = { name: 'Assent', version: '1' } as const

/** The typed message of a signed vote (EIP-712), as in OpenZeppelin's governor. */
export const ballotTypes = {
  Ballot: [
    { name: 'proposalId', type: 'uint256' },
    { name: 'support', type: 'uint8' },
    { name: 'voter', type: 'address' },
    { name: 'nonce', type: 'uint256' },
  ],
} as const

/** Signs a vote (EIP-712, OpenZeppelin's ballot); it costs nothing and counts once anyone submits it. */
export async function signVote(
  { publicClient, walletClient }: Clients,
  governor: Address,
  id: bigint,
  support: VoteChoice,
): Promise<SignedVote> {
  const voter = walletClient.account.address
  const chainId = await publicClient.getChainId()
  const nonce = await voterNonce(publicClient, governor, voter)
  const signature = await walletClient
    .signTypedData({
      account: walletClient.account,
      domain: { ...ballotDomain, chainId, verifyingContract: governor },
      types: ballotTypes,
      primaryType: 'Ballot',
      message: { proposalId: id, support: supports[support], voter, nonce },
    })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'sign the vote')
    })
  return { chainId, governor, proposalId: id.toString(), support, voter, signature }
}

/** Checks a signed vote with the governor, which also accepts contract signatures. @throws SIGNATURE_INVALID, CHAIN_ID_WRONG */
export async function requireVoteSigned(client: PublicClient, vote: SignedVote): Promise<void> {
  try {
    const chainId = await client.getChainId()
    if (chainId !== vote.chainId) {
      throw new AssentError('CHAIN_ID_WRONG', 'The vote was signed for another chain.', {
        facts: { expected: vote.chainId, found: chainId },
      })
    }
    const { to, data } = submitVoteCall(vote)
    await client.call({ to, data })
  } catch (cause) {
    const error = toChainError(cause, 'check the signed vote')
    if (error.facts.error !== 'GovernorInvalidSignature') throw error
    const { voter, governor, proposalId } = vote
    throw new AssentError(
      'SIGNATURE_INVALID',
      'The vote is not signed by the voter that it names.',
      {
        cause: error,
        facts: { voter, governor, proposalId },
      },
    )
  }
}

/** The call that submits a signed vote. Anyone can send it and pays the gas. */
export function submitVoteCall({
  governor,
  proposalId,
  support,
  voter,
  signature,
}: SignedVote): Call {
  return {
    to: governor,
    data: encodeFunctionData({
      abi: assentGovernorAbi,
      functionName: 'castVoteBySig',
      args: [BigInt(proposalId), supports[support], voter, signature],
    }),
    summary: `submit the vote of ${voter} on ${proposalId}`,
  }
}

async function voterNonce(
  client: PublicClient,
  governor: Address,
  voter: Address,
): Promise<bigint> {
  try {
    return await client.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'nonces',
      args: [voter],
    })
  } catch (cause) {
    throw toChainError(cause, `read the nonce of ${voter}`)
  }
}

/* SETTINGS */

/** The voting parameters of a DAO. Times in seconds. */
export interface DaoSettings {
  /** Name of the governor. */
  readonly name: string
  /** From a proposal to the start of voting. */
  readonly votingDelay: number
  /** How long voting lasts. */
  readonly votingPeriod: number
  /** Votes that a proposer needs, in the token's smallest unit. */
  readonly proposalThreshold: bigint
  /** Percent of the supply that must vote for or abstain. */
  readonly quorumPercent: number
  /** Voting time that must remain after the quorum is reached. */
  readonly lateQuorumExtension: number
  /** Owner of everything that the DAO owns. */
  readonly timelock: Address
  /** Votes token. */
  readonly token: Address
  /** Symbol of the votes token, for text only. */
  readonly tokenSymbol: string
  /** Total supply of the token, in its smallest unit. */
  readonly supply: bigint
  /** The proposal guardian; undefined: a proposer can cancel its own proposal at any time. */
  readonly guardian: Address | undefined
}

/**
 * Reads the voting parameters of a governor and the facts about its token.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED if the contract is no such governor
 */
export async function readDaoSettings(
  client: PublicClient,
  governor: Address,
): Promise<DaoSettings> {
  const at = { address: governor, abi: assentGovernorAbi } as const
  try {
    const [
      name,
      delay,
      period,
      threshold,
      numerator,
      denominator,
      extension,
      timelock,
      token,
      guardian,
    ] = await Promise.all([
      client.readContract({ ...at, functionName: 'name' }),
      client.readContract({ ...at, functionName: 'votingDelay' }),
      client.readContract({ ...at, functionName: 'votingPeriod' }),
      client.readContract({ ...at, functionName: 'proposalThreshold' }),
      client.readContract({ ...at, functionName: 'quorumNumerator' }),
      client.readContract({ ...at, functionName: 'quorumDenominator' }),
      client.readContract({ ...at, functionName: 'lateQuorumVoteExtension' }),
      client.readContract({ ...at, functionName: 'timelock' }),
      client.readContract({ ...at, functionName: 'token' }),
      client.readContract({ ...at, functionName: 'proposalGuardian' }),
    ])
    const votes = { address: token, abi: assentVotesAbi } as const
    const [tokenSymbol, supply] = await Promise.all([
      client.readContract({ ...votes, functionName: 'symbol' }),
      client.readContract({ ...votes, functionName: 'totalSupply' }),
    ])
    return {
      name,
      votingDelay: Number(delay),
      votingPeriod: Number(period),
      proposalThreshold: threshold,
      quorumPercent: (100 * Number(numerator)) / Number(denominator),
      lateQuorumExtension: Number(extension),
      timelock,
      token,
      tokenSymbol,
      supply,
      guardian: guardian === zeroAddress ? undefined : guardian,
    }
  } catch (cause) {
    throw toChainError(cause, 'read the settings of the DAO')
  }
}

/** The execution deadline of a decision that names none: two weeks after its earliest execution. Unix seconds. */
export async function defaultNotAfter(
  client: PublicClient,
  governor: Address,
  now: number,
): Promise<number> {
  const { timelock, ...course } = await readDaoSettings(client, governor)
  const delay = await timelockDelay(client, timelock)
  const { votingDelay, votingPeriod, lateQuorumExtension } = course
  return now + votingDelay + votingPeriod + lateQuorumExtension + delay + 14 * 86_400
}
