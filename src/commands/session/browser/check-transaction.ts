/** Compares the transaction that a wallet sent with the one that the command prepared. */
import type { Address } from 'viem'

import { AssentError } from '../../../errors/index.ts'
import type { Hex } from '../../../lib/bytes.ts'

/** What a wallet must send. It sets gas and fees itself. */
export interface ExpectedTransaction {
  readonly chainId: number
  readonly from: Address
  /** Null: the transaction creates a contract. */
  readonly to: Address | null
  readonly data: Hex
  /** Wei. */
  readonly value: bigint
  /** Undefined: the wallet chooses it. */
  readonly nonce: number | undefined
  /** Lowest nonce of a new transaction: all lower ones were used before the wallet was asked. */
  readonly firstNonce: number
}

/** How long the endpoint may not know a transaction: wallets send it through nodes of their own. */
export interface Patience {
  /** Default: three minutes. */
  readonly waitMs?: number
  /** Default: a second. */
  readonly askAgainMs?: number
}

type Request = (args: { method: string; params?: unknown }) => Promise<unknown>

/**
 * Reads a transaction from the endpoint of the command, and compares sender, contract, value, calldata and chain. It must be
 * newer than the question, and must do nothing else: it has no authorizations (EIP-7702) and no blobs (EIP-4844).
 *
 * @param request asks the endpoint (EIP-1474)
 * @throws WALLET_TRANSACTION_DIFFERENT, WALLET_TRANSACTION_UNKNOWN if the endpoint does not know the hash in time
 */
export async function requireSameTransaction(
  request: Request,
  hash: Hex,
  expected: ExpectedTransaction,
  { waitMs = 180_000, askAgainMs = 1_000 }: Patience = {},
): Promise<void> {
  const until = performance.now() + waitMs
  for (;;) {
    const found = await request({ method: 'eth_getTransactionByHash', params: [hash] }).catch(
      () => null,
    )
    if (found !== null) return compare(found as Found, hash, expected)
    if (performance.now() >= until) throw unknown(hash, waitMs)
    await new Promise((resolve) => setTimeout(resolve, askAgainMs))
  }
}

/** A transaction of the JSON-RPC interface. */
interface Found {
  readonly hash?: string
  readonly from?: string
  readonly to?: string | null
  readonly input?: string
  readonly value?: string
  readonly chainId?: string
  readonly nonce?: string
  readonly type?: string
  readonly authorizationList?: unknown
}

/** Legacy, access list (EIP-2930), and priority fee (EIP-1559): all that they do is one call. */
const plainTypes = ['0', '1', '2']

function compare(found: Found, hash: Hex, expected: ExpectedTransaction): void {
  const pairs: Record<string, readonly [string, string]> = {
    hash: [hash, String(found.hash)],
    from: [expected.from, String(found.from)],
    to: [String(expected.to), String(found.to ?? null)],
    value: [String(expected.value), readNumber(found.value)],
    data: [expected.data, String(found.input)],
    chainId: [String(expected.chainId), readNumber(found.chainId)],
    ...(expected.nonce === undefined
      ? {}
      : { nonce: [String(expected.nonce), readNumber(found.nonce)] }),
    ...extrasOf(found, expected),
  }
  const different = Object.entries(pairs).filter(
    ([, [wanted, sent]]) => wanted.toLowerCase() !== sent.toLowerCase(),
  )
  if (different.length === 0) return
  const names = different.map(([name]) => name)
  throw new AssentError(
    'WALLET_TRANSACTION_DIFFERENT',
    `The wallet sent another transaction: its ${names.join(', ')} differs.`,
    {
      facts: {
        hash,
        ...Object.fromEntries(different.map(([name, [wanted, sent]]) => [name, { wanted, sent }])),
      },
    },
  )
}

/** What an expected transaction does not have, as pairs of what was expected and what was sent. */
function extrasOf(
  { nonce, type, authorizationList }: Found,
  { firstNonce }: ExpectedTransaction,
): Record<string, readonly [string, string]> {
  const sentNonce = readNumber(nonce)
  // nodes before EIP-2718 show no type
  const sentType = readNumber(type ?? '0x0')
  const extras: Record<string, readonly [string, string]> = {}
  if (!(Number(sentNonce) >= firstNonce)) extras.nonce = [`${firstNonce} or more`, sentNonce]
  if (!plainTypes.includes(sentType)) extras.type = ['0, 1 or 2', sentType]
  if (authorizationList !== undefined && authorizationList !== null)
    extras.authorizationList = ['none', 'present']
  return extras
}

/** A transaction without replay protection (EIP-155) has no chain id. */
function readNumber(text: string | undefined): string {
  return /^0x[0-9a-fA-F]{1,64}$/.test(text ?? '') ? String(BigInt(text as string)) : String(text)
}

function unknown(hash: Hex, waitMs: number): AssentError {
  return new AssentError(
    'WALLET_TRANSACTION_UNKNOWN',
    `The endpoint did not know the transaction of the wallet within ${waitMs / 1000} seconds.`,
    { facts: { hash } },
  )
}
