/** Reads one segment of the log and finds out how far it is valid. Other segments are not checked here. */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, toHex } from '../../lib/bytes.ts'
import { DigestList } from './digests.ts'
import type { LogDisk } from './file-system.ts'
import {
  genesisChain,
  type LogIdentity,
  lineDigest,
  logVersion,
  nextChain,
  type SealedHead,
} from './format.ts'
import type { Position } from './head-file.ts'
import { isOfRoot, isSealedBy } from './key.ts'
import { EvidenceIndex, idsOf } from './stored-evidence.ts'

/** The result of reading a segment. */
export interface Segment {
  /** From 0; also the file's name. */
  readonly number: number
  /** Head of the log at its beginning. */
  readonly start: Position
  /** Digests of its sealed entries. */
  readonly digests: DigestList
  /** Head at the last seal, or `start` if nothing is sealed. */
  readonly sealed: Position
  /** Bytes up to the end of the last seal. What follows was never acknowledged. */
  readonly sealedBytes: number
  /** The evidence in the file, so that it is not written twice. */
  readonly evidence: EvidenceIndex
  /** Number of the first segment that is kept, as its entries declare; 0: no segment was deleted. */
  readonly keptFrom: number
}

/** First line of a segment: which log it belongs to and where it starts. */
export interface SegmentHeader {
  /** Number of the segment, from 0. */
  readonly number: number
  /** Position after the last entry of the segment before it. */
  readonly start: Position
  /** Unix seconds at which the previous segment ended, if this one is a checkpoint (its start is sealed). */
  readonly checkpoint: number | undefined
}

/** The sealed bytes of one segment, read in parts: a segment may be a gigabyte. */
export interface SealedSegment {
  /** Bytes. */
  readonly size: number
  /** At most `length` bytes from this offset on; fewer at the end. */
  read(offset: number, length: number): Promise<Uint8Array>
}

type LogLineJson = Readonly<Record<string, unknown>>

const lineFeed = 10
/** Bytes read at once; other work of the process runs in between. */
const partBytes = 2 ** 16

