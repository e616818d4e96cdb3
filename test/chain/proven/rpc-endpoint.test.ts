/** The deadline of one request to an RPC endpoint, and the signal of its caller. */
import { EventEmitter, getEventListeners, once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'

import { connectEndpoint, type Endpoint } from '../../../src/chain/proven/rpc-endpoint.ts'

let server: Server
let open: ServerResponse[]
let endpoint: Endpoint
const arrivals = new EventEmitter()

const connect = (timeoutMs: number) => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return connectEndpoint({ url, name: '1:rpc', timeoutMs })
}
const ask = (signal?: AbortSignal) => endpoint.request('eth_chainId', [], z.string(), { signal })
const answerAll = () => {
  for (const response of open) response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}')
}

beforeEach(async () => {
  open = []
  server = createServer((_, response) => {
    open.push(response)
    arrivals.emit('request')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endpoint = connect(20_000)
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

test('an endpoint that does not answer in time is a timeout with its limit', async () => {
  endpoint = connect(50)
  await expect(ask()).rejects.toMatchObject({
    code: 'CHAIN_TIMEOUT',
    facts: { endpoint: '1:rpc', method: 'eth_chainId', timeoutMs: 50 },
  })
})

test('a request whose caller has left already is not sent', async () => {
  await expect(ask(AbortSignal.abort())).rejects.toMatchObject({ code: 'CHAIN_TIMEOUT' })
  expect(open).toEqual([])
})

test('a request ends when its caller leaves, long before the deadline', async () => {
  const caller = new AbortController()
  const asked = ask(caller.signal)
  await once(arrivals, 'request')
  caller.abort()

  await expect(asked).rejects.toMatchObject({ code: 'CHAIN_TIMEOUT' })
})

test('a request that ended keeps nothing at the signal of its caller', async () => {
  const caller = new AbortController()
  const asked = ask(caller.signal)
  await once(arrivals, 'request')
  expect(getEventListeners(caller.signal, 'abort')).toHaveLength(1)
  answerAll()

  expect(await asked).toBe('0x1')
  expect(getEventListeners(caller.signal, 'abort')).toEqual([])
})
