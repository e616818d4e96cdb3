/** The limits of every HTTP server here, with real sockets: a client is an address of 127.0.0.0/8. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { p256 } from '@noble/curves/nist.js'
import { afterEach, describe, expect, test, vi } from 'vitest'

import { issueTempCa, keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import {
  clientAddressOf,
  type Deadlines,
  type Handler,
  type IngressOptions,
  openIngress,
} from '../../src/lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../../src/lib/ingress/settings.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

interface Setting {
  readonly limits?: IngressSettings
  readonly deadlines?: Partial<Deadlines>
  readonly handler?: Handler
  readonly options?: Partial<IngressOptions>
  readonly tls?: boolean
}

const quick: Partial<Deadlines> = { headMs: 600, bodyMs: 600, queueMs: 500, answerMs: 600 }

async function open({ limits = {}, deadlines = quick, options, handler, tls }: Setting = {}) {
  const key = p256.utils.randomSecretKey()
  const server = tls
    ? createSecureServer({
        key: keyToPem(key),
        cert: toPem(await issueTempCa(key)),
      })
    : createServer()
  const refused: string[] = []
  const answer: Handler = (incoming, outgoing) => outgoing.end(clientAddressOf(incoming).client)
  openIngress(server, handler ?? answer, {
    limits: openLimits(limits),
    proxied: 'proxy-protocol',
    maxBodyBytes: () => 2 ** 20,
    explain: (refusal) => ({
      status: refusal === 'too-large' ? 413 : 429,
      headers: {},
      body: refusal,
    }),
    observe: (refusal) => refused.push(refusal),
    deadlines,
    ...options,
  })
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, port: (server.address() as AddressInfo).port, refused }
}

type Place = Awaited<ReturnType<typeof open>>

function dial({ port }: Place, from = '127.0.0.1'): Socket {
  const socket = connect({ host: '127.0.0.1', localAddress: from, port })
  socket.on('error', () => {})
  closing.push(() => socket.destroy())
  return socket
}

/** Milliseconds until the other side has closed. */
async function untilClosed(socket: Socket): Promise<number> {
  const started = performance.now()
  socket.resume()
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  return performance.now() - started
}

function ask({ port }: Place, from = '127.0.0.1', body = '', headers = {}) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', localAddress: from, port, method: 'POST', agent: false, headers },
      (incoming) => {
        let text = ''
        incoming.on('data', (chunk) => {
          text += chunk
        })
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }))
        incoming.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const head = (length: number) => `POST / HTTP/1.1\r\nhost: h\r\ncontent-length: ${length}\r\n\r\n`

/** One byte now and then, so that the connection is never idle. */
function drip(socket: { write(text: string): unknown; closed: boolean }, text = 'x') {
  const timer = setInterval(() => socket.closed || socket.write(text), 50)
  closing.push(() => clearInterval(timer))
}

/** Requests that are answered when the test says so. */
function held() {
  const waiting: ServerResponse[] = []
  const handler: Handler = (_, outgoing) =>
    new Promise<void>((resolve) => {
      waiting.push(outgoing)
      outgoing.once('finish', resolve)
    })
  return { waiting, handler }
}

async function until(condition: () => boolean) {
  for (let tries = 0; !condition() && tries < 300; tries++) await sleep(10)
  expect(condition()).toBe(true)
}

