/** The indexer's tables are the chain's state, after random histories and after reorgs. */
import type { Abi } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heartbeatAbi } from '../../src/chain/abi.ts'
import { compareWithChain } from '../../src/indexer/compare.ts'
import { findAnvil } from '../anvil.ts'
import { openIndexer, type TestIndexer } from './indexer.ts'
import { createRandom, createRandomHistory, type RandomHistory } from './random-history.ts'
import { takeTour } from './tour.ts'

/** The nightly run sets it to 10,000, and a random seed. */
const operations = Number(process.env.ASSENT_INDEXER_OPERATIONS ?? 300)
const seed = Number(process.env.ASSENT_SEED ?? 1)
const timeout = 60_000 + operations * 300

const absent = findAnvil() === undefined
if (absent) console.warn('NOT TESTED: there is no anvil')

async function expectChainState({ open }: TestIndexer, { client }: RandomHistory) {
  const { rows, differences } = await compareWithChain(
    open.db,
    client,
    await client.getBlockNumber(),
  )
  expect(differences).toEqual([])
  return rows
}

describe.skipIf(absent)('the tables of the indexer', () => {
  let history: RandomHistory
  beforeAll(async () => {
    history = await createRandomHistory(seed)
    await takeTour(history)
  }, 120_000)
  afterAll(() => history?.stop())

  test('are the chain’s state after random operations with reorgs', { timeout }, async () => {
    const random = createRandom(seed + 1)
    const indexer = await openIndexer(history)
    const snapshots: Awaited<ReturnType<RandomHistory['rpc']>>[] = []
    let reorgs = 0
    for (let done = 0; done < operations; ) {
      const some = 1 + random.below(5)
      await history.block(some)
      done += some
      if (random.chance(30)) snapshots.push(await history.rpc('evm_snapshot'))
      if (random.chance(40)) await indexer.sync()
      if (random.chance(15) && snapshots.length > 0) {
        const to = Math.max(0, snapshots.length - 1 - random.below(4))
        await history.rpc('evm_revert', snapshots[to])
        snapshots.length = to
        reorgs++
      }
      if (random.chance(5)) {
        await indexer.sync()
        await expectChainState(indexer, history)
      }
    }
    await indexer.sync()
    const rows = await expectChainState(indexer, history)
    const fresh = await openIndexer(history, { depth: 0, span: 7 })
    await fresh.sync()

    expect(await indexer.dump()).toBe(await fresh.dump())
    expect(reorgs).toBeGreaterThan(0)
    expect(indexer.progress.some(({ unwound }) => unwound > 0)).toBe(true)
    expect(Object.entries(rows).filter(([, count]) => count === 0)).toEqual([])
    await indexer.open.close()
    await fresh.open.close()
  })

  test('are as if the replaced blocks had never been, at any depth of a reorg', {
    timeout: 120_000,
  }, async () => {
    const indexer = await openIndexer(history)
    const [poster = '0x'] = history.accounts
    await indexer.sync()
    for (const depth of [1, 2, 7, 40]) {
      const before = await indexer.dump()
      const snapshot = await history.rpc('evm_snapshot')
      // random operations can all revert, so the last block has a certain change
      for (let block = 1; block < depth; block++) await history.block(2)
      const root = `0x${depth.toString(16).padStart(64, '0')}`
      await history.send(poster, history.addresses.heartbeat, heartbeatAbi as Abi, 'beat', [root])
      await indexer.sync()
      expect(await indexer.dump()).not.toBe(before)

      await history.rpc('evm_revert', snapshot)
      await history.rpc('evm_increaseTime', 12)
      await history.rpc('evm_mine')
      await indexer.sync()

      expect(await indexer.dump()).toBe(before)
      expect(indexer.progress.at(-1)?.unwound).toBe(depth)
    }
    await indexer.open.close()
  })

  test('a reorg below the final block is refused and changes nothing', {
    timeout: 60_000,
  }, async () => {
    const indexer = await openIndexer(history, { depth: 3 })
    const snapshot = await history.rpc('evm_snapshot')
    for (let block = 0; block < 8; block++) await history.block(1)
    await indexer.sync()
    const before = await indexer.dump()
    await history.rpc('evm_revert', snapshot)
    await history.rpc('evm_increaseTime', 12)
    await history.rpc('evm_mine')

    await expect(indexer.sync()).rejects.toMatchObject({ code: 'INDEXER_REORG_TOO_DEEP' })

    expect(await indexer.dump()).toBe(before)
    await indexer.open.close()
  })
})
