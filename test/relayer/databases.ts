/** The two databases that the relayer runs on; tests go over both. */
import { sql } from 'drizzle-orm'

import type { DatabaseLocation, OpenDatabase } from '../../src/relayer/database/database.ts'
import { findPostgres, startPostgres } from '../postgres.ts'

export interface StartedDatabase {
  readonly location: DatabaseLocation
  stop(): Promise<void>
}

export interface DatabaseKind {
  readonly name: string
  start(): Promise<StartedDatabase>
}

const embedded: DatabaseKind = {
  name: 'PGlite',
  start: async () => ({ location: { memory: true }, stop: async () => undefined }),
}

const server: DatabaseKind = {
  name: 'a Postgres server',
  async start() {
    const postgres = await startPostgres()
    return { location: { url: await postgres.createDatabase() }, stop: postgres.stop }
  },
}

export const hasServer = findPostgres() !== undefined

if (!hasServer) console.warn('NOT TESTED: no Postgres server binaries for this machine')

export const databases: readonly DatabaseKind[] = hasServer ? [embedded, server] : [embedded]

export async function truncate({ db }: OpenDatabase): Promise<void> {
  await db.execute(
    sql`truncate accounts, intents, slots, attempts, quotes, events, cursors, collateral, hosts, proposals, heartbeats, heartbeat_nonces cascade`,
  )
}
