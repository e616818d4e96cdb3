/**
 * The next rows after an action, computed from the old rows and what happened. All functions are pure.
 *
 * Rows in one `Changes` must change together and are written in one database transaction.
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

/** Rows to write together. */
export interface Changes {
  /** Intents to store, in their new state. */
  readonly intents: readonly Intent[]
  /** Nonce slots to store, in their new state. */
  readonly slots: readonly NonceSlot[]
}

/** Gives the intent a nonce. Both rows are written before a transaction is signed. */
export function reserve(intent: Intent, call: TransactionCall, nonce: number, at: number): Changes {
  return {
    intents: [{ ...intent, state: 'sending' }],
    slots: [newSlot(nonce, intent.id, call, at)],
  }
}

/** Fills a nonce gap with an empty transaction. */
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

/** A transaction was signed. It is stored before it is sent, so that a crash cannot lose it. */
export function signed(slot: NonceSlot, attempt: Attempt): Changes {
  const state = slot.state === 'broadcast' ? 'broadcast' : 'signed'
  return { intents: [], slots: [{ ...slot, state, attempts: [...slot.attempts, attempt] }] }
}

/** A transaction was sent; the slot is broadcast when a node accepted it. */
export function sent(slot: NonceSlot, attempt: Attempt, answer: NodeAnswer, at: number): Changes {
  const attempts = slot.attempts.map((each) =>
    each.hash === attempt.hash ? { ...each, answer, sentAt: at } : each,
  )
  const state = answer === 'accepted' ? 'broadcast' : slot.state
  return { intents: [], slots: [{ ...slot, state, attempts }] }
}

/** A receipt was found, in this block or in another one than before. */
export function mined(slot: NonceSlot, receipt: Receipt): Changes {
  return { intents: [], slots: [{ ...slot, state: 'mined', mined: receipt }] }
}

/** A reorg removed the block: the same signed transaction is sent again immediately. */
export function unmined(slot: NonceSlot): Changes {
  return { intents: [], slots: [resend({ ...slot, state: 'broadcast', mined: null })] }
}

/** Marks the last transaction as not sent, so that the next poll sends it immediately. */
function resend(slot: NonceSlot): NonceSlot {
  const last = slot.attempts.at(-1)
  if (last === undefined) return slot
  return { ...slot, attempts: [...slot.attempts.slice(0, -1), { ...last, sentAt: null }] }
}

/** A slot whose nonce is used at the final block, and if its effect is there. */
export interface FinalSlot {
  readonly slot: NonceSlot
  /** The intent of the slot; undefined for an empty transaction. */
  readonly intent: Intent | undefined
  /** Whether the effect of the intent is in the state of the final block. */
  readonly isDone: boolean
  /** Number of the final block. */
  readonly block: number
  /** Unix seconds of its block. */
  readonly at: number
}

/** Our transaction is final. The state of the contract, not the receipt, decides if the intent is done. */
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
 * The nonce is used and no receipt of ours exists. Usually another transaction of the account used it, and the intent
 * is queued again. If the effect is there, the endpoints only lost our receipt, and the intent is done.
 */
export function taken({ slot, intent, isDone, block, at }: FinalSlot): Changes {
  const closed: NonceSlot = { ...slot, state: isDone ? 'final' : 'abandoned', closedAt: block }
  if (intent === undefined) return { intents: [], slots: [closed] }
  const next = isDone ? done(intent) : delayed(intent, at, nonceTaken(slot.nonce))
  return { intents: [next], slots: [closed] }
}

/**
 * Finality was broken and the nonce is unused again. A slot that had the effect sends its transaction again. Other
 * slots become empty transactions, because their intents continued under other nonces.
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

/** The effect is there. */
export function done(intent: Intent): Intent {
  return { ...intent, state: 'final', lastError: null }
}

/** The intent expired in the queue. */
export function expired(intent: Intent): Intent {
  const message =
    'The intent expired before its transaction was final: its quote, permit or collateral has ended.'
  const lastError: LastError = {
    code: 'RELAYER_EXPIRED',
    message,
    facts: { expiresAt: intent.expiresAt, last: intent.lastError },
  }
  return { ...intent, state: 'abandoned', lastError }
}

/** The contract refused the call: try again later, at most `maxRefusals` times. */
export function refused(intent: Intent, at: number, lastError: LastError, rules: Rules): Intent {
  const refusals = intent.refusals + 1
  if (refusals >= rules.maxRefusals) return { ...intent, state: 'abandoned', refusals, lastError }
  return { ...delayed(intent, at, lastError), refusals }
}

/** Back in the queue, after 5 seconds to 5 minutes. */
export function delayed(intent: Intent, at: number, lastError: LastError | null): Intent {
  const pause = Math.min(5 * 2 ** intent.refusals, 300)
  return { ...intent, state: 'queued', notBefore: at + pause, lastError }
}

/** An error in the form in which it is stored. */
export function toLastError(error: AssentError): LastError {
  return { code: error.code, message: error.message, facts: error.facts }
}

/** Reason for the intent's error: its transaction was replaced. */
function cancelled(nonce: number): LastError {
  return toLastError(
    new AssentError(
      'RELAYER_CANCELLED',
      `An empty transaction replaced the call at nonce ${nonce}.`,
      {
        facts: { nonce },
      },
    ),
  )
}

/** Reason for the intent's error: somebody else used the account's nonce. */
function nonceTaken(nonce: number): LastError {
  return toLastError(
    new AssentError('RELAYER_NONCE_TAKEN', `Another transaction used nonce ${nonce}.`, {
      facts: { nonce },
    }),
  )
}

/** Reason for the intent's error: its transaction is final and changed nothing. */
function ineffective(receipt: Receipt): LastError {
  const facts = { transaction: receipt.hash, block: receipt.blockNumber }
  return toLastError(
    receipt.succeeded
      ? new AssentError('RELAYER_NO_EFFECT', 'The transaction is final but had no effect.', {
          facts,
        })
      : new AssentError('RELAYER_REVERTED', 'The transaction is final and reverted.', { facts }),
  )
}
