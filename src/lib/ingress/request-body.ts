/**
 * Request bodies are read completely before a handler runs. Their memory is limited per body, per client and in total.
 *
 * When the total is reached, the client that holds the most memory loses the body that it has been sending for the
 * longest time. So an attacker with a few addresses loses its own slow bodies, and an honest client gets room.
 */
import type { IncomingMessage } from 'node:http'

import { createGrowingBuffer } from '../growing-buffer.ts'

/** The memory of one body. */
export interface HeldBody {
  /** @returns false if a limit would be exceeded; then nothing is counted */
  take(bytes: number): boolean
  /** The body is complete: it no longer makes room for others. */
  complete(): void
  /** Frees all bytes. Further calls do nothing. */
  release(): void
}

/** Counts the bytes of all bodies that are in memory. */
export interface BodyBudget {
  /** @param abort called if this body must make room; its bytes are already free then */
  open(client: string, abort: () => void): HeldBody
}

interface Holding {
  readonly client: string
  readonly abort: () => void
  bytes: number
  isComplete: boolean
}

/**
 * @param total bytes of all clients together
 * @param of bytes of one client
 */
export function createBodyBudget(total: number, of: (client: string) => number): BodyBudget {
  /** In the order in which they were opened. */
  const holdings = new Set<Holding>()
  const byClient = new Map<string, number>()
  let all = 0
  const heldBy = (client: string) => byClient.get(client) ?? 0
  const add = (holding: Holding, bytes: number) => {
    all += bytes
    holding.bytes += bytes
    const own = heldBy(holding.client) + bytes
    if (own > 0) byClient.set(holding.client, own)
    else byClient.delete(holding.client)
  }
  const free = (holding: Holding) => {
    if (holdings.delete(holding)) add(holding, -holding.bytes)
  }
  /** @param own bytes that the asking client would hold; a client with less memory makes no room */
  const makeRoom = (own: number): boolean => {
    let largest: Holding | undefined
    for (const holding of holdings) {
      if (holding.isComplete || holding.bytes === 0) continue
      const most = largest === undefined ? own : heldBy(largest.client)
      if (heldBy(holding.client) > most) largest = holding
    }
    if (largest === undefined) return false
    free(largest)
    largest.abort()
    return true
  }
  return {
    open: (client, abort) => {
      const holding: Holding = { client, abort, bytes: 0, isComplete: false }
      holdings.add(holding)
      return {
        take: (bytes) => {
          const own = heldBy(client) + bytes
          if (!holdings.has(holding) || own > of(client)) return false
          while (all + bytes > total) if (!makeRoom(own)) return false
          add(holding, bytes)
          return true
        },
        complete: () => {
          holding.isComplete = true
        },
        release: () => free(holding),
      }
    },
  }
}

/** `no-room`: `take` refused. `aborted`: the client closed the connection. */
export type BodyOutcome = { readonly body: Buffer } | 'too-large' | 'no-room' | 'aborted'

/**
 * Reads a body into memory.
 *
 * @param longest limit in bytes; a larger `content-length` is refused before any byte is read
 * @param take counts bytes before they are stored; false refuses the body
 */
export function readBody(
  incoming: IncomingMessage,
  longest: number,
  take: (bytes: number) => boolean,
): Promise<BodyOutcome> {
  if (Number(incoming.headers['content-length'] ?? 0) > longest) return Promise.resolve('too-large')
  return new Promise((resolve) => {
    const collected = createGrowingBuffer(longest, take)
    let length = 0
    const settle = (outcome: BodyOutcome) => {
      incoming.off('data', onData)
      resolve(outcome)
    }
    const onData = (piece: Buffer) => {
      length += piece.length
      if (length > longest) return settle('too-large')
      if (!collected.append(piece)) settle('no-room')
    }
    incoming.on('data', onData)
    incoming.once('end', () => settle({ body: collected.bytes() }))
    incoming.once('error', () => settle('aborted'))
    incoming.once('close', () => settle('aborted'))
  })
}

/** Pieces that every body may have, however small they are. */
const freePieces = 1_024
/** Bytes that each further piece must have on average. */
const bytesPerPiece = 64

/**
 * Watches the pieces in which a body arrives. Each piece costs time, so a body in single bytes costs far more than its
 * sender spends.
 *
 * @param onTooMany called once, when a body has more than 1,024 pieces with fewer than 64 bytes on average
 */
export function watchPieces(incoming: IncomingMessage, onTooMany: () => void): void {
  let pieces = 0
  let length = 0
  const onData = (piece: Buffer) => {
    pieces++
    length += piece.length
    if (pieces <= freePieces + length / bytesPerPiece) return
    incoming.off('data', onData)
    onTooMany()
  }
  incoming.on('data', onData)
}
