/** Reads values of Assent's contracts from proven storage. Written from docs/contracts.md, "Storage". */
import type { LoggedState } from './evidence.ts'
import { keccak } from './trie.ts'

/** The numbers of `contracts/types/Kind.sol`. */
const kinds = {
  osImage: 0,
  kmsMeasurement: 1,
  kmsDevice: 2,
  app: 3,
  release: 4,
  device: 5,
  host: 6,
  measurements: 8,
} as const

/** Kind of an approval. */
export type LoggedKind = keyof typeof kinds

/** Accepted code hashes (keccak-256) of each contract, as `assent kms pinned-code` prints them. */
export type PinnedCodeHashes = Readonly<Record<ContractRole, readonly string[]>>

/** The contracts whose code is pinned. */
export const contractRoles = ['proxy', 'kmsAuth', 'app', 'hosts', 'bonds', 'images'] as const
/** One of {@link contractRoles}. */
export type ContractRole = (typeof contractRoles)[number]

/** ERC-1967: the address of the implementation. */
const implementationSlot = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'
const emptyCode = hash('0x')

/** Reads one contract in a proven state. A value that the evidence does not prove is an error. */
export class LoggedContractReader {
  /** Lower-case address of the contract. */
  readonly address: string
  readonly #state: LoggedState

  constructor(state: LoggedState, address: string) {
    this.address = address
    this.#state = state
  }

  /** Reads a storage slot. @param what name of the value in the error message @throws RangeError if it is not proven */
  word(slot: string, what: string): bigint {
    const word = this.#state.contracts.get(this.address)?.slots.get(slot)
    if (word === undefined) throw new RangeError(`its evidence does not prove ${what}`)
    return word
  }

  /** Tells if an approval is active at a time (Unix seconds). */
  isActive(kind: LoggedKind, id: string, at: number): boolean {
    return isActive(this.word(approvalSlot(kind, id), `the approval (${kind})`), at)
  }

  /** Compares the code with the pinned code: `none` if there is no code. Without pins, any code is `known`. */
  standing(role: ContractRole, pins: PinnedCodeHashes | undefined): 'none' | 'known' | 'foreign' {
    const { contracts } = this.#state
    const own = contracts.get(this.address)
    if (own === undefined) throw new RangeError(`its evidence does not prove ${role}`)
    if (own.codeHash === undefined || own.codeHash === emptyCode) return 'none'
    const behind = this.word(implementationSlot, `the implementation of ${role}`)
    const code = contracts.get(addressIn(behind))?.codeHash
    if (pins === undefined) return 'known'
    const isKnown =
      pins.proxy.includes(own.codeHash) &&
      behind < 1n << 160n &&
      code !== undefined &&
      pins[role].includes(code)
    return isKnown ? 'known' : 'foreign'
  }
}

/** Tells if a stored approval is active at a time (Unix seconds), as in `contracts/types/Approval.sol`. */
export function isActive(word: bigint, at: number): boolean {
  const [from, until, suspended] = [bits(word, 0, 40), bits(word, 40, 40), bits(word, 80, 40)]
  const [endedAt, version, revoked] = [bits(word, 120, 40), bits(word, 160, 32), bits(word, 224, 1)]
  return (
    version !== 0 &&
    revoked === 0 &&
    endedAt === 0 &&
    (until === 0 || at < until) &&
    at >= suspended &&
    at >= from
  )
}

/** The storage slot of an approval. */
export function approvalSlot(kind: LoggedKind, id: string): string {
  return mapping(id, mapping(uint(BigInt(kinds[kind])), uint(0n)))
}

/** The slot of a mapping's member: keccak256(key ‖ slot). */
export function mapping(key: string, slot: string): string {
  return hash(key + slot.slice(2))
}

/** The address in the lower 20 bytes of a word. */
export function addressIn(word: bigint): string {
  return `0x${(word & ((1n << 160n) - 1n)).toString(16).padStart(40, '0')}`
}

/** A field of at most 53 bits of a packed word. */
export function bits(word: bigint, from: number, width: number): number {
  return Number(wide(word, from, width))
}

/** A field of any width of a packed word. */
export function wide(word: bigint, from: number, width: number): bigint {
  return (word >> BigInt(from)) & ((1n << BigInt(width)) - 1n)
}

/** A number as 32 bytes of hex with `0x`. */
export function uint(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`
}

/** keccak-256 of hex, as hex with `0x`. */
export function hash(hex: string): string {
  return `0x${keccak(Buffer.from(hex.slice(2), 'hex')).toString('hex')}`
}
