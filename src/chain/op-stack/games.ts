/**
 * Finds the dispute games whose claims count, in the proven state of one L1 block.
 *
 * A game counts only if the factory created it, and if it breaks no rule of its level. Endpoints only name the claim of
 * a game; the factory's storage proves it.
 */
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { mappingSlot, uint256 } from '../approval.ts'
import { lowAddress, zeroAddress } from '../proven/slots.ts'
import type { ProvenReads } from '../proven/state.ts'
import {
  claimedGameSlot,
  type GameClaim,
  type GameId,
  type GameLayout,
  type GameState,
  gameCountSlot,
  gameStatus,
  listedGameSlot,
  type RegistrySlots,
  readGameId,
  readRegistryRules,
} from './layout.ts'

/** `anchored`: the game is final. `proposed`: nobody challenged it in the stated time. */
export type GameLevel = 'anchored' | 'proposed'

/** Which games count. */
export interface GameRules {
  readonly level: GameLevel
  /** The `AnchorStateRegistry`. */
  readonly registry: Hex
  /** The contract with the registry's blacklist and rules: the registry, or the `OptimismPortal2`. */
  readonly rulesContract: Hex
  readonly slots: RegistrySlots
  /** The `DisputeGameFactory`. */
  readonly factory: Hex
  /** Number of the game type. */
  readonly gameType: number
  readonly layout: GameLayout
  /** Seconds from the creation of a game until it counts. */
  readonly minAgeSeconds: number
  /** Only `anchored`: seconds from the resolution of a game until it counts, if the registry did not accept it before. */
  readonly finalityDelaySeconds: number
  /** Storage that must have these words. */
  readonly requiredWords: readonly RequiredWord[]
}

/** A storage word that must have one value, for example: the system is not paused. */
export interface RequiredWord {
  readonly contract: Hex
  readonly slot: Hex
  readonly word: Hex
}

/** Why a game does not count. */
export type GameFlaw =
  | 'another-type'
  | 'another-layout'
  | 'not-respected'
  | 'blacklisted'
  | 'retired'
  | 'challenger-won'
  | 'too-young'
  | 'challenged'
  | 'unresolved'
  | 'in-air-gap'

/** A game with its claim. The factory's storage proves that they belong together. */
export interface ClaimedGame {
  readonly id: GameId
  readonly claim: GameClaim
  /** Number of the L2 block of the claim. */
  readonly l2Block: bigint
}

/**
 * Asks endpoints for the claim of a game until one names a claim that `isProven` confirms.
 *
 * @throws CHAIN_*, ROLLUP_CLAIM_UNPROVEN
 */
export type AskClaim = (
  game: Hex,
  isProven: (claim: GameClaim) => Promise<boolean>,
) => Promise<GameClaim>

/** The proven state of one L1 block. */
export interface L1State {
  readonly reads: ProvenReads
  /** Time of the block, Unix seconds. */
  readonly time: number
}

/** Ids that are read at once, games of other types included. */
const idsAtOnce = 128
/** Ids that are read in all. */
const idsRead = 1024
/** Games of the right type whose state is read at once. */
const gamesAtOnce = 16
/** Games of the right type whose state is read in all. */
const gamesRead = 64
/** Newest games whose claims can deny. */
const deniersRead = 4
/** Slots in one step of the search. */
const probes = 32
/** No factory has as many games. */
const maxGames = 2n ** 32n

/**
 * The games that count, in groups from the newest to the oldest; the highest L2 block of a group is first. Older groups are
 * read only if the caller asks for them, because no claim of the newer ones was of use. The anchor game is in the first group.
 *
 * @throws ROLLUP_GAME_NONE if no game counts, ROLLUP_STORAGE_UNEXPECTED; CHAIN_* and ROLLUP_CLAIM_UNPROVEN for an outage
 */
export async function* countingGames(
  l1: L1State,
  rules: GameRules,
  askClaim: AskClaim,
): AsyncGenerator<readonly ClaimedGame[]> {
  const registry = await readRegistry(l1.reads, rules)
  const end = await countBefore(l1, rules, await countGames(l1.reads, rules))
  const examine = async (id: GameId): Promise<Candidate> => {
    const flaw = await flawOf(l1, rules, { id, registry, level: rules.level })
    return flaw === undefined ? claimedGame(l1.reads, rules, id, askClaim) : { id, flaw }
  }
  let anchor =
    registry.anchorGame === zeroAddress ? [] : [anchorGame(l1, rules, registry, askClaim)]
  const all: PromiseSettledResult<Candidate>[] = []
  let isAnyFound = false
  for await (const ids of groupsOfIds(l1.reads, rules, end)) {
    const candidates = await Promise.allSettled([...ids.map(examine), ...anchor])
    anchor = []
    all.push(...candidates)
    const found = candidates.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    const counting = byBlock(found.filter((each) => 'claim' in each))
    if (counting.length === 0) continue
    isAnyFound = true
    yield counting
  }
  if (!isAnyFound) throw noGame(all)
}

