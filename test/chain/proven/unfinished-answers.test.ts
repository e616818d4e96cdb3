/** An endpoint that never ends its answers must not fill the memory of a KMS. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'

import { createHealth, queryEndpointsInOrder } from '../../../src/chain/proven/endpoint-health.ts'
import { connectEndpoint, type Endpoint } from '../../../src/chain/proven/rpc-endpoint.ts'

const started: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop()
})

/** A server that counts its unfinished answers. */
async function listen(answer: (response: ServerResponse) => void) {
  const counts = { open: 0, most: 0, asked: 0 }
  const server = createServer((request, response) => {
    counts.asked++
    counts.most = Math.max(counts.most, ++counts.open)
    response.on('close', () => void counts.open--)
    request.resume()
    request.on('end', () => answer(response))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  started.push({
    stop: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const connect = (timeoutMs: number) => connectEndpoint({ url, name: url, timeoutMs })
  return { counts, connect }
}

const never = (response: ServerResponse) => void response.write('{"jsonrpc":"2.0",')
const truth = (response: ServerResponse) => void response.end('{"jsonrpc":"2.0","id":1,"result":1}')

const ask = (endpoint: Endpoint, signal?: AbortSignal) =>
  endpoint.request('eth_test', [], z.number(), { signal })

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'answered',
    ({ code }) => code as string,
  )

test('an unfinished answer is cancelled when another endpoint has answered', async () => {
  const slow = await listen(never)
  const good = await listen(truth)
  const endpoints = [slow.connect(60_000), good.connect(60_000)]
  const health = createHealth(() => performance.now())

  expect(await queryEndpointsInOrder(endpoints, ask, { health, failed: () => {} })).toBe(1)
  expect(slow.counts.asked).toBe(1)
  await vi.waitFor(() => expect(slow.counts.open).toBe(0), 2_000)
})

test('an endpoint has at most 8 unfinished answers to the node itself', async () => {
  const slow = await listen(never)
  const endpoint = slow.connect(800)
  const began = performance.now()
  const codes = await Promise.all(Array.from({ length: 100 }, () => codeOf(ask(endpoint))))

  // those in flight were late; the others were never sent, which is not the endpoint's fault
  expect(codes.slice(0, 8)).toEqual(Array(8).fill('CHAIN_TIMEOUT'))
  expect(codes.slice(16)).toEqual(Array(84).fill('CHAIN_NODE_OVERLOADED'))
  expect(slow.counts.most).toBe(8)
  expect(performance.now() - began).toBeLessThan(5_000)
})

test('the clients of a node have 8 unfinished answers together, and one has 4', async () => {
  const slow = await listen(never)
  const endpoint = slow.connect(800)
  const of = (client: string) =>
    Array.from({ length: 10 }, () =>
      codeOf(endpoint.request('eth_test', [], z.number(), { client })),
    )
  const one = of('a')
  await vi.waitFor(() => expect(slow.counts.open).toBe(4), 2_000)
  const rest = ['b', 'c'].flatMap(of)
  await Promise.all([...one, ...rest])
  expect(slow.counts.most).toBe(8)
})

test('the node and other clients do not wait for the requests of one client', async () => {
  const waiting: ServerResponse[] = []
  const slow = await listen((response) => void waiting.push(response))
  const endpoint = slow.connect(60_000)
  const busy = { client: 'a', signal: undefined }
  for (let each = 0; each < 256 + 4; each++) {
    void endpoint.request('eth_test', [], z.number(), busy).catch(() => {})
  }
  // its queue is full
  expect(await codeOf(endpoint.request('eth_test', [], z.number(), busy))).toBe(
    'CHAIN_NODE_OVERLOADED',
  )
  await vi.waitFor(() => expect(waiting).toHaveLength(4), 5_000)
  const own = ask(endpoint)
  const other = endpoint.request('eth_test', [], z.number(), { client: 'b' })
  await vi.waitFor(() => expect(waiting).toHaveLength(6), 5_000)
  for (const response of waiting.slice(4)) truth(response)
  expect(await Promise.all([own, other])).toEqual([1, 1])
})

test('time in which this process was blocked does not make an endpoint late', async () => {
  const good = await listen((response) => void setTimeout(() => truth(response), 50))
  const asking = ask(good.connect(1_000))
  await new Promise((later) => setTimeout(later, 20))
  const until = performance.now() + 1_500
  while (performance.now() < until);
  expect(await asking).toBe(1)
})

test('more requests than 8 to an honest endpoint are all answered', async () => {
  const good = await listen(truth)
  const endpoint = good.connect(60_000)

  expect(await Promise.all(Array.from({ length: 100 }, () => ask(endpoint)))).toEqual(
    Array(100).fill(1),
  )
  expect(good.counts).toMatchObject({ asked: 100, open: 0 })
  expect(good.counts.most).toBeLessThanOrEqual(8)
})

test('a request that is no longer needed makes room for the next', async () => {
  const waiting: ServerResponse[] = []
  const slow = await listen((response) => void waiting.push(response))
  const endpoint = slow.connect(60_000)
  const first = new AbortController()
  const dropped = Array.from({ length: 20 }, () => ask(endpoint, first.signal))
  const refused = Promise.allSettled(dropped)
  await vi.waitFor(() => expect(waiting).toHaveLength(8), 5_000)
  first.abort()
  expect((await refused).map(({ status }) => status)).toEqual(Array(20).fill('rejected'))
  const next = ask(endpoint)
  await vi.waitFor(() => expect(waiting).toHaveLength(9), 5_000)
  truth(waiting[8] as ServerResponse)

  expect(await next).toBe(1)
})
