/**
 * The tables of the indexer: the same on PGlite and on a Postgres server.
 *
 * A state table has one row for each thing, with the state after the last event. `tables.ts` lists them. Numbers of more
 * than 53 bits are decimal text. Text from other people is stored as JSON, because Postgres refuses the character U+0000
 * and anyone can put it into an event.
 *
 * After a change, `npm run generate -- --name what_changed` writes the next migration.
 */
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  pgSchema,
  primaryKey,
  text,
} from 'drizzle-orm/pg-core'

import type { Hex } from '../../lib/bytes.ts'

/** A schema of its own, so that a relayer can use the same database. */
export const indexer = pgSchema('indexer')

/** A JSON value in a text column: `json` columns return text that looks like a number as a number. */
const jsonText = customType<{ data: unknown; driverData: string }>({
  dataType: () => 'text',
  toDriver: (value) =>
    JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)),
  fromDriver: (value) => JSON.parse(value) as unknown,
})

/** A JSON value of one type. */
const json = <T>(name: string) => jsonText(name).$type<T>()
/** Text that another person wrote. */
const foreignText = (name: string) => json<string>(name)
/** Bytes, an address or a hash as lower-case hex. */
const hex = (name: string) => text(name).$type<Hex>()
/** A number of up to 256 bits as decimal text. */
const amount = (name: string) => text(name)
/** Unix seconds, or a block number. */
const seconds = (name: string) => bigint(name, { mode: 'number' })

/** Columns of every state table: its key, and the block whose event wrote the row last. */
const row = {
  id: text().primaryKey(),
  block: bigint({ mode: 'number' }).notNull(),
}

/* WHERE THE INDEXER IS */

/** One row: the chain, the followed contracts and the next block. */
export const positions = indexer.table('positions', {
  /** Digest of chain id, genesis hash and followed contracts: another deployment needs another database. */
  id: text().primaryKey(),
  next: bigint({ mode: 'number' }).notNull(),
  /** Time of the last indexed block, Unix seconds; 0 before the first. */
  time: seconds('time').notNull(),
})

/** Hashes of the indexed blocks that are not final, and of the last final one. */
export const blocks = indexer.table('blocks', {
  number: bigint({ mode: 'number' }).primaryKey(),
  hash: hex('hash').notNull(),
  time: seconds('time').notNull(),
})

/** The rows as they were before a block that is not final changed them. Restoring them unwinds the block. */
export const undo = indexer.table(
  'undo',
  {
    block: bigint({ mode: 'number' }).notNull(),
    table: text().notNull(),
    rowId: text('row_id').notNull(),
    /** The row; null: it did not exist. */
    before: json<Record<string, unknown>>('before'),
  },
  (table) => [primaryKey({ columns: [table.block, table.table, table.rowId] })],
)

/* HISTORY */

/** Every event of the followed contracts, in order. */
export const events = indexer.table(
  'events',
  {
    eventBlock: bigint('event_block', { mode: 'number' }).notNull(),
    logIndex: integer('log_index').notNull(),
    /** The block with which it was indexed: later than its own for an app that was registered later. */
    block: bigint({ mode: 'number' }).notNull(),
    blockHash: hex('block_hash').notNull(),
    time: seconds('time').notNull(),
    transaction: hex('transaction').notNull(),
    contract: hex('contract').notNull(),
    name: text().notNull(),
    /** Kind of the approval; null: the event is not about an approval. */
    kind: integer(),
    /** The thing that changes: id of an approval, device id, proposal id, account. */
    subject: text(),
    args: json<Record<string, unknown>>('args').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.eventBlock, table.logIndex] }),
    index('events_of_subject').on(table.contract, table.subject, table.eventBlock, table.logIndex),
    index('events_of_contract').on(table.contract, table.eventBlock, table.logIndex),
    index('events_by_block').on(table.block),
  ],
)

/* STATE: REGISTRIES */

/** The followed contracts: owner, guardian, code, and the settings that only one kind of contract has. */
export const contracts = indexer.table('contracts', {
  ...row,
  role: text().notNull(),
  owner: hex('owner'),
  pendingOwner: hex('pending_owner'),
  guardian: hex('guardian'),
  suspension: seconds('suspension'),
  implementation: hex('implementation'),
  upgradesRenounced: boolean('upgrades_renounced').notNull().default(false),
  /** By the name that the contract's function has, such as `hosts` or `minimum`. */
  settings: json<Record<string, unknown>>('settings').notNull(),
})

