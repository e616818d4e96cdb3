/**
 * Checks that validators finalized the blocks of a log: follows the sync committees from trusted block roots.
 *
 * Written from docs/release-log.md and the light-client protocol of the consensus specifications, without code of the
 * KMS. What is common is the library for BLS12-381.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js'

import {
  type BeaconMessage,
  type BeaconNetwork,
  hashPair,
  type LoggedBeaconHeader,
  type LoggedCommittee,
  merkleRoot,
  type ProvenCommittee,
  readBeaconMessage,
} from './beacon-messages.ts'

const { G1, longSignatures } = bls12_381
type PublicKey = typeof G1.Point.BASE

/** The trusted block root, and the network whose validators sign. */
export interface FinalityExpectations {
  /** Beacon network of the chain. */
  readonly network: BeaconNetwork
  /**
   * Roots of finalized beacon blocks, 32 bytes with `0x`. Empty: the root with which the log begins is used and
   * reported.
   */
  readonly trustedBlockRoots: readonly string[]
}

type Update = Extract<BeaconMessage, { readonly kind: 'update' }>

interface KnownCommittee extends LoggedCommittee {
  /** Decompressed when they are first needed. */
  readonly points: Map<number, PublicKey>
}

/** Generalized indices below the body root: the payload, the block hash in it (Deneb), the parent's hash in the bid (Gloas). */
const payloadIndex = 25
const payloadDepth = 4
const hashInPayloadIndex = 812
const parentHashIndex = 2856

/** Newest committees and blocks in memory. A log only goes forward. */
const maxCommittees = 64
const maxBlocks = 4096

/** Follows the chain of signatures through a log, from its start to its end. */
export class FinalityChain {
  readonly #network: BeaconNetwork
  readonly #trusted: Set<string>
  readonly #trustsLog: boolean
  readonly #committees = new Map<number, KnownCommittee>()
  /** Execution blocks by the name of the message that proves them. */
  readonly #blocks = new Map<string, string>()
  /** Messages that were verified before. */
  readonly #verified = new Map<string, true>()
  /** Roots that only the log names. */
  readonly claimedRoots: string[] = []

  constructor({ network, trustedBlockRoots }: FinalityExpectations) {
    this.#network = network
    this.#trusted = new Set(trustedBlockRoots.map((root) => root.toLowerCase()))
    this.#trustsLog = trustedBlockRoots.length === 0
  }

