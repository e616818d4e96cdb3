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
  readonly setback: LastError | null
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
  readonly resting: readonly AwaitingFinality[]
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
export function decide(lane: AccountOutbox, seen: ChainObservation, rules: Rules): OutboxAction[] {
  const slots = [...lane.slots].sort((a, b) => a.nonce - b.nonce)
  const missing = gaps(lane, slots, seen)
  const ofSlots = slots.flatMap((slot) => decideSlot(slot, lane, seen, rules))
  // What a reorg sets free takes its room first.
  const comesBack = ofSlots.some((each) => each.action === 'unmined' || each.action === 'reopen')
  return [
    ...ofSlots,
    ...missing.map((nonce): OutboxAction => ({ action: 'fill', nonce })),
    // A gap is closed before anything new is put above it.
    ...(missing.length > 0 || comesBack ? [] : decideQueue(lane, slots, seen, rules)),
  ]
}

export function isLive(slot: NonceSlot): boolean {
  return slot.state !== 'final' && slot.state !== 'abandoned'
}

function decideSlot(
  slot: NonceSlot,
  lane: AccountOutbox,
  seen: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  switch (slot.state) {
    case 'reserved':
      return decideReserved(slot, lane, seen, rules)
    case 'signed':
    case 'broadcast':
      return decideUnmined(slot, lane, seen, rules)
    case 'mined':
      return decideMined(slot, seen)
    case 'final':
    case 'abandoned':
      return decideFinished(slot, seen)
  }
}

/** A nonce once reserved is always used: for its intent, or for nothing if that is worthless now. */
function decideReserved(
  slot: NonceSlot,
  lane: AccountOutbox,
  seen: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  if (slot.nonce < seen.final.count) return [{ action: 'taken', slot }]
  if (slot.nonce < seen.latest.count) return []
  const fees = firstFees(seen.latest.baseFee, seen.tip, rules)
  if (fees === null) return []
  return [{ action: 'sign', slot, kind: isWanted(slot, lane, seen) ? 'call' : 'cancel', fees }]
}

function decideUnmined(
  slot: NonceSlot,
  lane: AccountOutbox,
  seen: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const receipt = findReceipt(slot, seen)
  if (receipt) return [{ action: 'mined', slot, receipt }]
  // Somebody used the nonce. Who, is certain only when the block is final and no receipt is ours.
  if (slot.nonce < seen.latest.count) {
    return slot.nonce < seen.final.count && allAbsent(slot, seen) ? [{ action: 'taken', slot }] : []
  }

  const last = lastAttempt(slot)
  const replacement = decideReplacement(slot, last, lane, seen, rules)
  if (replacement) return [replacement]
  return isDue(last, seen, rules) ? [{ action: 'send', slot, attempt: last }] : []
}

function decideReplacement(
  slot: NonceSlot,
  last: Attempt,
  lane: AccountOutbox,
  seen: ChainObservation,
  rules: Rules,
): OutboxAction | undefined {
  if (last.sentAt === null) return undefined

  const isOutbid = last.answer === 'underpriced'
  const raise = (kind: Attempt['kind']) =>
    bumpFees(last.fees, seen.latest.baseFee, seen.tip, rules, kind, isOutbid)
  const raised = raise(last.kind)
  if (last.kind === 'call') {
    const hopeless = last.answer === 'reverted' || last.answer === 'rejected'
    const tooDear =
      raised === null && seen.at >= (slot.attempts[0]?.signedAt ?? 0) + rules.stopLossAfter
    if (hopeless || tooDear || !isWanted(slot, lane, seen)) {
      const fees = raise('cancel')
      return fees === null ? undefined : { action: 'sign', slot, kind: 'cancel', fees }
    }
  }
  if (raised === null) return undefined

  const cannotBeMined = last.fees.maxFee < seen.latest.baseFee + rules.minTip
  const isNext = slot.nonce === seen.latest.count
  const isStuck =
    last.answer === 'accepted' &&
    seen.at >= last.signedAt + rules.bumpAfter &&
    (isNext || cannotBeMined)
  if (isOutbid || isStuck) {
    return { action: 'sign', slot, kind: last.kind, fees: raised }
  }
  return undefined
}

