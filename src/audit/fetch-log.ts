/** Copies the release log of a node into a folder, and continues a copy that exists. */
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { AssentError } from '../errors/index.ts'
import type { LogServer } from './log-server.ts'

/** The log to copy. */
export interface FetchOptions {
  readonly folder: string
  /** The first segment of a new copy. */
  readonly from: number
  /** Bytes that may be written. */
  readonly maxBytes: number
  readonly onProgress?: (segment: number, bytes: number) => void
  readonly signal?: AbortSignal
}

/** The copied files. */
export interface FetchedLog {
  /** Numbers of the first and the last segment in the folder. */
  readonly first: number
  readonly last: number
  /** Bytes that came now. */
  readonly bytes: number
  /** Bytes that were there before. */
  readonly resumed: number
}

/**
 * Copies all segments from the last one of the folder on. Only appended bytes are written: a copy is never changed, so
 * that it stays a witness of what the node showed before.
 *
 * @throws KMS_UNREACHABLE; LOG_ROLLED_BACK if the node shows less, or something else, than was copied
 * @throws LOG_CLOSED if the node does not show the first segment
 * @throws INPUT_TOO_LARGE at `maxBytes`; FILE_UNWRITABLE
 */
export async function fetchLog(server: LogServer, options: FetchOptions): Promise<FetchedLog> {
  const { folder, signal } = options
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw unwritable(folder, cause)
  })
  const known = await segmentsIn(folder)
  const first = known[0] ?? options.from
  let bytes = 0
  let resumed = 0
  for (let number = known.at(-1) ?? options.from; ; number++) {
    signal?.throwIfAborted()
    const progress = (written: number) => options.onProgress?.(number, bytes + written)
    const copied = await copySegment(server, number, {
      folder,
      maxBytes: options.maxBytes - bytes,
      progress,
    })
    if (copied === undefined) {
      if (number === first) throw notShown(number)
      return { first, last: number - 1, bytes, resumed }
    }
    bytes += copied.bytes
    resumed += copied.resumed
  }
}

async function segmentsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder)
  return names
    .filter((name) => /^[0-9]{8}\.log$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

interface CopyOptions {
  readonly folder: string
  readonly maxBytes: number
  readonly progress: (written: number) => void
}

/** @returns undefined if the node has no such segment */
async function copySegment(server: LogServer, number: number, options: CopyOptions) {
  const path = join(options.folder, `${String(number).padStart(8, '0')}.log`)
  const file = await open(path, 'a+').catch((cause: unknown) => {
    throw unwritable(path, cause)
  })
  try {
    const found = await file.stat()
    if (!found.isFile()) throw unwritable(path, new TypeError('not a regular file'))
    const { size: resumed } = found
    const part = await server.segment(number, resumed)
    if (part === undefined) {
      if (resumed === 0) await rm(path)
      else throw rolledBack(number, 'is gone')
      return undefined
    }
    if (part.size < resumed) throw rolledBack(number, 'is shorter than the copy of it')
    let at = part.from
    let bytes = 0
    for await (const piece of part.content) {
      // an old node sends what is copied already, and it must be the same
      const known = Math.max(0, Math.min(piece.length, resumed - at))
      if (known > 0) {
        const { buffer } = await file.read(Buffer.alloc(known), 0, known, at)
        if (!buffer.equals(piece.subarray(0, known))) throw rolledBack(number, 'was changed')
      }
      const added = piece.subarray(known)
      at += piece.length
      bytes += added.length
      if (bytes > options.maxBytes) throw tooLarge(options.maxBytes)
      await file.write(added)
      options.progress(bytes)
    }
    await file.sync()
    return { bytes, resumed }
  } finally {
    await file.close()
  }
}

function notShown(number: number): AssentError {
  return new AssentError('LOG_CLOSED', `The node does not show segment ${number} of its log.`, {
    facts: { segment: number },
  })
}

function rolledBack(number: number, how: string): AssentError {
  return new AssentError('LOG_ROLLED_BACK', `Segment ${number} of the log ${how}.`, {
    facts: { segment: number },
  })
}

function tooLarge(limit: number): AssentError {
  return new AssentError('INPUT_TOO_LARGE', 'The log is larger than the limit of this copy.', {
    facts: { limit },
    hint: 'Raise --max-mib; what was copied is kept, and the next run continues it.',
  })
}

function unwritable(path: string, cause: unknown): AssentError {
  return new AssentError('FILE_UNWRITABLE', `Cannot write ${path}.`, {
    cause,
    facts: { file: path },
  })
}
