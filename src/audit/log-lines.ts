/** Reads the lines of a log from its files, or from a node. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { AssentError } from '../errors/index.ts'
import { readPieces } from '../lib/files.ts'
import { createGrowingBuffer, type GrowingBuffer } from '../lib/growing-buffer.ts'
import { inOrder } from '../log-verify/verify.ts'
import type { LogServer } from './log-server.ts'

/** Longer than any line that a node writes. */
const longestLine = 2 ** 24

/** Names of the segments in a folder, in order. @throws FILE_UNREADABLE */
export async function listSegments(folder: string): Promise<string[]> {
  try {
    return inOrder((await readdir(folder)).map((name) => ({ name }))).map(({ name }) => name)
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${folder}.`, { cause })
  }
}

/** The content of one file. @throws FILE_UNREADABLE */
export function readSegmentFile(folder: string, name: string): AsyncGenerator<Uint8Array> {
  return readPieces(join(folder, name))
}

/** All segments of a node from a number on. @throws KMS_UNREACHABLE, LOG_CLOSED */
export async function* readSegments(
  server: LogServer,
  first: number,
): AsyncGenerator<AsyncIterable<Uint8Array>> {
  for (let number = first; ; number++) {
    const part = await server.segment(number, 0)
    if (part !== undefined) {
      yield part.content
      continue
    }
    if (number > first) return
    throw new AssentError('LOG_CLOSED', `The node does not show segment ${number} of its log.`, {
      facts: { segment: number },
    })
  }
}

/**
 * Splits content into lines without their line feeds.
 *
 * @returns whether something follows the last line feed
 * @throws FILE_UNREADABLE for a line that no node writes
 */
export async function* splitLines(
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, boolean> {
  let rest = createGrowingBuffer(longestLine)
  for await (const piece of content) {
    let from = 0
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, from)) {
      const end = piece.subarray(from, at)
      from = at + 1
      if (rest.bytes().length === 0) yield bufferOf(end)
      else {
        append(rest, end)
        yield rest.bytes()
        rest = createGrowingBuffer(longestLine)
      }
    }
    append(rest, piece.subarray(from))
  }
  return rest.bytes().length > 0
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

function append(rest: GrowingBuffer, bytes: Uint8Array): void {
  try {
    rest.append(bytes)
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `The log has a line of over ${longestLine} bytes.`, {
      cause,
    })
  }
}
