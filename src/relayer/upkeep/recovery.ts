/**
 * Says early whom a coming TCB recovery will demote: judges the proof of each known machine by the early
 * set too, on the chain's own verifier, and compares with what the registry lets pass. In passing it sees
 * which proofs are provably dead.
 */
import { and, desc, eq, gt, isNotNull, isNull, lt, or } from 'drizzle-orm'

import { hostsAbi, quoteVerifierAbi } from '../../chain/abi.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { forEachOf } from '../../lib/pool.ts'
import { tcbStatuses } from '../../quote/verdict.ts'
import type { Database } from '../database/database.ts'
import { hosts } from '../database/schema.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'
import { advisoryName } from './host-events.ts'

export interface RecoveryOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  readonly registry: Hex
  readonly verifier: Hex
  readonly clock: Clock
  readonly log: Logger
}

/** TcbStatus of contracts/types/Report.sol; 0 stands for "not believed at all". */
const statusNames = ['None', ...tcbStatuses] as const

export function statusName(status: number): string {
  return statusNames[status] ?? `unknown ${status}`
}

export interface StatusLoss {
  readonly deviceId: Hex
  readonly operator: Hex
  readonly fmspc: string
  readonly status: string
  readonly earlyStatus: string
  readonly earlyAdvisories: readonly string[]
  readonly earlyNumber: number
}

/** Proofs judged in one round. */
const perRound = 200
/** Seconds after which a proof is judged again: the early documents may have changed. */
const judgeEvery = 86_400
const anyNumber = 0xffff_ffff

/** Proofs judged at once. */
const parallel = 16

/** Judges what is not judged yet; true if there is more. Throws only for the chain or the database. */
export async function runRecovery(options: RecoveryOptions): Promise<boolean> {
  const { db, chainId, registry, clock } = options
  const at = clock()
  const rows = await db
    .select()
    .from(hosts)
    .where(
      and(
        eq(hosts.chainId, chainId),
        eq(hosts.registry, registry),
        gt(hosts.expiresAt, at),
        isNotNull(hosts.quote),
        isNull(hosts.continuedAs),
        or(isNull(hosts.earlyAt), lt(hosts.earlyAt, at - judgeEvery)),
      ),
    )
    .orderBy(hosts.expiresAt)
    .limit(perRound)
  if (rows.length === 0) return false
  const { latest } = await options.reader.heights()
  const passes = createPassing(options, latest)
  await forEachOf(rows, parallel, async (row) => {
    const report = await judgeEarly(options, row.quote as Hex, latest)
    const isDead = await judgeDead(options, row.quote as Hex, latest, passes)
    const isKnown = row.earlyNumber === report.tcbEvaluationNumber && row.earlyAt !== null
    const advisories = report.advisories.map(advisoryName)
    const early = {
      earlyStatus: report.status,
      earlyAdvisories: advisories,
      earlyNumber: report.tcbEvaluationNumber,
      earlyPasses: await passes(report.status, report.advisories),
      earlyAt: at,
      isDead,
    }
    await db
      .update(hosts)
      .set(early)
      .where(
        and(
          eq(hosts.chainId, chainId),
          eq(hosts.registry, registry),
          eq(hosts.deviceId, row.deviceId),
          // A later proof is judged by itself.
          row.block === null ? isNull(hosts.block) : eq(hosts.block, row.block),
        ),
      )
    if (!early.earlyPasses && !isKnown) {
      options.log.warn(
        {
          device: row.deviceId,
          operator: row.operator,
          status: statusName(row.status ?? 0),
          early: statusName(report.status),
          advisories,
        },
        'a coming TCB recovery demotes a host',
      )
    }
  })
  return rows.length === perRound
}

/** A quote that the early set does not believe has no status and no number. */
async function judgeEarly(
  { reader, verifier }: RecoveryOptions,
  quote: Hex,
  blockNumber: bigint,
): Promise<{ status: number; tcbEvaluationNumber: number; advisories: readonly Hex[] }> {
  return reader.agree('early verdict', (client) =>
    client.readContract({
      address: verifier,
      abi: quoteVerifierAbi,
      functionName: 'verifyUnder',
      args: [quote, anyNumber],
      blockNumber,
    }),
  )
}

/** Of contracts/types/Report.sol: what no newer collateral can heal (Hosts.endProof). */
const deadVerdicts: ReadonlySet<number> = new Set([
  3, // CaRevoked
  8, // LeafNotInForce
  9, // LeafRevoked
  34, // TcbRevoked
])

async function judgeDead(
  { reader, verifier }: RecoveryOptions,
  quote: Hex,
  blockNumber: bigint,
  passes: ReturnType<typeof createPassing>,
): Promise<boolean> {
  const { verdict, status } = await reader.agree('verdict', (client) =>
    client.readContract({
      address: verifier,
      abi: quoteVerifierAbi,
      functionName: 'verify',
      args: [quote],
      blockNumber,
    }),
  )
  return status === 0 ? deadVerdicts.has(verdict) : !(await passes(status, []))
}

/** Whether the registry would take a proof of this status with these advisories. */
function createPassing({ reader, registry, clock }: RecoveryOptions, blockNumber: bigint) {
  const contract = { address: registry, abi: hostsAbi, blockNumber } as const
  const known = new Map<string, Promise<boolean>>()
  const remember = (key: string, ask: () => Promise<boolean>) => {
    const answer = known.get(key) ?? ask()
    known.set(key, answer)
    return answer
  }
  const statusPasses = (status: number) =>
    remember(`${status}`, async () => {
      if (status === 0) return false
      const until = await reader.agree('status that passes', (client) =>
        client.readContract({ ...contract, functionName: 'statusPassesUntil', args: [status] }),
      )
      return until > clock()
    })
  const isFine = (advisory: Hex) =>
    remember(advisory, async () => {
      const isDenied = await reader.agree('denied advisory', (client) =>
        client.readContract({ ...contract, functionName: 'isAdvisoryDenied', args: [advisory] }),
      )
      return !isDenied
    })
  return async (status: number, advisories: readonly Hex[]) => {
    const answers = await Promise.all([statusPasses(status), ...advisories.map(isFine)])
    return answers.every(Boolean)
  }
}

/** Machines that count now and will not when the early set is the standard; highest number first. */
export async function listStatusLosses({
  db,
  chainId,
  registry,
  clock,
}: Pick<RecoveryOptions, 'db' | 'chainId' | 'registry' | 'clock'>): Promise<StatusLoss[]> {
  const rows = await db
    .select()
    .from(hosts)
    .where(
      and(
        eq(hosts.chainId, chainId),
        eq(hosts.registry, registry),
        gt(hosts.expiresAt, clock()),
        eq(hosts.earlyPasses, false),
        isNotNull(hosts.block),
        isNull(hosts.continuedAs),
      ),
    )
    .orderBy(desc(hosts.earlyNumber), hosts.deviceId)
  return rows.map((row) => ({
    deviceId: row.deviceId,
    operator: row.operator,
    fmspc: row.fmspc ?? '',
    status: statusName(row.status ?? 0),
    earlyStatus: statusName(row.earlyStatus ?? 0),
    earlyAdvisories: row.earlyAdvisories ?? [],
    earlyNumber: row.earlyNumber ?? 0,
  }))
}
