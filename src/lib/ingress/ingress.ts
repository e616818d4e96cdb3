/**
 * The front door of every HTTP server here: how many may connect, send, ask and wait, and for how long.
 *
 * A request passes five stages. Its peer must act in the first, second and fifth; each of these has a deadline for the
 * whole stage, so that one byte now and then does not prolong it.
 *
 * 1. Connecting, TLS handshake and head of the request: `headMs`. An idle connection is in this stage too.
 * 2. Body: `bodyMs`, and never more bytes than its path may have.
 * 3. Waiting for a place, which clients get in turn: `queueMs`.
 * 4. Work. A place is held until the work is done *and* the answer has been sent or its connection closed.
 * 5. Answer: `answerMs`, and longer only for what is read at `answerBytesPerSecond` or faster.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'

import { clientOf, plainAddress } from './client-address.ts'
import { type Connection, createConnections } from './connections.ts'
import { readProxyHeader } from './proxy-header.ts'
import { createBodyBudget, readBody } from './request-body.ts'
import { createSlots, type RequestSlot } from './request-queue.ts'
import type { IngressLimits } from './settings.ts'

/** Why a request was not served, or a connection was closed. */
export type IngressRefusal =
  | 'connections'
  | 'made-room'
  | 'proxy-header'
  | 'slow-head'
  | 'slow-body'
  | 'slow-answer'
  | 'aborted'
  | 'pipelined'
  | 'too-large'
  | 'body-bytes'
  | 'too-often'
  | 'in-flight'

/** Refusals that are answered; all others close the connection. */
export type AnsweredRefusal = Extract<
  IngressRefusal,
  'too-large' | 'body-bytes' | 'too-often' | 'in-flight'
>

export interface IngressOptions {
  readonly limits: IngressLimits
  /** How a trusted proxy names its client: before the connection, or in a header of each request. */
  readonly proxied: 'proxy-protocol' | 'x-forwarded-for'
  /** Longest body of a request, in bytes. */
  readonly longestBody: (incoming: IncomingMessage) => number
  /** Seconds to wait before this client may ask again; 0 lets the request pass. */
  readonly waitFor?: (client: string, incoming: IncomingMessage) => number
  /** The words of a refusal in the service's protocol; the connection stays open. */
  readonly explain: (refusal: AnsweredRefusal, incoming: IncomingMessage) => RefusalResponse
  readonly observe?: (refusal: IngressRefusal, client: string) => void
  readonly deadlines?: Partial<Deadlines>
}

export interface RefusalResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Deadlines {
  readonly headMs: number
  readonly bodyMs: number
  readonly queueMs: number
  readonly answerMs: number
  readonly answerBytesPerSecond: number
}

export const defaultDeadlines: Deadlines = {
  headMs: 10_000,
  bodyMs: 15_000,
  queueMs: 5_000,
  answerMs: 10_000,
  answerBytesPerSecond: 32 * 1024,
}

export type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => unknown

export interface ClientAddress {
  /** As whom it is counted: an IPv4 address, or an IPv6 /64. */
  readonly client: string
  readonly address: string
}

const peers = new WeakMap<IncomingMessage, ClientAddress>()

/** Who sent a request that came through a door; behind a trusted proxy, whom the proxy names. */
export function peerOf(incoming: IncomingMessage): ClientAddress {
  return peers.get(incoming) ?? peerAt(incoming.socket.remoteAddress ?? '')
}

export interface Ingress {
  /** Closes connections without a request. Call it when the server no longer listens. */
  close(): void
}

interface Exchange {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly startedAt: number
  stage: 'body' | 'queue' | 'work' | 'answer'
  stageSince: number
  /** What had been sent when the answer began. */
  sentBefore: number
}

const refreshEveryMs = 250
/** An answer that is being read gets this long before it must make room for a request that waits. */
const unreadMs = 1_000

