/** Copies the release log of a node into a folder, and continues a copy that exists. */
import { type FileHandle, mkdir, open, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'

import { AssentError } from '../errors/index.ts'
import { type LogExpectations, LogVerification } from '../log-verify/verify.ts'
import { listSegments, readSegmentFile, splitLines } from './log-lines.ts'
import type { LogServer, SegmentPart } from './log-server.ts'

/** The log to copy. */
export interface FetchOptions {
  readonly folder: string
  /** The first segment of a new copy. */
  readonly from: number
  /** Bytes that may be received. A segment counts as at least 4 KiB. */
  readonly maxBytes: number
  /** The newest head, as the node signed it. */
  readonly head: { readonly entries: number; readonly publicKey: string }
  /** What the copy must be. */
  readonly expected: LogExpectations
  readonly onProgress?: (segment: number, bytes: number) => void
  readonly signal?: AbortSignal
}

/** The copied files. */
export interface FetchedLog {
  /** Numbers of the first and the last segment in the folder. */
  readonly first: number
  readonly last: number
  /** Bytes that were written now. */
  readonly bytes: number
  /** Bytes of the last segment that were there before. */
  readonly resumed: number
  /** Has read the whole copy, but has not ended. */
  readonly verification: LogVerification
}

/** Bytes that each segment counts at least: a request, and a file on the disk. */
const leastSegmentBytes = 4096
/** Bytes. A node seals after each append. */
const maxUnsealedBytes = 2 ** 26

/**
 * Copies all segments from the last one of the folder on, until the copy contains the signed head. Bytes are written when
 * a seal over them is verified, and are never changed then. Bytes without a seal at the end of the newest file, which an
 * interruption leaves, are removed and fetched again.
 *
 * @throws KMS_UNREACHABLE; KMS_ANSWER_INVALID for bytes that the node did not sign, of which nothing is kept
 * @throws LOG_ROLLED_BACK if the signed head has fewer entries than the copy
 * @throws LOG_CLOSED if the node does not show a segment
 * @throws INPUT_TOO_LARGE at `maxBytes`; FILE_UNWRITABLE, FILE_UNREADABLE
 */
export async function fetchLog(server: LogServer, options: FetchOptions): Promise<FetchedLog> {
  const { folder, from, head, signal } = options
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw unwritable(folder, cause)
  })
  const copy = await readCopy(options)
  const { verification, newest } = copy
  const first = copy.first ?? from
  const resumed = newest?.size ?? 0
  let [last, bytes, received] = [newest?.number ?? from - 1, 0, 0]
  // a copy with problems stays as it is
  if (copy.isForeign) return { first, last, bytes, resumed, verification }
  const copied = verification.position.entries
  if (head.entries < copied) throw rolledBack(copied, head.entries)
  for (
    let number = newest?.number ?? from;
    verification.position.entries < head.entries;
    number++
  ) {
    signal?.throwIfAborted()
    const known = number === newest?.number ? newest.size : 0
    if (known === 0) {
      verification.end(false)
      verification.begin(segmentName(number))
    }
    const part = await server.segment(number, known)
    if (part === undefined) throw notShown(number)
    received += Math.max(part.size - part.from, leastSegmentBytes)
    if (received > options.maxBytes) throw tooLarge(options.maxBytes)
    bytes += await appendPart(part, {
      path: join(folder, segmentName(number)),
      number,
      known,
      verification,
      progress: (written) => options.onProgress?.(number, bytes + written),
    })
    last = number
  }
  verification.end(false)
  return { first, last, bytes, resumed, verification }
}