function decideMined(slot: NonceSlot, seen: ChainObservation): OutboxAction[] {
  const receipt = findReceipt(slot, seen)
  if (receipt === undefined) {
    // Only a view that reaches the block of the receipt can say that it is gone.
    const reaches = slot.mined !== null && seen.latest.number >= slot.mined.blockNumber
    return reaches && allAbsent(slot, seen) ? [{ action: 'unmined', slot }] : []
  }
  if (receipt.blockHash !== slot.mined?.blockHash) return [{ action: 'mined', slot, receipt }]

  const isFinal = seen.final.number >= receipt.blockNumber && seen.final.count > slot.nonce
  const attempt = slot.attempts.find(({ hash }) => hash === receipt.hash)
  return isFinal && attempt ? [{ action: 'settle', slot, attempt, receipt }] : []
}

/** Finality itself was broken: a final block past the slot's says that the nonce is unused. */
function decideFinished(slot: NonceSlot, seen: ChainObservation): OutboxAction[] {
  return isConfirmed(slot, seen) ? [] : [{ action: 'reopen', slot }]
}

function isConfirmed(slot: NonceSlot, seen: ChainObservation): boolean {
  if (slot.closedAt === null) return false
  return seen.final.count > slot.nonce || seen.final.number < slot.closedAt
}

/** Unused nonces below an unfinished one that no row holds: nothing above could ever be mined. */
function gaps(lane: AccountOutbox, slots: readonly NonceSlot[], seen: ChainObservation): number[] {
  const held = heldNonces(lane)
  const highest = slots.findLast(isLive)?.nonce ?? -1
  const missing: number[] = []
  for (let nonce = seen.latest.count; nonce < highest; nonce++) {
    if (!held.has(nonce)) missing.push(nonce)
  }
  return missing
}

function heldNonces({ slots, resting }: AccountOutbox): ReadonlySet<number> {
  return new Set([...slots, ...resting].map(({ nonce }) => nonce))
}

function decideQueue(
  lane: AccountOutbox,
  slots: readonly NonceSlot[],
  seen: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const queued = [...lane.intents.values()].filter(({ state }) => state === 'queued')
  const expired = queued.filter((intent) => isExpired(intent, seen))
  const decisions: OutboxAction[] = expired.map((intent) => ({ action: 'expire', intent }))

  const live = slots.filter(isLive)
  // More nonces behind one that no node takes would only widen the jam.
  const isJammed = live.some(({ state, attempts }) => {
    return state === 'signed' && attempts.some(({ sentAt }) => sentAt !== null)
  })
  const unmined = live.filter(({ state }) => state !== 'mined')
  const room = Math.min(
    rules.maxInFlight - unmined.length,
    rules.maxUnfinal - live.length - lane.resting.length,
  )
  const due = queued.filter((intent) => !isExpired(intent, seen) && intent.notBefore <= seen.at)
  if (isJammed || room <= 0 || due.length === 0) return decisions
  if (firstFees(seen.latest.baseFee, seen.tip, rules) === null) return decisions
  return [...decisions, { action: 'prepare', intents: due.slice(0, room) }]
}

/** The nonces to use next, lowest first: neither used on chain nor held by a row. */
export function freeNonces(lane: AccountOutbox, seen: ChainObservation, count: number): number[] {
  const held = heldNonces(lane)
  const free: number[] = []
  for (let nonce = seen.latest.count; free.length < count; nonce++) {
    if (!held.has(nonce)) free.push(nonce)
  }
  return free
}

function isExpired(intent: Intent, seen: ChainObservation): boolean {
  return intent.expiresAt !== null && intent.expiresAt <= seen.at
}

function isWanted(slot: NonceSlot, lane: AccountOutbox, seen: ChainObservation): boolean {
  const intent = slot.intentId === null ? undefined : lane.intents.get(slot.intentId)
  return intent !== undefined && slot.call !== null && !isExpired(intent, seen)
}

function isDue(attempt: Attempt, seen: ChainObservation, rules: Rules): boolean {
  if (attempt.sentAt === null) return true
  const pause = attempt.answer === 'accepted' ? rules.rebroadcastAfter : rules.resendAfter
  return seen.at >= attempt.sentAt + pause
}

function findReceipt(slot: NonceSlot, seen: ChainObservation): Receipt | undefined {
  for (const { hash } of slot.attempts) {
    const receipt = seen.receipts.get(hash)
    if (receipt) return receipt
  }
  return undefined
}

function allAbsent(slot: NonceSlot, seen: ChainObservation): boolean {
  return slot.attempts.every(({ hash }) => seen.receipts.get(hash) === null)
}

function lastAttempt(slot: NonceSlot): Attempt {
  const last = slot.attempts.at(-1)
  if (last === undefined)
    throw new Error(`slot ${slot.nonce} is ${slot.state} without a transaction`)
  return last
}
