/** Final blocks of an OP Stack chain: two anvil nodes, real proofs of both, and L1 storage at the published slots. */
import { type Address, type Hex, numberToHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { GameLevel, GameRules } from '../../../src/chain/op-stack/games.ts'
import { opStackHeaders } from '../../../src/chain/op-stack/op-stack-headers.ts'
import { gameRulesOf, opStackSchema } from '../../../src/chain/op-stack/settings.ts'
import { volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { type Anvil, findAnvil, startAnvil } from '../../anvil.ts'
import {
  type DisputeContracts,
  type Game,
  type L1,
  nobody,
  outputRoot,
  type Registration,
  type RegistryVersion,
  startL1,
} from './l1.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of OP Stack chains are SKIPPED. ***\n')

const day = 86_400
const messagePasser = '0x4200000000000000000000000000000000000016'

let l1: L1
let l2: Anvil
let now: number
const claims = new Map<number, Pick<Game, 'rootClaim' | 'extraData'>>()

beforeAll(async () => {
  if (absent) return
  l1 = await startL1()
  l2 = await startAnvil({ mining: 'manual' })
  // stores 1 at the slot in the call data: anvil changes the state of old blocks if storage is set without a transaction
  await l2.client.setCode({ address: messagePasser, bytecode: '0x60015f355500' })
  const [account] = await l2.client.getAddresses()
  await l2.client.mine({ blocks: 1 })
  for (let block = 2; block <= 9; block++) {
    const data = numberToHex(block, { size: 32 })
    await l2.client.sendTransaction({ account: account as Address, to: messagePasser, data })
    await l2.client.mine({ blocks: 1 })
    claims.set(block, await claimOf(block))
  }
  now = Number((await l1.anvil.client.getBlock()).timestamp) + 100 * day
}, 60_000)
afterAll(() => Promise.all([l1?.anvil.stop(), l2?.stop()]))

async function claimOf(number: number) {
  const blockNumber = BigInt(number)
  const { hash, stateRoot } = await l2.client.getBlock({ blockNumber })
  const { storageHash } = await l2.client.getProof({
    address: messagePasser,
    storageKeys: [],
    blockNumber,
  })
  return {
    rootClaim: outputRoot(stateRoot, storageHash, hash as Hex),
    extraData: numberToHex(number, { size: 32 }),
  }
}

/** A game that is final: created ten days ago, resolved six days ago. */
const finalGame = (block: number, changed: Partial<Game> = {}): Game => ({
  kind: 'fault',
  type: 8,
  createdAt: now - 10 * day,
  resolvedAt: now - 6 * day,
  status: 2,
  wasRespected: true,
  claims: 1,
  counteredBy: nobody,
  isBlockChallenged: false,
  proofs: 1,
  counteredByIndex: 0n,
  ...(claims.get(block) as Pick<Game, 'rootClaim' | 'extraData'>),
  ...changed,
})

interface World {
  readonly level?: GameLevel
  readonly layout?: Game['kind']
  readonly version?: RegistryVersion
  readonly minAgeSeconds?: number
  readonly rules?: Partial<GameRules>
}

function open(contracts: DisputeContracts, world: World = {}) {
  const { level = 'anchored', layout = 'fault', version = 3, minAgeSeconds = 7 * day } = world
  const settings = opStackSchema.parse({
    level,
    anchorStateRegistry: contracts.registry,
    disputeGameFactory: contracts.factory,
    ...(version === 2 ? { optimismPortal: contracts.portal } : {}),
    gameType: 8,
    gameLayout: layout,
    minAgeSeconds,
    finalityDelaySeconds: 3.5 * day,
    l1: {
      chainId: 900,
      endpoints: [l1.anvil.url],
      quorum: 'insecure-single-endpoint',
      maxBlockAgeSeconds: 3600,
    },
  })
  const connect = (url: string) => [connectEndpoint({ url, name: url, timeoutMs: 5_000 })]
  const [l1Endpoints, endpoints] = [connect(l1.anvil.url), connect(l2.url)]
  const at = { required: 1, finality: 'finalized' } as const
  return opStackHeaders(
    { endpoints, chainId: 31337, ...at },
    { ...gameRulesOf(settings), ...world.rules },
    {
      chainId: 900,
      source: agreedHeaders({ endpoints: l1Endpoints, chainId: 900, ...at }),
      endpoints: l1Endpoints,
      checkpoint: volatileCheckpoint(),
      maxBlockAgeSeconds: 3600,
    },
    { clock: () => now },
  )
}

/** The number of the newest proven block, or the reason why no block is proven. */
async function newest(
  contracts: DisputeContracts,
  world?: World,
  l1Age = 20,
  known?: { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint },
) {
  await l1.settle(now)
  now += l1Age
  try {
    const { header, signedHead } = await open(contracts, world).newest(
      known && { ...known, timestamp: Number(known.timestamp) },
    )
    const newer = signedHead && (await l2.client.getBlock({ blockHash: signedHead })).number
    return { block: Number(header.number), newer: newer && Number(newer) }
  } catch (error) {
    if (!isAssentError(error)) throw error
    const { found } = error.facts as { found?: unknown }
    const flaws = Array.isArray(found) ? found.map(({ flaw }) => flaw) : undefined
    return { code: error.code, flaws }
  }
}

const kinds = ['fault', 'aggregate', 'op-succinct'] as const

describe.skipIf(absent)('the final block of an OP Stack chain', () => {
  test.each([3, 2] as const)(
    'is the one of the anchor game, registry version %i',
    async (version) => {
      const contracts = await l1.deploy({ version, respectedType: 8, retiredUntil: now - 11 * day })
      const anchor = await l1.create(contracts, finalGame(3))
      await l1.setAnchor(contracts, anchor, version)

      expect(await newest(contracts, { version })).toEqual({ block: 3, newer: undefined })
    },
  )

  test.each(kinds)(
    'is the one of a final game that is newer than the anchor game: %s',
    async (layout) => {
      const contracts = await l1.deploy({ respectedType: 8 })
      await l1.setAnchor(contracts, await l1.create(contracts, finalGame(3, { kind: layout })))
      await l1.create(contracts, finalGame(5, { kind: layout }))
      await l1.create(contracts, finalGame(4, { kind: layout }))

      expect(await newest(contracts, { layout })).toEqual({ block: 5, newer: undefined })
    },
  )

  test('is found in a long list with games of other types', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    for (let index = 0; index < 150; index++) {
      const isNew = index >= 100
      const createdAt = now - (isNew ? 6 : 200 - index) * day
      const resolved = isNew ? ({ status: 0, resolvedAt: 0 } as const) : {}
      const at = index === 97 ? 5 : isNew ? 8 : 2
      const type = index % 3 === 0 || index === 97 ? 8 : 1
      await l1.create(
        contracts,
        finalGame(at, { createdAt, type, ...resolved, extraData: extra(at, index) }),
      )
    }

    expect(await newest(contracts)).toMatchObject({ block: 5, newer: 8 })
  })

  test('is the one of the anchor game while no game of the list counts', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(3), { inList: false }))
    await l1.create(contracts, finalGame(5, { status: 1 }))

    expect(await newest(contracts)).toEqual({ block: 3, newer: undefined })
  })

  test('needs no game of the list', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })

    expect(await newest(contracts)).toEqual({ code: 'ROLLUP_GAME_NONE', flaws: [] })
  })
})

