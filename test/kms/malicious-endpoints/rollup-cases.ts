/** Lies about an OP Stack chain. Each tries to make an invented L2 block count. */
import { type Hex, keccak256 } from 'viem'

import type { GameLevel } from '../../../src/chain/op-stack/games.ts'
import { opStackHeaders } from '../../../src/chain/op-stack/op-stack-headers.ts'
import { gameRulesOf, opStackSchema } from '../../../src/chain/op-stack/settings.ts'
import {
  type BlockReference,
  type ChainCheckpoint,
  volatileCheckpoint,
} from '../../../src/chain/proven/checkpoint.ts'
import {
  type BlockHeader,
  blockSchema,
  encodeHeader,
  type HeaderField,
  readHeader,
} from '../../../src/chain/proven/header.ts'
import { agreedHeaders, type HeaderSource } from '../../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { type ErrorCode, isAssentError } from '../../../src/errors/index.ts'
import { type Liar, type Lie, type Real, startLiar } from '../../chain/malicious-endpoint.ts'
import {
  type DisputeContracts,
  type Game,
  type L1,
  nobody,
  outputRoot,
  type Registration,
  startL1,
} from '../../chain/op-stack/l1.ts'
import { openStageView, type Reader, stage } from './fixture.ts'
import { type Block, before, blockAt, forge, hex, mix, type Proof } from './modify-response.ts'

const day = 86_400
const messagePasser = '0x4200000000000000000000000000000000000016'
const word = (value: bigint): Hex => `0x${value.toString(16).padStart(64, '0')}`

interface Rollup {
  l1: L1
  /** L1 endpoints of both readers; two must agree. */
  l1Liars: readonly Liar[]
  /** Contracts with a final game whose claim is the real final block. */
  honest: DisputeContracts
  /** The final L1 block before that game was there. */
  old: BlockReference
  final: BlockReference
  invented: Block
  inventedHeader: BlockHeader
  inventedStorageRoot: Hex
  /** A game that counts claims the invented block. */
  believed: Record<GameLevel, DisputeContracts>
  /** The final game claims a block from before the final one, and a proposal claims the final one. */
  behind: DisputeContracts
  /** The only game claims a block from before the final one. */
  goingBack: DisputeContracts
  games: Map<DisputeContracts, PreparedGame>
  prepared: Map<GameLie, { readonly alone: DisputeContracts; readonly beside: DisputeContracts }>
}

/** The game that claims the invented block. */
export interface PreparedGame {
  readonly address: Hex
  readonly game: Game
}

export const rollup = {} as Rollup

/* CLAIMS */

type Claim = Pick<Game, 'rootClaim' | 'extraData'>

let claims: { readonly honest: Claim; readonly invented: Claim; readonly old: Claim }

const claimOf = ({ stateRoot, hash, number }: Block, root: Hex): Claim => ({
  rootClaim: outputRoot(stateRoot, root, hash),
  extraData: word(BigInt(number)),
})

/** A game that is final: created ten days ago, resolved six days ago. */
function game(changed: Partial<Game> = {}): Game {
  return {
    kind: 'fault',
    type: 8,
    createdAt: stage.now - 10 * day,
    resolvedAt: stage.now - 6 * day,
    status: 2,
    wasRespected: true,
    claims: 1,
    counteredBy: nobody,
    isBlockChallenged: false,
    proofs: 1,
    counteredByIndex: 0n,
    ...claims.invented,
    ...changed,
  }
}

/* GAMES */

/** A game on L1 whose claim is the invented block. */
export interface GameLie {
  readonly name: string
  /** Why it does not count. */
  readonly reason: string
  readonly level?: GameLevel
  readonly game?: () => Partial<Game>
  readonly registration?: Registration
  /** The game that the factory created for the same claim. */
  readonly original?: () => Partial<Game>
  /** The registry names it as its anchor game. */
  readonly isAnchor?: true
  readonly isBlacklisted?: true
  /** Up to this age games are retired. */
  readonly retiredDays?: number
  readonly respectedType?: number
  /** The registry names another factory, in which the game is. */
  readonly inOtherFactory?: true
}

