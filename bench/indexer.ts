/**
 * The indexer: how fast it reads a chain (`ASSENT_BENCH_EVENTS` events, 100,000 by default), its memory, and its start
 * with a database that exists. The embedded database is in a folder, as an operator has it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type Abi, keccak256, toHex } from 'viem'

import { kmsAuthAbi } from '../src/chain/abi.ts'
import { noEnd } from '../src/chain/approval.ts'
import { findAnvil } from '../test/anvil.ts'
import { openIndexer } from '../test/indexer/indexer.ts'
import { createRandomHistory, type RandomHistory } from '../test/indexer/random-history.ts'
import { benchNumber } from './environment.ts'
import type { BenchRow } from './result-row.ts'

const none = { section: 'indexer', aim: null, peer: null, peerValue: null }

/** Approvals in one transaction; each emits three events. */
const perTransaction = 20
const eventsPerTransaction = 3 * perTransaction

export async function rows(): Promise<BenchRow[]> {
  const wanted = benchNumber('ASSENT_BENCH_EVENTS', 100_000)
  if (findAnvil() === undefined) {
    console.error('indexer: anvil is not at hand, nothing measured')
    return []
  }
  const history = await createRandomHistory(1)
  const folder = await mkdtemp(join(tmpdir(), 'assent-bench-indexer-'))
  try {
    await approveMany(history, wanted)
    const first = await sync(history, folder)
    const again = await sync(history, folder)
    return [
      { ...none, name: 'events', value: first.events, unit: '' },
      {
        ...none,
        name: 'events.per-second',
        value: first.events / first.syncSeconds,
        unit: '1/s',
        aim: 2_000,
      },
      { ...none, name: 'memory', value: process.memoryUsage().rss / 2 ** 20, unit: 'MiB' },
      { ...none, name: 'cold-start', value: again.openSeconds * 1_000, unit: 'ms' },
    ]
  } finally {
    await history.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Blocks with one transaction each, of new and of known things. */
async function approveMany({ addresses, send }: RandomHistory, events: number): Promise<void> {
  const { timelock, kmsAuth } = addresses
  for (let done = 0; done < events; done += eventsPerTransaction) {
    const terms = Array.from({ length: perTransaction }, (_, index) => ({
      kind: index % 2,
      id: keccak256(toHex(`thing ${(done + index) % (1 + events / 6)}`)),
      activeFrom: 0,
      expiresAt: 0,
      evidence: '0x',
    }))
    await send(timelock, kmsAuth, kmsAuthAbi as Abi, 'approve', [terms, noEnd])
  }
}

/** Opens the database and follows the chain to its end. */
async function sync(history: RandomHistory, folder: string) {
  const begin = performance.now()
  const indexer = await openIndexer(history, { location: { folder } })
  const opened = performance.now()
  await indexer.sync()
  const seconds = (performance.now() - opened) / 1_000
  await indexer.open.close()
  const events = indexer.progress.reduce((sum, each) => sum + each.events, 0)
  return { events, openSeconds: (opened - begin) / 1_000, syncSeconds: seconds }
}
