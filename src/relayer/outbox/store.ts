/**
 * Stores the outbox in SQL. Each write is one database transaction. It needs the lease of the account, and it fails if
 * a row changed since it was read.
 */
import { and, asc, eq, gt, gte, inArray, notInArray, or, sql } from 'drizzle-orm'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { type Database, type DatabaseTransaction, inParts } from '../database/database.ts'
import { accounts, attempts, events, intents, slots } from '../database/schema.ts'
import type {
  AccountOutbox,
  Attempt,
  AwaitingFinality,
  Intent,
  NonceSlot,
  Receipt,
} from './outbox.ts'
import type { Changes } from './transitions.ts'

/** The right to write and send for one account until the lease ends. */
export interface Lease {
  /** Name of the process. */
  readonly holder: string
  /** Fencing token: it grows with each change of the holder. */
  readonly token: number
}

/** The outbox of one account in the database. */
export interface Store {
  /** Takes or extends the lease for this many seconds; null while another holder has it. */
  lease(holder: string, seconds: number): Promise<Lease | null>
  /** Ends the lease early, so that another replica can take over at once. */
  release(lease: Lease): Promise<void>
  /**
   * Loads all rows that can still change.
   *
   * @param finalCount transaction count at the final block; closed slots below it are left out
   * @param queued how many queued intents to load
   * @param inspected nonces whose slots are loaded completely although they are mined
   * @param awaitingFinality mined slots as they were read before; those that are loaded are left out of the result
   */
  load(
    finalCount: number,
    queued: number,
    inspected: readonly number[],
    awaitingFinality: readonly AwaitingFinality[],
  ): Promise<AccountOutbox>
  /** All mined slots whose block is not final. */
  awaitingFinality(): Promise<readonly AwaitingFinality[]>
  /** @throws RELAYER_LEASE_LOST, RELAYER_CONFLICT: nothing is written then */
  commit(lease: Lease, changes: Changes, at: number): Promise<void>
}

/** The account whose outbox is stored, and its chain. */
export interface AccountKey {
  /** EIP-155 chain id. */
  readonly chainId: number
  /** Address of the relayer's account. */
  readonly account: Hex
  /** Hash of block 0. */
  readonly genesis: Hex
}

/**
 * Opens the outbox of an account and creates it at the first start.
 *
 * @throws RELAYER_CHAIN_CHANGED if the rows belong to another chain with the same chain id
 */
export async function openStore(db: Database, key: AccountKey): Promise<Store> {
  const { chainId, account, genesis } = key
  await db.insert(accounts).values({ chainId, account, genesis }).onConflictDoNothing()
  const [outbox] = await db.select().from(accounts).where(ofAccount(key))
  if (outbox?.genesis !== genesis) {
    throw new AssentError(
      'RELAYER_CHAIN_CHANGED',
      `The database belongs to chain ${chainId} with another genesis block.`,
      { facts: { chainId, genesis, remembered: outbox?.genesis ?? null } },
    )
  }
  return {
    lease: (holder, seconds) => takeLease(db, key, holder, seconds),
    release: (lease) => releaseLease(db, key, lease),
    load: (finalCount, queued, inspected, awaitingFinality) =>
      loadAccount(db, key, { finalCount, queued, inspected, awaitingFinality }),
    awaitingFinality: () => selectAwaitingFinality(db, key),
    commit: (lease, changes, at) => commit(db, key, lease, changes, at),
  }
}

function ofAccount({ chainId, account }: AccountKey) {
  return and(eq(accounts.chainId, chainId), eq(accounts.account, account))
}

/* LEASE: by the clock of the database, so that the clocks of replicas may differ */

/**
 * Takes or renews the lease if nobody else holds it. The database's clock decides, so that clocks of replicas may
 * differ.
 */
async function takeLease(
  db: Database,
  key: AccountKey,
  holder: string,
  seconds: number,
): Promise<Lease | null> {
  const until = sql`now() + make_interval(secs => ${seconds})`
  const token = sql<number>`case when ${accounts.holder} = ${holder} and ${accounts.until} > now()
    then ${accounts.token} else ${accounts.token} + 1 end`
  const isFree = or(
    sql`${accounts.holder} is null`,
    eq(accounts.holder, holder),
    sql`${accounts.until} <= now()`,
  )
  const [taken] = await db
    .update(accounts)
    .set({ holder, until, token })
    .where(and(ofAccount(key), isFree))
    .returning({ token: accounts.token })
  return taken === undefined ? null : { holder, token: taken.token }
}