const proposal = (changed: Partial<Game> = {}) => ({
  createdAt: stage.now - 2 * day,
  resolvedAt: 0,
  status: 0 as const,
  ...changed,
})

export const gameLies: readonly GameLie[] = [
  {
    name: 'an anchor game of a stranger, which the factory did not create',
    reason: 'ROLLUP_CLAIM_UNPROVEN',
    registration: { inList: false, byClaim: false },
    isAnchor: true,
  },
  {
    name: 'a copy by a stranger of a game that is not resolved',
    reason: 'ROLLUP_CLAIM_UNPROVEN',
    original: () => ({ status: 0, resolvedAt: 0 }),
    registration: { inList: false, byClaim: false },
    isAnchor: true,
  },
  {
    name: 'a game in the list that names the claim of another game',
    reason: 'ROLLUP_CLAIM_UNPROVEN',
    game: () => ({ rootClaim: word(7n) }),
    registration: { told: { rootClaim: word(8n), extraData: word(9n) } },
  },
  {
    name: 'a game that was created for another type',
    reason: 'ROLLUP_GAME_NONE',
    game: () => ({ type: 1 }),
  },
  {
    name: 'a game whose factory says another type',
    reason: 'ROLLUP_CLAIM_UNPROVEN',
    game: () => ({ type: 1 }),
    registration: { inList: false },
    isAnchor: true,
  },
  {
    name: 'a game whose type was not respected',
    reason: 'not-respected',
    game: () => ({ wasRespected: false }),
  },
  { name: 'a blacklisted game', reason: 'blacklisted', isBlacklisted: true },
  { name: 'a blacklisted anchor game', reason: 'blacklisted', isBlacklisted: true, isAnchor: true },
  { name: 'a retired game', reason: 'retired', retiredDays: 10 },
  { name: 'a retired anchor game', reason: 'retired', retiredDays: 9, isAnchor: true },
  {
    name: 'a game that the challenger won',
    reason: 'challenger-won',
    game: () => ({ status: 1 }),
  },
  {
    name: 'an anchor game that the challenger won',
    reason: 'challenger-won',
    game: () => ({ status: 1 }),
    isAnchor: true,
  },
  {
    name: 'a game that is not resolved',
    reason: 'unresolved',
    game: () => ({ status: 0, resolvedAt: 0 }),
  },
  {
    name: 'a game that says who won, but not when',
    reason: 'unresolved',
    game: () => ({ resolvedAt: 0 }),
  },
  {
    name: 'a game with a status that does not exist',
    reason: 'unresolved',
    game: () => ({ status: 3 as 2 }),
  },
  {
    name: 'a game in its air gap',
    reason: 'in-air-gap',
    game: () => ({ resolvedAt: stage.now - 3 * day }),
  },
  {
    name: 'a game that is younger than the stated time',
    reason: 'ROLLUP_GAME_NONE',
    game: () => ({ createdAt: stage.now - 6 * day, resolvedAt: stage.now - 5 * day }),
  },
  {
    name: 'a game with another time of creation than in the factory',
    reason: 'another-layout',
    registration: { createdAt: 1_600_000_000 },
  },
  {
    name: 'a game in a factory that the settings do not name',
    reason: 'ROLLUP_STORAGE_UNEXPECTED',
    inOtherFactory: true,
  },
  {
    name: 'a proposal that is younger than the stated time',
    reason: 'ROLLUP_GAME_NONE',
    level: 'proposed',
    game: () => proposal({ createdAt: stage.now - 3600 }),
  },
  {
    name: 'a proposal that somebody challenged',
    reason: 'challenged',
    level: 'proposed',
    game: () => proposal({ claims: 2 }),
  },
  {
    name: 'a proposal whose block number was challenged',
    reason: 'challenged',
    level: 'proposed',
    game: () => proposal({ isBlockChallenged: true }),
  },
  {
    name: 'a proposal that the challenger won',
    reason: 'challenger-won',
    level: 'proposed',
    game: () => proposal({ status: 1 }),
  },
  {
    name: 'a proposal of a type that is no longer respected',
    reason: 'not-respected',
    level: 'proposed',
    game: proposal,
    respectedType: 1,
  },
]

