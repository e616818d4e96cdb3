/**
 * Removes what is long settled: an intent that is final or abandoned, with its quote, its events and the nonces that
 * carried it. The chain remembers the rest: what is asked for again is seen to be so, without gas.
 */
import { and, asc, eq, inArray, isNull, lt, notExists, sql } from 'drizzle-orm'

import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Database, DatabaseTransaction } from '../database/database.ts'
import { attempts, events, hosts, intents, quotes, slots } from '../database/schema.ts'
import type { BackgroundJob } from '../upkeep/jobs.ts'

export interface RetentionOptions {
  readonly db: Database
  readonly chainId: number
  readonly clock: Clock
  /** Seconds for which a settled intent is kept. */
  readonly retention: number
}

/** Seconds: 30 days. */
export const defaultRetention = 30 * 86_400

/** Intents removed in one write, so that none of them takes long. */
const perRound = 500

export function createPruner(options: RetentionOptions): BackgroundJob {
  return {
    name: 'retention',
    everySeconds: 600,
    run: async () => (await prune(options)) === perRound,
  }
}

/** @returns how many rows of the longer list were removed, intents or nonces without one */
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
      // A nonce that was emptied since may have been signed for it once.
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

/** What nothing under way refers to. */
async function selectOld(
  tx: DatabaseTransaction,
  chainId: number,
  before: number,
): Promise<string[]> {
  const keeper = tx.select({ one: sql`1` }).from(hosts).where(eq(hosts.intentId, intents.id))
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
        notExists(keeper),
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
