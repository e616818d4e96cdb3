/** Accounts of a profile: an encrypted keystore, an external signer, a web3signer, a wallet in the browser, or the node. */
import {
  type Account,
  type Address,
  type Chain,
  concatHex,
  createWalletClient,
  custom,
  getTypesForEIP712Domain,
  hashDomain,
  hashStruct,
  http,
  isAddress,
  RpcRequestError,
  serializeTransaction,
  signatureToHex,
  type Transport,
  type TypedDataDefinition,
  type WalletClient,
} from 'viem'
import { type LocalAccount, privateKeyToAccount, toAccount } from 'viem/accounts'
import { openKeystore } from '../../chain/signer/keystore.ts'
import { connectWeb3Signer } from '../../chain/signer/web3signer.ts'
import { AssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import { readBytes } from '../../lib/files.ts'
import { type BrowserOptions, browserAccounts } from './browser/browser-accounts.ts'
import { readPassword } from './password.ts'
import type { Accounts } from './session.ts'
import type { AccountSetting, Profile } from './settings.ts'

/** @param announce shows the address of the page for a wallet in the browser */
export function openAccounts(
  { account }: Profile,
  { chain, transport, announce }: BrowserOptions,
): Accounts {
  switch (account.kind) {
    case 'keystore':
      return localAccounts(() => openKeystoreAccount(account), chain, transport)
    case 'web3signer':
      return localAccounts(() => openWeb3SignerAccount(account), chain, transport)
    case 'signer':
      return remoteAccounts(account, chain, signerTransport(account.url, transport, chain))
    case 'browser':
      return browserAccounts(account, { chain, transport, announce })
    case 'node':
      return remoteAccounts(account, chain, transport)
  }
}

/* ONE ACCOUNT THAT SIGNS HERE */

function localAccounts(
  open: () => Promise<LocalAccount>,
  chain: Chain,
  transport: Transport,
): Accounts {
  let opened: Promise<LocalAccount> | undefined
  const account = () => {
    opened ??= open()
    return opened
  }
  return {
    list: async () => [(await account()).address],
    wallet: async () => createWalletClient({ account: await account(), chain, transport }),
  }
}

async function openKeystoreAccount({
  file,
  passwordFile,
}: Extract<AccountSetting, { kind: 'keystore' }>): Promise<LocalAccount> {
  const json = (await readBytes(file)).toString('utf8')
  const key = await openKeystore(json, await readPassword(passwordFile))
  return privateKeyToAccount(to0x(key))
}

/** An account whose key is in a web3signer. It signs transactions and typed data. */
async function openWeb3SignerAccount({
  url,
  address,
}: Extract<AccountSetting, { kind: 'web3signer' }>): Promise<LocalAccount> {
  const signer = await connectWeb3Signer({ url, account: address as Address })
  return toAccount({
    address: address as Address,
    signMessage: () => {
      throw new AssentError('SIGNER_REFUSED', 'A web3signer account signs no plain messages.')
    },
    signTransaction: async (transaction, { serializer = serializeTransaction } = {}) =>
      serializer(transaction, await signer.sign(await serializer(transaction))),
    signTypedData: async (typedData) =>
      signatureToHex(await signer.sign(encodeTypedData(typedData as TypedDataDefinition))),
  })
}

/** The bytes whose keccak256 is signed for typed data (EIP-712). */
function encodeTypedData({ domain = {}, types, primaryType, message }: TypedDataDefinition): Hex {
  const all = { EIP712Domain: getTypesForEIP712Domain({ domain }), ...types } as never
  const data = message as Record<string, unknown>
  return concatHex([
    '0x1901',
    hashDomain({ domain, types: all } as never),
    hashStruct({ data, primaryType, types: all } as never),
  ])
}

/* ACCOUNTS THAT SIGN ELSEWHERE */

function remoteAccounts(
  { kind, address }: Extract<AccountSetting, { kind: 'signer' | 'node' }>,
  chain: Chain,
  transport: Transport,
): Accounts {
  const client = createWalletClient({ chain, transport })
  return {
    async list() {
      const all = await client.request({ method: 'eth_accounts' }).catch((cause: unknown) => {
        if (kind === 'node') return []
        throw toSignerError(cause)
      })
      if (!Array.isArray(all) || !all.every((each) => isAddress(each, { strict: false }))) {
        throw new AssentError('SIGNER_WRONG', 'The signer does not answer with a list of accounts.')
      }
      const wanted = address?.toLowerCase()
      return all.filter((each) => wanted === undefined || each.toLowerCase() === wanted)
    },
    wallet: async (account) =>
      createWalletClient({ account, chain, transport }) as unknown as WalletClient<
        Transport,
        Chain,
        Account
      >,
  }
}

/** Methods that need the key, or that ask which keys there are. */
const signerMethods =
  /^(eth_accounts|eth_requestAccounts|eth_sendTransaction|eth_signTransaction|eth_signTypedData_v4|personal_sign)$/

/** A person may take minutes to read and confirm. */
const signerTimeoutMs = 300_000

/** Sends what needs a key to the signer, and everything else to the chain. */
function signerTransport(url: string, chainTransport: Transport, chain: Chain): Transport {
  const signer = http(url, { retryCount: 0, timeout: signerTimeoutMs })({ chain })
  const node = chainTransport({ chain })
  return custom(
    {
      async request({ method, params }: { method: string; params?: unknown }) {
        if (!signerMethods.test(method)) return node.request({ method, params } as never)
        return signer.request({ method, params } as never).catch((cause: unknown) => {
          throw toSignerError(cause)
        })
      },
    },
    { retryCount: 0 },
  )
}

/** An error with a code of JSON-RPC is an answer: the signer refused. */
function toSignerError(cause: unknown): AssentError {
  if (cause instanceof AssentError) return cause
  const refusal = findCause(cause, (error) => error instanceof RpcRequestError)
  if (refusal === undefined) {
    return new AssentError('SIGNER_UNREACHABLE', 'The external signer does not answer.', { cause })
  }
  const { details = '', code } = refusal as { details?: string; code?: number }
  return new AssentError('SIGNER_REFUSED', `The external signer refused: ${details}`, {
    cause,
    facts: { code: code ?? null },
  })
}

function findCause(cause: unknown, fits: (error: Error) => boolean): Error | undefined {
  for (let error = cause; error instanceof Error; error = error.cause) {
    if (fits(error)) return error
  }
  return undefined
}
