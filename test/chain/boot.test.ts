import { network } from 'hardhat'
import { createPublicClient, custom, type Hex } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import {
  type BootChain,
  callBootContract,
  readKmsFacts,
} from '../../src/chain/boot/ask-contracts.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import type { BootInfo } from '../../src/quote/measurements/measure.ts'
import { compile, fakeKmsSource } from './fakes.ts'

const boot: BootInfo = {
  teeVariant: 'dstack-tdx',
  mrAggregated: new Uint8Array(32).fill(1),
  osImageHash: new Uint8Array(32).fill(2),
  mrSystem: new Uint8Array(32).fill(3),
  appId: new Uint8Array(20).fill(4),
  composeHash: new Uint8Array(32).fill(5),
  instanceId: new Uint8Array(0),
  deviceId: new Uint8Array(32).fill(7),
  keyProviderInfo: new Uint8Array(0),
  tcbStatus: 'UpToDate',
  advisoryIds: [],
}

const { FakeKms, Empty } = compile(fakeKmsSource)
if (!FakeKms || !Empty) throw new Error('the fakes did not compile')

let connection: Awaited<ReturnType<typeof network.create>>
let chain: BootChain
let setBehaviour: (value: string) => Promise<void>
let empty: Hex

beforeAll(async () => {
  connection = await network.create()
  const [wallet] = await connection.viem.getWalletClients()
  const client = await connection.viem.getPublicClient()
  if (!wallet) throw new Error('no wallet')
  const deploy = async ({ abi, bytecode }: typeof FakeKms) => {
    const hash = await wallet.deployContract({ abi, bytecode })
    const { contractAddress } = await client.waitForTransactionReceipt({ hash })
    return contractAddress as Hex
  }
  const kms = await deploy(FakeKms)
  empty = await deploy(Empty)
  setBehaviour = async (value) => {
    const hash = await wallet.writeContract({
      address: kms,
      abi: FakeKms.abi,
      functionName: 'setBehaviour',
      args: [value],
    })
    await client.waitForTransactionReceipt({ hash })
  }
  chain = {
    client,
    chainId: await client.getChainId(),
    kms,
    finality: { confirmations: 0 },
    maxBlockAgeSeconds: 3600,
    timeoutMs: 20_000,
    clock: () => Math.floor(Date.now() / 1000),
  }
})
beforeEach(() => setBehaviour('allow'))
afterAll(() => connection.close())

describe('callBootContract', () => {
  test('returns the gateway and the block of an approval', async () => {
    const head = await (await connection.viem.getPublicClient()).getBlockNumber()

    expect(await callBootContract(chain, 'isAppAllowed', boot)).toMatchObject({
      allowed: true,
      reason: '',
      gatewayAppId: 'gateway',
      block: { number: head },
    })
  })

  test.each([
    ['deny', 'contract-rules', 'Device not allowed'],
    ['revert', 'contract-failure', 'app contract reverted: no'],
    ['panic', 'contract-failure', 'app contract reverted: 0x4e487b71'],
    ['burn', 'contract-failure', 'app contract reverted or ran out of gas'],
    ['invalid', 'contract-failure', 'app contract reverted or ran out of gas'],
    ['short', 'contract-failure', 'app contract returned malformed data'],
    ['empty', 'contract-failure', 'app contract returned malformed data'],
    ['two', 'contract-failure', 'app contract returned malformed data'],
    ['long', 'contract-failure', 'app contract returned too much data'],
  ])('%s is a denial (%s) with a reason', async (behaviour, refusedBy, reason) => {
    await setBehaviour(behaviour)

    expect(await callBootContract(chain, 'isAppAllowed', boot)).toMatchObject({
      allowed: false,
      refusedBy,
      reason,
    })
  })

  test('reads the rules of the block that it asks about', async () => {
    await setBehaviour('deny')

    const older = { ...chain, finality: { confirmations: 1 } } as const
    expect(await callBootContract(older, 'isAppAllowed', boot)).toMatchObject({ allowed: true })
    expect(await callBootContract(chain, 'isAppAllowed', boot)).toMatchObject({ allowed: false })
  })

  test('reads gateway and app implementation for GET /', async () => {
    expect(await readKmsFacts(chain)).toMatchObject({
      gatewayAppId: 'gateway',
      appImplementation: '0x0000000000000000000000000000000000001234',
    })
  })
})

