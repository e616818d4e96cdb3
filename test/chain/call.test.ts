/** Sending a transaction and waiting for its receipt. */
import { setTimeout } from 'node:timers/promises'

import { network } from 'hardhat'
import {
  createPublicClient,
  createWalletClient,
  custom,
  type EIP1193Provider,
  type Hex,
  http,
  type PublicClient,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { hardhat } from 'viem/chains'
import { describe, expect, test } from 'vitest'

import { type Call, type Clients, sendCall, waitForReceipt } from '../../src/chain/call.ts'
import { anvilKeys, findAnvil, startAnvil } from '../anvil.ts'

test('a receipt is found although no block follows the block of the transaction', async () => {
  const connection = await network.create()
  const { provider } = connection as unknown as { provider: EIP1193Provider }
  let late = 4
  const request = (async (call: { method: 'eth_getTransactionReceipt' }) => {
    if (call.method === 'eth_getTransactionReceipt' && late-- > 0) return null
    return provider.request(call as never)
  }) as EIP1193Provider['request']
  const transport = custom({ request })
  const settings = { chain: hardhat, transport, pollingInterval: 20, cacheTime: 0 }
  const client = createPublicClient(settings) as PublicClient
  const [account] = (await provider.request({ method: 'eth_accounts' })) as [Hex]
  const wallet = createWalletClient({ account, ...settings })

  const hash = await wallet.sendTransaction({ to: account })

  expect((await waitForReceipt(client, hash)).status).toBe('success')
  expect(late).toBe(-1)
  await connection.close()
})

describe.skipIf(findAnvil() === undefined)('a pending transaction that a wallet replaces', () => {
  const account = privateKeyToAccount(anvilKeys[0])
  const to = privateKeyToAccount(anvilKeys[1]).address

  /** Sends one wei to `to`, then another transaction with the same nonce and a higher fee, which waits for its block. */
  async function replaceWith(second: { to: Hex; value: bigint }, waitMs = 0) {
    const { client: fast, stop } = await startAnvil({ mining: 'manual' })
    const client = Object.assign(fast, { pollingInterval: 200 })
    const send = (transfer: typeof second, gwei: bigint) =>
      client.sendTransaction({
        account,
        chain: client.chain,
        nonce: 0,
        gas: 21_000n,
        maxFeePerGas: gwei * 10n ** 9n,
        maxPriorityFeePerGas: gwei * 10n ** 9n,
        ...transfer,
      })
    try {
      const hash = await send({ to, value: 1n }, 2n)
      const receipt = waitForReceipt(client as unknown as PublicClient, hash).catch(
        (error: unknown) => error,
      )
      // viem must have read the first transaction
      await setTimeout(500)
      const replacement = await send(second, 9n)
      // as on a chain with slow blocks: the node forgets the first transaction, and is asked many times in between
      await setTimeout(waitMs)
      await client.mine({ blocks: 1 })
      if (waitMs > 0) await client.mine({ blocks: 40 })
      return { hash, replacement, result: await receipt }
    } finally {
      await stop()
    }
  }

  test.each([
    ['cancelled', { to: account.address, value: 0n }],
    ['replaced', { to, value: 2n }],
  ])('is reported as %s, although its replacement succeeds', async (reason, second) => {
    const { hash, replacement, result } = await replaceWith(second)

    expect(result).toMatchObject({
      code: 'TRANSACTION_REPLACED',
      facts: { hash, by: replacement, reason },
    })
  })

  test.each([
    ['cancelled', { to: account.address, value: 0n }],
    ['replaced', { to, value: 2n }],
  ])('is reported as %s long after it, behind other blocks', async (reason, second) => {
    const { hash, replacement, result } = await replaceWith(second, 4_000)

    expect(result).toMatchObject({
      code: 'TRANSACTION_REPLACED',
      facts: { hash, by: replacement, reason },
    })
  })

  test('is the same call long after it, if only its fee differs', async () => {
    const { replacement, result } = await replaceWith({ to, value: 1n }, 4_000)

    expect(result).toMatchObject({ transactionHash: replacement, status: 'success' })
  })

  test('is the same call if only its fee differs', async () => {
    const { replacement, result } = await replaceWith({ to, value: 1n })

    expect(result).toMatchObject({ transactionHash: replacement, status: 'success' })
  })
})

describe('sendCall from an account that cannot pay', () => {
  const call: Call = { to: `0x${'11'.repeat(20)}`, data: '0x12345678', summary: 'approve an app' }
  const account = privateKeyToAccount(generatePrivateKey())
  const refused = {
    code: 'FUNDS_INSUFFICIENT',
    message: 'The account cannot pay for: approve an app.',
    facts: { account: account.address, balance: '0' },
  }
  const clientsOf = (
    transport: Parameters<typeof createWalletClient>[0]['transport'],
    chain = hardhat,
  ) =>
    ({
      publicClient: createPublicClient({ chain, transport }),
      walletClient: createWalletClient({ account, chain, transport }),
    }) as unknown as Clients

  test('is reported on Hardhat with account and balance', async () => {
    const connection = await network.create()
    const { provider } = connection as unknown as { provider: EIP1193Provider }
    const clients = clientsOf(custom(provider))

    await expect(sendCall(clients, call)).rejects.toMatchObject(refused)
    await expect(sendCall(clients, { ...call, value: 1n })).rejects.toMatchObject(refused)
    await connection.close()
  })

  test.skipIf(findAnvil() === undefined)(
    'is reported on anvil with account and balance',
    async () => {
      const anvil = await startAnvil()
      try {
        const clients = clientsOf(http(anvil.url))
        await expect(sendCall(clients, call)).rejects.toMatchObject(refused)
        await expect(sendCall(clients, { ...call, value: 1n })).rejects.toMatchObject(refused)
      } finally {
        await anvil.stop()
      }
    },
  )

  test.each([
    'insufficient funds for gas * price + value: balance 0, tx cost 21000, overshot 21000',
    'gas required exceeds allowance (0)',
    'err: insufficient funds for gas * price + value: address 0xab have 0 want 1',
  ])('is reported for the message of geth: %s', async (message) => {
    const request = async ({ method }: { method: string }) => {
      if (method === 'eth_getBalance') return '0x0'
      if (method === 'eth_chainId') return '0x7a69'
      throw Object.assign(new Error(message), { code: -32000 })
    }
    await expect(sendCall(clientsOf(custom({ request })), call)).rejects.toMatchObject(refused)
  })

  test('is not reported when the endpoint is unreachable', async () => {
    const clients = clientsOf(http('http://127.0.0.1:1', { retryCount: 0 }))
    await expect(sendCall(clients, call)).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' })
  })
})
