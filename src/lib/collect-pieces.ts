/** Collects the body of a message of a peer, which decides in how many pieces it comes. */
import type { IncomingMessage } from 'node:http'

import { createGrowingBuffer } from './growing-buffer.ts'

/**
 * Copies the pieces of a message into one block while they come in. A list of pieces would need hundreds of bytes of
 * memory for each byte that a peer sends alone.
 *
 * @param tooLong called at the piece that exceeds `longest`; it and later ones are dropped
 * @returns gives the message so far
 * @example
 * const body = collectPieces(incoming, 65_536, () => outgoing.destroy(new Error('too long')))
 * incoming.on('end', () => resolve(body().toString('utf8')))
 */
export function collectPieces(
  incoming: IncomingMessage,
  longest: number,
  tooLong: () => void,
): () => Buffer {
  const collected = createGrowingBuffer(longest)
  let length = 0
  incoming.on('data', (piece: Buffer) => {
    length += piece.length
    if (length > longest) tooLong()
    else collected.append(piece)
  })
  return collected.bytes
}
