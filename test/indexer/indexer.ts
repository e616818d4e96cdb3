/** A follower on a database of its own, for tests. */

import type { Role } from '../../src/indexer/contracts/index.ts'
import { type OpenDatabase, openDatabase } from '../../src/indexer/database/database.ts'
import { events } from '../../src/indexer/database/schema.ts'
import { stateTables } from '../../src/indexer/database/tables.ts'
import { type Follower, openFollower, type Progress } from '../../src/indexer/follow.ts'
import { createChainReader } from '../../src/indexer/read-chain.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import type { DatabaseLocation } from '../../src/lib/sql.ts'
import { createReader } from '../../src/relayer/endpoints/quorum.ts'
import { connectRpc } from '../../src/relayer/endpoints/rpc.ts'
import type { RandomHistory } from './random-history.ts'

export interface TestIndexer {
  readonly open: OpenDatabase
  readonly follower: Follower
  readonly progress: Progress[]
  /** Steps until there is nothing to do. */
  sync(): Promise<void>
  /** All tables, as text that is equal for equal contents. */
  dump(): Promise<string>
}

const roles = [
  'kmsAuth',
  'hosts',
  'images',
  'rootKeys',
  'hostBonds',
  'heartbeat',
  'governor',
  'votes',
  'timelock',
] as const satisfies readonly Role[]

export async function openIndexer(
  history: Pick<RandomHistory, 'url' | 'client' | 'addresses'>,
  options: {
    readonly location?: DatabaseLocation
    readonly depth?: number
    readonly span?: number
    readonly urls?: readonly string[]
  } = {},
): Promise<TestIndexer> {
  const open = await openDatabase(options.location ?? { memory: true })
  const clients = (options.urls ?? [history.url]).map((url) => connectRpc(url))
  const quorum = createReader({ clients, finality: { depth: options.depth ?? 64 } })
  const genesis = await history.client.getBlock({ blockNumber: 0n })
  const progress: Progress[] = []
  const follower = await openFollower({
    db: open.db,
    reader: createChainReader(quorum),
    chainId: 31337,
    genesis: genesis.hash,
    sources: roles.map((role) => [history.addresses[role].toLowerCase() as Hex, role]),
    fromBlock: 0,
    span: options.span ?? 500,
    onProgress: (each) => progress.push(each),
  })
  return {
    open,
    follower,
    progress,
    sync: async () => {
      while (await follower.step());
    },
    dump: async () => {
      const tables = [...Object.entries(stateTables), ['events', events] as const]
      const texts: string[] = []
      for (const [name, table] of tables) {
        const rows = (await open.db.select().from(table as never)) as Record<string, unknown>[]
        // the block that wrote a row depends on where the ranges end
        const lines = rows.map(({ block: _, ...row }) => JSON.stringify(row)).toSorted()
        texts.push(`${name}\n${lines.join('\n')}`)
      }
      return texts.join('\n\n')
    },
  }
}
