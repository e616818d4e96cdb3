/**
 * Routes of the indexer's API. Every answer says up to which block it is true. Nothing here is proven: a reader checks
 * critical values with storage proofs.
 */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import { and, asc, desc, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Context } from 'hono'
import { cors } from 'hono/cors'

import { createReadiness } from '../../lib/readiness.ts'
import type { Database, DatabaseTransaction } from '../database/database.ts'
import { blocks, events, positions } from '../database/schema.ts'
import { stateTables } from '../database/tables.ts'
import type { IndexerMetrics } from '../metrics.ts'
import { type Collection, collections, rowSchema } from './collections.ts'

/** What the API reads. */
export interface ApiOptions {
  readonly db: Database
  readonly chainId: number
  /** Throws the error that stops the indexer. */
  readonly check: () => Promise<void>
  readonly metrics: IndexerMetrics
}

/** Rows in one answer. */
const maxPage = 200
/** Longest time of one query on a Postgres server, milliseconds. PGlite has no limit; each query reads one page. */
const queryMs = 2_000

const at = {
  block: z.int(),
  time: z.int(),
  hash: z.string().nullable().describe('of the block; null before the first one'),
}
const atSchema = z.object(at)
const errorSchema = z.object({
  error: z.string(),
  parameters: z.array(z.string()).optional().describe('Names of the wrong parameters'),
})
const noQuery = z.strictObject({})
/** Control characters: Postgres refuses U+0000, and no id has any of them. */
const control = /\p{Cc}/u
const text = z
  .string()
  .min(1)
  .max(200)
  .refine((value) => !control.test(value))
const limit = z
  .string()
  .regex(/^[1-9]\d{0,2}$/)
  .transform(Number)
  .pipe(z.int().max(maxPage))
  .default(50)
  .openapi({ type: 'integer', minimum: 1, maximum: maxPage, default: 50 })

const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
const refused = { 400: json(errorSchema, 'A parameter is wrong') }

/** The API without a port: `/v1/…`, `/openapi.json`, `/health`, `/metrics`. */
export function createApi(options: ApiOptions): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result, context) =>
      result.success ? undefined : refuse(context, wrongNames(result.error)),
  })
  // the data are public, and no answer depends on who asks
  app.use('*', cors({ origin: '*', allowMethods: ['GET'] }))
  app.use('*', async (context, next) => {
    const wrong = malformedIn(context.req.url)
    return wrong.length === 0 ? next() : refuse(context, wrong)
  })
  for (const path of ['/health', '/metrics', '/openapi.json']) {
    app.use(path, async (context, next) => {
      const names = Object.keys(context.req.query())
      return names.length === 0 ? next() : refuse(context, names)
    })
  }
  addService(app, options)
  addStatus(app, options)
  addEvents(app, options)
  for (const [path, collection] of Object.entries(collections))
    addList(app, options, path, collection)
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'Assent indexer', version: '1' },
  })
  app.notFound((context) => context.json({ error: 'NOT_FOUND' }, 404))
  app.onError((_, context) => context.json({ error: 'UNEXPECTED' }, 500))
  return app
}

function refuse(context: Context, parameters: readonly string[]) {
  return context.json({ error: 'INPUT_INVALID', parameters: [...new Set(parameters)] }, 400)
}

/** Names of unknown parameters, and of those with a wrong value. */
function wrongNames({ issues }: Pick<z.ZodError, 'issues'>): string[] {
  return issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : issue.path.slice(0, 1).map(String),
  )
}

/** Names of parameters that appear twice, are not UTF-8, or have a control character; as they are in the URL. */
function malformedIn(url: string): string[] {
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? []
  const pairs = query === '' ? [] : query.split('&')
  const names = pairs.map((pair) => pair.split('=', 1)[0] ?? '')
  return names.filter(
    (name, index) => names.indexOf(name) < index || !isCleanText(pairs[index] ?? ''),
  )
}

/** Whether the percent codes are UTF-8 without control characters. */
function isCleanText(encoded: string): boolean {
  try {
    return !control.test(decodeURIComponent(encoded))
  } catch {
    return false
  }
}

function addService(app: OpenAPIHono, { check, metrics }: ApiOptions): void {
  const health = createReadiness({ check })
  app.get('/health', async (context) => {
    const { status, text: body } = await health()
    return context.text(body, status)
  })
  app.get('/metrics', async (context) =>
    context.body(await metrics.registry.metrics(), 200, {
      'content-type': metrics.registry.contentType,
    }),
  )
}

function addStatus(app: OpenAPIHono, { db, chainId }: ApiOptions): void {
  const route = createRoute({
    method: 'get',
    path: '/v1/status',
    summary: 'The chain, and the last indexed block',
    request: { query: noQuery },
    responses: { 200: json(z.object({ chainId: z.int(), ...at }), 'The status'), ...refused },
  })
  app.openapi(route, async (context) =>
    context.json({ chainId, ...(await readOnly(db, readAt)) }, 200),
  )
}

const eventSchema = z.object({
  eventBlock: z.int(),
  logIndex: z.int(),
  blockHash: z.string(),
  time: z.int(),
  transaction: z.string(),
  contract: z.string(),
  name: z.string(),
  kind: z.int().nullable(),
  subject: z.string().nullable(),
  args: z.record(z.string(), z.unknown()),
})