describe('ingress deadlines', () => {
  test('close a connection without any byte', async () => {
    const place = await open()

    expect(await untilClosed(dial(place))).toBeLessThan(2_000)
    expect(place.refused).toEqual(['slow-head'])
  })

  test('close a connection whose request head arrives byte by byte', async () => {
    const place = await open()
    const socket = dial(place)
    socket.write('POST / HTTP/1.1\r\nx: ')
    drip(socket)

    expect(await untilClosed(socket)).toBeLessThan(2_000)
    expect(place.refused).toEqual(['slow-head'])
  })

  test('close a TLS handshake that arrives byte by byte', async () => {
    const place = await open({ tls: true })
    const socket = dial(place)
    // a record of 16 KiB is announced
    socket.write(Buffer.from('1603014000', 'hex'))
    drip(socket)

    expect(await untilClosed(socket)).toBeLessThan(2_000)
    expect(place.refused).toEqual(['slow-head'])
  })

  test('cut a body that arrives byte by byte at the deadline of the whole body', async () => {
    const place = await open()
    const socket = dial(place)
    socket.write(head(10_000))
    drip(socket)

    const ms = await untilClosed(socket)
    expect(ms).toBeGreaterThan(500)
    expect(ms).toBeLessThan(2_000)
    expect(place.refused).toEqual(['slow-body'])
  })

  test('cut an answer that is read too slowly or not at all', async () => {
    const handler: Handler = (_, outgoing) => outgoing.end(Buffer.alloc(64 * 2 ** 20))
    const place = await open({ handler })
    const unread = dial(place)
    unread.write(head(0))
    unread.pause()
    const slow = dial(place, '127.0.0.2')
    slow.write(head(0))
    slow.pause()
    const reading = setInterval(() => slow.read(1_000), 50)
    closing.push(() => clearInterval(reading))

    await until(() => place.refused.length === 2)
    expect(place.refused).toEqual(['slow-answer', 'slow-answer'])
  })

  test('cut a streamed answer whose reader was too slow in total, with pauses', async () => {
    let isUnread = false
    const handler: Handler = (_, outgoing) => {
      outgoing.writeHead(200)
      outgoing.flushHeaders()
      // a stream whose buffer is full and empty in turns, none of them longer than the deadline
      Object.defineProperty(outgoing, 'writableLength', { get: () => (isUnread ? 1 : 0) })
      const turns = setInterval(() => {
        isUnread = !isUnread
      }, 400)
      closing.push(() => clearInterval(turns))
      return new Promise((resolve) => outgoing.once('close', resolve))
    }
    const place = await open({ handler, deadlines: { ...quick, answerMs: 1_000 } })
    const socket = dial(place)
    socket.write(head(0))

    const ms = await untilClosed(socket)
    expect(place.refused).toEqual(['slow-answer'])
    expect(ms).toBeGreaterThan(1_400)
    expect(ms).toBeLessThan(4_500)
  })

  test('do not cut a long answer that is read', async () => {
    const bytes = 2 ** 20
    const handler: Handler = (_, outgoing) => outgoing.end(Buffer.alloc(bytes))
    const place = await open({ handler })
    const socket = dial(place)
    socket.write(head(0))
    let read = 0
    socket.on('data', (chunk) => {
      read += chunk.length
    })

    await until(() => read > bytes)
    expect(place.refused).toEqual([])
  })

  test('do not cut the work on a request', async () => {
    const { waiting, handler } = held()
    const place = await open({ handler })
    const answer = ask(place, '127.0.0.1', 'body')
    await sleep(1_500)
    waiting[0]?.end('done')

    expect(await answer).toEqual({ status: 200, text: 'done' })
  })

  test('do not apply to a peer that disconnects within its body: that is reported as such', async () => {
    const place = await open()
    const socket = dial(place)
    socket.write(`${head(100)}half`)
    await sleep(100)
    socket.destroy()

    await until(() => place.refused.length > 0)
    expect(place.refused).toEqual(['aborted'])
  })
})

