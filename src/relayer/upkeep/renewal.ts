/**
 * Keeps the proofs of machines from lapsing: asks their agents for a fresh quote in time, checks what the
 * chain would make of it, and lets the outbox bring it. Renewed is what the record on chain says.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { and, asc, eq, inArray, isNotNull, isNull, lte, or, sql } from 'drizzle-orm'
import { z } from 'zod'

import { hostsAbi, quoteVerifierAbi } from '../../chain/abi.ts'
import { decodeApproval, stateAt } from '../../chain/approval.ts'
import { readHost } from '../../chain/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x, utf8ToBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { forEachOf } from '../../lib/pool.ts'
import { encodeWithKnownPck } from '../../quote/compact.ts'
import { parseQuote } from '../../quote/parse.ts'
import { type Database, inParts, isOneOf } from '../database/database.ts'
import { hosts, intents } from '../database/schema.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'
import type { VerifySubmission } from '../intake/intake.ts'
import { acceptQuote } from '../intake/quotes.ts'
import { recordKind } from '../outbox/intent-targets.ts'
import { enqueueIntent } from '../outbox/intents.ts'
import type { LastError } from '../outbox/outbox.ts'
import { toLastError } from '../outbox/transitions.ts'
import type { Agent, FreshQuote } from './host-agents.ts'
import { hostsCursor, lastRead } from './host-events.ts'

export interface RenewalRules {
  /** Seconds before the end of a proof from which it is renewed. */
  readonly renewBefore: number
  /** Renewals are spread over so many seconds before that. */
  readonly jitter: number
  /** Seconds before the end from which no fee is too high for the outbox's own cap. */
  readonly urgentBefore: number
  /** Base fee in wei up to which a renewal that is not urgent is sent. */
  readonly maxBaseFee: bigint
  /** Seconds that a renewal must add. */
  readonly minimumExtension: number
  /** Seconds for which a renewed proof must hold; less is near-expired collateral. */
  readonly minimumRemainingValidity: number
}

export interface RenewedHost {
  readonly deviceId: Hex
  readonly purpose: 'host' | 'kms-node'
  /** Who brings it in if the chain does not know it yet. */
  readonly operator: Hex
  readonly agent: Agent
}

export interface RenewalOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  readonly registry: Hex
  readonly verifier: Hex
  readonly account: Hex
  readonly renewedHosts: readonly RenewedHost[]
  readonly verifySubmission: VerifySubmission
  readonly rules: RenewalRules
  /** Let the verifier remember each platform once, so that its renewals cost less. */
  readonly usesRecords: boolean
  readonly clock: Clock
  readonly log: Logger
  /** An intent was put into the outbox. */
  readonly onAccepted?: () => void
  readonly onRenewal?: (outcome: string) => void
}

/** Machines asked at once: enough that one which hangs until its deadline does not hold up the others. */
const parallel = 32
/** Machines considered in one round; the others are next. */
const perRound = 512

/**
 * One look at the machines whose time has come, those whose proofs end first before the others; true if there
 * are more. Throws only for the chain or the database.
 */
export async function runRenewal(configured: RenewalOptions): Promise<boolean> {
  const options = { ...configured, renewedHosts: await currentHosts(configured) }
  await settleRenewals(options)
  const due = await selectDue(options)
  if (due.length === 0) return false
  const input = await readInput(options)
  const byId = new Map(
    options.renewedHosts.map((renewedHost) => [renewedHost.deviceId, renewedHost]),
  )
  const pauses = new Map<Hex, number>()
  try {
    await forEachOf(due, parallel, async (row) => {
      const machine = byId.get(row.deviceId)
      if (machine === undefined) return
      const notBefore = await considerHost(options, input, machine, row)
      if (notBefore !== undefined) pauses.set(row.deviceId, notBefore)
    })
  } finally {
    await writePauses(options, pauses)
  }
  return due.length === perRound
}

/* WHEN */

export type RenewalDecision =
  | { readonly do: 'wait'; readonly until: number }
  | { readonly do: 'renew'; readonly isUrgent: boolean }

/**
 * Pure: whether a machine proves itself now. A first proof, and one in the place of a proof that does not count
 * any more, is brought at once.
 *
 * @param proof what the newest block holds; undefined if the machine never proved itself
 */
