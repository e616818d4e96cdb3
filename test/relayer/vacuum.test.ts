/** The embedded database removes its dead rows, which a server's autovacuum does. */
import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { hosts } from '../../src/relayer/database/schema.ts'

const timers = vi.spyOn(globalThis, 'setInterval')
let database: OpenDatabase

beforeEach(async () => {
  timers.mockClear()
  database = await openDatabase({ memory: true })
  await database.db.execute(sql`
    insert into ${hosts} (chain_id, registry, device_id, operator)
    select 1, 'registry', id, 'operator' from generate_series(1, 1000) as id`)
})
afterEach(() => database.close())

async function bytes(): Promise<number> {
  const size = sql<number>`pg_total_relation_size('hosts')::int`
  const [row] = await database.db.select({ size }).from(hosts).limit(1)
  if (row === undefined) throw new Error('no hosts')
  return row.size
}

/** Each host is changed in each round, as a renewal does. */
async function change(afterRound: () => Promise<void>): Promise<void> {
  for (let round = 1; round <= 20; round++) {
    await database.db.execute(sql`update ${hosts} set not_before = ${round}`)
    await afterRound()
  }
}

test('rows that change again and again take no more and more space', async () => {
  const before = await bytes()
  await change(() => database.vacuum())

  expect(await bytes()).toBeLessThan(4 * before)
})

test('the database does it by a timer, without a request', async () => {
  const callbacks = timers.mock.calls.filter(([, ms]) => ms === 60_000).map(([run]) => run)
  expect(callbacks).toHaveLength(1)
  const before = await bytes()
  // the next statement waits until the database is done
  await change(async () => callbacks[0]?.())

  expect(await bytes()).toBeLessThan(4 * before)
})

test('a transaction that runs is not disturbed', async () => {
  await change(async () => {})
  let vacuumed: Promise<void> | undefined
  await database.db.transaction(async (tx) => {
    await tx.execute(sql`update ${hosts} set not_before = 21`)
    vacuumed = database.vacuum()
    await tx.execute(sql`update ${hosts} set not_before = 22`)
  })
  await vacuumed

  const found = await database.db.selectDistinct({ notBefore: hosts.notBefore }).from(hosts)
  expect(found).toEqual([{ notBefore: 22 }])
})
