/**
 * The tables of the relayer: the same on PGlite and on a Postgres server.
 *
 * After a change, `npm run generate -- --name what_changed` writes the next migration.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  bigserial,
  boolean,
  foreignKey,
  index,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

import type { Hex } from '../../lib/bytes.ts'
import type { NodeAnswer } from '../endpoints/node-errors.ts'
import type { IntentState, LastError, NonceSlotState } from '../outbox/outbox.ts'

/** A column for Unix seconds. */
const seconds = (name: string) => bigint(name, { mode: 'number' })
/** A column for wei: a decimal number of up to 256 bits. */
const wei = (name: string) => numeric(name, { precision: 78, scale: 0, mode: 'bigint' })

/** One account on one chain, and the lease for it. */
export const accounts = pgTable(
  'accounts',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    account: text().$type<Hex>().notNull(),
    /** Hash of block 0, to detect another chain with the same chain id. */
    genesis: text().$type<Hex>().notNull(),
    holder: text(),
    /** Fencing token: grows with each change of the holder. A write with an older token fails. */
    token: bigint({ mode: 'number' }).notNull().default(0),
    until: timestamp({ withTimezone: true }),
  },
  (table) => [primaryKey({ columns: [table.chainId, table.account] })],
)

/** Effects that the relayer must cause on-chain. */
export const intents = pgTable(
  'intents',
  {
    id: text().primaryKey(),
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    kind: text().notNull(),
    key: text().notNull(),
    payload: jsonb().notNull(),
    state: text().$type<IntentState>().notNull(),
    createdAt: seconds('created_at').notNull(),
    notBefore: seconds('not_before').notNull(),
    expiresAt: seconds('expires_at'),
    refusals: integer().notNull(),
    lastError: jsonb('last_error').$type<LastError>(),
    version: integer().notNull(),
    /** When it became final or abandoned; null before. The row is deleted after the retention. */
    settledAt: seconds('settled_at'),
    /** Order of arrival. */
    position: bigserial({ mode: 'number' }).notNull(),
  },
  (table) => [
    uniqueIndex('intents_identity').on(table.chainId, table.kind, table.key),
    index('intents_queue')
      .on(table.chainId, table.notBefore, table.position)
      .where(sql`${table.state} = 'queued'`),
    index('intents_backlog')
      .on(table.chainId, table.state, table.createdAt)
      .where(sql`${table.state} in ('queued', 'sending')`),
    index('intents_settled')
      .on(table.chainId, table.settledAt)
      .where(sql`${table.settledAt} is not null`),
  ],
)

/** Nonce slots: one row for each nonce that the relayer used. */
export const slots = pgTable(
  'slots',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    account: text().$type<Hex>().notNull(),
    nonce: bigint({ mode: 'number' }).notNull(),
    intentId: text('intent_id').references(() => intents.id),
    state: text().$type<NonceSlotState>().notNull(),
    to: text().$type<Hex>(),
    data: text().$type<Hex>(),
    value: wei('value'),
    gas: wei('gas'),
    reservedAt: seconds('reserved_at').notNull(),
    minedHash: text('mined_hash').$type<Hex>(),
    minedBlock: bigint('mined_block', { mode: 'number' }),
    minedBlockHash: text('mined_block_hash').$type<Hex>(),
    minedSucceeded: boolean('mined_succeeded'),
    minedCost: wei('mined_cost'),
    closedAt: bigint('closed_at', { mode: 'number' }),
    version: integer().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.chainId, table.account, table.nonce] }),
    // an intent never has two unfinished nonces
    uniqueIndex('slots_one_per_intent')
      .on(table.intentId)
      .where(sql`${table.state} not in ('final', 'abandoned')`),
    index('slots_live')
      .on(table.chainId, table.account)
      .where(sql`${table.state} not in ('final', 'abandoned')`),
    index('slots_of_intent').on(table.intentId, table.nonce),
    index('slots_by_time').on(table.chainId, table.account, table.reservedAt),
  ],
)

/** Signed transactions of nonce slots. */
export const attempts = pgTable(
  'attempts',
  {
    hash: text().$type<Hex>().primaryKey(),
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    account: text().$type<Hex>().notNull(),
    nonce: bigint({ mode: 'number' }).notNull(),
    /** Order within the slot. */
    ordinal: integer().notNull(),
    kind: text().$type<'call' | 'cancel'>().notNull(),
    intentId: text('intent_id').references(() => intents.id),
    raw: text().$type<Hex>().notNull(),
    maxFee: wei('max_fee').notNull(),
    tip: wei('tip').notNull(),
    signedAt: seconds('signed_at').notNull(),
    sentAt: seconds('sent_at'),
    answer: text().$type<NodeAnswer>(),
  },
  (table) => [
    foreignKey({
      name: 'attempts_slot',
      columns: [table.chainId, table.account, table.nonce],
      foreignColumns: [slots.chainId, slots.account, slots.nonce],
    }),
    index('attempts_of_slot').on(table.chainId, table.account, table.nonce),
    index('attempts_of_intent').on(table.intentId),
  ],
)

/** Quotes that were submitted; the intent with the same id submits them on-chain. */
export const quotes = pgTable('quotes', {
  id: text()
    .primaryKey()
    .references(() => intents.id),
  purpose: text().notNull(),
  /** keccak256 of the signed part of the quote. ECDSA signatures are malleable, so they are not part of the identity. */
  digest: text().$type<Hex>().notNull(),
  operator: text().notNull(),
  eventLog: text('event_log').notNull(),
  verdict: jsonb().$type<Record<string, unknown>>().notNull(),
  receivedAt: bigint('received_at', { mode: 'number' }).notNull(),
})

