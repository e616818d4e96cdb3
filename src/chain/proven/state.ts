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
import type { TriePath } from '../boot/evidence.ts'
import type { BlockHeader } from './header.ts'
import {
  maxSlots,
  type ProvenAccount,
  type ProvenContract,
  readAccount,
  readWord,
} from './proof.ts'
import { createNodeStore, emptyRoot, type NodeStore, walk } from './trie.ts'

/** The header fields that a state needs. */
export type StateOf = Pick<BlockHeader, 'number' | 'stateRoot'>

/** Fetches and verifies one proof. @throws CHAIN_* */
export type ProofSource = (
  block: StateOf,
  address: Hex,
  slots: readonly Hex[],
  client: string | undefined,
) => Promise<Pick<ProvenContract, 'nodes'>>

/** Reads for one decision; it collects their proofs. */
export interface ProvenReads {
  /** The account with its code hash and storage root; undefined if the proof shows that it does not exist. */
  account(address: Hex): Promise<ProvenAccount | undefined>
  /** Words in the order of `slots`; zero if the account does not exist. */
  words(address: Hex, slots: readonly Hex[]): Promise<readonly bigint[]>
  /** Trie nodes that prove all reads, without duplicate paths. */
  paths(): readonly TriePath[]
  /** Accounts that were read, for the evidence. */
  addresses(): readonly Hex[]
}

/** For whom a state is read. */
export interface ReadOptions {
  /** Requests of several clients take turns and are not joined. Undefined: the node reads for itself. */
  readonly client?: string | undefined
  /** Called before each proof that these reads request; it may throw. */
  readonly beforeRequest?: (() => void) | undefined
}

/** State of one block, read by storage proofs that lead to the state root of its header. */
export interface ProvenState<Header extends StateOf = BlockHeader> {
  readonly header: Header
  read(options?: ReadOptions): ProvenReads
  /** Trie nodes that prove an account and these slots. */
  prove(address: Hex, slots: readonly Hex[], options?: ReadOptions): Promise<ReadonlyMap<Hex, Hex>>
}