/** Puts the door before a server that does not listen yet. The server must have no `request` listener. */
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
    (victim) => cut(victim, 'made-room'),
  )
  const slots = createSlots({ total: limits.requestsInFlight, of: limits.requestsInFlightOf })
  const budget = createBodyBudget(limits.bodyBytes, limits.bodyBytesOf)
  const named = new Map<string, Connection>()
  const exchanges = new Map<Connection, Exchange>()
  const wasCut = new WeakSet<Connection>()

  const cut = (connection: Connection, why: IngressRefusal) => {
    wasCut.add(connection)
    observe(why, connection.client)
    connection.socket.destroy()
  }

  /* CONNECTIONS */

  const accept = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    // a connection may break before anyone else listens
    socket.on('error', () => {})
    const first = register(socket, socket.remoteAddress ?? '')
    if (first === undefined) return
    const isPassedOn = options.proxied === 'proxy-protocol' && limits.isProxy(first.address)
    if (isPassedOn) void passOn(first)
    else enter(first)
  })
  const register = (socket: Socket, address: string): Connection | undefined => {
    const connection = { socket, ...peerAt(address), waitsSince: now() }
    if (!connections.add(connection)) {
      cut(connection, 'connections')
      return undefined
    }
    socket.once('close', () => connections.delete(connection))
    return connection
  }
  const enter = (connection: Connection) => {
    const { socket } = connection
    const name = nameOf(socket)
    named.set(name, connection)
    socket.once('close', () => named.delete(name))
    for (const listen of accept) listen.call(server, socket)
  }
  const passOn = async (first: Connection) => {
    const { socket } = first
    const header = await awaitProxyHeader(socket)
    if (header === undefined || socket.destroyed) return cut(first, 'proxy-header')
    connections.delete(first)
    const connection = register(socket, header.source ?? first.address)
    if (connection === undefined) return
    enter(connection)
    socket.resume()
  }

  /* REQUESTS */

  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const connection = named.get(nameOf(incoming.socket))
    if (connection === undefined) return incoming.socket.destroy()
    // no client of these protocols asks again before it has the last answer
    const last = exchanges.get(connection)
    if (last && !last.outgoing.writableEnded) return cut(connection, 'pipelined')
    serve(connection, incoming, outgoing).catch(() => connection.socket.destroy())
  })

  const serve = async (
    connection: Connection,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ) => {
    const peer = peerOfRequest(connection, incoming, options)
    const { client } = peer
    peers.set(incoming, peer)
    const exchange = begin(connection, incoming, outgoing)
    const closed = new Promise<void>((resolve) => outgoing.once('close', resolve))
    void closed.then(() => {
      if (exchanges.get(connection) !== exchange) return
      exchanges.delete(connection)
      connection.waitsSince = now()
    })
    const refuse = (why: AnsweredRefusal, seconds = 1) => {
      observe(why, client)
      answer(exchange, explain(why, incoming), seconds)
    }
    // what this side closed has been counted already
    const left = () => wasCut.has(connection) || observe('aborted', client)
    let ticket: RequestSlot | undefined
    let held = 0
    const take = (bytes: number) => {
      const isTaken = budget.take(client, bytes)
      if (isTaken) held += bytes
      return isTaken
    }
    try {
      const seconds = options.waitFor?.(client, incoming) ?? 0
      if (seconds > 0) return refuse('too-often', seconds)
      const read = await readBody(incoming, options.longestBody(incoming), take)
      if (read === 'aborted') return left()
      if (read === 'too-large') return refuse('too-large')
      if (read === 'no-room') return refuse('body-bytes')
      // where Hono's server looks for a body that was read already
      Object.assign(incoming, { rawBody: read.body })

      moveTo(connection, exchange, 'queue')
      const isTurn = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), deadlines.queueMs)
        void closed.then(() => resolve(false)).finally(() => clearTimeout(timer))
        ticket = slots.take(client, () => {
          clearTimeout(timer)
          resolve(true)
        })
      })
      if (outgoing.closed || outgoing.destroyed) return left()
      if (!isTurn) return refuse('in-flight')

      moveTo(connection, exchange, 'work')
      await handler(incoming, outgoing)
      await closed
    } finally {
      ticket?.leave()
      budget.give(client, held)
    }
  }
  const begin = (connection: Connection, incoming: IncomingMessage, outgoing: ServerResponse) => {
    const at = now()
    const since = { startedAt: at, stageSince: at }
    const exchange: Exchange = { incoming, outgoing, ...since, stage: 'body', sentBefore: 0 }
    exchanges.set(connection, exchange)
    connection.waitsSince = at
    return exchange
  }
  const answer = (exchange: Exchange, explanation: RefusalResponse, seconds: number) => {
    const { incoming, outgoing } = exchange
    if (outgoing.headersSent || outgoing.destroyed) return
    const { status, headers, body } = explanation
    const retry = status === 429 ? { 'retry-after': String(seconds) } : {}
    // a peer that still sends reads the answer only if what it sends is taken, here to be thrown away
    incoming.resume()
    const length = { 'content-length': Buffer.byteLength(body) }
    outgoing.writeHead(status, { ...retry, ...headers, ...length })
    outgoing.write(body)
    // Node closes a connection for one request when its answer ends; the reset can overtake the answer
    if (incoming.complete || outgoing.shouldKeepAlive) outgoing.end()
    else incoming.once('end', () => outgoing.end())
  }

  /* DEADLINES */

  const look = () => {
    const at = now()
    for (const connection of [...connections.all()]) {
      const exchange = exchanges.get(connection)
      const why = exchange ? overdue(connection, exchange, at) : isOver(connection, at)
      if (why !== undefined) cut(connection, why)
    }
    if (slots.waiting() > 0) cutUnread(at)
  }
  const isOver = ({ waitsSince }: Connection, at: number): IngressRefusal | undefined =>
    waitsSince !== undefined && at - waitsSince > deadlines.headMs ? 'slow-head' : undefined
  const overdue = (
    connection: Connection,
    exchange: Exchange,
    at: number,
  ): IngressRefusal | undefined => {
    const { incoming, outgoing, startedAt, stage } = exchange
    // an answer to a body that still comes in has the body's deadline
    if (!incoming.complete && at - startedAt > deadlines.bodyMs) return 'slow-body'
    if (stage === 'work' || stage === 'answer') {
      const isUnread = outgoing.headersSent && outgoing.writableLength > 0
      const next = isUnread ? 'answer' : 'work'
      if (next !== stage) moveTo(connection, exchange, next)
    }
    if (exchange.stage !== 'answer') return undefined
    const sent = sentBy(outgoing) - exchange.sentBefore
    const allowed = deadlines.answerMs + (sent / deadlines.answerBytesPerSecond) * 1_000
    return at - exchange.stageSince > allowed ? 'slow-answer' : undefined
  }
  const moveTo = (connection: Connection, exchange: Exchange, stage: Exchange['stage']) => {
    exchange.stage = stage
    exchange.stageSince = now()
    exchange.sentBefore = sentBy(exchange.outgoing)
    connection.waitsSince = stage === 'answer' ? exchange.stageSince : undefined
  }
  /** A request waits for a place that an answer holds which its peer does not read. */
  const cutUnread = (at: number) => {
    const [worst] = [...exchanges]
      .filter(([, { stage, stageSince }]) => stage === 'answer' && at - stageSince > unreadMs)
      .sort(([, a], [, b]) => a.stageSince - b.stageSince)
    if (worst) cut(worst[0], 'made-room')
  }
  const timer = setInterval(look, refreshEveryMs).unref()
  server.once('close', () => clearInterval(timer))

  return {
    close: () => {
      for (const connection of [...connections.all()]) {
        if (!exchanges.has(connection)) connection.socket.destroy()
      }
    },
  }
}

