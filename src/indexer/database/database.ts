/** Opens the database of the indexer, an embedded Postgres in a folder or a server, and applies its migrations. */
import { fileURLToPath } from 'node:url'

import { AssentError } from '../../errors/index.ts'
import {
  type DatabaseLocation,
  describeLocation,
  type OpenSqlDatabase,
  openSql,
  type SqlDatabase,
} from '../../lib/sql.ts'
import * as schema from './schema.ts'

/** The database on either driver. */
export type Database = SqlDatabase<typeof schema>

/** A database transaction; not an Ethereum transaction. */
export type DatabaseTransaction = Parameters<Parameters<Database['transaction']>[0]>[0]

/** An open database. */
export type OpenDatabase = OpenSqlDatabase<typeof schema>

const service = {
  schema,
  migrationsFolder: fileURLToPath(new URL('./migrations', import.meta.url)),
  // a relayer can use the same server
  migrationsTable: '__indexer_migrations',
  migrationLock: 0x696e6478,
  statementTimeoutMs: 30_000,
}

/**
 * Opens the database and applies missing migrations.
 *
 * @throws INDEXER_DATABASE_UNREACHABLE
 * @example
 * const { db, close } = await openDatabase({ folder: '.assent/indexer' })
 */
export async function openDatabase(location: DatabaseLocation): Promise<OpenDatabase> {
  try {
    return await openSql(location, service)
  } catch (cause) {
    throw new AssentError('INDEXER_DATABASE_UNREACHABLE', 'Cannot open the database.', {
      cause,
      facts: { where: describeLocation(location) },
    })
  }
}
