/**
 * Warns before a TCB recovery: verifies the quote of each host under Intel's early TCB evaluation number with the
 * on-chain verifier, and lists the hosts that the registry would not accept then. It also finds host proofs that are
 * invalid now and that anyone may end.
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

/** Contracts and database of the check. */
export interface RecoveryOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  /** Contract `Hosts`. */
  readonly registry: Hex
  /** Contract `QuoteVerifier`. */
  readonly verifier: Hex
  readonly clock: Clock
  readonly log: Logger
}

/** `TcbStatus` of contracts/types/Report.sol by number; 0: the quote is rejected. */
const statusNames = ['None', ...tcbStatuses] as const

/** Name of a TCB status number of the contracts. */
export function statusName(status: number): string {
  return statusNames[status] ?? `unknown ${status}`
}

/** A host that is accepted now and would not be under the early number. */
export interface StatusLoss {
  /** The host that loses its status. */
  readonly deviceId: Hex
  readonly operator: Hex
  /** Platform family. */
  readonly fmspc: string
  /** TCB status under the standard evaluation number. */
  readonly status: string
  /** TCB status under the early number. */
  readonly earlyStatus: string
  /** Advisories that apply under the early number. */
  readonly earlyAdvisories: readonly string[]
  /** The evaluation number that will become the standard one. */
  readonly earlyNumber: number
}

/** Host proofs verified in one run. */
const perRound = 200
/** Seconds after which a host proof is verified again, because Intel may have changed the early documents. */
const verifyEvery = 86_400
const anyNumber = 0xffff_ffff

/** Host proofs verified at the same time. */
const parallel = 16

/** Verifies host proofs that were not verified for a day. @returns true if there are more */
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
        or(isNull(hosts.earlyAt), lt(hosts.earlyAt, at - verifyEvery)),
      ),
    )
    .orderBy(hosts.expiresAt)
    .limit(perRound)
  if (rows.length === 0) return false
  const { latest } = await options.reader.heights()
  const passes = createPassing(options, latest)
  await forEachOf(rows, parallel, async (row) => {
    const report = await verifyEarly(options, row.quote as Hex, latest)
    const isDead = await isProvablyInvalid(options, row.quote as Hex, latest, passes)
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
          // a later host proof is verified separately
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
        'a host loses its TCB status in the announced TCB recovery',
      )
    }
  })
  return rows.length === perRound
}

/** Status, number and advisories under the early number; zeros if the quote is rejected. */
async function verifyEarly(
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

/** Verdicts (contracts/types/Report.sol) that newer collateral cannot change; `Hosts.endProof` accepts them. */
const permanentVerdicts: ReadonlySet<number> = new Set([
  3, // CaRevoked
  8, // LeafNotInForce
  9, // LeafRevoked
  34, // TcbRevoked
])

async function isProvablyInvalid(
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
  return status === 0 ? permanentVerdicts.has(verdict) : !(await passes(status, []))
}

/** Whether the registry accepts this TCB status and these advisories; each is read once. */
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
        client.readContract({ ...contract, functionName: 'statusAcceptedUntil', args: [status] }),
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

/** Hosts that lose their TCB status when the early number becomes the standard one; highest number first. */
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