describe('ingress connections', () => {
  test('of one client do not block others', async () => {
    const place = await open({ limits: { connections: 16 }, deadlines: {} })
    for (let count = 0; count < 100; count++) dial(place)
    await sleep(200)

    expect(await ask(place, '127.0.0.2')).toEqual({ status: 200, text: '127.0.0.2' })
    expect(await ask(place)).toEqual({ status: 200, text: '127.0.0.1' })
    expect(place.refused.filter((why) => why === 'made-room').length).toBeGreaterThan(80)
  })

  test('of many clients do not block others', async () => {
    const place = await open({ limits: { connections: 16 }, deadlines: {} })
    for (let count = 0; count < 64; count++) dial(place, `127.0.1.${count + 1}`)
    for (let count = 0; count < 64; count++) dial(place, `127.0.1.${count + 1}`)
    await sleep(200)

    expect(await ask(place, '127.0.0.2')).toMatchObject({ status: 200 })
  })

  test('with a running request are not closed for a new connection', async () => {
    const { waiting, handler } = held()
    const limits = { connections: 8, connectionsPerClient: 4, requestsInFlightPerClient: 8 }
    const place = await open({ limits, handler, deadlines: {} })
    const answers = Array.from({ length: 4 }, () => ask(place))
    await until(() => waiting.length === 4)
    const fifth = ask(place)

    await expect(fifth).rejects.toThrow()
    expect(place.refused).toEqual(['connections'])
    for (const outgoing of waiting) outgoing.end('done')
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(Array(4).fill('done'))
  })

  test('carry one request at a time', async () => {
    const { handler } = held()
    const place = await open({ handler })
    const socket = dial(place)
    socket.write(head(0) + head(0))

    await until(() => place.refused.length > 0)
    expect(place.refused).toEqual(['pipelined'])
  })
})

describe('ingress request slots:', () => {
  const limits = { requestsInFlight: 8, requestsInFlightPerClient: 4 }

  test('a client that uses its whole share waits, and another client does not', async () => {
    const { waiting, handler } = held()
    const place = await open({ limits, handler, deadlines: {} })
    const many = Array.from({ length: 20 }, () => ask(place).catch(() => undefined))
    await until(() => waiting.length === 4)
    await sleep(100)
    expect(waiting.length).toBe(4)
    const other = ask(place, '127.0.0.2')
    await until(() => waiting.length === 5)
    waiting[4]?.end('other')

    expect(await other).toEqual({ status: 200, text: 'other' })
    for (let next = 0; next < 21; next++) {
      await until(() => waiting.length > next)
      waiting[next]?.end('one')
    }
    expect((await Promise.all(many)).every((one) => one?.text === 'one')).toBe(true)
  })

  test('free slots are given to the clients in turn', async () => {
    const { waiting, handler } = held()
    const place = await open({ limits: { requestsInFlight: 1 }, handler, deadlines: {} })
    const order: string[] = []
    const start = (from: string) => ask(place, from).then(() => order.push(from))
    const first = start('127.0.0.9')
    await until(() => waiting.length === 1)
    const rest = [1, 1, 1, 1].map(() => start('127.0.0.1'))
    await sleep(100)
    rest.push(start('127.0.0.2'))
    await sleep(100)
    for (let next = 0; next < 6; next++) {
      await until(() => waiting.length > next)
      waiting[next]?.end()
      await sleep(30)
    }
    await Promise.all([first, ...rest])

    expect(order.indexOf('127.0.0.2')).toBeLessThanOrEqual(2)
  })

  test('a request that waits for too long gets an answer to retry later', async () => {
    const { handler } = held()
    const place = await open({ limits: { requestsInFlight: 1 }, handler })
    void ask(place).catch(() => {})
    await sleep(50)

    expect(await ask(place, '127.0.0.2')).toEqual({ status: 429, text: 'in-flight' })
  })

  test('an aborted request keeps its slot until its work is done', async () => {
    let running = 0
    let most = 0
    const handler: Handler = async (_, outgoing) => {
      most = Math.max(most, ++running)
      await sleep(200)
      running--
      outgoing.end()
    }
    const place = await open({ limits: { requestsInFlight: 2 }, handler, deadlines: {} })
    for (let count = 0; count < 20; count++) {
      const socket = dial(place, `127.0.1.${count + 1}`)
      socket.write(head(0))
      setTimeout(() => socket.destroy(), 30)
      await sleep(20)
    }

    expect(most).toBe(2)
  })

  test('an answer that is not read frees its slot for a waiting request', async () => {
    let count = 0
    const handler: Handler = (_, outgoing) =>
      outgoing.end(count++ === 0 ? Buffer.alloc(64 * 2 ** 20) : 'short')
    const place = await open({
      limits: { requestsInFlight: 1 },
      handler,
      deadlines: { answerMs: 60_000, queueMs: 5_000 },
    })
    const unread = dial(place)
    unread.write(head(0))
    unread.pause()
    await until(() => count === 1)

    expect(await ask(place, '127.0.0.2')).toEqual({ status: 200, text: 'short' })
    expect(place.refused).toEqual(['made-room'])
  })
})

