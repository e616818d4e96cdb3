/**
 * Verifies the release log of a KMS node from its files, the root key and, if available, heads that others observed.
 *
 * Written from docs/release-log.md. It shares no code with the KMS; a test checks its imports.
 */
import { createHash } from 'node:crypto'
import type { PinnedCodeHashes } from './contract-storage.ts'
import { type EvaluatedEntry, whyNotDenied, whyNotGranted } from './evaluate-entry.ts'
import { evidenceName, type LoggedState, openEvidence } from './evidence.ts'
import type { FinalityExpectations } from './finality.ts'
import { FinalityChain } from './finality.ts'
import {
  grantingKinds,
  type LoggedEntry,
  type LoggedGrounds,
  type LoggedHead,
  type LoggedHeader,
  readEntryLine,
  readHead,
  readHeaderLine,
  readSealLine,
} from './lines.ts'
import { flawOfGame, type RollupExpectations } from './rollup.ts'
import { isEd25519, isSecp256k1 } from './signatures.ts'
import { NodePool } from './trie.ts'

/** One segment of the log. */
export interface LogFile {
  /** Eight digits and `.log`; other files are ignored. */
  readonly name: string
  /** Raw bytes. */
  readonly content: Buffer
}

/** Expected values for the log. Only `rootKey` is required; the report lists the values that were not compared. */
export interface LogExpectations {
  /** The root key of the KMS as the chain has it: compressed secp256k1 point, 66 hex digits. */
  readonly rootKey: string
  /** Name of the node. */
  readonly node?: string
  /** Chain of the inclusion evidence. */
  readonly chainId?: number
  /** Address of the KmsAuth contract, with `0x`. */
  readonly kmsContract?: string
  /** Heads of this log that other parties observed. Each must be a part of it. */
  readonly heads?: readonly ObservedHead[]
  /** Accepted code hashes of the contracts. If left out, any code is accepted. */
  readonly pins?: PinnedCodeHashes
  /** RPC quorum: how many endpoints must have agreed on a block. Default: 1. */
  readonly quorum?: number
  /** Highest age of a block at the time of a key release that rests on it. Default: no limit. */
  readonly maxBlockAgeSeconds?: number
  /** Beacon network and trusted block roots, to check the validators' signatures. Default: they are not checked. */
  readonly finality?: FinalityExpectations
  /** Rules for the dispute games that prove blocks of an OP Stack chain. Default: they are not checked. */
  readonly rollup?: RollupExpectations
  /** Accepts key releases without inclusion evidence. */
  readonly acceptUnproven?: boolean
  /**
   * Accepts a log that starts at a signed segment header, even if the log does not record that older segments were
   * dropped.
   */
  readonly fromFirstFile?: boolean
  /**
   * Checks only that the files continue each other, their seals and heads: neither evidence nor decisions. For a copy that
   * is verified later.
   */
  readonly continuityOnly?: boolean
  /** Public key of another log, as hex: report only its heads in `peers`. Default: the heads of all logs. */
  readonly peerKey?: string
}

/** A signed head of a log, as `--head` or a witness gives it. */
export type ObservedHead = LoggedHead

/** One rule that the log violates. */
export interface LogProblem {
  /** For programs. */
  readonly code: LogProblemCode
  /** Segment and line, or what it is about. */
  readonly where: string
  /** The problem in one sentence. */
  readonly what: string
}

/**
 * Stable codes:
 *
 * - `NO_LOG`: there is no first segment.
 * - `HEADER`: the header of a segment is missing or belongs to another segment.
 * - `KEY_NOT_OF_ROOT`: the root key did not sign the log's key.
 * - `FILES`: a segment is missing or does not continue the one before it.
 * - `SEAL`: the signature over entries is missing or wrong.
 * - `UNSEALED_END`: entries follow the last seal; they were never acknowledged.
 * - `ENTRY`: an entry is malformed or out of order.
 * - `TIME`: the time of an entry or a seal does not fit the times around it.
 * - `PROOF`: the inclusion evidence of an entry does not verify.
 * - `SIGNATURES`: the validators' signatures do not prove the block of an entry, or there are none although a trusted
 *   block root was given.
 * - `ROLLUP`: no dispute game that counts proves the block of an entry through L1, although rules for games were given.
 * - `NOT_GRANTED`: keys were released although the contracts did not allow it.
 * - `NOT_DENIED`: a boot was denied although the contracts allowed it.
 * - `NODE_NOT_ALLOWED`: the node released keys without being allowed itself.
 * - `UNPROVEN`: a release has no evidence.
 * - `HEAD_NOT_IN_LOG`: another party observed a head that the log does not contain, so the log was rolled back or forked.
 * - `HEAD_UNSIGNED`: an observed head is not signed by the log's key.
 *
 * docs/release-log.md explains what to do about each.
 */
