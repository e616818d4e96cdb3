/**
 * The outbox decides which transactions to sign, send, replace or close, so that each intent takes effect exactly once.
 *
 * All functions are pure. `decide` compares the stored rows with what the endpoints report and returns the next actions.
 * It has no state of its own, so the process can stop after any write and continue later. `submit.ts` performs the
 * actions, `store.ts` writes the rows.
 *
 *   intent  queued ──► sending ──► final | abandoned        an effect that must happen on-chain
 *   slot    reserved ─► signed ─► broadcast ─► mined ─► final | abandoned      one nonce
 *
 * There is no nonce counter: the chain's transaction count and the rows say which nonces are used.
 */
import type { ErrorCode } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { NodeAnswer } from '../endpoints/node-errors.ts'
import { bumpFees, type FeeRules, type Fees, firstFees } from './fees.ts'

/**
 * States of an intent: `queued` waits for a nonce, `sending` has one, `final` has its effect in a final block,
 * `abandoned` expired or was refused too often.
 */
export type IntentState = 'queued' | 'sending' | 'final' | 'abandoned'
/**
 * States of a nonce slot: `reserved` (no transaction yet), `signed` (stored, not accepted by a node), `broadcast`
 * (accepted), `mined` (in a block that is not final), `final` (its call took effect), `abandoned` (the nonce is used,
 * without the effect of its intent).
 */
export type NonceSlotState = 'reserved' | 'signed' | 'broadcast' | 'mined' | 'final' | 'abandoned'

/** Why an intent or a renewal did not progress, as it is stored and returned by the API. */
export interface LastError {
  /** For programs. */
  readonly code: ErrorCode
  /** For people. */
  readonly message: string
  /** Facts of the error, without secrets. */
  readonly facts: Readonly<Record<string, unknown>>
}

/** One effect that the relayer must cause on-chain, exactly once. */
export interface Intent {
  /** UUID; the id in the API. */
  readonly id: string
  /** Name of the target that encodes the call and knows when the effect is there. */
  readonly kind: string
  /** Identity together with `kind`: two requests with the same key are one intent. */
  readonly key: string
  /** JSON of its target. */
  readonly payload: unknown
  /** See {@link IntentState}. */
  readonly state: IntentState
  /** Unix seconds. */
  readonly createdAt: number
  /** Unix seconds; the intent is not prepared before. */
  readonly notBefore: number
  /** Unix seconds after which the effect is no longer wanted; null: always wanted. */
  readonly expiresAt: number | null
  /** How often the contract refused the call, or a final transaction had no effect. */
  readonly refusals: number
  /** Why it did not progress; null while nothing went wrong. */
  readonly lastError: LastError | null
  /** Number of the last write, for optimistic locking; 0 before the first. */
  readonly version: number
}

/** Call of a transaction; value in wei. */
export interface TransactionCall {
  readonly to: Hex
  readonly data: Hex
  /** Wei. */
  readonly value: bigint
  /** Gas limit. */
  readonly gas: bigint
}

/** One signed transaction of a nonce slot. */
export interface Attempt {
  /** Transaction hash. */
  readonly hash: Hex
  /** Serialized signed transaction, as it is sent again. */
  readonly raw: Hex
  /** `call`: the intent's call. `cancel`: an empty transaction of the account to itself. */
  readonly kind: 'call' | 'cancel'
  /** The intent whose call it carries; after a deep reorg a slot can carry another intent. */
  readonly intentId: string | null
  /** Wei per gas. */
  readonly fees: Fees
  /** Unix seconds. */
  readonly signedAt: number
  /** Unix seconds of the last sending; null: not sent yet, or to be sent again at once. */
  readonly sentAt: number | null
  /** The combined answer of the nodes when it was last sent. */
  readonly answer: NodeAnswer | null
}

/** Receipt of a transaction, as an RPC quorum returned it. */
export interface Receipt {
  /** Transaction hash. */
  readonly hash: Hex
  readonly blockNumber: number
  readonly blockHash: Hex
  /** False: it reverted. Success does not prove the effect. */
  readonly succeeded: boolean
  /** Gas used × effective gas price, in wei. */
  readonly cost: bigint
}

/** One nonce of the relayer's account and the transactions made for it. */
export interface NonceSlot {
  readonly nonce: number
  /** The intent it carries; null: an empty transaction that only fills a nonce gap. */
  readonly intentId: string | null
  /** Null for an empty transaction. */
  readonly call: TransactionCall | null
  /** Where the slot is on its way to a final transaction. */
  readonly state: NonceSlotState
  /** Unix seconds. */
  readonly reservedAt: number
  /** In the order in which they were signed. Any of them can be mined. */
  readonly attempts: readonly Attempt[]
  /** Receipt of the attempt that was mined; null before, and after a reorg removed the block. */
  readonly mined: Receipt | null
  /** Number of the final block at which the nonce was used; set when the slot is final or abandoned. */
  readonly closedAt: number | null
  /** Number of the last write, for optimistic locking; 0 before the first. */
  readonly version: number
}

