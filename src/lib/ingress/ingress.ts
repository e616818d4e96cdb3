/**
 * Ingress limits of every HTTP server of Assent: numbers of connections, requests and body bytes, and deadlines.
 *
 * A request passes five stages. The client must act in the first, second and fifth. Each of these has a deadline for
 * the whole stage, so a client that sends one byte from time to time does not get more time.
 *
 * 1. Connection, TLS handshake and request head: `headMs`. An idle connection is in this stage too.
 * 2. Body: `bodyMs`, and at most `maxBodyBytes` bytes.
 * 3. Queue for a request slot; clients take turns: `queueMs`.
 * 4. Work. The slot is held until the work is done *and* the answer was sent or the connection was closed.
 * 5. Answer: `answerMs`, and more time only if the client reads `answerBytesPerSecond` or faster. A streamed answer
 *    goes back and forth between stages 4 and 5; the waiting times of stage 5 are added up.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as SecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { clientOf, forwardedAddress, plainAddress } from './client-address.ts'
import { type Connection, createConnections } from './connections.ts'
import { createHandshakes, type Handshake } from './handshakes.ts'
import { type ProxyHeader, readProxyHeader } from './proxy-header.ts'
import { createBodyBudget, readBody, watchPieces } from './request-body.ts'
import { createRequestQueue, type RequestSlot } from './request-queue.ts'
import { isNormalTarget } from './request-target.ts'
import type { IngressLimits } from './settings.ts'

/** Why a request was not served, or why a connection was closed. */
export type IngressRefusal =
  /** No room for a new connection. */
  | 'connections'
  /** Closed to make room for another connection, request or body. */
  | 'made-room'
  /** The request target is not in its normal form. */
  | 'target'
  /** Too many TLS handshakes of one client. */
  | 'handshakes'
  /** No valid PROXY header from a trusted proxy. */
  | 'proxy-header'
  /** A deadline of stage 1, 2 or 5 passed. */
  | 'slow-head'
  | 'slow-body'
  | 'slow-answer'
  /** The client closed the connection during a request. */
  | 'aborted'
  /** A second request came before the first one was answered. */
  | 'pipelined'
  /** The body came in too many small pieces. */
  | 'pieces'
  /** The body is longer than `maxBodyBytes`. */
  | 'too-large'
  /** Too many body bytes are held, for this client or for all clients. */
  | 'body-bytes'
  /** The rate limit. */
  | 'too-often'
  /** `admit` refused the request. */
  | 'not-admitted'
  /** An `Expect` header other than `100-continue`. */
  | 'expectation'
  /** No request slot became free within `queueMs`. */
  | 'in-flight'

/** Refusals with an HTTP answer. All others close the connection without one. */
export type AnsweredRefusal = Extract<
  IngressRefusal,
  'target' | 'too-large' | 'body-bytes' | 'too-often' | 'in-flight'
>

/** Limits, deadlines and rules of a server. */
export interface IngressOptions {
  readonly limits: IngressLimits
  /** How a trusted proxy states the client address: a PROXY header per connection, or an HTTP header per request. */
  readonly proxied: 'proxy-protocol' | 'x-forwarded-for'
  /** Checks a request before anything else is done with it; a returned refusal is sent. Default: all are admitted. */
  readonly admit?: (incoming: IncomingMessage) => RefusalResponse | undefined
  /**
   * The client that the request head proves, for example by a token: its connection, its requests and its bodies count for this
   * name and no longer for the address. Default: undefined, the address counts.
   */
  readonly identify?: (incoming: IncomingMessage) => string | undefined
  /** Longest body of a request, in bytes. */
  readonly maxBodyBytes: (incoming: IncomingMessage) => number
  /** Rate limit: seconds until this client may send the next request; 0 lets the request pass. */
  readonly waitFor?: (client: string, incoming: IncomingMessage) => number
  /** Writes a refusal in the service's own protocol. The connection stays open. */
  readonly explain: (refusal: AnsweredRefusal, incoming: IncomingMessage) => RefusalResponse
  /** Called once per refusal and per connection that this side closes: for metrics and logs. */
  readonly observe?: (refusal: IngressRefusal, client: string) => void
  readonly deadlines?: Partial<Deadlines>
  /** TLS handshakes of one client in a minute; default: 3,000. */
  readonly handshakesPerMinute?: number
}

