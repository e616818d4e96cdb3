/**
 * Signs with the REST API of web3signer in mode `eth1`, which keeps the key: `GET /api/v1/eth1/publicKeys`,
 * `POST /api/v1/eth1/sign/{publicKey}`. web3signer hashes the request with keccak256 before it signs.
 */
import { type Address, keccak256, parseSignature, recoverAddress, type Signature } from 'viem'
import { publicKeyToAddress } from 'viem/accounts'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readBody } from '../../lib/http-get.ts'

/** Connection to a web3signer. */
export interface Web3SignerOptions {
  /** Base URL. */
  readonly url: string
  /** The account whose key it must have. */
  readonly account: Hex
  /** Replaces Node's HTTP client, for tests. */
  readonly fetch?: typeof fetch
  /** Milliseconds for one signature. */
  readonly timeoutMs?: number
}

/** A web3signer that has the key of one account. */
export interface Web3Signer {
  /** Lower-case address. */
  readonly address: Hex
  /**
   * Signs keccak256 of `payload`: of a serialized transaction, or of the encoded typed data of EIP-712.
   *
   * @throws SIGNER_UNREACHABLE, SIGNER_WRONG if the signature is not of the account
   */
  sign(payload: Hex): Promise<Signature>
}

/** A list of a few thousand public keys. */
const maxAnswer = 1 << 20

/** @throws SIGNER_UNREACHABLE, SIGNER_WRONG if it does not have the key */
export async function connectWeb3Signer(options: Web3SignerOptions): Promise<Web3Signer> {
  const account = options.account.toLowerCase() as Hex
  const publicKey = await findPublicKey(options, account)
  return {
    address: account,
    async sign(payload) {
      const text = await request(options, `/api/v1/eth1/sign/${publicKey}`, { data: payload })
      return requireSignature(text, keccak256(payload), account)
    },
  }
}

/** The signer's public key of our account. A signer with other keys only is an error in the settings. */
async function findPublicKey(options: Web3SignerOptions, account: Hex): Promise<Hex> {
  const keys: unknown = parseJson(await request(options, '/api/v1/eth1/publicKeys'))
  const found = Array.isArray(keys)
    ? keys.find((key) => isPublicKey(key) && toAddress(key) === account)
    : undefined
  if (found === undefined) {
    throw new AssentError('SIGNER_WRONG', `The remote signer has no key for ${account}.`, {
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
async function requireSignature(text: string, hash: Hex, account: Hex): Promise<Signature> {
  const bytes = text.trim().replace(/^"|"$/g, '')
  const recovered = /^0x[0-9a-fA-F]{130}$/.test(bytes)
    ? await recoverAddress({ hash, signature: bytes as Hex }).catch((): Address | null => null)
    : null
  if (recovered?.toLowerCase() !== account) {
    throw new AssentError('SIGNER_WRONG', 'The signature is not from the expected account.', {
      facts: { account, recovered },
    })
  }
  return parseSignature(bytes as Hex)
}

async function request(options: Web3SignerOptions, path: string, body?: unknown): Promise<string> {
  const send = options.fetch ?? fetch
  const url = new URL(path.slice(1), options.url.endsWith('/') ? options.url : `${options.url}/`)
  try {
    const response = await send(url, {
      method: body === undefined ? 'GET' : 'POST',
      signal: AbortSignal.timeout(options.timeoutMs ?? 10_000),
      redirect: 'error',
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    return Buffer.from(await readBody(response, maxAnswer)).toString('utf8')
  } catch (cause) {
    throw new AssentError('SIGNER_UNREACHABLE', 'The remote signer does not answer.', {
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
