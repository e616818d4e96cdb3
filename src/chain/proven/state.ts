/**
 * The state of one block, read by proofs and remembered: whatever was proven once is not asked for again,
 * and requests that come together share one question.
 */
import type { Hex } from '../../lib/bytes.ts'
import type { ChainEvidence } from '../evidence.ts'
import type { BlockHeader } from './header.ts'
import type { ProvenAccount, ProvenContract, ProvenSlot } from './proof.ts'

/** Gets and verifies one proof. @throws CHAIN_* */
export type ProofSource = (
  header: BlockHeader,
  address: Hex,
  slots: readonly Hex[],
) => Promise<ProvenContract>

type Contracts = ChainEvidence['contracts']

/** Reads for one decision, and keeps what proves them. */
export interface Reading {
  account(address: Hex): Promise<ProvenAccount | undefined>
  /** Words in the order of `slots`; zero in an account that does not exist. */
  words(address: Hex, slots: readonly Hex[]): Promise<readonly bigint[]>
  /** Proofs of all that was read, by contract. */
  contracts(): Contracts
}

export interface ProvenState {
  readonly header: BlockHeader
  read(): Reading
}

interface KnownAccount {
  readonly account: ProvenAccount | undefined
  readonly accountProof: readonly Hex[]
}

/** How many proofs are kept; the ones unused for longest go first. */
const capacity = 4096

export function openState(header: BlockHeader, source: ProofSource): ProvenState {
  const accounts = new Cache<Promise<KnownAccount>>(capacity)
  const slots = new Cache<Promise<ProvenSlot>>(capacity)

  const fetch = (address: Hex, asked: readonly Hex[]) => {
    const proven = source(header, address, asked)
    const account = proven.then(({ account, accountProof }) => ({ account, accountProof }))
    accounts.keep(address, account)
    for (const slot of asked) {
      slots.keep(
        address + slot,
        proven.then((contract) => contract.slots.get(slot) as ProvenSlot),
      )
    }
    return account
  }
  const slotsOf = async (address: Hex, wanted: readonly Hex[]) => {
    const missing = wanted.filter((slot) => slots.find(address + slot) === undefined)
    if (missing.length > 0) fetch(address, missing)
    return Promise.all(wanted.map((slot) => slots.find(address + slot) as Promise<ProvenSlot>))
  }
  return {
    header,
    read: () => startReading(slotsOf, (address) => accounts.find(address) ?? fetch(address, [])),
  }
}

function startReading(
  slotsOf: (address: Hex, slots: readonly Hex[]) => Promise<ProvenSlot[]>,
  accountOf: (address: Hex) => Promise<KnownAccount>,
): Reading {
  const read = new Map<
    Hex,
    { accountProof: readonly Hex[]; storage: Record<Hex, readonly Hex[]> }
  >()
  const note = async (address: Hex) => {
    const { account, accountProof } = await accountOf(address)
    const noted = read.get(address) ?? { accountProof, storage: {} }
    read.set(address, noted)
    return { account, noted }
  }
  return {
    account: async (address) => (await note(address)).account,
    words: async (address, wanted) => {
      const found = await slotsOf(address, wanted)
      const { noted } = await note(address)
      return found.map(({ value, proof }, index) => {
        noted.storage[wanted[index] as Hex] = proof
        return value
      })
    },
    contracts: () => Object.fromEntries(read) as Contracts,
  }
}

/** Promises by name; failed ones are forgotten, so that the next reader tries again. */
class Cache<T extends Promise<unknown>> {
  readonly #known = new Map<string, T>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  find(name: string): T | undefined {
    const known = this.#known.get(name)
    if (known === undefined) return undefined
    this.#known.delete(name)
    this.#known.set(name, known)
    return known
  }

  keep(name: string, value: T): void {
    this.#known.set(name, value)
    if (this.#known.size > this.#capacity) this.#known.delete(this.#known.keys().next().value ?? '')
    value.catch(() => {
      if (this.#known.get(name) === value) this.#known.delete(name)
    })
  }
}
