/**
 * Renews host proofs before they end: asks the agent of a host for a fresh quote, verifies it off-chain and with the
 * on-chain verifier, and puts it into the outbox. A renewal is done when the registry stores the longer host proof.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { and, asc, count, eq, inArray, isNotNull, isNull, lte, or, sql } from 'drizzle-orm'
import { z } from 'zod'

import { hostsAbi, quoteVerifierAbi } from '../../chain/abi.ts'
import { decodeApproval, stateAt } from '../../chain/approval.ts'
import { readHost } from '../../chain/registries/hosts.ts'
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

/** When to renew; times in seconds. */
export interface RenewalRules {
  /** Seconds before the end of a host proof from which it is renewed. */
  readonly renewBefore: number
  /** Renewals start up to so many seconds earlier, so that a fleet does not renew all at once. */
  readonly jitter: number
  /** Seconds before the end from which `maxBaseFee` does not delay a renewal any more. */
  readonly urgentBefore: number
  /** Highest base fee (wei per gas) at which a renewal is sent that is not urgent. */
  readonly maxBaseFee: bigint
  /** Seconds by which a renewal must extend the host proof, or its gas is not worth it. */
  readonly minimumExtension: number
  /** Seconds for which a renewed host proof must be valid. Less means that the collateral ends soon. */
  readonly minimumRemainingValidity: number
}

/** A host whose host proof is renewed. */
export interface RenewedHost {
  /** SHA-256 of the PPID. */
  readonly deviceId: Hex
  /** With `kms-node`, the host is renewed only while `KmsAuth` approves its KMS measurement and KMS device. */
  readonly purpose: 'host' | 'kms-node'
  /** Its operator for the first registration; later the operator on-chain counts. */
  readonly operator: Hex
  /** Gives quotes of the host. */
  readonly agent: Agent
}

/** Everything that a renewal needs. */
export interface RenewalOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  /** Contract `Hosts`. */
  readonly registry: Hex
  /** Contract `QuoteVerifier`. */
  readonly verifier: Hex
  /** The relayer's account: the operator of a host without a permit. */
  readonly account: Hex
  /** Hosts with their agents, from the settings. */
  readonly renewedHosts: readonly RenewedHost[]
  /** Verifies the fresh quote before gas is spent. */
  readonly verifySubmission: VerifySubmission
  /** When a proof is renewed, and up to which fee. */
  readonly rules: RenewalRules
  /** Store one verification record for each platform, so that later renewals cost less gas. */
  readonly usesRecords: boolean
  readonly clock: Clock
  readonly log: Logger
  /** Called when an intent was put into the outbox. */
  readonly onAccepted?: () => void
  /** Called with `asked`, `final`, `abandoned` or an error code, for metrics. */
  readonly onRenewal?: (outcome: string) => void
}

/** Hosts asked at the same time; many, so that one that hangs until its deadline does not delay the others. */
const parallel = 32
/** Hosts considered in one run. */
const perRound = 512
/**
 * Renewals that may wait in the outbox. On Ethereum an account sends 16 transactions in a block, so 4,800 while a permit is
 * valid. A renewal that waits longer expires and needs another quote.
 */
export const maxWaitingRenewals = 2_400

/**
 * Renews the hosts that are due, in the order in which their host proofs end. A failure of one host is stored as its
 * last error; only an outage of chain or database is thrown.
 *
 * @returns true if more hosts may be due and the outbox has room for them
 */
export async function runRenewal(configured: RenewalOptions): Promise<boolean> {
  const options = { ...configured, renewedHosts: await currentHosts(configured) }
  await settleRenewals(options)
  const limit = Math.min(perRound, maxWaitingRenewals - (await countWaiting(options)))
  if (limit <= 0) return false
  const due = await selectDue(options, limit)
  if (due.length === 0) return false
  const input = await readInput(options)
  const byId = new Map(
    options.renewedHosts.map((renewedHost) => [renewedHost.deviceId, renewedHost]),
  )
  const pauses = new Map<Hex, number>()
  try {
    await forEachOf(due, parallel, async (row) => {
      const host = byId.get(row.deviceId)
      if (host === undefined) return
      const notBefore = await considerHost(options, input, host, row)
      if (notBefore !== undefined) pauses.set(row.deviceId, notBefore)
    })
  } finally {
    await writePauses(options, pauses)
  }
  return due.length === limit
}

/* WHEN */

