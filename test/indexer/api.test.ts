/** The API refuses every parameter that it does not know or cannot use, on every route. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createApi } from '../../src/indexer/api/routes.ts'
import { type OpenDatabase, openDatabase } from '../../src/indexer/database/database.ts'
import { createIndexerMetrics } from '../../src/indexer/metrics.ts'

let open: OpenDatabase
let api: ReturnType<typeof createApi>
beforeAll(async () => {
  open = await openDatabase({ memory: true })
  const check = async () => undefined
  api = createApi({ db: open.db, chainId: 1, check, metrics: createIndexerMetrics() })
})
afterAll(() => open.close())

interface Route {
  readonly path: string
  /** Names of its query parameters. */
  readonly names: readonly string[]
}

/** Every route, as the API itself describes it, with ids and required parameters. */
async function listRoutes(): Promise<Route[]> {
  const document = (await (await api.request('/openapi.json')).json()) as {
    paths: Record<string, { get: { parameters?: { in: string; name: string }[] } }>
  }
  const described = Object.entries(document.paths).map(([path, { get }]) => ({
    path: path.replace('{id}', '0x00'),
    names: (get.parameters ?? []).filter((each) => each.in === 'query').map(({ name }) => name),
  }))
  const others = ['/health', '/metrics', '/openapi.json'].map((path) => ({ path, names: [] }))
  return [...described, ...others]
}

const required = (path: string) => (path === '/v1/events' ? 'contract=0x00&' : '')

async function ask(path: string): Promise<{ status: number; body: unknown }> {
  const answer = await api.request(path)
  const text = await answer.text()
  return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : text }
}

/** U+0000, other control characters, a lone byte, a short form of "/", half of a pair, and broken codes. */
const hostile = [
  '%00',
  'a%00b',
  '%1b%5b2J',
  '%0a',
  '%7f',
  '%c2%85',
  '%ff',
  '%c0%af',
  '%ed%a0%80',
  '%',
  '%zz',
  'a%e2%82',
]

describe('every route', () => {
  test('is known to this test', async () => {
    const routes = await listRoutes()

    expect(routes.length).toBeGreaterThan(30)
    expect(routes.flatMap(({ names }) => names)).toEqual(
      expect.arrayContaining(['after', 'contract', 'firstId', 'kind', 'limit', 'subject']),
    )
  })

  test.each(hostile)('answers 400 to %s in each of its parameters', async (value) => {
    for (const { path, names } of await listRoutes()) {
      for (const name of names) {
        const rest = name === 'contract' ? '' : required(path)
        const query = `${rest}${name}=${value}`
        expect(await ask(`${path}?${query}`), `${path} ${query}`).toEqual({
          status: 400,
          body: { error: 'INPUT_INVALID', parameters: [name] },
        })
      }
    }
  })

  test.each(hostile)('answers 400 to %s in a name', async (name) => {
    for (const { path } of await listRoutes()) {
      expect((await ask(`${path}?${required(path)}${name}=1`)).status, path).toBe(400)
    }
  })

  test('names unknown parameters', async () => {
    for (const { path } of await listRoutes()) {
      expect(await ask(`${path}?${required(path)}foo=1&state=revoked`), path).toEqual({
        status: 400,
        body: { error: 'INPUT_INVALID', parameters: ['foo', 'state'] },
      })
    }
  })

  test('refuses a repeated parameter', async () => {
    for (const { path, names } of await listRoutes()) {
      for (const name of names) {
        const query = `${name}=1&${name}=1`
        expect((await ask(`${path}?${query}`)).body, `${path} ${query}`).toMatchObject({
          parameters: expect.arrayContaining([name]),
        })
      }
    }
  })

  test('answers without parameters, or names the missing one', async () => {
    for (const { path } of await listRoutes()) {
      const { status } = await ask(path)
      if (path === '/v1/events') expect(status).toBe(400)
      else expect(status, path).toBe(path.endsWith('0x00') ? 404 : 200)
    }
  })
})

test.each(['0', '-1', '1e2', '0x10', '1.0', '+1', ' 1', '201', '', 'x'])(
  'a limit of "%s" is refused',
  async (limit) => {
    const answer = await ask(`/v1/approvals?limit=${encodeURIComponent(limit)}`)

    expect(answer).toEqual({
      status: 400,
      body: { error: 'INPUT_INVALID', parameters: ['limit'] },
    })
  },
)

test.each(['%00', '%ff', 'a%0ab'])(
  'an id of %s in the path is not a fault of the indexer',
  async (id) => {
    expect([400, 404]).toContain((await ask(`/v1/apps/${id}`)).status)
  },
)

test('text of other languages is a valid value', async () => {
  expect((await ask('/v1/apps?after=%E2%82%AC%20%F0%9F%98%80')).status).toBe(200)
})
