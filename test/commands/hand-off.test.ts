/** The server of the browser hand-off, attacked as other web pages and other programs of the computer can. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { requireSameTransaction } from '../../src/commands/session/browser/check-transaction.ts'
import {
  type HandOff,
  openHandOff,
  type Question,
} from '../../src/commands/session/browser/hand-off.ts'
import { openBrowser } from '../../src/commands/session/browser/open-browser.ts'

const chain = { id: 31_337, name: 'local' }
const account = `0x${'a1'.repeat(20)}`
const choose: Question = { kind: 'account', chain, wanted: null }

let handOff: HandOff
let port: string
let token: string
/** Set by a test that has closed it. */
let isClosed: boolean

beforeEach(async () => {
  handOff = await openHandOff({ answerMs: 5_000 })
  const url = new URL(handOff.url)
  port = url.port
  token = url.hash.slice(1)
  isClosed = false
})
afterEach(() => (isClosed ? undefined : handOff.close()))

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A request with any headers, which `fetch` would not send. */
function ask(
  method: string,
  path: string,
  headers: Record<string, string>,
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, headers, agent: false }
    const sent = request(options, (answer) => {
      let text = ''
      answer.on('data', (piece) => (text += piece))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

const own = () => ({
  host: `127.0.0.1:${port}`,
  origin: `http://127.0.0.1:${port}`,
  'content-type': 'application/json',
})
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  ask('POST', path, { ...own(), ...headers }, JSON.stringify(body))
/** The first request of the page, with the token of the address. */
const start = (headers: Record<string, string> = {}, secret = token) =>
  post('/session', {}, { authorization: `Bearer ${secret}`, ...headers })
const open = async () => {
  const { text } = await start()
  return { authorization: `Bearer ${JSON.parse(text).session}` }
}
const current = async (session: Record<string, string>) =>
  JSON.parse((await post('/question', {}, session)).text)

describe('the page', () => {
  const load = () => ask('GET', '/', { host: `127.0.0.1:${port}` })

  test('is allowed to run exactly its own script and style, and to load nothing else', async () => {
    const { status, headers, text } = await load()
    const [, script = ''] = /<script type="module">(.*)<\/script>/s.exec(text) ?? []
    const [, style = ''] = /<style>(.*)<\/style>/s.exec(text) ?? []
    const hash = (part: string) => `'sha256-${createHash('sha256').update(part).digest('base64')}'`

    expect(status).toBe(200)
    expect(headers['content-security-policy']).toBe(
      `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    )
    expect(headers['x-frame-options']).toBe('DENY')
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(text.match(/ (?:src|href)=|url\(|@import|innerHTML|eval\(/g)).toBeNull()
  })

  test('has no secret', async () => {
    expect((await load()).text).not.toContain(token)
    expect(token).toMatch(/^[\w-]{43}$/)
  })
})

describe('a request', () => {
  test.each([
    ['of another name for this address (DNS rebinding)', { host: 'attacker.example' }],
    ['of another port', { host: '127.0.0.1:1' }],
    ['of the name localhost', { host: 'localhost' }],
  ])('%s is refused, for the page too', async (_, headers) => {
    expect((await start(headers)).status).toBe(421)
    expect((await ask('GET', '/', headers)).status).toBe(421)
  })

  test.each([
    ['of another site', { origin: 'https://attacker.example' }],
    ['of a page without an origin', { origin: 'null' }],
    ['of another port of this computer', { origin: 'http://127.0.0.1:1' }],
    ['that the browser calls cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['of a form', { 'content-type': 'text/plain' }],
  ])('%s is refused', async (_, headers) => {
    expect((await start(headers)).status).toBe(403)
    // it did not use up the token
    expect((await start()).status).toBe(200)
  })

  test('without an origin is refused', async () => {
    const { origin: _, ...headers } = { ...own(), authorization: `Bearer ${token}` }

    expect((await ask('POST', '/session', headers, '{}')).status).toBe(403)
  })

  test('before a request of another site gets no permission (CORS)', async () => {
    const headers = { ...own(), origin: 'https://attacker.example' }
    const answer = await ask('OPTIONS', '/session', headers)

    expect(answer.status).toBe(403)
    expect(Object.keys(answer.headers).join()).not.toContain('access-control')
  })

  test('with more than 8 KiB is refused', async () => {
    const session = await open()

    expect((await post('/answer', { id: 1, result: 'x'.repeat(9_000) }, session)).status).toBe(413)
  })

  test('for another path is refused', async () => {
    const session = await open()
    expect((await post('/other', {}, session)).status).toBe(404)
    expect((await post('//session', {}, session)).status).toBe(400)
  })
})

describe('the token', () => {
  test('opens one session', async () => {
    expect((await start({}, 'x'.repeat(43))).status).toBe(403)
    expect((await start()).status).toBe(200)
    expect((await start()).status).toBe(403)
  })

  test('is no session', async () => {
    await open()
    const asSession = { authorization: `Bearer ${token}` }

    expect((await post('/question', {})).status).toBe(403)
    expect((await post('/question', {}, asSession)).status).toBe(403)
    expect((await post('/answer', { id: 1, result: account }, asSession)).status).toBe(403)
  })
})

describe('another program of this computer', () => {
  /** Opens connections and begins to send, again whenever a connection ends. */
  function flood(count: number, beginning: string) {
    const sockets = new Set<Socket>()
    let isOn = true
    const connectAgain = () => {
      if (!isOn) return
      const socket = connect(Number(port), '127.0.0.1')
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        void setTimeout(5).then(connectAgain)
      })
      socket.write(beginning)
    }
    for (let i = 0; i < count; i++) connectAgain()
    return () => {
      isOn = false
      for (const socket of sockets) socket.destroy()
    }
  }

  test.each([
    [
      'half a body',
      () => `POST /answer HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 8000\r\n\r\nx`,
    ],
    ['half a head', () => 'POST /answer HTTP/1.1\r\n'],
  ])('takes no connection from the page with %s', async (_, beginning) => {
    const session = await open()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const poll = () =>
      new Promise<number | undefined>((resolve) => {
        const headers = { ...own(), ...session, 'content-length': '2' }
        const options = {
          host: '127.0.0.1',
          port,
          method: 'POST',
          path: '/question',
          headers,
          agent,
        }
        const sent = request(options, (answer) =>
          answer.resume().on('end', () => resolve(answer.statusCode)),
        )
        sent.once('error', () => resolve(undefined))
        sent.end('{}')
      })
    expect(await poll()).toBe(200)
    const stop = flood(64, beginning())
    const found: (number | undefined)[] = []
    for (let i = 0; i < 10; i++) {
      await setTimeout(200)
      found.push(await poll())
    }
    stop()
    agent.destroy()

    expect(found).toEqual(Array(10).fill(200))
  })

  test('is cut off before its body, without a secret', async () => {
    const began = performance.now()
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      `POST /answer HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 8000\r\n\r\nx`,
    )
    socket.resume()
    await once(socket, 'close')

    expect(performance.now() - began).toBeLessThan(900)
  })
})

describe('a question', () => {
  test('is handed out to the wallet once, and again only after the wallet declined', async () => {
    const session = await open()
    const asked = handOff.ask(choose)
    const { id } = await until(session, 'account')
    const claim = async (number = id) => (await post('/claim', { id: number }, session)).status

    expect(await claim(id + 1)).toBe(409)
    expect([await claim(), await claim()]).toEqual([200, 409])
    expect(await current(session)).toMatchObject({ id, isClaimed: true })
    expect((await post('/claim', {}, session)).status).toBe(400)
    expect((await post('/claim', { id })).status).toBe(403)
    expect((await post('/release', { id }, session)).status).toBe(200)
    expect([await claim(), await claim()]).toEqual([200, 409])
    await post('/answer', { id, result: account }, session)
    expect(await asked).toBe(account)
  })

  test('is shown to the session and gets its answer', async () => {
    const session = await open()
    expect(await current(session)).toEqual({ id: 0, kind: 'wait' })
    const asked = handOff.ask(choose)
    const { id, isClaimed, ...question } = await until(session, 'account')

    expect([question, isClaimed]).toEqual([choose, false])
    expect((await post('/answer', { id, result: account }, session)).status).toBe(200)
    expect(await asked).toBe(account)
    expect((await post('/answer', { id, result: account }, session)).status).toBe(409)
  })

  test('waits for the answer to the one before', async () => {
    const session = await open()
    const both = [handOff.ask(choose), handOff.ask({ ...choose, wanted: account })]
    const first = await until(session, 'account')
    expect(first.wanted).toBeNull()
    expect((await post('/answer', { id: first.id + 1, result: account }, session)).status).toBe(409)
    await post('/answer', { id: first.id, result: account }, session)
    const second = await until(session, 'account')
    await post('/answer', { id: second.id, result: account }, session)

    expect(await Promise.all(both)).toEqual([account, account])
  })

  test.each([
    ['a declined one', { error: { code: 4001, message: 'User rejected.' } }, 'SIGNER_REFUSED'],
    ['a long reason', { error: { message: 'x'.repeat(4_000) } }, 'SIGNER_REFUSED'],
    ['a text that is no account', { result: '0x12' }, 'SIGNER_WRONG'],
  ])('with %s fails with a typed error', async (_, value, code) => {
    const session = await open()
    const asked = handOff.ask(choose).catch((error: unknown) => error)
    const { id } = await until(session, 'account')
    await post('/answer', { id, ...value }, session)

    const error = (await asked) as { code: string; message: string }
    expect(error.code).toBe(code)
    expect(error.message.length).toBeLessThan(400)
  })

  test('with a malformed answer stays open', async () => {
    const session = await open()
    const asked = handOff.ask(choose)
    const { id } = await until(session, 'account')
    for (const wrong of [{}, { id }, { id, result: 7 }, { id, result: account, more: 1 }, []]) {
      expect((await post('/answer', wrong, session)).status).toBe(400)
    }
    await post('/answer', { id, result: account }, session)

    expect(await asked).toBe(account)
  })

  test('that nobody answers ends after the time limit', async () => {
    const short = await openHandOff({ answerMs: 50 })

    await expect(short.ask(choose)).rejects.toMatchObject({ code: 'SIGNER_UNREACHABLE' })
    await short.close()
  })

  const until = async (session: Record<string, string>, kind: string) => {
    for (;;) {
      const question = await current(session)
      if (question.kind === kind) return question
      await setTimeout(20)
    }
  }
})

test('the page learns that the command has ended, and the port is closed', async () => {
  const session = await open()
  const closed = handOff.close()
  isClosed = true

  expect(await current(session)).toMatchObject({ kind: 'end' })
  await closed
  await expect(ask('GET', '/', own())).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('the browser gets the address from a private file, not from an argument', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'assent-opener-'))
  const seen = join(folder, 'seen')
  const opener = `#!/bin/sh\nstat -c %a "$1" > ${seen}.mode; cat "$1" > ${seen}.page; echo "$@" > ${seen}\n`
  await writeFile(join(folder, 'xdg-open'), opener, { mode: 0o755 })
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
  const forget = await openBrowser(handOff.url, { platform: 'linux', env: { DISPLAY: ':0' } })
  const read = (name: string) => readFile(name, 'utf8').catch(() => '')
  await expect.poll(() => read(seen)).toMatch(/open\.html/)
  const file = (await read(seen)).trim()

  expect(file).not.toContain(token)
  expect(await read(`${seen}.page`)).toContain(handOff.url)
  expect(await read(`${seen}.mode`)).toBe('600\n')
  await forget()
  expect(await read(file)).toBe('')
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

describe('the transaction of a wallet', () => {
  const hash = `0x${'77'.repeat(32)}` as const
  const expected = {
    chainId: 31_337,
    from: `0x${'a1'.repeat(20)}`,
    to: `0x${'b2'.repeat(20)}`,
    data: '0x12345678',
    value: 7n,
    nonce: undefined,
    firstNonce: 1,
  } as const
  const sent = {
    hash,
    from: `0x${'A1'.repeat(20)}`,
    to: `0x${'B2'.repeat(20)}`,
    input: '0x12345678',
    value: '0x7',
    chainId: '0x7a69',
    nonce: '0x1',
    type: '0x2',
  }
  const check = (found: object | null, wanted: object = {}) =>
    requireSameTransaction(
      async () => found,
      hash,
      { ...expected, ...wanted },
      {
        waitMs: 30,
        askAgainMs: 10,
      },
    )

  test('is accepted if it is the prepared one', async () => {
    await check(sent)
    await check({ ...sent, to: null, input: '0x60' }, { to: null, data: '0x60' })
    await check(sent, { nonce: 1 })
    const { type: _, ...old } = sent
    await check(old)
  })

  test.each([
    ['another sender', { from: `0x${'a2'.repeat(20)}` }, /its from/],
    ['another contract', { to: `0x${'b3'.repeat(20)}` }, /its to/],
    ['the creation of a contract', { to: null }, /its to/],
    ['other calldata', { input: '0x1234567800' }, /its data/],
    ['another value', { value: '0x8' }, /its value/],
    ['another chain', { chainId: '0x1' }, /its chainId/],
    ['no chain (EIP-155)', { chainId: undefined }, /its chainId/],
    ['another hash', { hash: `0x${'78'.repeat(32)}` }, /its hash/],
    ['a value that is no number', { value: 'seven' }, /its value/],
    ['a nonce that was used before the question', { nonce: '0x0' }, /its nonce/],
    ['a nonce that is no number', { nonce: 'one' }, /its nonce/],
    ['authorizations (EIP-7702)', { type: '0x4', authorizationList: [{}] }, /its type, auth/],
    ['authorizations without their type', { authorizationList: [] }, /its authorizationList/],
    ['blobs (EIP-4844)', { type: '0x3' }, /its type/],
  ])('with %s is refused', async (_, change, message) => {
    await expect(check({ ...sent, ...change })).rejects.toMatchObject({
      code: 'WALLET_TRANSACTION_DIFFERENT',
      message: expect.stringMatching(message),
    })
  })

  test('with another nonce is refused if the command needs a certain one', async () => {
    await expect(check(sent, { nonce: 2 })).rejects.toMatchObject({
      code: 'WALLET_TRANSACTION_DIFFERENT',
    })
  })

  test('that the endpoint does not know in time is no answer', async () => {
    await expect(check(null)).rejects.toMatchObject({ code: 'WALLET_TRANSACTION_UNKNOWN' })
  })

  test('is awaited, because wallets send through nodes of their own', async () => {
    let asked = 0
    const late = async () => (++asked < 3 ? null : sent)

    await requireSameTransaction(late, hash, expected, { waitMs: 5_000, askAgainMs: 1 })
    expect(asked).toBe(3)
  })
})
