/** Creates and reads intents. An intent is identified by kind and key: two requests for the same effect are one row. */
import { randomUUID } from 'node:crypto'

import { and, asc, desc, eq, gt } from 'drizzle-orm'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { quoteText } from '../../lib/printable.ts'
import type { Database, DatabaseTransaction } from '../database/database.ts'
import { events, intents, slots } from '../database/schema.ts'
import type { IntentState, LastError, NonceSlotState } from './outbox.ts'

/** An effect to put into the outbox. */
export interface NewIntent {
  readonly chainId: number
  /** Name of the target that encodes the call. */
  readonly kind: string
  /** Identity together with `kind`. */
  readonly key: string
  /** JSON that the target of the kind can parse. */
  readonly payload: unknown
  /** Unix seconds after which the effect is no longer wanted; null: always wanted. */
  readonly expiresAt: number | null
  /** Unix seconds. */
  readonly at: number
  /** The effect is not on-chain now: queue the intent again even if it was final before. */
  readonly isMissing?: boolean
}

/** Result of putting an intent into the outbox. */
export interface PutIntent {
  /** Id of the new or the known intent. */
  readonly id: string
  /** False: an intent with the same kind and key exists already. */
  readonly isNew: boolean
}

/**
 * Stores the intent, or finds the one with the same kind and key. An abandoned intent is queued again: a repeated
 * request says that the effect is still wanted.
 */
export async function putIntent(tx: DatabaseTransaction, intent: NewIntent): Promise<PutIntent> {
  const { kind, key, chainId, payload, at, expiresAt } = intent
  const fresh = { payload, expiresAt, notBefore: at, refusals: 0, lastError: null, settledAt: null }
  const [inserted] = await tx
    .insert(intents)
    .values({
      ...fresh,
      id: randomUUID(),
      chainId,
      kind,
      key,
      createdAt: at,
      state: 'queued',
      version: 1,
    })
    .onConflictDoNothing({ target: [intents.chainId, intents.kind, intents.key] })
    .returning({ id: intents.id })
  if (inserted) {
    await tx.insert(events).values({ intentId: inserted.id, at, state: 'queued', facts: {} })
    return { id: inserted.id, isNew: true }
  }

  const same = and(eq(intents.chainId, chainId), eq(intents.kind, kind), eq(intents.key, key))
  const [known] = await tx.select().from(intents).where(same).for('update')
  if (known === undefined) throw new Error('The intent was deleted between two statements.')
  if (known.state === 'abandoned' || (known.state === 'final' && intent.isMissing === true)) {
    await tx
      .update(intents)
      .set({ ...fresh, createdAt: at, state: 'queued', version: known.version + 1 })
      .where(eq(intents.id, known.id))
    await tx.insert(events).values({ intentId: known.id, at, state: 'queued', facts: {} })
  }
  return { id: known.id, isNew: false }
}

/** `putIntent` in a database transaction of its own. */
export function enqueueIntent(db: Database, intent: NewIntent): Promise<PutIntent> {
  return db.transaction((tx) => putIntent(tx, intent))
}

/** State of an intent as `GET /v1/intents/{id}` returns it; times in unix seconds. */
export interface IntentStatus {
  /** UUID. */
  readonly id: string
  readonly kind: string
  /** Names the effect; two requests for the same effect have the same key. */
  readonly key: string
  readonly createdAt: number
  readonly expiresAt: number | null
  /** State of the nonce slot while the intent is being sent, else of the intent. */
  readonly state: IntentState | NonceSlotState
  /** How often the contract refused the call. */
  readonly refusals: number
  /** Why it did not progress; null while nothing went wrong. */
  readonly lastError: LastError | null
  /** Null before a nonce is reserved. */
  readonly nonce: number | null
  /** Hash of the mined transaction. */
  readonly transaction: Hex | null
  /** Number of its block. */
  readonly block: number | null
}

/** One change of an intent or of its nonce slot. */
export interface IntentEvent {
  /** Grows with each event; `Last-Event-ID` of server-sent events. */
  readonly id: number
  /** Unix seconds. */
  readonly at: number
  /** State after the change. */
  readonly state: IntentState | NonceSlotState
  /** Facts of the change, such as hash and block. */
  readonly facts: Record<string, unknown>
}

/** Ids are UUIDs. Any other text does not reach the database. */
export function isIntentId(id: string): boolean {
  return z.uuid().safeParse(id).success
}

/** Undefined for an unknown id. */
export async function readIntent(db: Database, id: string): Promise<IntentStatus | undefined> {
  if (!isIntentId(id)) return undefined
  const [row] = await db
    .select({ intent: intents, slot: slots })
    .from(intents)
    .leftJoin(slots, eq(slots.intentId, intents.id))
    .where(eq(intents.id, id))
    .orderBy(desc(slots.nonce))
    .limit(1)
  if (row === undefined) return undefined
  const { intent, slot } = row
  return {
    id,
    kind: intent.kind,
    key: intent.key,
    createdAt: intent.createdAt,
    expiresAt: intent.expiresAt,
    state: intent.state === 'sending' && slot !== null ? slot.state : intent.state,
    refusals: intent.refusals,
    lastError: intent.lastError,
    nonce: slot?.nonce ?? null,
    transaction: slot?.minedHash ?? null,
    block: slot?.minedBlock ?? null,
  }
}

/** Whether the intent is final or abandoned. @throws RELAYER_INTENT_UNKNOWN */
export async function isIntentSettled(db: Database, id: string): Promise<boolean> {
  if (!isIntentId(id)) throw unknownIntent(id)
  const [row] = await db.select({ state: intents.state }).from(intents).where(eq(intents.id, id))
  if (row === undefined) throw unknownIntent(id)
  return row.state === 'final' || row.state === 'abandoned'
}

function unknownIntent(id: string): AssentError {
  const message = `There is no intent ${quoteText(id)}.`
  return new AssentError('RELAYER_INTENT_UNKNOWN', message, { facts: { id } })
}

/** State of an intent. @throws RELAYER_INTENT_UNKNOWN */
export async function requireIntent(db: Database, id: string): Promise<IntentStatus> {
  const status = await readIntent(db, id)
  if (status !== undefined) return status
  throw unknownIntent(id)
}

/** At most 100 events of the intent after the event with id `after`, in order. */
export async function readIntentEvents(
  db: Database,
  id: string,
  after: number,
): Promise<IntentEvent[]> {
  return db
    .select({ id: events.id, at: events.at, state: events.state, facts: events.facts })
    .from(events)
    .where(and(eq(events.intentId, id), gt(events.id, after)))
    .orderBy(asc(events.id))
    .limit(100)
}
