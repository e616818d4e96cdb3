import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import { type EIP1193Provider, encodeFunctionData } from 'viem'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { deploy, timelockRoles } from '../../scripts/deploy.ts'
import { approvalRegistryAbi, timelockControllerAbi } from '../../src/chain/abi.ts'
import { type Call, sendCall } from '../../src/chain/call.ts'
import { checkDeployment } from '../../src/chain/check.ts'
import { type Addresses, type Deployment, readDeployment } from '../../src/chain/deployments.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { connect, hardhatArtifacts, type People, testRules } from './dao.ts'

let folder: string
let people: People
let provider: EIP1193Provider
let addresses: Addresses
let deployment: Deployment

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-check-'))
  provider = (await hre.network.create()).provider as unknown as EIP1193Provider
  people = await connect(provider)
  addresses = await deploy({
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    record: { folder, commit: 'c0ffee', compiler: { version: '0.8.35', settings: {} } },
  })
  deployment = await readDeployment(folder, 31337)
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function wrong(record = deployment): Promise<string[]> {
  const findings = await checkDeployment(people.stranger.publicClient, record)
  return findings.filter(({ holds }) => !holds).map(({ what }) => what)
}

/** Does what only the timelock may, as if a vote had been won by someone else. */
async function asTimelock(call: Call): Promise<void> {
  const request = (args: unknown) => provider.request(args as never) as Promise<unknown>
  const account = addresses.timelock
  await request({ method: 'hardhat_impersonateAccount', params: [account] })
  await request({ method: 'hardhat_setBalance', params: [account, '0xde0b6b3a7640000'] })
  await request({
    method: 'eth_sendTransaction',
    params: [{ from: account, to: call.to, data: call.data }],
  })
}

function grant(role: Hex, account: Hex): Call {
  return {
    to: addresses.timelock,
    data: encodeFunctionData({
      abi: timelockControllerAbi,
      functionName: 'grantRole',
      args: [role, account],
    }),
    words: 'grant a role',
  }
}

test('finds a fresh deployment as it must be', async () => {
  const findings = await checkDeployment(people.stranger.publicClient, deployment)

  expect(findings.length).toBeGreaterThanOrEqual(10)
  expect(await wrong()).toEqual([])
})

test.each([
  ['proposer', timelockRoles.proposer],
  ['canceller', timelockRoles.canceller],
  ['executor', timelockRoles.executor],
  ['admin', timelockRoles.admin],
])('finds a second holder of the %s role', async (name, role) => {
  await asTimelock(grant(role, people.stranger.walletClient.account.address))

  expect(await wrong()).toEqual([`holders of the timelock's ${name} role`])
})

test('finds a registry on its way to another owner, or with another guardian', async () => {
  const stranger = people.stranger.walletClient.account.address
  await asTimelock({
    to: addresses.kmsAuth,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'transferOwnership',
      args: [stranger],
    }),
    words: 'offer the registry',
  })
  expect(await wrong()).toEqual(['pending owner of kmsAuth'])

  await sendCall(people.stranger, {
    to: addresses.kmsAuth,
    data: encodeFunctionData({ abi: approvalRegistryAbi, functionName: 'acceptOwnership' }),
    words: 'take the registry',
  })
  await sendCall(people.stranger, {
    to: addresses.kmsAuth,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'setGuardian',
      args: [stranger, 86_400, 2 ** 40 - 1],
    }),
    words: 'become guardian',
  })
  expect(await wrong()).toEqual(['owner of kmsAuth', 'guardian of kmsAuth, as of the governor'])
})

test('finds an implementation that is not the recorded one', async () => {
  const kmsAuthImplementation = { ...deployment.contracts.kmsAuthImplementation }
  const record = {
    ...deployment,
    contracts: {
      ...deployment.contracts,
      kmsAuthImplementation: { ...kmsAuthImplementation, address: addresses.votes },
    },
  } as Deployment

  expect(await wrong(record)).toEqual(['implementation of kmsAuth, as recorded'])
})
