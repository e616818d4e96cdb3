/**
 * Appends to the release log of one node. An entry is durable before its answer is sent.
 *
 * Waiting entries are written as one batch with one seal and one flush, so concurrent releases share the cost.
 */
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { equalBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { DigestList } from './digests.ts'
import type { Entry } from './entry.ts'
import type { LogDisk, LogFileHandle } from './file-system.ts'
import { headerLine, lineDigest, nextChain, type SealedHead, sealLine } from './format.ts'
import type { HeadFile, Position } from './head-file.ts'
import type { LogKey } from './key.ts'
import {
  broken,
  openSealedSegment,
  readSegment,
  type SealedSegment,
  type Segment,
  type SegmentHeader,
  segmentName,
} from './segment.ts'
import { EvidenceIndex, type StoredEvidence } from './stored-evidence.ts'

/** Folder and retention of a log. */
export interface LogLocation {
  /** Folder of the segments. */
  readonly folder: string
  /** Path of the head file: in another folder, best on another disk. */
  readonly headFile: string
  /** Signs entries and heads. */
  readonly key: LogKey
  /** Unix seconds. */
  readonly clock: Clock
  /** Default: the real file system. Tests inject faults here. */
  readonly disk?: LogDisk
  /** A new segment starts after this size. Default: 64 MiB. */
  readonly segmentBytes?: number
  /** Segments whose entries are all older are deleted. Default: nothing is deleted. */
  readonly keepDays?: number
}

/** An open release log. */
export interface ReleaseLog {
  /** Signs entries and heads. */
  readonly key: LogKey
  /** Resolves when the entry is durable. @throws KMS_LOG_UNWRITABLE: then nothing may be released */
  append(entry: Entry, evidence?: StoredEvidence): Promise<void>
  /** The newest sealed head. */
  head(): SealedHead
  /** The hash chain after that many entries. @throws KMS_LOG_BROKEN, KMS_LOG_ARCHIVED */
  chainAt(entries: number): Promise<Uint8Array>
  /** Digests from this entry on, at most `digestsPerAnswer`, concatenated. @throws KMS_LOG_ARCHIVED */
  digests(from: number): Promise<Uint8Array>
  /** The sealed part of one segment; undefined if the log has no such file. */
  segment(number: number): Promise<SealedSegment | undefined>
  /** Verifies the next older segment again, in turn. @throws KMS_LOG_BROKEN */
  scrub(): Promise<void>
  /** Number of segments, and bytes of the newest one. */
  readonly size: () => { segments: number; bytes: number }
  /** From now on nothing is appended or acknowledged: `append` throws this error. */
  halt(error: AssentError): void
  /** Seals the log and closes its files. */
  close(): Promise<void>
}

/** Maximum entries of one batch. */
const batchEntries = 512
/** After a batch with several entries, the next one waits this long for more. */
const gatherMs = 10
/** The head file is flushed within this time. */
const headLagMs = 250
/** 128 KiB of digests; twice that as hex. */
export const digestsPerAnswer = 4096

interface QueuedEntry {
  readonly entry: Entry
  readonly evidence: StoredEvidence | undefined
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface WriterDependencies {
  readonly location: LogLocation
  readonly disk: LogDisk
  readonly segmentBytes: number
  readonly segment: Segment
  /** Headers of the existing older segments, the oldest first. */
  readonly older: readonly SegmentHeader[]
  readonly checkpoint: number | undefined
  readonly file: LogFileHandle
  readonly head: HeadFile
}

/** An older segment with its first and last position. */
interface SegmentBounds {
  readonly number: number
  readonly first: Position
  readonly end: Position
}

interface OpenSegment {
  readonly number: number
  readonly start: Position
  readonly checkpoint: number | undefined
  readonly file: LogFileHandle
  readonly evidence: EvidenceIndex
  readonly digests: DigestList
  bytes: number
}

/** Cached hash chains of old heads: witnesses ask for the same ones again and again. */
const chainsKept = 64
const secondsADay = 86_400

/**
 * Appends entries. Entries of concurrent requests are written in one batch with one seal, one `fsync` and one update of
 * the head file. After a failed write the writer refuses everything: what is on the disk is then unknown.
 */
export class LogWriter implements ReleaseLog {
  readonly key: LogKey
  readonly #parts: WriterDependencies
  #current: OpenSegment
  #position: Position
  #sealed: SealedHead
  #queue: QueuedEntry[] = []
  #flushing: Promise<void> | undefined
  #flushingHead: Promise<void> | undefined
  #failure: AssentError | undefined
  #lastBatch = 0
  #older: SegmentHeader[]
  #scrubbed = 0
  readonly #chains = new Map<number, Uint8Array>()
  readonly #indexing = new Map<number, Promise<void>>()
  readonly #closing = new AbortController()

  constructor(parts: WriterDependencies) {
    const { segment, file, location } = parts
    this.#parts = parts
    this.key = location.key
    this.#position = segment.sealed
    this.#sealed = location.key.seal({ ...segment.sealed, at: location.clock() })
    this.#older = [...parts.older]
    this.#current = {
      number: segment.number,
      start: segment.start,
      checkpoint: parts.checkpoint,
      file,
      evidence: segment.evidence,
      digests: segment.digests,
      bytes: segment.sealedBytes,
    }
  }

  /**
   * Appends an entry with its evidence and resolves when entry and seal are on the disk. Entries that wait together
   * share one seal and one flush.
   *
   * @throws KMS_LOG_UNWRITABLE (the entry is not in the log), KMS_LOG_HALTED
   */
  append(entry: Entry, evidence?: StoredEvidence): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#queue.push({ entry, evidence, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** The newest signed head on the disk. */
  head(): SealedHead {
    return this.#sealed
  }

  /** The hash chain after that many entries, 32 bytes, for a witness that remembers an older head. */
  async chainAt(entries: number): Promise<Uint8Array> {
    if (entries === this.#position.entries) return this.#position.chain
    const { start, digests } = this.#current
    if (entries >= start.entries) return digests.foldTo(start.chain, entries - start.entries)
    const known = this.#chains.get(entries)
    if (known !== undefined) return known
    const chain = await this.#foldOlder(this.#around(entries), entries)
    this.#chains.set(entries, chain)
    if (this.#chains.size > chainsKept) this.#chains.delete(this.#chains.keys().next().value ?? 0)
    return chain
  }

  /** Digests of at most one page of entries from entry `from` on, 32 bytes each. */
  async digests(from: number): Promise<Uint8Array> {
    if (from >= this.#position.entries) return new Uint8Array()
    const { start, digests } = this.#current
    if (from >= start.entries) return digests.slice(from - start.entries, digestsPerAnswer)
    const { number, first, end } = this.#around(from)
    const count = Math.min(digestsPerAnswer, end.entries - from)
    return this.#indexed(number, from - first.entries, count)
  }

  /** A segment up to its last seal; undefined for a number that does not exist. */
  async segment(number: number): Promise<SealedSegment | undefined> {
    const sealedBytes = number === this.#current.number ? this.#current.bytes : undefined
    return openSealedSegment({ disk: this.#parts.disk, path: this.#path(number) }, sealedBytes)
  }

  /**
   * Reads one older segment again and compares it with its neighbours, so that a damaged disk is found before a
   * restart.
   *
   * @throws KMS_LOG_BROKEN
   */
  async scrub(): Promise<void> {
    const oldest = this.#older[0]?.number ?? this.#current.number
    if (oldest === this.#current.number) return
    const number = oldest + (this.#scrubbed++ % (this.#current.number - oldest))
    const { end } = this.#bounds(number)
    const found = await this.#read(number)
    const fits = found.sealed.entries === end.entries && equalBytes(found.sealed.chain, end.chain)
    if (!fits) throw broken(number, 'does not lead to the next one')
    const { disk } = this.#parts
    if ((await disk.size(this.#path(number))) !== found.sealedBytes)
      throw broken(number, 'goes on after its last seal')
    const index = await disk.read(this.#indexPath(number))
    const digests = found.digests.slice(0, found.digests.count)
    // the index is derived from the segment, so a damaged one is replaced
    if (index && !equalBytes(index, digests)) await disk.replace(this.#indexPath(number), digests)
  }

  /** Number of segments, and bytes of the current one. */
  size() {
    return { segments: this.#current.number + 1, bytes: this.#current.bytes }
  }

  /** Stops the log permanently: every later append throws `error`. */
  halt(error: AssentError): void {
    this.#failure = error
  }

  /** Waits for running appends and writes the head file. */
  async close(): Promise<void> {
    await this.#flushing
    this.#closing.abort()
    await this.#flushingHead
    this.#failure ??= unwritable('The release log is closed.')
    await this.#parts.head.sync().catch(() => {})
    await this.#parts.head.close()
    await this.#current.file.close()
  }

  /** The older segment that contains this entry. @throws KMS_LOG_ARCHIVED */
  #around(entries: number): SegmentBounds {
    const header = this.#older.findLast(({ start }) => start.entries <= entries)
    if (header !== undefined) return this.#bounds(header.number)
    const kept = this.#older[0]?.start.entries ?? this.#current.start.entries
    throw new AssentError('KMS_LOG_ARCHIVED', `Entry ${entries} is in a deleted segment.`, {
      facts: { entry: entries, kept },
    })
  }

  #bounds(number: number): SegmentBounds {
    const files = [...this.#older, this.#current]
    const at = files.findIndex((file) => file.number === number)
    const [file, next] = [files[at], files[at + 1]]
    if (file === undefined || next === undefined) throw broken(number, 'was deleted')
    return { number, first: file.start, end: next.start }
  }

  async #read(number: number): Promise<Segment> {
    return readSegment(this.key.identity, number, {
      disk: this.#parts.disk,
      path: this.#path(number),
    })
  }

  /** Digests of an older segment from its index file, so that the cost does not depend on the segment's size. */
  async #indexed(number: number, from: number, count: number): Promise<Uint8Array> {
    const { disk } = this.#parts
    const path = this.#indexPath(number)
    if ((await disk.size(path)) === undefined) await this.#index(number)
    return disk.readPart(path, from * 32, count * 32)
  }

  /** Creates a missing index: of a segment of an older version, or a lost one. */
  #index(number: number): Promise<void> {
    const running = this.#indexing.get(number)
    if (running !== undefined) return running
    const indexing = this.#read(number)
      .then(({ digests }) =>
        this.#parts.disk.replace(this.#indexPath(number), digests.slice(0, digests.count)),
      )
      .finally(() => this.#indexing.delete(number))
    this.#indexing.set(number, indexing)
    return indexing
  }

  /** Folds the complete segment, so that a wrong index is detected. @throws KMS_LOG_BROKEN */
  async #foldOlder({ number, first, end }: SegmentBounds, entries: number): Promise<Uint8Array> {
    let { chain } = first
    let wanted = chain
    for (let at = first.entries; at < end.entries; ) {
      const page = await this.#indexed(number, at - first.entries, digestsPerAnswer)
      if (page.length < 32) break
      for (let offset = 0; offset < page.length && at < end.entries; offset += 32) {
        chain = nextChain(chain, page.subarray(offset, offset + 32))
        if (++at === entries) wanted = chain
      }
    }
    if (equalBytes(chain, end.chain)) return wanted
    throw broken(number, 'has an index of digests that does not match it')
  }

  #path(number: number): string {
    return join(this.#parts.location.folder, segmentName(number))
  }

  #indexPath(number: number): string {
    return `${this.#path(number)}.digests`
  }

  async #flush(): Promise<void> {
    // entries of the same turn of the event loop share a batch
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
        const failure = isAssentError(error)
          ? error
          : unwritable('The release log could not be written.', error)
        for (const { reject } of batch) reject(failure)
      }
    }
    // in the same turn in which the queue was found empty, so that no entry is left waiting
    this.#flushing = undefined
  }

  async #commit(batch: readonly QueuedEntry[]): Promise<void> {
    const { bytes: size, digests } = this.#current
    if (size >= this.#parts.segmentBytes && digests.count > 0) await this.#rotate()
    const at = this.#parts.location.clock()
    const { file, bytes, evidence } = this.#current
    const kept = this.#current.digests.count === 0 ? this.#keptFrom(at) : undefined
    const written = new Batch(this.#position, evidence, at)
    if (kept) written.add({ kind: 'archived', segments: kept.number, entries: kept.start.entries })
    for (const { entry, evidence: proof } of batch) {
      if (proof) written.addEvidence(proof)
      written.add(entry)
    }
    const sealed = this.key.seal({ ...written.position, at })
    const content = encodeLines([...written.lines, sealLine(sealed)])

    try {
      await file.write(content, bytes)
    } catch (cause) {
      await this.#takeBack(file, bytes)
      throw unwritable('The release log cannot be written.', cause)
    }
    await this.#orHalt(() => file.sync())
    // after the log itself, so that the head file is never ahead of it
    await this.#orHalt(() => this.#parts.head.write(written.position))
    this.#flushingHead ??= this.#syncHead()

    this.#current.bytes += content.length
    for (const digest of written.digests) this.#current.digests.add(digest)
    written.keepEvidence()
    this.#position = written.position
    this.#sealed = sealed
    if (kept) await this.#drop(kept.number)
  }

  /** The first segment to keep, if older ones exist or existed. Each segment declares it in its first entry. */
  #keptFrom(at: number): SegmentHeader | undefined {
    const { keepDays = Number.POSITIVE_INFINITY } = this.#parts.location
    const before = at - keepDays * secondsADay
    const files: readonly SegmentHeader[] = [...this.#older, this.#current]
    const isEnough = ({ checkpoint }: SegmentHeader) =>
      checkpoint !== undefined && checkpoint <= before
    const kept = files.findLast(isEnough) ?? files[0]
    return kept && kept.number > 0 ? kept : undefined
  }

  /** Deletes segments after the log has declared it. What an interrupted deletion leaves is deleted next time. */
  async #drop(keptFrom: number): Promise<void> {
    const dropped = this.#older.filter(({ number }) => number < keptFrom)
    this.#older = this.#older.filter(({ number }) => number >= keptFrom)
    const paths = dropped.flatMap(({ number }) => [this.#path(number), this.#indexPath(number)])
    await Promise.all(paths.map((path) => this.#parts.disk.remove(path).catch(() => {})))
  }

  async #rotate(): Promise<void> {
    const { disk } = this.#parts
    const { number: finished, start: began, checkpoint, digests } = this.#current
    const number = finished + 1
    const header = encodeLines([headerLine(this.key.identity, number, this.#sealed)])
    const path = this.#path(number)
    try {
      // the head file may be behind within a segment, but never before its start
      await this.#parts.head.sync()
      await createOrTakeOver(disk, path, header)
      const file = await disk.open(path)
      // every acknowledged entry in it is flushed
      await this.#current.file.close().catch(() => {})
      const start = this.#position
      this.#older.push({ number: finished, start: began, checkpoint })
      this.#current = {
        number,
        start,
        checkpoint: this.#sealed.at,
        file,
        evidence: new EvidenceIndex(),
        digests: new DigestList(),
        bytes: header.length,
      }
    } catch (cause) {
      throw unwritable('The next segment of the release log could not be created.', cause)
    }
    // optional: without an index, the segment is read when digests are needed
    await disk.create(this.#indexPath(finished), digests.slice(0, digests.count)).catch(() => {})
  }

  /** Removes the bytes of a failed batch, so that they are not read as entries later. */
  async #takeBack(file: LogFileHandle, bytes: number): Promise<void> {
    await this.#orHalt(() => file.truncate(bytes))
  }

  /** After a failed flush the state of the disk is unknown. The log stays closed until a restart reads it. */
  async #orHalt(run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (cause) {
      this.#failure = unwritable('The release log failed and needs a restart.', cause)
      throw this.#failure
    }
  }

  /** One flush for all writes within `headLagMs`. */
  async #syncHead(): Promise<void> {
    try {
      await pause(headLagMs, undefined, { signal: this.#closing.signal, ref: false })
      // later writes need another flush
      this.#flushingHead = undefined
      await this.#parts.head.sync()
    } catch (cause) {
      // `close` flushes the head file itself
      if (this.#closing.signal.aborted) return
      this.#failure = unwritable('The head file of the release log failed.', cause)
    }
  }
}

/**
 * Creates a file. If an attempt that failed has left exactly this file, it is written again: whether it is durable is not
 * known.
 */
async function createOrTakeOver(disk: LogDisk, path: string, content: Uint8Array): Promise<void> {
  try {
    await disk.create(path, content)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    const left = await disk.readPart(path, 0, content.length + 1)
    if (!equalBytes(left, content)) throw cause
    await disk.replace(path, content)
  }
}

/** Lines and the position after them. The log's state changes only after they are durable. */
class Batch {
  readonly lines: string[] = []
  readonly digests: Uint8Array[] = []
  position: Position
  readonly #known: EvidenceIndex
  readonly #fresh = new EvidenceIndex()
  readonly #added: StoredEvidence[] = []
  readonly #at: number

  constructor(from: Position, known: EvidenceIndex, at: number) {
    this.position = from
    this.#known = known
    this.#at = at
  }

  add(entry: Entry): void {
    this.#line(JSON.stringify({ seq: this.position.entries, at: this.#at, ...entry }))
  }

  /** Adds the parts of the evidence that the segment does not contain, before the entry that refers to them. */
  addEvidence(proof: StoredEvidence): void {
    const { digest, json } = proof
    const { ids, nodes } = this.#fresh.missing(proof, this.#known)
    this.#fresh.addNodes(ids)
    this.#fresh.addEvidence(proof)
    this.#added.push(proof)
    for (const line of linesOfNodes(nodes)) this.#line(`${this.#begin('nodes')},"nodes":[${line}]}`)
    if (!this.#known.hasRecord(digest) && !this.#fresh.hasRecord(digest)) {
      this.#fresh.addRecord(digest)
      this.#line(`${this.#begin('evidence')},"digest":"${digest}","evidence":${json}}`)
    }
  }

  /** Call it when the batch is durable. */
  keepEvidence(): void {
    this.#known.addAll(this.#fresh)
    for (const proof of this.#added) this.#known.addEvidence(proof)
  }

  #begin(kind: string): string {
    return `{"seq":${this.position.entries},"at":${this.#at},"kind":"${kind}"`
  }

  #line(line: string): void {
    const digest = lineDigest(line)
    this.lines.push(line)
    this.digests.push(digest)
    const { entries, chain } = this.position
    this.position = { entries: entries + 1, chain: nextChain(chain, digest) }
  }
}

/** Limits the length of a line. */
const nodesPerLine = 64

function linesOfNodes(nodes: readonly string[]): string[] {
  const lines: string[] = []
  for (let at = 0; at < nodes.length; at += nodesPerLine) {
    const some = nodes.slice(at, at + nodesPerLine)
    lines.push(some.map((node) => `"${node}"`).join(','))
  }
  return lines
}

/** Lines with a line feed after each, UTF-8. */
export function encodeLines(lines: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(`${lines.join('\n')}\n`, 'utf8'))
}

function unwritable(message: string, cause?: unknown): AssentError {
  return new AssentError('KMS_LOG_UNWRITABLE', message, { cause })
}
