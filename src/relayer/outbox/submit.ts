/**
 * One poll of the outbox: read the chain, decide, perform the actions, write the rows.
 *
 * The process may stop between any two lines. The next poll reads the rows and continues from there.
 */

import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { NodeAnswer } from '../endpoints/node-errors.ts'
import type { TransactionSigner } from '../signer/signer.ts'
import {
  type AccountOutbox,
  type Attempt,
  type AwaitingFinality,
  type ChainObservation,
  decide,
  freeNonces,
  type Intent,
  type LastError,
  type NonceSlot,
  type OutboxAction,
  type Receipt,
  type Rules,
  type TransactionCall,
} from './outbox.ts'
import type { Lease, Store } from './store.ts'
import type { Changes } from './transitions.ts'
import * as next from './transitions.ts'

/** Newest and final block with the account's transaction counts, as an RPC quorum reports them. */
export type Heads = Pick<ChainObservation, 'latest' | 'final' | 'tip'>

/** Result of `eth_call` and gas estimate for the call of an intent. */
export type Simulation =
  | { readonly ok: true; readonly call: TransactionCall }
  | { readonly ok: false; readonly lastError: LastError }

/** Access to the chain that the outbox needs; every answer has an RPC quorum. */
export interface Chain {
  /** Newest and final block. */
  heads(): Promise<Heads>
  /** Receipts by transaction hash; null: no receipt; no entry: the endpoints do not agree. */
  receipts(hashes: readonly Hex[]): Promise<ReadonlyMap<Hex, Receipt | null>>
  /** Hash of a block that is not newer than `heads().latest`. */
  blockHash(blockNumber: number): Promise<Hex>
  /** In wei, at the newest block. */
  balance(): Promise<bigint>
  /** Never throws for an answer of a node, or for a missing one. */
  broadcast(raw: Hex): Promise<NodeAnswer>
  /** Executes the intent's call without sending it, and estimates its gas. */
  simulate(intent: Intent): Promise<Simulation>
  /** Whether the effect of the intent is in the state of this block, no matter who caused it. */
  isDone(intent: Intent, blockNumber: number): Promise<boolean>
}

/** Everything that a poll needs. */
export interface Submitter {
  readonly chainId: number
  /** The tables of the outbox, under the lease. */
  readonly store: Store
  /** Answers of the RPC quorum. */
  readonly chain: Chain
  /** Signs for the relayer's account. */
  readonly signer: TransactionSigner
  /** Limits and times. */
  readonly rules: Rules
  /** Unix seconds. */
  readonly clock: Clock
  readonly log: Logger
  /** Called for each performed action, after its rows are written. */
  readonly onDone?: (decision: OutboxAction, changes: Changes) => void
}

/** The result of a poll. */
export interface PollResult {
  /** Newest and final block at its start. */
  readonly heads: Heads
  /** Rows at its start. */
  readonly outbox: AccountOutbox
}

/** Reserve, sign and send take three rounds; the others react to the nodes' answers. */
const roundsPerPoll = 5

/**
 * Performs the actions that are due. Call it again after a pause: a poll does not wait for blocks.
 *
 * @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES if there is no RPC quorum
 * @throws RELAYER_LEASE_LOST, RELAYER_CONFLICT if another replica wrote; the rows are unchanged then
 */
export async function poll(submitter: Submitter, lease: Lease): Promise<PollResult> {
  const { chain, store, rules, clock } = submitter
  const heads = await chain.heads()
  const load = (inspected: readonly number[], awaitingFinality: readonly AwaitingFinality[]) =>
    store.load(heads.final.count, rules.maxInFlight, inspected, awaitingFinality)
  // read once, because it can be a thousand rows: this poll changes only slots that it loads
  const awaitingFinality = await store.awaitingFinality()
  let outbox = await load(await findUnsettled(chain, awaitingFinality, heads), awaitingFinality)
  // A slot that this poll inspects stays loaded when it becomes mined.
  const inspected = outbox.slots.map(({ nonce }) => nonce)
  const receipts = await chain.receipts(hashesToAsk(outbox, heads))

  for (let round = 0; round < roundsPerPoll; round++) {
    const observed: ChainObservation = { ...heads, receipts, at: clock() }
    const decisions = decide(outbox, observed, rules)
    if (decisions.length === 0) break
    await performAll(submitter, lease, outbox, observed, decisions)
    outbox = await load(inspected, outbox.awaitingFinality)
  }
  return { heads, outbox }
}

/** Mined slots inspected in one poll: many blocks become final at the same time. */
const mostInspected = 500
/** Blocks in which one poll looks for a reorg, newest first. Deeper changes are found when blocks are final. */
const mostBlocksCompared = 64