async function prepare(lie: GameLie): Promise<DisputeContracts> {
  const { l1 } = rollup
  const { retiredDays, respectedType = 8, inOtherFactory } = lie
  const others = inOtherFactory ? await l1.deploy() : undefined
  const contracts = await l1.deploy({
    respectedType,
    ...(retiredDays === undefined ? {} : { retiredUntil: stage.now - retiredDays * day }),
    ...(others ? { factory: others.factory } : {}),
  })
  if (lie.original) await l1.create(contracts, game(lie.original()), { inList: false })
  const claimed = game(lie.game?.())
  const address = await l1.create(others ?? contracts, claimed, {
    ...(lie.isAnchor ? { inList: false } : {}),
    ...lie.registration,
  })
  if (lie.isAnchor) await l1.setAnchor(contracts, address)
  if (lie.isBlacklisted) await l1.blacklist(contracts, address)
  rollup.games.set(contracts, { address, game: claimed })
  return contracts
}

/* ENDPOINTS */

/** What endpoints say, while the contracts on L1 are honest. */
export interface EndpointLie {
  readonly name: string
  readonly code: ErrorCode
  readonly l1?: Lie
  /** The second L1 endpoint tells the truth. */
  readonly isAlone?: true
  readonly l2?: Lie
}

const aboutFinal =
  (tell: (real: Real) => Promise<unknown>): Lie =>
  (method, params, real) =>
    method === 'eth_getBlockByNumber' && params[0] === 'finalized' ? tell(real) : undefined

/** The old final block of L1, with the state of that time. */
const oldL1: Lie = mix(
  aboutFinal((real) => blockAt(real, rollup.old.number)),
  (method, params, real) =>
    method === 'eth_getProof'
      ? real(method, [params[0], params[1], hex(rollup.old.number)])
      : undefined,
)

/** Changes proofs on L1 that contain slots. */
const aboutSlots =
  (tell: (proof: Proof, params: readonly unknown[], real: Real) => unknown): Lie =>
  async (method, params, real) => {
    if (method !== 'eth_getProof' || (params[1] as string[]).length === 0) return undefined
    return tell((await real(method, params)) as Proof, params, real)
  }

const call =
  (tell: () => unknown): Lie =>
  (method) =>
    method === 'eth_call' ? tell() : undefined

const callOf = ({ rootClaim, extraData }: Claim) =>
  `${word(8n)}${rootClaim.slice(2)}${word(96n).slice(2)}${word(32n).slice(2)}${extraData.slice(2)}`

const inventedL1: Lie = aboutFinal(async (real) => {
  const final = await blockAt(real, rollup.final.number)
  return forge(final, { number: hex(rollup.final.number + 1n), stateRoot: word(1n) })
})