/** A mined slot whose block is not final yet. It needs no action unless a reorg removes the block. */
export interface AwaitingFinality {
  readonly nonce: number
  readonly blockNumber: number
  readonly blockHash: Hex
}

/** All rows of one account on one chain that can still change. */
export interface AccountOutbox {
  /** Slots to act on: unfinished ones, and closed ones that the final block does not confirm (see `reopen`). */
  readonly slots: readonly NonceSlot[]
  /** The other mined slots. There may be thousands, so their calls and attempts are not loaded. */
  readonly awaitingFinality: readonly AwaitingFinality[]
  /** Intents of `slots`, and the next queued intents in their order. */
  readonly intents: ReadonlyMap<string, Intent>
}

/** Limits and times by which the outbox acts; times in seconds. */
export interface Rules extends FeeRules {
  /** Slots that may wait to be mined at the same time; nodes keep only a few transactions of one account. */
  readonly maxInFlight: number
  /** Slots that may be unfinished at the same time, including mined ones whose block is not final. */
  readonly maxUnfinal: number
  /** Seconds after which a transaction that no node accepted is sent again. */
  readonly resendAfter: number
  /** Seconds after which an accepted transaction that is not mined is sent again. */
  readonly rebroadcastAfter: number
  /** Seconds after which a transaction that is not mined is replaced with higher fees. */
  readonly bumpAfter: number
  /** Stop-loss: seconds at the fee cap after which an empty transaction replaces the call. */
  readonly stopLossAfter: number
  /** Number of refusals after which an intent is abandoned. */
  readonly maxRefusals: number
}

/** The report of an RPC quorum about the account at one moment. */
export interface ChainObservation {
  /** Local clock, unix seconds. */
  readonly at: number
  /** Newest block: its number, the account's transaction count and the base fee in wei. */
  readonly latest: { readonly number: number; readonly count: number; readonly baseFee: bigint }
  /** Final block: its number and the account's transaction count. */
  readonly final: { readonly number: number; readonly count: number }
  /** Suggested priority fee per gas, in wei. */
  readonly tip: bigint
  /** Receipts by transaction hash; null: the quorum says that the transaction has no receipt; no entry: unknown. */
  readonly receipts: ReadonlyMap<Hex, Receipt | null>
}

/**
 * One step that `decide` returns and `submit.ts` performs:
 *
 * - `sign`: sign a transaction for the slot and store it. A later `send` sends it, so that a crash cannot lose it.
 * - `send`: send a stored transaction, for the first time or again.
 * - `mined`: a receipt was found, in this block or in another one than before.
 * - `unmined`: a reorg removed the block of the receipt; the transaction is sent again.
 * - `settle`: the transaction is final. The contract's state decides if the intent is done.
 * - `taken`: the nonce is used by a transaction that is not ours.
 * - `reopen`: finality was broken, and a nonce that was used is unused again.
 * - `fill`: reserve an unused nonce for an empty transaction, because nothing above a gap is mined.
 * - `expire`: abandon an intent whose time has ended in the queue.
 * - `prepare`: simulate queued intents and reserve nonces for those that would succeed.
 */
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

/**
 * The next actions for all unfinished rows. Deterministic: the same rows and observation give the same actions.
 *
 * @example
 * for (const action of decide(outbox, observed, defaultRules)) await perform(action)
 */
export function decide(
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const slots = [...outbox.slots].sort((a, b) => a.nonce - b.nonce)
  const missing = gaps(outbox, slots, observed)
  const ofSlots = slots.flatMap((slot) => decideSlot(slot, outbox, observed, rules))
  // Slots that a reorg returned to the queue take the free room first.
  const comesBack = ofSlots.some((each) => each.action === 'unmined' || each.action === 'reopen')
  return [
    ...ofSlots,
    ...missing.map((nonce): OutboxAction => ({ action: 'fill', nonce })),
    // A nonce gap is filled before new nonces are used above it.
    ...(missing.length > 0 || comesBack ? [] : decideQueue(outbox, slots, observed, rules)),
  ]
}

/** Whether the slot still needs work. */
export function isLive(slot: NonceSlot): boolean {
  return slot.state !== 'final' && slot.state !== 'abandoned'
}

