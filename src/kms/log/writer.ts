/**
 * Appends to the release log of one node: durable before any answer leaves.
 *
 * Entries that wait together are written, sealed by one signature and flushed together, so the cost of a
 * flush is shared by all releases that came meanwhile.
 */
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { equalBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { DigestList } from './digests.ts'
import type { LogDisk, LogFile } from './disk.ts'
import type { Entry } from './entry.ts'
import { headerLine, lineDigest, nextChain, type SealedHead, sealLine } from './format.ts'
import type { HeadFile, Position } from './head-file.ts'
import type { LogKey } from './key.ts'
import {
  broken,
  readHeader,
  readSegment,
  type Segment,
  segmentName,
  splitLines,
} from './segment.ts'

export interface LogPlace {
  readonly folder: string
  /** Another folder than the log's, best on another disk. */
  readonly headFile: string
  readonly key: LogKey
  readonly clock: Clock
  readonly disk?: LogDisk
  /** A new file is begun past this size. */
  readonly segmentBytes?: number
}

/** Chain proofs as JSON text, stored once a segment under their hash. */
export interface StoredEvidence {
  readonly digest: string
  readonly json: string
}

export interface ReleaseLog {
  readonly key: LogKey
  /** Resolves when the entry is on the disk. @throws KMS_LOG_UNWRITABLE: then nothing may be released */
  append(entry: Entry, evidence?: StoredEvidence): Promise<void>
  head(): SealedHead
  /** The chain after that many entries. @throws KMS_LOG_BROKEN */
  chainAt(entries: number): Promise<Uint8Array>
  /** Digests of the entries from this one on, as many as fit an answer. */
  digests(from: number): Promise<Uint8Array>
  /** What is sealed of one file. */
  segment(number: number): Promise<Uint8Array | undefined>
  /** Re-reads the next older file in turn. @throws KMS_LOG_BROKEN */
  scrub(): Promise<void>
  readonly size: () => { segments: number; bytes: number }
  /** Nothing is appended from here on, nor acknowledged. */
  halt(error: AssentError): void
  close(): Promise<void>
}

const batchEntries = 512
/** How long entries wait for others where the last ones had company. */
const gatherMs = 10
/** How long the head file may lag behind on the disk. */
const headLagMs = 250
export const digestsPerAnswer = 4096

interface Waiting {
  readonly entry: Entry
  readonly evidence: StoredEvidence | undefined
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Parts {
  readonly place: LogPlace
  readonly disk: LogDisk
  readonly segmentBytes: number
  readonly segment: Segment
  readonly file: LogFile
  readonly head: HeadFile
}

interface Current {
  readonly number: number
  readonly start: Position
  readonly file: LogFile
  readonly evidence: Set<string>
  readonly digests: DigestList
  bytes: number
}

export class LogWriter implements ReleaseLog {
  readonly key: LogKey
  readonly #parts: Parts
  #current: Current
  #position: Position
  #sealed: SealedHead
  #queue: Waiting[] = []
  #flushing: Promise<void> | undefined
  #flushingHead: Promise<void> | undefined
  #failure: AssentError | undefined
  #lastBatch = 0
  #scrubbed = 0
  readonly #closing = new AbortController()

  constructor(parts: Parts) {
    const { segment, file, place } = parts
    this.#parts = parts
    this.key = place.key
    this.#position = segment.sealed
    this.#sealed = place.key.seal({ ...segment.sealed, at: place.clock() })
    this.#current = {
      number: segment.number,
      start: segment.start,
      file,
      evidence: new Set(segment.evidence),
      digests: segment.digests,
      bytes: segment.sealedBytes,
    }
  }

  append(entry: Entry, evidence?: StoredEvidence): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#queue.push({ entry, evidence, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  head(): SealedHead {
    return this.#sealed
  }

  async chainAt(entries: number): Promise<Uint8Array> {
    if (entries === this.#position.entries) return this.#position.chain
    const { start, digests } = await this.#around(entries)
    return digests.foldTo(start.chain, entries - start.entries)
  }

  async digests(from: number): Promise<Uint8Array> {
    if (from >= this.#position.entries) return new Uint8Array()
    const { start, digests } = await this.#around(from)
    return digests.slice(from - start.entries, digestsPerAnswer)
  }

  async segment(number: number): Promise<Uint8Array | undefined> {
    const { place, disk } = this.#parts
    const limit = number === this.#current.number ? this.#current.bytes : undefined
    const bytes = await disk.read(join(place.folder, segmentName(number)))
    return bytes?.subarray(0, limit)
  }

  async scrub(): Promise<void> {
    if (this.#current.number === 0) return
    const number = this.#scrubbed++ % this.#current.number
    const found = await this.#read(number)
    const next =
      number + 1 === this.#current.number ? this.#current : await this.#header(number + 1)
    const fits =
      found.sealed.entries === next.start.entries &&
      equalBytes(found.sealed.chain, next.start.chain)
    if (!fits) throw broken(number, 'does not lead to the next one')
    const bytes = await this.segment(number)
    if (bytes?.length !== found.sealedBytes) throw broken(number, 'goes on after its last seal')
  }

  size() {
    return { segments: this.#current.number + 1, bytes: this.#current.bytes }
  }

  halt(error: AssentError): void {
    this.#failure = error
  }

  async close(): Promise<void> {
    await this.#flushing
    this.#closing.abort()
    await this.#flushingHead
    this.#failure ??= unwritable('The release log is closed.')
    await this.#parts.head.sync().catch(() => {})
    await this.#parts.head.close()
    await this.#current.file.close()
  }

  /** Start and digests of the file in which this entry lies. */
  async #around(entries: number): Promise<Pick<Segment, 'start' | 'digests'>> {
    if (entries >= this.#current.start.entries) return this.#current
    for (let number = this.#current.number - 1; number >= 0; number--) {
      const header = await this.#header(number)
      if (header.start.entries <= entries) return this.#read(number)
    }
    throw broken(0, 'does not begin where logs begin')
  }

  async #read(number: number): Promise<Segment> {
    const bytes = await this.segment(number)
    if (bytes === undefined) throw broken(number, 'is not there any more')
    return readSegment(this.key.identity, number, bytes)
  }

  async #header(number: number) {
    const { place, disk } = this.#parts
    const bytes = await disk.readPart(join(place.folder, segmentName(number)), 0, 4096)
    const [line] = splitLines(bytes)
    if (line === undefined) throw broken(number, 'has no header')
    return readHeader(this.key.identity, number, line.bytes)
  }

  async #flush(): Promise<void> {
    // the first entries wait a turn of the loop for others
    await nextTurn()
    while (this.#queue.length > 0) {
      if (this.#lastBatch > 1) await pause(gatherMs)
      const batch = this.#queue.splice(0, batchEntries)
      this.#lastBatch = batch.length
      try {
        if (this.#failure) throw this.#failure
        await this.#commit(batch)
        if (this.#failure) throw this.#failure
        for (const { resolve } of batch) resolve()
      } catch (error) {
        const failure = isAssentError(error) ? error : unwritable('The disk refuses.', error)
        for (const { reject } of batch) reject(failure)
      }
    }
    // in the same turn as the last look at the queue
    this.#flushing = undefined
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const { bytes: size, digests } = this.#current
    if (size >= this.#parts.segmentBytes && digests.count > 0) await this.#rotate()
    const at = this.#parts.place.clock()
    const { file, bytes, evidence } = this.#current
    const written = writeLines(batch, this.#position, evidence, at)
    const sealed = this.key.seal({ ...written.position, at })
    const content = encodeLines([...written.lines, sealLine(sealed)])

    try {
      await file.write(content, bytes)
    } catch (cause) {
      await this.#takeBack(file, bytes)
      throw unwritable('The release log cannot be written.', cause)
    }
    await this.#orHalt(() => file.sync())
    // after the log itself, so that the head is never ahead of it
    await this.#orHalt(() => this.#parts.head.write(written.position))
    this.#flushingHead ??= this.#syncHead()

    this.#current.bytes += content.length
    for (const digest of written.digests) this.#current.digests.add(digest)
    for (const digest of written.evidence) evidence.add(digest)
    this.#position = written.position
    this.#sealed = sealed
  }

  async #rotate(): Promise<void> {
    const { place, disk } = this.#parts
    const number = this.#current.number + 1
    const header = encodeLines([headerLine(this.key.identity, number, this.#position)])
    const path = join(place.folder, segmentName(number))
    try {
      // the head may lag behind within a file, never over its beginning
      await this.#parts.head.sync()
      await disk.create(path, header)
      const file = await disk.open(path)
      await this.#current.file.close()
      const start = this.#position
      this.#current = {
        number,
        start,
        file,
        evidence: new Set(),
        digests: new DigestList(),
        bytes: header.length,
      }
    } catch (cause) {
      throw unwritable('The next file of the release log cannot be begun.', cause)
    }
  }

  /** What was written of a batch that failed must not be taken for entries later. */
  async #takeBack(file: LogFile, bytes: number): Promise<void> {
    await this.#orHalt(() => file.truncate(bytes))
  }

  /** After a failed flush nobody knows what is on the disk; a restart reads it again. */
  async #orHalt(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (cause) {
      this.#failure = unwritable('The release log failed and needs a restart.', cause)
      throw this.#failure
    }
  }

  /** Once for all that was written within the lag. */
  async #syncHead(): Promise<void> {
    try {
      await pause(headLagMs, undefined, { signal: this.#closing.signal, ref: false })
      // what is written from here on needs another
      this.#flushingHead = undefined
      await this.#parts.head.sync()
    } catch (cause) {
      // what closes the log syncs the head itself
      if (this.#closing.signal.aborted) return
      this.#failure = unwritable('The head file of the release log failed.', cause)
    }
  }
}

function writeLines(
  batch: readonly Waiting[],
  from: Position,
  known: ReadonlySet<string>,
  at: number,
) {
  const lines: string[] = []
  const digests: Uint8Array[] = []
  const evidence = new Set<string>()
  let { entries, chain } = from
  const add = (line: string) => {
    const digest = lineDigest(line)
    lines.push(line)
    digests.push(digest)
    chain = nextChain(chain, digest)
    entries++
  }
  for (const { entry, evidence: proof } of batch) {
    if (proof && !known.has(proof.digest) && !evidence.has(proof.digest)) {
      add(
        `{"seq":${entries},"at":${at},"kind":"evidence","digest":"${proof.digest}","evidence":${proof.json}}`,
      )
      evidence.add(proof.digest)
    }
    add(JSON.stringify({ seq: entries, at, ...entry }))
  }
  return { lines, digests, evidence, position: { entries, chain } }
}

export function encodeLines(lines: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(`${lines.join('\n')}\n`, 'utf8'))
}

function unwritable(message: string, cause?: unknown): AssentError {
  return new AssentError('KMS_LOG_UNWRITABLE', message, { cause })
}
