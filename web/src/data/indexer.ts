/** The indexer's API. Its answers are claims: their form is checked here, their truth in `checks.ts`. */
import { z } from 'zod'

import { addressSchema, bytes32Schema, bytesSchema } from '../../../src/lib/schema.ts'

const atSchema = z.object({
  block: z.int(),
  time: z.int(),
  /** Hash of the block; null: the indexer does not have it any more. */
  hash: bytes32Schema.nullable(),
})

/** The block up to which an answer is true. */
export type At = z.output<typeof atSchema>

const seconds = z.int().nonnegative()
const amount = z.string().regex(/^\d{1,78}$/)
/** Text that other people wrote. */
const foreign = z.string().max(1_000_000)

const rows = {
  approvals: z.object({
    id: z.string(),
    registry: addressSchema,
    kind: z.int().min(0).max(31),
    subject: bytes32Schema,
    word: bytesSchema,
    position: z.int(),
    evidence: bytes32Schema,
  }),
  apps: z.object({
    id: addressSchema,
    deployer: addressSchema.nullable(),
    allowAnyDevice: z.boolean(),
    requireTcbUpToDate: z.boolean(),
    upgradesDisabled: z.boolean(),
    variants: z.int(),
    noticePeriod: seconds,
    noticeSince: seconds,
    oldest: z.int(),
    nextOldest: z.int(),
    endFrom: seconds,
    endOpenedEpoch: z.boolean(),
    epoch: z.int(),
  }),
  announcements: z.object({
    id: z.string(),
    app: addressSchema,
    callDigest: bytes32Schema,
    announcedAt: seconds,
  }),
  hosts: z.object({
    id: bytes32Schema,
    operator: addressSchema.nullable(),
    attestedAt: seconds.nullable(),
    expiresAt: seconds.nullable(),
    status: z.int().nullable(),
    fmspc: bytesSchema.nullable(),
    approvalVersion: z.int().nullable(),
    tcbDate: seconds.nullable(),
    tcbEvaluationNumber: z.int().nullable(),
    advisories: z.array(bytes32Schema).nullable(),
    quoteDigest: bytesSchema.nullable(),
    endedVerdict: z.int().nullable(),
    firstId: bytes32Schema.nullable(),
  }),
  'host-rules': z.object({
    id: z.string(),
    status: z.int().nullable(),
    advisory: bytes32Schema.nullable(),
    until: seconds.nullable(),
    isDenied: z.boolean().nullable(),
  }),
  images: z.object({ id: bytes32Schema, name: foreign, isClosed: z.boolean() }),
  'measurement-sets': z.object({
    id: bytes32Schema,
    osImageHash: bytes32Schema,
    variant: z.int(),
    mrSystem: bytes32Schema,
  }),
  'root-keys': z.object({
    id: bytes32Schema,
    mrAggregated: bytes32Schema,
    deviceId: bytes32Schema,
    provenAt: seconds,
    status: z.int(),
    epoch: z.int(),
    caPublicKey: bytesSchema,
    k256PublicKey: bytesSchema,
  }),
  contracts: z.object({
    id: addressSchema,
    role: z.string(),
    owner: addressSchema.nullable(),
    guardian: addressSchema.nullable(),
    suspension: seconds.nullable(),
    implementation: addressSchema.nullable(),
  }),
  proposals: z.object({
    id: amount,
    proposer: addressSchema,
    targets: z.array(addressSchema),
    values: z.array(amount),
    calldatas: z.array(bytesSchema),
    description: foreign,
    voteStart: seconds,
    voteEnd: seconds,
    againstVotes: amount,
    forVotes: amount,
    abstainVotes: amount,
    eta: seconds,
    isExecuted: z.boolean(),
    isCanceled: z.boolean(),
  }),
  votes: z.object({
    id: z.string(),
    proposal: amount,
    voter: addressSchema,
    support: z.int(),
    weight: amount,
    reason: foreign,
  }),
} as const

/** Name of a list. */
export type ListName = keyof typeof rows
/** A row of a list. */
export type Row<N extends ListName> = z.output<(typeof rows)[N]>

/** One event of the history. */
export type HistoryEvent = z.output<typeof eventSchema>

