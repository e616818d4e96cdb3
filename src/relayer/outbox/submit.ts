/**
 * One poll: look at the chain, decide, do, remember. Between any two lines the process may die; the
 * next poll reads the rows and goes on from there.
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

/** What enough endpoints say about the account. */
export type Heads = Pick<ChainObservation, 'latest' | 'final' | 'tip'>

export type Simulation =
  | { readonly ok: true; readonly call: TransactionCall }
  | { readonly ok: false; readonly lastError: LastError }

/** The chain as the outbox needs it. */
export interface Chain {
  heads(): Promise<Heads>
  /** Receipt, null where there is none for sure, no entry where it is not known. */
  receipts(hashes: readonly Hex[]): Promise<ReadonlyMap<Hex, Receipt | null>>
  /** Hash of a block that is not newer than the newest of `heads`. */
  blockHash(blockNumber: number): Promise<Hex>
  balance(): Promise<bigint>
  /** Never throws for what a node says or does not say. */
  broadcast(raw: Hex): Promise<NodeAnswer>
  simulate(intent: Intent): Promise<Simulation>
  isDone(intent: Intent, blockNumber: number): Promise<boolean>
}

export interface Submitter {
  readonly chainId: number
  readonly store: Store
  readonly chain: Chain
  readonly signer: TransactionSigner
  readonly rules: Rules
  readonly clock: Clock
  readonly log: Logger
  /** Told about everything done, after it is remembered. */
  readonly onDone?: (decision: OutboxAction, changes: Changes) => void
}

export interface PollResult {
  readonly heads: Heads
  readonly outbox: AccountOutbox
}

/** Reserve, sign, send: three rounds; one more for what the answers ask for. */
const roundsPerPoll = 5

/** @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES, RELAYER_LEASE_LOST, RELAYER_CONFLICT */
export async function poll(submitter: Submitter, lease: Lease): Promise<PollResult> {
  const { chain, store, rules, clock } = submitter
  const heads = await chain.heads()
  const load = (inspected: readonly number[]) =>
    store.load(heads.final.count, rules.maxInFlight, inspected)
  let outbox = await load(await findUnsettled(chain, await store.awaitingFinality(), heads))
  // What was looked at stays in view when it is mined.
  const inspected = outbox.slots.map(({ nonce }) => nonce)
  const receipts = await chain.receipts(hashesToAsk(outbox, heads))

  for (let round = 0; round < roundsPerPoll; round++) {
    const observed: ChainObservation = { ...heads, receipts, at: clock() }
    const decisions = decide(outbox, observed, rules)
    if (decisions.length === 0) break
    await performAll(submitter, lease, outbox, observed, decisions)
    outbox = await load(inspected)
  }
  return { heads, outbox }
}

/** Mined slots looked at in one poll: finality comes for many blocks at once. */
const mostInspected = 500
/** Blocks by which a change is followed downwards in one poll; the rest is seen when it is final. */
const mostBlocksCompared = 64

/**
 * The mined slots whose receipts must be asked for: their block is final, or it does not stand any more. Blocks are
 * chained, so below one that stands all stand. Should the rows be of different chains after a crash, the final block
 * decides, as it does in any case.
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
  const moved: AwaitingFinality[] = []
  for (const slots of descending.slice(0, mostBlocksCompared)) {
    const [first] = slots
    if (first === undefined) continue
    if ((await chain.blockHash(first.blockNumber)) === first.blockHash) break
    moved.push(...slots)
  }
  const nonces = [...due, ...moved].map(({ nonce }) => nonce)
  return nonces.sort((a, b) => a - b).slice(0, mostInspected)
}

/** Only a nonce that the chain counts, or once counted, can have a receipt. */
function hashesToAsk(outbox: AccountOutbox, heads: Heads): Hex[] {
  return outbox.slots
    .filter(({ nonce, mined, closedAt }) => {
      return closedAt === null && (nonce < heads.latest.count || mined !== null)
    })
    .flatMap(({ attempts }) => attempts.map(({ hash }) => hash))
}

/** Decisions of one kind are carried out together and remembered in one write. */
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

/** What fails here waits for the next poll; it must not hold up the others. */
async function tryAction(
  submitter: Submitter,
  outbox: AccountOutbox,
  observed: ChainObservation,
  decision: OutboxAction,
): Promise<Changes | undefined> {
  try {
    return await perform(submitter, outbox, observed, decision)
  } catch (error) {
    submitter.log.warn({ err: error, step: decision.action }, 'a step of the outbox waits')
    return undefined
  }
}

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

/** Reads at the final block whether the intent came true; success of a transaction is no proof. */
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

/** Gas of a transfer to oneself that carries nothing. */
const cancelGas = 21_000n

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

/** Decides each queued intent from what the contract says now; those that may go get the next nonces. */
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
        log.warn({ err: error, intent: intent.id }, 'an intent waits for an answer of the chain')
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

async function examineIntent(
  { chain }: Submitter,
  observed: ChainObservation,
  intent: Intent,
): Promise<PreparationResult> {
  if (await chain.isDone(intent, observed.final.number)) return { verdict: 'done' }
  // Somebody else's transaction, not final yet: ours would only pay for the same effect.
  if (await chain.isDone(intent, observed.latest.number)) return { verdict: 'wait' }
  const simulation = await chain.simulate(intent)
  return simulation.ok
    ? { verdict: 'go', call: withMargin(simulation.call) }
    : { verdict: 'refused', lastError: simulation.lastError }
}

/** The state can change between estimate and block; a fifth more is cheap against a failure. */
function withMargin(call: TransactionCall): TransactionCall {
  const generous = call.gas + call.gas / 5n
  const fits = call.gas <= transactionGasCap && generous > transactionGasCap
  return { ...call, gas: fits ? transactionGasCap : generous }
}

/** EIP-7825: no transaction may ask for more. */
const transactionGasCap = 2n ** 24n
