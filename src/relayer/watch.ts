/** Who is proven until when: the events of the registry's final blocks, kept in SQL. */
import { and, eq, sql } from 'drizzle-orm'
import { decodeFunctionData, hexToString, type PublicClient, parseEventLogs } from 'viem'

import { hostsAbi, quoteVerifierAbi } from '../chain/abi.ts'
import type { Hex } from '../lib/bytes.ts'
import type { Database } from './database.ts'
import type { Reader } from './endpoints.ts'
import { cursors, hosts } from './schema.ts'

export interface WatchOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: Reader
  readonly registry: Hex
  readonly verifier: Hex
  /** Block of the deployment: nothing is older. */
  readonly fromBlock: number
  /** Blocks asked for at once; endpoints bound it. */
  readonly span: number
}

/**
 * Reads on from where it stopped up to the newest final block, one page; true if there is more.
 *
 * Only final blocks are read, so that nothing read ever has to be taken back.
 */
export async function watchHosts(options: WatchOptions): Promise<boolean> {
  const { db, chainId, reader, registry, span } = options
  const name = `hosts:${registry}`
  const { final } = await reader.heights()
  const next = await nextBlock(db, chainId, name, options.fromBlock)
  if (next > Number(final)) return false
  const last = Math.min(next + span - 1, Number(final))
  const logs = await reader.agree('events', (client) => readLogs(client, options, next, last))

  const changes = await Promise.all(logs.map((log) => toChange(options, log)))
  await db.transaction(async (tx) => {
    for (const change of changes) {
      const key = { chainId, registry, deviceId: change.deviceId }
      if (change.host === undefined) {
        await tx
          .update(hosts)
          .set(change.set)
          .where(
            and(
              eq(hosts.chainId, chainId),
              eq(hosts.registry, registry),
              eq(hosts.deviceId, change.deviceId),
            ),
          )
        continue
      }
      // A later proof is judged by the early set anew.
      const set = { ...change.host, earlyPasses: null, earlyAt: null, isDead: false }
      await tx
        .insert(hosts)
        .values({ ...key, ...change.host })
        .onConflictDoUpdate({
          target: [hosts.chainId, hosts.registry, hosts.deviceId],
          set,
          setWhere: sql`${hosts.block} <= ${change.host.block}`,
        })
    }
    await tx
      .insert(cursors)
      .values({ chainId, name, block: last })
      .onConflictDoUpdate({
        target: [cursors.chainId, cursors.name],
        set: { block: last },
        setWhere: sql`${cursors.block} < ${last}`,
      })
  })
  return last < Number(final)
}

export async function nextBlock(
  db: Database,
  chainId: number,
  name: string,
  fromBlock: number,
): Promise<number> {
  const [row] = await db
    .select()
    .from(cursors)
    .where(and(eq(cursors.chainId, chainId), eq(cursors.name, name)))
  return row === undefined ? fromBlock : Math.max(fromBlock, row.block + 1)
}

type Log = Awaited<ReturnType<typeof readLogs>>[number]

async function readLogs(
  client: PublicClient,
  { registry, verifier }: WatchOptions,
  from: number,
  to: number,
) {
  const logs = await client.getLogs({
    address: [registry, verifier],
    fromBlock: BigInt(from),
    toBlock: BigInt(to),
  })
  return parseEventLogs({
    abi: [...hostsAbi, ...quoteVerifierAbi],
    eventName: ['HostProven', 'HostProofEnded', 'OperatorSet', 'RecordWritten'],
    logs,
  })
}

interface Change {
  readonly deviceId: Hex
  /** The whole record, or only what `set` names. */
  readonly host: Omit<typeof hosts.$inferInsert, 'chainId' | 'registry' | 'deviceId'> | undefined
  readonly set: Partial<typeof hosts.$inferInsert>
}

async function toChange(options: WatchOptions, log: Log): Promise<Change> {
  const deviceId = log.args.deviceId.toLowerCase() as Hex
  switch (log.eventName) {
    case 'OperatorSet':
      return { deviceId, host: undefined, set: { operator: lower(log.args.operator) } }
    case 'HostProofEnded': {
      const { blockHash } = log
      const { timestamp } = await options.reader.first((client) => client.getBlock({ blockHash }))
      return { deviceId, host: undefined, set: { expiresAt: Number(timestamp), isDead: false } }
    }
    case 'RecordWritten':
      return { deviceId, host: undefined, set: { record: lower(log.args.record) } }
    case 'HostProven': {
      const { host, advisories } = log.args
      return {
        deviceId,
        set: {},
        host: {
          operator: lower(host.operator),
          attestedAt: host.attestedAt,
          expiresAt: host.expiresAt,
          status: host.status,
          fmspc: host.fmspc.slice(2),
          tcbEvaluationNumber: host.tcbEvaluationNumber,
          provenAtBlock: host.provenAtBlock,
          approvalVersion: host.approvalVersion,
          advisories: advisories.map(advisoryName),
          quote: await findQuote(options, log.transactionHash),
          block: Number(log.blockNumber),
        },
      }
    }
  }
}

/** From the calldata, if the registry was called directly. For warnings only, so one endpoint is enough. */
async function findQuote({ reader, registry }: WatchOptions, hash: Hex): Promise<Hex | null> {
  try {
    const { to, input } = await reader.first((client) => client.getTransaction({ hash }))
    if (to?.toLowerCase() !== registry) return null
    const { functionName, args } = decodeFunctionData({ abi: hostsAbi, data: input })
    if (functionName === 'register') return args[0]
    return functionName === 'registerFor' ? args[1] : null
  } catch {
    return null
  }
}

function lower(address: Hex): Hex {
  return address.toLowerCase() as Hex
}

/** The id in ASCII, on the left of a word. */
export function advisoryName(word: Hex): string {
  return hexToString(word, { size: 32 }).replace(/\0+$/, '')
}
