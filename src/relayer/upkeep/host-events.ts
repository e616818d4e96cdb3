/** Follows the events of the host registry in final blocks and stores the state of each host in SQL. */
import { and, eq, sql } from 'drizzle-orm'
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { type PublicClient, parseEventLogs, TransactionNotFoundError } from 'viem'

import { hostsAbi, quoteVerifierAbi } from '../../chain/abi.ts'
import { quoteOfRegistration } from '../../chain/registries/hosts.ts'
import { readAdvisory } from '../../chain/verifier/verdicts.ts'
import { isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { forEachOf } from '../../lib/pool.ts'
import type { Database } from '../database/database.ts'
import { cursors, hosts } from '../database/schema.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'

/** Contracts to follow. */
export interface WatchOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  /** Contract `Hosts`. */
  readonly registry: Hex
  /** Contract `QuoteVerifier`, whose events name stored verification records. */
  readonly verifier: Hex
  /** Block of the deployment. */
  readonly fromBlock: number
  /** Blocks in one request; RPC services limit the range. */
  readonly span: number
}

/**
 * Reads the next page of events, up to the final block. Only final blocks are read, so no event has to be undone.
 *
 * @returns true if there are more
 */
export async function watchHosts(options: WatchOptions): Promise<boolean> {
  const { db, chainId, reader, registry, span } = options
  const name = hostsCursor(registry)
  const { final } = await reader.heights()
  const next = await nextBlock(db, chainId, name, options.fromBlock)
  if (next > Number(final)) return false
  const { logs, last } = await readPage(next, Number(final), span, (to) =>
    reader.agree('events', (client) => readLogs(client, options, next, to)),
  )
  const changes = await toChanges(options, logs)
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
      // a later host proof must be verified under the early number again
      const set = { ...change.host, earlyPasses: null, earlyAt: null, isDead: false }
      await tx
        .insert(hosts)
        .values({ ...key, ...change.host })
        .onConflictDoUpdate({
          target: [hosts.chainId, hosts.registry, hosts.deviceId],
          set,
          setWhere: sql`${hosts.block} is null or ${hosts.block} <= ${change.host.block}`,
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

/** Name of the cursor for the events of a host registry. */
export function hostsCursor(registry: Hex): string {
  return `hosts:${registry}`
}

/** Number of the last block whose events are read; -1 before the first. */
export async function lastRead(db: Database, chainId: number, name: string): Promise<number> {
  return (await nextBlock(db, chainId, name, 0)) - 1
}

/** Number of the next block to read events from. */
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

/**
 * Reads events of at most `span` blocks. After a failure the range becomes eight times smaller, because RPC services
 * limit the range or the size of an answer in different ways.
 *
 * @returns the events and the last block that was read
 * @throws RELAYER_CHAIN_UNREACHABLE if a single block cannot be read
 */
export async function readPage<T>(
  from: number,
  final: number,
  span: number,
  read: (to: number) => Promise<T>,
): Promise<{ readonly logs: T; readonly last: number }> {
  for (let blocks = span; ; blocks = Math.ceil(blocks / 8)) {
    const last = Math.min(from + blocks - 1, final)
    try {
      return { logs: await read(last), last }
    } catch (error) {
      if (blocks === 1 || !isAssentError(error, 'RELAYER_CHAIN_UNREACHABLE')) throw error
    }
  }
}

/** Events that change what is known of a host. */
const watchedEvents = [
  'HostProven',
  'HostProofEnded',
  'HostContinued',
  'OperatorSet',
  'RecordWritten',
] as const

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
  const parsed = parseEventLogs({
    abi: [...hostsAbi, ...quoteVerifierAbi],
    eventName: [...watchedEvents],
    logs,
  })
  // nodes add their own members; the quorum compares these only
  return parsed.map(({ eventName, args, blockNumber, blockHash, transactionHash, logIndex }) => {
    return { eventName, args, blockNumber, blockHash, transactionHash, logIndex } as DecodedEventLog
  })
}

type ParsedLog = ReturnType<
  typeof parseEventLogs<
    [...typeof hostsAbi, ...typeof quoteVerifierAbi],
    true,
    [...typeof watchedEvents]
  >
>[number]

/** Distributes over the union of events, so that the name still determines the arguments. */
type DecodedEvent<T> = T extends ParsedLog
  ? Pick<T, 'eventName' | 'args' | 'blockNumber' | 'blockHash' | 'transactionHash' | 'logIndex'>
  : never
type DecodedEventLog = DecodedEvent<ParsedLog>

interface Change {
  readonly deviceId: Hex
  /** The whole row; undefined: only the columns in `set` change. */
  readonly host: Omit<typeof hosts.$inferInsert, 'chainId' | 'registry' | 'deviceId'> | undefined
  readonly set: PgUpdateSetSource<typeof hosts>
}

/** Further reads for events that run at the same time. */
const parallel = 32

async function toChanges(options: WatchOptions, logs: readonly Log[]): Promise<Change[]> {
  const changes = new Map<number, readonly Change[]>()
  await forEachOf([...logs.entries()], parallel, async ([index, log]) => {
    const moves = log.eventName === 'HostContinued'
    changes.set(index, moves ? toMoves(log.args) : [await toChange(options, log)])
  })
  return logs.flatMap((_, index) => changes.get(index) ?? [])
}

/** A host moves to another id, or back to one that it had: then that one counts again. */
function toMoves({ from, to }: { readonly from: Hex; readonly to: Hex }): readonly Change[] {
  return [
    { deviceId: lower(from), host: undefined, set: { continuedAs: lower(to) } },
    { deviceId: lower(to), host: undefined, set: { continuedAs: null } },
  ]
}

async function toChange(
  options: WatchOptions,
  log: Exclude<Log, { eventName: 'HostContinued' }>,
): Promise<Change> {
  const deviceId = lower(log.args.deviceId)
  switch (log.eventName) {
    case 'OperatorSet':
      return { deviceId, host: undefined, set: { operator: lower(log.args.operator) } }
    case 'HostProofEnded': {
      const { blockHash } = log
      const timestamp = await options.reader.agree('time of a block', async (client) => {
        return (await client.getBlock({ blockHash })).timestamp
      })
      // a revocation can be shown after the proof has expired; that moves no end
      const expiresAt = sql<number>`least(${hosts.expiresAt}, ${Number(timestamp)})`
      return { deviceId, host: undefined, set: { expiresAt, isDead: false } }
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

/** The quote from the calldata, if the registry was called directly; null if the transaction is not available. */
async function findQuote({ reader, registry }: WatchOptions, hash: Hex): Promise<Hex | null> {
  const sent = await reader.agree('transaction', async (client) => {
    try {
      const { to, input } = await client.getTransaction({ hash })
      return { to, input }
    } catch (error) {
      if (error instanceof TransactionNotFoundError) return null
      throw error
    }
  })
  return sent?.to?.toLowerCase() === registry ? quoteOfRegistration(sent.input) : null
}

function lower(hex: Hex): Hex {
  return hex.toLowerCase() as Hex
}

/** Name of an advisory: ASCII in the left bytes of a word, or the hash of an id longer than 31 characters. */
export function advisoryName(word: Hex): string {
  return readAdvisory(word)
}