function addEvents(app: OpenAPIHono, { db }: ApiOptions): void {
  const route = createRoute({
    method: 'get',
    path: '/v1/events',
    summary: 'History of one contract, or of one thing in it, in the order of the chain',
    request: {
      query: z.strictObject({
        contract: text,
        subject: text.optional(),
        after: z
          .string()
          .regex(/^\d{1,15}-\d{1,9}$/)
          .optional(),
        limit,
      }),
    },
    responses: {
      200: json(
        z.object({ at: atSchema, items: z.array(eventSchema), next: z.string().nullable() }),
        'One page',
      ),
      ...refused,
    },
  })
  app.openapi(route, async (context) => {
    const query = context.req.valid('query')
    const [block = 0, index = 0] = query.after?.split('-').map(Number) ?? []
    const found = await readOnly(db, async (tx) => ({
      at: await readAt(tx),
      rows: await tx
        .select()
        .from(events)
        .where(
          and(
            eq(events.contract, query.contract.toLowerCase() as `0x${string}`),
            query.subject === undefined
              ? undefined
              : eq(events.subject, query.subject.toLowerCase()),
            query.after === undefined
              ? undefined
              : sql`(${events.eventBlock}, ${events.logIndex}) > (${block}, ${index})`,
          ),
        )
        .orderBy(asc(events.eventBlock), asc(events.logIndex))
        .limit(query.limit + 1),
    }))
    const items = found.rows.slice(0, query.limit).map(({ block: _, ...event }) => event)
    const last = items.at(-1)
    const isMore = found.rows.length > query.limit && last !== undefined
    const next = isMore ? `${last.eventBlock}-${last.logIndex}` : null
    return context.json({ at: found.at, items, next }, 200)
  })
}

/** A list with paging, and one row by its id. */
function addList(app: OpenAPIHono, { db }: ApiOptions, path: string, collection: Collection): void {
  const table = stateTables[collection.table] as PgTable & { id: PgColumn }
  const item = rowSchema(collection)
  const filters = Object.fromEntries(collection.filters.map((name) => [name, text.optional()]))
  const list = createRoute({
    method: 'get',
    path: `/v1/${path}`,
    summary: collection.summary,
    request: { query: z.strictObject({ ...filters, after: text.optional(), limit }) },
    responses: {
      200: json(
        z.object({ at: atSchema, items: z.array(item), next: z.string().nullable() }),
        'One page, in the order of the ids',
      ),
      ...refused,
    },
  })
  app.openapi(list, async (context) => {
    const query = context.req.valid('query') as Record<string, string | undefined> & {
      limit: number
    }
    const conditions = collection.filters.map((name) =>
      matches(table[name as never] as PgColumn, query[name]),
    )
    const after = query.after === undefined ? undefined : gt(table.id, query.after)
    const found = await readOnly(db, async (tx) => ({
      at: await readAt(tx),
      rows: await tx
        .select()
        .from(table)
        .where(and(...conditions, after))
        .orderBy(asc(table.id))
        .limit(query.limit + 1),
    }))
    const rows = found.rows.slice(0, query.limit)
    const items = rows.map((row) => ({ ...row, ...collection.derived?.read(row, found.at.time) }))
    const isMore = found.rows.length > query.limit
    const next = isMore ? ((items.at(-1)?.id as string | undefined) ?? null) : null
    return context.json({ at: found.at, items, next }, 200)
  })

  const one = createRoute({
    method: 'get',
    path: `/v1/${path}/{id}`,
    summary: `${collection.summary}: one of them`,
    request: { params: z.object({ id: text }), query: noQuery },
    responses: {
      200: json(z.object({ at: atSchema, item }), 'The row'),
      404: json(errorSchema, 'It is not known'),
      ...refused,
    },
  })
  app.openapi(one, async (context) => {
    const id = context.req.valid('param').id.toLowerCase()
    const found = await readOnly(db, async (tx) => ({
      at: await readAt(tx),
      rows: await tx.select().from(table).where(eq(table.id, id)),
    }))
    const [row] = found.rows
    if (row === undefined) return context.json({ error: 'NOT_FOUND' }, 404)
    const derived = collection.derived?.read(row, found.at.time)
    return context.json({ at: found.at, item: { ...row, ...derived } }, 200)
  })
}

/** A filter of the query; undefined if the query lacks it. In a column of numbers, other text matches no row. */
function matches(column: PgColumn, value: string | undefined): SQL | undefined {
  if (value === undefined) return undefined
  if (column.dataType !== 'number') return eq(column, value.toLowerCase())
  return /^\d{1,9}$/.test(value) ? eq(column, Number(value)) : sql`false`
}

/** Runs queries on one snapshot. */
function readOnly<T>(db: Database, read: (tx: DatabaseTransaction) => Promise<T>): Promise<T> {
  return db.transaction(
    async (tx) => {
      await tx.execute(sql.raw(`set local statement_timeout = ${queryMs}`))
      return read(tx)
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  )
}

/** The last indexed block. */
async function readAt(tx: DatabaseTransaction): Promise<z.infer<typeof atSchema>> {
  const [row] = await tx.select().from(positions)
  const [last] = await tx.select().from(blocks).orderBy(desc(blocks.number)).limit(1)
  const block = (row?.next ?? 0) - 1
  return { block, time: row?.time ?? 0, hash: last?.number === block ? last.hash : null }
}