/**
 * Nonces of mined slots whose receipts must be read: their block is final, or a reorg removed it.
 *
 * Each block contains the hash of its parent. So if one block is still there, all lower blocks are too, and the search
 * stops. A crash between two writes leaves rows from different forks; those that `rowsOfAnotherFork` does not find are
 * read when their block is final.
 */
async function findUnsettled(
  chain: Chain,
  awaitingFinality: readonly AwaitingFinality[],
  { latest, final }: Heads,
): Promise<number[]> {
  const due = awaitingFinality.filter(({ blockNumber }) => blockNumber <= final.number)
  const young = awaitingFinality.filter(
    ({ blockNumber }) => blockNumber > final.number && blockNumber <= latest.number,
  )
  const blocks = Map.groupBy(young, ({ blockNumber, blockHash }) => `${blockNumber} ${blockHash}`)
  const descending = [...blocks.values()].sort(
    ([a], [b]) => (b?.blockNumber ?? 0) - (a?.blockNumber ?? 0),
  )
  const moved = rowsOfAnotherFork(young)
  for (const slots of descending.slice(0, mostBlocksCompared)) {
    const [first] = slots
    if (first === undefined) continue
    if ((await chain.blockHash(first.blockNumber)) === first.blockHash) break
    moved.push(...slots)
  }
  const nonces = new Set([...due, ...moved].map(({ nonce }) => nonce))
  return [...nonces].sort((a, b) => a - b).slice(0, mostInspected)
}

/** Mined slots below the block of a lower nonce: in one chain, a higher nonce is never in a lower block. */
function rowsOfAnotherFork(mined: readonly AwaitingFinality[]): AwaitingFinality[] {
  let highest = 0
  return [...mined]
    .sort((a, b) => a.nonce - b.nonce)
    .filter(({ blockNumber }) => {
      const isBelow = blockNumber < highest
      highest = Math.max(highest, blockNumber)
      return isBelow
    })
}

/** Only a nonce that is used on-chain, or was before a reorg, can have a receipt. */
function hashesToAsk(outbox: AccountOutbox, heads: Heads): Hex[] {
  return outbox.slots
    .filter(({ nonce, mined, closedAt }) => {
      return closedAt === null && (nonce < heads.latest.count || mined !== null)
    })
    .flatMap(({ attempts }) => attempts.map(({ hash }) => hash))
}

/** Performs the actions of one kind at the same time and writes their rows together. */
async function performAll(
  submitter: Submitter,
  lease: Lease,
  outbox: AccountOutbox,
  observed: ChainObservation,
  decisions: readonly OutboxAction[],
): Promise<void> {
  const groups = Map.groupBy(decisions, (decision) => decision.action)
  for (const group of groups.values()) {
    const steps = await Promise.all(
      group.map(async (decision) => ({
        decision,
        changes: await tryAction(submitter, outbox, observed, decision),
      })),
    )
    const done = steps.flatMap(({ decision, changes }) => (changes ? [{ decision, changes }] : []))
    if (done.length === 0) continue
    await submitter.store.commit(lease, merge(done.map(({ changes }) => changes)), observed.at)
    for (const { decision, changes } of done) submitter.onDone?.(decision, changes)
  }
}

function merge(all: readonly Changes[]): Changes {
  return {
    intents: all.flatMap(({ intents }) => intents),
    slots: all.flatMap(({ slots }) => slots),
  }
}

/** An action that fails waits for the next poll and does not block the others. */
async function tryAction(
  submitter: Submitter,
  outbox: AccountOutbox,
  observed: ChainObservation,
  decision: OutboxAction,
): Promise<Changes | undefined> {
  try {
    return await perform(submitter, outbox, observed, decision)
  } catch (error) {
    submitter.log.warn(
      { err: error, step: decision.action },
      'an outbox action failed and is tried again',
    )
    return undefined
  }
}

/** Performs one action and returns the changed rows; it writes nothing. */
async function perform(
  submitter: Submitter,
  outbox: AccountOutbox,
  observed: ChainObservation,
  decision: OutboxAction,
): Promise<Changes | undefined> {
  const { chain, rules, clock } = submitter
  switch (decision.action) {
    case 'sign':
      return sign(submitter, decision.slot, decision.kind, decision.fees)
    case 'send': {
      const answer = await chain.broadcast(decision.attempt.raw)
      return next.sent(decision.slot, decision.attempt, answer, clock())
    }
    case 'mined':
      return next.mined(decision.slot, decision.receipt)
    case 'unmined':
      return next.unmined(decision.slot)
    case 'settle': {
      const outcome = await readOutcome(submitter, outbox, observed, decision.slot)
      return next.settled(outcome, decision.attempt, decision.receipt, rules)
    }
    case 'taken':
      return next.taken(await readOutcome(submitter, outbox, observed, decision.slot))
    case 'reopen':
      return next.reopened(decision.slot, intentOf(outbox, decision.slot))
    case 'fill':
      return next.fill(decision.nonce, clock())
    case 'expire':
      return { intents: [next.expired(decision.intent)], slots: [] }
    case 'prepare':
      return prepare(submitter, outbox, observed, decision.intents)
  }
}

