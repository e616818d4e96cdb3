/** Opens the database: embedded Postgres in a folder, or a server; brings it to the present schema. */
import { mkdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { PGlite } from '@electric-sql/pglite'
import { type SQL, sql } from 'drizzle-orm'
import { drizzle as drizzleServer } from 'drizzle-orm/node-postgres'
import { migrate as migrateServer } from 'drizzle-orm/node-postgres/migrator'
import type { AnyPgColumn, PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzleEmbedded } from 'drizzle-orm/pglite'
import { migrate as migrateEmbedded } from 'drizzle-orm/pglite/migrator'
import pg from 'pg'

import { AssentError } from '../../errors/index.ts'
import * as schema from './schema.ts'

export type Database = PgDatabase<PgQueryResultHKT, typeof schema>

export type DatabaseTransaction = Parameters<Parameters<Database['transaction']>[0]>[0]

export interface OpenDatabase {
  readonly db: Database
  close(): Promise<void>
}

export type DatabaseLocation =
  /** A Postgres server, shared by replicas. */
  | { readonly url: string }
  /** A folder of this process alone. */
  | { readonly folder: string }
  /** Nothing is kept. */
  | { readonly memory: true }

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url))

/** Rows or ids of one statement: Postgres takes 65,535 parameters, and the driver nests once for each row. */
const perStatement = 1_000

/** Cuts a list into parts, each of which fits into one statement. */
export function inParts<T>(rows: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let from = 0; from < rows.length; from += perStatement) {
    parts.push(rows.slice(from, from + perStatement))
  }
  return parts
}

/** `column in (ids)` with one parameter, however many ids there are. */
export function isOneOf(column: AnyPgColumn, ids: readonly string[]): SQL {
  return sql`${column} in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`
}

/** How many migrations this version of the relayer knows. */
export async function countMigrations(): Promise<number> {
  const journal = JSON.parse(await readFile(`${migrationsFolder}/meta/_journal.json`, 'utf8'))
  return (journal as { entries: unknown[] }).entries.length
}

/** Any number; the same for all replicas, so that one of them migrates and the others wait. */
const migrationLock = 0x61737365

/** @throws RELAYER_DATABASE_UNREACHABLE */
export async function openDatabase(location: DatabaseLocation): Promise<OpenDatabase> {
  try {
    return 'url' in location ? await openServer(location.url) : await openEmbedded(location)
  } catch (cause) {
    // A database URL carries a password: neither the sentence nor the facts may show it.
    const where = 'url' in location ? 'server' : 'folder' in location ? location.folder : 'memory'
    throw new AssentError('RELAYER_DATABASE_UNREACHABLE', 'Cannot open the database.', {
      cause,
      facts: { where },
    })
  }
}

async function openEmbedded(
  location: { folder: string } | { memory: true },
): Promise<OpenDatabase> {
  if ('folder' in location) await mkdir(location.folder, { recursive: true })
  const client = 'folder' in location ? new PGlite(location.folder) : new PGlite()
  await client.waitReady
  const db = drizzleEmbedded(client, { schema })
  await migrateEmbedded(db, { migrationsFolder })
  return { db, close: () => client.close() }
}

async function openServer(url: string): Promise<OpenDatabase> {
  const pool = new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 10_000 })
  // A broken idle connection is replaced by the pool; unheard it would end the process.
  pool.on('error', () => undefined)
  try {
    await migrateOnce(pool)
  } catch (error) {
    await pool.end()
    throw error
  }
  return { db: drizzleServer(pool, { schema }), close: () => pool.end() }
}

async function migrateOnce(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock])
    await migrateServer(drizzleServer(client, { schema }), { migrationsFolder })
    await client.query('select pg_advisory_unlock($1)', [migrationLock])
  } finally {
    // Closing the connection also frees the lock if the migration failed.
    client.release(true)
  }
}