/** Extra data may be longer than the block number, so that claims of one block differ. */
const extra = (block: number, index: number): Hex =>
  `${numberToHex(block, { size: 32 })}${numberToHex(index, { size: 20 }).slice(2)}`

describe.skipIf(absent)('an anchored game does not count', () => {
  const cases: [flaw: string, game: (now: number) => Partial<Game>, registration?: Registration][] =
    [
      ['another-type', () => ({ type: 1 })],
      ['another-layout', () => ({}), { createdAt: 1_700_000_000 }],
      ['not-respected', () => ({ wasRespected: false })],
      ['retired', (at) => ({ createdAt: at - 30 * day })],
      ['challenger-won', () => ({ status: 1 })],
      ['too-young', (at) => ({ createdAt: at - 7 * day + 60 })],
      ['unresolved', () => ({ status: 0, resolvedAt: 0 })],
      ['unresolved', () => ({ resolvedAt: 0 })],
      ['in-air-gap', (at) => ({ resolvedAt: at - 3.5 * day })],
    ]
  test.each(cases)('%s, from the list', async (flaw, change, registration) => {
    const contracts = await l1.deploy({ respectedType: 8, retiredUntil: now - 30 * day })
    await l1.create(contracts, finalGame(5, change(now)), registration)
    const isUnread = flaw === 'another-type' || flaw === 'too-young'

    expect(await newest(contracts)).toEqual({
      code: 'ROLLUP_GAME_NONE',
      flaws: isUnread ? [] : [flaw],
    })
  })

  test.each(cases.filter(([flaw]) => flaw !== 'too-young' && flaw !== 'in-air-gap'))(
    '%s, as the anchor game',
    async (flaw, change, registration) => {
      const contracts = await l1.deploy({ respectedType: 8, retiredUntil: now - 30 * day })
      const game = await l1.create(contracts, finalGame(5, change(now)), {
        ...registration,
        inList: false,
      })
      await l1.setAnchor(contracts, game)

      expect(await newest(contracts)).toEqual(
        flaw === 'another-type'
          ? { code: 'ROLLUP_CLAIM_UNPROVEN' }
          : { code: 'ROLLUP_GAME_NONE', flaws: [flaw] },
      )
    },
  )

  test.each([3, 2] as const)('blacklisted, registry version %i', async (version) => {
    const contracts = await l1.deploy({ version, respectedType: 8 })
    const game = await l1.create(contracts, finalGame(5))
    await l1.setAnchor(contracts, game, version)
    await l1.blacklist(contracts, game, version)

    expect(await newest(contracts, { version })).toEqual({
      code: 'ROLLUP_GAME_NONE',
      flaws: ['blacklisted', 'blacklisted'],
    })
  })

  test('retired, registry version 2', async () => {
    const contracts = await l1.deploy({ version: 2, respectedType: 8, retiredUntil: now })
    await l1.create(contracts, finalGame(5))

    expect(await newest(contracts, { version: 2 })).toMatchObject({ flaws: ['retired'] })
  })

  test('if the factory did not create it', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    const strange = await l1.create(contracts, finalGame(5), { inList: false, byClaim: false })
    await l1.setAnchor(contracts, strange)

    expect(await newest(contracts)).toMatchObject({ code: 'ROLLUP_CLAIM_UNPROVEN' })
  })

  test('if it names another claim than it was created for', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.create(contracts, finalGame(5), { told: finalGame(6) })

    expect(await newest(contracts)).toMatchObject({ code: 'ROLLUP_CLAIM_UNPROVEN' })
  })

  test('if its registry names another factory', async () => {
    const contracts = await l1.deploy({ respectedType: 8, factory: nobody })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(5)))

    expect(await newest(contracts)).toMatchObject({ code: 'ROLLUP_STORAGE_UNEXPECTED' })
  })

  test('while a required word of storage is another one', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(5)))
    const paused = {
      contract: contracts.portal,
      slot: numberToHex(7, { size: 32 }),
      word: numberToHex(0, { size: 32 }),
    }
    const rules = { requiredWords: [paused] }

    expect(await newest(contracts, { rules })).toMatchObject({ block: 5 })
    await l1.write(paused.contract, paused.slot, numberToHex(1, { size: 32 }))
    expect(await newest(contracts, { rules })).toMatchObject({ code: 'ROLLUP_STORAGE_UNEXPECTED' })
  })

  test('under an L1 block that is too old', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(5)))

    expect(await newest(contracts, {}, 3700)).toMatchObject({ code: 'CHAIN_STALE' })
  })

  test('if no L2 block has its output root', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    const { rootClaim } = finalGame(6)
    await l1.create(contracts, finalGame(5, { rootClaim }))

    expect(await newest(contracts)).toMatchObject({ code: 'ROLLUP_OUTPUT_MISMATCH' })
  })
})

