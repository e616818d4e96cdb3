/** RPC endpoints that answer wrongly are an outage for every command, and never a no. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { parseAbi, zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'

import { toChainError } from '../../src/chain/call.ts'
import { requireContract } from '../../src/chain/record/deployments.ts'
import { exitCodeOf } from '../../src/commands/exit-code.ts'
import { connectNetwork } from '../../src/commands/session/network.ts'
import type { Profile } from '../../src/commands/session/settings.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

type Answer = { result: unknown } | { error: { code: number; message: string; data?: string } }

/** An endpoint of chain 1 that answers every other method in the same way. */
function endpoint(answer: Answer, asked: string[] = []): Promise<string> {
  return listen((request, response) => {
    let body = ''
    request.on('data', (piece) => {
      body += piece
    })
    request.on('end', () => {
      const { id, method } = JSON.parse(body)
      asked.push(method)
      const given = method === 'eth_chainId' ? { result: '0x1' } : answer
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...given }))
    })
  })
}

const connect = (rpcUrls: string[], deadlineMs?: number) =>
  connectNetwork({ rpcUrls, account: { kind: 'node' } } as unknown as Profile, { deadlineMs })

async function codeOf(action: Promise<unknown>): Promise<[string, number]> {
  const error = await action.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  )
  return [(error as { code: string }).code, exitCodeOf(error)]
}

const reverted = { error: { code: 3, message: 'execution reverted', data: '0x' } }
const invalid = ['CHAIN_ANSWER_INVALID', 3]

describe('an endpoint', () => {
  test.each<[string, Answer]>([
    ['null', { result: null }],
    ['a number', { result: 5 }],
    ['half a byte', { result: '0x123' }],
    ['no hex', { result: '0xzz' }],
    ['a list', { result: [] }],
    ['a revert', reverted],
    ['a revert without data', { error: { code: -32000, message: 'execution reverted' } }],
  ])('that answers eth_getCode with %s is an outage', async (_, answer) => {
    const { publicClient } = await connect([await endpoint(answer)])

    expect(await codeOf(requireContract(publicClient, zeroAddress, 'kmsAuth'))).toEqual(invalid)
  })

  test.each<[string, Answer, unknown[]]>([
    ['null', { result: null }, invalid],
    ['an object', { result: {} }, invalid],
    ['a revert', reverted, ['CALL_REVERTED', 1]],
  ])(
    'that answers a call with %s is told from a contract that refuses',
    async (_, answer, code) => {
      const { publicClient } = await connect([await endpoint(answer)])
      const read = publicClient
        .readContract({
          address: zeroAddress,
          abi: parseAbi(['function owner() view returns (address)']),
          functionName: 'owner',
        })
        .catch((cause: unknown) => {
          throw toChainError(cause, 'read the owner')
        })

      expect(await codeOf(read)).toEqual(code)
    },
  )

  test('that answers wrongly is followed by the next one', async () => {
    const urls = [await endpoint({ result: null }), await endpoint({ result: '0x60' })]
    const { publicClient } = await connect(urls)

    await expect(requireContract(publicClient, zeroAddress, 'kmsAuth')).resolves.toBeUndefined()
  })

  test('that redirects is an outage, and the other host gets no request', async () => {
    const asked: string[] = []
    const other = await endpoint({ result: '0x60' }, asked)
    const url = await listen((_, response) => response.writeHead(307, { location: other }).end())

    expect(await codeOf(connect([url]))).toEqual(['CHAIN_UNREACHABLE', 3])
    expect(asked).toEqual([])
  })

  test('that is silent is given up after the deadline, which the error states', async () => {
    const url = await listen(() => undefined)
    const start = performance.now()
    const connecting = connect([url], 300)

    await expect(connecting).rejects.toMatchObject({
      code: 'CHAIN_UNREACHABLE',
      message: 'No chain endpoint gave a valid answer within 0.3 seconds.',
    })
    expect(performance.now() - start).toBeLessThan(3_000)
  })
})
