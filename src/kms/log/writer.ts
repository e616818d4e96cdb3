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

export interface LogLocation {
  readonly folder: string
  /** Another folder than the log's, best on another disk. */
  readonly headFile: string
  readonly key: LogKey
  readonly clock: Clock
  readonly disk?: LogDisk
  /** A new file is begun past this size. */
  readonly segmentBytes?: number
  /** Older files whose entries are all older than this are dropped; everything is kept where it is absent. */
  readonly keepDays?: number
}

export interface ReleaseLog {
  readonly key: LogKey
  /** Resolves when the entry is on the disk. @throws KMS_LOG_UNWRITABLE: then nothing may be released */
  append(entry: Entry, evidence?: StoredEvidence): Promise<void>
  head(): SealedHead
  /** The chain after that many entries. @throws KMS_LOG_BROKEN, KMS_LOG_ARCHIVED */
  chainAt(entries: number): Promise<Uint8Array>
  /** Digests of the entries from this one on, as many as fit an answer. @throws KMS_LOG_ARCHIVED */
  digests(from: number): Promise<Uint8Array>
  /** The sealed part of one segment; undefined if the log has no such file. */
  segment(number: number): Promise<SealedSegment | undefined>
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

interface QueuedEntry {
  readonly entry: Entry
  readonly evidence: StoredEvidence | undefined
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface WriterDependencies {
  readonly place: LogLocation
  readonly disk: LogDisk
  readonly segmentBytes: number
  readonly segment: Segment
  /** Of the files before it that are there, the oldest first. */
  readonly older: readonly SegmentHeader[]
  readonly checkpoint: number | undefined
  readonly file: LogFileHandle
  readonly head: HeadFile
}

/** An older file and where the next one begins. */
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

/** Chains of old heads that witnesses showed: they show the same ones again and again. */
const chainsKept = 64
const secondsADay = 86_400

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
    const { segment, file, place } = parts
    this.#parts = parts
    this.key = place.key
    this.#position = segment.sealed
    this.#sealed = place.key.seal({ ...segment.sealed, at: place.clock() })
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
    const { start, digests } = this.#current
    if (entries >= start.entries) return digests.foldTo(start.chain, entries - start.entries)
    const known = this.#chains.get(entries)
    if (known !== undefined) return known
    const chain = await this.#foldOlder(this.#around(entries), entries)
    this.#chains.set(entries, chain)
    if (this.#chains.size > chainsKept) this.#chains.delete(this.#chains.keys().next().value ?? 0)
    return chain
  }

  async digests(from: number): Promise<Uint8Array> {
    if (from >= this.#position.entries) return new Uint8Array()
    const { start, digests } = this.#current
    if (from >= start.entries) return digests.slice(from - start.entries, digestsPerAnswer)
    const { number, first, end } = this.#around(from)
    const count = Math.min(digestsPerAnswer, end.entries - from)
    return this.#indexed(number, from - first.entries, count)
  }

  async segment(number: number): Promise<SealedSegment | undefined> {
    const sealedBytes = number === this.#current.number ? this.#current.bytes : undefined
    return openSealedSegment({ disk: this.#parts.disk, path: this.#path(number) }, sealedBytes)
  }

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
    // what is derived from the file is made anew
    if (index && !equalBytes(index, digests)) await disk.replace(this.#indexPath(number), digests)
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

  /** The older file in which this entry lies. @throws KMS_LOG_ARCHIVED */
  #around(entries: number): SegmentBounds {
    const header = this.#older.findLast(({ start }) => start.entries <= entries)
    if (header !== undefined) return this.#bounds(header.number)
    const kept = this.#older[0]?.start.entries ?? this.#current.start.entries
    throw new AssentError('KMS_LOG_ARCHIVED', `Entry ${entries} is in no file any more.`, {
      facts: { entry: entries, kept },
    })
  }

  #bounds(number: number): SegmentBounds {
    const files = [...this.#older, this.#current]
    const at = files.findIndex((file) => file.number === number)
    const [file, next] = [files[at], files[at + 1]]
    if (file === undefined || next === undefined) throw broken(number, 'is not there any more')
    return { number, first: file.start, end: next.start }
  }

  async #read(number: number): Promise<Segment> {
    return readSegment(this.key.identity, number, {
      disk: this.#parts.disk,
      path: this.#path(number),
    })
  }

  /** Digests of an older file: a part of them costs as much as the part, however large the file is. */
  async #indexed(number: number, from: number, count: number): Promise<Uint8Array> {
    const { disk } = this.#parts
    const path = this.#indexPath(number)
    if ((await disk.size(path)) === undefined) await this.#index(number)
    return disk.readPart(path, from * 32, count * 32)
  }

  /** For files of older versions, or where the index was lost. */
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

  /** Folds the whole file, so that an index that is not the file's is found. */
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
    throw broken(number, 'has an index of digests that is not its own')
  }

