/**
 * Keeps the proofs of machines from lapsing: asks their agents for a fresh quote in time, checks what the
 * chain would make of it, and lets the outbox bring it. Renewed is what the record on chain says.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { and, asc, eq, inArray, isNotNull, isNull, lte, or, sql } from 'drizzle-orm'

import { hostsAbi, quoteVerifierAbi } from '../chain/abi.ts'
import { decodeApproval, stateAt } from '../chain/approval.ts'
import { AssentError } from '../errors/index.ts'
import { fromHex, type Hex, to0x, utf8ToBytes } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { encodeWithKnownPck } from '../quote/compact.ts'
import { parseQuote } from '../quote/parse.ts'
import type { Agent, FreshQuote } from './agents.ts'
import type { Database } from './database.ts'
import type { Reader } from './endpoints.ts'
import type { Judge } from './intake.ts'
import { enqueueIntent } from './intents.ts'
import type { Setback } from './outbox.ts'
import { acceptQuote } from './quotes.ts'
import { hosts, intents } from './schema.ts'
import { recordKind } from './targets.ts'
import { toSetback } from './transitions.ts'

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
  readonly minimumGain: number
  /** Seconds for which a renewed proof must hold; less is near-expired collateral. */
  readonly minimumValidity: number
}

export interface KeptMachine {
  readonly deviceId: Hex
  readonly purpose: 'host' | 'kms-node'
  /** Who brings it in if the chain does not know it yet. */
  readonly operator: Hex
  readonly agent: Agent
}

export interface RenewalOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: Reader
  readonly registry: Hex
  readonly verifier: Hex
  readonly account: Hex
  readonly machines: readonly KeptMachine[]
  readonly judge: Judge
  readonly rules: RenewalRules
  /** Let the verifier remember each platform once, so that its renewals cost less. */
  readonly usesRecords: boolean
  readonly clock: Clock
  readonly log: Logger
  /** An intent was put into the outbox. */
  readonly onAccepted?: () => void
  readonly onRenewal?: (outcome: string) => void
}

/** Machines asked at once. */
const parallel = 8

/** One look at every machine whose time has come. Throws only for the chain or the database. */
export async function renewalRound(options: RenewalOptions): Promise<void> {
  await enrol(options)
  await settleRenewals(options)
  const due = await selectDue(options)
  if (due.length === 0) return
  const view = await look(options)
  for (let first = 0; first < due.length; first += parallel) {
    const batch = due.slice(first, first + parallel)
    await Promise.all(batch.map((row) => consider(options, view, row)))
  }
}

/* WHEN */

export type RenewalDecision =
  | { readonly do: 'wait'; readonly until: number }
  | { readonly do: 'renew'; readonly isUrgent: boolean }

