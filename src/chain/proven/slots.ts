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

/** Storage slots of `KmsAuth` (snapshots/storage.json). */
export const kmsAuthSlots = {
  gatewayAppId: uint256(9n),
  appImplementation: uint256(10n),
  hosts: uint256(11n),
  images: uint256(12n),
} as const

/** Storage slots of `App`. */
export const appSlots = {
  /** Flags and epoch counters; they follow the counters of approvals. */
  rules: uint256(4n),
  ends: uint256(5n),
} as const

/** Storage slots of `Hosts`. */
export const hostsSlots = {
  rules: uint256(8n),
  bonds: uint256(10n),
} as const

/** Storage slots of `HostBonds`. */
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

/** Until when a TCB status of hosts is accepted (unix seconds). */
export function statusSlot(status: number): Hex {
  return mappingSlot(uint256(BigInt(status)), uint256(6n))
}

/** Rules of an app, decoded from two storage words. */
export interface AppRules {
  /** Whether the app may run on any admitted host. */
  readonly allowAnyDevice: boolean
  /** Whether boots need the TCB status `UpToDate`. */
  readonly requireTcbUpToDate: boolean
  /** Key epochs that were opened after the first; the newest epoch has this number plus one. */
  readonly epochsOpened: number
  /** Number of the oldest release that has not been superseded. */
  readonly oldest: number
  /** Number of the oldest release that stays after the pending end. */
  readonly nextOldest: number
  /** Unix seconds at which the pending end takes effect; 0: no end is pending. */
  readonly supersededAt: number
  /** Whether the pending end opened a new key epoch. */
  readonly endOpenedEpoch: boolean
}

/**
 * Decodes the rules of an app.
 *
 * @param rules word of `appSlots.rules`
 * @param ends word of `appSlots.ends`
 */
export function readAppRules(rules: bigint, ends: bigint): AppRules {
  return {
    allowAnyDevice: byte(rules, 17) !== 0,
    requireTcbUpToDate: byte(rules, 18) !== 0,
    epochsOpened: bits(rules, 8n * 23n, 32n),
    oldest: bits(rules, 8n * 27n, 32n),
    nextOldest: bits(ends, 0n, 32n),
    supersededAt: bits(ends, 32n, 40n),
    endOpenedEpoch: byte(ends, 9) !== 0,
  }
}

/** The parts of a host proof that `Hosts.admission` reads. Times in Unix seconds. */
export interface HostProof {
  /** Account whose bond counts; the zero address if the host was never registered. */
  readonly operator: Hex
  /** Compared with `HostRules.attestedSince`. */
  readonly attestedAt: number
  /** First second in which the proof no longer counts. */
  readonly expiresAt: number
  /** Number of the TCB status. */
  readonly status: number
  /** Must be the version of the host's approval. */
  readonly approvalVersion: number
}

/** Decodes the two words of {@link hostSlots}. */
export function readHostProof(first: bigint, second: bigint): HostProof {
  return {
    operator: lowAddress(first),
    attestedAt: bits(first, 160n, 40n),
    expiresAt: bits(first, 200n, 40n),
    status: byte(first, 30),
    approvalVersion: bits(second, 8n * 14n, 32n),
  }
}

/** `HostRules.attestedSince` from the word of `hostsSlots.rules`, Unix seconds. */
export function readAttestedSince(rules: bigint): number {
  return bits(rules, 0n, 40n)
}

/** A `uint40` in the lowest bits of a word, Unix seconds. */
export function readTime(word: bigint): number {
  return bits(word, 0n, 40n)
}

/** Address in the lower 20 bytes of a word. */
export function lowAddress(word: bigint): Hex {
  return `0x${(word % 2n ** 160n).toString(16).padStart(40, '0')}`
}

/** 20 zero bytes. `viem` has the same constant, but a node with storage proofs does not load it. */
export const zeroAddress = lowAddress(0n)

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