async function releaseLease(db: Database, key: AccountKey, lease: Lease): Promise<void> {
  await db
    .update(accounts)
    .set({ holder: null, until: null })
    .where(and(ofAccount(key), eq(accounts.token, lease.token)))
}

/* READ */

/** The parameters of `Store.load`. */
interface LoadOptions {
  readonly finalCount: number
  readonly queued: number
  readonly inspected: readonly number[]
  readonly awaitingFinality: readonly AwaitingFinality[]
}

/** Loads all rows that can still change, and the next queued intents. */
async function loadAccount(
  db: Database,
  key: AccountKey,
  { finalCount, queued, inspected, awaitingFinality }: LoadOptions,
): Promise<AccountOutbox> {
  const isSettled = inArray(slots.state, ['final', 'abandoned'])
  const isInspected =
    inspected.length === 0
      ? sql`false`
      : sql`${slots.nonce} in (${sql.join([...inspected], sql`, `)})`
  const slotRows = await db
    .select()
    .from(slots)
    .where(
      and(
        eq(slots.chainId, key.chainId),
        eq(slots.account, key.account),
        or(
          notInArray(slots.state, ['final', 'abandoned', 'mined']),
          and(eq(slots.state, 'mined'), isInspected),
          and(isSettled, gte(slots.nonce, finalCount)),
        ),
      ),
    )
    .orderBy(asc(slots.nonce))
    .limit(mostSlots)
  const nonces = slotRows.map(({ nonce }) => nonce)
  const attemptRows =
    nonces.length === 0
      ? []
      : await db
          .select()
          .from(attempts)
          .where(
            and(
              eq(attempts.chainId, key.chainId),
              eq(attempts.account, key.account),
              inArray(attempts.nonce, nonces),
            ),
          )
          .orderBy(asc(attempts.nonce), asc(attempts.ordinal))

  const loaded = new Set(nonces)
  const ids = slotRows.flatMap(({ intentId }) => (intentId === null ? [] : [intentId]))
  const carried = ids.length === 0 ? [] : await selectIntents(db, inArray(intents.id, ids))
  const isQueued = and(eq(intents.chainId, key.chainId), eq(intents.state, 'queued'))
  const waiting = await selectIntents(db, isQueued, queued)
  const attemptsOf = Map.groupBy(attemptRows, ({ nonce }) => nonce)
  return {
    slots: slotRows.map((row) => toSlot(row, attemptsOf.get(row.nonce) ?? [])),
    awaitingFinality: awaitingFinality.filter(({ nonce }) => !loaded.has(nonce)),
    intents: new Map([...carried, ...waiting].map((row) => [row.id, toIntent(row)])),
  }
}

/**
 * Slots loaded at once. `maxInFlight` keeps the number far below; only a final block far in the past can exceed it. A
 * slot that is left out still holds its nonce, because its row exists.
 */
const mostSlots = 2_000

/** Mined slots without their transactions: only nonce and block are needed until something changes. */
async function selectAwaitingFinality(
  db: Database,
  { chainId, account }: AccountKey,
): Promise<AwaitingFinality[]> {
  const rows = await db
    .select({
      nonce: slots.nonce,
      blockNumber: slots.minedBlock,
      blockHash: slots.minedBlockHash,
    })
    .from(slots)
    .where(and(eq(slots.chainId, chainId), eq(slots.account, account), eq(slots.state, 'mined')))
    .orderBy(asc(slots.nonce))
  return rows.flatMap(({ nonce, blockNumber, blockHash }) =>
    blockNumber === null || blockHash === null ? [] : [{ nonce, blockNumber, blockHash }],
  )
}

/** Ordered by `notBefore`, so that intents that wait for a later time do not fill the page. */
function selectIntents(db: Database, condition: ReturnType<typeof and>, limit = 10_000) {
  return db
    .select()
    .from(intents)
    .where(condition)
    .orderBy(asc(intents.notBefore), asc(intents.position))
    .limit(limit)
}

