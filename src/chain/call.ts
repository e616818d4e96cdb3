/** One call to a contract: the same value is sent, proposed, put into a Safe batch or shown to a voter. */
import {
  type Abi,
  type Account,
  type Address,
  BaseError,
  type Chain,
  type ContractFunctionArgs,
  type ContractFunctionName,
  decodeErrorResult,
  type EncodeFunctionDataParameters,
  encodeFunctionData,
  InsufficientFundsError,
  isAddressEqual,
  type PublicClient,
  RawContractError,
  type Transaction,
  TransactionNotFoundError,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
  type Transport,
  WaitForTransactionReceiptTimeoutError,
  type WalletClient,
} from 'viem'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import * as abis from './abi.ts'

/**
 * One call to a contract, unsigned.
 *
 * All functions that change the chain return it, so that the same value can be sent (`sendCall`), proposed to a DAO
 * (`propose`), put into a Safe batch (`safeBatch`) or shown to a voter.
 */
export interface Call {
  /** Contract that is called. */
  readonly to: Address
  /** Calldata: selector and ABI-encoded arguments. */
  readonly data: Hex
  /** Wei; undefined means 0. */
  readonly value?: bigint
  /** One line for people, without a full stop: what the call does. */
  readonly summary: string
}

/** viem clients for reading and for signing. Both must be connected to the same chain. */
export interface Clients {
  /** Reads and simulates. */
  readonly publicClient: PublicClient
  /** Signs and sends. It must have an account. */
  readonly walletClient: WalletClient<Transport, Chain, Account>
  /**
   * Says what a call does before it is sent, for a signer that shows it to a person. Of several explanations of the same call
   * the first one is shown.
   */
  readonly explain?: (call: Call, words: CallWords) => void
}

/** A call in words. */
export interface CallWords {
  /** Type of the called contract; null: unknown. */
  readonly contract: string | null
  /** One sentence for each effect. */
  readonly effects: readonly string[]
}

/**
 * Encodes a call of one contract function. The compiler checks name and arguments against the ABI.
 *
 * @param words what the call does, for people; becomes `summary`
 * @example callOf(hosts, hostsAbi, 'setOperator', [deviceId, operator, notAfter], `name ${operator}`)
 */
export function callOf<
  const abi extends Abi,
  name extends ContractFunctionName<abi, 'nonpayable' | 'payable'>,
>(
  to: Address,
  abi: abi,
  functionName: name,
  args: ContractFunctionArgs<abi, 'nonpayable' | 'payable', name>,
  words: string,
): Call {
  const parameters = { abi, functionName, args } as unknown as EncodeFunctionDataParameters
  return { to, data: encodeFunctionData(parameters), summary: words }
}

const knownErrors = Object.values(abis).flatMap((abi) =>
  [...abi].filter((item) => item.type === 'error'),
)

/**
 * Simulates a call, sends it and waits until it is included in a block. It does not wait for finality.
 *
 * @returns the receipt of the successful transaction
 * @throws CALL_REVERTED if the simulation reverts, with the contract's error in the facts; nothing was spent
 * @throws TRANSACTION_REVERTED if the transaction reverted on-chain; its gas was spent
 * @throws FUNDS_INSUFFICIENT, TRANSACTION_TOO_LARGE, CHAIN_UNREACHABLE
 * @example
 * const receipt = await sendCall({ publicClient, walletClient }, registry.withdraw(kmsAuth, 'osImage', [id]))
 */
export async function sendCall(clients: Clients, call: Call): Promise<TransactionReceipt> {
  const { publicClient, walletClient } = clients
  clients.explain?.(call, { contract: null, effects: [call.summary] })
  const transaction = { to: call.to, data: call.data, value: call.value ?? 0n }
  try {
    await publicClient.call({ account: walletClient.account, ...transaction })
    const hash = await walletClient.sendTransaction(transaction)
    const receipt = await waitForReceipt(publicClient, hash)
    if (receipt.status === 'success') return receipt
    throw new AssentError('TRANSACTION_REVERTED', `Failed on-chain: ${call.summary}.`, {
      facts: { to: call.to, hash, block: receipt.blockNumber.toString() },
    })
  } catch (cause) {
    throw (await toFundsError(clients, call, cause)) ?? toChainError(cause, call.summary)
  }
}

/**
 * Nodes report an account without money in many ways: as a revert, as too much gas, or in a sentence. The balance
 * decides, unless the contract itself gave a reason.
 */