  /**
   * The execution block that these messages prove to be final. Messages before the last one introduce committees; those
   * that no trusted root leads to are left aside.
   *
   * @param messages by name, in the order of the evidence
   * @returns its hash with `0x`
   * @throws RangeError with the reason, if they prove nothing
   */
  finalBlock(messages: ReadonlyMap<string, Buffer>): string {
    const name = [...messages.keys()].at(-1) ?? ''
    const known = this.#blocks.get(name)
    if (known !== undefined) return known
    const read = [...messages].map(([key, bytes]) => ({
      key,
      message: readBeaconMessage(bytes, this.#network.committeeSize),
    }))
    if (this.#trustsLog) this.#claimRoot(read.map(({ message }) => message))
    let reason: RangeError | undefined
    for (const { key, message } of read) {
      if (this.#verified.has(key)) continue
      try {
        this.#verify(message)
        keep(this.#verified, key, true, maxBlocks)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        // the first reason explains the others
        reason ??= error
      }
    }
    if (reason !== undefined && !this.#verified.has(name)) throw reason
    const last = read.at(-1)?.message
    if (last === undefined) throw new RangeError('evidence without a light-client message')
    const header = last.kind === 'bootstrap' ? last.header : last.finalized
    const block = `0x${header.blockHash.toString('hex')}`
    keep(this.#blocks, name, block, maxBlocks)
    return block
  }

  /** Trusts the first header of the log, and after a gap the first one behind it. */
  #claimRoot([first]: readonly BeaconMessage[]): void {
    if (first === undefined) return
    const header = first.kind === 'bootstrap' ? first.header : first.attested
    const root = `0x${header.root.toString('hex')}`
    const signed =
      first.kind === 'update' && this.#committees.has(this.#periodAt(first.signatureSlot))
    const introduced = this.#committees.has(
      this.#periodAt(header.slot) + (first.kind === 'bootstrap' ? 0 : 1),
    )
    if (signed || introduced || this.#trusted.has(root)) return
    this.#trusted.add(root)
    this.claimedRoots.push(root)
  }

  #verify(message: BeaconMessage): void {
    if (message.kind === 'bootstrap') {
      const { header } = message
      if (!this.#isTrusted(header)) throw notTrusted(header)
      this.#requireExecution(header)
      this.#introduce(this.#periodAt(header.slot), message, header, 'currentCommittee')
      return
    }
    const { attested, finalized, signatureSlot } = message
    if (signatureSlot <= attested.slot || attested.slot < finalized.slot)
      throw new RangeError('the slots of a light-client message are out of order')
    // a trusted header needs no signature
    if (!this.#isTrusted(attested)) this.#requireSigned(message)
    const { finalizedRoot } = this.#indicesAt(attested.slot)
    requireBranch(finalized.root, message.finalityBranch, finalizedRoot, attested.stateRoot)
    this.#requireExecution(attested)
    this.#requireExecution(finalized)
    if (message.next === undefined) return
    // before its period is final, another next committee is possible
    if (this.#periodAt(finalized.slot) !== this.#periodAt(attested.slot)) return
    this.#introduce(this.#periodAt(attested.slot) + 1, message.next, attested, 'nextCommittee')
  }

  #isTrusted({ root }: LoggedBeaconHeader): boolean {
    return this.#trusted.has(`0x${root.toString('hex')}`)
  }

  #introduce(
    period: number,
    { committee, branch }: ProvenCommittee,
    { slot, stateRoot }: LoggedBeaconHeader,
    which: 'currentCommittee' | 'nextCommittee',
  ): void {
    requireBranch(committee.root, branch, this.#indicesAt(slot)[which], stateRoot)
    const known = this.#committees.get(period)
    if (known === undefined) {
      keep(this.#committees, period, { ...committee, points: new Map() }, maxCommittees)
    } else if (!known.root.equals(committee.root)) {
      throw new RangeError(`two sync committees of period ${period}`)
    }
  }

  #requireSigned({ attested, bits, signature, signatureSlot }: Update): void {
    const period = this.#periodAt(signatureSlot)
    const committee = this.#committees.get(period)
    if (committee === undefined) throw notTrusted(attested, period)
    const signers = bits.flatMap((isSigner, index) => (isSigner ? [index] : []))
    if (signers.length * 3 < bits.length * 2)
      throw new RangeError(
        `only ${signers.length} of ${bits.length} members signed slot ${attested.slot}`,
      )
    const isSigned = isAggregate(
      committee,
      signers,
      this.#signingRoot(attested, signatureSlot),
      signature,
    )
    if (!isSigned)
      throw new RangeError(
        `the sync committee of period ${period} did not sign slot ${attested.slot}`,
      )
  }

  /** `get_lc_execution_root` and `is_valid_light_client_header`: the block is in the body. */
  #requireExecution({ slot, executionLeaf, executionBranch, bodyRoot }: LoggedBeaconHeader): void {
    const isGloas = this.#isActive('gloas', slot)
    // a message of Gloas can contain an older header: then the branch leads from the hash inside that header's payload
    const isHash = executionBranch.length > payloadDepth
    const index = isGloas ? parentHashIndex : isHash ? hashInPayloadIndex : payloadIndex
    requireBranch(executionLeaf, executionBranch, index, bodyRoot)
  }

  /** Generalized indices in the state (Altair, Electra and Gloas light client). */
  #indicesAt(slot: number) {
    if (this.#isActive('gloas', slot))
      return { finalizedRoot: 735, currentCommittee: 2945, nextCommittee: 2946 }
    if (this.#isActive('electra', slot))
      return { finalizedRoot: 169, currentCommittee: 86, nextCommittee: 87 }
    return { finalizedRoot: 105, currentCommittee: 54, nextCommittee: 55 }
  }

  #isActive(name: string, slot: number): boolean {
    const fork = this.#network.forks.find((each) => each.name === name)
    return fork !== undefined && fork.epoch <= this.#epochAt(slot)
  }

  #epochAt(slot: number): number {
    return Math.floor(slot / this.#network.slotsPerEpoch)
  }

  #periodAt(slot: number): number {
    return Math.floor(this.#epochAt(slot) / this.#network.epochsPerPeriod)
  }

  /** `compute_signing_root` under `DOMAIN_SYNC_COMMITTEE`, with the fork version of the slot before the signature. */
  #signingRoot({ root }: LoggedBeaconHeader, signatureSlot: number): Buffer {
    const { forks, genesisForkVersion, genesisValidatorsRoot } = this.#network
    const epoch = this.#epochAt(Math.max(signatureSlot, 1) - 1)
    const version = forks.findLast((fork) => fork.epoch <= epoch)?.version ?? genesisForkVersion
    const padded = Buffer.concat([bytesOf(version, 4), Buffer.alloc(28)])
    const forkRoot = hashPair(padded, bytesOf(genesisValidatorsRoot, 32))
    const domain = Buffer.concat([Buffer.from('07000000', 'hex'), forkRoot.subarray(0, 28)])
    return merkleRoot([root, domain], 2)
  }
}

/** Adds a value and drops the oldest beyond a bound. */
function keep<K, V>(values: Map<K, V>, key: K, value: V, bound: number): void {
  values.set(key, value)
  const [oldest] = values.keys()
  if (oldest !== undefined && values.size > bound) values.delete(oldest)
}

function notTrusted({ root, slot }: LoggedBeaconHeader, period?: number): RangeError {
  const block = `block root 0x${root.toString('hex')} of slot ${slot}`
  return new RangeError(
    period === undefined
      ? `the signatures begin at ${block}, which is not trusted`
      : `no trusted block root leads to the sync committee of period ${period}, which signed ${block}`,
  )
}

/** `is_valid_normalized_merkle_branch`: a branch that is longer has zeros in front. @throws RangeError */
function requireBranch(leaf: Buffer, branch: readonly Buffer[], index: number, root: Buffer): void {
  const extra = branch.length - Math.floor(Math.log2(index))
  const isPadded =
    extra >= 0 && branch.slice(0, extra).every((node) => node.every((byte) => byte === 0))
  if (isPadded) {
    const top = branch
      .slice(extra)
      .reduce(
        (node, sibling, level) =>
          ((index >> level) & 1) === 1 ? hashPair(sibling, node) : hashPair(node, sibling),
        leaf,
      )
    if (top.equals(root)) return
  }
  throw new RangeError('a Merkle branch of a light-client message is wrong')
}

/* SIGNATURES */

/** Ciphersuite of the consensus layer. */
const suite = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_'

/** `FastAggregateVerify`, over the keys of those who signed. */
function isAggregate(
  committee: KnownCommittee,
  signers: readonly number[],
  message: Buffer,
  signature: Buffer,
): boolean {
  try {
    const sum = signers.reduce((total, index) => total.add(keyAt(committee, index)), G1.Point.ZERO)
    if (sum.is0()) return false
    const hashed = longSignatures.hash(new Uint8Array(message), suite)
    return longSignatures.verify(new Uint8Array(signature), hashed, sum)
  } catch {
    return false
  }
}

function keyAt({ pubkeys, points }: KnownCommittee, index: number): PublicKey {
  const known = points.get(index)
  if (known !== undefined) return known
  const key = G1.Point.fromBytes(new Uint8Array(pubkeys[index] as Buffer))
  if (key.is0()) throw new RangeError('the identity is no public key')
  points.set(index, key)
  return key
}

function bytesOf(text: string, length: number): Buffer {
  const bytes = Buffer.from(text.replace(/^0x/, ''), 'hex')
  if (bytes.length !== length) throw new RangeError(`${text} has not ${length} bytes`)
  return bytes
}
