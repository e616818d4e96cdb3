/** Signs transactions: with a key in this process, or with a remote signer that keeps the key. */
import {
  type Address,
  keccak256,
  parseSignature,
  recoverAddress,
  serializeTransaction,
  type TransactionSerializableEIP1559,
} from 'viem'
import { privateKeyToAccount, publicKeyToAddress } from 'viem/accounts'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Fees } from '../outbox/fees.ts'
import type { TransactionCall } from '../outbox/outbox.ts'

/** An EIP-1559 transaction to sign. */
export interface UnsignedTransaction extends TransactionCall, Fees {
  /** The signature is valid on this chain only (EIP-155). */
  readonly chainId: number
  /** From the outbox, never from a node. */
  readonly nonce: number
}

/** A signed transaction: its serialized form and its hash. */
export interface SignedTransaction {
  /** Serialized, as `eth_sendRawTransaction` takes it. */
  readonly raw: Hex
  /** keccak-256 of `raw`. */
  readonly hash: Hex
}

/** Signs for one account. */
export interface TransactionSigner {
  /** The account. */
  readonly address: Hex
  /** Signs. It sends nothing. */
  sign(transaction: UnsignedTransaction): Promise<SignedTransaction>
}

/** Signs with a key in memory, from a keystore or, on test chains, from the settings. */
export function createLocalSigner(privateKey: Hex): TransactionSigner {
  const account = privateKeyToAccount(privateKey)
  return {
    address: account.address.toLowerCase() as Hex,
    async sign(transaction) {
      const raw = await account.signTransaction(toSerializable(transaction))
      return { raw, hash: keccak256(raw) }
    },
  }
}

/** How to reach a remote signer. */
export interface RemoteSignerOptions {
  /** Base URL of a web3signer in mode `eth1`. */
  readonly url: string
  /** The account whose key the signer must have. */
  readonly account: Hex
  readonly fetch?: typeof fetch
  /** Milliseconds for one signature. */
  readonly timeoutMs?: number
}

/**
 * Signs with web3signer's REST API: `GET /api/v1/eth1/publicKeys`, `POST /api/v1/eth1/sign/{publicKey}`. web3signer
 * hashes the request with keccak256 before it signs, so the request is the serialized transaction.
 *
 * @throws RELAYER_SIGNER_UNREACHABLE, RELAYER_SIGNER_WRONG
 */
export async function connectRemoteSigner(
  options: RemoteSignerOptions,
): Promise<TransactionSigner> {
  const account = options.account.toLowerCase() as Hex
  const publicKey = await findPublicKey(options, account)
  return {
    address: account,
    async sign(transaction) {
      const unsigned = toSerializable(transaction)
      const payload = serializeTransaction(unsigned)
      const text = await request(options, `/api/v1/eth1/sign/${publicKey}`, { data: payload })
      const signature = await requireSignature(text, keccak256(payload), account)
      const raw = serializeTransaction(unsigned, signature)
      return { raw, hash: keccak256(raw) }
    },
  }
}

function toSerializable(transaction: UnsignedTransaction): TransactionSerializableEIP1559 {
  const { to, data, value, gas, maxFee, tip, chainId, nonce } = transaction
  return {
    type: 'eip1559',
    to,
    data,
    value,
    gas,
    maxFeePerGas: maxFee,
    maxPriorityFeePerGas: tip,
    chainId,
    nonce,
  }
}

/** The signer's public key of our account. A signer with other keys only is an error in the settings. */
async function findPublicKey(options: RemoteSignerOptions, account: Hex): Promise<Hex> {
  const keys: unknown = parseJson(await request(options, '/api/v1/eth1/publicKeys'))
  const found = Array.isArray(keys)
    ? keys.find((key) => isPublicKey(key) && toAddress(key) === account)
    : undefined
  if (found === undefined) {
    throw new AssentError('RELAYER_SIGNER_WRONG', `The remote signer has no key for ${account}.`, {
      facts: { account, keys: Array.isArray(keys) ? keys.length : null },
    })
  }
  return found
}

/** 64 bytes, with or without the prefix of an uncompressed point. */
function isPublicKey(key: unknown): key is Hex {
  return typeof key === 'string' && /^0x(04)?[0-9a-fA-F]{128}$/.test(key)
}

/** Address of an uncompressed secp256k1 key: the last 20 bytes of its keccak-256. */
function toAddress(key: Hex): string {
  const point: Hex = key.length === 130 ? `0x04${key.slice(2)}` : key
  return publicKeyToAddress(point).toLowerCase()
}

/** Checks the signature. With a wrong one, a node would only answer "insufficient funds". */
async function requireSignature(text: string, hash: Hex, account: Hex) {
  const bytes = text.trim().replace(/^"|"$/g, '')
  const recovered = /^0x[0-9a-fA-F]{130}$/.test(bytes)
    ? await recoverAddress({ hash, signature: bytes as Hex }).catch((): Address | null => null)
    : null
  if (recovered?.toLowerCase() !== account) {
    throw new AssentError(
      'RELAYER_SIGNER_WRONG',
      'The signature is not from the expected account.',
      {
        facts: { account, recovered },
      },
    )
  }
  return parseSignature(bytes as Hex)
}

async function request(
  options: RemoteSignerOptions,
  path: string,
  body?: unknown,
): Promise<string> {
  const send = options.fetch ?? fetch
  const url = new URL(path.slice(1), options.url.endsWith('/') ? options.url : `${options.url}/`)
  try {
    const response = await send(url, {
      method: body === undefined ? 'GET' : 'POST',
      signal: AbortSignal.timeout(options.timeoutMs ?? 10_000),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    return await response.text()
  } catch (cause) {
    throw new AssentError('RELAYER_SIGNER_UNREACHABLE', 'The remote signer does not answer.', {
      cause,
      facts: { path },
    })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