describe('ingress request bodies', () => {
  test('above the limit of their path are refused, with and without a content length', async () => {
    const place = await open({ options: { maxBodyBytes: () => 1_000 } })
    const chunked = { 'transfer-encoding': 'chunked' }

    expect(await ask(place, '127.0.0.1', 'x'.repeat(1_000))).toMatchObject({ status: 200 })
    expect(await ask(place, '127.0.0.1', 'x'.repeat(1_001))).toMatchObject({ status: 413 })
    expect(await ask(place, '127.0.0.1', 'x'.repeat(1_001), chunked)).toMatchObject({ status: 413 })
  })

  test('that are refused do not close the connection before they have arrived', async () => {
    const place = await open({ options: { maxBodyBytes: () => 1_000 } })
    const socket = dial(place)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write(head(2_000).replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'))
    await until(() => text.endsWith('too-large'))
    await sleep(200)
    expect([socket.readableEnded, socket.closed]).toEqual([false, false])

    socket.write('x'.repeat(2_000))
    expect(await untilClosed(socket)).toBeLessThan(300)
    expect(place.refused).toEqual(['too-large'])
  })

  test('that are refused are read slowly', async () => {
    const place = await open({ options: { maxBodyBytes: () => 1_000 }, deadlines: {} })
    const read = new Promise<Socket>((resolve) => place.server.once('connection', resolve))
    const socket = dial(place)
    socket.write(head(2 ** 20))
    socket.write('x'.repeat(2 ** 20 - 1))
    const { bytesRead } = await read.then(async (accepted) => {
      await sleep(600)
      return accepted
    })

    expect(bytesRead).toBeGreaterThan(100_000)
    expect(bytesRead).toBeLessThan(500_000)
  })

  test('that are refused and do not arrive are cut at the deadline of the body', async () => {
    const place = await open({ options: { maxBodyBytes: () => 1_000 } })
    const socket = dial(place)
    socket.write(head(2_000).replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'))
    drip(socket)

    expect(await untilClosed(socket)).toBeLessThan(1_500)
    expect(place.refused).toEqual(['too-large', 'slow-body'])
  })

  test('of one client use at most a quarter of all bytes, and no bytes afterwards', async () => {
    const { waiting, handler } = held()
    const limits = { bodyBytesInFlight: 2 ** 20 }
    const place = await open({ limits, handler, deadlines: {} })
    const body = 'x'.repeat(100_000)
    const kept = [ask(place, '127.0.0.1', body), ask(place, '127.0.0.1', body)]
    await until(() => waiting.length === 2)

    expect(await ask(place, '127.0.0.1', body)).toEqual({ status: 429, text: 'body-bytes' })
    const other = ask(place, '127.0.0.2', body)
    await until(() => waiting.length === 3)
    for (const outgoing of waiting) outgoing.end()
    await Promise.all([...kept, other])
    const again = ask(place, '127.0.0.1', body)
    await until(() => waiting.length === 4)
    waiting[3]?.end('again')
    expect(await again).toEqual({ status: 200, text: 'again' })
  })
})

test('ingress: the listen backlog may be larger than the default of Node', async () => {
  const server = createServer()
  const listen = vi.spyOn(server, 'listen')
  const ingress = openIngress(server, () => {}, {
    limits: openLimits({}),
    proxied: 'proxy-protocol',
    maxBodyBytes: () => 0,
    explain: () => ({ status: 429, headers: {}, body: '' }),
  })
  await ingress.listen({ host: '127.0.0.1', port: 0 })
  await ingress.stop(0)

  expect(listen.mock.calls[0]?.[0]).toMatchObject({ backlog: 4_096 })
})

describe('ingress behind a trusted proxy', () => {
  const limits = { trustedProxies: ['127.0.0.5'] }
  const source = 'PROXY TCP4 192.0.2.1 192.0.2.2 57005 8000\r\n'

  test.each([false, true])(
    'takes the client address from the PROXY header (TLS: %s)',
    async (tls) => {
      const place = await open({ limits, tls })
      const raw = dial(place, '127.0.0.5')
      await new Promise((resolve) => raw.once('connect', resolve))
      // in one segment with what follows, as balancers send it
      if (tls) raw.write(source)
      const socket = tls ? connectTls({ socket: raw, rejectUnauthorized: false }) : raw
      socket.write(tls ? head(0) : source + head(0))
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })

      await until(() => text.includes('192.0.2.1'))
    },
  )

  test('refuses a connection without the PROXY header', async () => {
    const place = await open({ limits })

    await expect(ask(place, '127.0.0.5')).rejects.toThrow()
    expect(place.refused).toEqual(['proxy-header'])
  })

  test('ignores a PROXY header from another address', async () => {
    const place = await open({ limits })
    const socket = dial(place, '127.0.0.6')
    socket.write(source + head(0))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })

    await untilClosed(socket)
    expect(text).toContain('400 Bad Request')
  })

  test('takes the client from a header of an HTTP proxy and ignores the value of the client', async () => {
    const place = await open({ limits, options: { proxied: 'x-forwarded-for' } })
    const named = (value: string) => ({ 'x-forwarded-for': value })
    const from = async (address: string, value: string) =>
      (await ask(place, address, '', named(value))).text

    expect(await from('127.0.0.5', '198.51.100.1, 192.0.2.1')).toBe('192.0.2.1')
    expect(await from('127.0.0.5', '192.0.2.1, 127.0.0.5')).toBe('192.0.2.1')
    expect(await from('127.0.0.5', '192.0.2.1:4711')).toBe('192.0.2.1')
    expect(await from('127.0.0.5', '[2001:db8::1]:443')).toBe('2001:db8:0:0::/64')
    expect(await from('127.0.0.5', '[2001:db8::1]')).toBe('2001:db8:0:0::/64')
    expect(await from('127.0.0.5', '192.0.2.1, 127.0.0.5:4711')).toBe('192.0.2.1')
    for (const text of ['nonsense', '192.0.2.1:', '192.0.2.1:x', '[192.0.2.1', '[x]:1', '[]']) {
      expect(await from('127.0.0.5', text), text).toBe('127.0.0.5')
    }
    expect(await from('127.0.0.6', '192.0.2.1')).toBe('127.0.0.6')
  })
})