/** Pure: whether a proof is renewed now. One that does not count any more is renewed at once. */
export function decideRenewal(
  record: { readonly deviceId: Hex; readonly expiresAt: number; readonly counts: boolean },
  view: { readonly at: number; readonly baseFee: bigint },
  rules: RenewalRules,
): RenewalDecision {
  const { at, baseFee } = view
  const urgentAt = record.expiresAt - rules.urgentBefore
  if (!record.counts || at >= urgentAt) return { do: 'renew', isUrgent: true }
  const dueAt = record.expiresAt - rules.renewBefore - Math.floor(spread(record) * rules.jitter)
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

type Row = typeof hosts.$inferSelect

/** A machine with an agent that the chain does not know gets an empty row: its first proof is a renewal. */
async function enrol({ db, chainId, registry, machines }: RenewalOptions): Promise<void> {
  if (machines.length === 0) return
  const values = machines.map(({ deviceId, operator }) => ({
    chainId,
    registry,
    deviceId,
    operator,
    attestedAt: 0,
    expiresAt: 0,
    status: 0,
    fmspc: '',
    tcbEvaluationNumber: 0,
    provenAtBlock: 0,
    approvalVersion: 0,
    advisories: [],
    block: 0,
  }))
  await db.insert(hosts).values(values).onConflictDoNothing()
}

/** What became of the renewals under way. */
async function settleRenewals(options: RenewalOptions): Promise<void> {
  const { db, clock } = options
  const rows = await db
    .select({ host: hosts, state: intents.state, setback: intents.setback })
    .from(hosts)
    .innerJoin(intents, eq(intents.id, hosts.intentId))
    .where(and(ofRegistry(options), inArray(intents.state, ['final', 'abandoned'])))
  for (const { host, state, setback } of rows) {
    if (state === 'final') {
      options.onRenewal?.('final')
      if (options.usesRecords && host.record === null) await wantRecord(options, host)
      await update(options, host, { intentId: null, failures: 0, setback: null, notBefore: 0 })
    } else {
      options.onRenewal?.('abandoned')
      const failures = host.failures + 1
      const notBefore = clock() + renewalPause(failures)
      await update(options, host, { intentId: null, failures, setback, notBefore })
    }
  }
}

/** Costs about as much as a raw renewal, and saves more than half of every later one. */
async function wantRecord(options: RenewalOptions, row: Row): Promise<void> {
  const { db, chainId, clock, verifier } = options
  const [intent] = await db
    .select({ payload: intents.payload })
    .from(intents)
    .where(eq(intents.id, row.intentId ?? ''))
  const { quote } = (intent?.payload ?? {}) as { quote?: unknown }
  if (typeof quote !== 'string') return
  const { deviceId, block } = row
  await enqueueIntent(db, {
    chainId,
    kind: recordKind,
    key: `${verifier}:${deviceId}`,
    payload: { quote, deviceId, fromBlock: block },
    expiresAt: clock() + 86_400,
    at: clock(),
  })
}

async function selectDue(options: RenewalOptions): Promise<Row[]> {
  const { db, clock, machines } = options
  if (machines.length === 0) return []
  const ids = machines.map(({ deviceId }) => deviceId)
  return db
    .select()
    .from(hosts)
    .where(
      and(
        ofRegistry(options),
        inArray(hosts.deviceId, ids),
        isNull(hosts.intentId),
        lte(hosts.notBefore, clock()),
      ),
    )
    .orderBy(asc(hosts.expiresAt))
}

function ofRegistry({ chainId, registry }: RenewalOptions) {
  return and(eq(hosts.chainId, chainId), eq(hosts.registry, registry))
}

function ofRow(row: Row) {
  return and(
    eq(hosts.chainId, row.chainId),
    eq(hosts.registry, row.registry),
    eq(hosts.deviceId, row.deviceId),
  )
}

async function update({ db }: RenewalOptions, row: Row, set: Partial<Row>): Promise<void> {
  await db.update(hosts).set(set).where(ofRow(row))
}

/** True for one replica at a time: two quotes of one machine would cost twice. */
async function claim({ db }: RenewalOptions, row: Row): Promise<boolean> {
  const free = or(isNull(hosts.claimedUntil), sql`${hosts.claimedUntil} <= now()`)
  const claimed = await db
    .update(hosts)
    .set({ claimedUntil: sql`now() + interval '60 seconds'` })
    .where(and(ofRow(row), free, isNull(hosts.intentId)))
    .returning({ deviceId: hosts.deviceId })
  return claimed.length === 1
}

/* WHAT THE CHAIN SAYS */

interface View {
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

async function look({ reader, registry, clock }: RenewalOptions): Promise<View> {
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
  const [bound, top] = await Promise.all([
    reader.agree('block', async (client) => {
      const { hash } = await client.getBlock({ blockNumber: number })
      return { number, hash }
    }),
    reader.first((client) => client.getBlock({ blockNumber: latest })),
  ])
  return { at: clock(), latest, baseFee: top.baseFeePerGas ?? 0n, block: bound, rules }
}

/** Whether the proof counts at the newest block, and whether a new one could. */
async function readStanding({ reader, registry }: RenewalOptions, view: View, row: Row) {
  const word = await reader.agree('approval of a host', (client) =>
    client.readContract({
      address: registry,
      abi: hostsAbi,
      functionName: 'approvalOf',
      args: [hostKind, row.deviceId],
      blockNumber: view.latest,
    }),
  )
  const approval = decodeApproval(word)
  const isProvenUnder =
    row.approvalVersion === approval.version || (row.approvalVersion === 0 && approval.version <= 1)
  return {
    isRevoked: stateAt(approval, view.at) === 'revoked',
    counts: row.expiresAt > 0 && isProvenUnder && row.attestedAt >= view.rules.attestedSince,
  }
}

/** Kind.Host */
const hostKind = 6

/* ONE MACHINE */

/** Seconds after which a machine that needs nothing is looked at again. */
const recheckAfter = 3_600

async function consider(options: RenewalOptions, view: View, row: Row): Promise<void> {
  const standing = await readStanding(options, view, row)
  if (standing.isRevoked) {
    await update(options, row, { notBefore: view.at + recheckAfter })
    return
  }
  const decision = decideRenewal({ ...row, counts: standing.counts }, view, options.rules)
  if (decision.do === 'wait') {
    const notBefore = Math.min(decision.until, view.at + recheckAfter)
    await update(options, row, { notBefore })
    return
  }
  if (!(await claim(options, row))) return
  try {
    await renew(options, view, row, { ...decision, counts: standing.counts })
    options.onRenewal?.('asked')
  } catch (error) {
    if (!(error instanceof AssentError)) throw error
    await refuse(options, row, toSetback(error))
  }
}

async function refuse(options: RenewalOptions, row: Row, setback: Setback): Promise<void> {
  const failures = row.failures + 1
  const notBefore = options.clock() + renewalPause(failures)
  options.log.warn({ device: row.deviceId, setback, failures }, 'a renewal waits')
  options.onRenewal?.(setback.code)
  await update(options, row, { failures, setback, notBefore, claimedUntil: null })
}

async function renew(
  options: RenewalOptions,
  view: View,
  row: Row,
  { isUrgent, counts }: { readonly isUrgent: boolean; readonly counts: boolean },
): Promise<void> {
  const { chainId, registry, account, clock } = options
  const machine = options.machines.find(({ deviceId }) => deviceId === row.deviceId)
  if (machine === undefined) return
  const deadline = clock() + permitSeconds
  const binding = { chainId, registry, operator: row.operator, block: view.block }
  const fresh = await machine.agent({ binding, deadline, account, record: row.record })

  const { purpose } = machine
  const judgement = await options.judge({ purpose, quote: fresh.quote, eventLog: fresh.eventLog })
  if (!judgement.ok) throw refusedByJudge(judgement.reasons)
  requireDevice(row, to0x(judgement.deviceId))
  const encoded = encode(fresh)
  await requireGain(options, view, row, encoded, isUrgent)

  const { id } = await acceptQuote(options.db, {
    chainId,
    purpose,
    digest: to0x(keccak_256(judgement.signedBytes)),
    operator: 'keeper',
    eventLog: fresh.eventLog,
    verdict: judgement.facts,
    expiresAt: Math.min(judgement.expiresAt, deadline),
    payload: {
      quote: to0x(fresh.quote),
      ...(fresh.record === null ? {} : { encoded: to0x(encoded) }),
      deviceId: row.deviceId,
      permit: toPermit(row, view, deadline, fresh),
      // Done is a record that ends later; one that does not count any more must only be newer.
      ...(counts ? { expiresAfter: row.expiresAt } : {}),
    },
    at: clock(),
  })
  options.log.info({ device: row.deviceId, intent: id, isUrgent }, 'a proof is renewed')
  await update(options, row, { intentId: id, setback: null, claimedUntil: null })
  options.onAccepted?.()
}

/** A renewal that takes longer is decided anew, with another quote. */
const permitSeconds = 3_600

function encode({ quote, record }: FreshQuote): Uint8Array {
  if (record === null) return quote
  return encodeWithKnownPck(parseQuote(quote), fromHex(record, 'record', 20))
}

function toPermit(row: Row, view: View, deadline: number, { signature }: FreshQuote) {
  const common = { operator: row.operator, blockNumber: Number(view.block.number) }
  return signature === undefined ? common : { ...common, deadline, signature }
}

function requireDevice(row: Row, found: Hex): void {
  if (found === row.deviceId) return
  throw new AssentError('RELAYER_AGENT_DEVICE', 'The agent gave a quote of another machine.', {
    facts: { expected: row.deviceId, found },
  })
}

function refusedByJudge(reasons: readonly Setback[]): AssentError {
  const sentences = reasons.map(({ message }) => message).join(' ')
  return new AssentError('RELAYER_QUOTE_REFUSED', `The quote is refused: ${sentences}`, {
    facts: { reasons },
  })
}

/** The chain's own verifier says until when the proof would hold; gas for less than it is worth is lost. */
async function requireGain(
  { reader, verifier, rules }: RenewalOptions,
  view: View,
  row: Row,
  encoded: Uint8Array,
  isUrgent: boolean,
): Promise<void> {
  const report = await reader.agree('verdict', (client) =>
    client.readContract({
      address: verifier,
      abi: quoteVerifierAbi,
      functionName: 'verify',
      args: [to0x(encoded)],
      blockNumber: view.latest,
    }),
  )
  if (report.verdict !== verified) {
    throw new AssentError('RELAYER_VERDICT', 'The verifier on chain does not believe the quote.', {
      facts: { verdict: report.verdict },
    })
  }
  const { minLifetime, maxLifetime } = view.rules
  const expiresAt = Math.min(
    Math.max(Number(report.expiresAt), view.at + minLifetime),
    view.at + maxLifetime,
  )
  const least = isUrgent ? 0 : rules.minimumGain
  const isEnough = expiresAt - view.at >= rules.minimumValidity
  // A proof that does not count any more gains by whatever the new one lasts.
  const gained = expiresAt - (isUrgent ? Math.min(row.expiresAt, view.at) : row.expiresAt)
  if (isEnough && gained > least) return
  throw new AssentError(
    'RELAYER_COLLATERAL_NEAR_EXPIRY',
    'A renewed proof would end too soon to be worth its gas.',
    { facts: { expiresAt, at: view.at, known: row.expiresAt, minimumGain: least } },
  )
}

/** Verdict.Verified */
const verified = 1

/* FOR SHOWING */

export interface Standing {
  readonly fresh: number
  readonly lapsed: number
  readonly failing: number
  /** End of the proof that ends first and has not ended; undefined if there is none. */
  readonly nextExpiry: number | undefined
}

/** Of the machines that this relayer keeps. */
export async function readStandings(options: RenewalOptions): Promise<Standing> {
  const { db, clock, machines } = options
  const at = clock()
  const ids = machines.map(({ deviceId }) => deviceId)
  const rows =
    ids.length === 0
      ? []
      : await db
          .select({ expiresAt: hosts.expiresAt, failures: hosts.failures })
          .from(hosts)
          .where(and(ofRegistry(options), inArray(hosts.deviceId, ids)))
  const ends = rows.map(({ expiresAt }) => expiresAt).filter((end) => end > at)
  return {
    fresh: ends.length,
    lapsed: rows.length - ends.length,
    failing: rows.filter(({ failures }) => failures > 0).length,
    nextExpiry: ends.length === 0 ? undefined : Math.min(...ends),
  }
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
