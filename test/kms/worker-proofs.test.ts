/** Two workers of one node: what one of them has had proven, the other does not have proven again. */
import { EventEmitter } from 'node:events'

import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { BootAuthorizer, BootDecision, ChainEvent } from '../../src/chain/boot/boot.ts'
import { bootChainShape, openChain } from '../../src/chain/boot/boot-config.ts'
import { openChannel, type Port } from '../../src/kms/workers/channel.ts'
import { remoteProofs, serveProofs } from '../../src/kms/workers/proofs.ts'
import { buildChain, type SyntheticChain, serveChain } from '../chain/proven/synthetic.ts'

let chain: SyntheticChain
let nodes: Awaited<ReturnType<typeof serveChain>>[]
let refuses = false
let time = 0

beforeAll(async () => {
  chain = await buildChain({ apps: 3 })
  const answer: Parameters<typeof serveChain>[0] = async (method, params) => {
    if (refuses && method === 'eth_getProof') throw new Error('no proofs today')
    return chain.answer(method, params)
  }
  nodes = [await serveChain(answer), await serveChain(answer)]
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
})

/** What the two ends of a child's channel are, without a child. */
function connect(): [Port, Port] {
  const ends = [new EventEmitter(), new EventEmitter()] as const
  const portOf = (own: EventEmitter, other: EventEmitter): Port => ({
    // structured clone, as between processes
    send: (message) => other.emit('message', structuredClone(message)),
    on: (event: string, listen: (message: unknown) => void) => own.on(event, listen),
  })
  return [portOf(ends[0], ends[1]), portOf(ends[1], ends[0])]
}

const settings = () =>
  z.object(bootChainShape).parse({
    chainId: 31337,
    kmsContract: chain.kmsAuth,
    chainView: {
      endpoints: nodes.map(({ url }) => url),
      quorum: 2,
      checkpointFolder: '/nowhere',
      refreshSeconds: 1,
      pinnedCode: chain.pinned,
    },
    finality: 'finalized',
    maxBlockAgeSeconds: 1_000_000,
  })

function startWorkers(count: number): BootAuthorizer[] {
  const config = settings()
  const handlers = serveProofs(config)
  return Array.from({ length: count }, () => {
    const [parent, child] = connect()
    openChannel(parent, handlers)
    const prove = remoteProofs(openChannel(child, {}))
    return openChain(config, { clock: () => time, checkpointKey: 'none-yet', prove })
  })
}

const hashesOf = ({ evidence }: BootDecision) =>
  [...new Set(evidence?.paths.flat().map(([hash]) => hash))].sort()

const proofs = () => nodes.reduce((sum, { asked }) => sum + (asked.eth_getProof ?? 0), 0)

test('KMS workers: each storage proof is fetched once for all workers', async () => {
  time = chain.head().timestamp
  const [first, second] = startWorkers(2) as [BootAuthorizer, BootAuthorizer]
  const boots = chain.apps.map((app) => chain.boot(app))
  for (const boot of boots) {
    expect(await first.authorize('isAppAllowed', boot)).toMatchObject({ allowed: true })
  }
  const once = proofs()
  expect(once).toBeGreaterThan(0)
  for (const boot of boots) {
    const [one, other] = await Promise.all([
      first.authorize('isAppAllowed', boot),
      second.authorize('isAppAllowed', boot),
    ])
    // with the same evidence
    expect(hashesOf(other)).toEqual(hashesOf(one))
  }
  expect(proofs()).toBe(once)
})

test('KMS workers: a failed proof keeps its code, and the faulty endpoints are reported', async () => {
  await chain.pay(chain.kmsAuth)
  chain.mine()
  time = chain.head().timestamp
  const [worker] = startWorkers(1) as [BootAuthorizer]
  const events: ChainEvent[] = []
  worker.watch?.((event) => events.push(event))
  refuses = true
  const asked = worker.authorize('isAppAllowed', chain.boot(chain.apps[0] as never))
  await expect(asked).rejects.toMatchObject({
    code: 'CHAIN_PROOF_REFUSED',
    facts: { words: 'no proofs today' },
  })
  expect(events).toContainEqual({ kind: 'failed', code: 'CHAIN_PROOF_REFUSED' })
  refuses = false
  expect(await worker.authorize('isAppAllowed', chain.boot(chain.apps[0] as never))).toMatchObject({
    allowed: true,
  })
})
