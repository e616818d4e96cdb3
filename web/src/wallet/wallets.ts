/**
 * Wallets in the browser, as they announce themselves (EIP-6963). Nothing is stored: a reader connects again after a reload.
 */
import { useSyncExternalStore } from 'react'
import { z } from 'zod'

import type { Call } from '../../../src/chain/call.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { addressSchema, bytes32Schema } from '../../../src/lib/schema.ts'

/** A wallet (EIP-1193). */
export interface Provider {
  request(question: { method: string; params?: readonly unknown[] }): Promise<unknown>
}

/** An announced wallet. Its name is its own claim. */
export interface Wallet {
  readonly id: string
  readonly name: string
  readonly provider: Provider
}

/** The account that is used on this page. */
export interface Connection {
  readonly wallet: Wallet
  readonly account: Hex
}

const detailSchema = z.object({
  info: z.object({ uuid: z.string().max(100), name: z.string().max(100) }),
  provider: z.custom<Provider>(
    (value) => typeof (value as Provider | undefined)?.request === 'function',
  ),
})

const maxWallets = 20
let wallets: readonly Wallet[] = []
let connection: Connection | undefined
const listeners = new Set<() => void>()
const changed = () => {
  for (const listen of listeners) listen()
}

addEventListener('eip6963:announceProvider', (event) => {
  const parsed = detailSchema.safeParse((event as CustomEvent).detail)
  if (!parsed.success || wallets.length >= maxWallets) return
  const { info, provider } = parsed.data
  if (wallets.some(({ id }) => id === info.uuid)) return
  wallets = [...wallets, { id: info.uuid, name: info.name, provider }]
  changed()
})
dispatchEvent(new Event('eip6963:requestProvider'))

const subscribe = (listen: () => void) => {
  listeners.add(listen)
  return () => listeners.delete(listen)
}

/** The wallets that announced themselves. */
export function useWallets(): readonly Wallet[] {
  return useSyncExternalStore(subscribe, () => wallets)
}

/** The connected account. */
export function useConnection(): Connection | undefined {
  return useSyncExternalStore(subscribe, () => connection)
}

/** Asks a wallet for an account. @throws what the wallet says */
export async function connect(wallet: Wallet): Promise<void> {
  const accounts = await wallet.provider.request({ method: 'eth_requestAccounts' })
  const [account] = z.array(addressSchema).min(1).parse(accounts)
  connection = { wallet, account: account as Hex }
  changed()
}

export function disconnect(): void {
  connection = undefined
  changed()
}

/**
 * Lets the wallet send a call on the chain of the dashboard.
 *
 * @returns the hash of the transaction, as the wallet says
 * @throws what the wallet says
 */
export async function send(
  { wallet: { provider }, account }: Connection,
  chainId: number,
  { to, data, value = 0n }: Call,
): Promise<Hex> {
  const wanted = `0x${chainId.toString(16)}`
  if ((await provider.request({ method: 'eth_chainId' })) !== wanted) {
    await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: wanted }] })
    const now = await provider.request({ method: 'eth_chainId' })
    if (now !== wanted) throw new Error(`The wallet stays on chain ${String(now)}.`)
  }
  const transaction = { from: account, to, data, value: `0x${value.toString(16)}` }
  const hash = await provider.request({ method: 'eth_sendTransaction', params: [transaction] })
  return bytes32Schema.parse(hash)
}

/** A sentence for an error of a wallet: often no `Error`. */
export function describeWalletError(error: unknown): string {
  const message = (error as { message?: unknown } | undefined)?.message
  return typeof message === 'string' ? message.slice(0, 300) : 'The wallet refused.'
}