describe('the key epochs of an app', () => {
  const counting = (write: string, read: string) =>
    compile(`contract Counting {
      function epochsOf(bytes32) external pure returns (uint256, uint256) { return (${write}, ${read}); }
    }`).Counting
  const ask = async (write: string, read: string) => {
    const [wallet] = await connection.viem.getWalletClients()
    const contract = counting(write, read)
    if (!wallet || !contract) throw new Error('no contract')
    const hash = await wallet.deployContract(contract)
    const client = await connection.viem.getPublicClient()
    const { contractAddress } = await client.waitForTransactionReceipt({ hash })
    const appId = fromHex(contractAddress as Hex, 'app', 20)
    return callBootContract(chain, 'isAppAllowed', { ...boot, appId })
  }

  test('are those that its contract returns', async () => {
    expect(await ask('7', '6')).toMatchObject({ allowed: true, epochs: { write: 7, read: 6 } })
    expect(await callBootContract(chain, 'isAppAllowed', boot)).not.toHaveProperty('epochs')
  })

  test.each([
    ['0', '0'],
    ['1', '0'],
    ['7', '5'],
    ['7', '8'],
    ['4294967296', '4294967296'],
    ['type(uint256).max', 'type(uint256).max'],
  ])('deny the boot if they are impossible: %s, %s', async (write, read) => {
    expect(await ask(write, read)).toMatchObject({
      allowed: false,
      refusedBy: 'contract-failure',
      reason: 'app contract returned epochs that cannot be',
    })
  })
})

describe('callBootContract reports an outage for', () => {
  const lying = (request: (args: { method: string }) => Promise<unknown>) =>
    createPublicClient({ transport: custom({ request }, { retryCount: 0 }) })
  const forward = async (args: { method: string }) =>
    (connection.provider.request as (args: unknown) => Promise<unknown>)(args)

  test('an endpoint that fails', async () => {
    const client = lying(() => Promise.reject(new Error('connect ECONNREFUSED')))

    await expect(
      callBootContract({ ...chain, client }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({
      code: 'CHAIN_UNREACHABLE',
    })
  })

  test('an endpoint that claims a revert, which a probe never causes', async () => {
    const client = lying((args) =>
      args.method === 'eth_call'
        ? Promise.reject(Object.assign(new Error('execution reverted'), { code: 3, data: '0x' }))
        : forward(args),
    )

    await expect(
      callBootContract({ ...chain, client }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({
      code: 'CHAIN_UNREACHABLE',
    })
  })

  test('an endpoint that never answers', async () => {
    const client = lying(() => new Promise(() => {}))

    await expect(
      callBootContract({ ...chain, client, timeoutMs: 50 }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({ code: 'CHAIN_TIMEOUT' })
  })

  test('an endpoint that returns malformed data', async () => {
    const client = lying((args) =>
      args.method === 'eth_call' ? Promise.resolve('0x01') : forward(args),
    )

    await expect(
      callBootContract({ ...chain, client }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({
      code: 'CHAIN_ANSWER_INVALID',
    })
  })

  test('an endpoint of another chain', async () => {
    await expect(
      callBootContract({ ...chain, chainId: 1 }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({
      code: 'CHAIN_ID_WRONG',
    })
  })

  test('an address without a contract, or with another contract', async () => {
    const none: Hex = '0x00000000000000000000000000000000000000ff'

    await expect(
      callBootContract({ ...chain, kms: none }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({
      code: 'CONTRACT_MISSING',
    })
    await expect(
      callBootContract({ ...chain, kms: empty }, 'isAppAllowed', boot),
    ).rejects.toMatchObject({
      code: 'CONTRACT_MISMATCH',
    })
  })

  test('a block that is too old, or does not exist yet', async () => {
    const later = { ...chain, clock: () => Math.floor(Date.now() / 1000) + 1_000_000 }
    const deep = { ...chain, finality: { confirmations: 1_000_000 } } as const

    await expect(callBootContract(later, 'isAppAllowed', boot)).rejects.toMatchObject({
      code: 'CHAIN_STALE',
    })
    await expect(callBootContract(deep, 'isAppAllowed', boot)).rejects.toMatchObject({
      code: 'CHAIN_HEAD_TOO_LOW',
    })
  })

  test('a boot info with an id of the wrong length', async () => {
    const short = { ...boot, composeHash: new Uint8Array(31) }

    await expect(callBootContract(chain, 'isAppAllowed', short)).rejects.toMatchObject({
      code: 'LENGTH_WRONG',
    })
  })
})
