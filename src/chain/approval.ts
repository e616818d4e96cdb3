/** The approval word, with the layout and the rules of contracts/types/Approval.sol. */
import { keccak256 } from 'viem'

import type { Hex } from '../lib/bytes.ts'
import { type Kind, kinds } from './kinds.ts'

export { type Kind, kinds }

/** States by their number on-chain. */
export const states = [
  'none',
  'pending',
  'active',
  'expired',
  'suspended',
  'withdrawn',
  'revoked',
] as const

export type State = (typeof states)[number]

/** Fields of an approval; times in unix seconds. */
export interface Approval {
  readonly activeFrom: number
  /** 0: never */
  readonly expiresAt: number
  readonly suspendedUntil: number
  /** 0: neither withdrawn nor revoked */
  readonly endedAt: number
  /** 0: never approved */
  readonly version: number
  /** Position in the list of its kind, from 1. */
  readonly index: number
  readonly revoked: boolean
}

/** Decodes a storage word. */
export function decodeApproval(word: bigint): Approval {
  return {
    activeFrom: bits(word, 0n, 40n),
    expiresAt: bits(word, 40n, 40n),
    suspendedUntil: bits(word, 80n, 40n),
    endedAt: bits(word, 120n, 40n),
    version: bits(word, 160n, 32n),
    index: bits(word, 192n, 32n),
    revoked: bits(word, 224n, 1n) === 1,
  }
}

/** State of an approval at `at` (unix seconds). */
export function stateAt(approval: Approval, at: number): State {
  if (approval.revoked) return 'revoked'
  if (approval.version === 0) return 'none'
  if (approval.endedAt !== 0) return 'withdrawn'
  if (approval.expiresAt !== 0 && approval.expiresAt <= at) return 'expired'
  if (at < approval.suspendedUntil) return 'suspended'
  if (at < approval.activeFrom) return 'pending'
  return 'active'
}

/** Storage slot of the word of (kind, id), the same in every registry. */
export function approvalSlot(kind: Kind, id: Hex): Hex {
  return mappingSlot(id, approvalsOf[kind])
}

/** Storage slot of the digest of the evidence for (kind, id). */
export function evidenceSlot(kind: Kind, id: Hex): Hex {
  return mappingSlot(id, mappingSlot(uint256(BigInt(kinds[kind])), uint256(1n)))
}

/** `width` bits of a word from bit `shift` on. */
export function bits(word: bigint, shift: bigint, width: bigint): number {
  return Number((word >> shift) & ((1n << width) - 1n))
}

/** A number as Solidity hashes it: 32 bytes. @throws RangeError beyond them */
export function uint256(value: bigint): Hex {
  if (value < 0n || value >> 256n !== 0n)
    throw new RangeError('A number does not fit into 32 bytes.')
  return `0x${value.toString(16).padStart(64, '0')}`
}

/** Storage slot of `mapping[key]` in Solidity: keccak256(key . slot). */
export function mappingSlot(key: Hex, slot: Hex): Hex {
  return keccak256(`${key}${slot.slice(2)}`)
}

/** Base slot of the approvals of each kind; computed once, because each decision needs it. */
const approvalsOf = Object.fromEntries(
  Object.entries(kinds).map(([kind, number]) => [
    kind,
    mappingSlot(uint256(BigInt(number)), uint256(0n)),
  ]),
) as Record<Kind, Hex>