const eventSchema = z.object({
  eventBlock: z.int(),
  logIndex: z.int(),
  time: seconds,
  transaction: bytes32Schema,
  contract: addressSchema,
  name: z.string().max(200),
  kind: z.int().nullable(),
  subject: z.string().nullable(),
  args: z.record(z.string(), z.unknown()),
})

/** A list that was read completely; pages of another block than the first are read again. */
export interface List<T> {
  readonly at: At
  readonly rows: readonly T[]
}

/** Rows in one answer: the most that the API gives. */
const pageSize = 200
/** Rows of one list that the page holds. */
const maxRows = 20_000
const maxBytes = 8 * 1024 * 1024
const timeoutMs = 20_000

/** Reads the API. The parts of ids need no encoding in a URL: hexadecimal digits, decimal digits and colons. */
export interface Indexer {
  status(): Promise<At & { readonly chainId: number }>
  list<N extends ListName>(name: N, filters?: Record<string, string>): Promise<List<Row<N>>>
  one<N extends ListName>(name: N, id: string): Promise<{ at: At; row: Row<N> } | undefined>
  events(contract: string, subject?: string): Promise<List<HistoryEvent>>
}

/** @param base URL without a slash at its end */
export function openIndexer(base: string): Indexer {
  const page = <T extends z.ZodType>(item: T) =>
    z.object({ at: atSchema, items: z.array(item).max(pageSize), next: z.string().nullable() })
  const all = async <T extends z.ZodType>(path: string, query: Record<string, string>, item: T) => {
    for (let attempt = 0; attempt < 3; attempt++) {
      const found = await readPages(path, query, page(item))
      if (found !== undefined) return found as List<z.output<T>>
    }
    throw new Error('The indexer moves on faster than the list can be read.')
  }
  const readPages = async (path: string, query: Record<string, string>, schema: z.ZodType) => {
    let at: At | undefined
    const items: unknown[] = []
    for (let after: string | null = null; ; ) {
      const words = { ...query, limit: String(pageSize), ...(after === null ? {} : { after }) }
      const answer = (await get(`${base}/v1/${path}?${new URLSearchParams(words)}`, schema)) as {
        at: At
        items: unknown[]
        next: string | null
      }
      at ??= answer.at
      // rows of two blocks would be compared with the state of one
      if (answer.at.hash !== at.hash || answer.at.block !== at.block) return undefined
      items.push(...answer.items)
      if (answer.next === null) return { at, rows: items }
      if (items.length > maxRows) throw new Error(`The list has more than ${maxRows} rows.`)
      after = answer.next
    }
  }
  return {
    status: () => get(`${base}/v1/status`, atSchema.extend({ chainId: z.int() })),
    list: <N extends ListName>(name: N, filters: Record<string, string> = {}) =>
      all(name, filters, rows[name]) as unknown as Promise<List<Row<N>>>,
    async one<N extends ListName>(name: N, id: string) {
      const schema = z.object({ at: atSchema, item: rows[name] })
      const found = await get(`${base}/v1/${name}/${id}`, schema, true)
      if (found === undefined) return undefined
      const { at, item } = found as unknown as { at: At; item: Row<N> }
      return { at, row: item }
    },
    events: (contract, subject) =>
      all('events', { contract, ...(subject === undefined ? {} : { subject }) }, eventSchema),
  }
}

async function get<T extends z.ZodType>(url: string, schema: T): Promise<z.output<T>>
async function get<T extends z.ZodType>(
  url: string,
  schema: T,
  isOptional: true,
): Promise<z.output<T> | undefined>
async function get<T extends z.ZodType>(url: string, schema: T, isOptional = false) {
  const answer = await fetch(url, {
    signal: AbortSignal.timeout(timeoutMs),
    redirect: 'error',
    credentials: 'omit',
  })
  if (!answer.ok) {
    // a body that nobody reads holds its connection until the deadline
    await answer.body?.cancel()
    if (answer.status === 404 && isOptional) return undefined
    throw new Error(`The indexer answered with status ${answer.status}.`)
  }
  const text = await answer.text()
  if (text.length > maxBytes) throw new Error('The answer of the indexer is too long.')
  const parsed = schema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new Error(`The indexer’s answer has another form: ${issue?.path.join('.')}.`)
}
