/** New code for a registry, from its sources to its force, by the tasks alone, on a live node. */
import { rm } from 'node:fs/promises'

import { type Address, parseAbi } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { compileContracts } from '../../scripts/compile.ts'
import { kmsAuthAbi } from '../../src/chain/abi.ts'
import { checkDeployment } from '../../src/chain/check/check.ts'
import { implementationOf } from '../../src/chain/check/code.ts'
import type { FindingCode } from '../../src/chain/check/finding.ts'
import { deploymentFile, readDeployment } from '../../src/chain/deployments.ts'
import { readState } from '../../src/chain/registry.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { findAnvil } from '../anvil.ts'
import { daoTimes, hardhatArtifacts } from '../chain/dao.ts'
import { createTaskWorld, type TaskWorld } from './world.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: upgrades by tasks are SKIPPED. ***\n')

const image: Hex = `0x${'a1'.repeat(32)}`
const nextAbi = parseAbi(['function generation() view returns (uint256)'])

let world: TaskWorld

describe.skipIf(absent)('an upgrade', () => {
  beforeAll(async () => {
    world = await createTaskWorld()
    await compileContracts(world.hre)
    await world.decide('approve', { kind: 'os-image', ids: [image] })
  }, 120_000)

  afterAll(() => world?.stop())

  const record = () => readDeployment(world.folder, 31337)
  const client = () => world.people.stranger.publicClient
  const voter = () => ({ from: world.account('voter'), yes: true })
  const inForce = async () =>
    (await implementationOf(client(), world.addresses.kmsAuth)).toLowerCase()

  /** The codes of what does not hold, these sources being those of every commit. */
  async function wrong(): Promise<FindingCode[]> {
    const deployment = await record()
    const findings = await checkDeployment(client(), deployment, {
      sources: {
        compiler: deployment.compiler,
        compareCommit: async () => 'same',
        artifacts: hardhatArtifacts(world.hre) as never,
      },
    })
    return findings.filter(({ holds }) => !holds).map(({ code }) => code)
  }

  function generation(): Promise<bigint> {
    return client().readContract({
      address: world.addresses.kmsAuth,
      abi: nextAbi,
      functionName: 'generation',
    })
  }

  async function carryOut(proposal: string): Promise<string> {
    await world.pass(daoTimes.votingDelay + 1)
    await world.run('vote', { proposal, support: 'for', ...voter() })
    await world.pass(daoTimes.votingPeriod + 1)
    await world.run('queue', { proposal, ...voter() })
    await world.pass(daoTimes.timelockDelay + 1)
    return (await world.run('execute', { proposal, ...voter() })).text
  }

  test('to the code that is there already is refused', async () => {
    expect(await world.refused('upgrade', { contract: 'kmsAuth', ...voter() })).toBe(
      'INPUT_INVALID',
    )
    expect(Object.keys((await record()).contracts)).not.toContain('kmsAuthImplementation2')
  })

  test('to code that keeps things elsewhere is refused before it is deployed', async () => {
    const moved = { contract: 'kmsAuth', code: 'KmsAuthMoved', ...voter() }
    expect(await world.refused('upgrade', moved)).toBe('STORAGE_MOVED')
    const other = { contract: 'kmsAuth', code: 'Images', ...voter() }
    expect(await world.refused('upgrade', other)).toBe('STORAGE_MOVED')
    expect(Object.keys((await record()).contracts)).not.toContain('kmsAuthImplementation2')
  })

  test('is deployed, recorded, proposed, and in force by a vote alone, with everything kept', async () => {
    const before = await inForce()
    const { value, text } = await world.run('upgrade', {
      contract: 'kmsAuth',
      code: 'KmsAuthNext',
      why: 'It can do one thing more.',
      ...voter(),
    })
    expect(text).toContain('replace all of the contract’s code')
    expect(text).toContain('It can do one thing more.')
    const next = value.implementation as Address
    expect((await record()).contracts.kmsAuthImplementation2).toMatchObject({
      address: next,
      contract: 'KmsAuthNext',
      commit: expect.any(String),
    })
    // nothing is in force by it
    expect(await inForce()).toBe(before)
    expect(await wrong()).toEqual([])

    expect(await carryOut(String(value.proposalId))).toContain('kmsAuth: the record says now')

    expect(await inForce()).toBe(next)
    const { contracts, commit } = await record()
    expect(contracts.kmsAuth?.implementation).toBe('kmsAuthImplementation2')
    expect(contracts.kmsAuthImplementation?.commit).toBe('c0ffee')
    expect(commit).not.toBe('c0ffee')
    expect(await wrong()).toEqual([])
    expect(await generation()).toBe(2n)
    expect(await readState(client(), world.addresses.kmsAuth, 'osImage', image)).toBe('active')
    const owner = await client().readContract({
      address: world.addresses.kmsAuth,
      abi: kmsAuthAbi,
      functionName: 'owner',
    })
    expect(owner.toLowerCase()).toBe(world.addresses.timelock.toLowerCase())
  })

  test('that stopped before its proposal goes on with the code that it deployed', async () => {
    const count = async () => client().getTransactionCount({ address: world.account('voter') })
    const images = { contract: 'images', code: 'KmsAuthMoved', ...voter() }
    expect(await world.refused('upgrade', images)).toBe('STORAGE_MOVED')
    // back to the first code: it has been there, and nothing is created for it
    const before = await count()
    const { value } = await world.run('upgrade', {
      contract: 'kmsAuth',
      code: 'KmsAuth',
      ...voter(),
    })
    expect(value.implementation).toBe((await record()).contracts.kmsAuthImplementation?.address)
    expect(await count()).toBe(before + 1)
  })

  test('that the record does not know makes the check red', async () => {
    const hidden = await record()
    const { kmsAuth, ...others } = hidden.contracts
    const { implementation: _, ...asCreated } = kmsAuth as NonNullable<typeof kmsAuth>
    const { writeDeployment } = await import('../../scripts/placing.ts')
    await writeDeployment(world.folder, { ...hidden, contracts: { ...others, kmsAuth: asCreated } })

    expect(await wrong()).toContain('IMPLEMENTATION')
    await rm(deploymentFile(world.folder, 31337))
    await writeDeployment(world.folder, hidden)
    expect(await wrong()).toEqual([])
  })
})
