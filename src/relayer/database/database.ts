/** Opens the database of the relayer, an embedded Postgres in a folder or a server, and applies its migrations. */
import { fileURLToPath } from 'node:url'

import { AssentError } from '../../errors/index.ts'
import {
  countMigrations as countIn,
  type DatabaseLocation,
  describeLocation,
  type OpenSqlDatabase,
  openSql,
  type SqlDatabase,
} from '../../lib/sql.ts'
import * as schema from './schema.ts'

export { type DatabaseLocation, inParts, isOneOf } from '../../lib/sql.ts'

/** The database on either driver. */
export type Database = SqlDatabase<typeof schema>

/** A database transaction; not an Ethereum transaction. */
export type DatabaseTransaction = Parameters<Parameters<Database['transaction']>[0]>[0]

/** An open database. */
export type OpenDatabase = OpenSqlDatabase<typeof schema>

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url))

/** Number of migrations in this version of the relayer. */
export function countMigrations(): Promise<number> {
  return countIn(migrationsFolder)
}

/** Key of the advisory lock under which the relayer migrates. */
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
    return await openSql(location, { schema, migrationsFolder, migrationLock })
  } catch (cause) {
    throw new AssentError('RELAYER_DATABASE_UNREACHABLE', 'Cannot open the database.', {
      cause,
      facts: { where: describeLocation(location) },
    })
  }
}
