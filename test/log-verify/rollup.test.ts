/** The second reader of dispute games: a real log of a node on an OP Stack chain, and evidence of games that do not count. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { BootDecision } from '../../src/chain/boot/boot.ts'
import type { ChainEvidence, RollupEvidence } from '../../src/chain/boot/evidence.ts'
import { type ClaimedGame, readGrounds } from '../../src/chain/op-stack/games.ts'
import { readGameId } from '../../src/chain/op-stack/layout.ts'
import { gameRulesOf } from '../../src/chain/op-stack/settings.ts'
import { fetchHeader } from '../../src/chain/proven/header-quorum.ts'
import { askFor, proveByEndpoints } from '../../src/chain/proven/prover.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { createStateCache, openState } from '../../src/chain/proven/state.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { type Entry, loggedBlock, loggedBoot } from '../../src/kms/log/entry.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { storedEvidence } from '../../src/kms/log/stored-evidence.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { openEvidence } from '../../src/log-verify/evidence.ts'
import { flawOfGame, type RollupExpectations } from '../../src/log-verify/rollup.ts'
import { NodePool } from '../../src/log-verify/trie.ts'
import { type LogExpectations, verifyLog } from '../../src/log-verify/verify.ts'
import type { BootInfo } from '../../src/quote/measurements/measure.ts'
import { findAnvil } from '../anvil.ts'
import type { DisputeContracts } from '../chain/op-stack/l1.ts'
import { begin, newLocation, rootKey } from '../kms/log/log-fixture.ts'
import { bootOf, setStage, stage, strikeStage } from '../kms/malicious-endpoints/fixture.ts'
import {
  gameLies,
  openRollupView,
  type RollupWorld,
  rollup,
  setRollup,
  settingsOf,
  strikeRollup,
} from '../kms/malicious-endpoints/rollup-cases.ts'

const absent = findAnvil() === undefined

beforeAll(async () => {
  if (absent) return
  await setStage()
  await setRollup()
}, 120_000)
afterAll(async () => {
  await strikeRollup()
  await strikeStage()
})

function expectationsOf(world: RollupWorld): RollupExpectations {
  const { l1, ...rules } = settingsOf(world)
  return { ...rules, l1ChainId: l1.chainId }
}

describe.skipIf(absent)('the release log of a node on an OP Stack chain', () => {
  async function written(change: (evidence: ChainEvidence) => ChainEvidence = (same) => same) {
    openRollupView(stage.kms, { contracts: rollup.honest })
    const boot = { ...(await bootOf('allowed')), teeVariant: 'dstack-tdx' } as BootInfo
    const decided = await stage.kms.view.authorize('isAppAllowed', boot)
    const location = await newLocation({ clock: () => stage.now })
    const log = await begin(location)
    const append = (entry: object, { block, evidence }: BootDecision) => {
      const stored = storedEvidence(change(evidence as ChainEvidence))
      const common = { quote: '00', boot: loggedBoot(boot), block: loggedBlock(block) }
      return log.append({ ...entry, ...common, proof: stored.digest } as Entry, stored)
    }
    const epochs = decided.epochs ?? null
    await append({ kind: 'release', method: 'GetAppKey', epochs }, decided)
    await log.close()
    return [{ name: '00000000.log', content: readFileSync(join(location.folder, '00000000.log')) }]
  }
  const { rootKey: key } = deriveLogKey(rootKey, 'kms-1').identity
  const verify = async (
    files: Awaited<ReturnType<typeof written>>,
    expected: Partial<LogExpectations>,
  ) => {
    const report = verifyLog(files, { rootKey: toHex(key), chainId: 31337, ...expected })
    return {
      ...report,
      // the log has no self-authorization
      problems: report.problems.filter(({ code }) => code === 'ROLLUP' || code === 'PROOF'),
    }
  }

  test('proves offline that L1 has a dispute game that counts', async () => {
    const expected = { rollup: expectationsOf({ contracts: rollup.honest }) }

    expect(await verify(await written(), expected)).toMatchObject({
      problems: [],
      settled: 1,
      settledUnchecked: 0,
    })
  })

  test('says that dispute games were not checked', async () => {
    const report = await verify(await written(), {})

    expect(report).toMatchObject({ problems: [], settled: 0, settledUnchecked: 1 })
    expect(report.unchecked).toContainEqual(expect.stringContaining('--op-stack'))
  })

  test('is refused by other rules', async () => {
    const expected = expectationsOf({ contracts: rollup.honest })
    const files = await written()
    const flaw = async (changed: Partial<RollupExpectations>) =>
      (await verify(files, { rollup: { ...expected, ...changed } })).problems[0]

    expect(await flaw({ l1ChainId: 1 })).toMatchObject({
      code: 'ROLLUP',
      what: 'its L1 is chain 900',
    })
    expect(await flaw({ gameType: 1 })).toMatchObject({ code: 'ROLLUP' })
    expect(await flaw({ disputeGameFactory: rollup.honest.portal })).toMatchObject({
      what: 'the registry names another factory',
    })
    expect(await flaw({ anchorStateRegistry: rollup.honest.portal })).toMatchObject({
      what: expect.stringContaining('does not prove'),
    })
  })

  test('is refused without a dispute game', async () => {
    const files = await written(({ rollup: _, ...evidence }) => evidence)
    const { problems } = await verify(files, {
      rollup: expectationsOf({ contracts: rollup.honest }),
    })

    expect(problems[0]).toMatchObject({ code: 'ROLLUP', what: 'its evidence has no dispute game' })
  })

  test.each<[string, Partial<RollupEvidence>]>([
    ['another root', { rootClaim: `0x${'12'.repeat(32)}` }],
    ['another block number', { extraData: `0x${'00'.repeat(31)}01` }],
    [
      'another storage root of the message passer',
      { messagePasserStorageRoot: `0x${'12'.repeat(32)}` },
    ],
    ['too much extra data', { extraData: `0x${'00'.repeat(5000)}` }],
    ['no extra data', { extraData: '0x' }],
  ])('is refused with %s', async (_, changed) => {
    const files = await written((evidence) => ({
      ...evidence,
      rollup: { ...(evidence.rollup as RollupEvidence), ...changed },
    }))

    expect((await verify(files, {})).problems[0]).toMatchObject({ code: 'PROOF' })
  })
})

/** What the log would contain if the node had used the game. */
async function evidenceOf(world: RollupWorld): Promise<ChainEvidence> {
  const { address, game } = rollup.games.get(world.contracts) ?? {}
  const { rootClaim = '0x', extraData = '0x' } = game ?? {}
  const endpoint = connectEndpoint({ url: rollup.l1.anvil.url, name: 'l1', timeoutMs: 5_000 })
  const header = await fetchHeader(endpoint, 'finalized', [])
  const memory = createStateCache(2 ** 22)
  const prove = proveByEndpoints([endpoint], () => 0, memory.nodes)
  const state = openState(header, askFor(['l1'], prove, { fault: () => {} }), memory)
  const reads = state.read()
  const rules = gameRulesOf(settingsOf(world))
  const claimed: ClaimedGame = {
    id: { ...readGameId(0n), type: rules.gameType, address: address ?? '0x' },
    claim: { rootClaim, extraData },
    l2Block: 0n,
  }
  // a registry with another factory is read as far as the first difference
  await readGrounds(reads, rules, claimed).catch((error) => {
    if (!isAssentError(error, 'ROLLUP_STORAGE_UNEXPECTED')) throw error
  })
  await reads.words(rules.registry, [rules.slots.factory, rules.slots.anchorGame])
  return {
    chainId: 31337,
    kmsContract: stage.chain.kmsAuth,
    header: rollup.inventedHeader.rlp,
    blockHash: rollup.inventedHeader.hash,
    agreement: { required: 1, configured: 1, endpoints: ['a'] },
    paths: [],
    rollup: {
      chainId: 900,
      header: header.rlp,
      blockHash: header.hash,
      agreement: { required: 1, configured: 1, endpoints: ['a'] },
      paths: reads.paths(),
      game: address ?? '0x',
      rootClaim,
      extraData,
      messagePasserStorageRoot: rollup.inventedStorageRoot,
    },
  }
}

async function flawOf(world: RollupWorld): Promise<string | undefined> {
  const { json, block, paths, signatures } = storedEvidence(await evidenceOf(world))
  const pool = new NodePool()
  for (const [, node] of [block, ...signatures, ...paths.flat()]) {
    pool.add(Buffer.from(node.slice(2), 'hex'))
  }
  const { rollup: opened } = openEvidence(JSON.parse(json), pool)
  return opened && flawOfGame(opened, expectationsOf(world))
}

describe.skipIf(absent)('the verifier of the log', () => {
  test.each(['anchored', 'proposed'] as const)('accepts a game that counts: %s', async (level) => {
    expect(await flawOf({ contracts: rollup.believed[level], level })).toBeUndefined()
  })

  test.each(gameLies)('refuses $name', async (lie) => {
    const contracts = rollup.prepared.get(lie)?.alone as DisputeContracts

    expect(await flawOf({ contracts, level: lie.level }).catch((error) => error.message)).toEqual(
      expect.stringMatching(/game|factory|another block/),
    )
  })
})