/** Cache that is shared by all blocks. */
export interface StateCache {
  /** Trie nodes by hash. A node proves itself, so nodes of older blocks are reused. */
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

/** A proven storage word, with the nodes from the storage root to it. */
interface KnownSlot {
  readonly value: bigint
  readonly path: TriePath
}

/** A proven account, with the nodes from the state root to it and the slots that were read. */
interface KnownContract {
  readonly account: ProvenAccount | undefined
  readonly path: TriePath
  readonly slots: Map<Hex, KnownSlot>
}

/** Most contracts, and most slots of one, whose values a block keeps. Others are read from their nodes again. */
const kept = 512

/** Attempts to read a contract: cached nodes can be evicted between two requests. */
const rounds = 4

/**
 * Opens the state of a block. Nodes that the cache has are not requested; a proof that does not lead to the state
 * root is an outage of its endpoint.
 *
 * @throws from reads: CHAIN_PROOF_REFUSED, CHAIN_*
 */
export function openState<Header extends StateOf>(
  header: Header,
  source: ProofSource,
  memory: StateCache,
): ProvenState<Header> {
  const { nodes, roots } = memory
  const ask = askTogether(async (address, slots, client) => {
    const proven = await source(header, address, slots, client)
    for (const [hash, node] of proven.nodes) nodes.set(hash, node, node.length)
  })
  const find = (root: Hex, name: Hex) => walk(root, keyOf(name, memory.keys), nodes.get)
  // under one state root a proven value never changes, so each is walked to once and not for each app
  const contracts = new Map<Hex, KnownContract>()

  /** Undefined: a node is missing. */
  const contractAt = (address: Hex): KnownContract | undefined => {
    const known = contracts.get(address)
    if (known !== undefined) return known
    const found = find(header.stateRoot, address)
    if ('missing' in found) return undefined
    const account = readAccount(found.value)
    const root = account?.storageRoot ?? emptyRoot
    roots.set(address, root, root.length)
    return keep(contracts, address, { account, path: found.nodes, slots: new Map() })
  }
  const slotAt = ({ account, slots }: KnownContract, slot: Hex): KnownSlot | undefined => {
    const known = slots.get(slot)
    if (known !== undefined) return known
    const found = find(account?.storageRoot ?? emptyRoot, slot)
    if ('missing' in found) return undefined
    return keep(slots, slot, { value: readWord(found.value), path: found.nodes })
  }
  /** The slots to request with an account that is not known: those that its last storage root does not prove. */
  const guessMissing = (address: Hex, slots: readonly Hex[]): Hex[] => {
    const root = roots.get(address)
    return slots.filter((slot) => root === undefined || 'missing' in find(root, slot))
  }
  const know = async (
    address: Hex,
    slots: readonly Hex[],
    { client, beforeRequest }: ReadOptions = {},
  ): Promise<Known> => {
    for (let round = 0; round < rounds; round++) {
      const contract = contractAt(address)
      const found = contract && slots.map((slot) => slotAt(contract, slot))
      const wanted = found
        ? slots.filter((_, index) => found[index] === undefined)
        : guessMissing(address, slots)
      if (contract && found && wanted.length === 0) {
        return { account: contract.account, path: contract.path, slots: found as KnownSlot[] }
      }
      beforeRequest?.()
      await ask(address, wanted, client)
    }
    throw new AssentError(
      'CHAIN_NODE_OVERLOADED',
      'The proof of a contract does not fit into the cache.',
      {
        facts: { address, slots: slots.length },
      },
    )
  }
  return {
    header,
    read: (options) => startReading((address, slots) => know(address, slots, options)),
    prove: async (address, slots, options) => {
      const reading = startReading((each, of) => know(each, of, options))
      await reading.words(address, slots)
      return new Map(reading.paths().flat())
    },
  }
}

/** Results of a read; all are proven. Slots are in the order in which they were asked for. */
interface Known {
  readonly account: ProvenAccount | undefined
  readonly path: TriePath
  readonly slots: readonly KnownSlot[]
}

function keep<T>(values: Map<Hex, T>, name: Hex, value: T): T {
  if (values.size >= kept) values.clear()
  values.set(name, value)
  return value
}

function keyOf(name: Hex, keys: ByteCache<Hex>): Hex {
  const known = keys.get(name)
  if (known !== undefined) return known
  const key = keccak256(name)
  keys.set(name, key, key.length)
  return key
}

function startReading(know: (address: Hex, slots: readonly Hex[]) => Promise<Known>): ProvenReads {
  const paths = new Set<TriePath>()
  const addresses = new Set<Hex>()
  const read = async (address: Hex, slots: readonly Hex[]) => {
    const known = await know(address, slots)
    addresses.add(address)
    paths.add(known.path)
    for (const { path } of known.slots) paths.add(path)
    return known
  }
  return {
    account: async (address) => (await read(address, [])).account,
    words: async (address, slots) => (await read(address, slots)).slots.map(({ value }) => value),
    paths: () => [...paths],
    addresses: () => [...addresses],
  }
}

interface PendingRead {
  readonly slots: Set<Hex>
  readonly answered: Promise<void>
}

/**
 * Sends one request for a contract and a client at a time. Reads that arrive in the meantime are joined into the next
 * request. Reads of two clients are not joined: one would wait in the queue of the other.
 */
function askTogether(
  ask: (address: Hex, slots: readonly Hex[], client: string | undefined) => Promise<void>,
): (address: Hex, slots: readonly Hex[], client: string | undefined) => Promise<void> {
  const running = new Map<string, Promise<void>>()
  const waiting = new Map<string, PendingRead>()
  return (address, wanted, client) => {
    const name = `${address} ${client ?? ''}`
    const begin = async (slots: ReadonlySet<Hex>) => {
      // reads of the same moment are joined too
      await (running.get(name) ?? Promise.resolve()).catch(() => {})
      waiting.delete(name)
      const asking = ask(address, [...slots], client)
      running.set(name, asking)
      try {
        await asking
      } finally {
        if (running.get(name) === asking) running.delete(name)
      }
    }
    const open = waiting.get(name)
    if (open !== undefined && open.slots.size + wanted.length <= maxSlots) {
      for (const slot of wanted) open.slots.add(slot)
      return open.answered
    }
    const slots = new Set(wanted)
    const answered = begin(slots)
    waiting.set(name, { slots, answered })
    return answered
  }
}
