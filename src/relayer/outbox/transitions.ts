/**
 * What a decision changes in the rows. Pure: the next rows from the old ones and what happened.
 *
 * Rows that must change together come in one `Changes` and are written in one transaction.
 */
import { AssentError } from '../../errors/index.ts'
import type { NodeAnswer } from '../endpoints/node-errors.ts'
import type {
  Attempt,
  Intent,
  LastError,
  NonceSlot,
  Receipt,
  Rules,
  TransactionCall,
} from './outbox.ts'

export interface Changes {
  readonly intents: readonly Intent[]
  readonly slots: readonly NonceSlot[]
}

/** The intent and its nonce in one write, before anything is signed. */
export function reserve(intent: Intent, call: TransactionCall, nonce: number, at: number): Changes {
  return {
    intents: [{ ...intent, state: 'sending' }],
    slots: [newSlot(nonce, intent.id, call, at)],
  }
}

/** An empty transaction for a nonce that nothing holds. */
export function fill(nonce: number, at: number): Changes {
  return { intents: [], slots: [newSlot(nonce, null, null, at)] }
}

function newSlot(
  nonce: number,
  intentId: string | null,
  call: TransactionCall | null,
  at: number,
): NonceSlot {
  return {
    nonce,
    intentId,
    call,
    state: 'reserved',
    reservedAt: at,
    attempts: [],
    mined: null,
    closedAt: null,
    version: 0,
  }
}

export function signed(slot: NonceSlot, attempt: Attempt): Changes {
  const state = slot.state === 'broadcast' ? 'broadcast' : 'signed'
  return { intents: [], slots: [{ ...slot, state, attempts: [...slot.attempts, attempt] }] }
}

export function sent(slot: NonceSlot, attempt: Attempt, answer: NodeAnswer, at: number): Changes {
  const attempts = slot.attempts.map((each) =>
    each.hash === attempt.hash ? { ...each, answer, sentAt: at } : each,
  )
  const state = answer === 'accepted' ? 'broadcast' : slot.state
  return { intents: [], slots: [{ ...slot, state, attempts }] }
}

export function mined(slot: NonceSlot, receipt: Receipt): Changes {
  return { intents: [], slots: [{ ...slot, state: 'mined', mined: receipt }] }
}

/** A reorg took the block away: the same signed transaction is sent again at once. */
export function unmined(slot: NonceSlot): Changes {
  return { intents: [], slots: [resend({ ...slot, state: 'broadcast', mined: null })] }
}

function resend(slot: NonceSlot): NonceSlot {
  const last = slot.attempts.at(-1)
  if (last === undefined) return slot
  return { ...slot, attempts: [...slot.attempts.slice(0, -1), { ...last, sentAt: null }] }
}

export interface FinalSlot {
  readonly slot: NonceSlot
  /** The intent that the slot carries, if it carries one. */
  readonly intent: Intent | undefined
  /** Whether the chain holds the effect of the intent at the final block. */
  readonly isDone: boolean
  /** Number of the final block. */
  readonly block: number
  readonly at: number
}

/** The nonce is final. Only the state of the contract says whether the intent is. */
export function settled(
  { slot, intent, isDone, block, at }: FinalSlot,
  attempt: Attempt,
  receipt: Receipt,
  rules: Rules,
): Changes {
  const closed = { ...slot, mined: receipt, closedAt: block }
  if (intent === undefined) return { intents: [], slots: [{ ...closed, state: 'abandoned' }] }
  if (isDone) {
    const state = attempt.kind === 'call' ? 'final' : 'abandoned'
    return { intents: [done(intent)], slots: [{ ...closed, state }] }
  }
  const next =
    attempt.kind === 'cancel'
      ? delayed(intent, at, cancelled(slot.nonce))
      : refused(intent, at, ineffective(receipt), rules)
  return { intents: [next], slots: [{ ...closed, state: 'abandoned' }] }
}

/**
 * The nonce is used and no receipt is ours. Either another transaction of the account took it and the
 * intent is decided anew, or ours is there and the endpoints do not show its receipt: then it is done.
 */
export function taken({ slot, intent, isDone, block, at }: FinalSlot): Changes {
  const closed: NonceSlot = { ...slot, state: isDone ? 'final' : 'abandoned', closedAt: block }
  if (intent === undefined) return { intents: [], slots: [closed] }
  const next = isDone ? done(intent) : delayed(intent, at, nonceTaken(slot.nonce))
  return { intents: [next], slots: [closed] }
}

/**
 * A final slot came undone. One that carried an effect is sent again; the nonce of anything else is filled,
 * because its intent went on elsewhere.
 */
export function reopened(slot: NonceSlot, intent: Intent | undefined): Changes {
  const open: NonceSlot = resend({ ...slot, mined: null, closedAt: null })
  const isCarrier = slot.state === 'final' && slot.attempts.some(({ kind }) => kind === 'call')
  if (isCarrier && intent?.state === 'final') {
    return {
      intents: [{ ...intent, state: 'sending' }],
      slots: [{ ...open, state: 'broadcast' }],
    }
  }
  const state = open.attempts.length === 0 ? 'reserved' : 'signed'
  return { intents: [], slots: [{ ...open, intentId: null, call: null, state }] }
}

export function done(intent: Intent): Intent {
  return { ...intent, state: 'final', lastError: null }
}

export function expired(intent: Intent): Intent {
  const message = 'What the intent relies on expired before it could be brought to the chain.'
  const lastError: LastError = {
    code: 'RELAYER_EXPIRED',
    message,
    facts: { expiresAt: intent.expiresAt, last: intent.lastError },
  }
  return { ...intent, state: 'abandoned', lastError }
}

/** Refused by the contract: tried again later, a bounded number of times. */
export function refused(intent: Intent, at: number, lastError: LastError, rules: Rules): Intent {
  const refusals = intent.refusals + 1
  if (refusals >= rules.maxRefusals) return { ...intent, state: 'abandoned', refusals, lastError }
  return { ...delayed(intent, at, lastError), refusals }
}

/** Back in the queue, for later. */
export function delayed(intent: Intent, at: number, lastError: LastError | null): Intent {
  const pause = Math.min(5 * 2 ** intent.refusals, 300)
  return { ...intent, state: 'queued', notBefore: at + pause, lastError }
}

/** An error as it is stored with the intent. */
export function toLastError(error: AssentError): LastError {
  return { code: error.code, message: error.message, facts: error.facts }
}

function cancelled(nonce: number): LastError {
  return toLastError(
    new AssentError('RELAYER_CANCELLED', `Nonce ${nonce} was given to an empty transaction.`, {
      facts: { nonce },
    }),
  )
}

function nonceTaken(nonce: number): LastError {
  return toLastError(
    new AssentError('RELAYER_NONCE_TAKEN', `Another transaction used nonce ${nonce}.`, {
      facts: { nonce },
    }),
  )
}

function ineffective(receipt: Receipt): LastError {
  const facts = { transaction: receipt.hash, block: receipt.blockNumber }
  return toLastError(
    receipt.succeeded
      ? new AssentError('RELAYER_NO_EFFECT', 'The final transaction changed nothing.', { facts })
      : new AssentError('RELAYER_REVERTED', 'The final transaction reverted.', { facts }),
  )
}
