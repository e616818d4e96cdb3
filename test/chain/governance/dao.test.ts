import hre from 'hardhat'
import { type EIP1193Provider, zeroAddress } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { assentGovernorAbi, kmsAuthAbi, timelockControllerAbi } from '../../../src/chain/abi.ts'
import { approvalSlot, decodeApproval, evidenceSlot } from '../../../src/chain/approval.ts'
import { sendCall } from '../../../src/chain/call.ts'
import { cancel, proposalState, propose, vote } from '../../../src/chain/governance/governance.ts'
import {
  addDevice,
  addOsImageHash,
  approve,
  deployAndRegisterApp,
  deployedApp,
  lift,
  listApprovals,
  readApproval,
  readState,
  revoke,
  setGuardian,
  suspend,
  textEvidence,
  withdraw,
} from '../../../src/chain/registries/registry.ts'
import { timelockRoles } from '../../../src/deploy/deploy.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { chainTime, createDao, type Dao, hardhatArtifacts } from '../dao.ts'

const image: Hex = `0x${'a1'.repeat(32)}`
const compose: Hex = `0x${'c1'.repeat(32)}`
const device: Hex = `0x${'d1'.repeat(32)}`

let dao: Dao

beforeAll(async () => {
  const { provider } = await hre.network.create()
  dao = await createDao({
    provider: provider as unknown as EIP1193Provider,
    artifacts: hardhatArtifacts(hre),
    mode: 'hardhat',
  })
})

async function code(action: Promise<unknown>): Promise<{ code: string; error?: unknown }> {
  try {
    await action
  } catch (error) {
    if (isAssentError(error)) return { code: error.code, error: error.facts.error }
    throw error
  }
  throw new Error('It was not refused.')
}

describe('a fresh deployment', () => {
  test('belongs to the timelock, and only the governor can propose', async () => {
    const { addresses, publicClient, clients } = dao
    const hasRole = (role: Hex, account: Hex) =>
      publicClient.readContract({
        address: addresses.timelock,
        abi: timelockControllerAbi,
        functionName: 'hasRole',
        args: [role, account],
      })
    const deployer = clients.deployer.walletClient.account.address

    const owner = await publicClient.readContract({
      address: addresses.kmsAuth,
      abi: kmsAuthAbi,
      functionName: 'owner',
    })

    expect(owner.toLowerCase()).toBe(addresses.timelock)
    expect(await hasRole(timelockRoles.proposer, addresses.governor)).toBe(true)
    expect(await hasRole(timelockRoles.canceller, addresses.governor)).toBe(true)
    expect(await hasRole(timelockRoles.executor, zeroAddress)).toBe(false)
    expect(await hasRole(timelockRoles.executor, addresses.governor)).toBe(true)
    expect(await hasRole(timelockRoles.admin, addresses.timelock)).toBe(true)
    for (const role of Object.values(timelockRoles)) {
      expect(await hasRole(role, deployer)).toBe(false)
    }
  })

  test('accepts no approval from its deployer or its guardian', async () => {
    const { addresses, clients } = dao

    for (const client of [clients.deployer, clients.guardian, clients.stranger]) {
      expect(await code(sendCall(client, addOsImageHash(addresses.kmsAuth, image)))).toEqual({
        code: 'CALL_REVERTED',
        error: 'OwnableUnauthorizedAccount',
      })
    }
  })
})

