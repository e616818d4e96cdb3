/** Opens an SQL database, an embedded Postgres in a folder or a server, and applies the migrations of a service. */
import { mkdir, readFile } from 'node:fs/promises'

import { PGlite } from '@electric-sql/pglite'
import { type SQL, sql } from 'drizzle-orm'
import { drizzle as drizzleServer } from 'drizzle-orm/node-postgres'
import { migrate as migrateServer } from 'drizzle-orm/node-postgres/migrator'
import type { AnyPgColumn, PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzleEmbedded } from 'drizzle-orm/pglite'
import { migrate as migrateEmbedded } from 'drizzle-orm/pglite/migrator'
import pg from 'pg'

/** The tables of a service, as its `schema.ts` exports them. */
export type Tables = Record<string, unknown>

/** The database on either driver. */
export type SqlDatabase<T extends Tables> = PgDatabase<PgQueryResultHKT, T>

/** An open database. */
export interface OpenSqlDatabase<T extends Tables> {
  readonly db: SqlDatabase<T>
  /** Removes dead rows of an embedded database, as it does itself every minute. A server has its own autovacuum. */
  vacuum(): Promise<void>
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

/** The tables of a service and how they are made. */
export interface SqlService<T extends Tables> {
  readonly schema: T
  /** Folder of the migrations that drizzle-kit wrote. */
  readonly migrationsFolder: string
  /** Table that records which migrations ran; default: drizzle's own. Services in one database need different ones. */
  readonly migrationsTable?: string
  /** Key of the advisory lock: one replica migrates and the others wait. The value is arbitrary. */
  readonly migrationLock: number
  /** Longest time of one statement on a server (milliseconds); default: no limit. */
  readonly statementTimeoutMs?: number
}

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

/** Number of migrations in a folder. */
export async function countMigrations(folder: string): Promise<number> {
  const journal = JSON.parse(await readFile(`${folder}/meta/_journal.json`, 'utf8'))
  return (journal as { entries: unknown[] }).entries.length
}

/** A name for errors: a database URL contains a password, so it must not be shown. */
export function describeLocation(location: DatabaseLocation): string {
  return 'url' in location ? 'server' : 'folder' in location ? location.folder : 'memory'
}

/**
 * Opens the database and applies missing migrations.
 *
 * @throws the driver's error, whose message can name the address: callers turn it into a typed error
 * @example
 * const { db, close } = await openSql({ folder: '.assent/relayer' }, { schema, migrationsFolder, migrationLock: 7 })
 */
export function openSql<T extends Tables>(
  location: DatabaseLocation,
  service: SqlService<T>,
): Promise<OpenSqlDatabase<T>> {
  return 'url' in location ? openServer(location.url, service) : openEmbedded(location, service)
}

/** Opens an embedded Postgres in a folder or in memory. Only one process can use a folder. */
async function openEmbedded<T extends Tables>(
  location: { folder: string } | { memory: true },
  { schema, ...service }: SqlService<T>,
): Promise<OpenSqlDatabase<T>> {
  if ('folder' in location) await mkdir(location.folder, { recursive: true })
  const client = 'folder' in location ? new PGlite(location.folder) : new PGlite()
  await client.waitReady
  const db = drizzleEmbedded(client, { schema })
  await migrateEmbedded(db, migrationsOf(service))
  const vacuum = () => vacuumEmbedded(client)
  // an outage of the database is found and reported by its users
  const timer = setInterval(() => void vacuum().catch(() => undefined), vacuumEveryMs)
  timer.unref()
  const close = () => {
    clearInterval(timer)
    return client.close()
  }
  return { db, vacuum, close }
}

const vacuumEveryMs = 60_000

/**
 * An embedded Postgres has no autovacuum. Without it each statement reads all dead rows, and its plans rest on the empty
 * tables of the first day. The thresholds are those of a server.
 */
async function vacuumEmbedded(client: PGlite): Promise<void> {
  // the counts below are otherwise up to a second old
  await client.exec('select pg_stat_force_next_flush()')
  const { rows } = await client.query<{ name: string }>(`
    select quote_ident(schemaname) || '.' || quote_ident(relname) as name from pg_stat_user_tables
    where n_dead_tup > 50 + n_live_tup / 5 or n_mod_since_analyze > 50 + n_live_tup / 10`)
  for (const { name } of rows) await client.exec(`vacuum (analyze) ${name}`)
}

/** Connects to a Postgres server. Several replicas can share it. */
async function openServer<T extends Tables>(
  url: string,
  service: SqlService<T>,
): Promise<OpenSqlDatabase<T>> {
  const { statementTimeoutMs } = service
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 10_000,
    ...(statementTimeoutMs === undefined ? {} : { statement_timeout: statementTimeoutMs }),
  })
  // the pool replaces a broken idle connection; without a listener the event would end the process
  pool.on('error', () => undefined)
  try {
    await migrateOnce(pool, service)
  } catch (error) {
    await pool.end()
    throw error
  }
  return {
    db: drizzleServer(pool, { schema: service.schema }),
    vacuum: async () => {},
    close: () => pool.end(),
  }
}

/** Applies migrations under an advisory lock, so that replicas that start together do not migrate twice. */
async function migrateOnce<T extends Tables>(pool: pg.Pool, service: SqlService<T>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [service.migrationLock])
    await migrateServer(drizzleServer(client), migrationsOf(service))
    await client.query('select pg_advisory_unlock($1)', [service.migrationLock])
  } finally {
    // Closing the connection also frees the lock if the migration failed.
    client.release(true)
  }
}

function migrationsOf<T extends Tables>(service: Omit<SqlService<T>, 'schema'>) {
  const { migrationsFolder, migrationsTable } = service
  return { migrationsFolder, ...(migrationsTable === undefined ? {} : { migrationsTable }) }
}
