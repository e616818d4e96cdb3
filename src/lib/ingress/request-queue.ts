/**
 * Who may be served now: so many in total, so many of one client, and free places go to the waiting clients in turn.
 *
 * A client that asks a lot waits behind its own requests. Another client's next request has one of each of them
 * before it, however many they have.
 */

export interface RequestQueueLimits {
  readonly total: number
  readonly of: (client: string) => number
}

export interface RequestQueue {
  /** Calls `start` once there is a place, perhaps at once. */
  take(client: string, start: () => void): RequestSlot
  /** How many wait. */
  readonly waiting: () => number
}

export interface RequestSlot {
  /** Gives the place back, or leaves the queue. Again, it does nothing. */
  leave(): void
}

export function createSlots({ total, of }: RequestQueueLimits): RequestQueue {
  const held = new Map<string, number>()
  /** Clients in the order of their turns, each with those that wait for it. */
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
      // its next turn comes after all others
      if (queue.size > 0) queues.set(client, queue)
      start()
    }
  }
  return {
    waiting: () => [...queues.values()].reduce((sum, queue) => sum + queue.size, 0),
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
