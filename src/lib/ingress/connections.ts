/**
 * Limits on open connections: in total and per client. When a limit is reached, an idle connection is closed to make
 * room for the new one.
 *
 * Only connections that wait for their client are closed this way; a connection whose request is being served never is.
 * Of these, the client with the most connections loses the one that has waited longest. So a client that opens many
 * idle connections loses its own, and an attacker with many addresses loses its idle connections before an honest
 * client, which acts within one round trip.
 */
import type { Socket } from 'node:net'

import { createRateLimit } from '../rate-limit.ts'

/** An open connection with its client, for the decision which one to close. */
export interface Connection {
  readonly socket: Socket
  /** Unit of the limits: an IPv4 address, an IPv6 /64, or a name that `move` gave. */
  client: string
  readonly address: string
  /** Since when we wait for the client, in milliseconds of a monotonic clock; undefined while we serve a request. */
  waitsSince: number | undefined
}

/** Limits on open connections. */
export interface ConnectionLimits {
  /** Limit of all clients together. */
  readonly total: number
  /** Limit of one client. */
  readonly of: (client: string) => number
}

/**
 * How often a client's new connection may close an older one of the same client. A client beyond its limit that opens
 * each closed connection again would otherwise cost a TLS handshake and the beginning of a request each time.
 */
const replacements = { perMinute: 600, burst: 128 }

/** The open connections of one server. */
export interface Connections {
  /** @returns false if there is no room and no connection may be closed for this one */
  add(connection: Connection): boolean
  delete(connection: Connection): void
  /** Counts an open connection for another client from now on. It is closed if that client has no room. */
  move(connection: Connection, client: string): void
  readonly all: () => Iterable<Connection>
  readonly count: () => number
}

/** @param close called for a connection that makes room; the caller calls `delete` when its socket is closed */
export function createConnections(
  limits: ConnectionLimits,
  close: (connection: Connection) => void,
): Connections {
  const open = new Set<Connection>()
  const byClient = new Map<string, Set<Connection>>()
  const replace = createRateLimit(replacements)

  const forget = (connection: Connection) => {
    if (!open.delete(connection)) return
    const own = byClient.get(connection.client)
    own?.delete(connection)
    if (own?.size === 0) byClient.delete(connection.client)
  }
  const makeRoom = (client: string): boolean => {
    const own = byClient.get(client) ?? new Set()
    const isClientFull = own.size >= limits.of(client)
    if (!isClientFull && open.size < limits.total) return true
    const candidates = isClientFull
      ? own
      : // a new connection never replaces one of a client that has no more connections than this client would have
        [...byClient.values()].filter(({ size }) => size > own.size).flatMap((set) => [...set])
    const longest = longestWaiting(candidates, ({ client: name }) => byClient.get(name)?.size ?? 0)
    if (longest === undefined) return false
    if (isClientFull && replace(client) > 0) return false
    // counted as closed now: more connections can arrive before its socket is closed
    forget(longest)
    close(longest)
    return true
  }
  return {
    add: (connection) => {
      if (!makeRoom(connection.client)) return false
      open.add(connection)
      const own = byClient.get(connection.client) ?? new Set()
      byClient.set(connection.client, own.add(connection))
      return true
    },
    delete: forget,
    move: (connection, client) => {
      if (connection.client === client || !open.has(connection)) return
      forget(connection)
      connection.client = client
      if (!makeRoom(client)) return close(connection)
      open.add(connection)
      byClient.set(client, (byClient.get(client) ?? new Set()).add(connection))
    },
    all: () => open,
    count: () => open.size,
  }
}

/** The connection that waited longest, among those of the client with the most connections. */
function longestWaiting(
  candidates: Iterable<Connection>,
  sizeOf: (connection: Connection) => number,
): Connection | undefined {
  let longest: Connection | undefined
  let most = 0
  let since = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const { waitsSince } = candidate
    if (waitsSince === undefined) continue
    const size = sizeOf(candidate)
    if (size < most || (size === most && waitsSince >= since)) continue
    longest = candidate
    most = size
    since = waitsSince
  }
  return longest
}
