/** Reads one file of the log and says how far it holds; judges nothing about the other files. */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex } from '../../lib/bytes.ts'
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
import { EvidenceIndex } from './stored-evidence.ts'

export interface Segment {
  readonly number: number
  /** Where it begins. */
  readonly start: Position
  /** Of its sealed entries. */
  readonly digests: DigestList
  /** The last seal, or the beginning where nothing is sealed yet. */
  readonly sealed: Position
  /** Up to here the file is sealed; what follows was never acknowledged. */
  readonly sealedBytes: number
  readonly evidence: EvidenceIndex
  /** The files from this number on are kept, if its entries say so. */
  readonly keptFrom: number
}

export interface SegmentHeader {
  readonly number: number
  readonly start: Position
  /** When the files before were finished, where the node sealed that: then this one stands without them. */
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
/** Read at once; other work goes on in between. */
const partBytes = 2 ** 16

export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.log`
}

export function segmentNumber(name: string): number | undefined {
  return /^[0-9]{8}\.log$/.test(name) ? Number.parseInt(name, 10) : undefined
}

/** @throws KMS_LOG_BROKEN if a sealed part is not what was sealed */
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

/** The lines of a file with the place where each ends; what follows the last line feed is no line. */
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

/** Line by line, so that a file of any size is read in little memory. */
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
  /** Something that no node writes: a seal after it would vouch for it. */
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
    // the last true seal vouches for all before it
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
      this.#foreign ??= { how: 'holds a seal that is none', entries: this.#entries }
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
      this.#foreign ??= { how: 'holds a line that is not the next entry', entries: seq }
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
      const index = new EvidenceIndex()
      index.addNodes(nodes)
      this.#evidence.push({ entry, add: (whole) => whole.addAll(index) })
    }
    if (kind === 'archived' && Number.isSafeInteger(segments)) {
      this.#kept.push({ entry, from: Number(segments) })
    }
  }
}

/** @throws KMS_LOG_BROKEN: of another place, or of another log */
export function readHeader(identity: LogIdentity, number: number, line: Uint8Array): SegmentHeader {
  const header = parse(line)
  const { node, publicKey } = identity
  const fits =
    header?.log === logVersion &&
    header.segment === number &&
    header.node === node &&
    header.publicKey === hex(publicKey) &&
    header.rootKey === hex(identity.rootKey) &&
    isOfRoot({ ...identity, rootSignature: bytesOf(header.rootSignature, 64) ?? new Uint8Array() })
  const [first, previous] = [header?.first, bytesOf(header?.previous, 32)]
  if (!fits || !isCount(first) || previous === undefined) {
    throw broken(number, 'has the header of another segment or of another log')
  }
  const start = { entries: first, chain: previous }
  const isGenesis = start.entries === 0 && equalBytes(start.chain, genesisChain(identity))
  if (number === 0 && !isGenesis) throw broken(number, 'does not begin where logs begin')
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
  throw broken(number, 'has a beginning that its node did not seal')
}

/** A seal line as it claims to be; whether this node made it is another question. */
export function readSeal(line: Uint8Array): SealedHead | undefined {
  if (!isSealLine(line)) return undefined
  const { seal: entries, at, ...rest } = parse(line) ?? {}
  const [chain, signature] = [bytesOf(rest.chain, 32), bytesOf(rest.signature, 64)]
  if (!isCount(entries) || !isCount(at) || !chain || !signature) return undefined
  return { entries, chain, at, signature }
}

/** The first file that is kept, if the entry says so. */
export function readKeptFrom(line: Uint8Array | undefined): number {
  const { kind, segments } = (line && parse(line)) ?? {}
  return kind === 'archived' && isCount(segments) ? segments : 0
}

export function splitLines(bytes: Uint8Array): { bytes: Uint8Array; end: number }[] {
  const lines: { bytes: Uint8Array; end: number }[] = []
  let from = 0
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, from)) {
    lines.push({ bytes: bytes.subarray(from, at), end: at + 1 })
    from = at + 1
  }
  return lines
}

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

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
