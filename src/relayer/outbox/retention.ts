/**
 * Deletes rows after the retention: intents that are final or abandoned, with their quotes, events and nonce slots.
 *
 * A later request for a deleted intent costs no gas: the chain already has the effect, and `isDone` finds it.
 */
import { and, asc, eq, inArray, isNull, lt, notExists, sql } from 'drizzle-orm'

import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Database, DatabaseTransaction } from '../database/database.ts'
import { attempts, events, hosts, intents, quotes, slots } from '../database/schema.ts'
import type { BackgroundJob } from '../upkeep/jobs.ts'

/** Rows to delete, and their age. */
export interface RetentionOptions {
  readonly db: Database
  readonly chainId: number
  readonly clock: Clock
  /** Seconds between the end of an intent and its deletion. */
  readonly retention: number
}

/** 30 days, in seconds. */
export const defaultRetention = 30 * 86_400

/** Intents deleted in one database transaction, so that it stays short. */
const perRound = 500

/** The background job that deletes old rows. */
export function createPruner(options: RetentionOptions): BackgroundJob {
  return {
    name: 'retention',
    everySeconds: 600,
    run: async () => (await prune(options)) === perRound,
  }
}

/** Deletes at most 500 intents and 500 empty slots. @returns the larger number of the two */
export async function prune({ db, chainId, clock, retention }: RetentionOptions): Promise<number> {
  const before = clock() - retention
  return db.transaction(async (tx) => {
    const ids = await selectOld(tx, chainId, before)
    if (ids.length > 0) {
      await tx.delete(events).where(inArray(events.intentId, ids))
      await tx.delete(quotes).where(inArray(quotes.id, ids))
      const carriers = await tx
        .select({ chainId: slots.chainId, account: slots.account, nonce: slots.nonce })
        .from(slots)
        .where(inArray(slots.intentId, ids))
      await removeSlots(tx, carriers)
      // A slot that is empty now may have signed a transaction for the intent before.
      await tx.update(attempts).set({ intentId: null }).where(inArray(attempts.intentId, ids))
      await tx.delete(intents).where(inArray(intents.id, ids))
    }
    const empty = await tx
      .select({ chainId: slots.chainId, account: slots.account, nonce: slots.nonce })
      .from(slots)
      .where(
        and(
          eq(slots.chainId, chainId),
          isNull(slots.intentId),
          inArray(slots.state, ['final', 'abandoned']),
          lt(slots.reservedAt, before),
        ),
      )
      .limit(perRound)
    await removeSlots(tx, empty)
    return Math.max(ids.length, empty.length)
  })
}

/** Ended intents without a host or an unfinished slot that refers to them. */
async function selectOld(
  tx: DatabaseTransaction,
  chainId: number,
  before: number,
): Promise<string[]> {
  const host = tx.select({ one: sql`1` }).from(hosts).where(eq(hosts.intentId, intents.id))
  const live = tx
    .select({ one: sql`1` })
    .from(slots)
    .where(and(eq(slots.intentId, intents.id), sql`${slots.state} not in ('final', 'abandoned')`))
  const rows = await tx
    .select({ id: intents.id })
    .from(intents)
    .where(
      and(
        eq(intents.chainId, chainId),
        lt(intents.settledAt, before),
        notExists(host),
        notExists(live),
      ),
    )
    .orderBy(asc(intents.settledAt))
    .limit(perRound)
    .for('update', { skipLocked: true })
  return rows.map(({ id }) => id)
}

interface NonceSlotKey {
  readonly chainId: number
  readonly account: Hex
  readonly nonce: number
}

/** Deletes slots with their transactions. */
async function removeSlots(tx: DatabaseTransaction, keys: readonly NonceSlotKey[]): Promise<void> {
  for (const [account, own] of Map.groupBy(keys, (key) => key.account)) {
    const nonces = own.map(({ nonce }) => nonce)
    const chainId = own[0]?.chainId ?? 0
    const isOf = (table: typeof slots | typeof attempts) =>
      and(eq(table.chainId, chainId), eq(table.account, account), inArray(table.nonce, nonces))
    await tx.delete(attempts).where(isOf(attempts))
    await tx.delete(slots).where(isOf(slots))
  }
}
