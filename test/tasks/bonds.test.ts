/** Bonds of operators with the tasks alone, on a live node. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { type Address, erc20Abi, getContractAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PinnedCode } from '../../src/chain/proven/read-boot-facts.ts'
import { readDeployment } from '../../src/chain/record/deployments.ts'
import { readBond, readBondTerms } from '../../src/chain/registries/bonds.ts'
import { main } from '../../src/cli/main.ts'
import { standardHostRules } from '../../src/deploy/deploy.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture } from './fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: bonds by tasks are SKIPPED. ***\n')

const device: Hex = `0x${'d1'.repeat(32)}`
const [firstAccount]: Address[] = ['0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266']
/** Any ERC-20 does; the votes are one, and the first that is created. */
const token = getContractAddress({ from: firstAccount as Address, nonce: 0n })

let fixture: TaskFixture

describe.skipIf(absent)('bonds', () => {
  beforeAll(async () => {
    const simulator = createSimulator({ at: Math.floor(Date.now() / 1000) })
    fixture = await createTaskFixture({
      root: simulator.rootCertificate,
      hosts: { ...standardHostRules, window: 255 },
      bonds: { token, minimum: 100n, unbondingTime: 3_600 },
    })
  }, 120_000)

  afterAll(() => fixture?.stop())

  const client = () => fixture.people.stranger.publicClient
  const bonds = () => fixture.addresses.hostBonds as Address
  const holder = () => fixture.account('voter')
  const bond = () => readBond(client(), bonds(), device, holder())
  const by = (who: 'voter' | 'stranger') => ({ from: fixture.account(who), yes: true })

  /** What `assent kms pinned-code` prints with the record of this deployment. */
  const pinnedCode = async (): Promise<PinnedCode> => {
    const lines: string[] = []
    const log = vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)))
    const of = ['--rpc-url', fixture.url, '--kms-contract', fixture.addresses.kmsAuth]
    const code = await main(['kms', 'pinned-code', ...of, '--deployments', fixture.folder])
    log.mockRestore()
    expect(code).toBe(0)
    return JSON.parse(lines.join('\n'))
  }

  test('a bond larger than the balance is refused before a transaction', async () => {
    const sent = () => client().getTransactionCount({ address: fixture.account('stranger') })
    const before = await sent()
    expect(await fixture.refused('host bond', { device, amount: '1', ...by('stranger') })).toBe(
      'INPUT_INVALID',
    )
    expect(await sent()).toBe(before)
  })

  test('bonds are deposited, required, slashed by a vote and paid back after the unbonding time', async () => {
    await fixture.run('host bond', { device, amount: '1000', ...by('voter') })
    const pinned = await pinnedCode()
    // the code is pinned before anything names it, and the task says which
    expect(pinned.hosts).toHaveLength(1)
    expect(pinned.bonds).toHaveLength(1)
    expect(pinned.images).toHaveLength(1)
    const dry = { from: fixture.account('voter'), yes: true, dryRun: true }
    const sayings: [string, string, object][] = [
      ['deployment set-bonds', pinned.bonds[0] ?? '', { bonds: 'deployed' }],
      ['deployment set-hosts', pinned.hosts[0] ?? '', { hosts: 'deployed' }],
      ['deployment set-images', pinned.images[0] ?? '', { images: 'deployed' }],
    ]
    for (const [task, code, args] of sayings) {
      const { text } = await fixture.run(task, { ...args, ...dry })
      expect(text).toContain('CHAIN_CONTRACT_UNKNOWN')
      expect(text).toContain(code)
      expect(text).toContain(pinned.proxy[0] ?? '')
    }
    for (const [task, , args] of sayings) {
      const none = Object.fromEntries(Object.keys(args).map((name) => [name, 'nobody']))
      const { text } = await fixture.run(task, { ...none, ...dry })
      expect(text).not.toContain('CHAIN_CONTRACT_UNKNOWN')
    }
    const { contracts } = await readDeployment(fixture.folder, 31337)
    const upgradeText = async (contract: string) => {
      const implementation = contracts[`${contract}Implementation`]?.address
      return (await fixture.run('deployment upgrade', { contract, implementation, ...dry })).text
    }
    expect(await upgradeText('hosts')).toContain(`hosts: ${pinned.hosts[0]}`)
    expect(await upgradeText('images')).toContain(`images: ${pinned.images[0]}`)
    expect(await upgradeText('hostBonds')).toContain(`bonds: ${pinned.bonds[0]}`)
    // no KMS reads this contract
    expect(await upgradeText('rootKeys')).not.toContain('CHAIN_CONTRACT_UNKNOWN')
    await fixture.decide('deployment set-bonds', { bonds: 'deployed' })
    expect(await pinnedCode()).toEqual(pinned)
    await fixture.decide('host set-bond-terms', { minimum: '200', unbonding: '2h' })
    expect(await readBondTerms(client(), bonds())).toMatchObject({
      minimum: 200n,
      unbondingTime: 7_200,
    })
    const shown = await fixture.run('dao approvals', { kind: 'host', id: device })
    expect(shown.text).toContain('bond of its operator: 0 of 200 required units')

    const evidence = join(fixture.folder, 'fault.txt')
    await writeFile(evidence, 'what was proven')
    const to = fixture.account('guardian')
    const taken = { device, holder: holder(), amount: '250', to, evidence }
    expect(await fixture.refused('host slash', { ...taken, ...by('stranger') })).toBe(
      'VOTES_TOO_FEW',
    )
    await fixture.decide('host slash', taken)
    expect(await bond()).toMatchObject({ bonded: 750n })
    const paid = { address: token, abi: erc20Abi, functionName: 'balanceOf' } as const
    expect(await client().readContract({ ...paid, args: [to] })).toBe(250n)

    await fixture.run('host unbond', { device, amount: '750', ...by('voter') })
    expect(await fixture.refused('host withdraw-bond', { device, ...by('voter') })).toBe(
      'CALL_REVERTED',
    )
    await fixture.advanceTime(7_201)
    await fixture.run('host withdraw-bond', { device, ...by('voter') })
    expect(await bond()).toMatchObject({ bonded: 0n, unbonding: 0n })
  })

  test('after renounce-upgrades the implementation of the bonds cannot be replaced', async () => {
    await fixture.decide('deployment renounce-upgrades', { contract: 'hostBonds' })

    const other = { contract: 'hostBonds', implementation: fixture.addresses.appImplementation }
    expect(await fixture.refused('deployment upgrade', { ...other, ...by('voter') })).toBe(
      'PROPOSAL_WOULD_FAIL',
    )
  })
})