describe.skipIf(absent)('a proposed game', () => {
  const world = (layout: Game['kind']): World => ({ level: 'proposed', layout, minAgeSeconds: day })
  const proposal = (kind: Game['kind'], block: number, changed: Partial<Game> = {}) =>
    finalGame(block, { kind, createdAt: now - day - 60, status: 0, resolvedAt: 0, ...changed })

  test.each(kinds)('counts when nobody challenged it in the stated time: %s', async (kind) => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(
      contracts,
      await l1.create(contracts, finalGame(3, { kind }), { inList: false }),
    )
    await l1.create(contracts, proposal(kind, 6))
    await l1.create(contracts, proposal(kind, 7, { createdAt: now - day + 60 }))

    expect(await newest(contracts, world(kind))).toEqual({ block: 6, newer: 7 })
  })

  test.each<[flaw: string, kind: Game['kind'], change: Partial<Game>]>([
    ['challenged', 'fault', { claims: 2 }],
    ['challenged', 'fault', { counteredBy: `0x${'12'.repeat(20)}` }],
    ['challenged', 'fault', { isBlockChallenged: true }],
    ['challenged', 'aggregate', { counteredByIndex: 1n }],
    ['challenged', 'aggregate', { proofs: 0 }],
    ['challenger-won', 'fault', { status: 1 }],
    ['not-respected', 'aggregate', { wasRespected: false }],
  ])('does not count: %s, %s, %o', async (flaw, kind, change) => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.create(contracts, proposal(kind, 6, change))

    expect(await newest(contracts, world(kind))).toEqual({
      code: 'ROLLUP_GAME_NONE',
      flaws: [flaw],
    })
  })

  test('does not count when its type is no longer respected', async () => {
    const contracts = await l1.deploy({ respectedType: 1 })
    await l1.create(contracts, proposal('fault', 6))

    expect(await newest(contracts, world('fault'))).toMatchObject({ flaws: ['not-respected'] })
  })

  test('does not count before the stated time', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.create(contracts, proposal('fault', 6, { createdAt: now - day + 60 }))

    expect(await newest(contracts, world('fault'))).toMatchObject({ code: 'ROLLUP_GAME_NONE' })
  })
})