export const endpointLies: readonly EndpointLie[] = [
  {
    name: 'L1 endpoints show an invented L1 block',
    code: 'CHAIN_PROOF_INVALID',
    l1: inventedL1,
  },
  {
    name: 'one of two L1 endpoints shows another L1 block',
    code: 'CHAIN_FORKED',
    isAlone: true,
    l1: aboutFinal(async (real) => {
      const final = await blockAt(real, rollup.final.number)
      return forge(final, { stateRoot: word(1n) })
    }),
  },
  { name: 'L1 endpoints show an older L1 block', code: 'CHAIN_BEHIND_MEMORY', l1: oldL1 },
  {
    name: 'L1 endpoints show another L1 block of the same height',
    code: 'CHAIN_FORKED',
    l1: aboutFinal(async (real) => {
      const final = await blockAt(real, rollup.final.number)
      return forge(final, { extraData: '0x12' })
    }),
  },
  {
    name: 'L1 endpoints show a block whose hash is wrong',
    code: 'CHAIN_NO_AGREEMENT',
    l1: aboutFinal(async (real) => ({
      ...(await blockAt(real, rollup.final.number)),
      stateRoot: word(1n),
    })),
  },
  {
    name: 'L1 endpoints serve another chain',
    code: 'CHAIN_ID_WRONG',
    l1: (method) => (method === 'eth_chainId' ? '0x1' : undefined),
  },
  {
    name: 'L1 endpoints change storage beside its proof',
    code: 'CHAIN_PROOF_INVALID',
    l1: aboutSlots((proof) => {
      for (const entry of proof.storageProof) entry.value = '0x1'
      return proof
    }),
  },
  {
    name: 'L1 endpoints prove the storage of another time',
    code: 'CHAIN_PROOF_INVALID',
    l1: aboutSlots((_proof, params, real) =>
      real('eth_getProof', [params[0], params[1], hex(rollup.old.number)]),
    ),
  },
  {
    name: 'L1 endpoints prove other slots',
    code: 'CHAIN_PROOF_INVALID',
    l1: aboutSlots((_proof, params, real) =>
      real('eth_getProof', [params[0], [word(77n)], params[2]]),
    ),
  },
  {
    name: 'L1 endpoints leave out a node of a proof',
    code: 'CHAIN_PROOF_INVALID',
    l1: aboutSlots((proof) => {
      for (const entry of proof.storageProof) entry.proof = entry.proof.slice(0, -1)
      return proof
    }),
  },
  {
    name: 'L1 endpoints name the claim of the invented block',
    code: 'ROLLUP_CLAIM_UNPROVEN',
    l1: call(() => callOf(claims.invented)),
  },
  {
    name: 'L1 endpoints name the root of another chain',
    code: 'ROLLUP_CLAIM_UNPROVEN',
    l1: call(() => callOf({ ...claims.honest, rootClaim: word(5n) })),
  },
  {
    name: 'L1 endpoints name another block number for the root',
    code: 'ROLLUP_CLAIM_UNPROVEN',
    l1: call(() => callOf({ ...claims.honest, extraData: claims.invented.extraData })),
  },
  {
    name: 'L1 endpoints name a claim that is too long',
    code: 'CHAIN_ANSWER_INVALID',
    l1: call(() => `0x${'00'.repeat(10_000)}`),
  },
  { name: 'L1 endpoints name no claim', code: 'CHAIN_ANSWER_INVALID', l1: call(() => '0x') },
  {
    name: 'L1 endpoints name a claim whose length is wrong',
    code: 'CHAIN_ANSWER_INVALID',
    l1: call(() => callOf(claims.honest).slice(0, -2)),
  },
  {
    name: 'L2 endpoints show the invented block under the claimed number',
    code: 'ROLLUP_OUTPUT_MISMATCH',
    l2: (method, params, real) => {
      if (method === 'eth_getProof') return real(method, [params[0], params[1], hex(before())])
      return method === 'eth_getBlockByNumber' && params[0] === hex(stage.final.number)
        ? forge(rollup.invented, { number: hex(stage.final.number) })
        : undefined
    },
  },
  {
    name: 'L2 endpoints show the claimed hash with the state of the invented block',
    code: 'CHAIN_HEADER_INVALID',
    l2: (method, params) =>
      method === 'eth_getBlockByNumber' && params[0] === hex(stage.final.number)
        ? { ...rollup.invented, number: hex(stage.final.number), hash: stage.final.hash }
        : undefined,
  },
  {
    name: 'L2 endpoints prove another storage root of the message passer',
    code: 'CHAIN_PROOF_INVALID',
    l2: async (method, params, real) =>
      method === 'eth_getProof' && params[0] === messagePasser
        ? { ...((await real(method, params)) as Proof), storageHash: word(3n) }
        : undefined,
  },
  {
    name: 'L2 endpoints prove the message passer of another block',
    code: 'CHAIN_PROOF_INVALID',
    l2: (method, params, real) =>
      method === 'eth_getProof' && params[0] === messagePasser
        ? real(method, [params[0], params[1], hex(before())])
        : undefined,
  },
  {
    name: 'L2 endpoints show another block under the claimed hash',
    code: 'CHAIN_NO_AGREEMENT',
    l2: (method, params) =>
      method === 'eth_getBlockByHash' && params[0] === stage.final.hash
        ? rollup.invented
        : undefined,
  },
]