function intentOf(outbox: AccountOutbox, slot: NonceSlot): Intent | undefined {
  return slot.intentId === null ? undefined : outbox.intents.get(slot.intentId)
}

/** Reads at the final block if the effect is there: a successful transaction may have changed nothing. */
async function readOutcome(
  { chain, clock }: Submitter,
  outbox: AccountOutbox,
  observed: ChainObservation,
  slot: NonceSlot,
): Promise<next.FinalSlot> {
  const intent = intentOf(outbox, slot)
  const block = observed.final.number
  const isDone = intent === undefined ? false : await chain.isDone(intent, block)
  return { slot, intent, isDone, block, at: clock() }
}

/** Gas of a transfer without data. */
const cancelGas = 21_000n

/**
 * Signs a transaction and stores it. It is not sent here: a transaction that a node knows and the rows do not could not
 * be replaced.
 */
async function sign(
  { signer, chainId, clock }: Submitter,
  slot: NonceSlot,
  kind: Attempt['kind'],
  fees: Attempt['fees'],
): Promise<Changes> {
  const empty: TransactionCall = { to: signer.address, data: '0x', value: 0n, gas: cancelGas }
  const call = kind === 'call' && slot.call !== null ? slot.call : empty
  const { raw, hash } = await signer.sign({ ...call, ...fees, chainId, nonce: slot.nonce })
  return next.signed(slot, {
    hash,
    raw,
    kind,
    intentId: kind === 'call' ? slot.intentId : null,
    fees,
    signedAt: clock(),
    sentAt: null,
    answer: null,
  })
}

/** Simulates each queued intent at the newest block. Those that would succeed get the next nonces. */
async function prepare(
  submitter: Submitter,
  outbox: AccountOutbox,
  observed: ChainObservation,
  intents: readonly Intent[],
): Promise<Changes> {
  const { rules, clock, log } = submitter
  const verdicts = await Promise.all(
    intents.map(async (intent) => {
      try {
        return { intent, ...(await examineIntent(submitter, observed, intent)) }
      } catch (error) {
        log.warn(
          { err: error, intent: intent.id },
          'an intent waits because the chain could not be read',
        )
        return { intent, verdict: 'wait' as const }
      }
    }),
  )
  const nonces = freeNonces(outbox, observed, intents.length)
  return merge(verdicts.map((preparation) => applyPreparation(preparation, nonces, clock(), rules)))
}

function applyPreparation(
  preparation: PreparationResult & { readonly intent: Intent },
  nonces: number[],
  at: number,
  rules: Rules,
): Changes {
  const { intent } = preparation
  switch (preparation.verdict) {
    case 'go':
      return next.reserve(intent, preparation.call, nonces.shift() as number, at)
    case 'done':
      return { intents: [next.done(intent)], slots: [] }
    case 'refused':
      return { intents: [next.refused(intent, at, preparation.lastError, rules)], slots: [] }
    case 'wait':
      return { intents: [next.delayed(intent, at, intent.lastError)], slots: [] }
  }
}

type PreparationResult =
  | { readonly verdict: 'go'; readonly call: TransactionCall }
  | { readonly verdict: 'done' }
  | { readonly verdict: 'wait' }
  | { readonly verdict: 'refused'; readonly lastError: LastError }

/** Whether an intent should get a nonce now: not if its effect is there already, and not if its call would revert. */
async function examineIntent(
  { chain }: Submitter,
  observed: ChainObservation,
  intent: Intent,
): Promise<PreparationResult> {
  if (await chain.isDone(intent, observed.final.number)) return { verdict: 'done' }
  // Another transaction had the effect and is not final yet: ours would only pay for it again.
  if (await chain.isDone(intent, observed.latest.number)) return { verdict: 'wait' }
  const simulation = await chain.simulate(intent)
  return simulation.ok
    ? { verdict: 'go', call: withMargin(simulation.call) }
    : { verdict: 'refused', lastError: simulation.lastError }
}

/** Adds 20 % gas: the state can change before the block. Unused gas is not paid. */
function withMargin(call: TransactionCall): TransactionCall {
  const generous = call.gas + call.gas / 5n
  const fits = call.gas <= transactionGasCap && generous > transactionGasCap
  return { ...call, gas: fits ? transactionGasCap : generous }
}

/** The highest gas limit of a transaction (EIP-7825). */
const transactionGasCap = 2n ** 24n
