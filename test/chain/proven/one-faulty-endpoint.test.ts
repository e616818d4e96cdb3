/** Three endpoints over HTTP, one of which is bad in one way, in every seat: decisions go on, and soon. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

import { keccak256 } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

import type { ChainEvent } from '../../../src/chain/boot/boot.ts'
import { volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { openView } from '../../../src/chain/proven/view.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { buildChain, type SyntheticChain, sealBlock } from './synthetic.ts'

interface Question {
  readonly method: string
  readonly params: readonly unknown[]
}
type Answer = (question: Question, response: ServerResponse) => Promise<unknown> | unknown

/** Says nothing more; the function has answered in its own way, or never will. */
const silent = Symbol('silent')

let chain: SyntheticChain
let honest: { url: string; stop: () => Promise<void> }[]
let elsewhere: Awaited<ReturnType<typeof listen>>

async function listen(answer: Answer) {
  let count = 0
  const server = createServer(async (request: IncomingMessage, response) => {
    count++
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    try {
      const question = JSON.parse(Buffer.concat(chunks).toString())
      const result = await answer(question, response)
      if (result === silent) return
      response.end(JSON.stringify({ jsonrpc: '2.0', id: question.id, result }))
    } catch (error) {
      const { code = -32000, message } = error as { code?: number; message: string }
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message } }))
    }
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: () => count,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

const last = () => chain.blocks.length - 1
const truth: Answer = ({ method, params }) =>
  chain.answer(method, params, { head: last(), final: last() - 2 })

beforeAll(async () => {
  chain = await buildChain({ apps: 4 })
  for (let block = 0; block < 5; block++) {
    await chain.pay(chain.apps[3] as Hex)
    chain.mine()
  }
  honest = [await listen(truth), await listen(truth)]
  elsewhere = await listen(truth)
})
afterAll(async () => {
  for (const { stop } of [...honest, elsewhere]) await stop()
})

const about =
  (methods: readonly string[], bad: Answer): Answer =>
  (question, response) =>
    methods.includes(question.method) ? bad(question, response) : truth(question, response)
const proofs = ['eth_getProof']
const everything = ['eth_chainId', 'eth_getBlockByNumber', 'eth_getProof']

const hang: Answer = () => silent
const drip: Answer = (_, response) => {
  const timer = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(timer))
  return silent
}
const flood: Answer = (_, response) => {
  const more = () => {
    if (!response.destroyed) response.write('0'.repeat(65_536))
  }
  response.on('drain', more)
  response.write('{"jsonrpc":"2.0","id":1,"result":"')
  more()
  return silent
}
const packed = gzipSync(Buffer.alloc(16 * 2 ** 20))
const bomb: Answer = (_, response) => {
  response.setHeader('content-encoding', 'gzip')
  response.end(packed)
  return silent
}
const redirect: Answer = (_, response) => {
  response.writeHead(307, { location: elsewhere.url }).end()
  return silent
}
const cutOff: Answer = (_, response) => {
  response.destroy()
  return silent
}
const refuse: Answer = () => {
  throw Object.assign(new Error('distance to target block exceeds maximum proof window'), {
    code: -32602,
  })
}
const stale: Answer = ({ method, params }) => chain.answer(method, params, { head: 2, final: 0 })
const invented: Answer = (question, response) => {
  if (question.method !== 'eth_getBlockByNumber') return truth(question, response)
  const real = chain.blocks[last()] as (typeof chain.blocks)[number]
  const { number, timestamp, json } = real
  const stateRoot = keccak256('0x01')
  return sealBlock({ number: number + 9n, timestamp, parentHash: json.hash, stateRoot }).json
}
const changed =
  (change: (proof: { accountProof: Hex[]; storageProof: { proof: Hex[] }[] }) => void): Answer =>
  async (question, response) => {
    const proof = structuredClone(await truth(question, response))
    change(proof as never)
    return proof
  }

const bad: Record<string, Answer> = {
  hangs: about(everything, hang),
  'hangs on blocks': about(['eth_getBlockByNumber'], hang),
  'hangs on proofs': about(proofs, hang),
  'drips bytes': about(everything, drip),
  'drips bytes of proofs': about(proofs, drip),
  floods: about(everything, flood),
  'floods with proofs': about(proofs, flood),
  'sends what unpacks to too much': about(everything, bomb),
  redirects: about(everything, redirect),
  'cuts off': about(everything, cutOff),
  'refuses proofs': about(proofs, refuse),
  'refuses everything': about(everything, refuse),
  'answers in words': about(everything, () => 'hello'),
  'answers null': about(everything, () => null),
  'serves another chain': about(['eth_chainId'], () => '0x1'),
  'is stale': stale,
  'invents a block': invented,
  'adds a node to proofs': about(
    proofs,
    changed(({ accountProof }) => void accountProof.push(accountProof.at(-1) as Hex)),
  ),
  'leaves a node of proofs out': about(
    proofs,
    changed(({ accountProof }) => void accountProof.pop()),
  ),
}

/** The grace and the patience of a view, on a busy machine; an endpoint that is waited for takes longer. */
const timeoutMs = 90_000
const soonMs = 40_000

