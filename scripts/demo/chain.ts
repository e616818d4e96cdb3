/** A development chain with a clock that can be moved: Hardhat's own node, or any other like it. */
import {
  type Account,
  type Chain,
  createPublicClient,
  createTestClient,
  createWalletClient,
  defineChain,
  http,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { type HDAccount, mnemonicToAccount } from 'viem/accounts'

import type { Clock } from '../../src/lib/clock.ts'

export type DemoWallet = WalletClient<Transport, Chain, Account>

export interface DevChain {
  readonly url: string
  readonly chain: Chain
  readonly client: PublicClient<Transport, Chain>
  /** Time of the latest block plus what has passed since: what the demo's services take for now. */
  readonly clock: Clock
  wallet(index: number): DemoWallet & { account: HDAccount }
  /** Moves time forward and mines a block, so that votes and delays need no waiting. */
  advanceTime(seconds: number): Promise<void>
  /** Takes over the time of the chain if another program has moved it forward. */
  followTime(): Promise<void>
}

/** The development accounts that Hardhat's node and anvil both start with. */
const developmentMnemonic = 'test test test test test test test test test test test junk'

/** Speaks to a development node that allows moving its clock. */
export async function connectDevChain(url: string): Promise<DevChain> {
  // node and demo share one event loop: a busy one lets idle connections go stale, so viem may retry
  const transport = http(url)
  const chainId = await createPublicClient({ transport }).getChainId()
  const chain = defineChain({
    id: chainId,
    name: 'development chain',
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })
  const client = createPublicClient({ chain, transport, pollingInterval: 50, cacheTime: 0 })
  const test = createTestClient({ chain, transport, mode: 'hardhat' })

  let chainTime = Number((await client.getBlock()).timestamp)
  let seenAt = performance.now()
  const clock = () => chainTime + Math.floor((performance.now() - seenAt) / 1000)
  const readTime = async () => {
    chainTime = Number((await client.getBlock()).timestamp)
    seenAt = performance.now()
  }

  return {
    url,
    chain,
    client,
    clock,
    wallet: (index) =>
      createWalletClient({
        account: mnemonicToAccount(developmentMnemonic, { addressIndex: index }),
        chain,
        transport,
      }),
    async advanceTime(seconds) {
      await test.increaseTime({ seconds })
      await test.mine({ blocks: 1 })
      await readTime()
    },
    async followTime() {
      if (Number((await client.getBlock()).timestamp) > clock()) await readTime()
    },
  }
}