/** The response to a request that is refused before the handler runs. */
export interface RefusalResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A refusal as JSON, for services whose requests have no body. @param headers in addition to the content type */
export function refusalToJson(
  refusal: AnsweredRefusal,
  headers: Readonly<Record<string, string>> = {},
): RefusalResponse {
  const isBad = refusal === 'too-large' || refusal === 'target'
  return {
    status: isBad ? 400 : 429,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ error: isBad ? 'INPUT_INVALID' : 'TOO_MANY_REQUESTS' }),
  }
}

/** Deadlines of the stages; see the head of this file. */
export interface Deadlines {
  /** Milliseconds from the first byte to the end of the request head; also for a TLS handshake. */
  readonly headMs: number
  /** Milliseconds for the whole body. */
  readonly bodyMs: number
  /** Milliseconds for which a request waits for a slot. */
  readonly queueMs: number
  /** Time in which the client may leave an answer unread, before its reading speed counts. */
  readonly answerMs: number
  /** Slowest reading speed that extends `answerMs`. */
  readonly answerBytesPerSecond: number
}

/** Deadlines of KMS, webhook and relayer. */
export const defaultDeadlines: Deadlines = {
  headMs: 10_000,
  bodyMs: 15_000,
  queueMs: 5_000,
  answerMs: 10_000,
  answerBytesPerSecond: 32 * 1024,
}

/** Handles a request whose body has been read. */
export type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => unknown

/** The origin of a request. */
export interface ClientAddress {
  /** The client as limits count it: an IPv4 address, or an IPv6 /64. */
  readonly client: string
  /** The full address, for logs. */
  readonly address: string
}

const addresses = new WeakMap<IncomingMessage, ClientAddress>()

/** The sender of a request. Behind a trusted proxy: the client that the proxy states. */
export function clientAddressOf(incoming: IncomingMessage): ClientAddress {
  return addresses.get(incoming) ?? toClientAddress(incoming.socket.remoteAddress ?? '')
}

/** The address of a server. */
export interface ListenOptions {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Several processes listen on the port, and the system distributes connections to them. */
  readonly reusePort?: boolean
}

/** A server that applies limits before any work. */
export interface Ingress {
  /**
   * Starts to listen.
   *
   * @returns host and port as a URL has them: `127.0.0.1:8000`, `[::1]:8000`
   * @throws the system's error, for example EADDRINUSE
   */
  listen(options: ListenOptions): Promise<string>
  /**
   * Stops the server: no new connections, idle ones are closed at once, requests in progress may finish.
   *
   * @param graceMs after this time all connections are closed
   */
  stop(graceMs: number): Promise<void>
}

/** One request and its answer. Times are milliseconds of `performance.now()`. */
interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly startedAt: number
  stage: 'body' | 'queue' | 'work' | 'answer'
  stageSince: number
  /** Time in earlier `answer` stages of this exchange. */
  unreadBefore: number
  /** Bytes that the socket had sent when the answer began; undefined before. */
  sentBefore: number | undefined
}

const deadlineCheckMs = 250
/**
 * Connections that the system keeps until this process accepts them; the system may have a lower limit
 * (`net.core.somaxconn`). When it drops a connection, an honest client tries again after a second. With Node's 511, a
 * client that reopens a thousand connections at a time causes that.
 */
const backlog = 4_096
/** An answer may stay unread for this time before it must make room for a waiting request. */
const makeRoomMs = 1_000

/**
 * Applies the limits to a server. Call it before the server listens; the server must have no `request` listener.
 *
 * @param handler gets each request that passes the limits, with its body already read into `rawBody`
 * @example
 * const ingress = openIngress(createServer(), getRequestListener(app.fetch), { limits: openLimits({}), ... })
 * await ingress.listen({ host: '127.0.0.1', port: 8000 })
 */