/** Approvals of every kind. The state at a time follows from the word (`stateAt` in `src/chain/approval.ts`). */
export const approvals = indexer.table(
  'approvals',
  {
    ...row,
    registry: hex('registry').notNull(),
    kind: integer().notNull(),
    subject: hex('subject').notNull(),
    /** The storage word. */
    word: hex('word').notNull(),
    activeFrom: seconds('active_from').notNull(),
    expiresAt: seconds('expires_at').notNull(),
    suspendedUntil: seconds('suspended_until').notNull(),
    endedAt: seconds('ended_at').notNull(),
    version: bigint({ mode: 'number' }).notNull(),
    position: bigint({ mode: 'number' }).notNull(),
    revoked: boolean().notNull(),
    /** keccak256 of the evidence; zero without evidence. The event `ApprovalGiven` has the evidence. */
    evidence: hex('evidence').notNull(),
  },
  (table) => [index('approvals_by_kind').on(table.registry, table.kind, table.position)],
)

/** Registered apps and their rules. The number of a release is the position of its approval. */
export const apps = indexer.table('apps', {
  ...row,
  /** Account that called the factory; null: the app was deployed alone. */
  deployer: hex('deployer'),
  allowAnyDevice: boolean('allow_any_device').notNull(),
  requireTcbUpToDate: boolean('require_tcb_up_to_date').notNull(),
  upgradesDisabled: boolean('upgrades_disabled').notNull(),
  variants: integer().notNull(),
  noticePeriod: bigint('notice_period', { mode: 'number' }).notNull(),
  noticeSince: seconds('notice_since').notNull(),
  /** Releases below ended before the last supersession; those below `nextOldest` end at `endFrom`. */
  oldest: bigint({ mode: 'number' }).notNull(),
  nextOldest: bigint('next_oldest', { mode: 'number' }).notNull(),
  endFrom: seconds('end_from').notNull(),
  endOpenedEpoch: boolean('end_opened_epoch').notNull(),
  epoch: bigint({ mode: 'number' }).notNull(),
})

/** Announced calls of apps; a used announcement has no time. */
export const announcements = indexer.table('announcements', {
  ...row,
  app: hex('app').notNull(),
  callDigest: hex('call_digest').notNull(),
  announcedAt: seconds('announced_at').notNull(),
})

/** Hosts: the last host proof, and the ids of one host. Columns of the proof are null for a host without a proof. */
export const hosts = indexer.table(
  'hosts',
  {
    ...row,
    operator: hex('operator'),
    /** The operator that the DAO named. */
    namedOperator: hex('named_operator'),
    attestedAt: seconds('attested_at'),
    expiresAt: seconds('expires_at'),
    status: integer(),
    fmspc: hex('fmspc'),
    tcbEvaluationNumber: bigint('tcb_evaluation_number', { mode: 'number' }),
    qeEvaluationNumber: bigint('qe_evaluation_number', { mode: 'number' }),
    approvalVersion: bigint('approval_version', { mode: 'number' }),
    tcbDate: seconds('tcb_date'),
    provenAtBlock: bigint('proven_at_block', { mode: 'number' }),
    advisories: json<readonly Hex[]>('advisories'),
    advisoriesDigest: hex('advisories_digest'),
    platformInstanceId: hex('platform_instance_id'),
    quoteDigest: hex('quote_digest'),
    quoteId: hex('quote_id'),
    /** Verdict with which the proof was ended early; null: it was not. */
    endedVerdict: integer('ended_verdict'),
    /** The first id of this host; null: this one. */
    firstId: hex('first_id'),
    /** Where the host moved to this id last (block, then index of the event); null: never. */
    continuedBlock: bigint('continued_block', { mode: 'number' }),
    continuedIndex: integer('continued_index'),
  },
  (table) => [
    index('hosts_by_expiry').on(table.expiresAt),
    index('hosts_of_first').on(table.firstId),
  ],
)

