/** Reads one file of the log and says how far it holds; judges nothing about the other files. */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex } from '../../lib/bytes.ts'
import { DigestList } from './digests.ts'
import { genesisChain, type LogIdentity, lineDigest, nextChain, type SealedHead } from './format.ts'
import type { Position } from './head-file.ts'
import { isSealedBy } from './key.ts'

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
  readonly evidence: ReadonlySet<string>
}

export interface SegmentHeader {
  readonly number: number
  readonly start: Position
}

const lineFeed = 10

export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.log`
}

export function segmentNumber(name: string): number | undefined {
  return /^[0-9]{8}\.log$/.test(name) ? Number.parseInt(name, 10) : undefined
}

/** @throws KMS_LOG_BROKEN if a sealed part is not what was sealed */
export function readSegment(identity: LogIdentity, number: number, bytes: Uint8Array): Segment {
  const lines = splitLines(bytes)
  const [head, ...rest] = lines
  if (head === undefined) throw broken(number, 'has no header')
  const { start } = readHeader(identity, number, head.bytes)
  const digests = new DigestList()
  const evidence: { digest: string; entry: number }[] = []
  const seals: { seal: SealedHead; end: number }[] = []
  let chain = start.chain
  for (const line of rest) {
    const seal = readSeal(line.bytes)
    if (seal === undefined) {
      const digest = lineDigest(line.bytes)
      for (const named of evidenceOf(line.bytes)) {
        evidence.push({ digest: named, entry: start.entries + digests.count })
      }
      digests.add(digest)
      chain = nextChain(chain, digest)
    } else if (seal.entries === start.entries + digests.count && equalBytes(seal.chain, chain)) {
      seals.push({ seal, end: line.end })
    } else if (isSealedBy(identity, seal)) {
      const facts = { entries: seal.entries }
      throw broken(number, 'was edited: a seal does not fit the entries before it', facts)
    }
  }
  // the last true seal vouches for all before it
  const last = seals.findLast(({ seal }) => isSealedBy(identity, seal))
  const sealed = last?.seal ?? start
  digests.keep(sealed.entries - start.entries)
  return {
    number,
    start,
    sealed: { entries: sealed.entries, chain: sealed.chain },
    sealedBytes: last?.end ?? head.end,
    digests,
    evidence: new Set(
      evidence.filter(({ entry }) => entry < sealed.entries).map(({ digest }) => digest),
    ),
  }
}

/** @throws KMS_LOG_BROKEN: of another place, or of another log */
export function readHeader(identity: LogIdentity, number: number, line: Uint8Array): SegmentHeader {
  const header = parse(line)
  const fits =
    header?.segment === number &&
    header.node === identity.node &&
    header.publicKey === hex(identity.publicKey) &&
    Number.isSafeInteger(header.first) &&
    typeof header.previous === 'string'
  if (!fits) throw broken(number, 'has the header of another segment or of another log')
  const start = {
    entries: header.first as number,
    chain: fromHex(header.previous as string, 'previous', 32),
  }
  const isGenesis = start.entries === 0 && equalBytes(start.chain, genesisChain(identity))
  if (number === 0 && !isGenesis) throw broken(number, 'does not begin where logs begin')
  return { number, start }
}

/** A seal line as it claims to be; whether this node made it is another question. */
export function readSeal(line: Uint8Array): SealedHead | undefined {
  if (Buffer.from(line.subarray(0, 8)).toString('latin1') !== '{"seal":') return undefined
  const seal = parse(line)
  if (seal === undefined || !Number.isSafeInteger(seal.seal) || !Number.isSafeInteger(seal.at)) {
    return undefined
  }
  try {
    return {
      entries: seal.seal as number,
      chain: fromHex(String(seal.chain), 'chain', 32),
      at: seal.at as number,
      signature: fromHex(String(seal.signature), 'signature', 64),
    }
  } catch {
    return undefined
  }
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

/** Evidence is stored once a segment; later entries name it by its digest. */
function evidenceOf(line: Uint8Array): string[] {
  const marker = Buffer.from(line.subarray(0, 64)).toString('latin1')
  if (!marker.includes('"kind":"evidence"')) return []
  const digest = parse(line)?.digest
  return typeof digest === 'string' ? [digest] : []
}

function parse(line: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(line).toString('utf8'))
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