/** Renew now, or wait until a time in unix seconds. */
export type RenewalDecision =
  | { readonly do: 'wait'; readonly until: number }
  | { readonly do: 'renew'; readonly isUrgent: boolean }

/**
 * Decides if a host is renewed now. A host without a valid host proof is registered immediately. Pure.
 *
 * @param proof the host proof at the newest block; undefined without a host proof. `expiresAt` in unix seconds; `counts`:
 *   it was given under the current approval and rules
 * @param input time (unix seconds) and base fee (wei per gas)
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

/** Seconds until the base fee is checked again. */
const feePause = 300

/** A number from 0 to 1 that depends on the host proof only, so that a restart does not change the time. */
function spread({ deviceId, expiresAt }: { deviceId: Hex; expiresAt: number }): number {
  const digest = keccak_256(utf8ToBytes(`${deviceId} ${expiresAt}`))
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32
}

/** Seconds to wait after this many failures in a row: 30 seconds to one hour. */
export function renewalPause(failures: number): number {
  return Math.min(15 * 2 ** Math.min(failures, 10), 3_600)
}

/* ROWS */

/** The columns that a renewal needs; the old quote is long and left out. */
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
 * Creates a row for every configured host that has none. Needed once before the first run. The columns of the host
 * proof stay null: only events fill them.
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

/** Ended renewals handled in one run. */
const settledPerRound = 1_000

/** Handles renewals whose intents are final or abandoned. */
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

/** The part of a renewal's payload that a verification record needs. */
const provenSchema = z.object({
  quote: z.string(),
  permit: z.object({ blockNumber: z.int().min(0) }),
})

/**
 * Requests a verification record. It costs about as much gas as one renewal with a raw quote and saves more than half
 * of every later one.
 *
 * @returns false while older events are not read, because they may show that the record exists
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
  // reading events may be stuck; after an hour the next renewal is more important
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

/** Renewals in the outbox that have no transaction yet. */
async function countWaiting(options: RenewalOptions): Promise<number> {
  const [row] = await options.db
    .select({ waiting: count() })
    .from(hosts)
    .innerJoin(intents, eq(intents.id, hosts.intentId))
    .where(and(ofRegistry(options), eq(intents.state, 'queued')))
  return row?.waiting ?? 0
}

/** At most `limit` hosts that are due, in the order in which their host proofs end; hosts without one come last. */
async function selectDue(options: RenewalOptions, limit: number): Promise<HostRow[]> {
  const { db, clock, renewedHosts } = options
  const isFree = and(ofRegistry(options), isNull(hosts.intentId), lte(hosts.notBefore, clock()))
  const due: { deviceId: Hex; expiresAt: number | null }[] = []
  for (const part of inParts(renewedHosts.map(({ deviceId }) => deviceId))) {
    const rows = await db
      .select({ deviceId: hosts.deviceId, expiresAt: hosts.expiresAt })
      .from(hosts)
      .where(and(isFree, isOneOf(hosts.deviceId, part)))
      .orderBy(asc(hosts.expiresAt))
      .limit(limit)
    due.push(...rows)
  }
  const endOf = ({ expiresAt }: { expiresAt: number | null }) =>
    expiresAt ?? Number.MAX_SAFE_INTEGER
  const chosen = due.sort((a, b) => endOf(a) - endOf(b)).slice(0, limit)
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

/** Most hosts need nothing now; one statement stores until when they wait. */
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

/** True for one replica at a time: two renewals of one host would cost gas twice. */
async function claim({ db }: RenewalOptions, row: HostRow): Promise<boolean> {
  const free = or(isNull(hosts.claimedUntil), sql`${hosts.claimedUntil} <= now()`)
  const claimed = await db
    .update(hosts)
    .set({ claimedUntil: sql`now() + interval '60 seconds'` })
    .where(and(ofRow(row), free, isNull(hosts.intentId)))
    .returning({ deviceId: hosts.deviceId })
  return claimed.length === 1
}

/* STATE ON-CHAIN */

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
  // The hash of a final block cannot change. It is used if the registry still accepts so old a block.
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
  // a chain without EIP-1559 has no base fee
  return { at: clock(), latest, baseFee: baseFee ?? 0n, block: bound, rules }
}

interface OnchainHostProof {
  readonly expiresAt: number
  /** It was given under the current approval version and after `attestedSince`. */
  readonly counts: boolean
}

