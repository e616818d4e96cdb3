/** The state tables by name. A table that is listed here is unwound with a block. */
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'

import * as schema from './schema.ts'

/** A table with one row for each thing. */
export type StateTable = PgTable & {
  readonly id: PgColumn
  readonly block: PgColumn
  readonly $inferSelect: { id: string; block: number }
  readonly $inferInsert: { id: string; block: number }
}

/** State tables by the name that undo records use. */
export const stateTables = {
  contracts: schema.contracts,
  approvals: schema.approvals,
  apps: schema.apps,
  announcements: schema.announcements,
  hosts: schema.hosts,
  hostRules: schema.hostRules,
  images: schema.images,
  measurementSets: schema.measurementSets,
  rootKeys: schema.rootKeys,
  bonds: schema.bonds,
  heartbeats: schema.heartbeats,
  proposals: schema.proposals,
  votes: schema.votes,
  voters: schema.voters,
  operations: schema.operations,
  roles: schema.roles,
} as const

/** Name of a state table. */
export type StateName = keyof typeof stateTables

/** A row without the columns that the indexer sets itself. */
export type State<N extends StateName> = Omit<
  (typeof stateTables)[N]['$inferSelect'],
  'id' | 'block'
>
