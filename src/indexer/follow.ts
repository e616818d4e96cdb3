/**
 * Follows the chain: reads the events of the next blocks and writes them, and unwinds blocks that the chain replaced.
 *
 * Final blocks are read in ranges, later ones one by one with their hash. Before each step the last indexed block is
 * compared with the chain, so a reorg is found also after the indexer was stopped for long.
 */
import { desc, eq } from 'drizzle-orm'
import { keccak256, toHex } from 'viem'

import { BlockRange, isRateLimit } from '../chain/rpc/history.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { mayContain } from './bloom.ts'
import type { IndexedEvent } from './change.ts'
import type { Role } from './contracts/index.ts'
import { newContract } from './contracts/new-rows.ts'
import type { Database } from './database/database.ts'
import { blocks, contracts, positions } from './database/schema.ts'
import { decodeLog } from './decode.ts'
import { type ChainLog, type ChainReader, type Header, inOrder } from './read-chain.ts'
import { type Batch, unwindBlocks, writeBlocks } from './write-blocks.ts'

/** What to follow, and where the result goes. */
export interface FollowOptions {
  readonly db: Database
  readonly reader: ChainReader
  readonly chainId: number
  /** Hash of block 0. */
  readonly genesis: Hex
  /** Contracts of the deployment with their roles. Apps are found by the events of `KmsAuth`. */
  readonly sources: readonly (readonly [Hex, Role])[]
  /** Block of the deployment. */
  readonly fromBlock: number
  /** Most blocks in one request. */
  readonly span: number
  /** Called after each step. */
  readonly onProgress?: (progress: Progress) => void
}

/** How far the indexer is. */
export interface Progress {
  /** The last indexed block. */
  readonly block: number
  /** Its time, Unix seconds. */
  readonly time: number
  readonly latest: number
  readonly final: number
  /** Events that this step wrote. */
  readonly events: number
  /** Logs of followed contracts that do not have the form of the ABI. */
  readonly skipped: number
  /** Blocks that this step took back. */
  readonly unwound: number
}

/** A follower of one deployment. */
export interface Follower {
  /**
   * One step. @returns false if there is nothing more to do now
   *
   * @throws INDEXER_REORG_TOO_DEEP, RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES, CHAIN_ANSWER_INVALID
   */
  step(): Promise<boolean>
}

/**
 * Opens a follower on a database, at the position where it stopped.
 *
 * @throws INDEXER_DATABASE_FOREIGN
 */
export async function openFollower(options: FollowOptions): Promise<Follower> {
  const position = await openPosition(options)
  const { span } = options
  const range = new BlockRange(BigInt(span))
  return { step: () => takeStep(options, position, range) }
}

/** Finds or creates the position, with a row for each contract of the deployment. */
async function openPosition(options: FollowOptions): Promise<string> {
  const { db, chainId, genesis, sources, fromBlock } = options
  const named = sources.map(([address, role]) => [role, address]).toSorted()
  const id = keccak256(toHex(JSON.stringify([chainId, genesis, fromBlock, named])))
  const known = await db.select().from(positions)
  if (known.some((each) => each.id === id)) return id
  if (known.length > 0) {
    throw new AssentError(
      'INDEXER_DATABASE_FOREIGN',
      'The database belongs to another deployment.',
      {
        facts: { chainId },
      },
    )
  }
  await db.transaction(async (tx) => {
    await tx.insert(positions).values({ id, next: fromBlock, time: 0 }).onConflictDoNothing()
    const rows = sources.map(([address, role]) => ({
      id: address,
      block: fromBlock,
      ...newContract(role),
    }))
    await tx.insert(contracts).values(rows).onConflictDoNothing()
  })
  return id
}

async function takeStep(
  options: FollowOptions,
  position: string,
  range: BlockRange,
): Promise<boolean> {
  const { db, reader, onProgress } = options
  const { latest, final } = await reader.heights()
  const unwound = await unwindReplaced(options, position)
  const { next } = await readPosition(db, position)
  if (next > latest) return false
  const step = { options, position, next, latest, final }
  const batch = next <= final ? await readFinal(step, range) : await readNext(step)
  if (batch === undefined) return true
  await writeBlocks(db, batch)
  onProgress?.({
    block: batch.last.number,
    time: batch.last.time,
    latest,
    final,
    events: batch.events.length,
    skipped: batch.skipped,
    unwound,
  })
  return batch.last.number < latest
}

/** Where the indexer is. */
export async function readPosition(
  db: Database,
  id: string,
): Promise<{ readonly next: number; readonly time: number }> {
  const [row] = await db.select().from(positions).where(eq(positions.id, id))
  if (row !== undefined) return row
  throw new AssentError('INDEXER_DATABASE_FOREIGN', 'The position was deleted from the database.')
}

/** Compares the last indexed blocks with the chain. @returns the number of blocks that were taken back */
async function unwindReplaced(options: FollowOptions, position: string): Promise<number> {
  const { db, reader } = options
  const { next } = await readPosition(db, position)
  const [last] = await db.select().from(blocks).orderBy(desc(blocks.number)).limit(1)
  if (last === undefined || (await reader.header(last.number))?.hash === last.hash) return 0
  const known = await db.select().from(blocks).orderBy(desc(blocks.number))
  for (const [replaced, block] of known.entries()) {
    const header = await reader.header(block.number)
    if (header?.hash !== block.hash) continue
    await unwindBlocks(db, position, next, block)
    return replaced
  }
  const oldest = known.at(-1)?.number
  throw new AssentError('INDEXER_REORG_TOO_DEEP', `Block ${oldest} was final and was replaced.`, {
    facts: { block: oldest },
  })
}

