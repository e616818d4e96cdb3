/**
 * Checks that a dispute game on L1 proves the block of an OP Stack chain.
 *
 * Written from docs/release-log.md, docs/chains.md and the storage layouts that the authors of the contracts publish,
 * without code of the KMS.
 */
import { addressIn, bits, hash, mapping, uint, wide } from './contract-storage.ts'
import type { LoggedContract, LoggedRollup } from './evidence.ts'

/** Rules for dispute games, as in the settings `chainView.opStack` of the node. */
export interface RollupExpectations {
  /** EIP-155 id of the L1. */
  readonly l1ChainId: number
  /** Final games, or games that nobody challenged for `minAgeSeconds`. */
  readonly level: 'anchored' | 'proposed'
  /** `AnchorStateRegistry`, lower case. */
  readonly anchorStateRegistry: string
  /** `OptimismPortal2` if it has the blacklist and the rules: with a registry of version 2. */
  readonly optimismPortal?: string | undefined
  /** `DisputeGameFactory`, lower case. */
  readonly disputeGameFactory: string
  /** Number of the game type. */
  readonly gameType: number
  /** Storage layout of the games. */
  readonly gameLayout: 'fault' | 'aggregate' | 'op-succinct'
  /** Seconds from the creation of a game until it counts. */
  readonly minAgeSeconds: number
  /** Only `anchored`: seconds from the resolution of a game until it counts. */
  readonly finalityDelaySeconds?: number | undefined
  /** Storage of L1 that must have these words. */
  readonly requiredWords: readonly {
    readonly contract: string
    readonly slot: string
    readonly word: string
  }[]
}

/** `GameStatus` of the dispute contracts. */
const [challengerWins, defenderWins] = [1, 2]

/**
 * The first rule that the logged game breaks; undefined if it counts. That the game claims the logged block is checked
 * when the evidence is read.
 *
 * @throws RangeError if the evidence does not prove a value
 */
export function flawOfGame(rollup: LoggedRollup, expected: RollupExpectations): string | undefined {
  const { l1ChainId, level, requiredWords } = expected
  if (rollup.chainId !== l1ChainId) return `its L1 is chain ${rollup.chainId}`
  const word = (contract: string, slot: string): bigint => readWord(rollup, contract, slot)
  for (const { contract, slot, word: needed } of requiredWords) {
    if (word(contract, slot) !== BigInt(needed))
      return `slot ${slot} of ${contract} has another word`
  }
  const { registry, factory } = namedContracts(expected)
  if (addressIn(word(registry.address, registry.factory)) !== factory)
    return 'the registry names another factory'
  const id = word(factory, claimSlot(rollup, expected.gameType))
  if (id === 0n || addressIn(id) !== rollup.game) return 'the factory did not create its game'
  const createdAt = bits(id, 160, 53)
  if (wide(id, 160, 64) !== BigInt(createdAt)) return 'its game was created at an impossible time'
  const game = readGame(expected.gameLayout, (slot) => word(rollup.game, slot))
  const rules = word(registry.rulesContract, registry.rules)
  const isAnchor = addressIn(word(registry.address, registry.anchorGame)) === rollup.game

  if (wide(id, 224, 32) !== BigInt(expected.gameType)) return 'its game has another type'
  if (game.createdAt !== wide(id, 160, 64)) return 'its game has another storage layout'
  if (!game.wasRespected) return 'the type of its game was not respected'
  if (word(registry.rulesContract, mapping(uint(BigInt(rollup.game)), registry.blacklist)) !== 0n)
    return 'its game is blacklisted'
  if (game.createdAt <= wide(rules, 32, 64)) return 'its game is retired'
  if (game.status === challengerWins) return 'the challenger won its game'
  const age = rollup.blockTime - createdAt
  const isFinal = game.status === defenderWins && game.resolvedAt !== 0n
  // the registry accepts only games that are final
  if (isAnchor && isFinal) return undefined
  if (age < expected.minAgeSeconds) return `its game was only ${age} seconds old`
  if (level === 'proposed') {
    if (bits(rules, 0, 32) !== expected.gameType)
      return 'the type of its game is no longer respected'
    return game.isUnchallenged ? undefined : 'its game was challenged'
  }
  if (!isFinal) return 'its game is not resolved'
  const passed = BigInt(rollup.blockTime) - game.resolvedAt
  const { finalityDelaySeconds: delay = Number.POSITIVE_INFINITY } = expected
  return passed > delay ? undefined : `its game was resolved only ${passed} seconds before`
}

/** Slots of the registry, version 3; of version 2 with a portal. */
function namedContracts({
  anchorStateRegistry,
  optimismPortal,
  disputeGameFactory,
}: RollupExpectations) {
  const slots = optimismPortal === undefined ? [2, 5, 6] : [3, 58, 59]
  const [anchorGame = '', blacklist = '', rules = ''] = slots.map((slot) => uint(BigInt(slot)))
  return {
    factory: disputeGameFactory,
    registry: {
      address: anchorStateRegistry,
      rulesContract: optimismPortal ?? anchorStateRegistry,
      factory: uint(1n),
      anchorGame,
      blacklist,
      rules,
    },
  }
}

/** Slot of the factory's mapping 103 for `abi.encode(type, root claim, extra data)`. */
function claimSlot({ rootClaim, extraData }: LoggedRollup, type: number): string {
  const length = (extraData.length - 2) / 2
  const padding = '00'.repeat((32 - (length % 32)) % 32)
  const head = [uint(BigInt(type)), rootClaim, uint(96n), uint(BigInt(length))]
  const encoded = head.map((word) => word.slice(2)).join('') + extraData.slice(2) + padding
  return mapping(hash(`0x${encoded}`), uint(103n))
}

/** Reads the state of a game. Times are as wide as they are stored. */
function readGame(layout: RollupExpectations['gameLayout'], word: (slot: string) => bigint) {
  const head = word(uint(0n))
  const common = {
    createdAt: wide(head, 0, 64),
    resolvedAt: wide(head, 64, 64),
    status: bits(head, 128, 8),
  }
  if (layout === 'op-succinct')
    return { ...common, wasRespected: bits(head, 136, 8) !== 0, isUnchallenged: true }
  if (layout === 'aggregate') {
    const isUnchallenged = word(uint(5n)) === 0n && bits(word(uint(7n)), 64, 8) > 0
    return { ...common, wasRespected: bits(head, 144, 8) !== 0, isUnchallenged }
  }
  const counteredBy = wide(word(hash(uint(2n))), 32, 160)
  const isUnchallenged = word(uint(2n)) === 1n && counteredBy === 0n && bits(head, 144, 8) === 0
  return { ...common, wasRespected: bits(word(uint(10n)), 0, 8) !== 0, isUnchallenged }
}

function readWord({ contracts }: LoggedRollup, address: string, slot: string): bigint {
  const contract: LoggedContract | undefined = contracts.get(address)
  const word = contract?.slots.get(slot)
  if (word === undefined)
    throw new RangeError(`its evidence does not prove ${slot} of ${address} on L1`)
  return word
}
