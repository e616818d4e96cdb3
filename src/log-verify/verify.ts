/**
 * Re-checks a release log without anything of the KMS: from its files, the root key and, where they are at
 * hand, heads that others saw.
 *
 * Written from docs/release-log.md; a test holds that it imports nothing of the code that decides.
 */
import { createHash } from 'node:crypto'
import type { PinnedCodeHashes } from './contract-storage.ts'
import { type EvaluatedEntry, whyNotDenied, whyNotGranted } from './evaluate-entry.ts'
import { asObject, evidenceName, type LoggedState, openEvidence } from './evidence.ts'
import { isEd25519, isSecp256k1 } from './signatures.ts'
import { NodePool } from './trie.ts'

export interface LogFile {
  readonly name: string
  readonly content: Buffer
}

export interface Expected {
  /** The KMS's root key as the chain knows it, compressed, hex. */
  readonly rootKey: string
  readonly node?: string
  readonly chainId?: number
  readonly kmsContract?: string
  /** Heads that someone saw of this log: each must lie in it. */
  readonly heads?: readonly ObservedHead[]
  /** Code that the contracts may have; without, any code counts as theirs. */
  readonly pins?: PinnedCodeHashes
  /** How many endpoints must have agreed on a block. */
  readonly agreement?: number
  /** How old a block may have been when something was given for it. */
  readonly maxBlockAgeSeconds?: number
  /** Lets decisions stand that rest on an endpoint's word alone. */
  readonly acceptUnproven?: boolean
  /** Lets the log begin with any file whose beginning the node sealed, though it does not say that the ones before were dropped. */
  readonly fromCheckpoint?: boolean
  /** Of which other log the heads are wanted that this one wrote down; of every one where nothing is stated. */
  readonly peerKey?: string
}

export interface ObservedHead {
  readonly entries: number
  readonly chain: string
  readonly at: number
  readonly signature: string
}

export interface Problem {
  readonly code: ProblemCode
  readonly where: string
  readonly what: string
}

export type ProblemCode =
  | 'NO_LOG'
  | 'HEADER'
  | 'KEY_NOT_OF_ROOT'
  | 'FILES'
  | 'SEAL'
  | 'UNSEALED_END'
  | 'ENTRY'
  | 'PROOF'
  | 'NOT_GRANTED'
  | 'NOT_DENIED'
  | 'NODE_NOT_ALLOWED'
  | 'UNPROVEN'
  | 'HEAD_NOT_IN_LOG'
  | 'HEAD_UNSIGNED'

export interface LogReport {
  readonly holds: boolean
  readonly node: string
  readonly publicKey: string
  readonly entries: number
  readonly chain: string
  /** Of the last seal, by the node's clock. */
  readonly sealedAt: number
  readonly kinds: Readonly<Record<string, number>>
  /** Of what was given: re-judged from proofs; an app's own answer believed; all of it believed. */
  readonly proven: number
  readonly executed: number
  readonly unproven: number
  /** Denials re-judged, and those without proof, which gave nothing away. */
  readonly denialsProven: number
  readonly denialsUnproven: number
  /** The oldest block that something was given for, in seconds at that time. */
  readonly oldestBlockSeconds: number
  readonly problems: readonly Problem[]
  /** What nothing was compared with, in words: the log holds as far as the rest goes. */
  readonly unchecked: readonly string[]
  /** Heads of other nodes that this one wrote down, by their log's key: what to check their logs against. */
  readonly peers: Readonly<Record<string, readonly ObservedHead[]>>
}

const version = 'assent-release-log-v1'
const maxProblems = 50
const granting = ['release', 'handover', 'certificate', 'onboarded', 'self']
const ofKms = ['handover', 'onboarded', 'self']
/** How long the node's own standing at one block covers what it decides at another. */
const selfSeconds = 60

