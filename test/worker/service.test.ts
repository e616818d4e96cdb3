/** `assent worker run` against a real chain and a simulated CVM: from a new key to a paid answer. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { withdraw } from '../../src/chain/registries/registry.ts'
import {
  readRequest,
  readRequestBalance,
  readResult,
  readWorkRecord,
  requestStates,
} from '../../src/chain/registries/requests.ts'
import { AssentError } from '../../src/errors/index.ts'
import { fromHex, type Hex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { type Database, openDatabase } from '../../src/relayer/database/database.ts'
import { intents } from '../../src/relayer/database/schema.ts'
import { enqueueIntent } from '../../src/relayer/outbox/intents.ts'
import type { Handler } from '../../src/worker/answer-request.ts'
import { createHttpHandler } from '../../src/worker/http-handler.ts'
import { openInstanceKey } from '../../src/worker/instance-key.ts'
import { runWorker } from '../../src/worker/main.ts'
import { openResult, publicMessage } from '../../src/worker/sealed-message.ts'
import { createWorkerStage, type WorkerStage } from './worker-stage.ts'

let stage: WorkerStage
let stopping: AbortController
let running: Promise<void> | undefined

beforeAll(async () => {
  stage = await createWorkerStage()
}, 120_000)
afterAll(() => stage?.stop())
afterEach(async () => {
  stopping?.abort()
  await running
  running = undefined
})

async function start(handler: Handler, changed: object = {}) {
  const configFile = await stage.writeSettings(changed)
  stopping = new AbortController()
  const { signal } = stopping
  return new Promise<{ url: string; key: Hex }>((onStarted, reject) => {
    running = runWorker({ configFile, env: {}, signal, handler, onStarted })
    running.catch(reject)
  })
}

const soon = { timeout: 40_000, interval: 200 }

async function healthOf(url: string) {
  const response = await fetch(`${url}/health`)
  return { status: response.status, ...((await response.json()) as object) }
}

const waitUntilReady = (url: string) =>
  vi.waitFor(async () => expect(await healthOf(url)).toMatchObject({ status: 'ok' }), soon)

async function stateOf(id: Hex) {
  const { publicClient } = stage.system.clients
  const { settled } = await readRequest(publicClient, stage.requests, id)
  return requestStates[settled]
}

const waitFor = (id: Hex, state: string) =>
  vi.waitFor(async () => expect(await stateOf(id)).toBe(state), soon)

async function resultOf(id: Hex): Promise<string> {
  const { publicClient } = stage.system.clients
  const found = await readResult(publicClient, stage.requests, id, 0n)
  const contract = { chainId: 31337, requests: stage.requests }
  const result = fromHex(found?.result ?? '0x', 'result')
  return Buffer.from(openResult(undefined, { ...contract, id }, result)).toString()
}

const reverse: Handler = async ({ body }) => Uint8Array.from([...body].reverse())
const input = (text: string) => publicMessage(utf8ToBytes(text))

describe('a worker', { timeout: 120_000 }, () => {
  test('registers its key, joins, answers a request and is paid', async () => {
    const { url } = await start(reverse)
    await waitUntilReady(url)

    const id = await stage.ask(input('abc'))
    await waitFor(id, 'fulfilled')

    expect(await resultOf(id)).toBe('cba')
    const { publicClient } = stage.system.clients
    const balance = await readRequestBalance(publicClient, stage.requests, stage.operator)
    expect(balance).toBe(950n)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain('assent_worker_requests_total{outcome="answered"} 1')
    expect(metrics).toContain('assent_worker_instance_live 1')
    expect((await fetch(`${url}/v1/request-key`)).status).toBe(404)
  })

  test('continues with the same key, and answers what was asked while it was off', async () => {
    const id = await stage.ask(input('off'))
    await start(reverse)

    await waitFor(id, 'fulfilled')
    expect(await resultOf(id)).toBe('ffo')
  })

  test('asks a failing handler again, and signs one result', async () => {
    let calls = 0
    await start(async ({ body }) => {
      calls += 1
      if (calls === 1) throw new Error('not yet')
      return body
    })
    const id = await stage.ask(input('again'))

    await waitFor(id, 'fulfilled')
    expect(calls).toBe(2)
    expect(await resultOf(id)).toBe('again')
  })

  test('declines an input that the app refuses', async () => {
    const { url } = await start(async () => {
      throw new AssentError('WORKER_INPUT_REFUSED', 'No.')
    })
    await waitUntilReady(url)
    await stage.ask(input('no'))

    const { publicClient } = stage.system.clients
    await vi.waitFor(async () => {
      const record = await readWorkRecord(publicClient, stage.requests, stage.operator, 0n)
      expect(record.declined).toBeGreaterThan(0)
    }, soon)
  })

  test('deletes an answer after the retention', async () => {
    const dataFolder = join(stage.folder, 'old')
    const read = async (change: (db: Database) => Promise<unknown>) => {
      const { db, close } = await openDatabase({ folder: dataFolder })
      await change(db)
      const rows = await db.select({ key: intents.key }).from(intents)
      await close()
      return rows.map(({ key }) => key)
    }
    const settled = async (db: Database, key: string, settledAt: number) => {
      const intent = { chainId: 31337, kind: 'request-answer', key, payload: {}, expiresAt: null }
      await enqueueIntent(db, { ...intent, at: settledAt })
      await db.update(intents).set({ state: 'final', settledAt }).where(eq(intents.key, key))
    }
    const now = systemClock()
    const before = await read(async (db) => {
      await settled(db, 'old', now - 31 * 86_400)
      await settled(db, 'young', now - 29 * 86_400)
    })
    expect(before.sort()).toEqual(['old', 'young'])

    const { url } = await start(reverse, { dataFolder })
    await vi.waitFor(async () => {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      expect(metrics).toMatch(/job_runs_total\{job_name="retention",outcome="ok"\} 1/)
    }, soon)
    stopping.abort()
    await running
    const after = await read(async () => undefined)
    expect(after).toContain('young')
    expect(after).not.toContain('old')
  })

  test('answers nothing after its release was withdrawn, and says why', async () => {
    const asked: string[] = []
    const { url } = await start(async ({ body }) => {
      asked.push(Buffer.from(body).toString())
      return body
    })
    await waitUntilReady(url)
    const { system } = stage
    await system.send(withdraw(system.app, 'release', [system.composeHash]))
    await vi.waitFor(
      async () =>
        expect(await healthOf(url)).toMatchObject({
          status: 'degraded',
          standing: 'app-refuses',
        }),
      soon,
    )

    await stage.ask(input('late'))
    await new Promise((done) => setTimeout(done, 1_000))
    expect(asked).toEqual([])
  })
})

describe('the settings of a worker', () => {
  const refusalOf = async (changed: object) => {
    const configFile = await stage.writeSettings(changed)
    return runWorker({ configFile, env: {}, signal: new AbortController().signal })
  }

  test.each<[string, object, string]>([
    ['a retention under 30 days', { retention: 86_400 }, 'CONFIG_INVALID'],
    ['a handler on another machine', { handlerUrl: 'http://10.0.0.1/' }, 'CONFIG_INVALID'],
    ['an unknown setting', { capacities: 1 }, 'CONFIG_INVALID'],
    ['no signer', { privateKey: undefined }, 'CONFIG_INVALID'],
    ['a private key without permission', { allowInsecureKey: false }, 'RELAYER_KEY_INSECURE'],
    [
      'a key on a disk',
      { insecureKeyOnDisk: false, keyFile: '/var/tmp/assent/key' },
      'WORKER_KEY_ON_DISK',
    ],
    ['another chain', { chainId: 5 }, 'DEPLOYMENT_INVALID'],
  ])('refuse %s', async (_, changed, code) => {
    await expect(refusalOf(changed)).rejects.toMatchObject({ code })
  })

  test('keep the key in memory, and refuse a broken file', async () => {
    const keyFile = `/dev/shm/assent-${process.pid}/key`
    const open = () => openInstanceKey({ keyFile, insecureKeyOnDisk: false })
    const { rm, writeFile } = await import('node:fs/promises')
    const first = await open()
    expect(await open()).toEqual(first)
    await writeFile(keyFile, 'broken\n')
    await expect(open()).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await rm(`/dev/shm/assent-${process.pid}`, { recursive: true })
  })
})

describe('a handler over HTTP', () => {
  let server: Server
  let handler: Handler
  beforeAll(async () => {
    server = createServer((request, response) => {
      const status = Number(request.url?.slice(1))
      response.writeHead(status, { location: '/200' })
      const id = request.headers['assent-request-id']
      request.on('data', (body) => response.write(status === 201 ? '' : `${id} ${body}`))
      request.on('end', () => response.end(status === 206 ? 'x'.repeat(5_000) : ''))
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    handler = (asked) => createHttpHandler(`http://127.0.0.1:${port}/${asked.requester}`)(asked)
  })
  afterAll(() => server.close())
  const ask = (path: string) => {
    const { signal } = new AbortController()
    return handler({ id: '0x12', requester: path as Hex, body: utf8ToBytes('abc'), signal })
  }

  test('gets the input and returns the result', async () => {
    expect(Buffer.from(await ask('200')).toString()).toBe('0x12 abc')
  })

  test.each([
    ['422', { code: 'WORKER_INPUT_REFUSED' }],
    ['500', { code: 'WORKER_HANDLER_FAILED' }],
    ['302', {}],
  ])('that answers with status %s gives no result', async (status, expected) => {
    await expect(ask(status)).rejects.toMatchObject(expected)
  })
})
