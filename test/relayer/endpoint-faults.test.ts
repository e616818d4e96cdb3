/**
 * Three endpoints over HTTP, one of which answers one question badly: whatever the question and whatever it does, the
 * intent becomes final, with one transaction of ordinary gas and fees.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { parseGwei } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Hex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { createChain } from '../../src/relayer/endpoints/quorum.ts'
import { connectRpc } from '../../src/relayer/endpoints/rpc.ts'
import { defaultRules } from '../../src/relayer/outbox/run-outbox.ts'
import { poll } from '../../src/relayer/outbox/submit.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { type Anvil, anvilKeys, findAnvil, startAnvil } from '../anvil.ts'
import { type Board, deployBoard } from './counter-contract.ts'
import { createCheckpointStore } from './model/memory-store.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the faults of endpoints are SKIPPED. ***\n')

interface Asked {
  readonly id: number
  readonly method: string
  readonly params: readonly unknown[]
}

interface Fault {
  readonly name: string
  /** The whole answer goes wrong. */
  body?(response: ServerResponse): void
  /** Gives another result, or fails with an error of the node. */
  lie?(result: unknown, asked: Asked): unknown
  /** The request that is sent to the node instead: for an older block. */
  ask?(asked: Asked): Asked
}

const error = (message: string) => ({ refusal: { code: -32000, message } })

/** What any answer can suffer. */
const bodies: readonly Fault[] = [
  { name: 'hangs', body: () => undefined },
  {
    name: 'drips bytes',
    body(response) {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    },
  },
  {
    name: 'redirects',
    body: (response) => response.writeHead(307, { location: trap.url }).end(),
  },
  {
    name: 'floods',
    body(response) {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
        response.once('drain', more)
      }
      more()
    },
  },
  { name: 'gives an empty answer', body: (response) => response.writeHead(204).end() },
  { name: 'gives another type', lie: () => ({ toString: 1 }) },
  { name: 'gives null', lie: () => null },
]

const old = (from: number) => ({
  name: 'is stale',
  ask: (asked: Asked): Asked => ({
    ...asked,
    params: [...asked.params.slice(0, from), '0x10', ...asked.params.slice(from + 1)],
  }),
})
const block = (change: (found: Record<string, Hex>) => object) => ({
  lie: (found: unknown) => ({ ...(found as object), ...change(found as Record<string, Hex>) }),
})
const plus = (value: Hex | undefined, more: bigint): Hex =>
  `0x${(BigInt(value ?? '0x0') + more).toString(16)}`
const isLatest = ({ params }: Asked) => params[0] === 'latest'

/** What each question can be answered with instead. */
const questions: Readonly<Record<string, readonly Fault[]>> = {
  eth_estimateGas: [
    { name: 'says too little', lie: () => '0x5208' },
    { name: 'says too much', lie: () => '0xffffffff' },
    { name: 'refuses', lie: () => error('execution reverted') },
    old(1),
  ],
  eth_call: [
    { name: 'refuses', lie: () => error('execution reverted') },
    { name: 'says yes', lie: () => `0x${'00'.repeat(31)}01` },
    { name: 'says no', lie: () => `0x${'00'.repeat(32)}` },
    old(1),
  ],
  eth_getTransactionCount: [
    { name: 'says more', lie: () => '0x63' },
    { name: 'says none', lie: () => '0x0' },
    old(1),
  ],
  eth_getBalance: [{ name: 'says nothing is left', lie: () => '0x0' }, old(1)],
  eth_getTransactionReceipt: [
    {
      name: 'invents one',
      lie: (_, { params }) => ({
        transactionHash: params[0],
        blockHash: `0x${'ab'.repeat(32)}`,
        blockNumber: '0x1',
        status: '0x0',
        gasUsed: '0x1',
        effectiveGasPrice: '0x1',
        logs: [],
        type: '0x2',
      }),
    },
    { name: 'puts it into a block of the past', ...block(() => ({ blockNumber: '0x1' })) },
    { name: 'puts it into a block to come', ...block(() => ({ blockNumber: '0xffffff' })) },
    { name: 'says that it failed', ...block(() => ({ status: '0x0' })) },
  ],
  eth_getBlockByNumber: [
    { name: 'is ahead', ...block(({ number }) => ({ number: plus(number, 1_000n) })) },
    { name: 'is on another chain', ...block(() => ({ hash: `0x${'cd'.repeat(32)}` })) },
    { name: 'says that gas is dear', ...block(() => ({ baseFeePerGas: '0x174876e800' })) },
    { name: 'says that gas is free', ...block(() => ({ baseFeePerGas: '0x0' })) },
    {
      name: 'is stale',
      ask: (asked) => (isLatest(asked) ? { ...asked, params: ['0x10', false] } : asked),
    },
  ],
  eth_maxPriorityFeePerGas: [
    { name: 'says nothing is needed', lie: () => '0x0' },
    { name: 'says very much', lie: () => '0x174876e800' },
  ],
  eth_sendRawTransaction: [
    {
      name: 'keeps it for itself',
      lie: () => `0x${'ef'.repeat(32)}`,
      ask: (asked) => ({ ...asked, method: 'eth_chainId', params: [] }),
    },
    ...[
      'replacement transaction underpriced',
      'execution reverted',
      'intrinsic gas too low',
      'nonce too low',
    ].map(
      (words): Fault => ({
        name: `says "${words}"`,
        lie: () => error(words),
        ask: (asked) => ({ ...asked, method: 'eth_chainId', params: [] }),
      }),
    ),
  ],
}

