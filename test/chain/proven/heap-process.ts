/** A process with a view of the chain and nothing else, which tells how much of its heap is in use. */

import type { EvaluatedBoot } from '../../../src/chain/boot/boot.ts'
import { volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { openView } from '../../../src/chain/proven/view.ts'
import type { ViewOptions } from '../../../src/chain/proven/view-context.ts'

export interface HeapJob {
  readonly urls: readonly string[]
  readonly kms: ViewOptions['kms']
  readonly pinned: ViewOptions['pinned']
  /** Default: so little that it is full long before the first measurement. */
  readonly cacheBytes?: number
}

/** One block: every boot is asked about once. */
export interface HeapRound {
  readonly boots: readonly EvaluatedBoot[]
  /** Unix seconds. */
  readonly time: number
  /** Whether to collect garbage, and to report the remaining heap. */
  readonly measure: boolean
}

let time = 0
let elapsed = 0
let view: ReturnType<typeof openView>

process.on('message', async (message: HeapJob | HeapRound) => {
  if ('urls' in message) {
    view = open(message)
    process.send?.(0)
    return
  }
  time = message.time
  // each round reads a new snapshot
  elapsed += 1_000_000
  for (const boot of message.boots) {
    const { allowed } = await view.authorize('isAppAllowed', boot)
    if (!allowed) throw new Error('a boot was denied')
  }
  for (let round = 0; round < (message.measure ? 3 : 0); round++) {
    global.gc?.()
    await new Promise((later) => setImmediate(later))
  }
  process.send?.(process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers)
})

function open({ urls, kms, pinned, cacheBytes = 2 ** 18 }: HeapJob) {
  const endpoints = urls.map((url, index) =>
    connectEndpoint({ url, name: `${index}`, timeoutMs: 10_000 }),
  )
  return openView({
    chainId: 31337,
    kms,
    pinned,
    source: agreedHeaders({ endpoints, required: 2, chainId: 31337, finality: 'finalized' }),
    endpoints,
    required: 2,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 1000,
    refreshSeconds: 12,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    cacheBytes,
    clock: () => time,
    now: () => elapsed,
  })
}
