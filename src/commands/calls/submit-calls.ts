/** Makes calls: prints what they do and who can make them, asks for confirmation, then sends, proposes or exports them. */

import type { Address, StateOverride } from 'viem'
import {
  type Call,
  type CallWords,
  type Clients,
  sendCall,
  toChainError,
} from '../../chain/call.ts'
import {
  type AddressBook,
  type CallDescription,
  describeCall,
  nameOf,
} from '../../chain/governance/describe-call.ts'
import { addToDraft } from '../../chain/governance/drafts.ts'
import {
  chooseExecutionMethod,
  type ExecutionMethod,
  requireCallsSucceed,
  requireOwner,
} from '../../chain/governance/execution-method.ts'
import { safeBatch, timelockOperation } from '../../chain/governance/export-calls.ts'
import { findRepeatsNow, type RepeatedTerms } from '../../chain/governance/find-repeats.ts'
import { formatDeadline, formatDuration } from '../../chain/governance/format-time.ts'
import {
  proposalCall,
  proposalIdOf,
  propose,
  timelockDelay,
} from '../../chain/governance/governance.ts'
import { describeProposal } from '../../chain/governance/proposal-text.ts'
import {
  type DaoSettings,
  findOpenProposal,
  nextStep,
  type ProposalFacts,
  readDaoSettings,
  requireVotesToPropose,
} from '../../chain/governance/proposals.ts'
import { requireNotAfter } from '../../chain/governance/settings.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readAddress } from '../input/arguments.ts'
import { requireGovernor } from '../input/contracts.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { OwnerArguments } from '../options.ts'
import { printOrWrite } from '../output/print-or-write.ts'
import type { Session } from '../session/session.ts'
import { readAddressBook } from './read-address-book.ts'
import type { CallJson, MadeProposal, Outcome, Sent, Submission } from './submission.ts'

interface Plan {
  readonly calls: readonly Call[]
  readonly descriptions: readonly CallDescription[]
  readonly book: AddressBook
  /** Approvals among the calls that change nothing. */
  readonly repeats: readonly RepeatedTerms[]
  /** Contracts that will exist at execution time but do not exist yet, for simulations. */
  readonly stateOverride: StateOverride
}

/**
 * Sends, proposes, drafts or exports `calls`, as the options say, and returns the JSON output.
 *
 * @param stateOverride contracts that do not exist yet, for a dry run
 * @throws USAGE_INVALID, AUTHORITY_MISSING, PROPOSAL_WOULD_FAIL, VOTES_TOO_FEW, CONFIRMATION_MISSING
 */
export async function submitCalls(
  session: Session,
  calls: readonly Call[],
  args: OwnerArguments,
  stateOverride: StateOverride = [],
): Promise<Submission> {
  const plan = { ...(await createPlan(session, calls, args.governor)), stateOverride }
  printPlan(session, plan)
  const descriptions = planToJson(plan)
  if (args.draft !== undefined) {
    return { descriptions, ...(await addCallsToDraft(session, plan, args.draft, args.dryRun)) }
  }
  const methods: Record<string, () => Promise<Outcome>> = {
    auto: () => sendOrPropose(session, plan, args),
    send: () => sendOrPropose(session, plan, args, 'send'),
    propose: () => sendOrPropose(session, plan, args, 'propose'),
    safe: () => forSafe(session, plan, args),
    timelock: () => forTimelock(session, plan, args),
    calldata: () => asCalldata(session, plan, args),
  }
  const run = methods[args.via]
  if (run === undefined) {
    throw new AssentError(
      'USAGE_INVALID',
      `--via must be one of ${Object.keys(methods).join(', ')}.`,
      {
        facts: { found: args.via },
      },
    )
  }
  return { descriptions, ...(await run()) }
}

/** Sends calls from the account itself, for example a vote, a delegation, a host proof or a deposit. */
export async function sendCalls(
  session: Session,
  calls: readonly Call[],
  { governor }: { readonly governor?: string | undefined } = {},
): Promise<{ readonly descriptions: readonly CallJson[] } & Sent> {
  const plan = await createPlan(session, calls, governor)
  printPlan(session, plan)
  const clients = await session.signer()
  return { descriptions: planToJson(plan), ...(await sendAll(session, plan, clients)) }
}

async function createPlan(
  session: Session,
  calls: readonly Call[],
  governor: string | undefined,
): Promise<Plan> {
  const book = await readAddressBook(
    session,
    calls.map(({ to }) => to),
    await requireGovernor(session, governor),
  )
  const descriptions = calls.map((call) => describeCall(book, call, session.now))
  const repeats = await findRepeatsNow(session.publicClient, { calls, book, at: session.now })
  return { calls, descriptions, book, repeats, stateOverride: [] }
}