interface Proxy {
  readonly url: string
  fault: { readonly method: string; readonly how: Fault } | undefined
  requests: number
  stop(): Promise<void>
}

let trap: Proxy

async function startProxy(target: string): Promise<Proxy> {
  const forward = async (asked: readonly Asked[]) => {
    const body = JSON.stringify(asked)
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(target, { method: 'POST', headers, body })
    return (await response.json()) as { id: number; result?: unknown; error?: unknown }[]
  }
  const server = createServer(async (request, response) => {
    proxy.requests += 1
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const asked = [JSON.parse(Buffer.concat(parts).toString())].flat() as Asked[]
    const { fault } = proxy
    const isBad = ({ method }: Asked) => method === fault?.method
    if (fault?.how.body && asked.some(isBad)) return fault.how.body(response)
    const changed = asked.map((each) => (isBad(each) ? (fault?.how.ask?.(each) ?? each) : each))
    const answers = await forward(changed.map((each) => ({ ...each, jsonrpc: '2.0' })))
    const sent = answers.map((answer) => {
      const question = asked.find(({ id }) => id === answer.id)
      if (question === undefined || !isBad(question) || !fault?.how.lie) return answer
      // Only what there is can be told differently.
      if (answer.result === null && fault.how.name !== 'invents one') return answer
      const result = fault.how.lie(answer.result, question)
      const refusal = (result as { refusal?: unknown } | null)?.refusal
      return { jsonrpc: '2.0', id: answer.id, ...(refusal ? { error: refusal } : { result }) }
    })
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(sent))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: Proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: undefined,
    requests: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return proxy
}

describe.skipIf(absent)('one of three endpoints', () => {
  let anvil: Anvil
  let board: Board
  let proxies: Proxy[]
  const signer = createLocalSigner(anvilKeys[0])
  let serial = 0
  let now = 1_800_000_000

  beforeAll(async () => {
    anvil = await startAnvil({ mining: 'manual' })
    board = await deployBoard(anvil)
    await anvil.client.mine({ blocks: 30 })
    proxies = await Promise.all([0, 1, 2].map(() => startProxy(anvil.url)))
    trap = await startProxy(anvil.url)
  })
  afterAll(async () => {
    await Promise.all([...proxies, trap].map((each) => each.stop()))
    await anvil.stop()
  })

  const countOf = () => anvil.client.getTransactionCount({ address: signer.address })

  /** A new relayer in front of the endpoints brings one intent. */
  async function bring(key: string) {
    const store = createCheckpointStore()
    store.enqueue({
      id: key,
      kind: 'host',
      key,
      payload: null,
      state: 'queued',
      createdAt: now,
      notBefore: now,
      expiresAt: null,
      refusals: 0,
      lastError: null,
      version: 0,
    })
    const chain = createChain({
      clients: proxies.map(({ url }) => connectRpc(url, { timeoutMs: 3_000, maxBytes: 1_000_000 })),
      account: signer.address,
      finality: { depth: 1 },
      targets: { host: board.target },
      stragglerTimeoutMs: 300,
    })
    const lease = await store.lease('me', 60)
    if (lease === null) throw new Error('no lease')
    const submitter = {
      chainId: 31_337,
      store,
      chain,
      signer,
      rules: defaultRules,
      clock: () => now,
      log: createLog({ service: 'test', level: 'silent' }),
    }
    for (let polls = 0; polls < 6; polls++) {
      await poll(submitter, lease)
      if (store.intents.get(key)?.state === 'final') break
      await anvil.client.mine({ blocks: 2 })
      now += 5
    }
    await chain.balance()
    return { intent: store.intents.get(key), slots: [...store.slots.values()] }
  }

  async function requireOrdinary(key: string, before: number): Promise<void> {
    const { intent, slots } = await bring(key)
    expect(intent).toMatchObject({ state: 'final', refusals: 0 })
    expect(await board.effects(key)).toBe(1)
    expect(await countOf()).toBe(before + 1)
    const [slot] = slots
    expect(slot?.attempts).toHaveLength(1)
    expect(slot?.call?.gas).toBeLessThan(100_000n)
    const fees = slot?.attempts[0]?.fees
    expect(fees?.maxFee).toBeLessThan(parseGwei('10'))
    expect(fees?.tip).toBeGreaterThanOrEqual(parseGwei('0.5'))
    expect(slot?.mined?.cost).toBeGreaterThan(21_000n * parseGwei('0.1'))
  }

  describe.each(Object.entries(questions))('%s', (method, lies) => {
    test.each([...bodies, ...lies])('$name', { timeout: 120_000 }, async (how) => {
      const place = serial++ % proxies.length
      for (const proxy of proxies) proxy.fault = undefined
      const before = await countOf()
      const { requests } = trap
      const bad = proxies[place]
      if (bad) bad.fault = { method, how }

      await requireOrdinary(`${method} ${how.name}`, before)

      expect(trap.requests).toBe(requests)
    })
  })
})
