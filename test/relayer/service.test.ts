import { createHash, randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { createPublicClient, custom, http } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import type { VerifySubmission } from '../../src/relayer/intake/intake.ts'
import { readQuote } from '../../src/relayer/intake/quotes.ts'
import { requireIntent } from '../../src/relayer/outbox/intents.ts'
import { type RelayerOptions, startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { type Anvil, anvilKeys, startAnvil } from '../anvil.ts'
import { startPostgres } from '../postgres.ts'
import { type Board, deployBoard } from './counter-contract.ts'
import { hasServer, truncate } from './databases.ts'

const token = 'operator-token'
const authorization = `Bearer ${token}`
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Takes every quote for what it says; the verification itself has tests of its own. */
const believe: VerifySubmission = async ({ quote }) => ({
  ok: true,
  signedBytes: quote,
  deviceId: new Uint8Array(32),
  expiresAt: Math.floor(Date.now() / 1000) + 86_400,
  facts: {},
})

async function startChain(): Promise<{ anvil: Anvil; board: Board }> {
  const anvil = await startAnvil({ mining: 'instant' })
  cleanups.push(() => anvil.stop())
  return { anvil, board: await deployBoard(anvil) }
}

async function startOn(
  { anvil, board }: { anvil: Anvil; board: Board },
  db: OpenDatabase['db'],
  options: Partial<RelayerOptions> = {},
) {
  const relayer = await startRelayer({
    chainId: 31_337,
    clients: [createPublicClient({ transport: http(anvil.url), cacheTime: 0 })],
    targets: { host: board.target },
    signer: createLocalSigner(anvilKeys[0]),
    db,
    verifySubmission: believe,
    operators: [{ name: 'test', tokenSha256: createHash('sha256').update(token).digest('hex') }],
    clock: () => Math.floor(Date.now() / 1000),
    log: createLog({ service: 'test', level: 'silent' }),
    finality: { depth: 0 },
    pollMs: 50,
    ...options,
  })
  cleanups.push(() => relayer.stop())
  return relayer
}

let embedded: OpenDatabase
beforeAll(async () => {
  embedded = await openDatabase({ memory: true })
})
afterAll(() => embedded.close())

async function emptyDatabase() {
  await truncate(embedded)
  return embedded.db
}

async function send(url: string, quote: string): Promise<{ id: string; digest: string }> {
  const response = await fetch(`${url}/v1/quotes`, {
    method: 'POST',
    headers: { authorization },
    body: JSON.stringify({ purpose: 'host', quote, eventLog: '[]', permit: null }),
  })
  return (await response.json()) as { id: string; digest: string }
}

async function follow(url: string, id: string): Promise<string[]> {
  const response = await fetch(`${url}/v1/quotes/${id}/events`, { headers: { authorization } })
  return [...(await response.text()).matchAll(/^event: (.+)$/gm)].map(
    ([, state]) => state as string,
  )
}

describe('a running relayer', () => {
  test('submits a quote and reports its progress', async () => {
    const chain = await startChain()
    const relayer = await startOn(chain, await emptyDatabase())
    const { id, digest } = await send(relayer.url, '0xabcd')

    const states = await follow(relayer.url, id)

    expect(states).toEqual(['queued', 'reserved', 'signed', 'broadcast', 'mined', 'final', 'final'])
    expect(await chain.board.effects(digest)).toBe(1)
    const metrics = await (await fetch(`${relayer.url}/metrics`)).text()
    expect(metrics).toMatch(/assent_relayer_last_success_timestamp_seconds\{kind="host"\} \d+/)
    expect(metrics).toMatch(/assent_relayer_node_answers_total\{answer="accepted"\} 1/)
    expect(metrics).toMatch(/assent_relayer_quotes_total\{purpose="host",outcome="accepted"\} 1/)
  })

  test('shows only its health to clients without a token', async () => {
    const relayer = await startOn(await startChain(), await emptyDatabase())
    const { id, digest } = await send(relayer.url, '0xabcd')
    await follow(relayer.url, id)
    const responseOf = async (path: string) => {
      const response = await fetch(relayer.url + path)
      return { status: response.status, text: await response.text() }
    }

    const health = await responseOf('/health')
    expect(Object.keys(JSON.parse(health.text)).sort()).toEqual([
      'failure',
      'polledAt',
      'role',
      'status',
    ])
    const metrics = await responseOf('/metrics')
    const host = new URL(relayer.url).host
    for (const secret of [id, digest, digest.slice(2), token, 'abcd', 'name: test', host]) {
      expect(metrics.text).not.toContain(secret)
    }
    for (const path of ['/', '/v1x', '/events', '/health/x', '//v1/quotes', '/V1/quotes']) {
      expect((await responseOf(path)).status, path).toBe(401)
    }
    for (const path of ['/v1', '/v1/', '/v1/absent', `/v1/quotes/${id}/`]) {
      expect((await responseOf(path)).status).toBe(401)
    }
  })

  test('answers every request without a token with the same 401, before its path and body', async () => {
    const relayer = await startOn(await startChain(), await emptyDatabase())
    const { hostname, port } = new URL(relayer.url)
    /** Sends a head that announces a body, and no body. */
    const responseOf = async (line: string, length: number, token = '') => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      const auth = token === '' ? '' : `authorization: Bearer ${token}\r\n`
      socket.write(`${line} HTTP/1.1\r\nhost: h\r\n${auth}content-length: ${length}\r\n\r\n`)
      let text = ''
      for await (const piece of socket) {
        text += piece
        if (text.includes('\r\n\r\n') && text.endsWith('}')) break
      }
      socket.destroy()
      return { status: Number(text.slice(9, 12)), body: text.split('\r\n\r\n')[1] }
    }
    const first = await responseOf('POST /v1/quotes', 100)

    expect(first.status).toBe(401)
    expect(JSON.parse(first.body ?? '').error.code).toBe('RELAYER_UNAUTHORIZED')
    for (const [line, length] of [
      ['POST /v1/quotes', 600_000],
      ['GET /v1/quotes/x', 10],
      ['GET /absent', 10],
      ['GET /v1/quotes/a%00b', 10],
      ['GET /health/../v1/quotes', 10],
      ['DELETE /v1/intents', 10],
    ] as const) {
      expect(await responseOf(line, length), line).toEqual(first)
      expect(await responseOf(line, length, 'wrong'), line).toEqual(first)
    }
    expect(await responseOf('POST /v1/quotes', 600_000, token)).toMatchObject({ status: 413 })
  })

  test('rejects an id that is not a UUID as unknown, without a database query', async () => {
    const relayer = await startOn(await startChain(), await emptyDatabase())
    const status = async (path: string) => {
      const response = await fetch(`${relayer.url}/v1/${path}`, { headers: { authorization } })
      const { error } = (await response.json()) as { error: { code: string } }
      return `${response.status} ${error.code}`
    }
    for (const id of ['x', "'", randomUUID().toUpperCase().slice(1), 'a'.repeat(10_000)]) {
      for (const events of ['', '/events']) {
        expect(await status(`quotes/${id}${events}`)).toBe('404 RELAYER_QUOTE_UNKNOWN')
        expect(await status(`intents/${id}${events}`)).toBe('404 RELAYER_INTENT_UNKNOWN')
      }
    }
    expect(await status(`quotes/${randomUUID()}`)).toBe('404 RELAYER_QUOTE_UNKNOWN')
    await expect(readQuote(embedded.db, 'a\u0000b')).rejects.toMatchObject({
      code: 'RELAYER_QUOTE_UNKNOWN',
    })
    await expect(requireIntent(embedded.db, 'a\u0000b')).rejects.toMatchObject({
      code: 'RELAYER_INTENT_UNKNOWN',
    })
  })

  test('is degraded during an outage of the chain and recovers', async () => {
    const chain = await startChain()
    const relayer = await startOn(chain, await emptyDatabase())
    const health = async () => (await fetch(`${relayer.url}/health`)).status
    await expect.poll(health).toBe(200)

    await chain.anvil.stop()

    await expect.poll(health, { timeout: 10_000 }).toBe(503)
  })

  test('continues with an endpoint so slow that a poll is longer than the lease', async () => {
    const chain = await startChain()
    const forward = http(chain.anvil.url)({}).request
    const request = async (asked: never) => {
      await sleep(300)
      return forward(asked)
    }
    const relayer = await startOn(chain, await emptyDatabase(), {
      clients: [createPublicClient({ transport: custom({ request }), cacheTime: 0 })],
      leaseSeconds: 1,
    })

    const { id, digest } = await send(relayer.url, '0xabcd')

    expect((await follow(relayer.url, id)).at(-1)).toBe('final')
    expect(await chain.board.effects(digest)).toBe(1)
  })

  test('refuses to start on another chain or with the rows of another one', async () => {
    const chain = await startChain()
    const db = await emptyDatabase()
    await expect(startOn(chain, db, { chainId: 1 })).rejects.toMatchObject({
      code: 'RELAYER_CHAIN_WRONG',
    })

    const relayer = await startOn(chain, db)
    await relayer.stop()
    const other = await startAnvil({ args: ['--timestamp', '1700000000'] })
    cleanups.push(() => other.stop())
    await expect(startOn({ ...chain, anvil: other }, db)).rejects.toMatchObject({
      code: 'RELAYER_CHAIN_CHANGED',
    })
  })
})

/* PROGRESS */

interface Shown {
  readonly id: number
  readonly event: string
}

/** A client that reads to the end, or leaves after so many events. */
async function watch(
  url: string,
  id: string,
  { after, leaveAfter = Number.POSITIVE_INFINITY }: { after?: number; leaveAfter?: number } = {},
): Promise<{ status: number; shown: Shown[] }> {
  const leaving = new AbortController()
  const response = await fetch(`${url}/v1/quotes/${id}/events`, {
    headers: { authorization, ...(after === undefined ? {} : { 'last-event-id': `${after}` }) },
    signal: leaving.signal,
  })
  const shown: Shown[] = []
  let text = ''
  try {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString()
      const frames = text.split('\n\n')
      text = frames.pop() ?? ''
      for (const frame of frames) {
        const field = (name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(frame)?.[1] ?? ''
        shown.push({ id: Number(field('id')), event: field('event') })
      }
      if (shown.length >= leaveAfter) leaving.abort()
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error
  }
  return { status: response.status, shown: shown.slice(0, leaveAfter) }
}

const wholeWay = ['queued', 'reserved', 'signed', 'broadcast', 'mined', 'final', 'final']

describe('the event stream of an intent', () => {
  test('continues after any event and ends with 204 after the last', async () => {
    const relayer = await startOn(await startChain(), await emptyDatabase())
    const { id } = await send(relayer.url, '0xabcd')
    const { shown: all } = await watch(relayer.url, id)
    expect(all.map(({ event }) => event)).toEqual(wholeWay)

    for (let seen = 1; seen < all.length; seen++) {
      const { status, shown } = await watch(relayer.url, id, { after: all[seen - 1]?.id ?? 0 })
      expect(status).toBe(200)
      expect(shown).toEqual(all.slice(seen))
    }
    const atTheEnd = await watch(relayer.url, id, { after: all.at(-1)?.id ?? 0 })
    expect(atTheEnd).toEqual({ status: 204, shown: [] })
  })

  test('continues after a restart and on another replica', async () => {
    const anvil = await startAnvil({ mining: 'manual' })
    cleanups.push(() => anvil.stop())
    const chain = { anvil, board: await deployBoard(anvil) }
    const db = await emptyDatabase()

    const first = await startOn(chain, db)
    const { id } = await send(first.url, '0xabcd')
    // One client leaves after two events, one is cut off by the stop, which is not the end.
    const left = await watch(first.url, id, { leaveAfter: 2 })
    const cutting = watch(first.url, id)
    await expect.poll(async () => stateOf(first.url, id)).toBe('broadcast')
    await first.stop()
    const cut = await cutting
    expect(cut.shown.map(({ event }) => event)).toEqual(wholeWay.slice(0, 4))

    const second = await startOn(chain, db)
    const resumed = [left, cut].map(({ shown }) => {
      return watch(second.url, id, { after: shown.at(-1)?.id ?? 0 })
    })
    await anvil.client.mine({ blocks: 1 })
    const [restOfLeft, restOfCut] = await Promise.all(resumed)

    const { shown: all } = await watch(second.url, id)
    expect(all.map(({ event }) => event)).toEqual(wholeWay)
    expect([...left.shown, ...(restOfLeft?.shown ?? [])]).toEqual(all)
    expect([...cut.shown, ...(restOfCut?.shown ?? [])]).toEqual(all)
  })
})

async function stateOf(url: string, id: string): Promise<string> {
  const response = await fetch(`${url}/v1/quotes/${id}`, { headers: { authorization } })
  return ((await response.json()) as { state: string }).state
}

describe.skipIf(!hasServer)('two replicas on one Postgres server', () => {
  test('share the work: one sends, the other takes over when it stops', async () => {
    const chain = await startChain()
    const postgres = await startPostgres()
    cleanups.push(() => postgres.stop())
    const url = await postgres.createDatabase()
    // Opened at once: one migrates, the other waits.
    const databases = await Promise.all([openDatabase({ url }), openDatabase({ url })])
    cleanups.push(async () => {
      for (const database of databases) await database.close()
    })
    const [first, second] = await Promise.all(
      databases.map(({ db }) => startOn(chain, db, { leaseSeconds: 2 })),
    )
    if (first === undefined || second === undefined) throw new Error('no replicas')
    const role = async (replica: { url: string }) => {
      return ((await (await fetch(`${replica.url}/health`)).json()) as { role: string }).role
    }
    await expect
      .poll(async () => [await role(first), await role(second)].sort())
      .toEqual(['sending', 'standby'])

    const [leader, follower] = (await role(first)) === 'sending' ? [first, second] : [second, first]
    const before = await send(follower.url, '0x01')
    await follow(follower.url, before.id)
    await leader.stop()
    const after = await send(follower.url, '0x02')
    await follow(follower.url, after.id)

    expect(await role(follower)).toBe('sending')
    expect(await chain.board.effects(before.digest)).toBe(1)
    expect(await chain.board.effects(after.digest)).toBe(1)
  })
})
