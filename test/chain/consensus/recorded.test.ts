/** Outside truth: tests of the specifications, and what Ethereum's mainnet signed. */
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { executionOf } from '../../../src/chain/consensus/execution.ts'
import {
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readOptimisticUpdate,
  readUpdate,
} from '../../../src/chain/consensus/messages.ts'
import { timeOfSlot } from '../../../src/chain/consensus/network.ts'
import { mainnet } from '../../../src/chain/consensus/networks.ts'
import { beginStore, takeUpdate } from '../../../src/chain/consensus/store.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { describeRecorded, readVectorJson, vectorsFolder } from '../../vectors.ts'
import { nameOf } from './spec-files.ts'
import { findTests, runTest } from './spec-suite.ts'

interface Recorded {
  readonly version: string
  readonly data: unknown
}

function recorded(name: string): RawMessage {
  return rawOf(readVectorJson<Recorded>(`light-client/recorded/${name}.json`))
}

function rawOf({ version, data }: Recorded): RawMessage {
  return { fork: version, data: { json: data } }
}

function updates(): RawMessage[] {
  return readVectorJson<Recorded[]>('light-client/recorded/updates.json').map(rawOf)
}

describeRecorded('tests of the consensus specifications', () => {
  const { tests: folders } = findTests(join(vectorsFolder as string, 'light-client/spec-tests'))

  test.each(folders.map((folder) => [nameOf(folder), folder]))('%s', (_, folder) => {
    const { difference, held } = runTest(folder)
    expect(difference).toBeUndefined()
    expect(held).toBeGreaterThan(0)
  })
})

describeRecorded('recorded updates of mainnet in August 2023', () => {
  const now = timeOfSlot(mainnet, 7_109_432)

  test('lead from a trusted block to the block that the beacon chain finalized', () => {
    const bootstrap = readBootstrap(mainnet, recorded('bootstrap'))
    let store = beginStore(mainnet, bootstrap.header.root, bootstrap, now)
    for (const raw of updates()) {
      store = takeUpdate(mainnet, store, readUpdate(mainnet, raw), now).store
    }
    store = takeUpdate(mainnet, store, readFinalityUpdate(mainnet, recorded('finality')), now).store
    store = takeUpdate(
      mainnet,
      store,
      readOptimisticUpdate(mainnet, recorded('optimistic')),
      now,
    ).store
    for (const [header, slot] of [
      [store.finalized, 7_109_344],
      [store.optimistic, 7_109_431],
    ] as const) {
      expect(header.slot).toBe(slot)
      expect(header.value.execution?.timestamp).toBe(BigInt(timeOfSlot(mainnet, slot)))
      expect(to0x(executionOf(mainnet, header)?.blockHash as Uint8Array)).toBe(blockHashAt(slot))
    }
  })
})

/** From the whole beacon block, which was recorded by another request. */
function blockHashAt(slot: number): string {
  const block = readVectorJson<{
    data: { message: { body: { execution_payload: { block_hash: string } } } }
  }>(`light-client/recorded/blocks/${slot}.json`)
  return block.data.message.body.execution_payload.block_hash
}