function open(urls: readonly string[], now: () => number) {
  const endpoints = urls.map((url, index) => connectEndpoint({ url, name: `${index}`, timeoutMs }))
  return openView({
    chainId: 31337,
    kms: chain.kmsAuth,
    pinned: chain.pinned,
    source: agreedHeaders({ endpoints, required: 2, chainId: 31337, finality: 'finalized' }),
    endpoints,
    required: 2,
    checkpoint: volatileCheckpoint(),
    maxBlockAgeSeconds: 1_000,
    refreshSeconds: 12,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => chain.head().timestamp,
    now,
  })
}

describe('one faulty endpoint of three', () => {
  // most of the time is waiting, which they do together; a busy machine makes it longer
  const cases = Object.keys(bad).flatMap((name) => [0, 1, 2].map((seat) => [name, seat] as const))

  const patient = { timeout: 300_000 }
  test.concurrent.each(cases)(
    'that %s, at position %i, does not change a decision',
    patient,
    async (name, seat) => {
      const server = await listen(bad[name] as Answer)
      const urls = honest.map(({ url }) => url)
      urls.splice(seat, 0, server.url)
      let elapsed = 0
      const events: ChainEvent[] = []
      const view = open(urls, () => performance.now() + elapsed)
      view.watch?.((event) => events.push(event))
      try {
        for (let look = 0; look < 3; look++) {
          const began = performance.now()
          const decisions = await Promise.all(
            chain.apps.map((app) => view.authorize('isAppAllowed', chain.boot(app))),
          )
          // a head that lags can say no, which is the price of hearing one; it cannot say yes
          const denied = name === 'is stale' ? [true, false] : [true]
          for (const decision of decisions) expect(denied).toContain(decision.allowed)
          expect(performance.now() - began).toBeLessThan(soonMs)
          elapsed += 100_000
        }
        expect(events.some(({ kind }) => kind === 'failed')).toBe(false)
        expect(server.asked()).toBeGreaterThan(0)
      } finally {
        await server.stop()
      }
    },
  )

  test('that redirects is not followed', () => {
    expect(elsewhere.asked()).toBe(0)
  })
})

describe('a request to an endpoint', () => {
  const ask = async (answer: Answer, options: { timeoutMs?: number; maxBytes?: number } = {}) => {
    const server = await listen(answer)
    const endpoint = connectEndpoint({ url: server.url, name: '1:bad', timeoutMs: 300, ...options })
    const began = performance.now()
    try {
      const result = await endpoint.request('eth_chainId', [], z.string()).catch((error) => error)
      return { result, ms: performance.now() - began }
    } finally {
      await server.stop()
    }
  }

  test.each([
    ['hangs', hang],
    ['drips bytes', drip],
  ])('that %s ends after the time limit for the whole answer', async (_, answer) => {
    const { result, ms } = await ask(answer)
    expect(result).toMatchObject({ code: 'CHAIN_TIMEOUT' })
    expect(ms).toBeLessThan(5_000)
  })

  test.each([
    ['floods', flood],
    ['sends what unpacks to too much', bomb],
  ])('that %s ends at the size limit', async (_, answer) => {
    const { result } = await ask(answer, { timeoutMs: 20_000 })
    expect(result).toMatchObject({ code: 'CHAIN_ANSWER_INVALID' })
  })

  test.each([
    [100, undefined],
    [99, 'CHAIN_ANSWER_INVALID'],
  ])('fails if it answers with 100 bytes instead of %i', async (maxBytes, code) => {
    const frame = JSON.stringify({ jsonrpc: '2.0', id: 1, result: '' }).length
    const { result } = await ask(() => 'x'.repeat(100 - frame), { maxBytes, timeoutMs: 20_000 })
    if (code === undefined) expect(result).toHaveLength(100 - frame)
    else expect(result).toMatchObject({ code })
  })

  test('quotes the error of the endpoint in one short line', async () => {
    const { result } = await ask(
      () => {
        throw new Error(`first\n\u001b[31msecond${'x'.repeat(1_000)}`)
      },
      { timeoutMs: 20_000 },
    )
    expect(result).toMatchObject({ code: 'CHAIN_UNREACHABLE', facts: { rpcCode: -32000 } })
    expect(result.facts.words).toMatch(/^first \[31msecondx+$/)
    expect(result.facts.words.length).toBeLessThanOrEqual(200)
  })
})

describe('endpoints that cannot prove a final block', () => {
  test('are reported with their own error before the checkpoint is created', async () => {
    const servers = [await listen(about(proofs, refuse)), await listen(about(proofs, refuse))]
    const view = open(
      servers.map(({ url }) => url),
      () => performance.now(),
    )
    const expected = {
      code: 'CHAIN_PROOF_REFUSED',
      message: expect.stringContaining('distance to target block exceeds maximum proof window'),
      facts: { rpcCode: -32602, method: 'eth_getProof' },
    }
    try {
      await expect(view.bootstrap()).rejects.toMatchObject(expected)
      await expect(
        view.authorize('isAppAllowed', chain.boot(chain.apps[0] as Hex)),
      ).rejects.toMatchObject(expected)
      expect(view.trouble?.()).toBe('CHAIN_PROOF_REFUSED')
    } finally {
      for (const server of servers) await server.stop()
    }
  })

  test('do not prevent the checkpoint if one endpoint can prove the block', async () => {
    const server = await listen(about(proofs, refuse))
    const view = open([server.url, honest[0]?.url ?? ''], () => performance.now())
    try {
      expect(await view.bootstrap()).toMatchObject({ number: BigInt(last() - 2) })
    } finally {
      await server.stop()
    }
  })
})
