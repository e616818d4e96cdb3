/**
 * Reads the lines of a log strictly. A log can come from anybody, so a field of another type than docs/release-log.md
 * states is refused and never converted.
 */

/** First line of a segment. */
export interface LoggedHeader {
  /** Number of the segment, from 0. */
  readonly segment: number
  /** Number of entries before the segment. */
  readonly first: number
  /** Hash chain before the segment: 64 hex digits; any other text in a header that continues nothing. */
  readonly previous: string
  /** Random id of the node, hex. */
  readonly node: string
  /** Hex. */
  readonly publicKey: string
  /** Compressed k256 public key of the KMS root, hex. */
  readonly rootKey: string
  /** Signature of the root key over the log key, hex. */
  readonly rootSignature: string
  /** The seal over `first` and `previous`; undefined in segment 0. */
  readonly checkpoint: { readonly at: number; readonly seal: string } | undefined
}

/** A signed head of a log: a seal line, the head in a `peer` entry, or one that another party observed. */
export interface LoggedHead {
  /** Number of entries. */
  readonly entries: number
  /** Hash chain after these entries: 64 hex digits. */
  readonly chain: string
  /** Unix seconds by the clock of the node. */
  readonly at: number
  /** Ed25519 signature of the node: 128 hex digits. */
  readonly signature: string
}

/** The block and the evidence of a decision. */
export interface LoggedGrounds {
  /** Boot info; each value is a text or a list of texts. */
  readonly boot: Readonly<Record<string, unknown>>
  /** Decimal number, hash with `0x`, Unix seconds. */
  readonly block: { readonly number: string; readonly hash: string; readonly timestamp: number }
  /** Name of the inclusion evidence; null: the entry has no evidence. */
  readonly proof: string | null
}

/** Kinds of entries that release keys, or say that the node itself was allowed. */
export const grantingKinds = ['release', 'handover', 'certificate', 'onboarded', 'self'] as const

/** The part of an entry that the verifier uses. */
export type LoggedEntry = { readonly seq: number } & (
  | (KnownEntry & { readonly at: number })
  /** A kind that is only counted, under `name`. */
  | { readonly kind: 'other'; readonly name: string; readonly at: number | undefined }
)

type KnownEntry =
  | { readonly kind: 'evidence'; readonly digest: string; readonly evidence: unknown }
  | { readonly kind: 'nodes'; readonly nodes: readonly string[] }
  | { readonly kind: 'archived'; readonly segments: number }
  | { readonly kind: 'peer'; readonly publicKey: string; readonly head: LoggedHead }
  | {
      readonly kind: (typeof grantingKinds)[number]
      readonly grounds: LoggedGrounds
      /** Key epochs of a release; null: the app has no key epochs. */
      readonly epochs: { readonly write: number; readonly read: number } | null
    }
  | {
      readonly kind: 'denial'
      readonly method: string
      readonly code: string
      readonly reason: string | undefined
      /** Undefined if the denial has no evidence. */
      readonly grounds: LoggedGrounds | undefined
    }

/** @throws RangeError that names the field */
export function readHeaderLine(line: Buffer): LoggedHeader {
  const header = parseLine(line)
  if (header.log !== 'assent-release-log-v1') throw malformed('log')
  const { at, seal } = header
  return {
    segment: count(header.segment, 'segment'),
    first: count(header.first, 'first'),
    previous: hex(header.previous, 32, 'previous'),
    node: text(header.node, 'node', /^[a-z0-9][a-z0-9.-]{0,62}$/),
    publicKey: hex(header.publicKey, 32, 'publicKey'),
    rootKey: hex(header.rootKey, 33, 'rootKey'),
    rootSignature: hex(header.rootSignature, 64, 'rootSignature'),
    checkpoint:
      at === undefined && seal === undefined
        ? undefined
        : { at: count(at, 'at'), seal: hex(seal, 64, 'seal') },
  }
}

/** @throws RangeError that names the field */
export function readSealLine(line: Buffer): LoggedHead {
  const { seal, ...rest } = parseLine(line)
  return readHead({ ...rest, entries: seal })
}

