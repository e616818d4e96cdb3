/** The account of a wallet in the browser: asked on a page, and checked on the chain. */
import {
  type Account,
  type Address,
  type Chain,
  createWalletClient,
  custom,
  getAddress,
  recoverTypedDataAddress,
  type Transport,
  type WalletClient,
} from 'viem'

import type { Call, CallWords } from '../../../chain/call.ts'
import { AssentError } from '../../../errors/index.ts'
import type { Hex } from '../../../lib/bytes.ts'
import type { Accounts } from '../session.ts'
import type { AccountSetting } from '../settings.ts'
import { type ExpectedTransaction, requireSameTransaction } from './check-transaction.ts'
import { describeStatement } from './describe-statement.ts'
import type { HandOff, Question } from './hand-off.ts'

type Request = (args: { method: string; params?: unknown }) => Promise<unknown>

/** What the wallet is asked with, and how the person learns the address of the page. */
export interface BrowserOptions {
  readonly chain: Chain
  /** Endpoint of the chain. It is asked what the wallet really sent. */
  readonly transport: Transport
  /** Shows the address of the page to the person. */
  readonly announce: (url: string) => void
}

/**
 * Signs with a wallet in the browser. The page is opened when the first account is needed. Nothing that page or wallet
 * answers is trusted: a sent transaction is read from the endpoint and compared, and a signature must be of the account.
 */
export function browserAccounts(
  { address }: Extract<AccountSetting, { kind: 'browser' }>,
  { chain, transport, announce }: BrowserOptions,
): Accounts {
  const page = openOnDemand(announce)
  const ask = async (question: Question) => (await page.open()).ask(question)
  const words = new Map<string, CallWords>()
  const place = { id: chain.id, name: chain.name }
  const node = transport({ chain }).request as Request
  let account: Promise<Address> | undefined
  const chooseAccount = () => {
    account ??= ask({ kind: 'account', chain: place, wanted: address ?? null }).then(getAddress)
    return account
  }
  const send = async (transaction: Prepared) => {
    const known = words.get(keyOf(transaction))
    const firstNonce = await nextNonce(node, transaction.from)
    const hash = await ask({
      kind: 'transaction',
      chain: place,
      ...transaction,
      value: String(transaction.value),
      nonce: transaction.nonce ?? null,
      contract: known?.contract ?? null,
      words: known?.effects ?? [],
    })
    await requireSameTransaction(node, hash as Hex, { ...transaction, firstNonce })
    return hash
  }
  const sign = async (from: Address, typedData: string) => {
    const words = describeStatement(typedData)
    const signature = await ask({ kind: 'signature', chain: place, from, typedData, words })
    await requireSignatureOf(from, typedData, signature as Hex)
    return signature
  }
  const request: Request = async ({ method, params }) => {
    const [first, second] = (params ?? []) as [never, never]
    if (method === 'eth_accounts') return [await chooseAccount()]
    if (method === 'eth_sendTransaction') return send(readTransaction(first, chain.id))
    if (method === 'eth_signTypedData_v4') return sign(first, second)
    return node({ method, params })
  }
  return {
    list: async () => [await chooseAccount()],
    wallet: async (of) =>
      createWalletClient({
        account: of,
        chain,
        transport: custom({ request }, { retryCount: 0 }),
      }) as unknown as WalletClient<Transport, Chain, Account>,
    explain(call, said) {
      const key = keyOf({ to: call.to, data: call.data })
      if (!words.has(key)) words.set(key, said)
    },
    close: page.close,
  }
}

/** Opens the page at the first question. A signal that ends the process closes it first. */
function openOnDemand(announce: (url: string) => void) {
  let opened: Promise<{ handOff: HandOff; forget: () => Promise<void> }> | undefined
  const start = async () => {
    const { openHandOff } = await import('./hand-off.ts')
    const { openBrowser } = await import('./open-browser.ts')
    const handOff = await openHandOff()
    for (const signal of endingSignals) process.once(signal, interrupt)
    announce(handOff.url)
    return { handOff, forget: await openBrowser(handOff.url) }
  }
  const close = async () => {
    if (opened === undefined) return
    const { handOff, forget } = await opened
    await Promise.all([handOff.close(), forget()])
    for (const signal of endingSignals) process.off(signal, interrupt)
  }
  const interrupt = async (signal: NodeJS.Signals) => {
    // a second signal ends the process at once
    for (const each of endingSignals) process.off(each, interrupt)
    if ((await opened)?.handOff.isAsking()) {
      process.stderr.write(
        'A request that is open in the wallet can still be confirmed: decline it.\n',
      )
    }
    await close().catch(() => undefined)
    process.kill(process.pid, signal)
  }
  return {
    async open(): Promise<HandOff> {
      opened ??= start()
      return (await opened).handOff
    },
    close,
  }
}

const endingSignals = ['SIGINT', 'SIGTERM'] as const

function keyOf({ to, data }: Pick<Call, 'data'> & { readonly to: string | null }): string {
  return `${to?.toLowerCase()} ${data.toLowerCase()}`
}

interface RawTransaction {
  readonly from: Address
  readonly to?: Address | null
  readonly data?: Hex
  readonly value?: Hex
  readonly nonce?: Hex
}

/**
 * The nonce after all transactions of the account that the endpoint knows, pending ones included. So an earlier transaction,
 * even an equal one, is not taken for the answer to a new question.
 */
async function nextNonce(node: Request, from: Address): Promise<number> {
  const count = (block: string) =>
    node({ method: 'eth_getTransactionCount', params: [from, block] }).then(Number)
  return Math.max(...(await Promise.all([count('latest'), count('pending')])))
}

/** A transaction that is ready to be asked for. */
type Prepared = Omit<ExpectedTransaction, 'firstNonce'>

/** The wallet sets gas and fees itself. */
function readTransaction(
  { from, to, data, value, nonce }: RawTransaction,
  chainId: number,
): Prepared {
  return {
    chainId,
    from,
    to: to ?? null,
    data: data ?? '0x',
    value: BigInt(value ?? 0),
    nonce: nonce === undefined ? undefined : Number(nonce),
  }
}

async function requireSignatureOf(
  account: Address,
  typedData: string,
  signature: Hex,
): Promise<void> {
  const signed = await recoverTypedDataAddress({ ...JSON.parse(typedData), signature }).catch(
    () => undefined,
  )
  if (signed?.toLowerCase() === account.toLowerCase()) return requireForm(signature)
  throw new AssentError('SIGNER_WRONG', 'The wallet returned a signature of another account.', {
    facts: { expected: account, found: signed ?? null },
  })
}

/** Half the order of secp256k1: the largest `s` that contracts accept (EIP-2). */
const maxS = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

/**
 * Contracts accept one form of a signature: a small `s`, and 27 or 28 as its last byte (OpenZeppelin's ECDSA). A vote in
 * another form would be refused when it is submitted, perhaps after the end of the vote.
 */
function requireForm(signature: Hex): void {
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const v = Number(`0x${signature.slice(130)}`)
  if (s <= maxS && (v === 27 || v === 28)) return
  throw new AssentError(
    'SIGNER_WRONG',
    'The wallet returned a signature in a form that contracts refuse.',
    {
      facts: { lastByte: v, hasLargeS: s > maxS },
      hint: 'Use another wallet, or send the vote as a transaction.',
    },
  )
}