describe('a vote', () => {
  test('approves an image, and a suspension, a lift and a revocation change the state', async () => {
    const { addresses, clients, publicClient, decide } = dao
    const { kmsAuth } = addresses
    const state = () => readState(publicClient, kmsAuth, 'osImage', image)
    const soon = (await chainTime(publicClient)) + 3600
    const evidence = textEvidence('{"source":"https://example.org","commit":"00"}')

    expect(await state()).toBe('none')
    await decide(
      [approve(kmsAuth, [{ kind: 'osImage', id: image, evidence }], soon)],
      'Approve the first image',
    )
    expect(await state()).toBe('active')

    await sendCall(clients.guardian, suspend(kmsAuth, 'osImage', [image]))
    expect(await state()).toBe('suspended')

    await decide([lift(kmsAuth, 'osImage', [image])], 'It was a false alarm')
    expect(await state()).toBe('active')
    expect(await code(sendCall(clients.guardian, suspend(kmsAuth, 'osImage', [image])))).toEqual({
      code: 'CALL_REVERTED',
      error: 'GuardianCooldown',
    })

    await decide([revoke(kmsAuth, 'osImage', [image])], 'It was none')
    expect(await state()).toBe('revoked')
  })

  test('is visible in the storage slots that the documentation names', async () => {
    const { addresses, publicClient } = dao
    const { kmsAuth } = addresses
    const at = (slot: Hex) => publicClient.getStorageAt({ address: kmsAuth, slot })

    const word = BigInt((await at(approvalSlot('osImage', image))) ?? '0x0')
    const digest = await at(evidenceSlot('osImage', image))

    expect(decodeApproval(word)).toEqual(
      await readApproval(publicClient, kmsAuth, 'osImage', image),
    )
    expect(decodeApproval(word)).toMatchObject({ version: 1, index: 1, revoked: true })
    const { keccak256 } = await import('viem')
    expect(digest).toBe(keccak256(textEvidence('{"source":"https://example.org","commit":"00"}')))
  })

  test('does not take effect after its execution deadline', async () => {
    const { addresses, publicClient, decide } = dao
    const late = (await chainTime(publicClient)) + 100
    const other: Hex = `0x${'a2'.repeat(32)}`

    const decided = decide(
      [approve(addresses.kmsAuth, [{ kind: 'osImage', id: other }], late)],
      'Too slow',
    )

    expect(await code(decided)).toEqual({ code: 'CALL_REVERTED', error: 'ExecutionDeadlinePassed' })
    expect(await readState(publicClient, addresses.kmsAuth, 'osImage', other)).toBe('none')
  })

  test('can be cancelled by the guardian, unless it replaces the guardian', async () => {
    const { addresses, clients, publicClient } = dao
    const { governor, kmsAuth } = addresses
    const stranger = clients.stranger.walletClient.account.address
    const bad = await propose(clients.voter, governor, [addOsImageHash(kmsAuth, device)], 'Bad')
    const change = await propose(
      clients.voter,
      governor,
      [setGuardian(kmsAuth, stranger, 7200)],
      'A new guardian',
    )

    await cancel(clients.guardian, governor, bad.id)

    expect(await proposalState(publicClient, governor, bad.id)).toBe('canceled')
    expect(await code(cancel(clients.guardian, governor, change.id))).toEqual({
      code: 'CALL_REVERTED',
      error: 'GovernorUnableToCancel',
    })
  })

  test('cannot be cast twice, or by an account without votes', async () => {
    const { addresses, clients, publicClient, pass } = dao
    const { governor, kmsAuth } = addresses
    const { id } = await propose(clients.voter, governor, [addOsImageHash(kmsAuth, device)], 'Two')
    await pass(11)
    await vote(clients.voter, governor, id, 'against', 'no source given')

    expect(await code(vote(clients.voter, governor, id, 'for'))).toEqual({
      code: 'CALL_REVERTED',
      error: 'GovernorAlreadyCastVote',
    })
    await vote(clients.stranger, governor, id, 'for')
    const [against, inFavour] = await publicClient.readContract({
      address: governor,
      abi: assentGovernorAbi,
      functionName: 'proposalVotes',
      args: [id],
    })
    expect(against).toBeGreaterThan(0n)
    expect(inFavour).toBe(0n)
  })
})

describe('an app', () => {
  test('is created by anyone, and its owner decides about its devices', async () => {
    const { addresses, clients, publicClient } = dao
    const owner = clients.owner.walletClient.account.address

    const receipt = await sendCall(
      clients.owner,
      deployAndRegisterApp(addresses.kmsAuth, { owner, composeHash: compose }),
    )
    const app = deployedApp(receipt)
    await sendCall(clients.owner, addDevice(app, device))

    expect(await readState(publicClient, app, 'release', compose)).toBe('active')
    expect(await readState(publicClient, app, 'device', device)).toBe('active')
    expect(await code(sendCall(clients.stranger, addDevice(app, image)))).toEqual({
      code: 'CALL_REVERTED',
      error: 'OwnableUnauthorizedAccount',
    })
    expect(await code(sendCall(clients.stranger, withdraw(app, 'device', [device])))).toEqual({
      code: 'CALL_REVERTED',
      error: 'OwnableUnauthorizedAccount',
    })
  })

  test('is listed with all others, page by page', async () => {
    const { addresses, publicClient } = dao

    const apps = await listApprovals(publicClient, addresses.kmsAuth, 'app', { pageSize: 1 })
    const images = await listApprovals(publicClient, addresses.kmsAuth, 'osImage')

    expect(apps.map(({ approval }) => approval.index)).toEqual([1])
    expect(images.map(({ id }) => id)).toEqual([image])
  })
})