/** Files that are in memory already. */
export function verifyLog(files: readonly LogFile[], expected: Expected): LogReport {
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

/** The files of a log among others, in their order. */
export function inOrder<T extends { readonly name: string }>(files: readonly T[]): T[] {
  return files
    .filter(({ name }) => /^[0-9]{8}\.log$/.test(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

interface Header {
  readonly node: string
  readonly publicKey: string
}

/** The file that is being read. */
interface SegmentCheck {
  readonly name: string
  readonly evidence: Map<string, LoggedState | undefined>
  readonly pool: NodePool
  lines: number
  unsealed: number
  /** Without a header of this log nothing in it is judged. */
  isOurs: boolean
}

/** Blocks at which the node wrote down that it may serve; no decision is about a block that is older than these. */
const standingsKept = 1024

/** Reads a log once, line by line: how much memory it takes depends on the size of a file and not on their number. */
export class LogVerification {
  readonly #expected: Expected
  readonly #problems: Problem[] = []
  readonly #kinds: Record<string, number> = {}
  readonly #peers: Record<string, ObservedHead[]> = {}
  /** Wanted chain values, by number of entries. */
  readonly #wanted = new Map<number, string[]>()
  #file: SegmentCheck | undefined
  #files = 0
  #hasBegun = false
  #number = 0
  /** The first file, and the entry with which it begins. */
  #began = { number: 0, entries: 0 }
  /** Files before this one were dropped, as the log says. */
  #keptFrom = 0
  /** Heads from before that. */
  #tooOld = 0
  #header: Header = { node: '', publicKey: '' }
  #entries = 0
  #chain: Buffer = Buffer.alloc(32)
  #sealed = { entries: 0, chain: '', at: 0 }
  readonly #counts = {
    proven: 0,
    executed: 0,
    unproven: 0,
    denialsProven: 0,
    denialsUnproven: 0,
    oldestBlockSeconds: 0,
  }
  /** Blocks at which the node itself was allowed, and when it last wrote that down. */
  readonly #standings = new Set<string>()
  #stoodAt = Number.NEGATIVE_INFINITY

  constructor(expected: Expected) {
    this.#expected = expected
  }

  /** The next file, in the order of their names. */
  begin(name: string): void {
    this.#requireNothingAfter('a finished file goes on after its last seal')
    const evidence = new Map<string, LoggedState | undefined>()
    this.#file = { name, evidence, pool: new NodePool(), lines: 0, unsealed: 0, isOurs: false }
  }

  /** A line without its line feed. */
  line(line: Buffer): void {
    const file = this.#file
    if (file === undefined) throw new RangeError('a line of no file')
    file.lines++
    const where = `${file.name}:${file.lines}`
    if (file.lines === 1) file.isOurs = this.#startsHere(line, file.name)
    else if (!file.isOurs) return
    else if (isSealLine(line)) {
      this.#seal(line, where)
      file.unsealed = 0
    } else {
      this.#entry(line, where, file)
      file.unsealed++
    }
  }

  /** @param isCut it goes on after its last line feed */
  end(isCut: boolean): void {
    const file = this.#file
    if (file === undefined) return
    if (file.lines === 0)
      this.#problem('HEADER', file.name, 'it has no header, or that of another file')
    if (isCut && file.isOurs) file.unsealed++
    this.#files++
  }

  report(): LogReport {
    const cut = 'the last append was cut off; what follows the last seal was never acknowledged'
    this.#requireNothingAfter(cut)
    if (this.#began.number > this.#keptFrom && this.#expected.fromCheckpoint !== true) {
      const what = `the files before it are missing, and the log does not say that they were dropped`
      this.#problem('FILES', `file ${this.#began.number}`, what)
    }
    if (this.#files === 0) this.#problem('NO_LOG', 'files', 'there is no 00000000.log')
    for (const [entries, chains] of this.#wanted) {
      for (const chain of chains) {
        const what = `${entries} entries with chain ${chain} were seen, and are not in this log`
        this.#problem('HEAD_NOT_IN_LOG', `entry ${entries}`, what)
      }
    }
    return {
      holds: this.#problems.length === 0,
      ...this.#header,
      entries: this.#sealed.entries,
      chain: this.#sealed.chain,
      sealedAt: this.#sealed.at,
      kinds: this.#kinds,
      ...this.#counts,
      problems: this.#problems,
      unchecked: this.#unchecked(),
      peers: this.#peers,
    }
  }

  #unchecked(): string[] {
    const { chainId, kmsContract, pins } = this.#expected
    const { entries } = this.#began
    return [
      ...(chainId === undefined ? ['of which chain the proofs are (--chain-id)'] : []),
      ...(kmsContract === undefined ? ['of which KmsAuth the proofs are (--kms-contract)'] : []),
      ...(pins === undefined
        ? ['whether the contracts have the code that they should (--pinned-code)']
        : []),
      ...(entries > 0 ? [`entries 0 to ${entries - 1}: their files are not here`] : []),
      ...(this.#tooOld > 0 ? [`${this.#tooOld} heads that were seen of them`] : []),
    ]
  }

  #requireNothingAfter(what: string): void {
    if (this.#file && this.#file.unsealed > 0) this.#problem('UNSEALED_END', this.#file.name, what)
    this.#file = undefined
  }

  #startsHere(line: Buffer, name: string): boolean {
    const header = parse(line)
    const number = Number.parseInt(name, 10)
    if (header === undefined || header.log !== version || header.segment !== number) {
      this.#problem('HEADER', name, 'it has no header, or that of another file')
      return false
    }
    const [node, publicKey] = [String(header.node), String(header.publicKey)]
    if (!this.#hasBegun) this.#beginAt(header, number, { node, publicKey })
    else if (number !== this.#number + 1) {
      this.#problem('FILES', name, `file ${this.#number + 1} is missing`)
    }
    this.#hasBegun = true
    this.#number = number
    this.#identity(header, name)
    const follows =
      header.first === this.#entries &&
      header.previous === this.#chain.toString('hex') &&
      node === this.#header.node &&
      publicKey === this.#header.publicKey
    if (!follows) this.#problem('FILES', name, 'it does not continue the file before it')
    this.#checkpoint(header, name)
    return true
  }

  /** A log begins with file 0, or with one whose beginning the node has sealed. */
  #beginAt(header: Record<string, unknown>, number: number, { node, publicKey }: Header): void {
    const { first, previous, seal } = header
    this.#header = { node, publicKey }
    this.#chain = sha256(`${version}\n${node}\n${publicKey}`)
    if (number > 0 && isCount(first) && fromHex(previous).length === 32 && seal !== undefined) {
      this.#began = { number, entries: first }
      this.#entries = first
      this.#chain = fromHex(previous)
    }
    this.#sealed = { entries: this.#entries, chain: this.#chain.toString('hex'), at: 0 }
    if (number > 0 && this.#entries === 0) {
      const what = `file ${number - 1} is missing, and the log cannot be read without it`
      this.#problem('FILES', `${number}`, what)
    }
    this.#want(this.#expected.heads ?? [])
    this.#reach()
  }

  #checkpoint({ first, previous, at, seal }: Record<string, unknown>, name: string): void {
    if (at === undefined && seal === undefined) return
    const { node, publicKey } = this.#header
    const message = `assent-release-log-seal-v1\n${node}\n${first}\n${previous}\n${at}`
    const isSealed = isCount(at) && isEd25519(fromHex(publicKey), message, fromHex(seal))
    if (!isSealed) this.#problem('SEAL', name, 'the node did not seal where it begins')
  }

  #identity(header: Record<string, unknown>, name: string): void {
    const { node, publicKey } = this.#header
    if (this.#expected.node !== undefined && this.#expected.node !== node) {
      this.#problem('HEADER', name, `it is the log of ${node}, not of ${this.#expected.node}`)
    }
    const message = `assent-release-log-key-v1\n${node}\n${publicKey}`
    const isOfRoot =
      header.rootKey === this.#expected.rootKey &&
      isSecp256k1(fromHex(header.rootKey), message, fromHex(header.rootSignature))
    if (!isOfRoot) this.#problem('KEY_NOT_OF_ROOT', name, 'the root key does not vouch for its key')
  }

  #seal(line: Buffer, where: string): void {
    const { seal, chain, at, signature } = parse(line) ?? {}
    const message = `assent-release-log-seal-v1\n${this.#header.node}\n${seal}\n${chain}\n${at}`
    const fits = seal === this.#entries && chain === this.#chain.toString('hex') && isCount(at)
    if (!fits || !isEd25519(fromHex(this.#header.publicKey), message, fromHex(signature))) {
      this.#problem('SEAL', where, 'the node did not seal these entries')
      return
    }
    this.#sealed = { entries: this.#entries, chain: String(chain), at: Number(at) }
  }

  #entry(line: Buffer, where: string, file: SegmentCheck): void {
    const entry = parse(line)
    if (entry === undefined || entry.seq !== this.#entries || typeof entry.kind !== 'string') {
      this.#problem('ENTRY', where, `it is not entry ${this.#entries}`)
    } else {
      // of kinds that nobody knows yet too
      this.#kinds[entry.kind] = (this.#kinds[entry.kind] ?? 0) + 1
      this.#read(entry, where, file)
    }
    this.#chain = createHash('sha256').update(this.#chain).update(sha256(line)).digest()
    this.#entries++
    this.#reach()
  }

  #read(entry: Record<string, unknown>, where: string, { evidence, pool }: SegmentCheck): void {
    if (entry.kind === 'evidence') this.#evidence(entry, where, evidence, pool)
    if (entry.kind === 'nodes') this.#nodes(entry, where, pool)
    if (entry.kind === 'archived' && isCount(entry.segments)) {
      this.#keptFrom = Math.max(this.#keptFrom, entry.segments)
    }
    if (entry.kind === 'peer') this.#peer(entry)
    if (granting.includes(entry.kind as string)) this.#given(entry, where, evidence)
    if (entry.kind === 'denial') this.#denied(entry, where, evidence)
  }

  #peer({ publicKey, head }: Record<string, unknown>): void {
    const { peerKey = publicKey } = this.#expected
    if (publicKey !== peerKey) return
    const heads = this.#peers[String(publicKey)] ?? []
    heads.push(head as ObservedHead)
    this.#peers[String(publicKey)] = heads
  }

  #nodes({ nodes }: Record<string, unknown>, where: string, pool: NodePool): void {
    const isList = Array.isArray(nodes) && nodes.every((node) => typeof node === 'string')
    if (!isList) {
      this.#problem('PROOF', where, 'it holds no list of nodes')
      return
    }
    for (const node of nodes) pool.add(Buffer.from(node, 'base64'))
  }

  #evidence(
    entry: Record<string, unknown>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
    pool: NodePool,
  ): void {
    const name = String(entry.digest)
    evidence.set(name, undefined)
    try {
      if (evidenceName(entry.evidence) !== name) throw new RangeError('evidence under another name')
      const state = openEvidence(entry.evidence, pool)
      const { chainId, kmsContract } = this.#expected
      if (chainId !== undefined && state.chainId !== chainId) {
        throw new RangeError(`evidence of chain ${state.chainId}`)
      }
      if (kmsContract !== undefined && state.kmsContract !== kmsContract.toLowerCase()) {
        throw new RangeError(`evidence of the contract ${state.kmsContract}`)
      }
      evidence.set(name, state)
    } catch (error) {
      this.#problem('PROOF', where, (error as Error).message)
    }
  }

  /** Whoever was given something: was it granted at the block that the proofs are of? */
  #given(
    entry: Record<string, unknown>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
  ): void {
    const kind = String(entry.kind)
    const grounds = kind === 'onboarded' ? parsePart(entry.source) : entry
    const { hash, timestamp } = parsePart(grounds.block)
    const at = Number(entry.at)
    if (kind === 'self') {
      this.#standings.add(String(hash))
      if (this.#standings.size > standingsKept)
        this.#standings.delete(this.#standings.values().next().value ?? '')
      this.#stoodAt = at
    } else if (kind !== 'onboarded') this.#requireStanding(String(hash), at, where)
    const age = at - Number(timestamp)
    this.#counts.oldestBlockSeconds = Math.max(this.#counts.oldestBlockSeconds, age)
    const { maxBlockAgeSeconds = Number.POSITIVE_INFINITY } = this.#expected
    if (age > maxBlockAgeSeconds + selfSeconds)
      this.#problem('NOT_GRANTED', where, `its block was ${age} seconds old`)
    if (grounds.proof === null || grounds.proof === undefined) {
      this.#counts.unproven++
      if (!this.#expected.acceptUnproven)
        this.#problem('UNPROVEN', where, 'only an endpoint said that it was allowed')
      return
    }
    const decided = this.#case(entry, grounds, where, evidence)
    if (decided === undefined) return
    if (decided.state.executedBy.length > 0) this.#counts.executed++
    else this.#counts.proven++
    const why = whyNotGranted(decided, kind === 'release' ? { told: grounds.epochs } : undefined)
    if (why !== undefined) this.#problem('NOT_GRANTED', where, why)
  }

  /** A node that may not serve itself gives nothing to anyone. */
  #requireStanding(block: string, at: number, where: string): void {
    if (this.#standings.has(block) || at - this.#stoodAt <= selfSeconds) return
    const what = 'the node did not write down that it was allowed to serve then'
    this.#problem('NODE_NOT_ALLOWED', where, what)
  }

  #denied(
    entry: Record<string, unknown>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
  ): void {
    if (entry.code !== 'KMS_BOOT_DENIED') return
    if (typeof entry.proof !== 'string') {
      this.#counts.denialsUnproven++
      return
    }
    const decided = this.#case(entry, entry, where, evidence)
    if (decided === undefined) return
    this.#counts.denialsProven++
    const why = whyNotDenied(decided, entry.reason)
    if (why !== undefined) this.#problem('NOT_DENIED', where, why)
  }

  #case(
    entry: Record<string, unknown>,
    grounds: Record<string, unknown>,
    where: string,
    evidence: Map<string, LoggedState | undefined>,
  ): EvaluatedEntry | undefined {
    const name = String(grounds.proof)
    const state = evidence.get(name)
    if (state === undefined) {
      const isKnown = evidence.has(name)
      if (!isKnown) this.#problem('PROOF', where, 'the evidence that it names is not in this file')
      return undefined
    }
    const block = parsePart(grounds.block)
    const fits =
      state.blockHash === block.hash &&
      String(state.blockNumber) === block.number &&
      state.blockTime === block.timestamp
    if (!fits) {
      this.#problem('PROOF', where, 'its evidence is of another block')
      return undefined
    }
    // one endpoint is enough to deny
    const required = entry.kind === 'denial' ? 1 : (this.#expected.agreement ?? 1)
    if (state.agreement.required < required) {
      this.#problem('PROOF', where, `${state.agreement.required} endpoints had to agree`)
      return undefined
    }
    const isOfKms = ofKms.includes(String(entry.kind)) || entry.method === 'GetKmsKey'
    return {
      question: isOfKms ? 'kms' : 'app',
      boot: parsePart(grounds.boot),
      state,
      writtenAt: Number(entry.at),
      pins: this.#expected.pins,
    }
  }

  #want(heads: readonly ObservedHead[]): void {
    for (const head of heads) {
      const { entries, chain, at, signature } = head
      const { node, publicKey } = this.#header
      const message = `assent-release-log-seal-v1\n${node}\n${entries}\n${chain}\n${at}`
      if (!isEd25519(fromHex(publicKey), message, fromHex(signature))) {
        this.#problem(
          'HEAD_UNSIGNED',
          `entry ${entries}`,
          'this log never sealed the head that was seen',
        )
        continue
      }
      const wanted = this.#wanted.get(entries) ?? []
      if (entries < this.#began.entries) this.#tooOld++
      else if (!wanted.includes(chain)) this.#wanted.set(entries, [...wanted, chain])
    }
  }

  #reach(): void {
    const wanted = this.#wanted.get(this.#entries)
    if (wanted === undefined) return
    const missing = wanted.filter((chain) => chain !== this.#chain.toString('hex'))
    if (missing.length === 0) this.#wanted.delete(this.#entries)
    else this.#wanted.set(this.#entries, missing)
  }

  #problem(code: ProblemCode, where: string, what: string): void {
    if (this.#problems.length < maxProblems) this.#problems.push({ code, where, what })
  }
}

function parsePart(value: unknown): Record<string, unknown> {
  try {
    return asObject(value, 'part')
  } catch {
    return {}
  }
}

function parse(line: Buffer): Record<string, unknown> | undefined {
  try {
    return asObject(JSON.parse(line.toString('utf8')), 'line')
  } catch {
    return undefined
  }
}

function fromHex(text: unknown): Buffer {
  return typeof text === 'string' && /^(?:[0-9a-f]{2})*$/.test(text)
    ? Buffer.from(text, 'hex')
    : Buffer.alloc(0)
}

function isSealLine(line: Buffer): boolean {
  return line.subarray(0, 8).toString('latin1') === '{"seal":'
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}
