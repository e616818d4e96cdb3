/** Three honest endpoints over HTTP, and a burst of boots of other apps: a withdrawal that is not final yet still denies. */
import { afterEach, expect, test } from 'vitest'
import { approvalSlot } from '../../../src/chain/approval.ts'
import type { BootDecision, ChainEvent } from '../../../src/chain/boot/boot.ts'
import { volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { openView } from '../../../src/chain/proven/view.ts'
import type { AssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { buildChain, serveChain } from './synthetic.ts'

const others = 256
let stops: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()))
  stops = []
})

/** A view of a chain whose newest block, not final yet, withdraws the release of the first app. */
async function openWithdrawn(beforeAnswer: (method: string) => Promise<void>) {
  const chain = await buildChain({ apps: others + 1 })
  const [app] = chain.apps as [Hex]
  await chain.store(app, approvalSlot('release', chain.release), 0n)
  chain.mine()
  const last = chain.blocks.length - 1
  const servers = await Promise.all(
    [0, 1, 2].map(() =>
      serveChain(async (method, params) => {
        await beforeAnswer(method)
        return chain.answer(method, params, { head: last, final: last - 1 })
      }),
    ),
  )
  stops = servers.map(({ stop }) => stop)
  const endpoints = servers.map(({ url }, index) =>
    connectEndpoint({ url, name: `${index + 1}`, timeoutMs: 10_000 }),
  )
  const view = openView({
    chainId: 31337,
    kms: chain.kmsAuth,
    pinned: chain.pinned,
    source: agreedHeaders({ endpoints, required: 2, chainId: 31337, finality: 'finalized' }),
    endpoints,
    required: 2,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 1_000,
    refreshSeconds: 600,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => chain.head().timestamp,
  })
  const events: ChainEvent[] = []
  view.watch?.((event) => events.push(event))
  const ask = (each: Hex) => view.authorize('isAppAllowed', chain.boot(each))
  return { ask, app, others: chain.apps.slice(1), events }
}

const nameOf = (decision: BootDecision) =>
  'refusedBy' in decision ? decision.refusedBy : 'allowed'
const codeOf = (error: unknown) => (error as AssentError).code

test('a burst of boots of other apps does not hide a withdrawal', {
  timeout: 120_000,
}, async () => {
  const latency = () => new Promise<void>((later) => setTimeout(later, 150))
  const { ask, app, others, events } = await openWithdrawn(latency)
  expect(nameOf(await ask(app))).toBe('unconfirmed-withdrawal')

  const burst = Promise.all(others.map((each) => ask(each).then(nameOf, codeOf)))
  const during = ask(app).then(nameOf, codeOf)
  const results = new Set(await burst)
  results.delete('allowed')
  results.delete('CHAIN_NODE_OVERLOADED')
  expect([...results]).toEqual([])
  expect(['unconfirmed-withdrawal', 'CHAIN_NODE_OVERLOADED']).toContain(await during)
  expect(nameOf(await ask(app))).toBe('unconfirmed-withdrawal')
  expect(events.filter(({ kind }) => kind === 'fault')).toEqual([])
})

test('a rate limit of the endpoints is an outage for those it meets, and hides no withdrawal', async () => {
  let isLimited = false
  const { ask, app, others } = await openWithdrawn(async (method) => {
    if (!isLimited || method !== 'eth_getProof') return
    throw Object.assign(new Error('limit exceeded'), { rpcCode: -32005 })
  })
  expect(nameOf(await ask(others[0] as Hex))).toBe('allowed')
  isLimited = true
  expect(await ask(others[1] as Hex).then(nameOf, codeOf)).toBe('CHAIN_RATE_LIMITED')
  isLimited = false
  expect(nameOf(await ask(app))).toBe('unconfirmed-withdrawal')
})
