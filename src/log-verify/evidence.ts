/**
 * Verifies the inclusion evidence of a decision: block header, accounts and storage. Everything is compared with a hash.
 *
 * Written from docs/release-log.md, without code of the KMS.
 */
import { decodeRlp, type Rlp } from './rlp.ts'
import { keccak, type NodePool, NotProven, provenValue } from './trie.ts'

/** Proven values by name. A value without a complete proof is undefined. */
export interface ProvenValues<T> {
  /** The proven value; undefined if the evidence does not contain it. */
  get(name: string): T | undefined
}

/** Chain state as the evidence proves it. */
export interface LoggedState {
  /** EIP-155 chain id. */
  readonly chainId: number
  /** Address, lower case. */
  readonly kmsContract: string
  /** keccak-256 of the header. */
  readonly blockHash: string
  /** Number in the header. */
  readonly blockNumber: bigint
  /** Unix seconds. */
  readonly blockTime: number
  /** The RPC quorum and the endpoints that agreed on the block, on a rollup on the L1 block, as the node claims. */
  readonly agreement: LoggedAgreement
  /** Contracts by address. */
  readonly contracts: ProvenValues<LoggedContract>
  /** Light-client messages by name, in their order. Empty: the node had no light client. */
  readonly signatures: ReadonlyMap<string, Buffer>
  /** Hash of the block that these messages must prove: of this block, on a rollup of the L1 block. */
  readonly signedBlock: string
  /** On a rollup: proof of the block through L1. */
  readonly rollup?: LoggedRollup | undefined
  /** Endpoints that returned the answer of a foreign app. This is not proven. Empty for other apps. */
  readonly executedBy: readonly string[]
}

/** The endpoints that agreed on a block, and how many had to, as the node claims. */
export interface LoggedAgreement {
  /** RPC quorum. */
  readonly required: number
  /** Names of endpoints. */
  readonly endpoints: readonly string[]
}

/** Proof of a block through L1: a dispute game whose claim is this block. */
export interface LoggedRollup {
  /** EIP-155 id of the L1. */
  readonly chainId: number
  /** Unix seconds of the L1 block. */
  readonly blockTime: number
  /** Contracts of L1 by address. */
  readonly contracts: ProvenValues<LoggedContract>
  /** Address of the dispute game, lower case. */
  readonly game: string
  /** Output root that it claims, 32 bytes. */
  readonly rootClaim: string
  /** Its first 32 bytes are the number of the L2 block. */
  readonly extraData: string
}

/** A proven account. */
export interface LoggedContract {
  /** keccak-256 of the code with `0x`; undefined if the account does not exist. */
  readonly codeHash: string | undefined
  /** Proven storage words by slot. A slot that the evidence does not prove is undefined, and not zero. */
  readonly slots: ProvenValues<bigint>
}

/** The state in evidence of version 1, which lists all its values. */
interface ListedState extends LoggedState {
  readonly contracts: ReadonlyMap<string, ListedContract>
}

interface ListedContract extends LoggedContract {
  readonly slots: ReadonlyMap<string, bigint>
}

/** The name by which entries refer to evidence: keccak-256 of its JSON with sorted members. */
export function evidenceName(evidence: unknown): string {
  return `0x${keccak(Buffer.from(sortedJson(evidence))).toString('hex')}`
}

/**
 * Opens evidence of version 1 to 4.
 *
 * @param pool trie nodes of the segment up to this line
 * @throws RangeError, TypeError if it proves nothing
 */
export function openEvidence(evidence: unknown, pool: NodePool): LoggedState {
  const parts = asObject(evidence, 'evidence')
  if (parts.version !== 2 && parts.version !== 3 && parts.version !== 4)
    return checkEvidence(evidence)
  const blockHash = asText(parts.blockHash, 'blockHash')
  const { stateRoot, number, timestamp } = headerOf(blockHash, pool)
  const own = readAgreement(parts.agreement)
  const state = {
    chainId: Number(parts.chainId),
    kmsContract: asText(parts.kmsContract, 'kmsContract'),
    blockHash,
    blockNumber: number,
    blockTime: timestamp,
    contracts: readOnDemand((address) => openContract(pool, stateRoot, address)),
    executedBy: readNames(parts.executedBy ?? [], own.required),
  }
  if (parts.version !== 4) {
    const signatures = parts.version === 3 ? readSignatures(parts.signatures, pool) : noSignatures
    return { ...state, agreement: own, signatures, signedBlock: blockHash }
  }
  return { ...state, ...openRollup(parts.rollup, { blockHash, stateRoot, number }, pool) }
}

const noSignatures: ReadonlyMap<string, Buffer> = new Map()

interface ClaimedBlock {
  readonly blockHash: string
  readonly stateRoot: Buffer
  readonly number: bigint
}