/** @throws RangeError that names the field */
export function readHead(value: unknown): LoggedHead {
  const head = object(value, 'head')
  return {
    entries: count(head.entries, 'entries'),
    chain: hex(head.chain, 32, 'chain'),
    at: count(head.at, 'at'),
    signature: hex(head.signature, 64, 'signature'),
  }
}

/** @throws RangeError that names the field */
export function readEntryLine(line: Buffer): LoggedEntry {
  const entry = parseLine(line)
  const seq = count(entry.seq, 'seq')
  const kind = text(entry.kind, 'kind')
  const known = readContent(kind, entry)
  if (known !== undefined) return { seq, at: count(entry.at, 'at'), ...known }
  return { seq, at: isCount(entry.at) ? entry.at : undefined, kind: 'other', name: kind }
}

function readContent(kind: string, entry: Record<string, unknown>): KnownEntry | undefined {
  if (kind === 'evidence') {
    return { kind, digest: text(entry.digest, 'digest'), evidence: entry.evidence }
  }
  if (kind === 'nodes') return { kind, nodes: texts(entry.nodes, 'nodes') }
  if (kind === 'archived') return { kind, segments: count(entry.segments, 'segments') }
  if (kind === 'peer') {
    return { kind, publicKey: hex(entry.publicKey, 32, 'publicKey'), head: readHead(entry.head) }
  }
  if (kind === 'denial') {
    const { reason } = entry
    return {
      kind,
      method: text(entry.method, 'method'),
      code: text(entry.code, 'code'),
      reason: reason === undefined ? undefined : text(reason, 'reason'),
      grounds: typeof entry.proof === 'string' ? readGrounds(entry) : undefined,
    }
  }
  const granting = grantingKinds.find((each) => each === kind)
  if (granting === undefined) return undefined
  const grounds = readGrounds(kind === 'onboarded' ? object(entry.source, 'source') : entry)
  return { kind: granting, grounds, epochs: kind === 'release' ? readEpochs(entry.epochs) : null }
}

function readGrounds({ boot, block, proof }: Record<string, unknown>): LoggedGrounds {
  const fields = object(boot, 'boot')
  for (const [name, value] of Object.entries(fields)) {
    if (Array.isArray(value)) texts(value, `boot.${name}`)
    else text(value, `boot.${name}`)
  }
  const { number, hash, timestamp } = object(block, 'block')
  return {
    boot: fields,
    block: {
      number: text(number, 'block.number'),
      hash: text(hash, 'block.hash'),
      timestamp: count(timestamp, 'block.timestamp'),
    },
    proof: proof === null || proof === undefined ? null : text(proof, 'proof'),
  }
}

function readEpochs(value: unknown) {
  if (value === null || value === undefined) return null
  const { write, read } = object(value, 'epochs')
  return { write: count(write, 'epochs.write'), read: count(read, 'epochs.read') }
}

function parseLine(line: Buffer): Record<string, unknown> {
  try {
    return object(JSON.parse(line.toString('utf8')), 'line')
  } catch {
    throw malformed('line')
  }
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(name)
  return value as Record<string, unknown>
}

function count(value: unknown, name: string): number {
  if (!isCount(value)) throw malformed(name)
  return value
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function text(value: unknown, name: string, pattern?: RegExp): string {
  if (typeof value !== 'string' || pattern?.test(value) === false) throw malformed(name)
  return value
}

function texts(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value)) throw malformed(name)
  return value.map((each) => text(each, name))
}

function hex(value: unknown, length: number, name: string): string {
  const isHex =
    typeof value === 'string' && value.length === 2 * length && /^[0-9a-f]*$/.test(value)
  if (!isHex) throw malformed(name)
  return value
}

/** The name of a field can come from the log, in `boot`. */
function malformed(name: string): RangeError {
  return new RangeError(
    `${name.replace(/[^\x21-\x7e]/g, '?').slice(0, 64)} is missing or malformed`,
  )
}
