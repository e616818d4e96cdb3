/** Request bodies are read completely before a handler runs. Their bytes are limited per body, per client and in total. */
import type { IncomingMessage } from 'node:http'

/** Counts the body bytes that are in memory. */
export interface BodyBudget {
  /** @returns false if a limit would be exceeded; then nothing is counted */
  take(client: string, bytes: number): boolean
  /** Frees bytes that `take` counted. */
  give(client: string, bytes: number): void
}

/**
 * @param total bytes of all clients together
 * @param of bytes of one client
 */
export function createBodyBudget(total: number, of: (client: string) => number): BodyBudget {
  const held = new Map<string, number>()
  let all = 0
  const add = (client: string, bytes: number) => {
    all += bytes
    const own = (held.get(client) ?? 0) + bytes
    if (own > 0) held.set(client, own)
    else held.delete(client)
  }
  return {
    take: (client, bytes) => {
      if (all + bytes > total || (held.get(client) ?? 0) + bytes > of(client)) return false
      add(client, bytes)
      return true
    },
    give: (client, bytes) => add(client, -bytes),
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
    const chunks: Buffer[] = []
    let size = 0
    const settle = (outcome: BodyOutcome) => {
      incoming.off('data', onData)
      resolve(outcome)
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > longest) return settle('too-large')
      if (!take(chunk.length)) return settle('no-room')
      chunks.push(chunk)
    }
    incoming.on('data', onData)
    incoming.once('end', () => settle({ body: Buffer.concat(chunks) }))
    incoming.once('error', () => settle('aborted'))
    incoming.once('close', () => settle('aborted'))
  })
}
