/**
 * Re-checks a release log without anything of the KMS: from its files, the root key and, where they are at
 * hand, heads that others saw.
 *
 * Written from docs/release-log.md; a test holds that it imports nothing of the code that decides.
 */
import { createHash } from 'node:crypto'

import { asObject, checkEvidence, evidenceName, type ProvenState } from './evidence.ts'
import { type Case, whyNotDenied, whyNotGranted } from './grant.ts'
import { isEd25519, isSecp256k1 } from './signatures.ts'
import type { Pins } from './words.ts'

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
  readonly heads?: readonly Head[]
  /** Code that the contracts may have; without, any code counts as theirs. */
  readonly pins?: Pins
  /** How many endpoints must have agreed on a block. */
  readonly agreement?: number
  /** How old a block may have been when something was given for it. */
  readonly maxBlockAgeSeconds?: number
  /** Lets decisions stand that rest on an endpoint's word alone. */
  readonly acceptUnproven?: boolean
}

export interface Head {
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

export interface Report {
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
  /** Heads of other nodes that this one wrote down, by their log's key: what to check their logs against. */
  readonly peers: Readonly<Record<string, readonly Head[]>>
}

const version = 'assent-release-log-v1'
const maxProblems = 50
const granting = ['release', 'handover', 'certificate', 'onboarded', 'self']
const ofKms = ['handover', 'onboarded', 'self']
/** How long the node's own standing at one block covers what it decides at another. */
const selfSeconds = 60

export function verifyLog(files: readonly LogFile[], expected: Expected): Report {
  return new Verification(expected).run(files)
}

interface Header {
  readonly node: string
  readonly publicKey: string
}

class Verification {
  readonly #expected: Expected
  readonly #problems: Problem[] = []
  readonly #kinds: Record<string, number> = {}
  readonly #peers: Record<string, Head[]> = {}
  /** Wanted chain values, by number of entries. */
  readonly #wanted = new Map<number, Head[]>()
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

  run(files: readonly LogFile[]): Report {
    const ordered = files
      .filter(({ name }) => /^[0-9]{8}\.log$/.test(name))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    if (ordered.length === 0) this.#problem('NO_LOG', 'files', 'there is no 00000000.log')
    for (const [index, file] of ordered.entries())
      this.#file(file, index, index === ordered.length - 1)
    for (const [entries, heads] of this.#wanted) {
      for (const { chain } of heads) {
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
      peers: this.#peers,
    }
  }

  #file({ name, content }: LogFile, index: number, isLast: boolean): void {
    if (Number.parseInt(name, 10) !== index) {
      this.#problem(
        'FILES',
        name,
        `file ${index} is missing, or the log does not begin with file 0`,
      )
    }
    const lines = content.toString('utf8').split('\n')
    const rest = lines.pop() ?? ''
    const [first, ...others] = lines
    if (!this.#startsHere(first ?? '', name, index)) return
    const evidence = new Map<string, ProvenState | undefined>()
    let unsealed = 0
    for (const [offset, line] of others.entries()) {
      const where = `${name}:${offset + 2}`
      if (line.startsWith('{"seal":')) {
        this.#seal(line, where)
        unsealed = 0
      } else {
        this.#entry(line, where, evidence)
        unsealed++
      }
    }
    if (unsealed > 0 || rest !== '') {
      const what = isLast
        ? 'the last append was cut off; what follows the last seal was never acknowledged'
        : 'a finished file goes on after its last seal'
      this.#problem('UNSEALED_END', name, what)
    }
  }