interface HostStatus {
  readonly isRevoked: boolean
  /** Undefined if the host was never registered. */
  readonly proof: OnchainHostProof | undefined
  /** Its operator on-chain, or the configured one. */
  readonly operator: Hex
}

/**
 * Reads approval and host proof at the newest block. The database is not used for this: it follows final blocks, and
 * after a loss it is empty.
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

/** `Kind.Host` in contracts/types/Kinds. */
const hostKind = 6

/* ONE HOST */

/**
 * Seconds after which a host that needs nothing is checked again: one hour, or longer in a large fleet, so that at most
 * five hosts are checked in a second.
 */
export function recheckAfter(renewedHosts: number): number {
  return Math.max(3_600, Math.ceil(renewedHosts / 5))
}

/** Renews a host if it is due. @returns until when it waits, if it needs nothing now */
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
  options.log.warn(
    { device: row.deviceId, lastError, failures },
    'a renewal failed and is tried again',
  )
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
    operator: 'renewal',
    eventLog: fresh.eventLog,
    verdict: result.facts,
    expiresAt: Math.min(result.expiresAt, deadline),
    payload: {
      quote: to0x(fresh.quote),
      ...(fresh.record === null ? {} : { encoded: to0x(encoded) }),
      deviceId: row.deviceId,
      permit: toPermit(operator, input, deadline, fresh),
      // Done when the host proof ends later. If the current one is not valid, any newer one is enough.
      ...(proof?.counts ? { expiresAfter: proof.expiresAt } : {}),
    },
    at: clock(),
  })
  options.log.info(
    { device: row.deviceId, intent: id, isUrgent },
    'a renewal was put into the outbox',
  )
  await update(options, row, { intentId: id, lastError: null, claimedUntil: null })
  options.onAccepted?.()
}

/** Seconds for which a permit is valid. A renewal that takes longer starts again with another quote. */
const permitSeconds = 3_600

/** The quote as it is submitted: compact if a verification record of the platform is stored, which costs less gas. */
function encode({ quote, record }: FreshQuote): Uint8Array {
  if (record === null) return quote
  return encodeWithKnownPck(parseQuote(quote), fromHex(record, 'record', 20))
}

/** The authority that goes with the quote. Without a signature the relayer's account must be the operator. */
function toPermit(operator: Hex, input: RenewalInput, deadline: number, { signature }: FreshQuote) {
  const common = { operator, blockNumber: Number(input.block.number) }
  return signature === undefined ? common : { ...common, deadline, signature }
}

/** A quote of another host than asked for is a wrong setting or a lying agent. */
function requireDevice(row: HostRow, found: Hex): void {
  if (found === row.deviceId) return
  throw new AssentError('RELAYER_AGENT_DEVICE', 'The agent returned a quote of another host.', {
    facts: { expected: row.deviceId, found },
  })
}

function quoteRejected(reasons: readonly LastError[]): AssentError {
  const sentences = reasons.map(({ message }) => message).join(' ')
  return new AssentError('RELAYER_QUOTE_REFUSED', `The quote is refused: ${sentences}`, {
    facts: { reasons },
  })
}

/** Asks the on-chain verifier until when the host proof would last, and refuses an extension that is too short. */
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
    throw new AssentError('RELAYER_VERDICT', 'The on-chain verifier rejects the quote.', {
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
  // without a valid host proof any new one is an extension
  const known = proof?.expiresAt ?? input.at
  const gained = expiresAt - (isUrgent ? Math.min(known, input.at) : known)
  if (isEnough && gained > least) return
  throw new AssentError(
    'RELAYER_COLLATERAL_NEAR_EXPIRY',
    'The renewed host proof would end too soon to be worth its gas.',
    {
      facts: { expiresAt, at: input.at, known: proof?.expiresAt ?? null, minimumExtension: least },
    },
  )
}

/** `Verdict.Verified` in contracts/types/Report.sol. */
const verified = 1

/* STATUS */

/** Number of configured hosts by the state of their host proof. */
export interface RenewalStatus {
  /** With a valid host proof. */
  readonly fresh: number
  /** With an expired host proof. */
  readonly lapsed: number
  /** No final block contains a host proof. */
  readonly unproven: number
  /** Whose last renewal failed. */
  readonly failing: number
  /** Unix seconds: the next end of a host proof; undefined: no host is proven. */
  readonly nextExpiry: number | undefined
}

/** Counts the configured hosts, for metrics. */
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

/** Hosts in the registry, as `GET /v1/hosts` returns them, in the order in which their host proofs end. */
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
