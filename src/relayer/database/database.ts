/** Opens the database, an embedded Postgres in a folder or a server, and applies the migrations. */
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

/** The database on either driver. */
export type Database = PgDatabase<PgQueryResultHKT, typeof schema>

/** A database transaction; not an Ethereum transaction. */
export type DatabaseTransaction = Parameters<Parameters<Database['transaction']>[0]>[0]

/** An open database. */
export interface OpenDatabase {
  readonly db: Database
  /** Finishes running statements and closes all connections. */
  close(): Promise<void>
}

/** Address of the database. */
export type DatabaseLocation =
  /** A Postgres server, which several replicas can share. */
  | { readonly url: string }
  /** A folder that only this process uses. */
  | { readonly folder: string }
  /** Nothing is stored on disk; for tests. */
  | { readonly memory: true }

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url))

/** Rows in one statement. Postgres accepts 65,535 parameters, and the query builder recurses once for each row. */
const perStatement = 1_000

/** Splits a list into parts that fit into one statement. */
export function inParts<T>(rows: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let from = 0; from < rows.length; from += perStatement) {
    parts.push(rows.slice(from, from + perStatement))
  }
  return parts
}

/** `column in (ids)` with a single parameter for any number of ids. */
export function isOneOf(column: AnyPgColumn, ids: readonly string[]): SQL {
  return sql`${column} in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`
}

/** Number of migrations in this version of the relayer. */
export async function countMigrations(): Promise<number> {
  const journal = JSON.parse(await readFile(`${migrationsFolder}/meta/_journal.json`, 'utf8'))
  return (journal as { entries: unknown[] }).entries.length
}

/** Key of an advisory lock: one replica migrates and the others wait. The value is arbitrary. */
const migrationLock = 0x61737365

/**
 * Opens the database and applies missing migrations.
 *
 * @throws RELAYER_DATABASE_UNREACHABLE
 * @example
 * const { db, close } = await openDatabase({ folder: '.assent/relayer' })
 */
export async function openDatabase(location: DatabaseLocation): Promise<OpenDatabase> {
  try {
    return 'url' in location ? await openServer(location.url) : await openEmbedded(location)
  } catch (cause) {
    // a database URL contains a password, so the error must not show it
    const where = 'url' in location ? 'server' : 'folder' in location ? location.folder : 'memory'
    throw new AssentError('RELAYER_DATABASE_UNREACHABLE', 'Cannot open the database.', {
      cause,
      facts: { where },
    })
  }
}

/** Opens an embedded Postgres in a folder or in memory. Only one process can use a folder. */
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

/** Connects to a Postgres server. Several replicas of the relayer can share it. */
async function openServer(url: string): Promise<OpenDatabase> {
  const pool = new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 10_000 })
  // the pool replaces a broken idle connection; without a listener the event would end the process
  pool.on('error', () => undefined)
  try {
    await migrateOnce(pool)
  } catch (error) {
    await pool.end()
    throw error
  }
  return { db: drizzleServer(pool, { schema }), close: () => pool.end() }
}

/** Applies migrations under an advisory lock, so that replicas that start together do not migrate twice. */
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