function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.log`
}

/* THE COPY AS IT IS */

interface Copy {
  readonly first: number | undefined
  readonly newest: { readonly number: number; readonly size: number } | undefined
  readonly verification: LogVerification
  /** Lines before the end of the newest file are not of this node. */
  readonly isForeign: boolean
}

/** Reads and verifies the files. Bytes after the last seal of the newest one are removed. */
async function readCopy(options: FetchOptions): Promise<Copy> {
  const { folder, head, expected } = options
  const names = await listSegments(folder)
  const numbers = names.map((name) => Number.parseInt(name, 10))
  const [first, last] = [numbers[0], numbers.at(-1)]
  const verification = new LogVerification(expected)
  if (first === undefined || last === undefined) {
    return { first, newest: undefined, verification, isForeign: false }
  }
  for (const name of names.slice(0, -1)) {
    await readFileInto(verification, folder, name)
    verification.end(false)
  }
  const isForeign = verification.isForeign
  const name = names.at(-1) as string
  const { size, signed, lines } = await readFileInto(verification, folder, name)
  const isWhole = size === signed && size > 0
  const isOfNode = lines === 0 || verification.position.publicKey === head.publicKey
  if (isWhole || isForeign || !isOfNode) {
    if (!isWhole) verification.end(true)
    return { first, newest: { number: last, size }, verification, isForeign: isForeign || !isWhole }
  }
  const path = join(folder, name)
  const cut = signed === 0 ? rm(path) : truncate(path, signed)
  await cut.catch((cause: unknown) => {
    throw unwritable(path, cause)
  })
  return readCopy(options)
}

/** @returns bytes of the file, and bytes up to the last seal before the first line that the node did not sign */
async function readFileInto(verification: LogVerification, folder: string, name: string) {
  verification.begin(name)
  let [size, signed] = [0, 0]
  let lines = 0
  const content = splitLines(readSegmentFile(folder, name))
  let next = await content.next()
  for (; next.done !== true; next = await content.next()) {
    verification.line(next.value)
    lines++
    size += next.value.length + 1
    if (verification.isSigned) signed = size
  }
  // a line that was cut off counts, and its length does not matter
  return { size: next.value ? size + 1 : size, signed, lines }
}

/* WHAT THE NODE SENDS */

interface AppendOptions {
  readonly path: string
  readonly number: number
  /** Bytes of the file. */
  readonly known: number
  readonly verification: LogVerification
  readonly progress: (written: number) => void
}

/** Appends the lines up to the last seal. @returns bytes written */
async function appendPart(part: SegmentPart, options: AppendOptions): Promise<number> {
  const { path, number, known, verification, progress } = options
  // a new file is made for the first bytes that are verified
  let file = known > 0 ? await openForAppend(path) : undefined
  try {
    const lines = splitLines(skipKnown(part, { file, number, known }))
    let unsealed: Buffer[] = []
    let [waiting, written] = [0, 0]
    let next = await lines.next()
    for (; next.done !== true; next = await lines.next()) {
      verification.line(next.value)
      if (verification.isForeign) throw invalid(number, 'sent lines that it did not sign')
      unsealed.push(Buffer.concat([next.value, lineFeed]))
      waiting += next.value.length + 1
      if (waiting > maxUnsealedBytes) throw invalid(number, `sent ${waiting} bytes without a seal`)
      if (!verification.isSigned) continue
      file ??= await openForAppend(path)
      await file.write(Buffer.concat(unsealed))
      written += waiting
      unsealed = []
      waiting = 0
      progress(written)
    }
    if (waiting > 0 || next.value) throw invalid(number, 'sent lines without a seal')
    if (written === 0 && known === 0) throw invalid(number, 'sent no sealed entry of its log')
    await file?.sync()
    return written
  } finally {
    await file?.close()
  }
}

async function openForAppend(path: string): Promise<FileHandle> {
  const file = await open(path, 'a+').catch((cause: unknown) => {
    throw unwritable(path, cause)
  })
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw unwritable(path, new TypeError('not a regular file'))
}

const lineFeed = Buffer.from('\n')

/** An old node sends what is copied already, and it must be the same. */
async function* skipKnown(
  part: SegmentPart,
  { file, number, known }: { file: FileHandle | undefined; number: number; known: number },
): AsyncGenerator<Uint8Array> {
  if (part.size < known) throw invalid(number, 'sent less of its log than was copied')
  let at = part.from
  for await (const piece of part.content) {
    const same = Math.max(0, Math.min(piece.length, known - at))
    if (same > 0 && file !== undefined) {
      const { buffer } = await file.read(Buffer.alloc(same), 0, same, at)
      if (!buffer.equals(piece.subarray(0, same)))
        throw invalid(number, 'sent other bytes than were copied')
    }
    at += piece.length
    yield piece.subarray(same)
  }
}

function notShown(number: number): AssentError {
  return new AssentError('LOG_CLOSED', `The node does not show segment ${number} of its log.`, {
    facts: { segment: number },
  })
}

/** Anybody in the network can cause it, because TLS is not checked. */
function invalid(number: number, how: string): AssentError {
  return new AssentError('KMS_ANSWER_INVALID', `The node ${how} (segment ${number}).`, {
    facts: { segment: number },
    hint: 'Nothing of it is kept. Run the command again, also from another network: the certificate of the node is not checked.',
  })
}

function rolledBack(copied: number, shown: number): AssentError {
  return new AssentError(
    'LOG_ROLLED_BACK',
    `The node signed a head of ${shown} entries; the copy has ${copied}.`,
    { facts: { copied, shown } },
  )
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
