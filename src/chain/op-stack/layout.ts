/**
 * Storage of the dispute contracts that an OP Stack chain has on L1.
 *
 * Slots and packing are those of the published storage layouts: `packages/contracts-bedrock/snapshots/storageLayout` in
 * ethereum-optimism/optimism, and `snapshots/storageLayout` in base/contracts for the games of Base.
 */
import type { Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import { bits, mappingSlot, uint256 } from '../approval.ts'
import { lowAddress } from '../proven/slots.ts'

/** Where an `AnchorStateRegistry` keeps what it says about games. */
export interface RegistrySlots {
  /** The `DisputeGameFactory`. */
  readonly factory: Hex
  /** The newest game whose claim the registry accepted. */
  readonly anchorGame: Hex
  /** Mapping from a game to whether it is blacklisted. */
  readonly blacklist: Hex
  /** Respected game type (32 bits) and the time up to which games are retired (64 bits). */
  readonly rules: Hex
}

/** Since version 3 the registry keeps everything itself. */
export const registrySlots: RegistrySlots = {
  factory: uint256(1n),
  anchorGame: uint256(2n),
  blacklist: uint256(5n),
  rules: uint256(6n),
}

/** In version 2 the `OptimismPortal2` keeps the blacklist and the rules. */
export const portalRegistrySlots: RegistrySlots = {
  factory: uint256(1n),
  anchorGame: uint256(3n),
  blacklist: uint256(58n),
  rules: uint256(59n),
}

/** Decodes the word of `RegistrySlots.rules`. The time is in Unix seconds. */
export function readRegistryRules(word: bigint) {
  return { respectedType: bits(word, 0n, 32n), retiredUntil: seconds(word, 32n) }
}

const games = uint256(103n)
const gameList = uint256(104n)
const firstInList = BigInt(keccak256(gameList))

/** Slot of the number of games that the factory created. */
export const gameCountSlot: Hex = gameList

/** Slot of a game's id in the factory's list, in order of creation. */
export function listedGameSlot(index: number): Hex {
  return uint256((firstInList + BigInt(index)) % 2n ** 256n)
}

/** What the creator of a game claimed. */
export interface GameClaim {
  /** Output root, 32 bytes. */
  readonly rootClaim: Hex
  /** Its first 32 bytes are the number of the L2 block. */
  readonly extraData: Hex
}

/** Slot of a game's id in the factory, by its type and claim: `keccak256(abi.encode(type, rootClaim, extraData))`. */
export function claimedGameSlot(type: number, { rootClaim, extraData }: GameClaim): Hex {
  const bytes = extraData.slice(2)
  const padded = bytes.padEnd(Math.ceil(bytes.length / 64) * 64, '0')
  const words = [uint256(BigInt(type)), rootClaim, uint256(96n), uint256(BigInt(bytes.length / 2))]
  return mappingSlot(keccak256(`0x${words.map((word) => word.slice(2)).join('')}${padded}`), games)
}

/** Identity of a game: type, time of creation (Unix seconds) and address. */
export interface GameId {
  /** The word in the factory's storage. */
  readonly word: bigint
  readonly type: number
  /** Unix seconds. */
  readonly createdAt: number
  readonly address: Hex
}

/** Decodes an id of the factory (`LibGameId`). */
export function readGameId(word: bigint): GameId {
  return {
    word,
    type: bits(word, 224n, 32n),
    createdAt: seconds(word, 160n),
    address: lowAddress(word),
  }
}

/** `GameStatus` of the dispute contracts. Other numbers do not exist. */
export const gameStatus = { inProgress: 0, challengerWins: 1, defenderWins: 2 } as const

/** What a game's storage says. Times in Unix seconds; 0: not resolved. */
export interface GameState {
  readonly createdAt: number
  readonly resolvedAt: number
  /** A number of `gameStatus`. */
  readonly status: number
  /** Whether the registry respected the game's type when it was created. */
  readonly wasRespected: boolean
  /** Whether nobody objected to its claim so far. */
  readonly isUnchallenged: boolean
}

/** How a kind of game keeps its state. */
export interface GameLayout {
  /** The slots that `read` needs, in this order. */
  readonly slots: readonly Hex[]
  readonly read: (words: readonly bigint[]) => GameState
}

/** All kinds of games begin with the same fields. */
function readHead(word: bigint) {
  return {
    createdAt: seconds(word, 0n),
    resolvedAt: seconds(word, 64n),
    status: bits(word, 128n, 8n),
  }
}

/** First word of the first claim: index of its parent (32 bits), and who countered it. */
const rootClaimSlot = keccak256(uint256(2n))

/** The kinds of games, by their names in the settings. */
export const gameLayouts = {
  /** `FaultDisputeGame` and `PermissionedDisputeGame` from version 1.4 on, also V2. */
  fault: {
    slots: [uint256(0n), uint256(2n), rootClaimSlot, uint256(10n)],
    read: ([head = 0n, claims = 0n, root = 0n, respected = 0n]) => ({
      ...readHead(head),
      wasRespected: flag(respected, 0n),
      // only the root claim exists, and nobody showed that it is of another block
      isUnchallenged: claims === 1n && lowAddress(root >> 32n) === noAddress && !flag(head, 144n),
    }),
  },
  /** `AggregateVerifier` of Base: each proposal has a proof by a TEE or a ZK proof. */
  aggregate: {
    slots: [uint256(0n), uint256(5n), uint256(7n)],
    read: ([head = 0n, countered = 0n, proofs = 0n]) => ({
      ...readHead(head),
      wasRespected: flag(head, 144n),
      isUnchallenged: countered === 0n && bits(proofs, 64n, 8n) > 0,
    }),
  },
  /** `OPSuccinctDisputeGame`: a ZK proof is verified when the game is created. */
  'op-succinct': {
    slots: [uint256(0n)],
    read: ([head = 0n]) => ({
      ...readHead(head),
      wasRespected: flag(head, 136n),
      isUnchallenged: true,
    }),
  },
} as const satisfies Record<string, GameLayout>

const noAddress = lowAddress(0n)

function flag(word: bigint, at: bigint): boolean {
  return bits(word, at, 8n) !== 0
}

/** A `uint64` time. A time beyond the range of exact numbers is far in the future, and stays there. */
function seconds(word: bigint, at: bigint): number {
  return Number((word >> at) % 2n ** 64n)
}