/** Opens the proof through L1, and checks that its dispute game claims this L2 block. @throws RangeError */
function openRollup(value: unknown, claimed: ClaimedBlock, pool: NodePool) {
  const parts = asObject(value, 'rollup')
  const blockHash = asText(parts.blockHash, 'blockHash')
  const { stateRoot, timestamp } = headerOf(blockHash, pool)
  const rollup: LoggedRollup = {
    chainId: Number(parts.chainId),
    blockTime: timestamp,
    contracts: readOnDemand((address) => openContract(pool, stateRoot, address)),
    game: asText(parts.game, 'game'),
    rootClaim: asText(parts.rootClaim, 'rootClaim'),
    extraData: asText(parts.extraData, 'extraData'),
  }
  requireClaim(rollup, claimed, asText(parts.messagePasserStorageRoot, 'messagePasserStorageRoot'))
  return {
    agreement: readAgreement(parts.agreement),
    signatures:
      parts.signatures === undefined ? noSignatures : readSignatures(parts.signatures, pool),
    signedBlock: blockHash,
    rollup,
  }
}

/** Longest extra data of a dispute game. */
const maxExtraDataBytes = 4096

/** Output root, version 0: keccak-256 of 32 zero bytes, state root, storage root of the message passer, block hash. */
function requireClaim(
  { game, rootClaim, extraData }: LoggedRollup,
  { blockHash, stateRoot, number }: ClaimedBlock,
  storageRoot: string,
): void {
  const data = toBytes(extraData)
  if (toBytes(game).length !== 20 || toBytes(storageRoot).length !== 32)
    throw new RangeError('a value of the dispute game has another length')
  if (data.length < 32 || data.length > maxExtraDataBytes)
    throw new RangeError(`a dispute game with ${data.length} bytes of extra data`)
  const words = [Buffer.alloc(32), stateRoot, toBytes(storageRoot), toBytes(blockHash)]
  const root = `0x${keccak(Buffer.concat(words)).toString('hex')}`
  const isClaimed =
    root === rootClaim && BigInt(`0x${data.subarray(0, 32).toString('hex')}`) === number
  if (!isClaimed) throw new RangeError('its dispute game claims another block')
}

function headerOf(blockHash: string, pool: NodePool) {
  const header = pool.bytesOf(toBytes(blockHash))
  if (header === undefined) throw new RangeError('evidence without the header of its block')
  return readHeader(header)
}

/** Committees of 16 periods and one finality update. */
const maxSignatures = 17

function readSignatures(value: unknown, pool: NodePool): Map<string, Buffer> {
  const names = asList(value, 'signatures').map((name) => asText(name, 'signature'))
  if (names.length === 0 || names.length > maxSignatures)
    throw new RangeError(`evidence with ${names.length} light-client messages`)
  return new Map(
    names.map((name) => {
      const message = pool.bytesOf(toBytes(name))
      if (message === undefined) throw new RangeError('evidence lacks a light-client message')
      return [name, message]
    }),
  )
}

/** Most values of one block in memory. Others are read from the trie again. */
const maxValues = 64

function readOnDemand<T>(read: (name: string) => T | undefined): ProvenValues<T> {
  const known = new Map<string, T>()
  return {
    get: (name) => {
      const found = known.get(name) ?? ifShown(() => read(name))
      if (known.size >= maxValues) known.clear()
      if (found !== undefined) known.set(name, found)
      return found
    },
  }
}

function ifShown<T>(read: () => T | undefined): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof NotProven) return undefined
    throw error
  }
}

function openContract(pool: NodePool, stateRoot: Buffer, address: string): LoggedContract {
  const { storageRoot, codeHash } = readAccount(pool.value(stateRoot, toBytes(address)))
  return {
    codeHash,
    slots: readOnDemand((slot) => readWord(pool.value(storageRoot, toBytes(slot)))),
  }
}

/** Checks evidence of version 1, which lists the trie nodes of each path. @throws RangeError, TypeError */
export function checkEvidence(evidence: unknown): ListedState {
  const parts = asObject(evidence, 'evidence')
  if (parts.version !== 1) throw new RangeError('evidence of an unknown version')
  const header = asBytes(parts.header, 'header')
  const blockHash = asText(parts.blockHash, 'blockHash')
  if (`0x${keccak(header).toString('hex')}` !== blockHash)
    throw new RangeError('a header of another block')
  const { stateRoot, number, timestamp } = readHeader(header)
  const contracts = new Map<string, ListedContract>()
  for (const [address, proof] of Object.entries(asObject(parts.contracts, 'contracts'))) {
    contracts.set(address, checkContract(stateRoot, address, asObject(proof, address)))
  }
  const agreement = readAgreement(parts.agreement)
  return {
    chainId: Number(parts.chainId),
    kmsContract: asText(parts.kmsContract, 'kmsContract'),
    blockHash,
    blockNumber: number,
    blockTime: timestamp,
    agreement,
    contracts,
    signatures: noSignatures,
    signedBlock: blockHash,
    executedBy: readNames(parts.executedBy ?? [], agreement.required),
  }
}

