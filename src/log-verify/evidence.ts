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
  /** The RPC quorum and the endpoints that agreed on the block, as the node claims. */
  readonly agreement: { readonly required: number; readonly endpoints: readonly string[] }
  /** Contracts by address. */
  readonly contracts: ProvenValues<LoggedContract>
  /** Light-client messages by name, in their order. Empty: the node had no light client. */
  readonly signatures: ReadonlyMap<string, Buffer>
  /** Endpoints that returned the answer of a foreign app. This is not proven. Empty for other apps. */
  readonly executedBy: readonly string[]
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
 * Opens evidence of version 1, 2 or 3.
 *
 * @param pool trie nodes of the segment up to this line
 * @throws RangeError, TypeError if it proves nothing
 */
export function openEvidence(evidence: unknown, pool: NodePool): LoggedState {
  const parts = asObject(evidence, 'evidence')
  if (parts.version !== 2 && parts.version !== 3) return checkEvidence(evidence)
  const blockHash = asText(parts.blockHash, 'blockHash')
  const header = pool.bytesOf(toBytes(blockHash))
  if (header === undefined) throw new RangeError('evidence without the header of its block')
  const { stateRoot, number, timestamp } = readHeader(header)
  const agreement = readAgreement(parts.agreement)
  return {
    chainId: Number(parts.chainId),
    kmsContract: asText(parts.kmsContract, 'kmsContract'),
    blockHash,
    blockNumber: number,
    blockTime: timestamp,
    agreement,
    contracts: readOnDemand((address) => openContract(pool, stateRoot, address)),
    signatures: parts.version === 3 ? readSignatures(parts.signatures, pool) : new Map(),
    executedBy: readNames(parts.executedBy ?? [], agreement.required),
  }
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
    signatures: new Map(),
    executedBy: readNames(parts.executedBy ?? [], agreement.required),
  }
}

/** Reads the quorum. The list of endpoints is a claim of the node; a list that is too short is an error. */
function readAgreement(value: unknown): LoggedState['agreement'] {
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