describe.skipIf(absent)('a game that does not count yet', () => {
  test.each<[string, Partial<Game>, number | undefined]>([
    ['denies with its newer block', {}, 7],
    ['denies nothing when the challenger won', { status: 1 }, undefined],
    [
      'denies nothing when its output root is of no block',
      { rootClaim: `0x${'99'.repeat(32)}` },
      undefined,
    ],
  ])('%s', async (_, change, newer) => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(3)))
    await l1.create(
      contracts,
      finalGame(7, { createdAt: now - 60, status: 0, resolvedAt: 0, ...change }),
    )

    expect(await newest(contracts)).toEqual({ block: 3, newer })
  })
})

describe.skipIf(absent)('a good game is not hidden', () => {
  const invented = (index: number, changed: Partial<Game> = {}): Game =>
    finalGame(6, {
      rootClaim: `0x${'99'.repeat(32)}`,
      extraData: `${numberToHex(2n ** 200n, { size: 32 })}${index.toString(16).padStart(64, '0')}`,
      ...changed,
    })
  const open = (createdAt: number): Partial<Game> => ({ createdAt, status: 0, resolvedAt: 0 })
  const proposed: World = { level: 'proposed', minAgeSeconds: day }

  test.each([1, 20])('by %i invented claims, proposed', async (count) => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.create(contracts, finalGame(4, open(now - day - 1_000)))
    await l1.create(contracts, finalGame(5, open(now - day - 900)))
    for (let index = 0; index < count; index++) {
      await l1.create(contracts, invented(index, open(now - day - 800 + index)))
    }

    expect(await newest(contracts, proposed)).toMatchObject({ block: 5 })
  })

  test('by an invented claim, anchored', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(3)))
    await l1.create(contracts, finalGame(5))
    await l1.create(contracts, finalGame(6, { rootClaim: `0x${'99'.repeat(32)}` }))

    expect(await newest(contracts)).toMatchObject({ block: 5 })
  })

  test.each<[string, number, Partial<Game>]>([
    ['63 challenged games', 63, { claims: 2 }],
    ['1,000 games of another type', 1_000, { type: 1 }],
  ])(
    'by %s',
    async (_, count, changed) => {
      const contracts = await l1.deploy({ respectedType: 8 })
      await l1.create(contracts, finalGame(5, open(now - 2 * day)))
      for (let index = 0; index < count; index++) {
        const game = { ...open(now - 2 * day + 1 + index), ...changed, extraData: extra(2, index) }
        await l1.create(contracts, finalGame(2, game))
      }

      expect(await newest(contracts, proposed)).toMatchObject({ block: 5 })
    },
    60_000,
  )

  test('by an anchor game that is older than the known block', async () => {
    const contracts = await l1.deploy({ respectedType: 8 })
    await l1.setAnchor(contracts, await l1.create(contracts, finalGame(3)))
    await l1.create(contracts, finalGame(5, open(now - day - 1_000)))
    for (let index = 0; index < 16; index++) {
      const game = { ...open(now - day - 900 + index), claims: 2, extraData: extra(2, index) }
      await l1.create(contracts, finalGame(2, game))
    }
    const known = await l2.client.getBlock({ blockNumber: 4n })

    expect(await newest(contracts, proposed, 20, known)).toMatchObject({ block: 5 })
  })
})