  #path(number: number): string {
    return join(this.#parts.place.folder, segmentName(number))
  }

  #indexPath(number: number): string {
    return `${this.#path(number)}.digests`
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

  async #commit(batch: readonly QueuedEntry[]): Promise<void> {
    const { bytes: size, digests } = this.#current
    if (size >= this.#parts.segmentBytes && digests.count > 0) await this.#rotate()
    const at = this.#parts.place.clock()
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
    // after the log itself, so that the head is never ahead of it
    await this.#orHalt(() => this.#parts.head.write(written.position))
    this.#flushingHead ??= this.#syncHead()

    this.#current.bytes += content.length
    for (const digest of written.digests) this.#current.digests.add(digest)
    written.keepEvidence()
    this.#position = written.position
    this.#sealed = sealed
    if (kept) await this.#drop(kept.number)
  }

  /** The first file to keep, where there are or were files before it. Each file says it in its first entry. */
  #keptFrom(at: number): SegmentHeader | undefined {
    const { keepDays = Number.POSITIVE_INFINITY } = this.#parts.place
    const before = at - keepDays * secondsADay
    const files: readonly SegmentHeader[] = [...this.#older, this.#current]
    const isEnough = ({ checkpoint }: SegmentHeader) =>
      checkpoint !== undefined && checkpoint <= before
    const kept = files.findLast(isEnough) ?? files[0]
    return kept && kept.number > 0 ? kept : undefined
  }

  /** After the log says so: what is left of a drop that was cut off goes with the next one. */
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
      // the head may lag behind within a file, never over its beginning
      await this.#parts.head.sync()
      await disk.create(path, header)
      const file = await disk.open(path)
      await this.#current.file.close()
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
      throw unwritable('The next file of the release log cannot be begun.', cause)
    }
    // without it, the file itself is read when it is needed
    await disk.create(this.#indexPath(finished), digests.slice(0, digests.count)).catch(() => {})
  }

  /** What was written of a batch that failed must not be taken for entries later. */
  async #takeBack(file: LogFileHandle, bytes: number): Promise<void> {
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

/** Lines in the making: nothing of it counts before it is on the disk. */
class Batch {
  readonly lines: string[] = []
  readonly digests: Uint8Array[] = []
  position: Position
  readonly #known: EvidenceIndex
  readonly #fresh = new EvidenceIndex()
  readonly #at: number

  constructor(from: Position, known: EvidenceIndex, at: number) {
    this.position = from
    this.#known = known
    this.#at = at
  }

  add(entry: Entry): void {
    this.#line(JSON.stringify({ seq: this.position.entries, at: this.#at, ...entry }))
  }

  /** What of it the file does not hold yet, before the entry that needs it. */
  addEvidence(proof: StoredEvidence): void {
    const { digest, json } = proof
    const nodes = this.#fresh.missing(proof, this.#known)
    this.#fresh.addNodes(nodes)
    this.#fresh.addPart(proof.part)
    for (const line of linesOfNodes(nodes)) this.#line(`${this.#begin('nodes')},"nodes":[${line}]}`)
    if (!this.#known.hasRecord(digest) && !this.#fresh.hasRecord(digest)) {
      this.#fresh.addRecord(digest)
      this.#line(`${this.#begin('evidence')},"digest":"${digest}","evidence":${json}}`)
    }
  }

  /** Once it is on the disk. */
  keepEvidence(): void {
    this.#known.addAll(this.#fresh)
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

/** No line is much longer than this. */
const nodesPerLine = 64

function linesOfNodes(nodes: readonly string[]): string[] {
  const lines: string[] = []
  for (let at = 0; at < nodes.length; at += nodesPerLine) {
    const some = nodes.slice(at, at + nodesPerLine)
    lines.push(some.map((node) => `"${node}"`).join(','))
  }
  return lines
}

export function encodeLines(lines: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(`${lines.join('\n')}\n`, 'utf8'))
}

function unwritable(message: string, cause?: unknown): AssentError {
  return new AssentError('KMS_LOG_UNWRITABLE', message, { cause })
}
