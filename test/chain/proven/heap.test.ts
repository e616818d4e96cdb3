/** A view lives as long as its process: what it keeps of one block is gone some blocks later. */
import { fork } from 'node:child_process'
import { once } from 'node:events'

import { expect, test } from 'vitest'

import type { HeapJob, HeapRound } from './heap-process.ts'
import { buildChain, serveChain } from './synthetic.ts'

test('the heap does not grow with the number of blocks', async () => {
  const chain = await buildChain({ apps: 8 })
  // the head is two blocks before the final block, so both are read
  const serve = () =>
    serveChain((method, params) =>
      chain.answer(method, params, { final: Math.max(0, chain.blocks.length - 3) }),
    )
  const nodes = [await serve(), await serve()]
  const child = fork(new URL('./heap-process.ts', import.meta.url), {
    execArgv: ['--expose-gc'],
    serialization: 'advanced',
  })
  const tell = async (message: HeapJob | HeapRound): Promise<number> => {
    child.send(message)
    return (await once(child, 'message'))[0] as number
  }
  const boots = chain.apps.map((app) => chain.boot(app))
  /** The least of several measurements: the cache fills and empties, and V8 keeps and drops compiled code. */
  const pass = async (blocks: number) => {
    let least = Number.POSITIVE_INFINITY
    for (let block = 0; block < blocks; block++) {
      await chain.pay(chain.apps[block % chain.apps.length] as never)
      chain.mine()
      const measure = blocks - block <= 30 && block % 3 === 0
      const heap = await tell({ boots, time: chain.head().timestamp, measure })
      if (measure) least = Math.min(least, heap)
    }
    return least
  }
  try {
    await tell({ urls: nodes.map(({ url }) => url), kms: chain.kmsAuth, pinned: chain.pinned })
    const before = await pass(120)
    const after = await pass(90)

    // looks that keep the ones before leave 8 kB a block; compiled code and its feedback grow by about one
    expect((after - before) / 1024 / 90).toBeLessThan(4)
  } finally {
    child.kill()
    for (const node of nodes) await node.stop()
  }
})