/** Rules of the host registry: accepted TCB statuses (until when) and denied advisories. */
export const hostRules = indexer.table('host_rules', {
  ...row,
  status: integer(),
  advisory: hex('advisory'),
  until: seconds('until'),
  isDenied: boolean('is_denied'),
})

/** Base images with a name, or that were closed once. */
export const images = indexer.table('images', {
  ...row,
  name: foreignText('name').notNull(),
  isClosed: boolean('is_closed').notNull(),
})

/** Measurement sets of base images. */
export const measurementSets = indexer.table('measurement_sets', {
  ...row,
  osImageHash: hex('os_image_hash').notNull(),
  variant: integer().notNull(),
  mrSystem: hex('mr_system').notNull(),
  registers: hex('registers').notNull(),
})

/** Root keys of the KMS with their proof; `epoch` is 0 until the DAO approves the pair. */
export const rootKeys = indexer.table('root_keys', {
  ...row,
  mrAggregated: hex('mr_aggregated').notNull(),
  deviceId: hex('device_id').notNull(),
  provenAt: seconds('proven_at').notNull(),
  status: integer().notNull(),
  epoch: bigint({ mode: 'number' }).notNull(),
  caPublicKey: hex('ca_public_key').notNull(),
  k256PublicKey: hex('k256_public_key').notNull(),
  quoteId: hex('quote_id').notNull(),
})

/** Bonds of holders for hosts, in the smallest unit of the token. */
export const bonds = indexer.table('bonds', {
  ...row,
  deviceId: hex('device_id').notNull(),
  holder: hex('holder').notNull(),
  bonded: amount('bonded').notNull(),
  unbonding: amount('unbonding').notNull(),
  unbondsAt: seconds('unbonds_at').notNull(),
})

/** The last root of each account that called the heartbeat contract directly. */
export const heartbeats = indexer.table('heartbeats', {
  ...row,
  root: hex('root').notNull(),
  postedAt: seconds('posted_at').notNull(),
})

/* STATE: GOVERNANCE */

/** Proposals of the governor. The state at a time follows from the times and the votes. */
export const proposals = indexer.table('proposals', {
  ...row,
  proposer: hex('proposer').notNull(),
  targets: json<readonly Hex[]>('targets').notNull(),
  values: json<readonly string[]>('values').notNull(),
  calldatas: json<readonly Hex[]>('calldatas').notNull(),
  description: foreignText('description').notNull(),
  voteStart: seconds('vote_start').notNull(),
  voteEnd: seconds('vote_end').notNull(),
  againstVotes: amount('against_votes').notNull(),
  forVotes: amount('for_votes').notNull(),
  abstainVotes: amount('abstain_votes').notNull(),
  /** Earliest execution, Unix seconds; 0: not queued. */
  eta: seconds('eta').notNull(),
  isExecuted: boolean('is_executed').notNull(),
  isCanceled: boolean('is_canceled').notNull(),
})

/** One vote of one account on one proposal. */
export const votes = indexer.table(
  'votes',
  {
    ...row,
    proposal: text().notNull(),
    voter: hex('voter').notNull(),
    support: integer().notNull(),
    weight: amount('weight').notNull(),
    reason: foreignText('reason').notNull(),
  },
  (table) => [index('votes_of_proposal').on(table.proposal)],
)

/** Holders of the votes token: balance, delegate, and the votes that others delegated to them. */
export const voters = indexer.table('voters', {
  ...row,
  balance: amount('balance').notNull(),
  delegate: hex('delegate').notNull(),
  votes: amount('votes').notNull(),
})

/** Operations of the timelock. */
export const operations = indexer.table('operations', {
  ...row,
  calls: json<readonly { target: Hex; value: string; data: Hex }[]>('calls').notNull(),
  predecessor: hex('predecessor').notNull(),
  salt: hex('salt').notNull(),
  /** Earliest execution, Unix seconds; 0: canceled. */
  readyAt: seconds('ready_at').notNull(),
  /** Calls of it that were executed. */
  executed: integer().notNull(),
})

/** Roles of the timelock. */
export const roles = indexer.table('roles', {
  ...row,
  role: hex('role').notNull(),
  account: hex('account').notNull(),
  isGranted: boolean('is_granted').notNull(),
})
