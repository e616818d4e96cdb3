/** Who may see what: every route of `/v1` behind the same door, whatever is added to it. */
import { createHash } from 'node:crypto'

import { createPublicClient, custom } from 'viem'
import { describe, expect, test } from 'vitest'

import { createLog } from '../../src/lib/log.ts'
import type { Database } from '../../src/relayer/database/database.ts'
import { createReader } from '../../src/relayer/endpoints/quorum.ts'
import { createIntake } from '../../src/relayer/intake/intake.ts'
import { addRoutes } from '../../src/relayer/intake/routes.ts'
import { createBoardTarget } from './counter-contract.ts'

const token = 'a-token-of-the-operator'
const other = 'a-token-of-another-one'
const governor = '0x00000000000000000000000000000000000000bb'
const touched: string[] = []

/** Tells of every use; nothing behind the door may be used by who stands before it. */
function guarded<T extends object>(name: string): T {
  return new Proxy({} as T, {
    get(_, property) {
      touched.push(`${name}.${String(property)}`)
      throw new Error('the door was open')
    },
  })
}

function createApp(burst = 1_000) {
  touched.length = 0
  const db = guarded<Database>('database')
  const clock = () => 1_800_000_000
  const client = createPublicClient({
    transport: custom({ request: async () => guarded<object>('chain').toString() }),
  })
  const reader = createReader({ clients: [client], finality: { depth: 0 } })
  return createIntake({
    db,
    chainId: 1,
    reader,
    targets: { host: createBoardTarget('0x00000000000000000000000000000000000000aa') },
    verifySubmission: async () => guarded('judge'),
    operators: [token, other].map((each, index) => ({
      name: `operator-${index}`,
      tokenSha256: createHash('sha256').update(each).digest('hex'),
    })),
    rateLimit: { perMinute: 60, burst },
    clock,
    log: createLog({ service: 'test', level: 'silent' }),
    signal: new AbortController().signal,
    extend: (api) =>
      addRoutes(api, {
        db,
        chainId: 1,
        account: governor,
        reader,
        clock,
        jobs: { fromBlock: 0, span: 1, upkeep: upkeeping },
        onAccepted: () => touched.push('bell'),
      }),
  })
}

const upkeeping = { governor, registries: [], isAutomatic: false, everySeconds: 60 } as const

interface Route {
  readonly method: string
  readonly path: string
}

/** As the app itself knows them: a route that is added is tested too. */
const routes: readonly Route[] = createApp()
  .routes.filter(({ method }) => method !== 'ALL')
  .map(({ method, path }) => ({ method, path: path.replace(':id', 'some-id') }))

function ask(
  app: ReturnType<typeof createApp>,
  { method, path }: Route,
  authorization?: string,
  init: RequestInit = {},
) {
  const body = method === 'POST' ? '{}' : null
  const headers = authorization === undefined ? {} : { authorization }
  return app.request(path, { method, body, headers, ...init })
}

test('the relayer has exactly these authenticated routes', () => {
  expect(routes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
    'GET /v1/collateral',
    'GET /v1/heartbeat/:nonce',
    'GET /v1/hosts',
    'GET /v1/intents/some-id',
    'GET /v1/intents/some-id/events',
    'GET /v1/quotes/some-id',
    'GET /v1/quotes/some-id/events',
    'GET /v1/recovery',
    'GET /v1/upkeep',
    'POST /v1/heartbeat',
    'POST /v1/quotes',
    'POST /v1/upkeep',
  ])
})

describe.each(routes)('$method $path', (route) => {
  test('returns nothing to a client without a token and calls no other service', async () => {
    const app = createApp()
    const answers = new Set<string>()
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer wrong',
      `Basic ${token}`,
      `Bearer ${token}x`,
      `bearer ${token}`,
    ]) {
      const response = await ask(app, route, authorization)
      expect(response.status).toBe(401)
      answers.add(await response.text())
    }
    // The same as for a path that does not exist, for a huge body and for a bad resumption.
    const absent = { ...route, path: `${route.path}/absent` }
    answers.add(await (await ask(app, absent)).text())
    const huge = { body: 'x'.repeat(600_000) }
    answers.add(await (await ask(app, { ...route, method: 'POST' }, undefined, huge)).text())
    const lastEventId = { headers: { 'last-event-id': 'x' } }
    answers.add(await (await ask(app, route, undefined, lastEventId)).text())

    expect([...answers]).toEqual([expect.stringContaining('RELAYER_UNAUTHORIZED')])
    expect(touched).toEqual([])
  })

  test('counts against the rate of its operator only', async () => {
    const app = createApp(2)
    for (let strangers = 0; strangers < 5; strangers++) await ask(app, route)
    const first = await ask(app, route, `Bearer ${token}`)
    const second = await ask(app, route, `Bearer ${token}`)
    const third = await ask(app, route, `Bearer ${token}`)

    expect([first.status, second.status]).not.toContain(429)
    expect(third.status).toBe(429)
    expect(third.headers.get('retry-after')).toBe('1')
    expect((await ask(app, route, `Bearer ${other}`)).status).not.toBe(429)
  })
})

describe.each(routes.filter(({ method }) => method === 'POST'))('$method $path', (route) => {
  const size = 600_000

  test('accepts at most half a megabyte', async () => {
    const app = createApp()
    const announced = await ask(app, route, `Bearer ${token}`, {
      body: 'x'.repeat(size),
      headers: { authorization: `Bearer ${token}`, 'content-length': `${size}` },
    })
    const streamed = await ask(app, route, `Bearer ${token}`, {
      body: new Blob(['x'.repeat(size)]).stream(),
      duplex: 'half',
    } as RequestInit)

    for (const response of [announced, streamed]) {
      expect(response.status).toBe(413)
      expect(await response.text()).toContain('INPUT_TOO_LARGE')
    }
    expect(touched).toEqual([])
  })
})