/** Answers requests for it or for a newest block with the invented L2 block, and with the state before the withdrawal. */
export const invent: Lie = (method, params, real) => {
  const { hash, number } = rollup.invented
  const isAsked =
    (method === 'eth_getBlockByHash' && params[0] === hash) ||
    (method === 'eth_getBlockByNumber' && (params[0] === number || params[0] === 'latest'))
  if (isAsked) return rollup.invented
  if (method !== 'eth_getProof' || params[2] !== number) return undefined
  return real(method, [params[0], params[1], hex(before())])
}

const laterFields: readonly HeaderField[] = [{ name: 'laterHash', kind: 'bytes' }]

/** L1 endpoints after a fork that added a header field, on a chain with long extra data. The state is the real one. */
export const laterFork: { readonly headerFields: readonly HeaderField[]; readonly lie: Lie } = {
  headerFields: laterFields,
  lie: async (method, params, real) => {
    const { number: final } = rollup.final
    const number = hex(final + 1n)
    if (method === 'eth_getProof') return real(method, [params[0], params[1], hex(final)])
    const isNewest = params[0] === 'finalized' || params[0] === number
    if (method !== 'eth_getBlockByNumber' || !isNewest) return undefined
    const block = { ...(await blockAt(real, final)), number }
    const later = { ...block, extraData: `0x${'12'.repeat(10_000)}`, laterHash: word(7n) }
    const encoded = encodeHeader(blockSchema.parse(later), laterFields)
    return { ...later, hash: keccak256(encoded) }
  },
}

/* STAGE */

export async function setRollup(): Promise<void> {
  const l1 = await startL1()
  const real: Real = async (method, params) =>
    stage.anvil.client.request({ method, params } as never)
  const [final, past] = [await blockAt(real, stage.final.number), await blockAt(real, before())]
  const rootAt = async (at: bigint) =>
    ((await real('eth_getProof', [messagePasser, [], hex(at)])) as Proof).storageHash
  const invented = forge(past, {
    number: hex(stage.final.number + 1n),
    timestamp: hex(BigInt(stage.final.timestamp)),
  })
  const pastRoot = await rootAt(before())
  claims = {
    honest: claimOf(final, await rootAt(stage.final.number)),
    invented: claimOf(invented, pastRoot),
    old: claimOf(past, pastRoot),
  }
  const l1Liars = await Promise.all([startLiar(l1.anvil.url), startLiar(l1.anvil.url)])
  const inventedHeader = readHeader(blockSchema.parse(invented))
  Object.assign(rollup, {
    l1,
    l1Liars,
    invented,
    inventedHeader,
    inventedStorageRoot: pastRoot,
    games: new Map(),
    prepared: new Map(),
  })
  rollup.honest = await l1.deploy({ respectedType: 8 })
  rollup.old = await referenceTo(await l1.settle(stage.now - 300))
  const honest = await l1.create(rollup.honest, game(claims.honest), { inList: false })
  await l1.setAnchor(rollup.honest, honest)
  const withGame = async (changed: Partial<Game>) => {
    const contracts = await l1.deploy({ respectedType: 8 })
    const claimed = game(changed)
    rollup.games.set(contracts, { address: await l1.create(contracts, claimed), game: claimed })
    return contracts
  }
  rollup.believed = { anchored: await withGame({}), proposed: await withGame(proposal()) }
  rollup.goingBack = await withGame(claims.old)
  rollup.behind = await withGame(claims.old)
  const newest = game(proposal({ ...claims.honest, createdAt: stage.now - 600 }))
  await l1.create(rollup.behind, newest)
  for (const lie of gameLies) {
    const [alone, beside] = [await prepare(lie), await prepare(lie)]
    const contracts = beside
    const truth = await l1.create(
      contracts,
      game({ ...claims.honest, createdAt: stage.now - 8.5 * day }),
      {
        inList: lie.isAnchor === true,
      },
    )
    if (!lie.isAnchor) await l1.setAnchor(contracts, truth)
    rollup.prepared.set(lie, { alone, beside })
  }
  rollup.final = await referenceTo(await l1.settle(stage.now - 60))
}

