import hre from 'hardhat'
import { type Abi, encodeFunctionData, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { assentGovernorAbi, timelockControllerAbi } from '../../../src/chain/abi.ts'
import type { Call } from '../../../src/chain/call.ts'
import * as settings from '../../../src/chain/governance/settings.ts'
import * as registry from '../../../src/chain/registries/registry.ts'
import { openBlockState } from '../../../src/chain/simulate/block-state.ts'
import { LocalChain } from '../../../src/chain/simulate/local-chain.ts'
import { proposalVotesSlot } from '../../../src/chain/simulate/simulate-proposal.ts'
import { layoutOf } from '../../../src/deploy/storage-layout.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { findAnvil } from '../../anvil.ts'
import { chainTime } from '../dao.ts'
import {
  appData,
  createLocalDao,
  executeQueued,
  idOf as id,
  type LocalDao,
  never,
  proposeAndSimulate,
  voteAndQueue,
} from './local-dao.ts'

const absent = findAnvil() === undefined

/** One kind of proposal and the error with which it fails. */
interface Case {
  readonly name: string
  readonly calls: (dao: LocalDao) => Promise<readonly Call[]> | readonly Call[]
  readonly fails?: string
}

const call = (to: Hex, data: Hex, value = 0n): Call => ({ to, data, value, summary: 'a test' })

const cases: readonly Case[] = [
  {
    name: 'approves images, a KMS node and a host with evidence and an end',
    calls: async ({ addresses, publicClient }) => {
      const now = await chainTime(publicClient)
      const evidence = registry.textEvidence('{"source":"https://example.org"}')
      return [
        registry.approve(
          addresses.kmsAuth,
          [
            { kind: 'osImage', id: id('a1'), evidence, expiresAt: now + 90_000 },
            { kind: 'osImage', id: id('a2') },
            { kind: 'kmsMeasurement', id: id('b1') },
            { kind: 'kmsDevice', id: id('d1'), activeFrom: now + 5_000 },
          ],
          now + 3_600,
        ),
        registry.approve(addresses.hosts as Hex, [{ kind: 'host', id: id('d1') }], now + 3_600),
      ]
    },
  },
  {
    name: 'extends, shortens, suspends, withdraws and revokes',
    calls: async ({ addresses: { kmsAuth }, publicClient }) => {
      const now = await chainTime(publicClient)
      const ids = [id('a1')]
      return [
        registry.extend(kmsAuth, 'osImage', ids, { expiresAt: now + 190_000, notAfter: never }),
        registry.shorten(kmsAuth, 'osImage', ids, now + 80_000),
        registry.suspend(kmsAuth, 'osImage', ids),
        registry.withdraw(kmsAuth, 'osImage', [id('a2')]),
        registry.revoke(kmsAuth, 'kmsMeasurement', [id('b9')]),
      ]
    },
  },
  {
    name: 'reverts because an approval is unknown, in its second call',
    calls: ({ addresses: { kmsAuth } }) => [
      registry.addOsImageHash(kmsAuth, id('a7')),
      registry.withdraw(kmsAuth, 'osImage', [id('ff')]),
    ],
    fails: 'ApprovalUnknown',
  },
  {
    name: 'reverts because its deadline has passed at the execution',
    calls: async ({ addresses: { kmsAuth }, publicClient }) => [
      registry.approve(
        kmsAuth,
        [{ kind: 'osImage', id: id('a8') }],
        (await chainTime(publicClient)) + 100,
      ),
    ],
    fails: 'ExecutionDeadlinePassed',
  },
  {
    name: 'changes every voting parameter of the DAO, and back',
    calls: ({ addresses }) => [
      ...settings.setVoting(addresses, {
        votingDelay: 11,
        votingPeriod: 101,
        proposalThreshold: 2n,
        quorumPercent: 5,
        lateQuorumExtension: 21,
        timelockDelay: 51,
      }),
      ...settings.setVoting(addresses, {
        votingDelay: 10,
        votingPeriod: 100,
        timelockDelay: 50,
      }),
    ],
  },
  {
    name: 'replaces the guardian everywhere',
    calls: ({ addresses, clients }) =>
      settings.setGuardianEverywhere(
        addresses,
        clients.stranger.walletClient.account.address,
        7_200,
        never,
      ),
  },
  {
    name: 'sets delays, host rules, statuses, advisories, images and their names',
    calls: ({ addresses, addresses: { images, hosts } }) => [
      settings.setActivationDelay(addresses, 'osImage', 60, never),
      settings.setHostRules(
        hosts as Hex,
        {
          attestedSince: 5,
          minLifetime: 1,
          maxLifetime: 90_000,
          window: 100,
          minEvaluationNumber: 3,
          isOpen: true,
          activationDelay: 9,
        },
        never,
      ),
      settings.setStatusAcceptedUntil(hosts as Hex, 3, 2_000_000_000, never),
      settings.closeImages(images as Hex, [id('a1')]),
      settings.setImageName(images as Hex, id('a1'), 'A name that is longer than thirty-one bytes'),
      settings.setImageName(images as Hex, id('a2'), 'short'),
    ],
  },
  {
    name: 'configures an app and ends its old releases',
    calls: ({ app }) => [
      registry.addComposeHash(app, id('c1')),
      registry.addComposeHash(app, id('c2')),
      registry.addDevice(app, id('d1')),
      call(app, appData('setAllowAnyDevice', [true])),
      call(app, appData('supersede', [2, 0, true])),
      call(app, appData('setNoticePeriod', [600])),
    ],
  },
  {
    name: 'reverts because an app change was not announced',
    calls: ({ app }) => [call(app, appData('setRequireTcbUpToDate', [false]))],
    fails: 'NotAnnounced',
  },
  {
    name: 'upgrades a registry and calls the new code',
    calls: async ({ addresses, deploy }) => [
      settings.upgrade(addresses.kmsAuth, await deploy('KmsAuthV2')),
    ],
  },
  {
    name: 'offers a contract to a new owner',
    calls: ({ addresses, clients }) => [
      settings.transferOwnership(
        addresses.images as Hex,
        clients.owner.walletClient.account.address,
      ),
    ],
  },
  {
    name: 'grants a role of the timelock',
    calls: ({ addresses: { timelock }, clients }) => [
      call(
        timelock,
        encodeFunctionData({
          abi: timelockControllerAbi,
          functionName: 'grantRole',
          args: [id('5e'), clients.owner.walletClient.account.address],
        }),
      ),
    ],
  },
  {
    name: 'sends ether to an account',
    calls: ({ clients }) => [
      call(clients.owner.walletClient.account.address.toLowerCase() as Hex, '0x', 12_345n),
    ],
  },
  {
    name: 'reverts because the timelock has too little ether',
    calls: ({ clients }) => [
      call(clients.owner.walletClient.account.address.toLowerCase() as Hex, '0x', 10n ** 30n),
    ],
    fails: 'FailedCall',
  },
  {
    name: 'calls the governor through relay, which calls a contract that reverts',
    calls: ({ addresses: { governor, kmsAuth } }) => [
      call(
        governor,
        encodeFunctionData({
          abi: assentGovernorAbi,
          functionName: 'relay',
          args: [kmsAuth, 0n, registry.addOsImageHash(kmsAuth, id('a9')).data],
        }),
      ),
    ],
    fails: 'OwnableUnauthorizedAccount',
  },
  {
    name: 'creates an app through KmsAuth',
    calls: ({ addresses: { kmsAuth, timelock } }) => [
      registry.deployAndRegisterApp(kmsAuth, { owner: timelock, composeHash: id('c5') }),
    ],
  },
  {
    name: 'takes the governor’s role to propose, which is its last decision',
    calls: ({ addresses: { timelock, governor } }) => [
      call(
        timelock,
        encodeFunctionData({
          abi: timelockControllerAbi as Abi,
          functionName: 'revokeRole',
          args: ['0xb09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1', governor],
        }),
      ),
    ],
  },
]

describe.skipIf(absent)('a simulated proposal', () => {
  let dao: LocalDao

  beforeAll(async () => {
    dao = await createLocalDao()
  })
  afterAll(() => dao?.anvil.stop())

  test.each(cases)('equals the real execution: $name', async ({ name, calls, fails }) => {
    const { publicClient } = dao
    const { chain, before, facts, simulation } = await proposeAndSimulate(
      dao,
      await calls(dao),
      name,
    )
    const queued = await voteAndQueue(dao, facts, simulation)
    const executed = await executeQueued(dao, facts, simulation)

    expect(queued.succeeded).toBe(true)
    expect(simulation.succeeded).toBe(executed.succeeded)
    expect(simulation.failure?.error).toBe(fails)
    expect(simulation.failure?.data ?? '0x').toBe(executed.revertData)
    expect(
      simulation.events.map(({ address, topics, data }) => ({ address, topics, data })),
    ).toEqual(executed.logs)
    const words = await chain.changedWords(before)
    const local = new Set(words.map(({ address, slot }) => `${address}_${slot}`))
    const real = new Set([...queued.changed, ...executed.changed])
    for (const key of real) {
      const [address, slot] = key.split('_') as [Hex, Hex]
      // a word that queue and execute changed and restored is not a change
      const isRestored = (await before.word(address, slot)) === (await chain.word(address, slot))
      if (!isRestored) expect(local).toContain(key)
    }
    for (const { address, slot, after } of words) {
      const found = await publicClient.getStorageAt({ address, slot })
      expect([slot, toHex(after, { size: 32 })]).toEqual([slot, found])
    }
    // the interpreters count gas alike; only the fee market and the sender differ
    expect(Number(simulation.gasUsed) / Number(executed.gasUsed)).toBeCloseTo(1, 1)
  })

  test('that cannot be queued any more fails in the queue step, as on the chain', async () => {
    const calls = [registry.addOsImageHash(dao.addresses.kmsAuth, id('a5'))]
    const { facts, simulation } = await proposeAndSimulate(dao, calls, 'After the last decision')
    const queued = await voteAndQueue(dao, facts, simulation)

    expect(queued.succeeded).toBe(false)
    expect(simulation.failure).toMatchObject({
      step: 'queue',
      error: 'AccessControlUnauthorizedAccount',
      data: queued.revertData,
    })
  })

  test('names each changed word', async () => {
    const fresh = await createLocalDao()
    try {
      const calls = [registry.addOsImageHash(fresh.addresses.kmsAuth, id('a1'))]
      const { simulation } = await proposeAndSimulate(fresh, calls, 'Names')

      const inKmsAuth = simulation.changes.filter(({ contract }) => contract === 'kmsAuth')
      expect(inKmsAuth.map(({ name, before, after }) => [name, before, after])).toEqual(
        expect.arrayContaining([
          [`_approvals[0][${id('a1')}]`, 'not approved', 'active, version 1'],
          ['_ids[0][1]', id('00'), id('a1')],
        ]),
      )
      expect(simulation.changes.filter(({ name }) => name === undefined)).toEqual([])
    } finally {
      await fresh.anvil.stop()
    }
  })
})

test('the votes are in the storage slot that the compiler states', async () => {
  const lines = await layoutOf(hre, 'AssentGovernor')
  expect(lines.find((line) => line.includes(' _proposalVotes '))).toMatch(
    new RegExp(`^slot ${proposalVotesSlot} byte 0: mapping`),
  )
})

describe.skipIf(absent)('a local copy', () => {
  let dao: LocalDao
  beforeAll(async () => {
    dao = await createLocalDao()
  })
  afterAll(() => dao?.anvil.stop())

  test('stops at its limit of requests', async () => {
    const state = await openBlockState(dao.publicClient, {
      limits: { requests: 5, bytes: 1e9, milliseconds: 60_000 },
    })
    const chain = await LocalChain.open(state)
    const { kmsAuth } = dao.addresses

    await expect(
      chain.call({ from: kmsAuth, to: kmsAuth, data: '0x8da5cb5b' }),
    ).rejects.toMatchObject({ code: 'SIMULATION_TOO_LARGE', facts: { limit: 'requests' } })
  })

  test('keeps reading the block from which it was made', async () => {
    const chain = await LocalChain.open(await openBlockState(dao.publicClient))
    const { kmsAuth } = dao.addresses
    const ask = registry.addOsImageHash(kmsAuth, id('a1'))
    const state = {
      from: kmsAuth,
      to: kmsAuth,
      data: encodeFunctionData({
        abi: (await hre.artifacts.readArtifact('KmsAuth')).abi as Abi,
        functionName: 'stateOf',
        args: [0, id('a1')],
      }),
    }

    await dao.decide([ask], 'Later')

    expect(BigInt((await chain.call(state)).data)).toBe(0n)
    await chain.requireSameBlock()
  })
})