/** The four parts that make a TCP connection; a TLS socket has those of the socket below it. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

/** A connection that broke at once has no address any more, and is counted with all others of its kind. */
function peerAt(address: string): ClientAddress {
  return { client: clientOf(address) ?? 'unknown', address: plainAddress(address) ?? 'unknown' }
}

/** Behind a trusted proxy, the last address of `X-Forwarded-For` that is not a proxy itself. */
function peerOfRequest(
  connection: Connection & ClientAddress,
  incoming: IncomingMessage,
  { limits, proxied }: IngressOptions,
): ClientAddress {
  if (proxied !== 'x-forwarded-for' || !limits.isProxy(connection.address)) return connection
  const forwarded = String(incoming.headers['x-forwarded-for'] ?? '').split(',')
  for (const text of forwarded.reverse()) {
    const address = plainAddress(text.trim())
    if (address === undefined) return connection
    if (!limits.isProxy(address)) return peerAt(address)
  }
  return connection
}

function sentBy({ socket }: ServerResponse): number {
  return socket === null ? 0 : socket.bytesWritten - socket.writableLength
}

/** Reads the header and leaves what follows it in the socket. The deadline is that of the connection's head. */
function awaitProxyHeader(socket: Socket) {
  return new Promise<Exclude<ReturnType<typeof readProxyHeader>, string> | undefined>((resolve) => {
    let bytes = Buffer.alloc(0)
    const settle = (header: Exclude<ReturnType<typeof readProxyHeader>, string> | undefined) => {
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