/** A block of L1, as its node returns it. */
export async function l1Block(number: bigint): Promise<Block> {
  const asked = { method: 'eth_getBlockByNumber', params: [hex(number), false] }
  return rollup.l1.anvil.client.request(asked as never)
}

async function referenceTo({ number, timestamp }: { number: bigint; timestamp: number }) {
  const { hash } = await rollup.l1.anvil.client.getBlock({ blockNumber: number })
  return { number, hash: hash as Hex, timestamp }
}

export async function strikeRollup(): Promise<void> {
  await Promise.all((rollup.l1Liars ?? []).map((liar) => liar.stop()))
  await rollup.l1?.anvil.stop()
}

export interface RollupWorld {
  readonly contracts: DisputeContracts
  /** Header fields of L1 that this version does not know. */
  readonly headerFields?: readonly HeaderField[]
  readonly level?: GameLevel | undefined
}

/** The setting `opStack` for these contracts. */
export function settingsOf({ contracts, level = 'anchored' }: RollupWorld) {
  return opStackSchema.parse({
    level,
    anchorStateRegistry: contracts.registry,
    disputeGameFactory: contracts.factory,
    gameType: 8,
    gameLayout: 'fault',
    minAgeSeconds: level === 'anchored' ? 7 * day : day,
    finalityDelaySeconds: 3.5 * day,
    l1: {
      chainId: 900,
      endpoints: rollup.l1Liars.map(({ url }) => url.replace('127.0.0.1', 'localhost')),
      quorum: 2,
      maxBlockAgeSeconds: 3600,
    },
  })
}

/** A view of the L2 through these contracts. The reasons of its outages are collected. */
export function openRollupView(
  reader: Reader,
  { contracts, level = 'anchored', headerFields = [] }: RollupWorld,
): string[] {
  const settings = settingsOf({ contracts, level })
  const connect = (liars: readonly Liar[], prefix: string) =>
    liars.map(({ url }, index) =>
      connectEndpoint({ url, name: `${prefix}${index + 1}`, timeoutMs: 1_000, maxBytes: 200_000 }),
    )
  const [l1Endpoints, endpoints] = [connect(rollup.l1Liars, 'l1-'), connect(reader.liars, '')]
  const finality = 'finalized' as const
  const l1Rules = { endpoints: l1Endpoints, required: 2, chainId: 900, finality, headerFields }
  const source = opStackHeaders(
    { endpoints, required: 2, chainId: 31337, finality },
    gameRulesOf(settings),
    {
      chainId: 900,
      source: agreedHeaders(l1Rules),
      endpoints: l1Endpoints,
      checkpoint: remembering(rollup.final),
      maxBlockAgeSeconds: 3600,
    },
    { clock: () => stage.now },
  )
  const reasons: string[] = []
  openStageView(reader, { endpoints: 3, changed: { source: reporting(source, reasons) } })
  return reasons
}

function remembering(block: BlockReference): ChainCheckpoint {
  const memory = volatileCheckpoint()
  void memory.write(block)
  return memory
}

/** Collects the codes of errors, of faults, and the flaws of games. */
function reporting(source: HeaderSource, reasons: string[]): HeaderSource {
  return {
    newest: async (known) => {
      try {
        const agreed = await source.newest(known)
        reasons.push(...agreed.disagreeing.map(({ code }) => code))
        return agreed
      } catch (error) {
        if (!isAssentError(error)) throw error
        const { found } = error.facts as { found?: unknown }
        const details = Array.isArray(found) ? found.map(({ flaw, code }) => flaw ?? code) : []
        reasons.push(error.code, ...details)
        throw error
      }
    },
  }
}