export type LogProblemCode =
  | 'NO_LOG'
  | 'HEADER'
  | 'KEY_NOT_OF_ROOT'
  | 'FILES'
  | 'SEAL'
  | 'UNSEALED_END'
  | 'ENTRY'
  | 'TIME'
  | 'PROOF'
  | 'SIGNATURES'
  | 'ROLLUP'
  | 'NOT_GRANTED'
  | 'NOT_DENIED'
  | 'NODE_NOT_ALLOWED'
  | 'UNPROVEN'
  | 'HEAD_NOT_IN_LOG'
  | 'HEAD_UNSIGNED'

/** Result of {@link verifyLog}. */
export interface LogReport {
  /** True if there are no problems. Read `unchecked` too. */
  readonly holds: boolean
  /** Name of the node in the log. */
  readonly node: string
  /** Ed25519 key of the log: 64 hex digits. */
  readonly publicKey: string
  /** Sealed entries. */
  readonly entries: number
  /** Hash chain after the last sealed entry. */
  readonly chain: string
  /** Unix seconds of the last seal, by the clock of the node. */
  readonly sealedAt: number
  /** Number of entries of each kind. */
  readonly kinds: Readonly<Record<string, number>>
  /**
   * Key releases by their evidence: evaluated again from storage proofs; answered by a foreign app contract, which only
   * the endpoints confirm; without evidence.
   */
  readonly proven: number
  readonly executed: number
  readonly unproven: number
  /** Key releases at blocks that the validators finalized: signatures checked; signatures in the log, but not checked. */
  readonly signed: number
  readonly signedUnchecked: number
  /** Key releases at L2 blocks that L1 proves: the dispute game checked; a game in the log, but not checked. */
  readonly settled: number
  readonly settledUnchecked: number
  /** Denials that were evaluated again, and denials without evidence. */
  readonly denialsProven: number
  readonly denialsUnproven: number
  /** Highest age of a block at the time of a key release, in seconds. */
  readonly oldestBlockSeconds: number
  /** At most 50; the first are usually the cause of the others. */
  readonly problems: readonly LogProblem[]
  /** Values that were not compared, because the expectation is missing. */
  readonly unchecked: readonly string[]
  /** Limits of the method: what no comparison of this log can show. */
  readonly unprovable: readonly string[]
  /** Heads of other nodes in this log, by their public key. Use them as `heads` when you verify those logs. */
  readonly peers: Readonly<Record<string, readonly ObservedHead[]>>
}

const version = 'assent-release-log-v1'
const maxProblems = 50
/** Longest text of one problem, in UTF-16 units: parts of it come from the log. */
const maxProblemText = 500
const ofKms = ['handover', 'onboarded', 'self']
/** A self-authorization at one block covers decisions at other blocks for so long, before and after it. */
const selfSeconds = 60
/** The clock of a node may be set back by so much. */
const setBackSeconds = 300

/**
 * Verifies a log whose files are in memory. Files with other names are ignored.
 *
 * It never throws for a wrong log: all problems are in the report.
 *
 * @example
 * const report = verifyLog(files, { rootKey, chainId: 1, kmsContract, pins, heads: peerReport.peers[publicKey] ?? [] })
 * if (report.holds && report.unchecked.length === 0) console.log(`${report.proven} releases proven`)
 */
