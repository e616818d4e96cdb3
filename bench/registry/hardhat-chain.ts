/** Hardhat's in-process chain, on which gas is measured as a user pays it. */
import hre from 'hardhat'
import {
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createWalletClient,
  custom,
  type EIP1193Provider,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { hardhat } from 'viem/chains'

import { erc1967ProxyAbi } from '../../src/chain/abi.ts'
import type { Clients } from '../../src/chain/call.ts'
import type { Hex } from '../../src/lib/bytes.ts'

/** A new chain with the first account of Hardhat. */
export async function connect(): Promise<Clients> {
  const { provider } = await hre.network.create()
  const transport = custom(provider as unknown as EIP1193Provider)
  const publicClient = createPublicClient({ chain: hardhat, transport, pollingInterval: 10 })
  const [account] = (await provider.request({ method: 'eth_accounts' })) as readonly Address[]
  const walletClient = createWalletClient({
    account: account as Address,
    chain: hardhat,
    transport,
  })
  return {
    publicClient: publicClient as PublicClient,
    walletClient: walletClient as unknown as WalletClient<Transport, Chain, Account>,
  }
}

/** Deploys a contract. @returns its address */
export async function place(clients: Clients, contract: string, args: unknown[]): Promise<Address> {
  const { abi, bytecode } = await hre.artifacts.readArtifact(contract)
  const { walletClient, publicClient } = clients
  const hash = await walletClient.deployContract({
    abi: contract === 'ERC1967Proxy' ? erc1967ProxyAbi : abi,
    bytecode: bytecode as Hex,
    args,
  })
  const receipt = await publicClient.waitForTransactionReceipt({ hash })
  return receipt.contractAddress as Address
}