async function toFundsError(
  { publicClient, walletClient }: Clients,
  { value = 0n, summary }: Call,
  cause: unknown,
): Promise<AssentError | undefined> {
  if (assentErrorIn(cause) !== undefined || (revertData(cause) ?? '0x') !== '0x') return undefined
  const { address } = walletClient.account
  const balance = await publicClient.getBalance({ address }).catch(() => undefined)
  if (balance === undefined) return undefined
  if (balance > value && !isShortOfFunds(cause)) return undefined
  return new AssentError('FUNDS_INSUFFICIENT', `The account cannot pay for: ${summary}.`, {
    cause,
    facts: { account: address, balance: String(balance), value: String(value) },
  })
}

function isShortOfFunds(cause: unknown): boolean {
  if (!(cause instanceof BaseError)) return false
  const words = InsufficientFundsError.nodeMessage
  return cause.walk((error) => words.test((error as Error).message)) !== null
}

const waitMs = 180_000

/**
 * Waits for the receipt of a transaction, for at most three minutes.
 *
 * A wallet can replace a pending transaction, and nodes forget the old one at once. So the block that used up its nonce is
 * searched for as long as the receipt is awaited. A transaction with another fee makes the same call. Any other makes none of
 * what was asked for, although it succeeds.
 *
 * @throws TRANSACTION_REPLACED if the sender cancelled the transaction, or sent another one with its nonce
 * @throws WaitForTransactionReceiptTimeoutError after three minutes
 * @example const { status } = await waitForReceipt(client, hash)
 */
export async function waitForReceipt(client: PublicClient, hash: Hex): Promise<TransactionReceipt> {
  const until = performance.now() + waitMs
  let sent: SentTransaction | undefined
  for (;;) {
    sent ??= await findSent(client, hash)
    const receipt =
      (await findReceipt(client, hash)) ??
      (sent === undefined ? undefined : await receiptOfSameCall(client, sent))
    if (receipt !== undefined) return receipt
    if (performance.now() >= until) throw new WaitForTransactionReceiptTimeoutError({ hash })
    await new Promise((resolve) => setTimeout(resolve, client.pollingInterval))
  }
}

/** A transaction as the node showed it first. */
interface SentTransaction {
  readonly transaction: Transaction
  /** A block in which the transaction was not included yet, or its own. */
  readonly before: bigint
}

/** undefined: the node does not know it. */
async function findSent(client: PublicClient, hash: Hex): Promise<SentTransaction | undefined> {
  const before = await client.getBlockNumber({ cacheTime: 0 })
  try {
    return { transaction: await client.getTransaction({ hash }), before }
  } catch (cause) {
    if (cause instanceof TransactionNotFoundError) return undefined
    throw cause
  }
}

/** undefined: it is not included, or the node shows receipts later than blocks. */
async function findReceipt(
  client: PublicClient,
  hash: Hex,
): Promise<TransactionReceipt | undefined> {
  try {
    return await client.getTransactionReceipt({ hash })
  } catch (cause) {
    if (cause instanceof TransactionReceiptNotFoundError) return undefined
    throw cause
  }
}

/** The receipt of a replacement that makes the same call. @throws TRANSACTION_REPLACED if it makes another one */
async function receiptOfSameCall(
  client: PublicClient,
  sent: SentTransaction,
): Promise<TransactionReceipt | undefined> {
  const { transaction } = sent
  // a node that does not answer about older blocks may still show the receipt
  const found = await findAtNonce(client, sent).catch(() => undefined)
  if (found === undefined || found.hash === transaction.hash) return undefined
  const { from, to, value } = found
  const isSame = callOfTransaction(found) === callOfTransaction(transaction)
  if (isSame) return findReceipt(client, found.hash)
  const reason = to !== null && isAddressEqual(from, to) && value === 0n ? 'cancelled' : 'replaced'
  throw new AssentError('TRANSACTION_REPLACED', 'The wallet replaced the transaction.', {
    facts: { hash: transaction.hash, by: found.hash, reason },
  })
}

/** What a transaction does, as comparable text. Nodes write addresses in different ways. */
function callOfTransaction({ to, value, input }: Transaction): string {
  return `${to} ${value} ${input}`.toLowerCase()
}

