/**
 * Open connections: so many in total, so many of one client. When there is no room, a connection that keeps us waiting
 * makes room for a new one.
 *
 * Only connections whose peer has to act next can be closed so: one whose request is with us is never. The victim is of
 * the client that has the most, and it is the one that has kept us waiting for longest. Someone who opens many idle
 * connections therefore loses their own, and someone who comes from many addresses loses them sooner than an honest
 * peer needs for its next packet.
 */
import type { Socket } from 'node:net'

export interface Connection {
  readonly socket: Socket
  readonly client: string
  readonly address: string
  /** Milliseconds at which it became the peer's turn; undefined while a request is with us. */
  waitsSince: number | undefined
}

export interface ConnectionLimits {
  readonly total: number
  readonly of: (client: string) => number
}

export interface Connections {
  /** @returns false if there is no room: nobody is worse than the newcomer */
  add(connection: Connection): boolean
  delete(connection: Connection): void
  readonly all: () => Iterable<Connection>
  readonly count: () => number
}

/** @param cut closes a connection; `delete` follows when it is closed */
export function createConnections(
  limits: ConnectionLimits,
  cut: (connection: Connection) => void,
): Connections {
  const open = new Set<Connection>()
  const byClient = new Map<string, Set<Connection>>()

  const forget = (connection: Connection) => {
    if (!open.delete(connection)) return
    const own = byClient.get(connection.client)
    own?.delete(connection)
    if (own?.size === 0) byClient.delete(connection.client)
  }
  const makeRoom = (client: string): boolean => {
    const own = byClient.get(client) ?? new Set()
    const isOwnFault = own.size >= limits.of(client)
    if (!isOwnFault && open.size < limits.total) return true
    const candidates = isOwnFault
      ? own
      : // a newcomer takes nothing from clients that have no more than it would have
        [...byClient.values()].filter(({ size }) => size > own.size).flatMap((set) => [...set])
    const victim = worstOf(candidates, ({ client: name }) => byClient.get(name)?.size ?? 0)
    if (victim === undefined) return false
    // at once: many may come before this one is closed
    forget(victim)
    cut(victim)
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
    all: () => open,
    count: () => open.size,
  }
}

/** Of the client with the most, the one that waits for its peer for longest. */
function worstOf(
  candidates: Iterable<Connection>,
  sizeOf: (connection: Connection) => number,
): Connection | undefined {
  let worst: Connection | undefined
  let most = 0
  let since = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const { waitsSince } = candidate
    if (waitsSince === undefined) continue
    const size = sizeOf(candidate)
    if (size < most || (size === most && waitsSince >= since)) continue
    worst = candidate
    most = size
    since = waitsSince
  }
  return worst
}
