/** The approval word, with the layout and the rules of contracts/types/Approval.sol. */
import { createByteCache } from '../lib/byte-cache.ts'
import type { Hex } from '../lib/bytes.ts'
import { keccak256 } from '../lib/keccak.ts'
import { type Kind, kinds } from './kinds.ts'

export { type Kind, kinds }

/**
 * States of an approval, at the position of their number on-chain (`State` in contracts/types/Approval.sol). Only
 * `active` allows something.
 */
export const states = [
  'none',
  'pending',
  'active',
  'expired',
  'suspended',
  'withdrawn',
  'revoked',
] as const

/** The largest time of 40 bits, which contracts use as "no end" or "no deadline". Unix seconds. */
export const noEnd = 2 ** 40 - 1

/** One of `states`. */
export type State = (typeof states)[number]

/**
 * The fields of an approval word. Times in Unix seconds.
 *
 * Layout, from the lowest bit: activeFrom 40, expiresAt 40, suspendedUntil 40, endedAt 40, version 32, index 32,
 * revoked 1. The bit above says whether the guardian made the last suspension; the state does not depend on it.
 */
export interface Approval {
  /** First second in which the approval can be active. */
  readonly activeFrom: number
  /** First second in which the approval no longer counts; 0: it never expires. */
  readonly expiresAt: number
  /** First second after the last suspension of this version; 0: this version was never suspended. */
  readonly suspendedUntil: number
  /** Time of the withdrawal or revocation; 0: neither happened. */
  readonly endedAt: number
  /**
   * Number of the approval of this id, from 1. A thing that returns after a withdrawal or expiry has a new version. 0:
   * never approved.
   */
  readonly version: number
  /**
   * Position in the list of its kind, from 1; 0: never approved or revoked. For a release of an app this is the release
   * number.
   */
  readonly index: number
  /** Whether the thing is forbidden permanently. */
  readonly revoked: boolean
}

/**
 * Decodes the storage word of an approval. Each 256-bit number is a word, so this never fails.
 *
 * @example
 * const approval = decodeApproval(BigInt(await getStorageAt(client, { address, slot: approvalSlot('osImage', id) })))
 * if (stateAt(approval, now) === 'active') console.log('approved until', approval.expiresAt)
 */
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

/**
 * State of an approval at a time, by the same rules as `stateAt` in contracts/types/Approval.sol. If several states
 * apply, the first of this list counts: revoked, none, withdrawn, expired, suspended, pending.
 *
 * @param at Unix seconds
 * @example stateAt(decodeApproval(word), Date.now() / 1000) // 'active'
 */
export function stateAt(approval: Approval, at: number): State {
  if (approval.revoked) return 'revoked'
  if (approval.version === 0) return 'none'
  if (approval.endedAt !== 0) return 'withdrawn'
  if (approval.expiresAt !== 0 && approval.expiresAt <= at) return 'expired'
  if (at < approval.suspendedUntil) return 'suspended'
  if (at < approval.activeFrom) return 'pending'
  return 'active'
}

/** The id under which `KmsAuth` approves an app: its address, left-padded to 32 bytes. */
export function appKey(app: Hex): Hex {
  return `0x${app.slice(2).toLowerCase().padStart(64, '0')}`
}

/**
 * Storage slot of the approval word of (kind, id): keccak256(id . keccak256(kind . 0)). It is the same in every
 * registry.
 *
 * @param id 32 bytes
 */
export function approvalSlot(kind: Kind, id: Hex): Hex {
  return mappingSlot(id, approvalsOf[kind])
}

/**
 * Storage slot of the keccak-256 of the evidence for (kind, id): keccak256(id . keccak256(kind . 1)).
 *
 * @param id 32 bytes
 */
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

/** Slots of images, devices and hosts are needed for each decision. */
const knownSlots = createByteCache<Hex>(2 ** 20)

/** Storage slot of `mapping[key]` in Solidity: keccak256(key . slot). */
export function mappingSlot(key: Hex, slot: Hex): Hex {
  const preimage: Hex = `${key}${slot.slice(2)}`
  const known = knownSlots.get(preimage)
  if (known !== undefined) return known
  const found = keccak256(preimage)
  knownSlots.set(preimage, found, found.length)
  return found
}

/** Base slot of the approvals of each kind; computed once, because each decision needs it. */
const approvalsOf = Object.fromEntries(
  Object.entries(kinds).map(([kind, number]) => [
    kind,
    mappingSlot(uint256(BigInt(number)), uint256(0n)),
  ]),
) as Record<Kind, Hex>