  #startsHere(line: string, name: string, index: number): boolean {
    const header = parse(line)
    if (header === undefined || header.log !== version || header.segment !== index) {
      this.#problem('HEADER', name, 'it has no header, or that of another file')
      return false
    }
    const [node, publicKey] = [String(header.node), String(header.publicKey)]
    if (index === 0) {
      this.#header = { node, publicKey }
      this.#chain = sha256(`${version}\n${node}\n${publicKey}`)
      this.#sealed = { entries: 0, chain: this.#chain.toString('hex'), at: 0 }
      this.#want(this.#expected.heads ?? [])
      this.#reach()
    }
    this.#identity(header, name)
    const follows =
      header.first === this.#entries &&
      header.previous === this.#chain.toString('hex') &&
      node === this.#header.node &&
      publicKey === this.#header.publicKey
    if (!follows) this.#problem('FILES', name, 'it does not continue the file before it')
    return true
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

  #seal(line: string, where: string): void {
    const { seal, chain, at, signature } = parse(line) ?? {}
    const message = `assent-release-log-seal-v1\n${this.#header.node}\n${seal}\n${chain}\n${at}`
    const fits = seal === this.#entries && chain === this.#chain.toString('hex')
    if (!fits || !isEd25519(fromHex(this.#header.publicKey), message, fromHex(signature))) {
      this.#problem('SEAL', where, 'the node did not seal these entries')
      return
    }
    this.#sealed = { entries: this.#entries, chain: String(chain), at: Number(at) }
  }

  #entry(line: string, where: string, evidence: Map<string, ProvenState | undefined>): void {
    const entry = parse(line)
    if (entry === undefined || entry.seq !== this.#entries || typeof entry.kind !== 'string') {
      this.#problem('ENTRY', where, `it is not entry ${this.#entries}`)
    } else {
      this.#kinds[entry.kind] = (this.#kinds[entry.kind] ?? 0) + 1
      this.#read(entry, where, evidence)
    }
    this.#chain = createHash('sha256').update(this.#chain).update(sha256(line)).digest()
    this.#entries++
    this.#reach()
  }

  #read(
    entry: Record<string, unknown>,
    where: string,
    evidence: Map<string, ProvenState | undefined>,
  ): void {
    if (entry.kind === 'evidence') this.#evidence(entry, where, evidence)
    if (entry.kind === 'peer') {
      const { publicKey, head } = entry
      const heads = this.#peers[String(publicKey)] ?? []
      heads.push(head as Head)
      this.#peers[String(publicKey)] = heads
    }
    if (granting.includes(entry.kind as string)) this.#given(entry, where, evidence)
    if (entry.kind === 'denial') this.#denied(entry, where, evidence)
  }

  #evidence(
    entry: Record<string, unknown>,
    where: string,
    evidence: Map<string, ProvenState | undefined>,
  ): void {
    const name = String(entry.digest)
    evidence.set(name, undefined)
    try {
      if (evidenceName(entry.evidence) !== name) throw new RangeError('evidence under another name')
      const state = checkEvidence(entry.evidence)
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
    evidence: Map<string, ProvenState | undefined>,
  ): void {
    const kind = String(entry.kind)
    const grounds = kind === 'onboarded' ? parsePart(entry.source) : entry
    const { hash, timestamp } = parsePart(grounds.block)
    const at = Number(entry.at)
    if (kind === 'self') {
      this.#standings.add(String(hash))
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
    evidence: Map<string, ProvenState | undefined>,
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
    evidence: Map<string, ProvenState | undefined>,
  ): Case | undefined {
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

  #want(heads: readonly Head[]): void {
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
      this.#wanted.set(entries, [...(this.#wanted.get(entries) ?? []), head])
    }
  }

  #reach(): void {
    const wanted = this.#wanted.get(this.#entries)
    if (wanted === undefined) return
    const missing = wanted.filter(({ chain }) => chain !== this.#chain.toString('hex'))
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

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return asObject(JSON.parse(line), 'line')
  } catch {
    return undefined
  }
}

function fromHex(text: unknown): Buffer {
  return typeof text === 'string' && /^(?:[0-9a-f]{2})*$/.test(text)
    ? Buffer.from(text, 'hex')
    : Buffer.alloc(0)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