export function decideRenewal(
  deviceId: Hex,
  proof: { readonly expiresAt: number; readonly counts: boolean } | undefined,
  input: { readonly at: number; readonly baseFee: bigint },
  rules: RenewalRules,
): RenewalDecision {
  const { at, baseFee } = input
  if (proof === undefined || !proof.counts) return { do: 'renew', isUrgent: true }
  const { expiresAt } = proof
  const urgentAt = expiresAt - rules.urgentBefore
  if (at >= urgentAt) return { do: 'renew', isUrgent: true }
  const part = spread({ deviceId, expiresAt })
  const dueAt = expiresAt - rules.renewBefore - Math.floor(part * rules.jitter)
  if (at < dueAt) return { do: 'wait', until: dueAt }
  if (baseFee > rules.maxBaseFee) return { do: 'wait', until: Math.min(at + feePause, urgentAt) }
  return { do: 'renew', isUrgent: false }
}

/** Seconds until the fees are looked at again. */
const feePause = 300

/** The same part of the jitter for the same proof, so that a restart does not draw again. */
function spread({ deviceId, expiresAt }: { deviceId: Hex; expiresAt: number }): number {
  const digest = keccak_256(utf8ToBytes(`${deviceId} ${expiresAt}`))
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32
}

/** Seconds to wait after so many failures in a row, up to an hour. */
export function renewalPause(failures: number): number {
  return Math.min(15 * 2 ** Math.min(failures, 10), 3_600)
}

/* ROWS */

/** What a renewal needs of the row: without the old quote, which is long. */
const rowColumns = {
  chainId: hosts.chainId,
  registry: hosts.registry,
  deviceId: hosts.deviceId,
  operator: hosts.operator,
  record: hosts.record,
  failures: hosts.failures,
  intentId: hosts.intentId,
} as const

type HostRow = Pick<typeof hosts.$inferSelect, keyof typeof rowColumns>

/**
 * Gives every machine with an agent a row: needed once before the first round. What the chain knows of a machine comes
 * from the chain, never from here.
 */
export async function insertHosts({
  db,
  chainId,
  registry,
  renewedHosts,
}: Pick<RenewalOptions, 'db' | 'chainId' | 'registry' | 'renewedHosts'>): Promise<void> {
  for (const part of inParts(renewedHosts)) {
    const rows = part.map(({ deviceId, operator }) => ({ device_id: deviceId, operator }))
    await db.execute(sql`
      insert into ${hosts} (chain_id, registry, device_id, operator)
      select ${chainId}, ${registry}, kept.device_id, kept.operator
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as kept(device_id text, operator text)
      where not exists (
        select from ${hosts} as known where known.chain_id = ${chainId}
          and known.registry = ${registry} and known.device_id = kept.device_id)
      on conflict do nothing`)
  }
}

/**
 * The configured hosts under the device ids that they have now.
 *
 * A firmware update can give a host another device id. `HostContinued` moves its approval to that id, and the agent
 * that is configured for the old id answers for the new one. An entry that names the new id itself wins.
 */
async function currentHosts(
  options: Pick<RenewalOptions, 'db' | 'chainId' | 'registry' | 'renewedHosts'>,
): Promise<RenewedHost[]> {
  const { db, renewedHosts } = options
  const rows = await db
    .select({ from: hosts.deviceId, to: hosts.continuedAs })
    .from(hosts)
    .where(and(ofRegistry(options), isNotNull(hosts.continuedAs)))
  const nextId = new Map(rows.map(({ from, to }) => [from, to]))
  const current = new Map<Hex, RenewedHost>()
  for (const host of renewedHosts) {
    let deviceId = host.deviceId
    // an id is continued at most once, so each step uses up a row
    for (let steps = 0; steps < rows.length; steps++) deviceId = nextId.get(deviceId) ?? deviceId
    if (deviceId === host.deviceId || !current.has(deviceId)) {
      current.set(deviceId, { ...host, deviceId })
    }
  }
  return [...current.values()]
}

/** Renewals settled in one round. */
const settledPerRound = 1_000

