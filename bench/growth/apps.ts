/** Decisions about many apps in a block that is new to the view. */
import { fork } from 'node:child_process'
import { once } from 'node:events'

import type { HeapJob, HeapRound } from '../../test/chain/proven/heap-process.ts'
import { buildChain, serveChain } from '../../test/chain/proven/synthetic.ts'
import { usageOf } from '../release/node.ts'

/** Decisions that are measured at least: few are over before the clock of the processor ticks. */
const decisions = 3_000

/** Milliseconds of processor time of one decision, in a process that has a view and nothing else. */
export async function appCost(apps: number): Promise<number> {
  const chain = await buildChain({ apps, strangers: 10_000 })
  const node = await serveChain((method, params) => {
    const head = chain.blocks.length - 1
    return chain.answer(method, params, { head, final: Math.max(0, head - 2) })
  })
  const child = fork(new URL('../../test/chain/proven/heap-process.ts', import.meta.url), {
    serialization: 'advanced',
  })
  const tell = async (message: HeapJob | HeapRound): Promise<void> => {
    child.send(message)
    await once(child, 'message')
  }
  const boots = chain.apps.map((app) => chain.boot(app))
  let touched = 0
  const askInNewBlock = async () => {
    for (let change = 0; change < 64; change++) await chain.touch(touched++ % 10_000)
    chain.mine()
    await tell({ boots, time: chain.head().timestamp, measure: false })
  }
  try {
    const urls = [node.url, node.url.replace('127.0.0.1', 'localhost')]
    await tell({ urls, kms: chain.kmsAuth, pinned: chain.pinned, cacheBytes: 2 ** 26 })
    for (let block = 0; block < 4; block++) await askInNewBlock()
    const before = usageOf(child.pid as number)
    const blocks = Math.ceil(decisions / apps)
    for (let block = 0; block < blocks; block++) await askInNewBlock()
    return (usageOf(child.pid as number).cpuMs - before.cpuMs) / (blocks * apps)
  } finally {
    child.kill()
    await node.stop()
  }
}
