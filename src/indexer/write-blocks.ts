/**
 * Writes the events of blocks into the tables, and takes blocks back.
 *
 * Everything that belongs to a block is written in one transaction with the position, so a crash leaves whole blocks. The
 * position is moved by compare-and-set, so nothing is indexed twice, also with several replicas.
 *
 * Undo records make a reorg exact: before a block that is not final changes a row for the first time, the row is stored as
 * it was. To unwind blocks, the oldest record of each row is restored. This is right for any event, because it does not
 * depend on the meaning of the event.
 */
import { and, asc, eq, getTableColumns, gt, lt, lte, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { inParts, isOneOf } from '../lib/sql.ts'
import { type Change, change, type IndexedEvent, type ReadRow } from './change.ts'
import { eventsOfRole, type Role } from './contracts/index.ts'
import { newContract } from './contracts/new-rows.ts'
import type { Database, DatabaseTransaction } from './database/database.ts'
import { blocks, events, positions, undo } from './database/schema.ts'
import { type StateName, stateTables } from './database/tables.ts'
import { subjectOf } from './decode.ts'

/** The events of one block that is not final, or of many blocks that are. */
export interface Batch {
  /** Key of the position (`openFollower`). */
  readonly position: string
  /** First block. */
  readonly from: number
  /** Last block. */
  readonly last: { readonly number: number; readonly hash: Hex; readonly time: number }
  /** In the order of the chain, each with the role of its contract. */
  readonly events: readonly (readonly [Role, IndexedEvent])[]
  /** Contracts that are followed from now on. */
  readonly added: readonly (readonly [Hex, Role])[]
  /** Number of the final block: older blocks need no undo records. */
  readonly final: number
}

type Row = Record<string, unknown>
type Rows = Map<string, Row | undefined>

/** @throws INDEXER_POSITION_MOVED if another replica was faster */
export async function writeBlocks(db: Database, batch: Batch): Promise<void> {
  const { last, final, from } = batch
  const changes = toChanges(batch)
  await db.transaction(async (tx) => {
    await movePosition(tx, batch.position, from, last.number + 1, last.time)
    const before = await readRows(tx, changes)
    const { rows, touched } = foldChanges(before, changes)
    if (last.number > final) await writeUndo(tx, last.number, before, touched)
    await writeRows(tx, last.number, rows, touched)
    await writeEvents(tx, batch)
    await tx.insert(blocks).values(last).onConflictDoUpdate({ target: blocks.number, set: last })
    const oldest = Math.min(final, last.number)
    await tx.delete(blocks).where(lt(blocks.number, oldest))
    await tx.delete(undo).where(lte(undo.block, oldest))
  })
}

/**
 * Takes back all blocks after `ancestor`: every table is as it was after that block.
 *
 * @param next the position before, to detect another replica
 * @throws INDEXER_POSITION_MOVED
 */
export async function unwindBlocks(
  db: Database,
  position: string,
  next: number,
  ancestor: { readonly number: number; readonly time: number },
): Promise<void> {
  await db.transaction(async (tx) => {
    await movePosition(tx, position, next, ancestor.number + 1, ancestor.time)
    const later = gt(undo.block, ancestor.number)
    const records = await tx.select().from(undo).where(later).orderBy(asc(undo.block))
    const oldest = new Map<string, (typeof records)[number]>()
    for (const record of records) {
      const key = `${record.table} ${record.rowId}`
      if (!oldest.has(key)) oldest.set(key, record)
    }
    for (const [name, table] of Object.entries(stateTables)) {
      const restored = [...oldest.values()].filter((record) => record.table === name)
      const created = restored.filter(({ before }) => before === null).map(({ rowId }) => rowId)
      if (created.length > 0) await tx.delete(table).where(isOneOf(table.id, created))
      await upsert(
        tx,
        table,
        restored.flatMap(({ before }) => (before === null ? [] : [before])),
      )
    }
    await tx.delete(events).where(gt(events.block, ancestor.number))
    await tx.delete(blocks).where(gt(blocks.number, ancestor.number))
    await tx.delete(undo).where(later)
  })
}

async function movePosition(
  tx: DatabaseTransaction,
  id: string,
  from: number,
  next: number,
  time: number,
): Promise<void> {
  const moved = await tx
    .update(positions)
    .set({ next, time })
    .where(and(eq(positions.id, id), eq(positions.next, from)))
    .returning({ id: positions.id })
  if (moved.length === 1) return
  throw new AssentError('INDEXER_POSITION_MOVED', `Block ${from} is indexed already.`, {
    facts: { block: from },
  })
}

function toChanges({ added, events: indexed }: Batch): readonly Change[] {
  const created = added.map(([address, role]) =>
    change('contracts', address, (row) => row ?? newContract(role)),
  )
  const caused = indexed.flatMap(([role, event]) => {
    const { handlers } = eventsOfRole[role]
    return Object.hasOwn(handlers, event.name) ? (handlers[event.name]?.(event) ?? []) : []
  })
  return [...created, ...caused]
}

/** All rows that the changes read, by table and id. */
async function readRows(
  tx: DatabaseTransaction,
  changes: readonly Change[],
): Promise<ReadonlyMap<StateName, Rows>> {
  const found = new Map<StateName, Rows>()
  for (const [name, some] of Map.groupBy(changes, ({ table }) => table)) {
    const ids = [...new Set(some.flatMap(({ id, reads }) => [id, ...reads]))]
    const rows: Rows = new Map(ids.map((id) => [id, undefined]))
    const table = stateTables[name]
    for (const part of inParts(ids)) {
      const known = (await tx
        .select()
        .from(table as PgTable)
        .where(isOneOf(table.id, part))) as Row[]
      for (const row of known) rows.set(row.id as string, row)
    }
    found.set(name, rows)
  }
  return found
}

function foldChanges(before: ReadonlyMap<StateName, Rows>, changes: readonly Change[]) {
  const rows = new Map([...before].map(([name, some]) => [name, new Map(some)]))
  const touched = new Map<StateName, Set<string>>()
  const read = ((name: StateName, id: string) => rows.get(name)?.get(id)) as ReadRow
  for (const { table, id, fold } of changes) {
    const of = rows.get(table) as Rows
    const row = fold(of.get(id), read)
    if (row === undefined) continue
    of.set(id, { ...row, id })
    const ids = touched.get(table) ?? new Set()
    touched.set(table, ids.add(id))
  }
  return { rows, touched }
}

async function writeUndo(
  tx: DatabaseTransaction,
  block: number,
  before: ReadonlyMap<StateName, Rows>,
  touched: ReadonlyMap<StateName, ReadonlySet<string>>,
): Promise<void> {
  const records = [...touched].flatMap(([table, ids]) =>
    [...ids].map((rowId) => ({
      block,
      table,
      rowId,
      before: before.get(table)?.get(rowId) ?? null,
    })),
  )
  for (const part of inParts(records)) await tx.insert(undo).values(part)
}

async function writeRows(
  tx: DatabaseTransaction,
  block: number,
  rows: ReadonlyMap<StateName, Rows>,
  touched: ReadonlyMap<StateName, ReadonlySet<string>>,
): Promise<void> {
  for (const [name, ids] of touched) {
    const of = rows.get(name)
    await upsert(
      tx,
      stateTables[name],
      [...ids].map((id) => ({ ...of?.get(id), block })),
    )
  }
}

/** Inserts whole rows, or replaces them. */
async function upsert(
  tx: DatabaseTransaction,
  table: PgTable,
  rows: readonly Row[],
): Promise<void> {
  const columns = getTableColumns(table)
  const set = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [
      name,
      sql`excluded.${sql.identifier(column.name)}`,
    ]),
  )
  const target = columns.id as NonNullable<typeof columns.id>
  for (const part of inParts(rows)) {
    await tx.insert(table).values(part).onConflictDoUpdate({ target, set })
  }
}

async function writeEvents(tx: DatabaseTransaction, batch: Batch): Promise<void> {
  const rows = batch.events.map(([, event]) => ({
    eventBlock: event.block,
    logIndex: event.logIndex,
    block: batch.last.number,
    blockHash: event.blockHash,
    time: event.time,
    transaction: event.transaction,
    contract: event.contract,
    name: event.name,
    kind: typeof event.args.kind === 'number' ? event.args.kind : null,
    subject: subjectOf(event),
    args: event.args,
  }))
  for (const part of inParts(rows)) await tx.insert(events).values(part)
}