function toIntent(row: typeof intents.$inferSelect): Intent {
  const { chainId: _chain, position: _position, settledAt: _settled, ...intent } = row
  return intent
}

function toSlot(
  row: typeof slots.$inferSelect,
  attemptRows: readonly (typeof attempts.$inferSelect)[],
): NonceSlot {
  const { to, data, value, gas } = row
  return {
    nonce: row.nonce,
    intentId: row.intentId,
    call:
      to === null || data === null || value === null || gas === null
        ? null
        : { to, data, value, gas },
    state: row.state,
    reservedAt: row.reservedAt,
    attempts: attemptRows.map(toAttempt),
    mined: toReceipt(row),
    closedAt: row.closedAt,
    version: row.version,
  }
}

function toAttempt(row: typeof attempts.$inferSelect): Attempt {
  const { hash, raw, kind, intentId, signedAt, sentAt, answer, maxFee, tip } = row
  return { hash, raw, kind, intentId, signedAt, sentAt, answer, fees: { maxFee, tip } }
}

function toReceipt(row: typeof slots.$inferSelect): Receipt | null {
  const { minedHash, minedBlock, minedBlockHash, minedSucceeded, minedCost } = row
  if (minedHash === null || minedBlock === null || minedBlockHash === null) return null
  return {
    hash: minedHash,
    blockNumber: minedBlock,
    blockHash: minedBlockHash,
    succeeded: minedSucceeded ?? false,
    cost: minedCost ?? 0n,
  }
}

/* WRITE */

/**
 * Writes rows in one database transaction: first the lease is checked, then each row must still have the version that
 * was read.
 */
async function commit(
  db: Database,
  key: AccountKey,
  lease: Lease,
  changes: Changes,
  at: number,
): Promise<void> {
  await db.transaction(async (tx) => {
    await requireLease(tx, key, lease)
    await writeIntents(tx, changes.intents, at)
    await writeSlots(tx, key, changes.slots)
    for (const part of inParts(toEvents(changes, at))) await tx.insert(events).values(part)
  })
}

/** Locks the account's row, so that the holder cannot change during this write. */
async function requireLease(tx: DatabaseTransaction, key: AccountKey, lease: Lease): Promise<void> {
  const [held] = await tx
    .select({ token: accounts.token })
    .from(accounts)
    .where(and(ofAccount(key), eq(accounts.token, lease.token), gt(accounts.until, sql`now()`)))
    .for('update')
  if (held === undefined) {
    throw new AssentError('RELAYER_LEASE_LOST', 'The lease of the account is lost.', {
      facts: { account: key.account, holder: lease.holder, token: lease.token },
    })
  }
}