/** The approvals of one call that change nothing. */
function repeatsOf({ repeats }: Plan, call: number): string[] {
  return repeats.filter((each) => each.call === call).map(({ sentence }) => sentence)
}

function printPlan({ output, name, chainId }: Session, plan: Plan): void {
  output.heading(`On ${name} (chain ${chainId}) this would:`)
  for (const [index, { to, effects, irreversible }] of plan.descriptions.entries()) {
    output.line(`  ${nameOf(plan.book, to)}`)
    for (const each of effects) output.line(`    - ${each}`)
    if (irreversible !== undefined) output.warning(`    Cannot be undone: ${irreversible}`)
    for (const each of repeatsOf(plan, index)) output.warning(`    Changes nothing: ${each}.`)
  }
}

function planToJson(plan: Plan): CallJson[] {
  return plan.descriptions.map(({ to, contract, effects, irreversible }, index) => ({
    to,
    contract: contract ?? null,
    effects,
    irreversible: irreversible ?? null,
    repeats: repeatsOf(plan, index),
  }))
}

/* SEND OR PROPOSE */

async function sendOrPropose(
  session: Session,
  plan: Plan,
  args: OwnerArguments,
  wanted?: ExecutionMethod,
): Promise<Outcome> {
  const governor = await requireGovernor(session, args.governor)
  const settings = await readDaoSettings(session.publicClient, governor)
  const clients = await session.signer()
  const account = clients.walletClient.account.address
  const pairs = plan.calls.map((call, i) => ({
    call,
    description: plan.descriptions[i] as CallDescription,
  }))
  if (wanted === 'propose') await requireOwner(session.publicClient, pairs, settings.timelock)
  const method =
    wanted === 'propose'
      ? 'propose'
      : await chooseExecutionMethod(session.publicClient, pairs, {
          account,
          timelock: settings.timelock,
        })
  // several calls are all simulated before the first is sent; sendCall simulates a single one
  if (method === 'send' && (plan.calls.length > 1 || args.dryRun))
    await requireCallsSucceed(session.publicClient, plan.calls, {
      account,
      stateOverride: plan.stateOverride,
    })
  if (method === 'send' && args.dryRun) return reportDryRun(session, plan, account)
  if (method === 'send') return sendAll(session, plan, clients)
  if (wanted === 'send') {
    throw new AssentError(
      'AUTHORITY_MISSING',
      `${account} is not allowed to make these calls; the DAO is.`,
      {
        facts: { account, owner: settings.timelock },
        hint: 'Omit --via to propose the calls to the DAO.',
      },
    )
  }
  return proposeAll(session, plan, args, { clients, governor, settings })
}

function reportDryRun(session: Session, plan: Plan, by: Address): Outcome {
  requireKnownContracts(plan)
  printSending(session, plan, by)
  session.output.line('Dry run: nothing was sent.')
  return { outcome: 'dry-run', by }
}

async function sendAll(session: Session, plan: Plan, clients: Clients): Promise<Sent> {
  const by = clients.walletClient.account.address
  requireKnownContracts(plan)
  printSending(session, plan, by)
  await session.confirm()
  const transactions: Hex[] = []
  plan.calls.forEach((call, i) => {
    clients.explain?.(call, toWords(plan, i))
  })
  for (const call of plan.calls) {
    const { transactionHash, blockNumber } = await sendCall(clients, call)
    transactions.push(transactionHash)
    session.output.line(`Mined in block ${blockNumber}: ${transactionHash}`)
  }
  return { outcome: 'sent', by, transactions }
}

/** What a person reads who confirms the call in a wallet. */
function toWords(plan: Plan, index: number): CallWords {
  const { contract, effects, irreversible } = plan.descriptions[index] as CallDescription
  const warning = irreversible === undefined ? [] : [`Cannot be undone: ${irreversible}`]
  const repeats = repeatsOf(plan, index).map((each) => `Changes nothing: ${each}.`)
  return { contract: contract ?? null, effects: [...effects, ...warning, ...repeats] }
}

function printSending({ output }: Session, { calls }: Plan, by: Address): void {
  output.line(
    `To be sent by ${by} in ${calls.length === 1 ? 'one transaction' : `${calls.length} transactions, one after another`}. Each takes effect when it is mined.`,
  )
}

/** @throws INPUT_INVALID if a call goes to a contract whose calls cannot be described */
function requireKnownContracts({ descriptions }: Plan): void {
  if (descriptions.every(({ contract }) => contract !== undefined)) return
  throw new AssentError(
    'INPUT_INVALID',
    'A call goes to a contract that is not part of this deployment.',
    {
      hint: 'If the call is intended, export it with --via calldata.',
    },
  )
}