describe('ingress request rate', () => {
  test('is checked for each client before its body is read', async () => {
    const asked: string[] = []
    const waitFor = (client: string, _: IncomingMessage) => {
      asked.push(client)
      return asked.length > 1 ? 7 : 0
    }
    const place = await open({ options: { waitFor } })
    await ask(place)
    const socket = dial(place)
    socket.write(head(1_000))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })

    await until(() => text.includes('429'))
    expect(text.toLowerCase()).toContain('retry-after: 7')
    expect(asked).toEqual(['127.0.0.1', '127.0.0.1'])
  })
})

describe('ingress body chunks:', () => {
  const chunked = 'POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n'

  test('a body in single bytes closes its connection', async () => {
    const place = await open({ deadlines: {} })
    const socket = dial(place)
    socket.write(chunked + '1\r\nA\r\n'.repeat(1_100))

    await untilClosed(socket)
    expect(place.refused).toEqual(['pieces'])
  })

  test('a refused body in single bytes closes its connection too', async () => {
    const place = await open({ deadlines: {}, options: { maxBodyBytes: () => 0 } })
    const socket = dial(place)
    socket.write(chunked + '1\r\nA\r\n'.repeat(1_100))

    await untilClosed(socket)
    expect(place.refused).toEqual(['too-large', 'pieces'])
  })

  test('a body in chunks of 128 bytes is read, with at most twice its length of memory', async () => {
    const { waiting, handler } = held()
    const place = await open({ handler, deadlines: {} })
    const socket = dial(place)
    const pieces = 2_000
    socket.write(`${chunked}${`80\r\n${'x'.repeat(128)}\r\n`.repeat(pieces)}0\r\n\r\n`)

    await until(() => waiting.length === 1)
    const [{ req } = {}] = waiting
    const { rawBody } = req as unknown as { rawBody: Buffer }
    expect(rawBody.toString()).toBe('x'.repeat(pieces * 128))
    expect(rawBody.buffer.byteLength).toBeLessThanOrEqual(2 * pieces * 128)
  })
})