/**
 * Reads what shows that a game counts, and nothing else, so that the reads collect its proofs. `findGames` has read all
 * of it before.
 */
export async function readGrounds(
  reads: ProvenReads,
  rules: GameRules,
  { id, claim }: ClaimedGame,
): Promise<void> {
  await readRegistry(reads, rules)
  await reads.words(rules.factory, [claimedGameSlot(id.type, claim)])
  await reads.words(id.address, rules.layout.slots)
  await isBlacklisted(reads, rules, id.address)
}

type Candidate = ClaimedGame | { readonly id: GameId; readonly flaw: GameFlaw }

/** Highest L2 block first. */
function byBlock(games: readonly ClaimedGame[]): ClaimedGame[] {
  return games.toSorted((a, b) => (a.l2Block < b.l2Block ? 1 : -1))
}

/** Without an outage, the reasons of all games. */
function noGame(candidates: readonly PromiseSettledResult<Candidate>[]): unknown {
  const failed = candidates.find((each) => each.status === 'rejected')
  if (failed !== undefined) return failed.reason
  const found = candidates.flatMap((each) =>
    each.status === 'fulfilled' && 'flaw' in each.value
      ? [{ game: each.value.id.address, flaw: each.value.flaw }]
      : [],
  )
  const message = `No dispute game counts; ${found.length} were read.`
  return new AssentError('ROLLUP_GAME_NONE', message, { facts: { found } })
}

/* RULES */

interface Considered {
  readonly id: GameId
  readonly registry: Registry
  /** `anchor`: the registry accepted the game when it was final. */
  readonly level: GameLevel | 'anchor'
}

/** The first rule that a game breaks. */
async function flawOf(
  { reads, time }: L1State,
  rules: GameRules,
  { id, registry, level }: Considered,
): Promise<GameFlaw | undefined> {
  if (id.type !== rules.gameType) return 'another-type'
  const game = await readState(reads, rules, id)
  if (game.createdAt !== id.createdAt) return 'another-layout'
  if (!game.wasRespected) return 'not-respected'
  if (await isBlacklisted(reads, rules, id.address)) return 'blacklisted'
  if (id.createdAt <= registry.retiredUntil) return 'retired'
  if (game.status === gameStatus.challengerWins) return 'challenger-won'
  const isTooYoung = time - id.createdAt < rules.minAgeSeconds
  if (level === 'proposed') {
    if (registry.respectedType !== id.type) return 'not-respected'
    if (isTooYoung) return 'too-young'
    return game.isUnchallenged ? undefined : 'challenged'
  }
  if (game.status !== gameStatus.defenderWins || game.resolvedAt === 0) return 'unresolved'
  if (level === 'anchor') return undefined
  if (isTooYoung) return 'too-young'
  return time - game.resolvedAt > rules.finalityDelaySeconds ? undefined : 'in-air-gap'
}

async function anchorGame(
  l1: L1State,
  rules: GameRules,
  registry: Registry,
  askClaim: AskClaim,
): Promise<Candidate> {
  const { reads } = l1
  const address = registry.anchorGame
  const claim = await askClaim(
    address,
    async (named) => (await registeredId(reads, rules, named)).address === address,
  )
  const game = withBlock(await registeredId(reads, rules, claim), claim)
  const flaw = await flawOf(l1, rules, { id: game.id, registry, level: 'anchor' })
  return flaw === undefined ? game : { id: game.id, flaw }
}

/**
 * Games at the end of the list whose claims are newer, highest L2 block first. They can only deny. A game that cannot be
 * read denies nothing.
 */
export async function newerGames(
  { reads }: L1State,
  rules: GameRules,
  { counting, askClaim }: { counting: ClaimedGame; askClaim: AskClaim },
): Promise<readonly ClaimedGame[]> {
  const ids = await readTypedIds(reads, rules, await countGames(reads, rules))
  const games = await Promise.all(
    ids.slice(0, deniersRead).map(async (id) => {
      try {
        const { status } = await readState(reads, rules, id)
        if (status === gameStatus.challengerWins) return []
        return [await claimedGame(reads, rules, id, askClaim)]
      } catch (error) {
        if (!isAssentError(error)) throw error
        return []
      }
    }),
  )
  return byBlock(games.flat().filter(({ l2Block }) => l2Block > counting.l2Block))
}

/* STORAGE */

interface Registry {
  readonly anchorGame: Hex
  readonly respectedType: number
  /** Games that were created until then do not count; Unix seconds. */
  readonly retiredUntil: number
}

