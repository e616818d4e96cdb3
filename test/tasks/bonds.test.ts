/** Deposits of operators, by the tasks alone, on a live node. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { type Address, erc20Abi, getContractAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { standardHostRules } from '../../scripts/deploy.ts'
import { readBond, readBondTerms } from '../../src/chain/bonds.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskWorld, type TaskWorld } from './world.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: bonds by tasks are SKIPPED. ***\n')

const device: Hex = `0x${'d1'.repeat(32)}`
const [firstAccount]: Address[] = ['0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266']
/** Any ERC-20 does; the votes are one, and the first that is created. */
const token = getContractAddress({ from: firstAccount as Address, nonce: 0n })

let world: TaskWorld

describe.skipIf(absent)('bonds', () => {
  beforeAll(async () => {
    const simulator = createSimulator({ at: Math.floor(Date.now() / 1000) })
    world = await createTaskWorld({
      root: simulator.rootCertificate,
      hosts: { ...standardHostRules, window: 255 },
      bonds: { token, minimum: 100n, unbondingTime: 3_600 },
    })
  }, 120_000)

  afterAll(() => world?.stop())

  const client = () => world.people.stranger.publicClient
  const bonds = () => world.addresses.hostBonds as Address
  const holder = () => world.account('voter')
  const bond = () => readBond(client(), bonds(), device, holder())
  const by = (who: 'voter' | 'stranger') => ({ from: world.account(who), yes: true })

  test('are refused before anything is sent if the holder has too little', async () => {
    const sent = () => client().getTransactionCount({ address: world.account('stranger') })
    const before = await sent()
    expect(await world.refused('bond', { device, amount: '1', ...by('stranger') })).toBe(
      'INPUT_INVALID',
    )
    expect(await sent()).toBe(before)
  })

  test('are deposited, asked for, slashed by a vote, and paid back after their time', async () => {
    await world.run('bond', { device, amount: '1000', ...by('voter') })
    await world.decide('set-bonds', { bonds: 'deployed' })
    await world.decide('set-bond-terms', { minimum: '200', unbonding: '2h' })
    expect(await readBondTerms(client(), bonds())).toMatchObject({
      minimum: 200n,
      unbondingTime: 7_200,
    })
    const shown = await world.run('show', { kind: 'host', id: device })
    expect(shown.text).toContain('bond of its operator: 0 of the 200 units')

    const evidence = join(world.folder, 'fault.txt')
    await writeFile(evidence, 'what was proven')
    const to = world.account('guardian')
    const taken = { device, holder: holder(), amount: '250', to, evidence }
    expect(await world.refused('slash', { ...taken, ...by('stranger') })).toBe('VOTES_TOO_FEW')
    await world.decide('slash', taken)
    expect(await bond()).toMatchObject({ bonded: 750n })
    const paid = { address: token, abi: erc20Abi, functionName: 'balanceOf' } as const
    expect(await client().readContract({ ...paid, args: [to] })).toBe(250n)

    await world.run('unbond', { device, amount: '750', ...by('voter') })
    expect(await world.refused('withdraw-bond', { device, ...by('voter') })).toBe('CALL_REVERTED')
    await world.pass(7_201)
    await world.run('withdraw-bond', { device, ...by('voter') })
    expect(await bond()).toMatchObject({ bonded: 0n, leaving: 0n })
  })

  test('keep their code for good once the DAO says so', async () => {
    await world.decide('freeze', { contract: 'hostBonds' })

    const other = { contract: 'hostBonds', implementation: world.addresses.appImplementation }
    expect(await world.refused('upgrade', { ...other, ...by('voter') })).toBe('PROPOSAL_WOULD_FAIL')
  })
})