describe('ingress memory of bodies:', () => {
  test('an honest client gets memory from the client with the most unfinished bodies', async () => {
    const place = await open({ limits: { bodyBytesInFlight: 2 ** 20 }, deadlines: {} })
    const attackers = Array.from({ length: 4 }, (_, at) => `127.0.2.${at + 1}`)
    const sockets = attackers.map((address) => dial(place, address))
    for (const socket of sockets) socket.write(head(200_000) + 'x'.repeat(199_999))
    await sleep(300)

    expect(await ask(place, '127.0.0.1', 'x'.repeat(1_000))).toMatchObject({ status: 200 })
    expect(place.refused).toEqual(['made-room'])
  })

  test('a client gets no memory from a client that uses less', async () => {
    const place = await open({ limits: { bodyBytesInFlight: 2 ** 20 }, deadlines: {} })
    for (const at of [1, 2, 3, 4, 5, 6, 7]) {
      dial(place, `127.0.2.${at}`).write(head(130_000) + 'x'.repeat(129_999))
    }
    await sleep(300)

    const answer = await ask(place, '127.0.0.1', 'x'.repeat(250_000))
    expect(answer).toEqual({ status: 429, text: 'body-bytes' })
    expect(place.refused).toEqual(['body-bytes'])
  })
})

describe('ingress Expect header:', () => {
  test('other expectations than 100-continue are counted and answered with 417', async () => {
    const clients: string[] = []
    const waitFor = (client: string) => (clients.push(client) > 2 ? 7 : 0)
    const place = await open({ options: { waitFor } })
    const send = async () => (await ask(place, '127.0.0.1', 'body', { expect: 'x' })).status

    expect([await send(), await send(), await send()]).toEqual([417, 417, 429])
    expect(clients).toHaveLength(3)
    expect(place.refused).toEqual(['expectation', 'expectation', 'too-often'])
  })

  test('100-continue is served', async () => {
    const place = await open()

    expect(await ask(place, '127.0.0.1', 'body', { expect: '100-continue' })).toMatchObject({
      status: 200,
    })
  })
})

describe('ingress admission:', () => {
  test('a request that is not admitted is answered before its body is read', async () => {
    const admit = ({ headers }: IncomingMessage) =>
      headers.authorization === undefined ? { status: 401, headers: {}, body: 'who?' } : undefined
    const maxBodyBytes = () => 10
    const place = await open({ options: { admit, maxBodyBytes } })
    const socket = dial(place)
    socket.write(head(1_000))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })

    await until(() => text.includes('who?'))
    expect(text).toContain('401')
    expect(place.refused).toEqual(['not-admitted'])
    const admitted = await ask(place, '127.0.0.1', 'x'.repeat(11), { authorization: 'me' })
    expect(admitted.status).toBe(413)
  })
})