/** Reads the quorum. The list of endpoints is a claim of the node; a list that is too short is an error. */
function readAgreement(value: unknown): LoggedAgreement {
  const { required, endpoints } = asObject(value, 'agreement')
  if (!Number.isSafeInteger(required) || Number(required) < 1)
    throw new RangeError('the RPC quorum is not a number above zero')
  return { required: Number(required), endpoints: readNames(endpoints, Number(required)) }
}

/** Reads a list of endpoints: empty, or with enough different names. */
function readNames(value: unknown, required: number): readonly string[] {
  const names = asList(value, 'endpoints').map((name) => asText(name, 'endpoint'))
  if (names.length > 0 && new Set(names).size < required)
    throw new RangeError('fewer endpoints agreed than required')
  return names
}

function checkContract(
  stateRoot: Buffer,
  address: string,
  proof: Record<string, unknown>,
): ListedContract {
  const nodes = asNodes(proof.accountProof)
  const { storageRoot, codeHash } = readAccount(provenValue(stateRoot, toBytes(address), nodes))
  const slots = new Map<string, bigint>()
  for (const [slot, path] of Object.entries(asObject(proof.storage, 'storage'))) {
    slots.set(slot, readWord(provenValue(storageRoot, toBytes(slot), asNodes(path))))
  }
  return { codeHash, slots }
}

/** Reads nonce, balance, storage root, code hash. An account that does not exist has an empty storage. */
function readAccount(encoded: Buffer | undefined) {
  const account = encoded && decodeRlp(encoded)
  if (account !== undefined) requireAccount(account)
  return {
    storageRoot: account ? asLeaf(account[2]) : keccak(Buffer.from([0x80])),
    codeHash: account && `0x${asLeaf(account[3]).toString('hex')}`,
  }
}

/** Checks the form of an account: nonce, balance, storage root, code hash. */
function requireAccount(account: Rlp): asserts account is readonly Rlp[] {
  const isAccount =
    !Buffer.isBuffer(account) &&
    account.length === 4 &&
    account.every((field) => Buffer.isBuffer(field)) &&
    asLeaf(account[2]).length === 32 &&
    asLeaf(account[3]).length === 32
  if (!isAccount) throw new RangeError('the leaf is not a valid account')
}

/** Reads a number of at most 32 bytes. An absent slot is zero; only anvil stores zeros. */
function readWord(encoded: Buffer | undefined): bigint {
  if (encoded === undefined) return 0n
  const word = asLeaf(decodeRlp(encoded))
  if (word.length > 32 || word[0] === 0)
    throw new RangeError('a storage value is not a number of at most 32 bytes')
  return BigInt(`0x0${word.toString('hex')}`)
}

/** Yellow paper §4.4: state root is the fourth field, number the ninth, time the twelfth. */
function readHeader(header: Buffer) {
  const fields = decodeRlp(header)
  if (Buffer.isBuffer(fields) || fields.length < 15) throw new RangeError('not a header')
  const stateRoot = asLeaf(fields[3])
  if (stateRoot.length !== 32) throw new RangeError('not a header')
  return {
    stateRoot,
    number: asNumber(fields[8]),
    timestamp: Number(asNumber(fields[11])),
  }
}

function asNumber(field: Rlp | undefined): bigint {
  const bytes = asLeaf(field)
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`)
}

function asLeaf(item: Rlp | undefined): Buffer {
  if (item === undefined || !Buffer.isBuffer(item))
    throw new RangeError('a list in place of a value')
  return item
}

function asNodes(value: unknown): Buffer[] {
  return asList(value, 'proof').map((node) => asBytes(node, 'node'))
}

function asBytes(value: unknown, name: string): Buffer {
  return toBytes(asText(value, name))
}

function toBytes(text: string): Buffer {
  if (!/^0x(?:[0-9a-f]{2})*$/.test(text)) throw new RangeError('not bytes')
  return Buffer.from(text.slice(2), 'hex')
}

function asText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new TypeError(`${name} is no text`)
  return value
}

function asList(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is no list`)
  return value
}

/**
 * Narrows a parsed JSON value to an object.
 *
 * @throws RangeError for arrays, null and other values
 */
export function asObject(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} is no object`)
  }
  return value as Record<string, unknown>
}

function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sortedJson(member)}`).join(',')}}`
}