export function openIngress(
  server: Server | SecureServer,
  handler: Handler,
  options: IngressOptions,
): Ingress {
  const { limits, observe = () => {}, explain } = options
  const deadlines = { ...defaultDeadlines, ...options.deadlines }
  const now = () => performance.now()
  const connections = createConnections(
    { total: limits.connections, of: limits.connectionsOf },
    (closed) => closeConnection(closed, 'made-room'),
  )
  const slots = createRequestQueue({
    total: limits.requestsInFlight,
    of: limits.requestsInFlightOf,
  })
  const handshakes = createHandshakes({
    atOnce: (client) => Math.ceil(limits.connectionsOf(client) / 4),
    perMinute: options.handshakesPerMinute ?? 3_000,
    isExempt: limits.isShared,
  })
  const budget = createBodyBudget(limits.bodyBytes, limits.bodyBytesOf)
  // a request of a TLS server has another socket object than its connection: both have the same four TCP parts
  const byTcpName = new Map<string, Connection>()
  const exchanges = new Map<Connection, Exchange>()
  const wasClosedHere = new WeakSet<Connection>()

  const closeConnection = (connection: Connection, reason: IngressRefusal) => {
    wasClosedHere.add(connection)
    observe(reason, connection.client)
    connection.socket.destroy()
  }

  /* CONNECTIONS */

  // the server's own listeners (HTTP parser, TLS) see a connection only after it was counted
  const serverListeners = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    // a connection can break before the server listens to it, and an unhandled error would end the process
    socket.on('error', () => {})
    const connection = register(socket, socket.remoteAddress ?? '')
    if (connection === undefined) return
    const isProxied = options.proxied === 'proxy-protocol' && limits.isProxy(connection.address)
    if (isProxied) void acceptProxied(connection)
    else accept(connection)
  })
  const register = (socket: Socket, address: string): Connection | undefined => {
    const connection = { socket, ...toClientAddress(address), waitsSince: now() }
    if (!connections.add(connection)) {
      closeConnection(connection, 'connections')
      return undefined
    }
    socket.once('close', () => connections.delete(connection))
    return connection
  }
  const accept = (connection: Connection) => {
    const { socket } = connection
    const name = tcpNameOf(socket)
    byTcpName.set(name, connection)
    socket.once('close', () => byTcpName.delete(name))
    if (server instanceof SecureServer && !watchHandshake(connection)) {
      return closeConnection(connection, 'handshakes')
    }
    for (const listen of serverListeners) listen.call(server, socket)
  }
  const pendingHandshakes = new Map<string, Handshake>()
  /** @returns false if this client must wait */
  const watchHandshake = ({ socket, client }: Connection): boolean => {
    const handshake = handshakes.begin(client)
    if (handshake === undefined) return false
    const name = tcpNameOf(socket)
    pendingHandshakes.set(name, handshake)
    socket.once('close', () => {
      pendingHandshakes.delete(name)
      handshake.end(undefined, socket.bytesRead)
    })
    return true
  }
  server.on('secureConnection', (secure: TLSSocket) => {
    pendingHandshakes.get(tcpNameOf(secure))?.end(secure, secure.bytesRead)
  })
  /** Counts the connection for the client that the proxy states, and no longer for the proxy. */
  const acceptProxied = async (proxied: Connection) => {
    const { socket } = proxied
    const header = await awaitProxyHeader(socket)
    if (header === undefined || socket.destroyed) return closeConnection(proxied, 'proxy-header')
    connections.delete(proxied)
    const connection = register(socket, header.source ?? proxied.address)
    if (connection === undefined) return
    accept(connection)
    socket.resume()
  }

  /* REQUESTS */

  const receive = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const connection = byTcpName.get(tcpNameOf(incoming.socket))
    if (connection === undefined) return incoming.socket.destroy()
    // no client of these protocols sends a request before it has the answer to the last one
    const last = exchanges.get(connection)
    if (last && !last.outgoing.writableEnded) return closeConnection(connection, 'pipelined')
    serve(connection, incoming, outgoing).catch(() => connection.socket.destroy())
  }
  server.on('request', receive)
  // without a listener, Node would answer these itself, without any limit
  server.on('checkExpectation', receive)

  const serve = async (
    connection: Connection,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ) => {
    const address = addressOfRequest(connection, incoming, options)
    const proven = options.identify?.(incoming)
    if (proven !== undefined) connections.move(connection, proven)
    const client = proven ?? address.client
    addresses.set(incoming, address)
    const exchange = begin(connection, incoming, outgoing)
    const closed = new Promise<void>((resolve) => outgoing.once('close', resolve))
    void closed.then(() => {
      if (exchanges.get(connection) !== exchange) return
      exchanges.delete(connection)
      connection.waitsSince = now()
    })
    const refuse = (reason: AnsweredRefusal, retryAfterSeconds = 1) => {
      observe(reason, client)
      sendRefusal(exchange, explain(reason, incoming), retryAfterSeconds)
    }
    const refuseWith = (reason: IngressRefusal, response: RefusalResponse) => {
      observe(reason, client)
      sendRefusal(exchange, response)
    }
    // connections that this side closed were counted when they were closed
    const countAborted = () => wasClosedHere.has(connection) || observe('aborted', client)
    let slot: RequestSlot | undefined
    const held = budget.open(client, () => closeConnection(connection, 'made-room'))
    watchPieces(incoming, () => closeConnection(connection, 'pieces'))
    try {
      const denied = options.admit?.(incoming)
      if (denied !== undefined) return refuseWith('not-admitted', denied)
      if (!isNormalTarget(incoming.url ?? '')) return refuse('target')
      const seconds = options.waitFor?.(client, incoming) ?? 0
      if (seconds > 0) return refuse('too-often', seconds)
      if (!isKnownExpectation(incoming)) return refuseWith('expectation', expectationFailed)
      const read = await readBody(incoming, options.maxBodyBytes(incoming), held.take)
      if (read === 'aborted') return countAborted()
      if (read === 'too-large') return refuse('too-large')
      if (read === 'no-room') return refuse('body-bytes')
      held.complete()
      // @hono/node-server takes a body that was already read from here
      Object.assign(incoming, { rawBody: read.body })

      moveTo(connection, exchange, 'queue')
      const isTurn = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), deadlines.queueMs)
        void closed.then(() => resolve(false)).finally(() => clearTimeout(timer))
        slot = slots.take(client, () => {
          clearTimeout(timer)
          resolve(true)
        })
      })
      if (outgoing.closed || outgoing.destroyed) return countAborted()
      if (!isTurn) return refuse('in-flight')

      moveTo(connection, exchange, 'work')
      await handler(incoming, outgoing)
      await closed
    } finally {
      slot?.leave()
      held.release()
    }
  }
  const begin = (connection: Connection, incoming: IncomingMessage, outgoing: ServerResponse) => {
    const at = now()
    const exchange: Exchange = {
      incoming,
      outgoing,
      startedAt: at,
      stage: 'body',
      stageSince: at,
      unreadBefore: 0,
      sentBefore: undefined,
    }
    exchanges.set(connection, exchange)
    connection.waitsSince = at
    return exchange
  }
  const sendRefusal = (
    { incoming, outgoing }: Exchange,
    { status, headers, body }: RefusalResponse,
    retryAfterSeconds = 1,
  ) => {
    if (outgoing.headersSent || outgoing.destroyed) return
    const retry = status === 429 ? { 'retry-after': String(retryAfterSeconds) } : {}
    // a client that is still sending reads the answer only after we have read its bytes; they are discarded
    dropSlowly(incoming)
    const length = { 'content-length': Buffer.byteLength(body) }
    outgoing.writeHead(status, { ...retry, ...headers, ...length })
    outgoing.write(body)
    // without keep-alive, Node closes the connection when the answer ends, and the reset can overtake the answer
    if (incoming.complete || outgoing.shouldKeepAlive) outgoing.end()
    else incoming.once('end', () => outgoing.end())
  }

  /* DEADLINES */

  const enforceDeadlines = () => {
    const at = now()
    for (const connection of [...connections.all()]) {
      const exchange = exchanges.get(connection)
      const reason = exchange ? overdue(connection, exchange, at) : overdueHead(connection, at)
      if (reason !== undefined) closeConnection(connection, reason)
    }
    if (slots.waiting() > 0) closeLongestUnread(at)
  }
  const overdueHead = ({ waitsSince }: Connection, at: number): IngressRefusal | undefined =>
    waitsSince !== undefined && at - waitsSince > deadlines.headMs ? 'slow-head' : undefined
  const overdue = (
    connection: Connection,
    exchange: Exchange,
    at: number,
  ): IngressRefusal | undefined => {
    const { incoming, outgoing, startedAt, stage } = exchange
    // also while a refusal is sent to a client whose body is still coming in
    if (!incoming.complete && at - startedAt > deadlines.bodyMs) return 'slow-body'
    if (stage === 'work' || stage === 'answer') {
      const isUnread = outgoing.headersSent && outgoing.writableLength > 0
      const next = isUnread ? 'answer' : 'work'
      if (next !== stage) moveTo(connection, exchange, next)
    }
    if (exchange.stage !== 'answer') return undefined
    const unread = exchange.unreadBefore + at - exchange.stageSince
    const sent = sentBy(outgoing) - (exchange.sentBefore ?? 0)
    const allowed = deadlines.answerMs + (sent / deadlines.answerBytesPerSecond) * 1_000
    return unread > allowed ? 'slow-answer' : undefined
  }
  const moveTo = (connection: Connection, exchange: Exchange, stage: Exchange['stage']) => {
    const at = now()
    if (exchange.stage === 'answer') exchange.unreadBefore += at - exchange.stageSince
    if (stage === 'answer') exchange.sentBefore ??= sentBy(exchange.outgoing)
    exchange.stage = stage
    exchange.stageSince = at
    connection.waitsSince = stage === 'answer' ? at : undefined
  }
  /** Frees the slot of the answer that was unread for the longest time, for a request that waits for a slot. */
  const closeLongestUnread = (at: number) => {
    const [longest] = [...exchanges]
      .filter(([, { stage, stageSince }]) => stage === 'answer' && at - stageSince > makeRoomMs)
      .sort(([, a], [, b]) => a.stageSince - b.stageSince)
    if (longest) closeConnection(longest[0], 'made-room')
  }
  const timer = setInterval(enforceDeadlines, deadlineCheckMs).unref()
  server.once('close', () => clearInterval(timer))

  return {
    listen: async ({ host, port, reusePort = false }) => {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port, backlog, ...(reusePort ? { reusePort } : {}) }, resolve)
      })
      const { port: chosen } = server.address() as AddressInfo
      return `${host.includes(':') ? `[${host}]` : host}:${chosen}`
    },
    stop: async (graceMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const connection of [...connections.all()]) {
        if (!exchanges.has(connection)) connection.socket.destroy()
      }
      const forced = setTimeout(() => server.closeAllConnections(), graceMs)
      await closed
      clearTimeout(forced)
    },
  }
}

