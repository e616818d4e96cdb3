/** How a transaction is waited for. */
import { network } from 'hardhat'
import {
  createPublicClient,
  createWalletClient,
  custom,
  type EIP1193Provider,
  type Hex,
  type PublicClient,
} from 'viem'
import { hardhat } from 'viem/chains'
import { expect, test } from 'vitest'

import { waitForReceipt } from '../../src/chain/call.ts'

test('a receipt that is shown after its block, when no other block comes, is found', async () => {
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