/** The included transaction with the sender and the nonce. Undefined before it is included, and while the node does not show it. */
async function findAtNonce(
  client: PublicClient,
  { transaction: { from, nonce }, before }: SentTransaction,
): Promise<Transaction | undefined> {
  let last = await client.getBlockNumber({ cacheTime: 0 })
  const isUsedAt = async (blockNumber: bigint) =>
    (await client.getTransactionCount({ address: from, blockNumber })) > nonce
  if (!(await isUsedAt(last))) return undefined
  // the first block at whose end the nonce is used
  let first = before < last ? before : last
  while (first < last) {
    const middle = (first + last) / 2n
    if (await isUsedAt(middle)) last = middle
    else first = middle + 1n
  }
  const block = await client.getBlock({ blockNumber: first, includeTransactions: true })
  return block.transactions.find((each) => isAddressEqual(each.from, from) && each.nonce === nonce)
}

/**
 * Converts an error of viem: a revert becomes `CALL_REVERTED` with the decoded reason, a gas limit
 * `TRANSACTION_TOO_LARGE`, everything else `CHAIN_UNREACHABLE`. An `AssentError` stays as it is, also inside an error of
 * viem.
 *
 * @param words what was tried, for the message, for example `read app 0x…`
 */
export function toChainError(cause: unknown, words: string): AssentError {
  const known = assentErrorIn(cause)
  if (known !== undefined) return known
  if (isTooMuchGas(cause)) {
    return new AssentError('TRANSACTION_TOO_LARGE', `Too much for one transaction: ${words}.`, {
      cause,
    })
  }
  const data = revertData(cause)
  if (data === undefined) {
    return new AssentError('CHAIN_UNREACHABLE', `No answer from the chain: ${words}.`, { cause })
  }
  const facts = decodeRevert(data)
  const hint = hints[facts.error]
  return new AssentError('CALL_REVERTED', `Refused by the contract (${facts.error}): ${words}.`, {
    cause,
    facts,
    ...(hint === undefined ? {} : { hint }),
  })
}

function assentErrorIn(cause: unknown): AssentError | undefined {
  const found =
    cause instanceof BaseError ? cause.walk((error) => error instanceof AssentError) : cause
  return found instanceof AssentError ? found : undefined
}

/** Hints for errors of contracts whose name alone does not say what to do. */
const hints: Readonly<Record<string, string>> = {
  NotAnnounced:
    'The app has a notice. Write the call down with --draft FILE, announce it (assent app announce FILE), and make it when the notice is over: assent dao propose FILE, or with --via send if you own the app yourself.',
}

/** A contract that runs out of gas gives no reason; what the node says is the only sign. */
function isTooMuchGas(cause: unknown): boolean {
  if (!(cause instanceof BaseError)) return false
  const words =
    /out ?of ?gas|OOG\b|gas required exceeds|exceeds (the )?(block|transaction|max|maximum)? ?(transaction )?gas (limit|cap|allowance)|gas limit (is )?too high|gas limit cap/i
  return cause.walk((error) => words.test((error as Error).message)) !== null
}

/**
 * Finds revert data in an error of viem or its causes.
 *
 * @returns the data; `0x` if the node says only that the call reverted; undefined if it was no revert
 */
export function revertData(cause: unknown): Hex | undefined {
  if (!(cause instanceof BaseError)) return undefined
  const raw = cause.walk((error) => error instanceof RawContractError || hasHexData(error))
  if (raw !== null) return extractData(raw)
  const reverted = cause.walk((error) => /revert/i.test((error as Error).message))
  return reverted === null ? undefined : '0x'
}

function hasHexData(error: unknown): boolean {
  return extractData(error) !== undefined
}

/** Nodes put the data at `data`, or one level down. */
function extractData(error: unknown): Hex | undefined {
  const data = (error as { data?: unknown }).data
  const inner = typeof data === 'object' && data !== null ? (data as { data?: unknown }).data : data
  return typeof inner === 'string' && inner.startsWith('0x') ? (inner as Hex) : undefined
}

/**
 * Decodes revert data with the errors of all contracts of Assent.
 *
 * @returns name and arguments of the error; `unknown error` for an error of another contract, `no reason given` for
 *   empty data
 * @example const { error, values } = decodeRevert(data) // { error: 'ApprovalUnknown', values: ['0', '0x…'] }
 */
export function decodeRevert(data: Hex): { error: string; values: string[]; data: Hex } {
  try {
    const { errorName, args } = decodeErrorResult({ abi: knownErrors, data })
    return { error: errorName, values: (args ?? []).map(String), data }
  } catch {
    return { error: data === '0x' ? 'no reason given' : 'unknown error', values: [], data }
  }
}
