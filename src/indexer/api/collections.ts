/** The lists of the API: a table, the columns by which a client can filter, and what is added to a row. */
import { z } from '@hono/zod-openapi'
import { getTableColumns } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'

import { decodeApproval, stateAt, states } from '../../chain/approval.ts'
import { type StateName, stateTables } from '../database/tables.ts'

/** A list of the API. */
export interface Collection {
  readonly table: StateName
  readonly summary: string
  /** Columns with an index, or of short tables. Any other filter would read the whole table. */
  readonly filters: readonly string[]
  /** Members that follow from the row and a time. */
  readonly derived?: {
    readonly schema: z.ZodRawShape
    readonly read: (row: Record<string, unknown>, time: number) => Record<string, unknown>
  }
}

/** Lists by path. */
export const collections = {
  contracts: { table: 'contracts', summary: 'Followed contracts', filters: [] },
  approvals: {
    table: 'approvals',
    summary: 'Approvals of all kinds, with their state at the time of the last indexed block',
    filters: ['registry', 'kind'],
    derived: {
      schema: { state: z.enum(states) },
      read: (row, time) => ({ state: stateAt(decodeApproval(BigInt(row.word as string)), time) }),
    },
  },
  apps: { table: 'apps', summary: 'Registered apps and their rules', filters: [] },
  announcements: { table: 'announcements', summary: 'Announced calls of apps', filters: [] },
  hosts: { table: 'hosts', summary: 'Hosts with their last host proof', filters: ['firstId'] },
  'host-rules': {
    table: 'hostRules',
    summary: 'Accepted TCB statuses and denied advisories',
    filters: [],
  },
  images: { table: 'images', summary: 'Base images with a name, or closed once', filters: [] },
  'measurement-sets': { table: 'measurementSets', summary: 'Measurement sets', filters: [] },
  'root-keys': { table: 'rootKeys', summary: 'Root keys of the KMS, with epochs', filters: [] },
  bonds: { table: 'bonds', summary: 'Bonds of holders for hosts', filters: [] },
  heartbeats: { table: 'heartbeats', summary: 'Last roots of accounts', filters: [] },
  proposals: { table: 'proposals', summary: 'Proposals with their tallies', filters: [] },
  votes: { table: 'votes', summary: 'Votes', filters: ['proposal'] },
  voters: { table: 'voters', summary: 'Balances, delegates and votes', filters: [] },
  operations: { table: 'operations', summary: 'Operations of the timelock', filters: [] },
  roles: { table: 'roles', summary: 'Roles of the timelock', filters: [] },
} as const satisfies Record<string, Collection>

/** The schema of a row in an answer, from the columns of its table. */
export function rowSchema({ table, derived }: Collection): z.ZodObject {
  const shape = Object.entries(getTableColumns(stateTables[table])).map(
    ([name, column]) => [name, columnSchema(column)] as const,
  )
  return z.object({ ...Object.fromEntries(shape), ...derived?.schema })
}

function columnSchema(column: PgColumn): z.ZodType {
  const schema = valueSchema(column)
  return column.notNull ? schema : schema.nullable()
}

function valueSchema({ dataType }: PgColumn): z.ZodType {
  if (dataType === 'number') return z.number()
  if (dataType === 'boolean') return z.boolean()
  return dataType === 'string' ? z.string() : z.unknown()
}
