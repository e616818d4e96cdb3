/** The client of the relayer's API: where it sends a token, and how it tells a refusal from an outage. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type HostSubmission,
  readPage,
  readSubmission,
  submitHostQuote,
} from '../../src/relayer/client.ts'

const submission: HostSubmission = {
  purpose: 'host',
  quote: '0x04',
  eventLog: '[]',
  permit: { operator: '0xaa', blockNumber: 1, deadline: 2, signature: '0x03' },
}
const queued = { id: 'intent-1', state: 'queued', transaction: null, lastError: null }

let server: Server
let url: string
let requests: { method: string; path: string; headers: IncomingMessage['headers']; body: string }[]
let answer: { status: number; text: string; headers?: Record<string, string> }

beforeEach(async () => {
  requests = []
  answer = { status: 202, text: JSON.stringify(queued) }
  server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    const { method = '', url: path = '', headers } = request
    requests.push({ method, path, headers, body })
    response.writeHead(answer.status, answer.headers).end(answer.text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => server.close())

describe('a token', () => {
  const remote = 'http://relayer.example'

  test('is not sent to another machine over http', async () => {
    const sent = submitHostQuote({ url: remote, token: 'secret', timeoutMs: 1 }, submission)
    await expect(sent).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      facts: { host: 'relayer.example' },
    })
  })

  test('is sent to this machine over http', async () => {
    await submitHostQuote({ url, token: 'secret' }, submission)
    expect(requests[0]?.headers.authorization).toBe('Bearer secret')
  })

  test.each([
    ['another machine over http without a token', { url: remote }],
    [
      'another machine over https with a token',
      { url: 'https://relayer.example', token: 'secret' },
    ],
  ])('does not forbid a request to %s', async (_, options) => {
    // nothing answers, and the reason is no setting
    await expect(readPage({ ...options, timeoutMs: 1 }, '/health')).rejects.toMatchObject({
      code: 'RELAYER_UNREACHABLE',
    })
  })
})

describe('the client of a relayer', () => {
  test('posts a quote as JSON, and returns its status', async () => {
    expect(await submitHostQuote({ url }, submission)).toEqual(queued)
    expect(requests).toMatchObject([
      { method: 'POST', path: '/v1/quotes', headers: { 'content-type': 'application/json' } },
    ])
    expect(JSON.parse(requests[0]?.body ?? '')).toEqual(submission)
    expect(requests[0]?.headers.authorization).toBeUndefined()
  })

  test('escapes the id of a submission in the path', async () => {
    answer.status = 200
    expect(await readSubmission({ url }, 'a/../b')).toEqual(queued)
    expect(requests).toMatchObject([{ method: 'GET', path: '/v1/quotes/a%2F..%2Fb', body: '' }])
    expect(requests[0]?.headers['content-type']).toBeUndefined()
  })

  test('returns a page with any status', async () => {
    answer = { status: 503, text: 'degraded' }
    expect(await readPage({ url }, '/health')).toEqual({ status: 503, text: 'degraded' })
  })

  test.each([
    [400, 'RELAYER_REFUSED'],
    [404, 'RELAYER_REFUSED'],
    [429, 'RELAYER_UNREACHABLE'],
    [499, 'RELAYER_REFUSED'],
    [500, 'RELAYER_UNREACHABLE'],
    [503, 'RELAYER_UNREACHABLE'],
  ])('reports status %i as %s with the reason', async (status, code) => {
    const error = { code: 'RELAYER_PERMIT_USELESS', message: 'the reason' }
    answer = { status, text: JSON.stringify({ error }) }
    await expect(submitHostQuote({ url }, submission)).rejects.toMatchObject({
      code,
      message: expect.stringContaining('RELAYER_PERMIT_USELESS: the reason'),
      facts: { status, code: 'RELAYER_PERMIT_USELESS' },
    })
  })

  test.each([
    ['of a known code', 'RELAYER_UNAUTHORIZED', /Bearer/],
    ['where to look up another code', 'constructor', /docs\/errors\.md/],
  ])('gives the next step %s', async (_, code, hint) => {
    answer = { status: 401, text: JSON.stringify({ error: { code, message: 'no' } }) }
    await expect(submitHostQuote({ url }, submission)).rejects.toMatchObject({
      code: 'RELAYER_REFUSED',
      hint: expect.stringMatching(hint),
    })
  })

  test('shows at most 500 printable characters of a reason', async () => {
    const error = { code: 'X', message: `\u001b[31m${'a'.repeat(1_000)}` }
    answer = { status: 400, text: JSON.stringify({ error }) }
    const refused = await submitHostQuote({ url }, submission).catch((caught: Error) => caught)
    const { message } = refused as Error
    expect(message).not.toContain('\u001b')
    expect(message.match(/a{100,}/)?.[0].length).toBeLessThan(500)
  })

  test('reports a refusal without a reason', async () => {
    answer = { status: 400, text: 'not JSON' }
    await expect(submitHostQuote({ url }, submission)).rejects.toMatchObject({
      code: 'RELAYER_REFUSED',
      message: expect.stringContaining('no reason'),
      facts: { status: 400, code: null },
    })
  })

  test.each([
    ['is not JSON', 'queued'],
    ['has an id that could be a path', JSON.stringify({ ...queued, id: '../1' })],
    ['has no transaction', JSON.stringify({ ...queued, transaction: undefined })],
  ])('refuses an answer that %s', async (_, text) => {
    answer = { status: 200, text }
    await expect(submitHostQuote({ url }, submission)).rejects.toMatchObject({
      code: 'RELAYER_ANSWER_INVALID',
    })
  })

  test('follows no redirect, and shows no path of the URL', async () => {
    answer = { status: 307, text: '', headers: { location: `${url}/elsewhere` } }
    const error = await submitHostQuote({ url: `${url}/secret-key/` }, submission).catch(
      (caught: Error) => caught,
    )
    expect(error).toMatchObject({ code: 'RELAYER_UNREACHABLE', facts: { host: new URL(url).host } })
    expect((error as Error).message).not.toContain('secret-key')
    expect(requests).toHaveLength(1)
  })
})