export function verifyLog(files: readonly LogFile[], expected: LogExpectations): LogReport {
  const verification = new LogVerification(expected)
  const ordered = inOrder(files)
  for (const { name, content } of ordered) {
    verification.begin(name)
    let from = 0
    for (let at = content.indexOf(10); at >= 0; at = content.indexOf(10, from)) {
      verification.line(content.subarray(from, at))
      from = at + 1
    }
    verification.end(from < content.length)
  }
  return verification.report()
}

/** Selects the segments of a log and sorts them. */
export function inOrder<T extends { readonly name: string }>(files: readonly T[]): T[] {
  return files
    .filter(({ name }) => /^[0-9]{8}\.log$/.test(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** State of the segment that is being read. */
interface SegmentCheck {
  readonly name: string
  readonly evidence: Map<string, LoggedState | undefined>
  readonly pool: NodePool
  lines: number
  unsealed: number
  /** Highest time of the entries after the last seal, Unix seconds. */
  unsealedAt: number
  /** False if the header is wrong. Then the rest of the segment is ignored. */
  isOurs: boolean
  /** A valid seal is the last line. */
  isSealed: boolean
}

/** Problems of lines that the node did not sign. */
const foreign: ReadonlySet<LogProblemCode> = new Set(['HEADER', 'FILES', 'KEY_NOT_OF_ROOT', 'SEAL'])

/** Newest self-authorizations in memory. A decision never rests on an older block. */
const maxSelfAuthorizations = 1024

/**
 * Reads a log once, line by line. Memory depends on the size of one segment and not on the number of segments.
 *
 * @example
 * const verification = new LogVerification(expected)
 * for (const name of names) {
 *   verification.begin(name)
 *   for await (const line of linesOf(name)) verification.line(line)
 *   verification.end(false)
 * }
 * const report = verification.report()
 */
export class LogVerification {
  readonly #expected: LogExpectations
  readonly #problems: LogProblem[] = []
  readonly #kinds = new Map<string, number>()
  readonly #peers = new Map<string, ObservedHead[]>()
  /** Chain values of observed heads that must still be reached, by number of entries. */
  readonly #expectedChains = new Map<number, string[]>()
  #file: SegmentCheck | undefined
  #files = 0
  #hasBegun = false
  #isForeign = false
  #number = 0
  /** Number of the first segment and of its first entry. */
  #start = { number: 0, entries: 0 }
  /** The log records that the segments below this number were dropped. */
  #firstKeptSegment = 0
  /** Observed heads that are older than the first segment. */
  #headsBeforeStart = 0
  /** Node and key in the first header. All later headers must repeat them. */
  #header: Pick<LoggedHeader, 'node' | 'publicKey'> = { node: '', publicKey: '' }
  #entries = 0
  #chain: Buffer = Buffer.alloc(32)
  #sealed = { entries: 0, chain: '', at: 0 }
  /** Highest time of a seal so far, Unix seconds. */
  #latestSealAt = 0
  readonly #counts = {
    proven: 0,
    executed: 0,
    unproven: 0,
    signed: 0,
    signedUnchecked: 0,
    settled: 0,
    settledUnchecked: 0,
    denialsProven: 0,
    denialsUnproven: 0,
    oldestBlockSeconds: 0,
  }
  /** Blocks at which the chain allowed the node itself, and the time of the newest such entry. */
  readonly #selfAuthorizedBlocks = new Set<string>()
  #selfAuthorizedAt = Number.NEGATIVE_INFINITY

  readonly #finality: FinalityChain | undefined

  constructor(expected: LogExpectations) {
    this.#expected = expected
    this.#finality = expected.finality && new FinalityChain(expected.finality)
  }

  /** Starts the next segment. Call it in the order of the names. */
  begin(name: string): void {
    this.#requireSealedEnd('entries follow the last seal of a finished segment')
    const evidence = new Map<string, LoggedState | undefined>()
    this.#file = {
      name,
      evidence,
      pool: new NodePool(),
      lines: 0,
      unsealed: 0,
      unsealedAt: 0,
      isOurs: false,
      isSealed: false,
    }
  }

  /** Reads one line, without its line feed. */
  line(line: Buffer): void {
    const file = this.#file
    if (file === undefined) throw new RangeError('line() without begin()')
    file.lines++
    file.isSealed = false
    const where = `${file.name}:${file.lines}`
    if (file.lines === 1) file.isOurs = this.#readHeader(line, file.name)
    else if (!file.isOurs) return
    else if (isSealLine(line)) {
      this.#seal(line, where, file)
      file.unsealed = 0
      file.unsealedAt = 0
    } else {
      this.#entry(line, where, file)
      file.unsealed++
    }
  }

  /** Ends the segment. @param isCut bytes follow the last line feed */
  end(isCut: boolean): void {
    const file = this.#file
    if (file === undefined) return
    if (file.lines === 0)
      this.#problem('HEADER', file.name, 'the header is missing or belongs to another segment')
    if (isCut && file.isOurs) file.unsealed++
    this.#files++
  }

  /**
   * Whether the node signed everything up to the last line: a seal is the last line, and no header or seal is wrong. The
   * node answers for other problems of these lines.
   */
  get isSigned(): boolean {
    return this.#file?.isSealed === true && !this.#isForeign
  }

  /** Whether a header or a seal is wrong, so that the node did not sign these lines. */
  get isForeign(): boolean {
    return this.#isForeign
  }

  /** Number of sealed entries up to here, and the key that signed them. */
  get position(): { readonly entries: number; readonly publicKey: string } {
    return { entries: this.#sealed.entries, publicKey: this.#header.publicKey }
  }

  /** Ends the verification. The report lists problems, and what was not checked. */
  report(): LogReport {
    const cut =
      'the last append was cut off; the entries after the last seal were never acknowledged'
    this.#requireSealedEnd(cut)
    if (this.#start.number > this.#firstKeptSegment && this.#expected.fromFirstFile !== true) {
      const what =
        'the segments before it are missing, and the log does not record that they were dropped'
      this.#problem('FILES', `segment ${this.#start.number}`, what)
    }
    if (this.#files === 0) this.#problem('NO_LOG', 'files', 'there is no 00000000.log')
    for (const [entries, chains] of this.#expectedChains) {
      for (const chain of chains) {
        const what = `a head with ${entries} entries and chain ${chain} was observed, but is not in this log`
        this.#problem('HEAD_NOT_IN_LOG', `entry ${entries}`, what)
      }
    }
    return {
      holds: this.#problems.length === 0,
      ...this.#header,
      entries: this.#sealed.entries,
      chain: this.#sealed.chain,
      sealedAt: this.#sealed.at,
      kinds: Object.fromEntries(this.#kinds),
      ...this.#counts,
      problems: this.#problems,
      unchecked: this.#unchecked(),
      unprovable: this.#unprovable(),
      peers: Object.fromEntries(this.#peers),
    }
  }

  #unchecked(): string[] {
    const { chainId, kmsContract, pins, quorum, maxBlockAgeSeconds } = this.#expected
    const { heads = [], continuityOnly = false } = this.#expected
    const { entries } = this.#start
    return [
      ...(continuityOnly ? ['every decision and its evidence (log verify)'] : []),
      ...(chainId === undefined ? ['the chain of the evidence (--chain-id)'] : []),
      ...(kmsContract === undefined
        ? ['the KmsAuth contract of the evidence (--kms-contract)']
        : []),
      ...(pins === undefined ? ['the code of the contracts (--pinned-code)'] : []),
      ...(quorum === undefined && !this.#areAllSigned()
        ? ['how many endpoints agreed on a block (--quorum)']
        : []),
      ...(maxBlockAgeSeconds === undefined ? ['the age of the blocks (--max-block-age)'] : []),
      ...(heads.length === 0
        ? [
            'if entries at the end are missing: nobody’s head of this log is known (--head, --witness)',
          ]
        : []),
      ...(this.#counts.signedUnchecked > 0
        ? [
            `the validators' signatures for ${this.#counts.signedUnchecked} key releases (--beacon-network, --trusted-block-root)`,
          ]
        : []),
      ...(this.#counts.settledUnchecked > 0
        ? [
            `the dispute games that prove the blocks of ${this.#counts.settledUnchecked} key releases (--op-stack)`,
          ]
        : []),
      ...(this.#finality?.claimedRoots.map(
        (root) => `the block root ${root}, with which the signatures begin (--trusted-block-root)`,
      ) ?? []),
      ...(entries > 0 ? [`entries 0 to ${entries - 1}: their segments are missing`] : []),
      ...(this.#headsBeforeStart > 0
        ? [`${this.#headsBeforeStart} observed heads of these entries`]
        : []),
    ]
  }

  #unprovable(): string[] {
    const { proven, executed, unproven, signed, signedUnchecked, denialsUnproven } = this.#counts
    const unsigned = proven + executed - signed - signedUnchecked
    return [
      'if an endpoint withheld a newer block, in which an approval was withdrawn',
      'which CVM wrote the log: the attestations of its starts are not verified here',
      ...(unsigned > 0
        ? [`if validators finalized the blocks of ${unsigned} releases: they have no signatures`]
        : []),
      ...(executed > 0 ? [`${executed} releases on the own answer of a foreign app contract`] : []),
      ...(unproven > 0 ? [`${unproven} releases without evidence`] : []),
      ...(denialsUnproven > 0 ? [`${denialsUnproven} denials without evidence`] : []),
      ...(this.#kinds.has('denials') ? ['denials that are only counted'] : []),
    ]
  }

  /** Whether validators signed the block of each release, so that it does not matter which endpoints agreed. */
  #areAllSigned(): boolean {
    const { signed, proven, executed } = this.#counts
    return signed > 0 && signed === proven + executed
  }

  #requireSealedEnd(what: string): void {
    if (this.#file && this.#file.unsealed > 0) this.#problem('UNSEALED_END', this.#file.name, what)
    this.#file = undefined
  }

  #readHeader(line: Buffer, name: string): boolean {
    const number = Number.parseInt(name, 10)
    const header = this.#parse('HEADER', name, () => readHeaderLine(line))
    if (header === undefined) return false
    if (header.segment !== number) {
      this.#problem('HEADER', name, 'the header is missing or belongs to another segment')
      return false
    }
    const { node, publicKey } = header
    if (!this.#hasBegun) this.#startAt(header)
    else if (number !== this.#number + 1) {
      this.#problem('FILES', name, `segment ${this.#number + 1} is missing`)
    }
    this.#hasBegun = true
    this.#number = number
    this.#identity(header, name)
    const follows =
      header.first === this.#entries &&
      header.previous === this.#chain.toString('hex') &&
      node === this.#header.node &&
      publicKey === this.#header.publicKey
    if (!follows) this.#problem('FILES', name, 'it does not continue the previous segment')
    this.#checkpoint(header, name)
    return true
  }

  /** A log starts with segment 0, or with a segment whose header the node has signed (a checkpoint). */
  #startAt({ segment, first, previous, checkpoint, node, publicKey }: LoggedHeader): void {
    this.#header = { node, publicKey }
    this.#chain = sha256(`${version}\n${node}\n${publicKey}`)
    if (segment > 0 && checkpoint !== undefined) {
      this.#start = { number: segment, entries: first }
      this.#entries = first
      this.#chain = Buffer.from(previous, 'hex')
    }
    this.#sealed = { entries: this.#entries, chain: this.#chain.toString('hex'), at: 0 }
    if (segment > 0 && this.#entries === 0) {
      const what = `segment ${segment - 1} is missing, and the log cannot be verified without it`
      this.#problem('FILES', `${segment}`, what)
    }
    this.#expectHeads(this.#expected.heads ?? [])
    this.#compareWithHeads()
  }

  #checkpoint({ first, previous, checkpoint }: LoggedHeader, name: string): void {
    if (checkpoint === undefined) return
    const { at, seal } = checkpoint
    if (this.#isSigned({ entries: first, chain: previous, at, signature: seal })) {
      this.#latestSealAt = Math.max(this.#latestSealAt, at)
    } else this.#problem('SEAL', name, 'the signature of the segment header is invalid')
  }

  /** Whether the key of the log signed this head. */
  #isSigned({ entries, chain, at, signature }: LoggedHead): boolean {
    const { node, publicKey } = this.#header
    const message = `assent-release-log-seal-v1\n${node}\n${entries}\n${chain}\n${at}`
    return isEd25519(Buffer.from(publicKey, 'hex'), message, Buffer.from(signature, 'hex'))
  }

  #identity({ rootKey, rootSignature }: LoggedHeader, name: string): void {
    const { node, publicKey } = this.#header
    if (this.#expected.node !== undefined && this.#expected.node !== node) {
      this.#problem('HEADER', name, `it is the log of ${node} and not of ${this.#expected.node}`)
    }
    const message = `assent-release-log-key-v1\n${node}\n${publicKey}`
    const isOfRoot =
      rootKey === this.#expected.rootKey &&
      isSecp256k1(Buffer.from(rootKey, 'hex'), message, Buffer.from(rootSignature, 'hex'))
    if (!isOfRoot)
      this.#problem('KEY_NOT_OF_ROOT', name, 'the root key did not sign the key of the log')
  }

  #seal(line: Buffer, where: string, file: SegmentCheck): void {
    const { unsealedAt } = file
    const seal = this.#parse('SEAL', where, () => readSealLine(line))
    if (seal === undefined) return
    const { entries, chain, at } = seal
    const fits = entries === this.#entries && chain === this.#chain.toString('hex')
    if (!fits || !this.#isSigned(seal)) {
      this.#problem('SEAL', where, 'the seal does not cover these entries')
      return
    }
    if (at < unsealedAt) this.#problem('TIME', where, 'an entry is later than its seal')
    if (at < this.#latestSealAt - setBackSeconds) {
      this.#problem('TIME', where, 'the seal is earlier than a seal before it')
    }
    this.#latestSealAt = Math.max(this.#latestSealAt, at)
    this.#sealed = { entries, chain, at }
    file.isSealed = true
  }

  #entry(line: Buffer, where: string, file: SegmentCheck): void {
    const entry = this.#parse('ENTRY', where, () => readEntryLine(line))
    if (entry !== undefined && entry.seq !== this.#entries) {
      this.#problem('ENTRY', where, `it is not entry ${this.#entries}`)
    } else if (entry !== undefined) {
      // also kinds that this version does not know
      const kind = entry.kind === 'other' ? entry.name : entry.kind
      this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1)
      if (entry.at !== undefined) this.#time(entry.at, where, file)
      this.#read(entry, where, file)
    }
    this.#chain = createHash('sha256').update(this.#chain).update(sha256(line)).digest()
    this.#entries++
    this.#compareWithHeads()
  }

  #time(at: number, where: string, file: SegmentCheck): void {
    file.unsealedAt = Math.max(file.unsealedAt, at)
    if (at >= this.#latestSealAt - setBackSeconds) return
    this.#problem('TIME', where, 'the entry is earlier than a seal before it')
  }

  #read(entry: LoggedEntry, where: string, { evidence, pool }: SegmentCheck): void {
    if (this.#expected.continuityOnly === true) {
      if (entry.kind === 'archived') this.#archived(entry)
      return
    }
    if (entry.kind === 'evidence') this.#evidence(entry, where, evidence, pool)
    if (entry.kind === 'nodes') {
      for (const node of entry.nodes) pool.add(Buffer.from(node, 'base64'))
    }
    if (entry.kind === 'archived') this.#archived(entry)
    if (entry.kind === 'peer') this.#peer(entry)
    if (isGranting(entry)) this.#checkRelease(entry, where, evidence)
    if (entry.kind === 'denial') this.#checkDenial(entry, where, evidence)
  }

  #archived({ segments }: EntryOf<'archived'>): void {
    this.#firstKeptSegment = Math.max(this.#firstKeptSegment, segments)
  }

  #peer({ publicKey, head }: EntryOf<'peer'>): void {
    const { peerKey = publicKey } = this.#expected
    if (publicKey !== peerKey) return
    const heads = this.#peers.get(publicKey) ?? []
    heads.push(head)
    this.#peers.set(publicKey, heads)
  }

  #evidence(
    { digest, evidence: parts }: EntryOf<'evidence'>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
    pool: NodePool,
  ): void {
    evidence.set(digest, undefined)
    try {
      if (evidenceName(parts) !== digest)
        throw new RangeError('the digest of the evidence is wrong')
      const state = openEvidence(parts, pool)
      const { chainId, kmsContract } = this.#expected
      if (chainId !== undefined && state.chainId !== chainId) {
        throw new RangeError(`evidence of chain ${state.chainId}`)
      }
      if (kmsContract !== undefined && state.kmsContract !== kmsContract.toLowerCase()) {
        throw new RangeError(`evidence of the contract ${state.kmsContract}`)
      }
      if (this.#hasSignatures(state, where)) evidence.set(digest, state)
    } catch (error) {
      this.#problem('PROOF', where, (error as Error).message)
    }
  }

  /** Whether the signatures of a block have no known fault. Evidence without signatures is checked with its decision. */
  #hasSignatures({ signatures, signedBlock }: LoggedState, where: string): boolean {
    const finality = this.#finality
    if (finality === undefined || signatures.size === 0) return true
    const block = this.#parse('SIGNATURES', where, () => finality.finalBlock(signatures))
    if (block === undefined) return false
    if (block === signedBlock) return true
    this.#problem('SIGNATURES', where, `the validators finalized ${block}, which is another block`)
    return false
  }

  #countSignatures({ signatures }: LoggedState, where: string): void {
    if (signatures.size > 0) {
      if (this.#finality === undefined) this.#counts.signedUnchecked++
      else this.#counts.signed++
    } else if ((this.#expected.finality?.trustedBlockRoots.length ?? 0) > 0) {
      this.#problem('SIGNATURES', where, 'its evidence has no signatures of validators')
    }
  }

  /** Checks that a dispute game counts, for a block that L1 proves. */
  #checkRollup({ rollup }: LoggedState, where: string): void {
    const { rollup: expected } = this.#expected
    if (expected === undefined) {
      if (rollup !== undefined) this.#counts.settledUnchecked++
      return
    }
    const flaw =
      rollup === undefined
        ? 'its evidence has no dispute game'
        : this.#parse('ROLLUP', where, () => flawOfGame(rollup, expected) ?? '')
    if (flaw === '') this.#counts.settled++
    else if (flaw !== undefined) this.#problem('ROLLUP', where, flaw)
  }

  /** Checks a key release: did the contracts allow it at the block of its evidence? */
  #checkRelease(
    entry: EntryOf<GrantingKind>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
  ): void {
    const { kind, at, grounds, epochs } = entry
    const { hash, timestamp } = grounds.block
    if (kind === 'self') {
      this.#selfAuthorizedBlocks.add(hash)
      if (this.#selfAuthorizedBlocks.size > maxSelfAuthorizations)
        this.#selfAuthorizedBlocks.delete(this.#selfAuthorizedBlocks.values().next().value ?? '')
      this.#selfAuthorizedAt = at
    } else if (kind !== 'onboarded') this.#requireSelfAuthorization(hash, at, where)
    const age = at - timestamp
    this.#counts.oldestBlockSeconds = Math.max(this.#counts.oldestBlockSeconds, age)
    const { maxBlockAgeSeconds = Number.POSITIVE_INFINITY } = this.#expected
    if (age > maxBlockAgeSeconds + selfSeconds)
      this.#problem('NOT_GRANTED', where, `its block was ${age} seconds old, which is too old`)
    if (grounds.proof === null) {
      this.#counts.unproven++
      if (!this.#expected.acceptUnproven)
        this.#problem('UNPROVEN', where, 'there is no inclusion evidence')
      return
    }
    const question = ofKms.includes(kind) ? 'kms' : 'app'
    // the quorum that the auditor asks for
    const quorum = this.#expected.quorum ?? 1
    const decided = this.#case({ question, grounds, at, quorum }, where, evidence)
    if (decided === undefined) return
    if (decided.state.executedBy.length > 0) this.#counts.executed++
    else this.#counts.proven++
    this.#countSignatures(decided.state, where)
    this.#checkRollup(decided.state, where)
    const why = whyNotGranted(decided, kind === 'release' ? { logged: epochs } : undefined)
    if (why !== undefined) this.#problem('NOT_GRANTED', where, why)
  }

  /** A node that is not allowed itself must not release anything. */
  #requireSelfAuthorization(block: string, at: number, where: string): void {
    const seconds = Math.abs(at - this.#selfAuthorizedAt)
    if (this.#selfAuthorizedBlocks.has(block) || seconds <= selfSeconds) return
    const what = 'there is no self-authorization of the node for this time'
    this.#problem('NODE_NOT_ALLOWED', where, what)
  }

  #checkDenial(
    { code, method, reason, grounds, at }: EntryOf<'denial'>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
  ): void {
    if (code !== 'KMS_BOOT_DENIED') return
    if (grounds === undefined) {
      this.#counts.denialsUnproven++
      return
    }
    const question = method === 'GetKmsKey' ? 'kms' : 'app'
    // one endpoint is enough for a denial
    const decided = this.#case({ question, grounds, at, quorum: 1 }, where, evidence)
    if (decided === undefined) return
    this.#counts.denialsProven++
    const why = whyNotDenied(decided, reason)
    if (why !== undefined) this.#problem('NOT_DENIED', where, why)
  }

  #case(
    { question, grounds, at, quorum }: LoggedDecision,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
  ): EvaluatedEntry | undefined {
    const { block, boot, proof } = grounds
    const state = evidence.get(proof ?? '')
    if (state === undefined) {
      const isKnown = evidence.has(proof ?? '')
      if (!isKnown) this.#problem('PROOF', where, 'its evidence is not in this segment')
      return undefined
    }
    const fits =
      state.blockHash === block.hash &&
      String(state.blockNumber) === block.number &&
      state.blockTime === block.timestamp
    if (!fits) {
      this.#problem('PROOF', where, 'its evidence is for another block')
      return undefined
    }
    if (state.agreement.required < quorum) {
      this.#problem('PROOF', where, `the RPC quorum was only ${state.agreement.required}`)
      return undefined
    }
    return { question, boot, state, writtenAt: at, pins: this.#expected.pins }
  }

  #expectHeads(heads: readonly ObservedHead[]): void {
    for (const observed of heads) {
      const head = this.#parse('HEAD_UNSIGNED', 'an observed head', () => readHead(observed))
      if (head === undefined) continue
      const { entries, chain } = head
      if (!this.#isSigned(head)) {
        const what = 'the signature of the observed head is invalid'
        this.#problem('HEAD_UNSIGNED', `entry ${entries}`, what)
        continue
      }
      const chains = this.#expectedChains.get(entries) ?? []
      if (entries < this.#start.entries) this.#headsBeforeStart++
      else if (!chains.includes(chain)) this.#expectedChains.set(entries, [...chains, chain])
    }
  }

  #compareWithHeads(): void {
    const chains = this.#expectedChains.get(this.#entries)
    if (chains === undefined) return
    const missing = chains.filter((chain) => chain !== this.#chain.toString('hex'))
    if (missing.length === 0) this.#expectedChains.delete(this.#entries)
    else this.#expectedChains.set(this.#entries, missing)
  }

  /** What `read` returns; a problem and undefined if it throws. */
  #parse<T>(code: LogProblemCode, where: string, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      this.#problem(code, where, (error as Error).message)
      return undefined
    }
  }

  #problem(code: LogProblemCode, where: string, what: string): void {
    if (foreign.has(code)) this.#isForeign = true
    if (this.#problems.length >= maxProblems) return
    const isLong = what.length > maxProblemText
    this.#problems.push({ code, where, what: isLong ? `${what.slice(0, maxProblemText)}…` : what })
  }
}

type GrantingKind = (typeof grantingKinds)[number]
type EntryOf<K extends LoggedEntry['kind']> = Extract<LoggedEntry, { readonly kind: K }>

/** A decision to evaluate again. */
interface LoggedDecision {
  readonly question: 'app' | 'kms'
  readonly grounds: LoggedGrounds
  /** Unix seconds of the entry. */
  readonly at: number
  /** RPC quorum that its block must have had. */
  readonly quorum: number
}

function isGranting(entry: LoggedEntry): entry is EntryOf<GrantingKind> {
  return grantingKinds.some((kind) => kind === entry.kind)
}

function isSealLine(line: Buffer): boolean {
  return line.subarray(0, 8).toString('latin1') === '{"seal":'
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}
