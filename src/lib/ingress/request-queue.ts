/**
 * Request slots: how many requests may be served at the same time, in total and per client. Waiting clients take turns.
 *
 * A client with many requests waits behind its own. The next request of another client waits for at most one request
 * of each client before it, however many requests these have.
 */

export interface RequestQueueLimits {
  /** Requests that are served at the same time. */
  readonly total: number
  /** Slots of one client. */
  readonly of: (client: string) => number
}

/** Gives request slots to clients in turn, so that a client with many requests does not delay others. */
export interface RequestQueue {
  /** Calls `start` when a slot is free; immediately if one is free now. */
  take(client: string, start: () => void): RequestSlot
  /** Number of requests that wait for a slot, of one client or of all. */
  readonly waiting: (client?: string) => number
}

/** A slot, or a place in the queue. */
export interface RequestSlot {
  /** Frees the slot, or leaves the queue. Further calls do nothing. */
  leave(): void
}

/** @example createRequestQueue({ total: 256, of: () => 32 }) */
export function createRequestQueue({ total, of }: RequestQueueLimits): RequestQueue {
  const held = new Map<string, number>()
  /** Waiting requests by client, in the order of the clients' turns. */
  const queues = new Map<string, Set<() => void>>()
  let taken = 0

  const isFree = (client: string) => taken < total && (held.get(client) ?? 0) < of(client)
  const hold = (client: string) => {
    taken++
    held.set(client, (held.get(client) ?? 0) + 1)
  }
  const release = (client: string) => {
    taken--
    const left = (held.get(client) ?? 0) - 1
    if (left > 0) held.set(client, left)
    else held.delete(client)
    advance()
  }
  const advance = () => {
    for (const [client, queue] of [...queues]) {
      if (taken >= total) return
      if (!isFree(client)) continue
      const [start] = queue
      queues.delete(client)
      if (start === undefined) continue
      queue.delete(start)
      // the client's next turn comes after all other waiting clients
      if (queue.size > 0) queues.set(client, queue)
      start()
    }
  }
  return {
    waiting: (client) =>
      client === undefined
        ? [...queues.values()].reduce((sum, queue) => sum + queue.size, 0)
        : (queues.get(client)?.size ?? 0),
    take: (client, start) => {
      let state: 'waiting' | 'held' | 'left' = 'waiting'
      const begin = () => {
        state = 'held'
        hold(client)
        start()
      }
      const queue = queues.get(client) ?? new Set()
      if (queue.size === 0 && isFree(client)) begin()
      else queues.set(client, queue.add(begin))
      return {
        leave: () => {
          const before = state
          state = 'left'
          if (before === 'held') release(client)
          if (before === 'waiting' && queue.delete(begin) && queue.size === 0) queues.delete(client)
        },
      }
    },
  }
}