/** What became of the renewals under way. */
async function settleRenewals(options: RenewalOptions): Promise<void> {
  const { db, clock } = options
  const rows = await db
    .select({ host: rowColumns, state: intents.state, lastError: intents.lastError })
    .from(hosts)
    .innerJoin(intents, eq(intents.id, hosts.intentId))
    .where(and(ofRegistry(options), inArray(intents.state, ['final', 'abandoned'])))
    .limit(settledPerRound)
  for (const { host, state, lastError } of rows) {
    if (state === 'final') {
      if (options.usesRecords && host.record === null && !(await wantRecord(options, host)))
        continue
      options.onRenewal?.('final')
      await update(options, host, { intentId: null, failures: 0, lastError: null, notBefore: 0 })
    } else {
      options.onRenewal?.('abandoned')
      const failures = host.failures + 1
      const notBefore = clock() + renewalPause(failures)
      await update(options, host, { intentId: null, failures, lastError, notBefore })
    }
  }
}

/** The part of a renewal's payload that a record needs. */
const provenSchema = z.object({
  quote: z.string(),
  permit: z.object({ blockNumber: z.int().min(0) }),
})

/**
 * Costs about as much as a raw renewal, and saves more than half of every later one.
 *
 * @returns false while the events before the proof are not read: the verifier may know the platform already
 */
async function wantRecord(options: RenewalOptions, row: HostRow): Promise<boolean> {
  const { db, chainId, registry, clock, verifier } = options
  const [intent] = await db
    .select({ payload: intents.payload, createdAt: intents.createdAt })
    .from(intents)
    .where(eq(intents.id, row.intentId ?? ''))
  const proven = provenSchema.safeParse(intent?.payload)
  if (!proven.success) return true
  const { quote, permit } = proven.data
  const { deviceId } = row
  const isRead = (await lastRead(db, chainId, hostsCursor(registry))) >= permit.blockNumber
  // A watch that stands still must not hold up the next renewal.
  if (!isRead) return clock() >= (intent?.createdAt ?? 0) + permitSeconds
  await enqueueIntent(db, {
    chainId,
    kind: recordKind,
    key: `${verifier}:${deviceId}`,
    payload: { quote, deviceId },
    expiresAt: clock() + 86_400,
    at: clock(),
  })
  return true
}

/** Those whose proofs end first; those of which the final blocks show no proof come last. */
async function selectDue(options: RenewalOptions): Promise<HostRow[]> {
  const { db, clock, renewedHosts } = options
  const isFree = and(ofRegistry(options), isNull(hosts.intentId), lte(hosts.notBefore, clock()))
  const due: { deviceId: Hex; expiresAt: number | null }[] = []
  for (const part of inParts(renewedHosts.map(({ deviceId }) => deviceId))) {
    const rows = await db
      .select({ deviceId: hosts.deviceId, expiresAt: hosts.expiresAt })
      .from(hosts)
      .where(and(isFree, isOneOf(hosts.deviceId, part)))
      .orderBy(asc(hosts.expiresAt))
      .limit(perRound)
    due.push(...rows)
  }
  const endOf = ({ expiresAt }: { expiresAt: number | null }) =>
    expiresAt ?? Number.MAX_SAFE_INTEGER
  const chosen = due.sort((a, b) => endOf(a) - endOf(b)).slice(0, perRound)
  if (chosen.length === 0) return []
  const ids = chosen.map(({ deviceId }) => deviceId)
  const isChosen = and(ofRegistry(options), isOneOf(hosts.deviceId, ids))
  return db.select(rowColumns).from(hosts).where(isChosen).orderBy(asc(hosts.expiresAt))
}

function ofRegistry({ chainId, registry }: Pick<RenewalOptions, 'chainId' | 'registry'>) {
  return and(eq(hosts.chainId, chainId), eq(hosts.registry, registry))
}

function ofRow(row: HostRow) {
  return and(
    eq(hosts.chainId, row.chainId),
    eq(hosts.registry, row.registry),
    eq(hosts.deviceId, row.deviceId),
  )
}