interface Step {
  readonly options: FollowOptions
  readonly position: string
  readonly next: number
  readonly latest: number
  readonly final: number
}

type ReadBatch = Batch & { readonly skipped: number }

/** Reads a range of final blocks. @returns undefined if the endpoint wants a smaller range */
async function readFinal(step: Step, range: BlockRange): Promise<ReadBatch | undefined> {
  const { options, next, final } = step
  const to = Math.min(next + Math.min(Number(range.size), options.span) - 1, final)
  const roles = await readRoles(options.db)
  try {
    const logs = await options.reader.logsBetween(next, to, [...roles.keys()])
    const batch = await completeBatch(step, roles, logs, await requireHeader(options.reader, to))
    range.answered()
    return batch
  } catch (error) {
    if (!isRefusal(error) || isRateLimit(error) || !range.refused()) throw error
    return undefined
  }
}

/** An endpoint that finds a range too large answers with an error, in many forms. */
function isRefusal(error: unknown): boolean {
  return isAssentError(error, 'RELAYER_CHAIN_UNREACHABLE')
}

/** Reads the next block, which is not final. */
async function readNext(step: Step): Promise<ReadBatch> {
  const { options, next } = step
  const { db, reader } = options
  const header = await requireHeader(reader, next)
  const [parent] = await db
    .select()
    .from(blocks)
    .where(eq(blocks.number, next - 1))
  if (parent !== undefined && parent.hash !== header.parentHash) throw chainMoved(next)
  const roles = await readRoles(db)
  const addresses = [...roles.keys()]
  const logs = mayContain(header.bloom, addresses) ? await reader.logsOf(header, addresses) : []
  return completeBatch(step, roles, logs, header)
}

/** Adds the events of apps that these blocks register, and decodes all. */
async function completeBatch(
  step: Step,
  known: ReadonlyMap<Hex, Role>,
  logs: readonly ChainLog[],
  last: Header,
): Promise<ReadBatch> {
  const { options, position, next, final } = step
  const roles = new Map(known)
  const added = registeredApps(roles, logs)
  for (const app of added) roles.set(app, 'app')
  const all = inOrder([...logs, ...(await readAppLogs(step, added, last))])
  const events: [Role, IndexedEvent][] = []
  for (const log of all) {
    const role = roles.get(log.address) as Role
    const event = decodeLog(role, log)
    if (event === undefined) continue
    const sender =
      role === 'heartbeat'
        ? await options.reader.senderOf(event.transaction, event.contract)
        : undefined
    events.push([role, { ...event, sender }])
  }
  return {
    position,
    from: next,
    last: { number: last.number, hash: last.hash, time: last.time },
    events,
    added: added.map((app) => [app, 'app'] as const),
    final,
    skipped: all.length - events.length,
  }
}

/** Addresses that `KmsAuth` registers in these logs and that are not followed yet. */
function registeredApps(roles: ReadonlyMap<Hex, Role>, logs: readonly ChainLog[]): Hex[] {
  const apps = new Set<Hex>()
  for (const log of logs) {
    if (roles.get(log.address) !== 'kmsAuth') continue
    const event = decodeLog('kmsAuth', log)
    if (event?.name !== 'AppRegistered') continue
    const app = event.args.appId as Hex
    if (!roles.has(app)) apps.add(app)
  }
  return [...apps]
}

/**
 * All events of new apps up to the last block. An app emits events before it is registered, and one that was deployed
 * alone may be much older than its registration.
 */
async function readAppLogs(
  { options, final }: Step,
  apps: readonly Hex[],
  last: Header,
): Promise<ChainLog[]> {
  if (apps.length === 0) return []
  const { reader, db, fromBlock, span } = options
  const logs: ChainLog[] = []
  const range = new BlockRange(BigInt(span))
  for (let from = fromBlock; from <= last.number; ) {
    const to = Math.min(from + Math.min(Number(range.size), span) - 1, last.number)
    try {
      logs.push(...(await reader.logsBetween(from, to, apps)))
    } catch (error) {
      if (!isRefusal(error) || isRateLimit(error) || !range.refused()) throw error
      continue
    }
    range.answered()
    from = to + 1
  }
  const hashes = new Map((await db.select().from(blocks)).map(({ number, hash }) => [number, hash]))
  hashes.set(last.number, last.hash)
  for (const { block, blockHash } of logs) {
    // a reorg during the reads: blocks that are not final are known by their hash
    if (block > final && hashes.get(block) !== blockHash) throw chainMoved(block)
  }
  return logs
}

async function readRoles(db: Database): Promise<ReadonlyMap<Hex, Role>> {
  const rows = await db.select({ id: contracts.id, role: contracts.role }).from(contracts)
  return new Map(rows.map(({ id, role }) => [id as Hex, role as Role]))
}

async function requireHeader(reader: ChainReader, number: number): Promise<Header> {
  const header = await reader.header(number)
  if (header === undefined) throw chainMoved(number)
  return header
}

function chainMoved(block: number): AssentError {
  return new AssentError('INDEXER_CHAIN_MOVED', `Block ${block} was replaced while it was read.`, {
    facts: { block },
  })
}