/** @throws ROLLUP_STORAGE_UNEXPECTED if the registry uses another factory, or a required word is another one */
async function readRegistry(reads: ProvenReads, rules: GameRules): Promise<Registry> {
  const { registry, rulesContract, slots, factory, requiredWords } = rules
  const [[named = 0n, anchor = 0n], [word = 0n]] = await Promise.all([
    reads.words(registry, [slots.factory, slots.anchorGame]),
    reads.words(rulesContract, [slots.rules]),
  ])
  requireWord({ contract: registry, slot: slots.factory, word: factory }, lowAddress(named))
  for (const required of requiredWords) {
    const [found = 0n] = await reads.words(required.contract, [required.slot])
    requireWord(required, uint256(found))
  }
  return { anchorGame: lowAddress(anchor), ...readRegistryRules(word) }
}

function requireWord({ contract, slot, word }: RequiredWord, found: Hex): void {
  if (word === found) return
  const message = `The storage of ${contract} on L1 is not the one that the settings require.`
  const facts = { contract, slot, expected: word, found }
  throw new AssentError('ROLLUP_STORAGE_UNEXPECTED', message, { facts })
}

async function readState(
  reads: ProvenReads,
  { layout }: GameRules,
  id: GameId,
): Promise<GameState> {
  return layout.read(await reads.words(id.address, layout.slots))
}

async function isBlacklisted(
  reads: ProvenReads,
  { rulesContract, slots }: GameRules,
  game: Hex,
): Promise<boolean> {
  const [word] = await reads.words(rulesContract, [
    mappingSlot(uint256(BigInt(game)), slots.blacklist),
  ])
  return word !== 0n
}

async function claimedGame(
  reads: ProvenReads,
  rules: GameRules,
  id: GameId,
  askClaim: AskClaim,
): Promise<ClaimedGame> {
  const claim = await askClaim(
    id.address,
    async (named) => (await registeredId(reads, rules, named)).word === id.word,
  )
  return withBlock(id, claim)
}

/** The game that the factory created for a claim; address zero: none. */
async function registeredId(
  reads: ProvenReads,
  { factory, gameType }: GameRules,
  claim: GameClaim,
): Promise<GameId> {
  const [word = 0n] = await reads.words(factory, [claimedGameSlot(gameType, claim)])
  return readGameId(word)
}

function withBlock(id: GameId, claim: GameClaim): ClaimedGame {
  return { id, claim, l2Block: BigInt(claim.extraData.slice(0, 66)) }
}

/** @throws ROLLUP_STORAGE_UNEXPECTED */
async function countGames(reads: ProvenReads, { factory }: GameRules): Promise<number> {
  const [count = 0n] = await reads.words(factory, [gameCountSlot])
  if (count <= maxGames) return Number(count)
  const message = `The factory ${factory} on L1 has no list of games where it should be.`
  throw new AssentError('ROLLUP_STORAGE_UNEXPECTED', message, { facts: { factory } })
}

/** Number of games that are old enough: the list is in order of creation. A wrong number cannot make a game count. */
async function countBefore(
  { reads, time }: L1State,
  rules: GameRules,
  count: number,
): Promise<number> {
  let [low, high] = [0, count]
  while (low < high) {
    const step = Math.max(1, Math.ceil((high - low) / (probes + 1)))
    const places: number[] = []
    for (let place = low; place < high && places.length <= probes; place += step) places.push(place)
    const ids = await readIds(reads, rules, places)
    const young = ids.findIndex(({ createdAt }) => time - createdAt < rules.minAgeSeconds)
    if (young >= 0) high = places[young] as number
    const old = places[(young < 0 ? places.length : young) - 1]
    if (old === undefined) break
    low = old + 1
  }
  return low
}

/** Ids of the last games of the type below a position in the list, newest first. The first group may be empty. */
async function* groupsOfIds(
  reads: ProvenReads,
  rules: GameRules,
  end: number,
): AsyncGenerator<readonly GameId[]> {
  let left = gamesRead
  for (let read = 0; read < idsRead && left > 0; read += idsAtOnce) {
    if (read > 0 && read >= end) return
    const ids = (await readTypedIds(reads, rules, Math.max(0, end - read))).slice(0, left)
    left -= ids.length
    if (read === 0 && ids.length === 0) yield []
    for (let from = 0; from < ids.length; from += gamesAtOnce) {
      yield ids.slice(from, from + gamesAtOnce)
    }
  }
}

/** Ids of the type among the last ones below a position in the list, newest first. */
async function readTypedIds(reads: ProvenReads, rules: GameRules, end: number): Promise<GameId[]> {
  const begin = Math.max(0, end - idsAtOnce)
  const places = Array.from({ length: end - begin }, (_, index) => end - 1 - index)
  const ids = await readIds(reads, rules, places)
  return ids.filter(({ type }) => type === rules.gameType)
}

async function readIds(
  reads: ProvenReads,
  { factory }: GameRules,
  places: readonly number[],
): Promise<GameId[]> {
  if (places.length === 0) return []
  return (await reads.words(factory, places.map(listedGameSlot))).map(readGameId)
}