/** The next steps of one slot; empty while it waits for the chain. */
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

/** A reserved nonce is always used: for its intent, or for an empty transaction if the intent has expired. */
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

/** For a slot with signed transactions of which no one is known to be mined. */
function decideUnmined(
  slot: NonceSlot,
  outbox: AccountOutbox,
  observed: ChainObservation,
  rules: Rules,
): OutboxAction[] {
  const receipt = findReceipt(slot, observed)
  if (receipt) return [{ action: 'mined', slot, receipt }]
  // Some transaction used the nonce. That it was not ours is certain only in a final block without a receipt of ours.
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

/**
 * A replacement of the last transaction, if it needs one.
 *
 * It becomes an empty transaction if the call can no longer succeed, is no longer wanted, or stayed at the fee cap
 * until the stop-loss. Otherwise only its fees rise: at once if a node holds a transaction with higher fees, or after
 * `bumpAfter` seconds.
 */
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

/** For a slot with a receipt: checks that it still holds, and settles it when its block is final. */
function decideMined(slot: NonceSlot, observed: ChainObservation): OutboxAction[] {
  const receipt = findReceipt(slot, observed)
  if (receipt === undefined) {
    // Only endpoints that have reached the block of the receipt can say that it is gone.
    const reaches = slot.mined !== null && observed.latest.number >= slot.mined.blockNumber
    return reaches && allAbsent(slot, observed) ? [{ action: 'unmined', slot }] : []
  }
  if (receipt.blockHash !== slot.mined?.blockHash) return [{ action: 'mined', slot, receipt }]

  const isFinal = observed.final.number >= receipt.blockNumber && observed.final.count > slot.nonce
  const attempt = slot.attempts.find(({ hash }) => hash === receipt.hash)
  return isFinal && attempt ? [{ action: 'settle', slot, attempt, receipt }] : []
}

/** Finality was broken: a later final block says that the nonce is unused, so the slot is opened again. */
function decideFinished(slot: NonceSlot, observed: ChainObservation): OutboxAction[] {
  return isConfirmed(slot, observed) ? [] : [{ action: 'reopen', slot }]
}

/** Whether the final block still says that the nonce is used. A final block below `closedAt` says nothing about it. */
function isConfirmed(slot: NonceSlot, observed: ChainObservation): boolean {
  if (slot.closedAt === null) return false
  return observed.final.count > slot.nonce || observed.final.number < slot.closedAt
}

/** Nonce gaps: unused nonces below an unfinished slot that no row holds. No transaction above them can be mined. */
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

/** Nonces of all rows, in every state. */
function heldNonces({ slots, awaitingFinality }: AccountOutbox): ReadonlySet<number> {
  return new Set([...slots, ...awaitingFinality].map(({ nonce }) => nonce))
}

/**
 * Which queued intents to expire and which to prepare. Nothing is prepared while the fees are above the cap, the slots
 * are full, or no node accepts the lowest transaction.
 */
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
  // No node accepts the lowest transaction, so more nonces above it would only wait as well.
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

/** The next `count` nonces, lowest first, that are neither used on-chain nor held by a row. */
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

/** Whether the slot's call should still be sent: its intent exists and has not expired. */
function isWanted(slot: NonceSlot, outbox: AccountOutbox, observed: ChainObservation): boolean {
  const intent = slot.intentId === null ? undefined : outbox.intents.get(slot.intentId)
  return intent !== undefined && slot.call !== null && !isExpired(intent, observed)
}

/** Whether a transaction is sent again. A node that accepted it gets it less often than one that did not. */
function isDue(attempt: Attempt, observed: ChainObservation, rules: Rules): boolean {
  if (attempt.sentAt === null) return true
  const pause = attempt.answer === 'accepted' ? rules.rebroadcastAfter : rules.resendAfter
  return observed.at >= attempt.sentAt + pause
}

/** Receipt of any attempt: after a replacement, the older transaction can be the one that was mined. */
function findReceipt(slot: NonceSlot, observed: ChainObservation): Receipt | undefined {
  for (const { hash } of slot.attempts) {
    const receipt = observed.receipts.get(hash)
    if (receipt) return receipt
  }
  return undefined
}

/** Whether a quorum says that no attempt of the slot is in a block. */
function allAbsent(slot: NonceSlot, observed: ChainObservation): boolean {
  return slot.attempts.every(({ hash }) => observed.receipts.get(hash) === null)
}

function lastAttempt(slot: NonceSlot): Attempt {
  const last = slot.attempts.at(-1)
  if (last === undefined)
    throw new Error(`slot ${slot.nonce} is ${slot.state} without a transaction`)
  return last
}
