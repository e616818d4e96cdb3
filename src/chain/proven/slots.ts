/**
 * Storage slots of the contracts that a decision reads, as in snapshots/storage.json.
 *
 * Tests compare each slot with the compiler's storage layout and with the contracts' answers.
 */
import type { Hex } from '../../lib/bytes.ts'
import { bits, mappingSlot, uint256 } from '../approval.ts'

/** ERC-1967: keccak256('eip1967.proxy.implementation') - 1 */
export const implementationSlot: Hex =
  '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc'

export const kmsAuthSlots = {
  gatewayAppId: uint256(9n),
  appImplementation: uint256(10n),
  hosts: uint256(11n),
  images: uint256(12n),
} as const

export const appSlots = {
  /** Flags and epoch counters; they follow the counters of approvals. */
  rules: uint256(4n),
  ends: uint256(5n),
} as const

export const hostsSlots = {
  rules: uint256(8n),
  bonds: uint256(10n),
} as const

export const bondsSlots = {
  minimum: uint256(1n),
} as const

/** The two words of a host proof that `admission` reads. */
export function hostSlots(deviceId: Hex): readonly [Hex, Hex] {
  const first = BigInt(mappingSlot(deviceId, uint256(5n)))
  return [uint256(first), uint256((first + 1n) % 2n ** 256n)]
}

/** Bond of a holder for a host. */
export function bondSlot(deviceId: Hex, holder: Hex): Hex {
  return mappingSlot(uint256(BigInt(holder)), mappingSlot(deviceId, uint256(0n)))
}

/** Whether a base image is closed. */
export function closedSlot(osImageHash: Hex): Hex {
  return mappingSlot(osImageHash, uint256(5n))
}

/** Until when hosts with a TCB status are admitted (unix seconds). */
export function statusSlot(status: number): Hex {
  return mappingSlot(uint256(BigInt(status)), uint256(6n))
}

export interface AppRules {
  readonly allowAnyDevice: boolean
  readonly requireTcbUpToDate: boolean
  readonly epochsOpened: number
  readonly oldest: number
  readonly nextOldest: number
  readonly endFrom: number
  readonly endOpenedEpoch: boolean
}

/** @param rules word of `appSlots.rules` @param ends word of `appSlots.ends` */
export function readAppRules(rules: bigint, ends: bigint): AppRules {
  return {
    allowAnyDevice: byte(rules, 17) !== 0,
    requireTcbUpToDate: byte(rules, 18) !== 0,
    epochsOpened: bits(rules, 8n * 23n, 32n),
    oldest: bits(rules, 8n * 27n, 32n),
    nextOldest: bits(ends, 0n, 32n),
    endFrom: bits(ends, 32n, 40n),
    endOpenedEpoch: byte(ends, 9) !== 0,
  }
}

export interface HostProof {
  readonly operator: Hex
  readonly attestedAt: number
  readonly expiresAt: number
  readonly status: number
  readonly approvalVersion: number
}

export function readHostProof(first: bigint, second: bigint): HostProof {
  return {
    operator: lowAddress(first),
    attestedAt: bits(first, 160n, 40n),
    expiresAt: bits(first, 200n, 40n),
    status: byte(first, 30),
    approvalVersion: bits(second, 8n * 14n, 32n),
  }
}

export function readAttestedSince(rules: bigint): number {
  return bits(rules, 0n, 40n)
}

export function readTime(word: bigint): number {
  return bits(word, 0n, 40n)
}

/** Address in the lower 20 bytes of a word. */
export function lowAddress(word: bigint): Hex {
  return `0x${(word % 2n ** 160n).toString(16).padStart(40, '0')}`
}

/** Amount of a token in the lower 12 bytes of a word. */
export function readAmount(word: bigint): bigint {
  return word % 2n ** 96n
}

/** Address in a slot of its own; undefined if the word is not an address, which our contracts never write. */
export function readAddress(word: bigint): Hex | undefined {
  return word < 1n << 160n ? `0x${word.toString(16).padStart(40, '0')}` : undefined
}

/** Slot of a Solidity string: a short one has its bytes and twice its length; a long one twice its length plus one. */
export function readStringHead(word: bigint): {
  readonly length: number
  readonly isLong: boolean
} {
  const low = bits(word, 0n, 40n)
  const isLong = (low & 1) === 1
  return { isLong, length: isLong ? Math.floor((low - 1) / 2) : byte(word, 0) / 2 }
}

function byte(word: bigint, offset: number): number {
  return bits(word, BigInt(8 * offset), 8n)
}
