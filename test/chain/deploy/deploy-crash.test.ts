/** A deployment that is cut off anywhere, on a live node: nothing twice, nothing missing, the same result. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import { type Address, type EIP1193Provider, http } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inputs } from '../../../scripts/test-effort.ts'
import { deployedAddresses, readDeployment } from '../../../src/chain/record/deployments.ts'
import { type DeployOptions, deploy } from '../../../src/deploy/deploy.ts'
import { type Anvil, findAnvil, startAnvil } from '../../anvil.ts'
import { connect, hardhatArtifacts, testRules } from '../dao.ts'
import { attempt, countCreations, type Survived } from './crash-at-step.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: deployments cut off are SKIPPED. ***\n')

class PowerCut extends Error {}

/** Where the power goes: at the nth request that `counts`, before the node has it or before we have its answer. */
interface Cut {
  readonly counts: (method: string) => boolean
  readonly at: number
  readonly delivered: boolean
}

const isSend = (method: string) => method === 'eth_sendTransaction'
const isAny = () => true

describe.skipIf(absent)('an interrupted deployment', () => {
  let anvil: Anvil
  let folder: string
  let request: EIP1193Provider['request']

  beforeEach(async () => {
    anvil = await startAnvil({ args: ['--chain-id', '31337'] })
    folder = await mkdtemp(join(tmpdir(), 'assent-crash-'))
    request = http(anvil.url)({ retryCount: 0 }).request as EIP1193Provider['request']
  })

  afterEach(async () => {
    await anvil.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function optionsWith(cut?: Cut, into = folder): Promise<DeployOptions> {
    let left = cut?.at ?? 0
    let isDead = false
    const cutting = async (args: { method: string }) => {
      if (isDead) throw new PowerCut()
      const isHere = cut?.counts(args.method) === true && --left === 0
      if (!isHere) return request(args as never)
      isDead = true
      if (cut.delivered) await request(args as never)
      throw new PowerCut()
    }
    const people = await connect({ request } as unknown as EIP1193Provider)
    const cuttable = await connect({ request: cutting } as unknown as EIP1193Provider).catch(
      () => undefined,
    )
    return {
      ...(cuttable ?? people).deployer,
      artifacts: hardhatArtifacts(hre),
      rules: testRules(people.voter, people.guardian),
      record: { folder: into, commit: 'c0ffee', compiler: { version: '0.8.35', settings: {} } },
    }
  }

  /** The result of an undisturbed deployment on this chain; the chain is as before afterwards. */
  async function undisturbed(): Promise<{ addresses: object; created: number }> {
    const id = await anvil.client.snapshot()
    const elsewhere = await mkdtemp(join(tmpdir(), 'assent-crash-'))
    const addresses = await deploy(await optionsWith(undefined, elsewhere))
    const created = await countCreations(anvil)
    await anvil.client.revert({ id })
    await rm(elsewhere, { recursive: true, force: true })
    return { addresses, created }
  }

  /** Runs until it comes through, cut off each time as `cutOf` says; returns how often it was. */
  async function struggle(cutOf: (run: number) => Cut | undefined): Promise<number> {
    for (let run = 0; run < 500; run++) {
      const isThrough = await deploy(await optionsWith(cutOf(run))).then(
        () => true,
        () => false,
      )
      if (isThrough) return run
    }
    throw new Error('It never came through.')
  }

  test.each([
    ['after each transaction was sent', true],
    ['before each second transaction is sent', false],
  ])('%s', async (_, delivered) => {
    const expected = await undisturbed()

    const cuts = await struggle(() => ({ counts: isSend, at: delivered ? 1 : 2, delivered }))

    expect(cuts).toBeGreaterThanOrEqual(expected.created)
    const record = await readDeployment(folder, 31337)
    expect(deployedAddresses(record)).toEqual(expected.addresses)
    expect(record.pending).toBeUndefined()
    expect(await countCreations(anvil)).toBe(expected.created)
    expect(Object.keys(record.contracts)).toHaveLength(expected.created)
    expect(await readdir(folder)).toEqual(['31337.json'])
  })

  // a run can wait three minutes for a transaction that its node never had (`waitForReceipt`)
  test('continues after a failure at any request', { timeout: 600_000 }, async () => {
    const expected = await undisturbed()
    // a generator whose numbers are always the same
    let state = 7
    const next = (below: number) => {
      state = (state * 48_271) % 2_147_483_647
      return state % below
    }

    await struggle((run) => ({ counts: isAny, at: 1 + next(20 + run), delivered: next(2) === 0 }))

    expect(deployedAddresses(await readDeployment(folder, 31337))).toEqual(expected.addresses)
    expect(await countCreations(anvil)).toBe(expected.created)
  })

  test('continues while its transaction is in the mempool', async () => {
    await anvil.client.setAutomine(false)
    await expect(
      deploy(await optionsWith({ counts: isSend, at: 1, delivered: true })),
    ).rejects.toThrow()
    const { pending } = await readDeployment(folder, 31337)
    expect(pending?.name).toBe('votes')

    const resumed = deploy(await optionsWith())
    await new Promise((resolve) => setTimeout(resolve, 500))
    await anvil.client.setAutomine(true)
    await anvil.client.mine({ blocks: 1 })
    const { votes } = await resumed

    expect(votes).toBe(pending?.address)
    const count = Object.keys((await readDeployment(folder, 31337)).contracts).length
    expect(await countCreations(anvil)).toBe(count)
  })

  test('repeats a step whose nonce another transaction used', async () => {
    await expect(
      deploy(await optionsWith({ counts: isSend, at: 3, delivered: false })),
    ).rejects.toThrow()
    const { pending } = await readDeployment(folder, 31337)
    const [deployer] = (await request({ method: 'eth_accounts' })) as readonly Address[]
    await anvil.client.sendTransaction({
      account: deployer as Address,
      to: deployer as Address,
      value: 1n,
    } as never)

    const { governor } = await deploy(await optionsWith())

    expect(pending?.name).toBe('governor')
    expect(governor).not.toBe(pending?.address)
  })

  test('can be continued by the account that started it and by no other', async () => {
    // the first contract, whose code does not depend on its creator
    const cut = { counts: isSend, at: 1, delivered: false }
    await expect(deploy(await optionsWith(cut))).rejects.toThrow()
    const { stranger } = await connect({ request } as unknown as EIP1193Provider)
    const before = await countCreations(anvil)

    await expect(deploy({ ...(await optionsWith()), ...stranger })).rejects.toMatchObject({
      code: 'DEPLOYMENT_INVALID',
    })
    expect(await countCreations(anvil)).toBe(before)

    await deploy(await optionsWith())
  })

  test('does not start again if its record cannot be read', async () => {
    const cut = { counts: isSend, at: 2, delivered: true }
    await expect(deploy(await optionsWith(cut))).rejects.toThrow()
    // the node has both transactions, and mines the second one in its own time
    await expect.poll(() => countCreations(anvil)).toBe(2)
    const file = join(folder, '31337.json')
    const text = await readFile(file, 'utf8')

    await writeFile(file, text.slice(0, text.length / 2))
    await expect(deploy(await optionsWith())).rejects.toMatchObject({ code: 'DEPLOYMENT_INVALID' })
    // a folder where the file should be: not readable, and yet there
    await rm(file)
    await mkdir(file)
    await expect(deploy(await optionsWith())).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })

    expect(await countCreations(anvil)).toBe(2)
  })

  // every transaction in a night; a stride that still meets creations, roles and proxies on a change
  const stride = inputs(9, 1)

  test.each(['before', 'after'] as const)(
    'continues after each kill -9 %s a transaction is sent',
    async (when) => {
      const expected = await undisturbed()
      let kills = 0
      let through: Survived | undefined
      // sent and not killed are `stride` of the transactions that are left
      for (let run = 0; run < 200 && through === undefined; run++) {
        // killed before its first transaction each time, it would stand still
        const at = when === 'before' ? stride + 1 : stride
        through = await attempt({ url: anvil.url, folder, at, when, counts: 'sends' })
        if (through === undefined) kills++
      }

      expect(kills).toBeGreaterThanOrEqual(Math.floor(expected.created / stride))
      expect(through?.value).toEqual(expected.addresses)
      expect(await countCreations(anvil)).toBe(expected.created)
      expect((await readDeployment(folder, 31337)).pending).toBeUndefined()
    },
    120_000,
  )
})
