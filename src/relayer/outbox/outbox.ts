/**
 * The outbox: what must still happen on chain, and what is decided about it.
 *
 * Everything here is pure. `decide` looks at the durable rows and at what the endpoints say, and
 * answers what to do next; it keeps no state of its own, so that any prefix of the written rows is a
 * valid beginning. `submit.ts` does what is decided, `store.ts` remembers it.
 *
 *   intent  queued ──► sending ──► final | abandoned        what shall become true
 *   slot    reserved ─► signed ─► broadcast ─► mined ─► final | abandoned      one nonce
 *
 * The chain's transaction count and the rows are the truth about nonces. There is no counter.
 */
import type { ErrorCode } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { NodeAnswer } from '../endpoints/node-errors.ts'
import { bumpFees, type FeeRules, type Fees, firstFees } from './fees.ts'

export type IntentState = 'queued' | 'sending' | 'final' | 'abandoned'
export type NonceSlotState = 'reserved' | 'signed' | 'broadcast' | 'mined' | 'final' | 'abandoned'

/** Why something did not go on, as stored and shown. */
export interface LastError {
  readonly code: ErrorCode
  readonly message: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** Something that shall become true on chain, once. */
export interface Intent {
  readonly id: string
  /** What it is about: names the target that encodes it and knows when it is done. */
  readonly kind: string
  /** With `kind` the identity: the same key is the same intent. */
  readonly key: string
  readonly payload: unknown
  readonly state: IntentState
  readonly createdAt: number
  /** Not tried again before this time. */
  readonly notBefore: number
  /** Worthless after this time. */
  readonly expiresAt: number | null
  /** How many times the contract refused it or it had no effect. */
  readonly refusals: number
  readonly lastError: LastError | null
  /** Number of the last write; 0 before the first. */
  readonly version: number
}

export interface TransactionCall {
  readonly to: Hex
  readonly data: Hex
  readonly value: bigint
  readonly gas: bigint
}

/** One signed transaction for a slot. */
export interface Attempt {
  readonly hash: Hex
  readonly raw: Hex
  readonly kind: 'call' | 'cancel'
  /** The intent that it carries; a slot can carry another one after a deep reorg. */
  readonly intentId: string | null
  readonly fees: Fees
  readonly signedAt: number
  readonly sentAt: number | null
  /** The best answer of the nodes to the last sending. */
  readonly answer: NodeAnswer | null
}

export interface Receipt {
  readonly hash: Hex
  readonly blockNumber: number
  readonly blockHash: Hex
  readonly succeeded: boolean
  /** gas used × effective price, in wei */
  readonly cost: bigint
}

/** One nonce of the account, and what it is used for. */
export interface NonceSlot {
  readonly nonce: number
  /** The intent that it carries, or null for an empty transaction that only fills a gap. */
  readonly intentId: string | null
  readonly call: TransactionCall | null
  readonly state: NonceSlotState
  readonly reservedAt: number
  readonly attempts: readonly Attempt[]
  readonly mined: Receipt | null
  /** The final block that showed the nonce used, once the slot is final or abandoned. */
  readonly closedAt: number | null
  readonly version: number
}

/** A mined slot that waits for its block to be final: as long as the block stands, nothing is to be done for it. */
export interface AwaitingFinality {
  readonly nonce: number
  readonly blockNumber: number
  readonly blockHash: Hex
}

/** All rows of one account on one chain that can still matter. */
export interface AccountOutbox {
  /** Unfinished slots that do not rest, and finished ones that the final block does not confirm (see `reopen`). */
  readonly slots: readonly NonceSlot[]
  /** The other mined slots: there may be thousands, so without what they carry. */
  readonly awaitingFinality: readonly AwaitingFinality[]
  /** Intents of these slots, and the next queued ones in order. */
  readonly intents: ReadonlyMap<string, Intent>
}

export interface Rules extends FeeRules {
  /** Slots that may wait at once to be mined: nodes keep so many of one account. */
  readonly maxInFlight: number
  /** Slots that may be unfinished at once, those included whose block is not final yet. */
  readonly maxUnfinal: number
  /** Seconds after which a transaction that no node took is sent again. */
  readonly resendAfter: number
  /** Seconds after which a transaction that a node took and did not mine is sent again. */
  readonly rebroadcastAfter: number
  /** Seconds without being mined after which fees are raised. */
  readonly bumpAfter: number
  /** Seconds at the fee cap after which the nonce goes to an empty transaction. */
  readonly stopLossAfter: number
  /** Refusals by the contract after which an intent is abandoned. */
  readonly maxRefusals: number
}

/** What enough endpoints agree on. */
export interface ChainObservation {
  /** Time of the observation, unix seconds. */
  readonly at: number
  readonly latest: { readonly number: number; readonly count: number; readonly baseFee: bigint }
  readonly final: { readonly number: number; readonly count: number }
  /** Priority fee that the endpoints suggest. */
  readonly tip: bigint
  /** By transaction hash: the receipt, or null where they agree that there is none; absent: unknown. */
  readonly receipts: ReadonlyMap<Hex, Receipt | null>
}

export type OutboxAction =
  | {
      readonly action: 'sign'
      readonly slot: NonceSlot
      readonly kind: 'call' | 'cancel'
      readonly fees: Fees
    }
  | { readonly action: 'send'; readonly slot: NonceSlot; readonly attempt: Attempt }
  | { readonly action: 'mined'; readonly slot: NonceSlot; readonly receipt: Receipt }
  | { readonly action: 'unmined'; readonly slot: NonceSlot }
  | {
      readonly action: 'settle'
      readonly slot: NonceSlot
      readonly attempt: Attempt
      readonly receipt: Receipt
    }
  | { readonly action: 'taken'; readonly slot: NonceSlot }
  | { readonly action: 'reopen'; readonly slot: NonceSlot }
  | { readonly action: 'fill'; readonly nonce: number }
  | { readonly action: 'expire'; readonly intent: Intent }
  | { readonly action: 'prepare'; readonly intents: readonly Intent[] }

/** What to do next about everything unfinished. Same rows, same view: same answer. */
export function decide(
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const slots = [...outbox.slots].sort((a, b) => a.nonce - b.nonce)
  const missing = gaps(outbox, slots, observed)
  const ofSlots = slots.flatMap((slot) => decideSlot(slot, outbox, observed, rules))
  // What a reorg sets free takes its room first.
  const comesBack = ofSlots.some((each) => each.action === 'unmined' || each.action === 'reopen')
  return [
    ...ofSlots,
    ...missing.map((nonce): OutboxAction => ({ action: 'fill', nonce })),
    // A gap is closed before anything new is put above it.
    ...(missing.length > 0 || comesBack ? [] : decideQueue(outbox, slots, observed, rules)),
  ]
}

export function isLive(slot: NonceSlot): boolean {
  return slot.state !== 'final' && slot.state !== 'abandoned'
}

function decideSlot(
  slot: NonceSlot,
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  switch (slot.state) {
    case 'reserved':
      return decideReserved(slot, outbox, observed, rules)
    case 'signed':
    case 'broadcast':
      return decideUnmined(slot, outbox, observed, rules)
    case 'mined':
      return decideMined(slot, observed)
    case 'final':
    case 'abandoned':
      return decideFinished(slot, observed)
  }
}

/** A nonce once reserved is always used: for its intent, or for nothing if that is worthless now. */
function decideReserved(
  slot: NonceSlot,
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  if (slot.nonce < observed.final.count) return [{ action: 'taken', slot }]
  if (slot.nonce < observed.latest.count) return []
  const fees = firstFees(observed.latest.baseFee, observed.tip, rules)
  if (fees === null) return []
  return [
    { action: 'sign', slot, kind: isWanted(slot, outbox, observed) ? 'call' : 'cancel', fees },
  ]
}

function decideUnmined(
  slot: NonceSlot,
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const receipt = findReceipt(slot, observed)
  if (receipt) return [{ action: 'mined', slot, receipt }]
  // Somebody used the nonce. Who, is certain only when the block is final and no receipt is ours.
  if (slot.nonce < observed.latest.count) {
    return slot.nonce < observed.final.count && allAbsent(slot, observed)
      ? [{ action: 'taken', slot }]
      : []
  }

  const last = lastAttempt(slot)
  const replacement = decideReplacement(slot, last, outbox, observed, rules)
  if (replacement) return [replacement]
  return isDue(last, observed, rules) ? [{ action: 'send', slot, attempt: last }] : []
}

function decideReplacement(
  slot: NonceSlot,
  last: Attempt,
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction | undefined {
  if (last.sentAt === null) return undefined

  const isOutbid = last.answer === 'underpriced'
  const raise = (kind: Attempt['kind']) =>
    bumpFees(last.fees, observed.latest.baseFee, observed.tip, rules, kind, isOutbid)
  const raised = raise(last.kind)
  if (last.kind === 'call') {
    const isHopeless = last.answer === 'reverted' || last.answer === 'rejected'
    const isTooExpensive =
      raised === null && observed.at >= (slot.attempts[0]?.signedAt ?? 0) + rules.stopLossAfter
    if (isHopeless || isTooExpensive || !isWanted(slot, outbox, observed)) {
      const fees = raise('cancel')
      return fees === null ? undefined : { action: 'sign', slot, kind: 'cancel', fees }
    }
  }
  if (raised === null) return undefined

  const cannotBeMined = last.fees.maxFee < observed.latest.baseFee + rules.minTip
  const isNext = slot.nonce === observed.latest.count
  const isStuck =
    last.answer === 'accepted' &&
    observed.at >= last.signedAt + rules.bumpAfter &&
    (isNext || cannotBeMined)
  if (isOutbid || isStuck) {
    return { action: 'sign', slot, kind: last.kind, fees: raised }
  }
  return undefined
}

function decideMined(slot: NonceSlot, observed: ChainObservation): OutboxAction[] {
  const receipt = findReceipt(slot, observed)
  if (receipt === undefined) {
    // Only a view that reaches the block of the receipt can say that it is gone.
    const reaches = slot.mined !== null && observed.latest.number >= slot.mined.blockNumber
    return reaches && allAbsent(slot, observed) ? [{ action: 'unmined', slot }] : []
  }
  if (receipt.blockHash !== slot.mined?.blockHash) return [{ action: 'mined', slot, receipt }]

  const isFinal = observed.final.number >= receipt.blockNumber && observed.final.count > slot.nonce
  const attempt = slot.attempts.find(({ hash }) => hash === receipt.hash)
  return isFinal && attempt ? [{ action: 'settle', slot, attempt, receipt }] : []
}

/** Finality itself was broken: a final block past the slot's says that the nonce is unused. */
function decideFinished(slot: NonceSlot, observed: ChainObservation): OutboxAction[] {
  return isConfirmed(slot, observed) ? [] : [{ action: 'reopen', slot }]
}

function isConfirmed(slot: NonceSlot, observed: ChainObservation): boolean {
  if (slot.closedAt === null) return false
  return observed.final.count > slot.nonce || observed.final.number < slot.closedAt
}

/** Unused nonces below an unfinished one that no row holds: nothing above could ever be mined. */
function gaps(
  outbox: AccountOutbox,
  slots: readonly NonceSlot[],
  observed: ChainObservation,
): number[] {
  const held = heldNonces(outbox)
  const highest = slots.findLast(isLive)?.nonce ?? -1
  const missing: number[] = []
  for (let nonce = observed.latest.count; nonce < highest; nonce++) {
    if (!held.has(nonce)) missing.push(nonce)
  }
  return missing
}

function heldNonces({ slots, awaitingFinality }: AccountOutbox): ReadonlySet<number> {
  return new Set([...slots, ...awaitingFinality].map(({ nonce }) => nonce))
}

function decideQueue(
  outbox: AccountOutbox,
  slots: readonly NonceSlot[],
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const queued = [...outbox.intents.values()].filter(({ state }) => state === 'queued')
  const expired = queued.filter((intent) => isExpired(intent, observed))
  const decisions: OutboxAction[] = expired.map((intent) => ({ action: 'expire', intent }))

  const live = slots.filter(isLive)
  // More nonces behind one that no node takes would only widen the jam.
  const isJammed = live.some(({ state, attempts }) => {
    return state === 'signed' && attempts.some(({ sentAt }) => sentAt !== null)
  })
  const unmined = live.filter(({ state }) => state !== 'mined')
  const room = Math.min(
    rules.maxInFlight - unmined.length,
    rules.maxUnfinal - live.length - outbox.awaitingFinality.length,
  )
  const due = queued.filter(
    (intent) => !isExpired(intent, observed) && intent.notBefore <= observed.at,
  )
  if (isJammed || room <= 0 || due.length === 0) return decisions
  if (firstFees(observed.latest.baseFee, observed.tip, rules) === null) return decisions
  return [...decisions, { action: 'prepare', intents: due.slice(0, room) }]
}

/** The nonces to use next, lowest first: neither used on chain nor held by a row. */
export function freeNonces(
  outbox: AccountOutbox,
  observed: ChainObservation,
  count: number,
): number[] {
  const held = heldNonces(outbox)
  const free: number[] = []
  for (let nonce = observed.latest.count; free.length < count; nonce++) {
    if (!held.has(nonce)) free.push(nonce)
  }
  return free
}

function isExpired(intent: Intent, observed: ChainObservation): boolean {
  return intent.expiresAt !== null && intent.expiresAt <= observed.at
}

function isWanted(slot: NonceSlot, outbox: AccountOutbox, observed: ChainObservation): boolean {
  const intent = slot.intentId === null ? undefined : outbox.intents.get(slot.intentId)
  return intent !== undefined && slot.call !== null && !isExpired(intent, observed)
}

function isDue(attempt: Attempt, observed: ChainObservation, rules: Rules): boolean {
  if (attempt.sentAt === null) return true
  const pause = attempt.answer === 'accepted' ? rules.rebroadcastAfter : rules.resendAfter
  return observed.at >= attempt.sentAt + pause
}

function findReceipt(slot: NonceSlot, observed: ChainObservation): Receipt | undefined {
  for (const { hash } of slot.attempts) {
    const receipt = observed.receipts.get(hash)
    if (receipt) return receipt
  }
  return undefined
}

function allAbsent(slot: NonceSlot, observed: ChainObservation): boolean {
  return slot.attempts.every(({ hash }) => observed.receipts.get(hash) === null)
}

function lastAttempt(slot: NonceSlot): Attempt {
  const last = slot.attempts.at(-1)
  if (last === undefined)
    throw new Error(`slot ${slot.nonce} is ${slot.state} without a transaction`)
  return last
}
