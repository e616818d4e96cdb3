/** Stores accepted quotes and reads their state. */
import { eq } from 'drizzle-orm'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { quoteText } from '../../lib/printable.ts'
import type { Database } from '../database/database.ts'
import { quotes } from '../database/schema.ts'
import {
  type IntentStatus,
  isIntentId,
  type PutIntent,
  putIntent,
  readIntent,
} from '../outbox/intents.ts'

/** A verified quote to store; times in unix seconds. */
export interface AcceptedQuote {
  readonly chainId: number
  /** One of `purposes`. */
  readonly purpose: string
  /** keccak256 of the signed part of the quote. */
  readonly digest: Hex
  /** Name of the client, or `renewal`. */
  readonly operator: string
  /** Unchanged, for later audits. */
  readonly eventLog: string
  /** Facts of the off-chain verification. */
  readonly verdict: Record<string, unknown>
  /** When quote, permit or collateral ends; the intent is abandoned then. */
  readonly expiresAt: number
  /** The data from which the target encodes the call. */
  readonly payload: unknown
  /** When the quote was received. */
  readonly at: number
}

/** State of a quote as `GET /v1/quotes/{id}` returns it. */
export interface QuoteStatus extends Omit<IntentStatus, 'kind' | 'key' | 'createdAt'> {
  /** One of `purposes`. */
  readonly purpose: string
  /** keccak-256 of the quote's signed part: the id of the quote on-chain. */
  readonly digest: Hex
  /** Name of the client that submitted it. */
  readonly operator: string
  /** Unix seconds. */
  readonly receivedAt: number
}

/**
 * Stores the quote and the intent that submits it, in one database transaction. The same quote for the same purpose is
 * one intent.
 */
export async function acceptQuote(db: Database, quote: AcceptedQuote): Promise<PutIntent> {
  return db.transaction(async (tx) => {
    const { purpose, digest, chainId, payload, at, expiresAt } = quote
    const put = await putIntent(tx, { chainId, kind: purpose, key: digest, payload, expiresAt, at })
    if (put.isNew) {
      await tx.insert(quotes).values({
        id: put.id,
        purpose,
        digest,
        operator: quote.operator,
        eventLog: quote.eventLog,
        verdict: quote.verdict,
        receivedAt: at,
      })
    }
    return put
  })
}

/** State of a quote. @throws RELAYER_QUOTE_UNKNOWN */
export async function readQuote(db: Database, id: string): Promise<QuoteStatus> {
  const [quote] = isIntentId(id) ? await db.select().from(quotes).where(eq(quotes.id, id)) : []
  const intent = quote === undefined ? undefined : await readIntent(db, id)
  if (quote === undefined || intent === undefined) {
    throw new AssentError('RELAYER_QUOTE_UNKNOWN', `There is no quote ${quoteText(id)}.`, {
      facts: { id },
    })
  }
  const { kind: _kind, key: _key, createdAt: _created, ...status } = intent
  return {
    ...status,
    purpose: quote.purpose,
    digest: quote.digest,
    operator: quote.operator,
    receivedAt: quote.receivedAt,
  }
}
