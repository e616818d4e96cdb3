/**
 * The proven state of one block. Values that follow from cached trie nodes need no request, and requests for one
 * contract are joined.
 *
 * Trie nodes stay valid for later blocks. An account that did not change needs only the few new nodes above it. If the
 * storage root of a contract is the same, all its cached slots are proven without a request.
 */

import { AssentError } from '../../errors/index.ts'
import { type ByteCache, createByteCache } from '../../lib/byte-cache.ts'
import type { Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import type { ChainEvidence } from '../evidence.ts'
import type { BlockHeader } from './header.ts'
import {
  maxSlots,
  type ProvenAccount,
  type ProvenContract,
  readAccount,
  readWord,
} from './proof.ts'
import { createNodeStore, emptyRoot, type NodeStore, type TrieWalkResult, walk } from './trie.ts'

/** The header fields that a state needs. */
export type StateOf = Pick<BlockHeader, 'number' | 'stateRoot'>

/** Fetches and verifies one proof. @throws CHAIN_* */
export type ProofSource = (
  block: StateOf,
  address: Hex,
  slots: readonly Hex[],
) => Promise<Pick<ProvenContract, 'nodes'>>

type Contracts = ChainEvidence['contracts']

/** Reads for one decision; it collects their proofs. */
export interface ProvenReads {
  account(address: Hex): Promise<ProvenAccount | undefined>
  /** Words in the order of `slots`; zero if the account does not exist. */
  words(address: Hex, slots: readonly Hex[]): Promise<readonly bigint[]>
  /** Proofs of all reads, by contract. */
  contracts(): Contracts
  addresses(): readonly Hex[]
}

export interface ProvenState<Header extends StateOf = BlockHeader> {
  readonly header: Header
  read(): ProvenReads
  /** Trie nodes that prove an account and these slots. */
  prove(address: Hex, slots: readonly Hex[]): Promise<ReadonlyMap<Hex, Hex>>
}

/** Cache that is shared by all blocks. */
export interface StateCache {
  readonly nodes: NodeStore
  /** Last known storage root of each contract, to guess which nodes are cached. */
  readonly roots: ByteCache<Hex>
  /** Hashes of addresses and slots. */
  readonly keys: ByteCache<Hex>
}

/** @param maxBytes size of the cache */
export function createStateCache(maxBytes: number): StateCache {
  return {
    nodes: createNodeStore(Math.floor(maxBytes * 0.8)),
    roots: createByteCache(Math.floor(maxBytes * 0.1)),
    keys: createByteCache(Math.floor(maxBytes * 0.1)),
  }
}

interface KnownAccount {
  readonly account: ProvenAccount | undefined
  readonly proof: readonly Hex[]
}

interface KnownSlot {
  readonly value: bigint
  readonly proof: readonly Hex[]
}

/** Results of a read; all are proven. */
interface Known extends KnownAccount {
  readonly slots: readonly KnownSlot[]
}

/** Attempts to read a contract: cached nodes can be evicted between two requests. */
const rounds = 4

export function openState<Header extends StateOf>(
  header: Header,
  source: ProofSource,
  memory: StateCache,
): ProvenState<Header> {
  const { nodes, roots } = memory
  const ask = askTogether(async (address, slots) => {
    const proven = await source(header, address, slots)
    for (const [hash, node] of proven.nodes) nodes.set(hash, node, node.length)
  })
  const find = (root: Hex, name: Hex) => walk(root, keyOf(name, memory.keys), nodes.get)
  const slotsUnder = (root: Hex, slots: readonly Hex[]) =>
    slots.map((slot) => [slot, find(root, slot)] as const)

  /** The cached result, or the slots that must be requested together with the account. */
  const look = (address: Hex, slots: readonly Hex[]): Known | { readonly wanted: Hex[] } => {
    const found = find(header.stateRoot, address)
    if ('missing' in found) {
      const guess = roots.get(address)
      return { wanted: guess === undefined ? [...slots] : missing(slotsUnder(guess, slots)) }
    }
    const account = readAccount(found.value)
    const root = account?.storageRoot ?? emptyRoot
    roots.set(address, root, root.length)
    const walks = slotsUnder(root, slots)
    const wanted = missing(walks)
    if (wanted.length > 0) return { wanted }
    return { account, proof: found.nodes, slots: walks.map(([, found]) => readSlot(found)) }
  }
  const know = async (address: Hex, slots: readonly Hex[]): Promise<Known> => {
    for (let round = 0; round < rounds; round++) {
      const known = look(address, slots)
      if (!('wanted' in known)) return known
      await ask(address, known.wanted)
    }
    throw new AssentError(
      'CHAIN_PROOF_INVALID',
      'The proof of a contract does not fit into the cache (`cacheBytes`).',
      {
        facts: { address, slots: slots.length },
      },
    )
  }
  return {
    header,
    read: () => startReading(know),
    prove: async (address, slots) => {
      await know(address, slots)
      return nodesUnder(header.stateRoot, address, slots, memory)
    },
  }
}

/** Trie nodes by hash, without duplicates. */
function nodesUnder(
  stateRoot: Hex,
  address: Hex,
  slots: readonly Hex[],
  { nodes, keys, roots }: StateCache,
): ReadonlyMap<Hex, Hex> {
  const found = new Map<Hex, Hex>()
  const collect = (root: Hex, name: Hex) =>
    walk(root, keyOf(name, keys), (hash) => {
      const node = nodes.get(hash)
      if (node !== undefined) found.set(hash, node)
      return node
    })
  collect(stateRoot, address)
  const root = roots.get(address) ?? emptyRoot
  for (const slot of slots) collect(root, slot)
  return found
}

function missing(walks: readonly (readonly [Hex, TrieWalkResult])[]): Hex[] {
  return walks.flatMap(([slot, found]) => ('missing' in found ? [slot] : []))
}

function readSlot(found: TrieWalkResult): KnownSlot {
  if ('missing' in found) throw new TypeError('A slot is missing.')
  return { value: readWord(found.value), proof: found.nodes }
}

function keyOf(name: Hex, keys: ByteCache<Hex>): Hex {
  const known = keys.get(name)
  if (known !== undefined) return known
  const key = keccak256(name)
  keys.set(name, key, key.length)
  return key
}

function startReading(know: (address: Hex, slots: readonly Hex[]) => Promise<Known>): ProvenReads {
  const read = new Map<
    Hex,
    { accountProof: readonly Hex[]; storage: Record<Hex, readonly Hex[]> }
  >()
  const note = (address: Hex, { proof }: KnownAccount) => {
    const noted = read.get(address) ?? { accountProof: proof, storage: {} }
    read.set(address, noted)
    return noted
  }
  return {
    account: async (address) => {
      const known = await know(address, [])
      note(address, known)
      return known.account
    },
    words: async (address, wanted) => {
      const known = await know(address, wanted)
      const { storage } = note(address, known)
      return known.slots.map(({ value, proof }, index) => {
        storage[wanted[index] as Hex] = proof
        return value
      })
    },
    contracts: () => Object.fromEntries(read) as Contracts,
    addresses: () => [...read.keys()],
  }
}

interface PendingRead {
  readonly slots: Set<Hex>
  readonly answered: Promise<void>
}

/**
 * Sends one request for a contract at a time. Reads that arrive in the meantime are joined into the next request.
 */
function askTogether(
  ask: (address: Hex, slots: readonly Hex[]) => Promise<void>,
): (address: Hex, slots: readonly Hex[]) => Promise<void> {
  const running = new Map<Hex, Promise<void>>()
  const waiting = new Map<Hex, PendingRead>()
  const begin = async (address: Hex, slots: ReadonlySet<Hex>) => {
    // reads of the same moment are joined too
    await (running.get(address) ?? Promise.resolve()).catch(() => {})
    waiting.delete(address)
    const asking = ask(address, [...slots])
    running.set(address, asking)
    try {
      await asking
    } finally {
      if (running.get(address) === asking) running.delete(address)
    }
  }
  return (address, wanted) => {
    const open = waiting.get(address)
    if (open !== undefined && open.slots.size + wanted.length <= maxSlots) {
      for (const slot of wanted) open.slots.add(slot)
      return open.answered
    }
    const slots = new Set(wanted)
    const answered = begin(address, slots)
    waiting.set(address, { slots, answered })
    return answered
  }
}
