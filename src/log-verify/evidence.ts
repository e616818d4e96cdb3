/** Re-checks the chain proofs that a decision names: header, account, storage. Believes nothing that it cannot hash. */
import { decodeRlp, type Rlp } from './rlp.ts'
import { keccak, type NodePool, NotProven, provenValue } from './trie.ts'

/** What can be asked for a name; undefined where nothing shows it. */
export interface ProvenValues<T> {
  get(name: string): T | undefined
}

export interface LoggedState {
  readonly chainId: number
  readonly kmsContract: string
  readonly blockHash: string
  readonly blockNumber: bigint
  readonly blockTime: number
  readonly agreement: { readonly required: number; readonly endpoints: readonly string[] }
  /** By address: its code and the slots that were read, all proven. */
  readonly contracts: ProvenValues<LoggedContract>
  /** Endpoints whose word was taken for an app's own answer. */
  readonly executedBy: readonly string[]
}

export interface LoggedContract {
  readonly codeHash: string | undefined
  readonly slots: ProvenValues<bigint>
}

/** All that evidence of version 1 names. */
interface ListedState extends LoggedState {
  readonly contracts: ReadonlyMap<string, ListedContract>
}

interface ListedContract extends LoggedContract {
  readonly slots: ReadonlyMap<string, bigint>
}

/** keccak-256 of the JSON with its members sorted: the name under which decisions refer to it. */
export function evidenceName(evidence: unknown): string {
  return `0x${keccak(Buffer.from(sortedJson(evidence))).toString('hex')}`
}

/**
 * Of either version. @param pool the nodes that its file holds so far @throws RangeError, TypeError: it proves nothing
 */
export function openEvidence(evidence: unknown, pool: NodePool): LoggedState {
  const parts = asObject(evidence, 'evidence')
  if (parts.version !== 2) return checkEvidence(evidence)
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
    executedBy: readNames(parts.executedBy ?? [], agreement.required),
  }
}

/** So much of a block is kept at hand; the rest is walked to again. */
const kept = 64

function readOnDemand<T>(read: (name: string) => T | undefined): ProvenValues<T> {
  const known = new Map<string, T>()
  return {
    get: (name) => {
      const found = known.get(name) ?? ifShown(() => read(name))
      if (known.size >= kept) known.clear()
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

/** Version 1, which lists the nodes of each path. @throws RangeError, TypeError: it proves nothing */
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
    executedBy: readNames(parts.executedBy ?? [], agreement.required),
  }
}

/** Who vouched for the block is the node's word; that they were too few is not. */
function readAgreement(value: unknown): LoggedState['agreement'] {
  const { required, endpoints } = asObject(value, 'agreement')
  if (!Number.isSafeInteger(required) || Number(required) < 1)
    throw new RangeError('an agreement of nobody')
  return { required: Number(required), endpoints: readNames(endpoints, Number(required)) }
}

/** Nobody's, or enough different ones. */
function readNames(value: unknown, required: number): readonly string[] {
  const names = asList(value, 'endpoints').map((name) => asText(name, 'endpoint'))
  if (names.length > 0 && new Set(names).size < required)
    throw new RangeError('fewer endpoints agreed than had to')
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

/** Nonce, balance, storage root, code hash; an account that does not exist has nothing in any slot. */
function readAccount(encoded: Buffer | undefined) {
  const account = encoded && decodeRlp(encoded)
  if (account !== undefined) requireAccount(account)
  return {
    storageRoot: account ? asLeaf(account[2]) : keccak(Buffer.from([0x80])),
    codeHash: account && `0x${asLeaf(account[3]).toString('hex')}`,
  }
}

/** Nonce, balance, storage root, code hash. */
function requireAccount(account: Rlp): asserts account is readonly Rlp[] {
  const isAccount =
    !Buffer.isBuffer(account) &&
    account.length === 4 &&
    account.every((field) => Buffer.isBuffer(field)) &&
    asLeaf(account[2]).length === 32 &&
    asLeaf(account[3]).length === 32
  if (!isAccount) throw new RangeError('an account that is none')
}

/** A number of at most 32 bytes, zero where there is none; only anvil keeps zeros. */
function readWord(encoded: Buffer | undefined): bigint {
  if (encoded === undefined) return 0n
  const word = asLeaf(decodeRlp(encoded))
  if (word.length > 32 || word[0] === 0) throw new RangeError('a word that is none')
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
