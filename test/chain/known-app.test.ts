/** Which contracts are described as apps: only those whose proxy and implementation are Assent's. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import hre from 'hardhat'
import {
  type Address,
  concat,
  type EIP1193Provider,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  zeroHash,
} from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { appAbi, kmsAuthAbi } from '../../src/chain/abi.ts'
import { callOf, sendCall } from '../../src/chain/call.ts'
import { describeCall } from '../../src/chain/governance/describe-call.ts'
import {
  type Addresses,
  type Deployment,
  readDeployment,
} from '../../src/chain/record/deployments.ts'
import { deployAndRegisterApp, deployedApp } from '../../src/chain/registries/registry.ts'
import { readAddressBook } from '../../src/commands/calls/read-address-book.ts'
import { deploy } from '../../src/deploy/deploy.ts'
import { connect, hardhatArtifacts, type People, testRules } from './dao.ts'

let folder: string
let people: People
let addresses: Addresses
let deployment: Deployment

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-app-'))
  people = await connect((await hre.network.create()).provider as unknown as EIP1193Provider)
  addresses = await deploy({
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    record: { folder, commit: 'c', compiler: { version: '0.8.35', settings: {} } },
  })
  deployment = await readDeployment(folder, 31337)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function create(data: Hex): Promise<Address> {
  const { publicClient, walletClient } = people.stranger
  const hash = await walletClient.sendTransaction({ data })
  return (await publicClient.waitForTransactionReceipt({ hash })).contractAddress as Address
}

function register(app: Address) {
  const { kmsAuth } = addresses
  return sendCall(people.stranger, callOf(kmsAuth, kmsAuthAbi, 'registerApp', [app], 'register'))
}

/** The type that calls to a contract are described with. */
async function typeOf(contract: Address): Promise<string | undefined> {
  const { publicClient } = people.stranger
  const session = { addresses, deployment, publicClient } as never
  const book = await readAddressBook(session, [contract])
  const data = encodeFunctionData({ abi: appAbi, functionName: 'setAllowAnyDevice', args: [false] })
  return describeCall(book, { to: contract, data }).contract
}

test('an app of KmsAuth is described as an app', async () => {
  const owner = people.owner.walletClient.account.address
  const call = deployAndRegisterApp(addresses.kmsAuth, { owner, allowAnyDevice: true })
  const app = deployedApp(await sendCall(people.owner, call))

  expect(await typeOf(app)).toBe('App')
})

test('a registered ERC-1967 proxy with the implementation of apps is described as an app', async () => {
  const { abi, bytecode } = await hre.artifacts.readArtifact('ERC1967Proxy')
  const owner = people.owner.walletClient.account.address
  const args = [owner, false, false, true, zeroHash, zeroHash] as const
  const init = encodeFunctionData({ abi: appAbi, functionName: 'initialize', args })
  const proxy = await create(
    encodeDeployData({
      abi,
      bytecode: bytecode as Hex,
      args: [addresses.appImplementation, init],
    }),
  )
  await register(proxy)

  expect(await typeOf(proxy)).toBe('App')
})

test('a registered contract that only stores the implementation of apps is unknown', async () => {
  // stores the implementation at its ERC-1967 slot, and returns code that does something else
  const runtime = '5f5fa000'
  const fake = await create(
    concat([
      `0x73${addresses.appImplementation.slice(2)}`,
      '0x7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc55',
      `0x63${runtime}5f526004601cf3`,
    ]),
  )
  await register(fake)

  expect(await typeOf(fake)).toBeUndefined()
})
