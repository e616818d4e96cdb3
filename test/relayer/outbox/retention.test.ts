/** Rows that are finished for long are deleted and no others; no query reads a whole table. */
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Hex } from '../../../src/lib/bytes.ts'
import {
  type Database,
  type OpenDatabase,
  openDatabase,
} from '../../../src/relayer/database/database.ts'
import {
  attempts,
  events,
  hosts,
  intents,
  quotes,
  slots,
} from '../../../src/relayer/database/schema.ts'
import { acceptQuote } from '../../../src/relayer/intake/quotes.ts'
import {
  isIntentSettled,
  readIntent,
  readIntentEvents,
} from '../../../src/relayer/outbox/intents.ts'
import type { Intent } from '../../../src/relayer/outbox/outbox.ts'
import { prune } from '../../../src/relayer/outbox/retention.ts'
import { type Lease, openStore, type Store } from '../../../src/relayer/outbox/store.ts'
import * as next from '../../../src/relayer/outbox/transitions.ts'
import { databases, type StartedDatabase, truncate } from '../databases.ts'

const day = 86_400
const start = 1_800_000_000
const account: Hex = `0x${'aa'.repeat(20)}`
const call = { to: account, data: '0x01', value: 0n, gas: 21_000n } as const

describe.each(databases)('retention on $name', ({ start: startDatabase }) => {
  let started: StartedDatabase
  let database: OpenDatabase
  let db: Database
  let store: Store
  let lease: Lease
  beforeAll(async () => {
    started = await startDatabase()
    database = await openDatabase(started.location)
    db = database.db
  })
  beforeEach(async () => {
    await truncate(database)
    store = await openStore(db, { chainId: 1, account, genesis: '0x00' })
    lease = (await store.lease('me', 60)) as Lease
  })
  afterAll(async () => {
    await database.close()
    await started.stop()
  })

  const accept = (key: string) =>
    acceptQuote(db, {
      chainId: 1,
      purpose: 'host',
      digest: key as Hex,
      operator: 'test',
      eventLog: '[]',
      verdict: {},
      expiresAt: start + day,
      payload: {},
      at: start,
    })
  const load = async () => store.load(0, 100, [], await store.awaitingFinality())
  const keep = (retention: number, at: number) =>
    prune({ db, chainId: 1, clock: () => at, retention })
  const count = async (table: typeof intents | typeof slots) =>
    (await db.select().from(table)).length

  /** Reserved, signed and, if `closes`, final. */
  async function bring(key: string, nonce: number, closes: boolean): Promise<string> {
    const { id } = await accept(key)
    const intent = (await load()).intents.get(id) as Intent
    await store.commit(lease, next.reserve(intent, call, nonce, start), start)
    const slot = () => load().then(({ slots: all }) => all.find((each) => each.nonce === nonce))
    const reserved = await slot()
    if (reserved === undefined) throw new Error('not reserved')
    const attempt = {
      hash: `0x${key}` as Hex,
      raw: '0x02' as Hex,
      kind: 'call' as const,
      intentId: id,
      fees: { maxFee: 2n, tip: 1n },
      signedAt: start,
      sentAt: null,
      answer: null,
    }
    await store.commit(lease, next.signed(reserved, attempt), start)
    if (!closes) return id
    const signed = await slot()
    const sending = (await load()).intents.get(id)
    if (signed === undefined || sending === undefined) throw new Error('not signed')
    const outcome = { slot: signed, intent: sending, isDone: true, block: 9, at: start }
    const receipt = {
      hash: attempt.hash,
      blockNumber: 8,
      blockHash: '0x08' as Hex,
      succeeded: true,
      cost: 1n,
    }
    await store.commit(lease, next.settled(outcome, attempt, receipt, {} as never), start)
    return id
  }

  test('removes a settled intent with its quote, events, nonce and transactions', async () => {
    const id = await bring('a', 0, true)
    expect(await keep(30 * day, start + 30 * day)).toBe(0)
    expect(await readIntent(db, id)).toMatchObject({ state: 'final' })

    expect(await keep(30 * day, start + 30 * day + 1)).toBe(1)
    for (const table of [intents, quotes, slots, attempts, events]) {
      expect(await db.select().from(table)).toEqual([])
    }
    const again = await accept('a')
    expect(again).toMatchObject({ isNew: true })
  })

  test('keeps unfinished, referenced and repeated intents', async () => {
    await bring('live', 0, false)
    const { id: queued } = await accept('queued')
    const waited = await bring('waited', 1, true)
    await db.insert(hosts).values({
      chainId: 1,
      registry: '0xaa',
      deviceId: '0x01',
      operator: '0xbb',
      intentId: waited,
    })
    const { id: dropped } = await accept('dropped')
    const intent = (await load()).intents.get(dropped) as Intent
    await store.commit(lease, { intents: [next.expired(intent)], slots: [] }, start)
    await accept('dropped')

    expect(await keep(30 * day, start + 300 * day)).toBe(0)
    expect(await count(intents)).toBe(4)
    expect(await count(slots)).toBe(2)
    expect(await readIntent(db, queued)).toMatchObject({ state: 'queued' })
  })

  test('removes old empty slots but no open one', async () => {
    await store.commit(lease, next.fill(0, start), start)
    await store.commit(lease, next.fill(1, start), start)
    await db.update(slots).set({ state: 'abandoned', closedAt: 1 }).where(eq(slots.nonce, 0))
    expect(await keep(30 * day, start + 31 * day)).toBe(1)
    expect((await db.select().from(slots)).map(({ nonce }) => nonce)).toEqual([1])
  })

  /** Ids of intents are UUIDs. */
  const idOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

  test('no request and no poll reads a whole table', { timeout: 120_000 }, async () => {
    await db.execute(sql`
      insert into intents (id, chain_id, kind, key, payload, state, created_at, not_before, refusals, version, settled_at)
      select '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), 1, 'host', n::text, '{}',
        case when n % 10 = 0 then 'queued' else 'final' end, n, n, 0, 1, case when n % 10 = 0 then null else n end
      from generate_series(1, 20000) n`)
    await db.execute(sql`
      insert into slots (chain_id, account, nonce, intent_id, state, reserved_at, closed_at, version)
      select 1, ${account}, n, '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), 'final', n, 5, 1 from generate_series(1, 20000) n where n % 10 <> 0`)
    await db.execute(sql`
      insert into events (intent_id, at, state, facts)
      select '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), n, 'final', '{}' from generate_series(1, 20000) n`)
    await db.execute(sql`analyze`)
    const scansOf = async (tx: Database) => {
      const { rows } = (await tx.execute(sql`
        select relname, seq_scan::int as scans from pg_stat_xact_user_tables where
          relname in ('intents', 'slots', 'events', 'attempts')`)) as unknown as {
        rows: { relname: string; scans: number }[]
      }
      return new Map(rows.map(({ relname, scans }) => [relname, scans]))
    }
    // earlier statements of the connection can be in the view too, so the difference counts
    const scanned = (ask: (tx: Database) => Promise<unknown>) =>
      db.transaction(async (tx) => {
        const before = await scansOf(tx as unknown as Database)
        await ask(tx as unknown as Database)
        const after = await scansOf(tx as unknown as Database)
        return [...after]
          .filter(([relname, scans]) => scans > (before.get(relname) ?? 0))
          .map(([relname]) => ({ relname }))
      })
    expect(await scanned((tx) => readIntent(tx, idOf(77)))).toEqual([])
    expect(await scanned((tx) => isIntentSettled(tx, idOf(77)))).toEqual([])
    expect(await scanned((tx) => readIntentEvents(tx, idOf(77), 0))).toEqual([])
    expect(
      await scanned(async (tx) => {
        const own = await openStore(tx, { chainId: 1, account, genesis: '0x00' })
        const outbox = await own.load(20_001, 16, [], [])
        expect([...outbox.intents.keys()]).toEqual(
          Array.from({ length: 16 }, (_, index) => idOf((index + 1) * 10)),
        )
      }),
    ).toEqual([])
    expect(
      await scanned((tx) =>
        tx
          .select({ n: sql`count(*)` })
          .from(slots)
          .where(sql`
        chain_id = 1 and account = ${account} and reserved_at >= 19900`),
      ),
    ).toEqual([])
    // The probe itself can fail.
    expect(await scanned((tx) => tx.select().from(slots).where(sql`gas = 3`))).toEqual([
      { relname: 'slots' },
    ])
  })
})
