/** The quotes that were accepted and what became of them. */
import { randomUUID } from 'node:crypto'

import { and, asc, desc, eq, gt } from 'drizzle-orm'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import type { Database } from './database.ts'
import type { IntentState, Setback, SlotState } from './outbox.ts'
import { events, intents, quotes, slots } from './schema.ts'

export interface AcceptedQuote {
  readonly chainId: number
  readonly purpose: string
  /** keccak256 of the signed range of the quote */
  readonly digest: Hex
  readonly operator: string
  readonly eventLog: string
  readonly verdict: Record<string, unknown>
  readonly expiresAt: number
  /** What the target needs to encode the call. */
  readonly payload: unknown
  readonly at: number
}

export interface QuoteStatus {
  readonly id: string
  readonly purpose: string
  readonly digest: Hex
  readonly operator: string
  readonly receivedAt: number
  readonly expiresAt: number | null
  readonly state: IntentState | SlotState
  readonly refusals: number
  readonly setback: Setback | null
  readonly nonce: number | null
  readonly transaction: Hex | null
  readonly block: number | null
}

export interface QuoteEvent {
  readonly id: number
  readonly at: number
  readonly state: IntentState | SlotState
  readonly facts: Record<string, unknown>
}

/**
 * Remembers the quote and the intent to bring it to the chain, in one write.
 *
 * The same quote for the same purpose is the same intent. One that was abandoned is taken up again,
 * because whoever repeats the request says that it is still wanted.
 */
export async function acceptQuote(
  db: Database,
  quote: AcceptedQuote,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  return db.transaction(async (tx) => {
    const { purpose: kind, digest: key, chainId, payload, at, expiresAt } = quote
    const fresh = { payload, expiresAt, notBefore: at, refusals: 0, setback: null }
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
      await tx.insert(quotes).values({
        id: inserted.id,
        purpose: kind,
        digest: key,
        operator: quote.operator,
        eventLog: quote.eventLog,
        verdict: quote.verdict,
        receivedAt: at,
      })
      await tx.insert(events).values({ intentId: inserted.id, at, state: 'queued', facts: {} })
      return { id: inserted.id, isNew: true }
    }

    const same = and(eq(intents.chainId, chainId), eq(intents.kind, kind), eq(intents.key, key))
    const [known] = await tx.select().from(intents).where(same).for('update')
    if (known === undefined) throw new Error('an intent vanished between two statements')
    if (known.state === 'abandoned') {
      await tx
        .update(intents)
        .set({ ...fresh, state: 'queued', version: known.version + 1 })
        .where(eq(intents.id, known.id))
      await tx.insert(events).values({ intentId: known.id, at, state: 'queued', facts: {} })
    }
    return { id: known.id, isNew: false }
  })
}

/** @throws RELAYER_QUOTE_UNKNOWN */
export async function readQuote(db: Database, id: string): Promise<QuoteStatus> {
  const [row] = await db
    .select({ quote: quotes, intent: intents, slot: slots })
    .from(quotes)
    .innerJoin(intents, eq(intents.id, quotes.id))
    .leftJoin(slots, eq(slots.intentId, quotes.id))
    .where(eq(quotes.id, id))
    .orderBy(desc(slots.nonce))
    .limit(1)
  if (row === undefined) throw unknownQuote(id)

  const { quote, intent, slot } = row
  return {
    id,
    purpose: quote.purpose,
    digest: quote.digest,
    operator: quote.operator,
    receivedAt: quote.receivedAt,
    expiresAt: intent.expiresAt,
    state: intent.state === 'sending' && slot !== null ? slot.state : intent.state,
    refusals: intent.refusals,
    setback: intent.setback,
    nonce: slot?.nonce ?? null,
    transaction: slot?.minedHash ?? null,
    block: slot?.minedBlock ?? null,
  }
}

/** Events of the quote after the one with id `after`, in order. */
export async function readQuoteEvents(
  db: Database,
  id: string,
  after: number,
): Promise<QuoteEvent[]> {
  return db
    .select({ id: events.id, at: events.at, state: events.state, facts: events.facts })
    .from(events)
    .where(and(eq(events.intentId, id), gt(events.id, after)))
    .orderBy(asc(events.id))
    .limit(100)
}

function unknownQuote(id: string): AssentError {
  return new AssentError('RELAYER_QUOTE_UNKNOWN', `There is no quote ${id}.`, { facts: { id } })
}
