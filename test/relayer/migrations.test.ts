/** A database of an older release is brought to the current schema with what it holds. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import { migrate } from 'drizzle-orm/pglite/migrator'
import { afterEach, expect, test } from 'vitest'

import { runToolAside } from '../../scripts/run-tool.ts'
import { openDatabase } from '../../src/relayer/database/database.ts'

const present = fileURLToPath(new URL('../../src/relayer/database/migrations', import.meta.url))
const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

/** A folder with a database as the first `count` migrations made it, holding what `rows` inserts. */
async function createOld(count: number, rows: string): Promise<string> {
  const home = await mkdtemp(path.join(tmpdir(), 'assent-migrations-'))
  folders.push(home)
  const migrations = path.join(home, 'migrations')
  await cp(present, migrations, { recursive: true })
  const file = path.join(migrations, 'meta', '_journal.json')
  const journal = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...journal, entries: journal.entries.slice(0, count) }))
  const data = path.join(home, 'data')
  const client = new PGlite(data)
  await migrate(drizzle(client), { migrationsFolder: migrations })
  await client.exec(rows)
  await client.close()
  return data
}

const host = (id: string, attestedAt: number, expiresAt: number, block: number) =>
  `insert into hosts (chain_id, registry, device_id, operator, attested_at, expires_at, status, fmspc,
     tcb_evaluation_number, proven_at_block, approval_version, advisories, block, failures)
   values (1, '0xaa', '${id}', '0xbb', ${attestedAt}, ${expiresAt}, 0, '', 0, 0, 0, '[]', ${block}, 3);`

test('an intent that was settled earlier is removed after the retention time, not at once', {
  timeout: 120_000,
}, async () => {
  const intent = (id: string, state: string) =>
    `insert into intents (id, chain_id, kind, key, payload, state, created_at, not_before, refusals, version)
     values ('${id}', 1, 'host', '${id}', '{}', '${state}', 100, 100, 0, 1);`
  const event = `insert into events (intent_id, at, state, facts) values ('a', 700, 'final', '{}');`
  const folder = await createOld(
    3,
    intent('a', 'final') + intent('b', 'abandoned') + intent('c', 'queued') + event,
  )

  const { db, close } = await openDatabase({ folder })
  const rows = await db.query.intents.findMany({ orderBy: (table, { asc }) => asc(table.id) })
  await close()

  expect(rows.map(({ settledAt }) => settledAt)).toEqual([700, 100, null])
})

test('unknown values of a host are null and not zero', { timeout: 120_000 }, async () => {
  const folder = await createOld(2, host('0x01', 0, 0, 0) + host('0x02', 500, 900, 7))

  const { db, close } = await openDatabase({ folder })
  const rows = await db.query.hosts.findMany({ orderBy: (table, { asc }) => asc(table.deviceId) })
  await close()

  expect(rows).toMatchObject([
    {
      deviceId: '0x01',
      operator: '0xbb',
      attestedAt: null,
      expiresAt: null,
      block: null,
      failures: 3,
    },
    { deviceId: '0x02', attestedAt: 500, expiresAt: 900, block: 7, advisories: [], failures: 3 },
  ])
})

test('stored intents, hosts and accounts keep their content under the new names', {
  timeout: 120_000,
}, async () => {
  const error = `{"code": "RELAYER_EXPIRED", "message": "late", "facts": {}}`
  const folder = await createOld(
    5,
    `insert into lanes (chain_id, account, genesis, token) values (1, '0xaa', '0xbb', 7);
     insert into intents (id, chain_id, kind, key, payload, state, created_at, not_before, refusals, version, setback)
     values ('a', 1, 'chore', 'k', '{"chore": "queue", "proposalId": "5"}', 'queued', 1, 1, 0, 1, '${error}');
     insert into events (intent_id, at, state, facts) values ('a', 1, 'queued', '{"setback": null, "x": 1}');
     insert into hosts (chain_id, registry, device_id, operator, setback) values (1, '0xaa', '0x01', '0xbb', '${error}');`,
  )

  const { db, close } = await openDatabase({ folder })
  const [accounts, intents, events, hosts] = [
    await db.query.accounts.findMany(),
    await db.query.intents.findMany(),
    await db.query.events.findMany(),
    await db.query.hosts.findMany(),
  ]
  await close()

  expect(accounts).toMatchObject([{ chainId: 1, account: '0xaa', genesis: '0xbb', token: 7 }])
  expect(intents).toMatchObject([
    { kind: 'upkeep', payload: { task: 'queue', proposalId: '5' }, lastError: JSON.parse(error) },
  ])
  expect(events).toMatchObject([{ facts: { lastError: null, x: 1 } }])
  expect(hosts).toMatchObject([{ lastError: JSON.parse(error) }])
})

/** Everything in the catalogue that the SQL of a table decides, without the order of columns: new ones come last. */
async function describeTables(client: PGlite): Promise<unknown[]> {
  const { rows } = await client.query(
    `select table_name || '.' || column_name as name,
            concat_ws(' ', udt_name, numeric_precision, numeric_scale, is_nullable, column_default) as definition
       from information_schema.columns where table_schema = 'public'
     union all
     select indexname, indexdef from pg_indexes where schemaname = 'public'
     union all
     select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
     order by 1, 2`,
  )
  return rows
}

test('the migrations create exactly the tables of schema.ts', { timeout: 120_000 }, async () => {
  const migrated = new PGlite()
  await migrate(drizzle(migrated), { migrationsFolder: present })
  const options = ['--dialect', 'postgresql', '--schema', 'src/relayer/database/schema.ts']
  const { said } = await runToolAside(['drizzle-kit', 'export', ...options])
  const declared = new PGlite()
  await declared.exec(said)

  const tables = await describeTables(migrated)
  expect(tables.length).toBeGreaterThan(100)
  expect(tables).toEqual(await describeTables(declared))
  await Promise.all([migrated.close(), declared.close()])
})
