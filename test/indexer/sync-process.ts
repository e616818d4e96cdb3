/**
 * Indexes a chain, one block in each step, in a process that a test kills. It prints the block of each finished step. At
 * one of its inserts it prints `writing` and stops inside the transaction, which has moved the position already.
 */
import { writeSync } from 'node:fs'

import { createPublicClient, http } from 'viem'

import type { Database, DatabaseTransaction } from '../../src/indexer/database/database.ts'
import { openIndexer } from './indexer.ts'

const { url, addresses, location, insert } = JSON.parse(process.argv[2] as string)
const client = createPublicClient({ transport: http(url) })
let inserts = 0

function stopAtInsert(db: Database): void {
  const transaction = db.transaction.bind(db)
  db.transaction = (work, config) =>
    transaction((tx) => {
      countInserts(tx)
      return work(tx)
    }, config)
}

function countInserts(tx: DatabaseTransaction): void {
  const begin = tx.insert.bind(tx)
  tx.insert = ((table: Parameters<typeof begin>[0]) => {
    if (++inserts === insert) {
      writeSync(1, 'writing\n')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    }
    return begin(table)
  }) as typeof tx.insert
}

const indexer = await openIndexer({ url, client, addresses }, { location, span: 1 })
stopAtInsert(indexer.open.db)
for (let isMore = true; isMore; ) {
  isMore = await indexer.follower.step()
  writeSync(1, `${indexer.progress.at(-1)?.block}\n`)
}
await indexer.open.close()