/** @example segmentName(7) // '00000007.log' */
export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.log`
}

/** The number in a file name; undefined if the file is no segment. */
export function segmentNumber(name: string): number | undefined {
  return /^[0-9]{8}\.log$/.test(name) ? Number.parseInt(name, 10) : undefined
}

/** Reads and verifies a segment. @throws KMS_LOG_BROKEN if a sealed part was changed */
export async function readSegment(
  identity: LogIdentity,
  number: number,
  { disk, path }: { readonly disk: LogDisk; readonly path: string },
): Promise<Segment> {
  const scan = new SegmentScan(identity, number)
  await eachLine(disk, path, (line, end) => scan.line(line, end))
  return scan.finish()
}

/**
 * @param sealedBytes bytes of the file that are sealed; undefined for a finished segment, which is sealed to its end
 * @returns undefined if there is no such file
 */
export async function openSealedSegment(
  { disk, path }: { readonly disk: LogDisk; readonly path: string },
  sealedBytes?: number,
): Promise<SealedSegment | undefined> {
  const fileSize = await disk.size(path)
  if (fileSize === undefined) return undefined
  const size = sealedBytes ?? fileSize
  const read = (offset: number, length: number) =>
    disk.readPart(path, offset, Math.max(0, Math.min(length, size - offset)))
  return { size, read }
}

/**
 * Calls `use` with each line of a file and the offset of its end. Bytes after the last line feed are not a line.
 */
export async function eachLine(
  disk: LogDisk,
  path: string,
  use: (line: Uint8Array, end: number) => void,
): Promise<void> {
  let rest: Uint8Array = new Uint8Array()
  for (let at = 0; ; ) {
    const part = await disk.readPart(path, at, partBytes)
    if (part.length === 0) return
    const begins = at - rest.length
    at += part.length
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part])
    let from = 0
    for (const line of splitLines(bytes)) {
      use(line.bytes, begins + line.end)
      from = line.end
    }
    rest = bytes.slice(from)
  }
}

/** Reads line by line, so a large segment needs little memory. */
class SegmentScan {
  readonly #identity: LogIdentity
  readonly #number: number
  readonly #digests = new DigestList()
  readonly #evidence: { entry: number; add: (index: EvidenceIndex) => void }[] = []
  readonly #seals: { seal: SealedHead; end: number }[] = []
  #header: SegmentHeader | undefined
  #headerEnd = 0
  #chain: Uint8Array = new Uint8Array(32)
  #kept: { entry: number; from: number }[] = []
  /** A line that no node writes. An error if a valid seal follows; otherwise it was never acknowledged. */
  #foreign: { how: string; entries: number } | undefined

  constructor(identity: LogIdentity, number: number) {
    this.#identity = identity
    this.#number = number
  }

  line(line: Uint8Array, end: number): void {
    if (this.#header === undefined) {
      this.#header = readHeader(this.#identity, this.#number, line)
      this.#headerEnd = end
      this.#chain = this.#header.start.chain
    } else if (isSealLine(line)) this.#seal(line, end)
    else this.#entry(line)
  }

  finish(): Segment {
    const { start } = this.#header ?? {}
    if (start === undefined) throw broken(this.#number, 'has no header')
    // a valid seal covers all entries before it
    const last = this.#seals.findLast(({ seal }) => isSealedBy(this.#identity, seal))
    const sealed = last?.seal ?? start
    this.#digests.keep(sealed.entries - start.entries)
    const evidence = new EvidenceIndex()
    for (const { entry, add } of this.#evidence) if (entry < sealed.entries) add(evidence)
    const kept = this.#kept.filter(({ entry }) => entry < sealed.entries)
    return {
      number: this.#number,
      start,
      sealed: { entries: sealed.entries, chain: sealed.chain },
      sealedBytes: last?.end ?? this.#headerEnd,
      digests: this.#digests,
      evidence,
      keptFrom: Math.max(0, ...kept.map(({ from }) => from)),
    }
  }

  get #entries(): number {
    return (this.#header?.start.entries ?? 0) + this.#digests.count
  }

  #seal(line: Uint8Array, end: number): void {
    const seal = readSeal(line)
    const fits = seal?.entries === this.#entries && equalBytes(seal.chain, this.#chain)
    if (seal === undefined || !fits) {
      if (seal && isSealedBy(this.#identity, seal)) {
        const facts = { entries: seal.entries }
        const how = 'was edited: a seal does not fit the entries before it'
        throw broken(this.#number, how, facts)
      }
      this.#foreign ??= { how: 'contains an invalid seal', entries: this.#entries }
    } else if (this.#foreign === undefined) this.#seals.push({ seal, end })
    else if (isSealedBy(this.#identity, seal)) {
      const { how, entries } = this.#foreign
      throw broken(this.#number, how, { entries })
    }
  }

  #entry(line: Uint8Array): void {
    const entry = parse(line)
    const seq = this.#entries
    if (entry?.seq !== seq || typeof entry.kind !== 'string') {
      this.#foreign ??= { how: 'contains a line that is not the next entry', entries: seq }
    }
    const digest = lineDigest(line)
    this.#digests.add(digest)
    this.#chain = nextChain(this.#chain, digest)
    if (entry !== undefined) this.#note(entry, seq)
  }

  #note({ kind, digest, nodes, segments }: LogLineJson, entry: number): void {
    if (kind === 'evidence' && typeof digest === 'string') {
      this.#evidence.push({ entry, add: (index) => index.addRecord(digest) })
    }
    if (kind === 'nodes' && Array.isArray(nodes)) {
      const ids = idsOf(nodes)
      this.#evidence.push({ entry, add: (index) => index.addNodes(ids) })
    }
    if (kind === 'archived' && Number.isSafeInteger(segments)) {
      this.#kept.push({ entry, from: Number(segments) })
    }
  }
}

/** Reads the header. @throws KMS_LOG_BROKEN if it belongs to another segment or another log */
export function readHeader(identity: LogIdentity, number: number, line: Uint8Array): SegmentHeader {
  const header = parse(line)
  const { node, publicKey } = identity
  const fits =
    header?.log === logVersion &&
    header.segment === number &&
    header.node === node &&
    header.publicKey === toHex(publicKey) &&
    header.rootKey === toHex(identity.rootKey) &&
    isOfRoot({ ...identity, rootSignature: bytesOf(header.rootSignature, 64) ?? new Uint8Array() })
  const [first, previous] = [header?.first, bytesOf(header?.previous, 32)]
  if (!fits || !isCount(first) || previous === undefined) {
    throw broken(number, 'has the header of another segment or of another log')
  }
  const start = { entries: first, chain: previous }
  const isGenesis = start.entries === 0 && equalBytes(start.chain, genesisChain(identity))
  if (number === 0 && !isGenesis) throw broken(number, 'does not start with the genesis of a log')
  return { number, start, checkpoint: readCheckpoint(identity, number, start, header ?? {}) }
}

function readCheckpoint(
  identity: LogIdentity,
  number: number,
  start: Position,
  { at, seal }: LogLineJson,
): number | undefined {
  if (at === undefined && seal === undefined) return undefined
  const signature = bytesOf(seal, 64)
  const isSealed = isCount(at) && signature && isSealedBy(identity, { ...start, at, signature })
  if (isSealed) return at
  throw broken(number, 'has a start that its node did not seal')
}

/** Parses a seal line. The caller must check the signature. */
export function readSeal(line: Uint8Array): SealedHead | undefined {
  if (!isSealLine(line)) return undefined
  const { seal: entries, at, ...rest } = parse(line) ?? {}
  const [chain, signature] = [bytesOf(rest.chain, 32), bytesOf(rest.signature, 64)]
  if (!isCount(entries) || !isCount(at) || !chain || !signature) return undefined
  return { entries, chain, at, signature }
}

/** The number of the first kept segment, from an `archived` entry; 0 for other lines. */
export function readKeptFrom(line: Uint8Array | undefined): number {
  const { kind, segments } = (line && parse(line)) ?? {}
  return kind === 'archived' && isCount(segments) ? segments : 0
}

/** Complete lines without their line feeds, and the offset after each. */
export function splitLines(bytes: Uint8Array): { bytes: Uint8Array; end: number }[] {
  const lines: { bytes: Uint8Array; end: number }[] = []
  let from = 0
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, from)) {
    lines.push({ bytes: bytes.subarray(from, at), end: at + 1 })
    from = at + 1
  }
  return lines
}

/** KMS_LOG_BROKEN about one segment. @param how for example `has no header` */
export function broken(number: number, how: string, facts: Record<string, unknown> = {}) {
  return new AssentError('KMS_LOG_BROKEN', `Segment ${number} of the release log ${how}.`, {
    facts: { segment: number, ...facts },
  })
}

function isSealLine(line: Uint8Array): boolean {
  return Buffer.from(line.subarray(0, 8)).toString('latin1') === '{"seal":'
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function bytesOf(value: unknown, length: number): Uint8Array | undefined {
  const isHex =
    typeof value === 'string' && value.length === 2 * length && /^[0-9a-f]*$/.test(value)
  return isHex ? fromHex(value, 'bytes', length) : undefined
}

function parse(line: Uint8Array): LogLineJson | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(line).toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as LogLineJson)
      : undefined
  } catch {
    return undefined
  }
}