async function proposeAll(
  session: Session,
  { calls, book, repeats, stateOverride }: Plan,
  args: OwnerArguments,
  by: { clients: Clients; governor: Address; settings: DaoSettings },
): Promise<Outcome> {
  const { output, publicClient } = session
  const { clients, governor, settings } = by
  const proposer = clients.walletClient.account.address
  const open = await findOpenProposal(publicClient, governor, calls, book)
  if (open !== undefined) {
    return {
      outcome: 'proposed',
      governor,
      proposals: [reportOpenProposal(session, governor, open)],
    }
  }
  await requireVotesToPropose(publicClient, settings, governor, proposer)
  const describe = (part: readonly Call[], title: string | undefined) =>
    describeProposal(part, {
      book,
      proposer,
      repeats: repeats.filter(({ call }) => part.includes(calls[call] as Call)),
      ...(title === undefined ? {} : { title }),
      ...(args.reason === undefined ? {} : { reason: args.reason }),
    })
  const parts = await splitIfTooLarge(calls, async (part) => {
    if (!args.skipSimulation) {
      const as = { account: settings.timelock, governor, stateOverride }
      await requireCallsSucceed(publicClient, part, as)
    }
    await requireFits(
      publicClient,
      proposer,
      proposalCall(governor, part, describe(part, args.title)),
    )
  })
  if (parts.length > 1) {
    output.warning(
      `Too many calls for one transaction. They become ${parts.length} proposals, each with its own vote and execution.`,
    )
  }
  printVotingSchedule(session, settings, { governor, proposer })
  const proposals = await Promise.all(
    parts.map(async (part, i) => {
      const number = parts.length === 1 ? '' : ` (part ${i + 1} of ${parts.length})`
      const description = describe(part, args.title && `${args.title}${number}`)
      const proposalId = await proposalIdOf(publicClient, governor, part, description)
      return { part, description, proposalId }
    }),
  )
  for (const { description } of proposals) {
    output.line()
    output.quotation(description)
  }
  output.line()
  if (args.dryRun) {
    output.line('Dry run: nothing was sent.')
    const texts = proposals.map(({ proposalId, description }) => ({ id: proposalId, description }))
    return { outcome: 'dry-run', by: proposer, governor, proposals: texts }
  }
  await session.confirm()
  const made: MadeProposal[] = []
  for (const { part, description } of proposals) {
    const known = await findOpenProposal(publicClient, governor, part, book)
    const effects = part.flatMap((call) => describeCall(book, call, session.now).effects)
    const call = proposalCall(governor, part, description)
    clients.explain?.(call, {
      contract: 'AssentGovernor',
      effects: [call.summary, ...effects.map((effect) => `If the DAO accepts it: ${effect}`)],
    })
    made.push(
      known === undefined
        ? await proposePart(session, by, part, description)
        : reportOpenProposal(session, governor, known),
    )
  }
  return { outcome: 'proposed', governor, proposals: made }
}

async function proposePart(
  { output, now }: Session,
  { clients, governor }: { clients: Clients; governor: Address },
  calls: readonly Call[],
  description: string,
): Promise<MadeProposal> {
  const { id, voteStart, voteEnd } = await propose(clients, governor, calls, description)
  output.line(`Proposed: ${id}`)
  output.line(`Voting starts ${formatDeadline(voteStart + 1, now)}`)
  output.line(`       and ends ${formatDeadline(voteEnd, now)}`)
  const proposer = clients.walletClient.account.address
  return { id, isNew: true, proposer, state: 'pending', voteStart, voteEnd }
}

/**
 * Splits calls in half until each part fits into one transaction.
 *
 * @throws TRANSACTION_TOO_LARGE if a single call does not
 */
async function splitIfTooLarge(
  calls: readonly Call[],
  requireFit: (part: readonly Call[]) => Promise<void>,
): Promise<(readonly Call[])[]> {
  try {
    await requireFit(calls)
    return [calls]
  } catch (error) {
    const isTooLarge = error instanceof AssentError && error.code === 'TRANSACTION_TOO_LARGE'
    if (!isTooLarge || calls.length === 1) throw error
    const middle = Math.ceil(calls.length / 2)
    return [
      ...(await splitIfTooLarge(calls.slice(0, middle), requireFit)),
      ...(await splitIfTooLarge(calls.slice(middle), requireFit)),
    ]
  }
}

/** The gas limit of one transaction (EIP-7825). Without it, eth_call can use the gas of a whole block. */
const largestTransaction = 2n ** 24n

async function requireFits(
  client: Session['publicClient'],
  account: Address,
  { to, data, summary }: Call,
): Promise<void> {
  await client.call({ account, to, data, gas: largestTransaction }).catch((cause: unknown) => {
    throw toChainError(cause, summary)
  })
}