/** Writes all intents in one statement, because a poll can change hundreds. Kind, key and payload never change. */
async function writeIntents(
  tx: DatabaseTransaction,
  changed: readonly Intent[],
  at: number,
): Promise<void> {
  if (changed.length === 0) return
  const rows = changed.map(({ id, version, state, notBefore, refusals, lastError }) => {
    const settled_at = state === 'final' || state === 'abandoned' ? at : null
    return {
      id,
      version,
      state,
      not_before: notBefore,
      refusals,
      last_error: lastError,
      settled_at,
    }
  })
  const written = await tx
    .update(intents)
    .set({
      state: sql`new.state`,
      notBefore: sql`new.not_before`,
      refusals: sql`new.refusals`,
      lastError: sql`new.last_error`,
      settledAt: sql`new.settled_at`,
      version: sql`new.version + 1`,
    })
    .from(sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as new(
      id text, version integer, state text, not_before bigint, refusals integer, last_error jsonb,
      settled_at bigint)`)
    .where(and(eq(intents.id, sql`new.id`), eq(intents.version, sql`new.version`)))
    .returning({ id: intents.id })
  const done = new Set(written.map(({ id }) => id))
  const stale = changed.find(({ id }) => !done.has(id))
  if (stale !== undefined) throw conflict('intent', stale.id)
}

/** Writes slots and their transactions. */
async function writeSlots(
  tx: DatabaseTransaction,
  key: AccountKey,
  changed: readonly NonceSlot[],
): Promise<void> {
  for (const part of inParts(changed)) await writeSomeSlots(tx, key, part)
  const all = changed.flatMap(({ nonce, attempts: own }) =>
    own.map((attempt, ordinal) => toAttemptRow(key, nonce, ordinal, attempt)),
  )
  for (const part of inParts(all)) {
    await tx
      .insert(attempts)
      .values(part)
      .onConflictDoUpdate({
        target: attempts.hash,
        set: {
          ordinal: sql`excluded.ordinal`,
          sentAt: sql`excluded.sent_at`,
          answer: sql`excluded.answer`,
        },
      })
  }
}

/** A new slot must not exist; a known slot must have the version that was read. */
async function writeSomeSlots(
  tx: DatabaseTransaction,
  key: AccountKey,
  changed: readonly NonceSlot[],
): Promise<void> {
  const written = await tx
    .insert(slots)
    .values(changed.map((slot) => toRow(key, slot)))
    .onConflictDoUpdate({
      target: [slots.chainId, slots.account, slots.nonce],
      set: excludedSlot,
      setWhere: sql`${slots.version} = excluded.version - 1`,
    })
    .returning({ nonce: slots.nonce, isNew: sql<boolean>`${slots}.xmax = 0` })
  const isNew = new Map(written.map((row) => [row.nonce, row.isNew]))
  const stale = changed.find(({ nonce, version }) => isNew.get(nonce) !== (version === 0))
  if (stale !== undefined) throw conflict('slot', stale.nonce)
}

/** All columns of a slot that can change, for the update on conflict. */
const excludedSlot = {
  intentId: sql`excluded.intent_id`,
  state: sql`excluded.state`,
  to: sql`excluded."to"`,
  data: sql`excluded.data`,
  value: sql`excluded.value`,
  gas: sql`excluded.gas`,
  reservedAt: sql`excluded.reserved_at`,
  minedHash: sql`excluded.mined_hash`,
  minedBlock: sql`excluded.mined_block`,
  minedBlockHash: sql`excluded.mined_block_hash`,
  minedSucceeded: sql`excluded.mined_succeeded`,
  minedCost: sql`excluded.mined_cost`,
  closedAt: sql`excluded.closed_at`,
  version: sql`excluded.version`,
}

function toRow({ chainId, account }: AccountKey, slot: NonceSlot): typeof slots.$inferInsert {
  return {
    chainId,
    account,
    nonce: slot.nonce,
    intentId: slot.intentId,
    state: slot.state,
    to: slot.call?.to ?? null,
    data: slot.call?.data ?? null,
    value: slot.call?.value ?? null,
    gas: slot.call?.gas ?? null,
    reservedAt: slot.reservedAt,
    minedHash: slot.mined?.hash ?? null,
    minedBlock: slot.mined?.blockNumber ?? null,
    minedBlockHash: slot.mined?.blockHash ?? null,
    minedSucceeded: slot.mined?.succeeded ?? null,
    minedCost: slot.mined?.cost ?? null,
    closedAt: slot.closedAt,
    version: slot.version + 1,
  }
}

function toAttemptRow(
  { chainId, account }: AccountKey,
  nonce: number,
  ordinal: number,
  { fees, ...attempt }: Attempt,
): typeof attempts.$inferInsert {
  return { ...attempt, ...fees, chainId, account, nonce, ordinal }
}

/** Events for clients that follow an intent: each change of its state. */
function toEvents(changes: Changes, at: number): (typeof events.$inferInsert)[] {
  const ofSlots = changes.slots.flatMap((slot) => {
    if (slot.intentId === null) return []
    const transaction = slot.mined?.hash ?? slot.attempts.at(-1)?.hash ?? null
    const block = slot.mined?.blockNumber ?? null
    const facts = { nonce: slot.nonce, transaction, block }
    return [{ intentId: slot.intentId, at, state: slot.state, facts }]
  })
  const ofIntents = changes.intents.flatMap(({ id, state, lastError }) =>
    state === 'sending' ? [] : [{ intentId: id, at, state, facts: { lastError } }],
  )
  return [...ofSlots, ...ofIntents]
}

/** The row changed since it was read: the next poll reads it again. */
function conflict(row: string, id: string | number): AssentError {
  return new AssentError('RELAYER_CONFLICT', `The ${row} ${id} was changed by another writer.`, {
    facts: { row, id },
  })
}