/** All changes of intents and slots, in order; the source of the server-sent events. */
export const events = pgTable(
  'events',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    intentId: text('intent_id')
      .notNull()
      .references(() => intents.id),
    at: seconds('at').notNull(),
    state: text().$type<IntentState | NonceSlotState>().notNull(),
    facts: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (table) => [index('events_of_intent').on(table.intentId, table.id)],
)

/* BACKGROUND JOBS */

/** The last block up to which a contract's events are read. Only final blocks are read. */
export const cursors = pgTable(
  'cursors',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    name: text().notNull(),
    block: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.chainId, table.name] })],
)

/** Parts of the on-chain collateral: what the store holds, and what the services offered last. */
export const collateral = pgTable(
  'collateral',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    store: text().$type<Hex>().notNull(),
    name: text().notNull(),
    heldIssuedAt: seconds('held_issued_at').notNull(),
    heldUntil: seconds('held_until').notNull(),
    offeredIssuedAt: seconds('offered_issued_at').notNull(),
    offeredUntil: seconds('offered_until').notNull(),
    /** Digest of the last uploaded part without its dates, and its date. It is in the store if the dates are equal. */
    putContent: text('put_content').$type<Hex>(),
    putIssuedAt: seconds('put_issued_at'),
    checkedAt: seconds('checked_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.chainId, table.store, table.name] })],
)

/**
 * Hosts as the events in final blocks describe them, and the state of their renewal. The columns of the host proof are
 * null until a final block contains one, so that a host without any proof is not confused with one whose proof ended.
 */
export const hosts = pgTable(
  'hosts',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    registry: text().$type<Hex>().notNull(),
    deviceId: text('device_id').$type<Hex>().notNull(),
    operator: text().$type<Hex>().notNull(),
    attestedAt: seconds('attested_at'),
    expiresAt: seconds('expires_at'),
    status: integer(),
    fmspc: text(),
    tcbEvaluationNumber: integer('tcb_evaluation_number'),
    provenAtBlock: bigint('proven_at_block', { mode: 'number' }),
    approvalVersion: integer('approval_version'),
    /** Address of the verification record; a compact quote that names it costs less gas. */
    record: text().$type<Hex>(),
    advisories: jsonb().$type<readonly string[]>(),
    /** The quote as it was sent to the registry, if the registry was called directly. */
    quote: text().$type<Hex>(),
    block: bigint({ mode: 'number' }),
    /** TCB status of this proof under the early TCB evaluation number; null: not verified yet. */
    earlyStatus: integer('early_status'),
    earlyAdvisories: jsonb('early_advisories').$type<readonly string[]>(),
    earlyNumber: integer('early_number'),
    earlyPasses: boolean('early_passes'),
    earlyAt: seconds('early_at'),
    /** Device id to which the approval moved after a firmware update (`HostContinued`); null: this id still counts. */
    continuedAs: text('continued_as').$type<Hex>(),
    /** The verifier rejects the proof for a reason that lets anyone call `endProof`. */
    isDead: boolean('is_dead').notNull().default(false),
    /** Unix seconds; the next renewal attempt is not before. */
    notBefore: seconds('not_before').notNull().default(0),
    failures: integer().notNull().default(0),
    lastError: jsonb('last_error').$type<LastError>(),
    intentId: text('intent_id').references(() => intents.id),
    /** Until when one replica may ask the agent of this host; the others wait. */
    claimedUntil: timestamp('claimed_until', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.chainId, table.registry, table.deviceId] }),
    index('hosts_expiry').on(table.chainId, table.registry, table.expiresAt),
    index('hosts_of_intent').on(table.intentId).where(sql`${table.intentId} is not null`),
  ],
)

/** Proposals of the governor that upkeep can still queue or execute. */
export const proposals = pgTable(
  'proposals',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    governor: text().$type<Hex>().notNull(),
    /** Decimal. */
    proposalId: text('proposal_id').notNull(),
    description: text().notNull(),
    voteEnd: seconds('vote_end').notNull(),
    block: bigint({ mode: 'number' }).notNull(),
    /** Canceled, defeated, expired or executed: upkeep has nothing to do. */
    isOver: boolean('is_over').notNull().default(false),
  },
  (table) => [primaryKey({ columns: [table.chainId, table.governor, table.proposalId] })],
)

/* HEARTBEATS */

/** Nonces of KMS nodes. */
export const heartbeatNonces = pgTable(
  'heartbeat_nonces',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    account: text().$type<Hex>().notNull(),
    nonce: text().$type<Hex>().notNull(),
    /** Name of the client that handed it over. */
    operator: text().notNull(),
    receivedAt: seconds('received_at').notNull(),
    /** Number of the heartbeat that covers it; null: it waits for the next one. */
    heartbeat: integer(),
    /** Order of arrival, which is the order below the Merkle root. */
    position: bigserial({ mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.chainId, table.account, table.nonce] }),
    index('heartbeat_nonces_of').on(table.chainId, table.account, table.heartbeat, table.position),
  ],
)

/** Posted heartbeats of one account. Each value covers the one before. */
export const heartbeats = pgTable(
  'heartbeats',
  {
    chainId: bigint('chain_id', { mode: 'number' }).notNull(),
    account: text().$type<Hex>().notNull(),
    /** Counted from 1. */
    number: integer().notNull(),
    previous: text().$type<Hex>().notNull(),
    root: text().$type<Hex>().notNull(),
    /** What is posted. */
    value: text().$type<Hex>().notNull(),
    /** The intent that posts it. Its row may be deleted earlier. */
    intentId: text('intent_id').notNull(),
    madeAt: seconds('made_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.chainId, table.account, table.number] }),
    uniqueIndex('heartbeats_value').on(table.chainId, table.account, table.value),
  ],
)