/** The same calls are already proposed, by a stopped run of this command or by another account. */
function reportOpenProposal(
  { output }: Session,
  governor: Address,
  facts: ProposalFacts,
): MadeProposal {
  const { id, proposer, state, voteStart, voteEnd } = facts
  output.line(
    `${proposer} has already proposed these calls to the DAO (${governor}). Nothing was sent.`,
  )
  output.line(`Proposal ${id} is ${state}. ${nextStep(facts)}`)
  return { id, isNew: false, proposer, state, voteStart, voteEnd }
}

function printVotingSchedule(
  { output }: Session,
  settings: DaoSettings,
  { governor, proposer }: { governor: Address; proposer: Address },
): void {
  const { votingDelay, votingPeriod, quorumPercent } = settings
  output.line(`Proposal of ${proposer} to the DAO (governor ${governor}):`)
  output.line(
    `  voting starts after ${formatDuration(votingDelay)} and lasts ${formatDuration(votingPeriod)};`,
  )
  output.line(
    `  it needs a quorum of ${quorumPercent} percent of all votes, and more votes for it than against it;`,
  )
  output.line('  then anyone can queue it and, after the timelock delay, execute it.')
}

async function addCallsToDraft(
  { output, chainId }: Session,
  { calls }: Plan,
  file: string,
  dryRun: boolean,
): Promise<Outcome> {
  if (dryRun) {
    output.line(`Dry run: nothing was added to ${file}.`)
    return { outcome: 'dry-run', draft: file }
  }
  const total = await addToDraft(file, chainId, calls)
  output.line(
    `Added to the draft ${file}, which has ${total === 1 ? 'one call' : `${total} calls`} now. Propose it with: assent dao propose ${file}`,
  )
  return { outcome: 'drafted', draft: file, calls: total }
}

/* EXPORT */

async function forSafe(session: Session, plan: Plan, args: OwnerArguments): Promise<Outcome> {
  const safe = args.owner === undefined ? undefined : readAddress(args.owner, '--owner')
  if (safe !== undefined) await requireOwners(session, plan, safe)
  const batch = safeBatch(plan.calls, {
    chainId: session.chainId,
    now: session.now,
    name: args.title ?? 'Assent',
    description: plan.descriptions.flatMap(({ effects }) => effects).join('; '),
    ...(safe === undefined ? {} : { safe }),
  })
  await exportCalls(session, args, batch, 'Batch for the Transaction Builder of your Safe')
  return { outcome: 'exported', safe: batch }
}

async function forTimelock(session: Session, plan: Plan, args: OwnerArguments): Promise<Outcome> {
  if (args.owner === undefined) {
    throw new AssentError(
      'USAGE_INVALID',
      '--via timelock needs --owner with the address of the timelock.',
    )
  }
  const timelock = readAddress(args.owner, '--owner')
  await requireOwners(session, plan, timelock)
  const delay = await timelockDelay(session.publicClient, timelock)
  const reason = `${args.title ?? ''}\n${args.reason ?? ''}\n${session.now}`
  // a plain timelock keeps a scheduled operation without end, so the batch gets a deadline of its own
  const deadline = requireNotAfter(session.addresses.kmsAuth, await readNotAfter(args, session))
  const calls = [deadline, ...plan.calls]
  const { id, salt, schedule, execute } = timelockOperation(timelock, calls, { delay, reason })
  const steps = {
    operation: id,
    salt,
    schedule: { to: schedule.to, value: '0', data: schedule.data },
    afterSeconds: delay,
    execute: { to: execute.to, value: '0', data: execute.data },
  }
  await exportCalls(
    session,
    args,
    steps,
    `A proposer of the timelock sends schedule; after ${formatDuration(delay)} an executor sends execute`,
  )
  return { outcome: 'exported', timelock: steps }
}

async function asCalldata(
  session: Session,
  { calls }: Plan,
  args: OwnerArguments,
): Promise<Outcome> {
  const raw = calls.map(({ to, data, value = 0n }) => ({ to, value: value.toString(), data }))
  await exportCalls(session, args, raw, 'Calls for the owner to send')
  return { outcome: 'exported', calls: raw }
}

async function requireOwners(session: Session, plan: Plan, owner: Address): Promise<void> {
  const pairs = plan.calls.map((call, i) => ({
    call,
    description: plan.descriptions[i] as CallDescription,
  }))
  await requireOwner(session.publicClient, pairs, owner)
}

async function exportCalls(
  { output }: Session,
  { out, dryRun }: OwnerArguments,
  value: unknown,
  title: string,
): Promise<void> {
  await printOrWrite(output, value, dryRun ? undefined : out, title)
}