/** Most machines of a round need nothing: they wait with one write. */
async function writePauses(
  options: RenewalOptions,
  pauses: ReadonlyMap<Hex, number>,
): Promise<void> {
  const rows = [...pauses].map(([id, until]) => ({ id, until }))
  if (rows.length === 0) return
  await options.db
    .update(hosts)
    .set({ notBefore: sql`paused.until` })
    .from(sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as paused(id text, until bigint)`)
    .where(and(ofRegistry(options), eq(hosts.deviceId, sql`paused.id`)))
}

async function update(
  { db }: RenewalOptions,
  row: HostRow,
  set: Partial<typeof hosts.$inferInsert>,
): Promise<void> {
  await db.update(hosts).set(set).where(ofRow(row))
}

/** True for one replica at a time: two quotes of one machine would cost twice. */
async function claim({ db }: RenewalOptions, row: HostRow): Promise<boolean> {
  const free = or(isNull(hosts.claimedUntil), sql`${hosts.claimedUntil} <= now()`)
  const claimed = await db
    .update(hosts)
    .set({ claimedUntil: sql`now() + interval '60 seconds'` })
    .where(and(ofRow(row), free, isNull(hosts.intentId)))
    .returning({ deviceId: hosts.deviceId })
  return claimed.length === 1
}

/* WHAT THE CHAIN SAYS */

interface RenewalInput {
  readonly at: number
  readonly latest: bigint
  readonly baseFee: bigint
  readonly block: { readonly number: bigint; readonly hash: Hex }
  readonly rules: {
    readonly attestedSince: number
    readonly minLifetime: number
    readonly maxLifetime: number
  }
}

async function readInput({ reader, registry, clock }: RenewalOptions): Promise<RenewalInput> {
  const { latest, final } = await reader.heights()
  const rules = await reader.agree('rules of hosts', (client) =>
    client.readContract({
      address: registry,
      abi: hostsAbi,
      functionName: 'rules',
      blockNumber: latest,
    }),
  )
  // The hash of a final block cannot change under the quote; the window may be too small for one.
  const isNear = latest - final <= BigInt(rules.window) / 2n && final > 0n
  const number = isNear ? final : latest
  const [bound, baseFee] = await Promise.all([
    reader.agree('block', async (client) => {
      const { hash } = await client.getBlock({ blockNumber: number })
      return { number, hash }
    }),
    reader.agree('base fee', async (client) => {
      return (await client.getBlock({ blockNumber: latest })).baseFeePerGas
    }),
  ])
  // A chain without EIP-1559 has no base fee that could be too high.
  return { at: clock(), latest, baseFee: baseFee ?? 0n, block: bound, rules }
}

interface OnchainHostProof {
  readonly expiresAt: number
  /** Whether the registry still takes it into account. */
  readonly counts: boolean
}

interface HostStatus {
  readonly isRevoked: boolean
  /** Undefined if the machine never proved itself. */
  readonly proof: OnchainHostProof | undefined
  /** Who brings it in. */
  readonly operator: Hex
}

/**
 * What the newest block holds of the machine. The row is not asked: it follows the final blocks, and a database that
 * was lost knows nothing.
 */
async function readHostStatus(
  { reader, registry }: RenewalOptions,
  input: RenewalInput,
  row: HostRow,
): Promise<HostStatus> {
  const [word, host] = await Promise.all([
    reader.agree('approval of a host', (client) =>
      client.readContract({
        address: registry,
        abi: hostsAbi,
        functionName: 'approvalOf',
        args: [hostKind, row.deviceId],
        blockNumber: input.latest,
      }),
    ),
    reader.agree('proof of a host', (client) =>
      readHost(client, registry, row.deviceId, input.latest),
    ),
  ])
  const approval = decodeApproval(word)
  const isRevoked = stateAt(approval, input.at) === 'revoked'
  if (host.attestedAt === 0) return { isRevoked, proof: undefined, operator: row.operator }
  const isProvenUnder =
    host.approvalVersion === approval.version ||
    (host.approvalVersion === 0 && approval.version <= 1)
  return {
    isRevoked,
    proof: {
      expiresAt: host.expiresAt,
      counts: isProvenUnder && host.attestedAt >= input.rules.attestedSince,
    },
    operator: host.operator.toLowerCase() as Hex,
  }
}

/** Kind.Host */
const hostKind = 6

/* ONE MACHINE */

/**
 * Seconds after which a machine that needs nothing is looked at again: an hour, and longer in a large fleet, so that
 * at most five are looked at in a second.
 */
export function recheckAfter(renewedHosts: number): number {
  return Math.max(3_600, Math.ceil(renewedHosts / 5))
}

/** @returns until when a machine waits that needs nothing now */
async function considerHost(
  options: RenewalOptions,
  input: RenewalInput,
  renewedHost: RenewedHost,
  row: HostRow,
): Promise<number | undefined> {
  const recheckAt = input.at + recheckAfter(options.renewedHosts.length)
  const hostStatus = await readHostStatus(options, input, row)
  if (hostStatus.isRevoked) return recheckAt
  const decision = decideRenewal(row.deviceId, hostStatus.proof, input, options.rules)
  if (decision.do === 'wait') return Math.min(decision.until, recheckAt)
  if (!(await claim(options, row))) return undefined
  try {
    await renew(options, input, renewedHost, row, { ...hostStatus, isUrgent: decision.isUrgent })
    options.onRenewal?.('asked')
  } catch (error) {
    if (!(error instanceof AssentError)) throw error
    await recordFailure(options, row, toLastError(error))
  }
  return undefined
}

async function recordFailure(
  options: RenewalOptions,
  row: HostRow,
  lastError: LastError,
): Promise<void> {
  const failures = row.failures + 1
  const notBefore = options.clock() + renewalPause(failures)
  options.log.warn({ device: row.deviceId, lastError, failures }, 'a renewal waits')
  options.onRenewal?.(lastError.code)
  await update(options, row, { failures, lastError, notBefore, claimedUntil: null })
}

type RenewalNeed = Pick<HostStatus, 'proof' | 'operator'> & { readonly isUrgent: boolean }

async function renew(
  options: RenewalOptions,
  input: RenewalInput,
  renewedHost: RenewedHost,
  row: HostRow,
  need: RenewalNeed,
): Promise<void> {
  const { chainId, registry, account, clock } = options
  const { operator, proof, isUrgent } = need
  const deadline = clock() + permitSeconds
  const binding = { chainId, registry, operator, block: input.block }
  const fresh = await renewedHost.agent({ binding, deadline, account, record: row.record })

  const { purpose } = renewedHost
  const result = await options.verifySubmission({
    purpose,
    quote: fresh.quote,
    eventLog: fresh.eventLog,
  })
  if (!result.ok) throw quoteRejected(result.reasons)
  requireDevice(row, to0x(result.deviceId))
  const encoded = encode(fresh)
  await requireExtension(options, input, encoded, need)

  const { id } = await acceptQuote(options.db, {
    chainId,
    purpose,
    digest: to0x(keccak_256(result.signedBytes)),
    operator: 'keeper',
    eventLog: fresh.eventLog,
    verdict: result.facts,
    expiresAt: Math.min(result.expiresAt, deadline),
    payload: {
      quote: to0x(fresh.quote),
      ...(fresh.record === null ? {} : { encoded: to0x(encoded) }),
      deviceId: row.deviceId,
      permit: toPermit(operator, input, deadline, fresh),
      // Done is a record that ends later; one that does not count any more must only be newer.
      ...(proof?.counts ? { expiresAfter: proof.expiresAt } : {}),
    },
    at: clock(),
  })
  options.log.info({ device: row.deviceId, intent: id, isUrgent }, 'a proof is renewed')
  await update(options, row, { intentId: id, lastError: null, claimedUntil: null })
  options.onAccepted?.()
}

/** A renewal that takes longer is decided anew, with another quote. */
const permitSeconds = 3_600

function encode({ quote, record }: FreshQuote): Uint8Array {
  if (record === null) return quote
  return encodeWithKnownPck(parseQuote(quote), fromHex(record, 'record', 20))
}

function toPermit(operator: Hex, input: RenewalInput, deadline: number, { signature }: FreshQuote) {
  const common = { operator, blockNumber: Number(input.block.number) }
  return signature === undefined ? common : { ...common, deadline, signature }
}

function requireDevice(row: HostRow, found: Hex): void {
  if (found === row.deviceId) return
  throw new AssentError('RELAYER_AGENT_DEVICE', 'The agent gave a quote of another renewedHost.', {
    facts: { expected: row.deviceId, found },
  })
}

function quoteRejected(reasons: readonly LastError[]): AssentError {
  const sentences = reasons.map(({ message }) => message).join(' ')
  return new AssentError('RELAYER_QUOTE_REFUSED', `The quote is refused: ${sentences}`, {
    facts: { reasons },
  })
}

/** The chain's own verifier says until when the proof would hold; gas for less than it is worth is lost. */
async function requireExtension(
  { reader, verifier, rules }: RenewalOptions,
  input: RenewalInput,
  encoded: Uint8Array,
  { proof, isUrgent }: RenewalNeed,
): Promise<void> {
  const report = await reader.agree('verdict', (client) =>
    client.readContract({
      address: verifier,
      abi: quoteVerifierAbi,
      functionName: 'verify',
      args: [to0x(encoded)],
      blockNumber: input.latest,
    }),
  )
  if (report.verdict !== verified) {
    throw new AssentError('RELAYER_VERDICT', 'The verifier on chain does not believe the quote.', {
      facts: { verdict: report.verdict },
    })
  }
  const { minLifetime, maxLifetime } = input.rules
  const expiresAt = Math.min(
    Math.max(Number(report.expiresAt), input.at + minLifetime),
    input.at + maxLifetime,
  )
  const least = isUrgent ? 0 : rules.minimumExtension
  const isEnough = expiresAt - input.at >= rules.minimumRemainingValidity
  // Where no proof counts any more, the new one gains by whatever it lasts.
  const known = proof?.expiresAt ?? input.at
  const gained = expiresAt - (isUrgent ? Math.min(known, input.at) : known)
  if (isEnough && gained > least) return
  throw new AssentError(
    'RELAYER_COLLATERAL_NEAR_EXPIRY',
    'A renewed proof would end too soon to be worth its gas.',
    {
      facts: { expiresAt, at: input.at, known: proof?.expiresAt ?? null, minimumExtension: least },
    },
  )
}

/** Verdict.Verified */
const verified = 1

/* FOR SHOWING */

export interface RenewalStatus {
  readonly fresh: number
  readonly lapsed: number
  /** No final block that was read shows a proof. */
  readonly unproven: number
  readonly failing: number
  /** End of the proof that ends first and has not ended; undefined if there is none. */
  readonly nextExpiry: number | undefined
}

/** Of the machines that this relayer keeps. */
export async function readRenewalStatus(options: RenewalOptions): Promise<RenewalStatus> {
  const { db, clock } = options
  const renewedHosts = await currentHosts(options)
  const at = clock()
  const isFresh = sql`${hosts.expiresAt} > ${at}`
  let hostStatus: RenewalStatus = {
    fresh: 0,
    lapsed: 0,
    unproven: 0,
    failing: 0,
    nextExpiry: undefined,
  }
  for (const part of inParts(renewedHosts.map(({ deviceId }) => deviceId))) {
    const [row] = await db
      .select({
        fresh: sql<number>`(count(*) filter (where ${isFresh}))::int`,
        lapsed: sql<number>`(count(*) filter (where ${hosts.expiresAt} <= ${at}))::int`,
        unproven: sql<number>`(count(*) filter (where ${hosts.expiresAt} is null))::int`,
        failing: sql<number>`(count(*) filter (where ${hosts.failures} > 0))::int`,
        nextExpiry: sql<string | null>`min(${hosts.expiresAt}) filter (where ${isFresh})`,
      })
      .from(hosts)
      .where(and(ofRegistry(options), isOneOf(hosts.deviceId, part)))
    if (row === undefined) continue
    const ends = [hostStatus.nextExpiry, row.nextExpiry].flatMap((end) =>
      end === undefined || end === null ? [] : [Number(end)],
    )
    hostStatus = {
      fresh: hostStatus.fresh + row.fresh,
      lapsed: hostStatus.lapsed + row.lapsed,
      unproven: hostStatus.unproven + row.unproven,
      failing: hostStatus.failing + row.failing,
      nextExpiry: ends.length === 0 ? undefined : Math.min(...ends),
    }
  }
  return hostStatus
}

/** Every machine that the registry knows, soonest end first. */
export async function listHosts(
  { db, chainId, registry }: Pick<RenewalOptions, 'db' | 'chainId' | 'registry'>,
  limit = 1_000,
) {
  const rows = await db
    .select()
    .from(hosts)
    .where(
      and(eq(hosts.chainId, chainId), eq(hosts.registry, registry), isNotNull(hosts.attestedAt)),
    )
    .orderBy(asc(hosts.expiresAt))
    .limit(limit)
  return rows.map(({ quote: _quote, claimedUntil: _claimed, chainId: _chain, ...row }) => row)
}
