/** Upgrades of registries and apps with the tasks alone, on a live node. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { type Address, parseAbi } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kmsAuthAbi } from '../../src/chain/abi.ts'
import { checkDeployment } from '../../src/chain/check/check.ts'
import { implementationOf } from '../../src/chain/check/code.ts'
import type { FindingCode } from '../../src/chain/check/finding.ts'
import { codeHash } from '../../src/chain/proven/pinning.ts'
import { deploymentFile, readDeployment } from '../../src/chain/record/deployments.ts'
import { readState } from '../../src/chain/registries/registry.ts'
import { compileContracts } from '../../src/deploy/compile.ts'
import { writeDeployment } from '../../src/deploy/create-contract-once.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { findAnvil } from '../anvil.ts'
import { daoTimes, hardhatArtifacts } from '../chain/dao.ts'
import { countCreations } from '../chain/deploy/crash-at-step.ts'
import { createTaskFixture, type TaskFixture } from './fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: upgrades by tasks are SKIPPED. ***\n')

const image: Hex = `0x${'a1'.repeat(32)}`
const nextAbi = parseAbi(['function generation() view returns (uint256)'])

let fixture: TaskFixture

describe.skipIf(absent)('an upgrade', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    await compileContracts(fixture.hre)
    await fixture.decide('dao approve', { kind: 'os-image', ids: [image] })
  }, 120_000)

  afterAll(() => fixture?.stop())

  const record = () => readDeployment(fixture.folder, 31337)
  const client = () => fixture.people.stranger.publicClient
  const voter = () => ({ from: fixture.account('voter'), yes: true })
  const inForce = async () =>
    (await implementationOf(client(), fixture.addresses.kmsAuth)).toLowerCase()

  /** The codes of what does not hold, these sources being those of every commit. */
  async function wrong(): Promise<FindingCode[]> {
    const deployment = await record()
    const findings = await checkDeployment(client(), deployment, {
      sources: {
        compiler: deployment.compiler,
        compareCommit: async () => 'same',
        artifacts: hardhatArtifacts(fixture.hre) as never,
      },
    })
    return findings.filter(({ holds }) => !holds).map(({ code }) => code)
  }

  function generation(): Promise<bigint> {
    return client().readContract({
      address: fixture.addresses.kmsAuth,
      abi: nextAbi,
      functionName: 'generation',
    })
  }

  async function executeProposal(proposal: string): Promise<string> {
    await fixture.advanceTime(daoTimes.votingDelay + 1)
    await fixture.run('dao vote', { proposal, support: 'for', ...voter() })
    await fixture.advanceTime(daoTimes.votingPeriod + 1)
    await fixture.run('dao queue', { proposal, ...voter() })
    await fixture.advanceTime(daoTimes.timelockDelay + 1)
    return (await fixture.run('dao execute', { proposal, ...voter() })).text
  }

  test('to the current code is refused', async () => {
    expect(await fixture.refused('deployment upgrade', { contract: 'kmsAuth', ...voter() })).toBe(
      'INPUT_INVALID',
    )
    expect(Object.keys((await record()).contracts)).not.toContain('kmsAuthImplementation2')
  })

  test('to code with an incompatible storage layout is refused before deployment', async () => {
    const moved = { contract: 'kmsAuth', code: 'KmsAuthMoved', ...voter() }
    expect(await fixture.refused('deployment upgrade', moved)).toBe('STORAGE_MOVED')
    const other = { contract: 'kmsAuth', code: 'Images', ...voter() }
    expect(await fixture.refused('deployment upgrade', other)).toBe('STORAGE_MOVED')
    expect(Object.keys((await record()).contracts)).not.toContain('kmsAuthImplementation2')
  })

  test('that the account cannot propose is refused before deployment', async () => {
    const stranger = { from: fixture.account('stranger'), yes: true }
    const next = { contract: 'kmsAuth', code: 'KmsAuthV2', ...stranger }
    expect(await fixture.refused('deployment upgrade', next)).toBe('VOTES_TOO_FEW')
    expect(Object.keys((await record()).contracts)).not.toContain('kmsAuthImplementation2')
  })

  test('is deployed, recorded, proposed and takes effect by a vote, with all state kept', async () => {
    const before = await inForce()
    const { value, text } = await fixture.run('deployment upgrade', {
      contract: 'kmsAuth',
      code: 'KmsAuthV2',
      reason: 'It can do one thing more.',
      ...voter(),
    })
    expect(text).toContain('replace the contract’s code')
    expect(text).toContain('It can do one thing more.')
    // the title names the decision, not its end
    expect(text).toContain('# Replace the contract’s code with the code at kmsAuthImplementation2')
    expect((await fixture.run('dao proposals')).text).toContain('pending: replace the contract’s')
    const next = value.implementation as Address
    // the warning has the hash of the new code, which was planned when it was printed
    expect(text).toContain('CHAIN_CONTRACT_UNKNOWN')
    expect(text).toContain(`kmsAuth: ${await codeHash(client(), next)}`)
    expect((await record()).contracts.kmsAuthImplementation2).toMatchObject({
      address: next,
      contract: 'KmsAuthV2',
      commit: expect.any(String),
    })
    // nothing is in force by it
    expect(await inForce()).toBe(before)
    expect(await wrong()).toEqual([])

    expect(await executeProposal(String(value.proposals[0].id))).toContain(
      'kmsAuth: the deployment record has',
    )

    expect(await inForce()).toBe(next)
    const { contracts, commit } = await record()
    expect(contracts.kmsAuth?.implementation).toBe('kmsAuthImplementation2')
    // an unchanged entry has no new date
    expect(contracts.kmsAuthImplementation?.commit).toBe('c0ffee')
    expect(contracts.imagesImplementation?.commit).toBe('c0ffee')
    expect(contracts.kmsAuthImplementation2?.commit).toBeUndefined()
    expect(commit).not.toBe('c0ffee')
    expect(await wrong()).toEqual([])
    expect(await generation()).toBe(2n)
    expect(await readState(client(), fixture.addresses.kmsAuth, 'osImage', image)).toBe('active')
    const owner = await client().readContract({
      address: fixture.addresses.kmsAuth,
      abi: kmsAuthAbi,
      functionName: 'owner',
    })
    expect(owner.toLowerCase()).toBe(fixture.addresses.timelock.toLowerCase())
  })

  test('that stopped before its proposal continues with the deployed code', async () => {
    const count = async () => client().getTransactionCount({ address: fixture.account('voter') })
    const images = { contract: 'images', code: 'KmsAuthMoved', ...voter() }
    expect(await fixture.refused('deployment upgrade', images)).toBe('STORAGE_MOVED')
    // back to the first code: it has been there, and nothing is created for it
    const before = await count()
    const { value, text } = await fixture.run('deployment upgrade', {
      contract: 'kmsAuth',
      code: 'KmsAuth',
      ...voter(),
    })
    expect(text).toContain('It is older than kmsAuthImplementation2')
    expect(value.implementation).toBe((await record()).contracts.kmsAuthImplementation?.address)
    expect(await count()).toBe(before + 1)
  })

  test('of code outside the deployment record is refused', async () => {
    const known = await record()
    const { kmsAuthImplementation2: _, ...others } = known.contracts
    const { kmsAuth, kmsAuthImplementation } = others as Required<typeof others>
    const { implementation: __, ...asCreated } = kmsAuth as NonNullable<typeof kmsAuth>
    await writeDeployment(fixture.folder, {
      ...known,
      contracts: { ...others, kmsAuth: asCreated, kmsAuthImplementation } as never,
    })

    const back = { contract: 'kmsAuth', code: 'KmsAuth', ...voter() }
    expect(await fixture.refused('deployment upgrade', back)).toBe('DEPLOYMENT_INVALID')
    await writeDeployment(fixture.folder, known)
  })

  test('outside the deployment record fails the check', async () => {
    const hidden = await record()
    const { kmsAuth, ...others } = hidden.contracts
    const { implementation: _, ...asCreated } = kmsAuth as NonNullable<typeof kmsAuth>
    await writeDeployment(fixture.folder, {
      ...hidden,
      contracts: { ...others, kmsAuth: asCreated },
    })

    expect(await wrong()).toContain('IMPLEMENTATION')
    await rm(deploymentFile(fixture.folder, 31337))
    await writeDeployment(fixture.folder, hidden)
    expect(await wrong()).toEqual([])
  })

  describe('of apps', () => {
    const owner = () => ({ from: fixture.account('owner'), yes: true })
    const codeOf = async (app: string) =>
      (await implementationOf(client(), app as Address)).toLowerCase()
    const sent = (from: 'owner' | 'voter') =>
      client().getTransactionCount({ address: fixture.account(from) })
    let app: Address

    async function createApp(more: object = {}): Promise<Address> {
      return (await fixture.run('app create', { ...owner(), ...more })).value.app
    }

    beforeAll(async () => {
      app = await createApp()
    })

    test('that the app would refuse is refused before deployment', async () => {
      const frozen = await createApp({ renounceUpgrades: true })
      const bound = await createApp()
      await fixture.run('app notice', { app: bound, notice: '1h', ...owner() })
      const before = await countCreations(fixture.anvil)

      for (const each of [frozen, bound]) {
        const next = { app: each, code: 'AppV2', ...owner() }
        expect(await fixture.refused('app upgrade', next)).toBe('PROPOSAL_WOULD_FAIL')
        expect(await fixture.refused('app upgrade', { ...next, dryRun: true })).toBe(
          'PROPOSAL_WOULD_FAIL',
        )
      }
      expect(await countCreations(fixture.anvil)).toBe(before)
      expect((await record()).contracts.appImplementation2).toBeUndefined()
    })

    test('in a dry run is printed, and sends and writes nothing', async () => {
      const before = { record: await record(), sent: await sent('owner'), code: await codeOf(app) }

      const { text, value } = await fixture.run('app upgrade', {
        app,
        code: 'AppV2',
        dryRun: true,
        ...owner(),
      })

      expect(text).toContain('would first deploy the code of these sources: appImplementation2')
      expect(text).toContain('storage layout is compatible with appImplementation')
      expect(text).toContain('replace the contract’s code with the code at appImplementation2')
      expect(text).toContain('nothing was sent')
      expect(value).toMatchObject({ outcome: 'dry-run', created: false })
      expect({
        record: await record(),
        sent: await sent('owner'),
        code: await codeOf(app),
      }).toEqual(before)

      const { value: done, text: said } = await fixture.run('app upgrade', {
        app,
        code: 'AppV2',
        ...owner(),
      })
      expect(done.implementation).toBe(value.implementation)
      const warning = `app: ${await codeHash(client(), done.implementation)}`
      for (const each of [text, said]) {
        expect(each).toContain('CHAIN_CONTRACT_UNKNOWN')
        expect(each).toContain(warning)
      }
    })

    test('is deployed once, recorded, and takes effect immediately by the owner', async () => {
      const { contracts } = await record()
      const next = contracts.appImplementation2
      expect(next).toMatchObject({ contract: 'AppV2', commit: expect.any(String) })
      expect(await codeOf(app)).toBe(next?.address)
      expect(await wrong()).toEqual([])
      // the commands still know it as an app
      expect((await fixture.run('app devices', { app, rule: 'any', ...owner() })).text).toContain(
        `app (${app})`,
      )
      const again = { app, code: 'AppV2', ...owner() }
      expect(await fixture.refused('app upgrade', again)).toBe('INPUT_INVALID')

      const other = await createApp()
      const before = await sent('owner')
      const { value, text } = await fixture.run('app upgrade', { ...again, app: other })
      expect(text).toContain('The code of these sources is already deployed')
      const shown = await fixture.run('app status', { app: other })
      expect(shown.text).toMatch(/code {6}appImplementation2 \(0x/)
      expect(value.implementation).toBe(next?.address)
      expect(await sent('owner')).toBe(before + 1)
    })

    test('of new apps is voted on and then recorded', async () => {
      const before = await sent('voter')
      const { value } = await fixture.run('deployment set-app-implementation', {
        code: 'AppV2',
        ...voter(),
      })
      expect(await sent('voter')).toBe(before + 1)
      expect(await wrong()).toEqual([])

      expect(await executeProposal(String(value.proposals[0].id))).toContain(
        'app: the deployment record has',
      )

      const { contracts } = await record()
      expect(contracts.kmsAuth?.appImplementation).toBe('appImplementation2')
      expect(await codeOf(await createApp())).toBe(contracts.appImplementation2?.address)
      expect(await wrong()).toEqual([])
    })

    test('is refused with the reason of the contract', async () => {
      const to = (named: string, more: object = {}) =>
        fixture.refused('app upgrade', { app: named, code: 'App', ...owner(), ...more })
      expect(await to(app, { from: fixture.account('stranger') })).toBe('AUTHORITY_MISSING')
      expect(await to(app, { code: 'Nothing' })).toBe('USAGE_INVALID')
      expect(await to(app, { implementation: fixture.addresses.appImplementation })).toBe(
        'USAGE_INVALID',
      )
      expect(await to(app, { code: 'KmsAuthMoved' })).toBe('STORAGE_MOVED')
    })

    test('of an app with a notice period is announced first', async () => {
      const bound = await createApp()
      await fixture.run('app notice', { app: bound, notice: '1h', ...owner() })
      const draft = join(fixture.folder, 'upgrade.json')
      const back = { app: bound, code: 'App', ...owner() }
      await expect(fixture.run('app upgrade', back)).rejects.toMatchObject({
        code: 'CALL_REVERTED',
        hint: expect.stringContaining('assent app announce'),
      })
      await fixture.run('app upgrade', { ...back, draft, dryRun: true })
      expect(await readFile(draft).catch(() => 'none')).toBe('none')
      await fixture.run('app upgrade', { ...back, draft })
      await fixture.run('app announce', { app: bound, file: draft, ...owner() })
      await fixture.advanceTime(3_601)

      await fixture.run('dao propose', { file: draft, via: 'send', ...owner() })

      expect(await codeOf(bound)).toBe((await record()).contracts.appImplementation?.address)
    })
  })
})
