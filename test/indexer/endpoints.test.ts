/** The indexer with endpoints that lie or refuse, with a process that is killed, and on a Postgres server. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { compareWithChain } from '../../src/indexer/compare.ts'
import { findAnvil } from '../anvil.ts'
import { startChild } from '../child-process.ts'
import { findPostgres, type PostgresServer, startPostgres } from '../postgres.ts'
import { openIndexer, type TestIndexer } from './indexer.ts'
import { createRandomHistory, type RandomHistory } from './random-history.ts'
import { takeTour } from './tour.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('NOT TESTED: there is no anvil')
const noServer = findPostgres() === undefined
if (noServer) console.warn('NOT TESTED: there is no Postgres server for this machine')

interface Request {
  readonly id: number
  readonly method: string
  readonly params: readonly unknown[]
}

/** What an endpoint does with the honest answer to a request. */
interface Answer {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}
type Falsify = (request: Request, honest: Answer) => Answer | number

describe.skipIf(absent)('the indexer', { timeout: 120_000 }, () => {
  let history: RandomHistory
  let honest: string
  const servers: Server[] = []
  const opened: TestIndexer[] = []
  const children: ChildProcess[] = []

  beforeAll(async () => {
    history = await createRandomHistory(11)
    await takeTour(history)
    for (let block = 0; block < 3; block++) await history.block(5)
    const indexer = await open({})
    await indexer.sync()
    honest = await indexer.dump()
  }, 120_000)
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    for (const { open: database } of opened.splice(0)) await database.close()
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })
  afterAll(() => history?.stop())

  async function open(options: Parameters<typeof openIndexer>[1]): Promise<TestIndexer> {
    const indexer = await openIndexer(history, options)
    opened.push(indexer)
    return indexer
  }

  /** An endpoint in front of anvil. A number is an HTTP status without a JSON-RPC answer. */
  async function endpoint(falsify: Falsify): Promise<string> {
    const server = createServer(async (incoming, response) => {
      const asked = JSON.parse(await text(incoming)) as Request | Request[]
      const answers = await Promise.all(
        [asked].flat().map(async (request) => {
          const init = { method: 'POST', headers: { 'content-type': 'application/json' } }
          const body = JSON.stringify({ jsonrpc: '2.0', ...request })
          const answer = (await (await fetch(history.url, { ...init, body })).json()) as Answer
          const given = falsify(request, answer)
          return typeof given === 'number' ? given : { jsonrpc: '2.0', id: request.id, ...given }
        }),
      )
      const status = answers.find((answer) => typeof answer === 'number') ?? 200
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(
        status === 200 ? JSON.stringify(Array.isArray(asked) ? answers : answers[0]) : '',
      )
    }).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** Changes the logs in an answer. */
  const logsAs =
    (change: (logs: Record<string, unknown>[]) => unknown): Falsify =>
    ({ method }, answer) =>
      method === 'eth_getLogs'
        ? { result: change(structuredClone(answer.result) as Record<string, unknown>[]) }
        : answer

  const lies: readonly (readonly [string, Falsify])[] = [
    ['hides all events', logsAs(() => [])],
    ['hides one event', logsAs((logs) => logs.slice(1))],
    ['repeats an event', logsAs((logs) => [...logs, ...logs.slice(0, 1)])],
    [
      'changes the data of events',
      logsAs((logs) => logs.map((log) => ({ ...log, data: `0x${'11'.repeat(64)}` }))),
    ],
    [
      'changes the hash of a header',
      ({ method }, answer) =>
        method === 'eth_getBlockByNumber' && answer.result !== null
          ? { result: { ...(answer.result as object), hash: `0x${'ab'.repeat(32)}` } }
          : answer,
    ],
    [
      'names another sender',
      ({ method }, answer) =>
        method === 'eth_getTransactionByHash' && answer.result !== null
          ? { result: { ...(answer.result as object), from: `0x${'ab'.repeat(20)}` } }
          : answer,
    ],
    ['answers what nobody asked', () => ({ result: 'yes' })],
  ]

  test.each(lies)('with three endpoints, one that %s changes nothing', async (_, falsify) => {
    const liar = await endpoint(falsify)
    for (const urls of [
      [liar, history.url, await endpoint((_request, answer) => answer)],
      [await endpoint((_request, answer) => answer), history.url, liar],
    ]) {
      const indexer = await open({ urls, depth: 8 })
      await indexer.sync()
      expect(await indexer.dump()).toBe(honest)
    }
  })

  test.each(lies)('with two endpoints, a second one that %s stops it', async (_, falsify) => {
    const indexer = await open({ urls: [history.url, await endpoint(falsify)], depth: 8 })

    await expect(indexer.sync()).rejects.toMatchObject({
      code: expect.stringMatching(/^RELAYER_CHAIN_(DISAGREES|UNREACHABLE)$/),
    })
    expect(compare(await indexer.dump(), honest)).toEqual([])
  })

  /** Lines of events that the honest indexer does not have. */
  function compare(found: string, expected: string): string[] {
    const eventsOf = (dump: string) => dump.slice(dump.indexOf('\n\nevents\n')).split('\n')
    const known = new Set(eventsOf(expected))
    return eventsOf(found).filter((line) => !known.has(line))
  }

  /** As services word the refusal of a range, with their HTTP status, code and limit. */
  const refusals: readonly (readonly [string, number, Answer['error'] | number])[] = [
    ['Infura', 30, { code: -32005, message: 'query returned more than 10000 results' }],
    [
      'Alchemy',
      10,
      {
        code: -32600,
        message:
          'Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block range should work: [0x0, 0x9].',
      },
    ],
    ['QuickNode', 5, { code: -32614, message: 'eth_getLogs is limited to a 5 range' }],
    ['Ankr', 50, { code: -32600, message: 'block range is too wide' }],
    ['Cloudflare', 40, { code: -32047, message: 'Invalid eth_getLogs request. Max range: 40' }],
    ['BSC nodes', 20, { code: -32005, message: 'limit exceeded' }],
    ['Erigon', 17, { code: -32000, message: 'query block range exceeds server limit' }],
    ['Geth', 12, { code: -32602, message: 'exceed maximum block range: 12' }],
    ['a proxy with status 413', 33, 413],
    ['a proxy with status 400', 3, 400],
    ['a proxy with status 503', 60, 503],
  ]

  test.each(refusals)('finds the range that %s accepts (%i blocks)', async (_, limit, refusal) => {
    let refused = 0
    const url = await endpoint(({ method, params }, answer) => {
      if (method !== 'eth_getLogs') return answer
      const { fromBlock, toBlock } = params[0] as { fromBlock?: string; toBlock?: string }
      if (fromBlock === undefined || Number(toBlock) - Number(fromBlock) < limit) return answer
      refused++
      return typeof refusal === 'number' ? refusal : { error: refusal as Required<Answer>['error'] }
    })
    const indexer = await open({ urls: [url], depth: 0 })
    await indexer.sync()

    expect(await indexer.dump()).toBe(honest)
    expect(refused).toBeGreaterThan(0)
    expect(refused).toBeLessThan(60)
  })

  test.each([
    ['status 429', 429],
    ['a message', { code: -32005, message: 'Too Many Requests: compute units per second' }],
  ] as const)('does not ask for less after a rate limit with %s', async (_, limit) => {
    const spans: number[] = []
    let isLimited = true
    const url = await endpoint(({ method, params }, answer) => {
      if (method !== 'eth_getLogs') return answer
      const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string }
      spans.push(Number(toBlock) - Number(fromBlock))
      if (!isLimited) return answer
      return typeof limit === 'number' ? limit : { error: limit }
    })
    // less than the chain has, so that a smaller range shows
    const indexer = await open({ urls: [url], depth: 0, span: 32 })
    await expect(indexer.sync()).rejects.toMatchObject({ code: 'RELAYER_CHAIN_UNREACHABLE' })
    isLimited = false
    await indexer.sync()

    expect(spans[1]).toBe(spans[0])
    expect(await indexer.dump()).toBe(honest)
  })

  /** Indexes in a process of its own, which stops in the middle of a write, and kills it there. @returns finished blocks */
  async function killInWrite(location: object, insert: number): Promise<number[]> {
    const script = join(import.meta.dirname, 'sync-process.ts')
    const { url, addresses } = history
    const options = JSON.stringify({ url, addresses, location, insert })
    const child = startChild(process.execPath, [script, options])
    children.push(child)
    const ended = once(child, 'exit')
    const blocks: number[] = []
    for await (const line of createInterface(child.stdout)) {
      if (line === 'writing') child.kill('SIGKILL')
      else blocks.push(Number(line))
    }
    expect((await ended)[1]).toBe('SIGKILL')
    return blocks
  }

  async function killAndResume(location: { folder: string } | { url: string }) {
    const finished: number[] = []
    // rows of state, undo records, events and blocks
    for (const insert of [1, 2, 3, 7, 20, 41]) {
      finished.push(...(await killInWrite(location, insert)))
    }
    // no block is lost and none is written twice
    expect(finished.length).toBeGreaterThan(5)
    expect(finished).toEqual(finished.map((_, index) => index))
    const indexer = await open({ location })
    await indexer.sync()
    expect(indexer.progress[0]?.block).toBe(finished.length)
    expect(await indexer.dump()).toBe(honest)
    const at = await history.client.getBlockNumber()
    expect((await compareWithChain(indexer.open.db, history.client, at)).differences).toEqual([])
  }

  test('is killed while it writes into a folder, and continues with the next block', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'assent-indexer-'))
    try {
      await killAndResume({ folder: join(folder, 'data') })
    } finally {
      for (const each of opened.splice(0)) await each.open.close()
      await rm(folder, { recursive: true, force: true })
    }
  })

  describe.skipIf(noServer)('on a Postgres server', () => {
    let postgres: PostgresServer
    beforeAll(async () => {
      postgres = await startPostgres()
    }, 60_000)
    afterAll(() => postgres?.stop())

    test('has the same tables as in memory', async () => {
      const indexer = await open({ location: { url: await postgres.createDatabase() }, span: 9 })
      await indexer.sync()

      expect(await indexer.dump()).toBe(honest)
    })

    test('is killed while it writes, and continues with the next block', async () => {
      await killAndResume({ url: await postgres.createDatabase() })
    })

    test('writes nothing twice if two indexers share the database', async () => {
      const location = { url: await postgres.createDatabase() }
      const both = [
        await open({ location, span: 1, depth: 0 }),
        await open({ location, span: 1, depth: 0 }),
      ]
      const outcomes = await Promise.all(both.map((each) => runUntilDone(each)))

      expect(await both[0]?.dump()).toBe(honest)
      expect(outcomes.every((moved) => moved >= 0)).toBe(true)
      const written = both.flatMap(({ progress }) => progress.map(({ block }) => block))
      expect(new Set(written).size).toBe(written.length)
    })
  })

  /** Repeats a step in which the other one was faster. @returns how often that was */
  async function runUntilDone({ sync }: TestIndexer): Promise<number> {
    for (let moved = 0; ; moved++) {
      try {
        await sync()
        return moved
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'INDEXER_POSITION_MOVED') throw error
      }
    }
  }
})