describe('ingress request target', () => {
  const status = async (place: Place, target: string) => {
    const socket = dial(place)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write(`GET ${target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n`)
    await untilClosed(socket)
    return text.slice(9, 12)
  }

  test.each(['/', '/prpc/KMS.GetMeta?json', '/prpc//GetMeta', '/a?x=%2e%2e', '/a?'])(
    '%s is served',
    async (target) => expect(await status(await open(), target)).toBe('200'),
  )

  test.each([
    '/prpc/../metrics',
    '/prpc/%2e%2e/metrics',
    '/prpc/.%2E/metrics',
    '/./health',
    '/prpc/GetMeta#/SignCert',
    '/%70rpc/GetMeta',
    '/a\\b',
    '//host/health',
    'http://host/health',
    '*',
    'health',
  ])('%s is refused before it is parsed', async (target) => {
    const asked: string[] = []
    const waitFor = (client: string) => asked.push(client) * 0
    const place = await open({ options: { waitFor } })

    expect(await status(place, target)).toMatch(/^4/)
    expect(asked).toEqual([])
  })
})

describe('ingress TLS handshakes:', () => {
  /** A client certificate below a chain of made-up authorities: nothing in it leads to a trusted root. */
  async function chainOf(length: number) {
    const key = p256.utils.randomSecretKey()
    const authorities = await Promise.all(
      Array.from({ length }, async () => toPem(await issueTempCa(p256.utils.randomSecretKey()))),
    )
    return { key: keyToPem(key), cert: [toPem(await issueTempCa(key)), ...authorities].join('') }
  }

  /** @returns whether the server finished the handshake and answered */
  async function connectsWith(place: Place, client: { key?: string; cert?: string }, from: string) {
    const options = { host: '127.0.0.1', localAddress: from, port: place.port }
    const socket = connectTls({ ...options, ...client, rejectUnauthorized: false })
    socket.on('error', () => {})
    closing.push(() => socket.destroy())
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
      socket.destroy()
    })
    socket.write(head(0))
    await untilClosed(socket)
    return text.includes('200')
  }

  test('a client that fails handshakes after much data must wait, and others do not', async () => {
    const place = await open({ tls: true, options: { handshakesPerMinute: 30 } })
    const socket = dial(place)
    // the head of a record, and less data than it states
    socket.write(Buffer.concat([Buffer.from('1603014000', 'hex'), Buffer.alloc(16_000)]))
    await untilClosed(socket)
    expect(place.refused).toEqual(['slow-head'])

    expect(await connectsWith(place, {}, '127.0.0.1')).toBe(false)
    expect(await connectsWith(place, {}, '127.0.0.2')).toBe(true)
  })

  test('a client may send its certificate and the one of the temporary CA as often as its rate allows', async () => {
    const place = await open({ tls: true, deadlines: {}, options: { handshakesPerMinute: 3_000 } })
    const client = await chainOf(1)
    const answers = []
    for (let count = 0; count < 8; count++) {
      answers.push(await connectsWith(place, client, '127.0.0.1'))
    }

    expect(answers).toEqual(Array(8).fill(true))
  })

  test('a client has a limited number of handshakes at once', async () => {
    const limits = { connections: 64, connectionsPerClient: 8 }
    const place = await open({ tls: true, limits, deadlines: {} })
    for (let count = 0; count < 3; count++) dial(place)

    await until(() => place.refused.length > 0)
    expect(place.refused).toEqual(['handshakes'])
    expect(await connectsWith(place, {}, '127.0.0.2')).toBe(true)
  })
})