/** A refused body of the longest kind is dropped in 8 s, within the deadline of bodies. */
const dropped = { bytes: 64 * 1024, everyMs: 250 }

/** Reads and drops a body at a limited speed: to decrypt refused bodies as they come would be work for nothing. */
function dropSlowly(incoming: IncomingMessage): void {
  let bytes = 0
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes < dropped.bytes) return
    bytes = 0
    incoming.pause()
    setTimeout(() => incoming.resume(), dropped.everyMs)
  })
  incoming.resume()
}

/** RFC 9110, section 15.5.18. */
const expectationFailed: RefusalResponse = { status: 417, headers: {}, body: '' }

/** Node has answered `100-continue` itself before a request gets here. */
function isKnownExpectation({ headers: { expect } }: IncomingMessage): boolean {
  return expect === undefined || /^100-continue$/i.test(expect)
}

/** The four parts that identify a TCP connection. A TLS socket has those of the TCP socket below it. */
function tcpNameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

/** A connection that is already broken has no address; all of these count as one client. */
function toClientAddress(address: string): ClientAddress {
  return { client: clientOf(address) ?? 'unknown', address: plainAddress(address) ?? 'unknown' }
}

/** Behind a trusted proxy: the last address of `X-Forwarded-For` that is not a trusted proxy. */
function addressOfRequest(
  connection: Connection & ClientAddress,
  incoming: IncomingMessage,
  { limits, proxied }: IngressOptions,
): ClientAddress {
  if (proxied !== 'x-forwarded-for' || !limits.isProxy(connection.address)) return connection
  const forwarded = String(incoming.headers['x-forwarded-for'] ?? '').split(',')
  for (const text of forwarded.reverse()) {
    const address = forwardedAddress(text.trim())
    if (address === undefined) return connection
    if (!limits.isProxy(address)) return toClientAddress(address)
  }
  return connection
}

/** Bytes that the kernel has accepted for this socket. */
function sentBy({ socket }: ServerResponse): number {
  return socket === null ? 0 : socket.bytesWritten - socket.writableLength
}

/**
 * Reads the PROXY header and leaves the bytes after it in the socket. Its deadline is `headMs`.
 *
 * @returns undefined if the header is invalid or the connection was closed
 */
function awaitProxyHeader(socket: Socket): Promise<ProxyHeader | undefined> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0)
    const settle = (header: ProxyHeader | undefined) => {
      socket.off('data', onData)
      socket.pause()
      resolve(header)
    }
    const onData = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      const header = readProxyHeader(bytes)
      if (header === 'more') return
      if (header === 'invalid') return settle(undefined)
      settle(header)
      const rest = bytes.subarray(header.length)
      if (rest.length > 0) socket.unshift(rest)
    }
    socket.on('data', onData)
    socket.once('close', () => settle(undefined))
  })
}
