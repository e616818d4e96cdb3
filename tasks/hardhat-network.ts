/** The chain and the accounts of a Hardhat network. */
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
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
import { chainOf } from '../src/commands/session/network.ts'
import type { Network } from '../src/commands/session/session.ts'
import { AssentError } from '../src/errors/index.ts'

/**
 * Connects to the network of `--network`.
 *
 * @throws USAGE_INVALID if there is no such network, CONFIG_INVALID if one of its variables is missing or wrong,
 *   CHAIN_UNREACHABLE
 */
export async function hardhatNetwork(hre: HardhatRuntimeEnvironment): Promise<Network> {
  const connection = await hre.network.getOrCreate().catch((cause: unknown) => {
    throw toNetworkError(cause, hre.globalOptions.network ?? 'default', httpNetworks(hre))
  })
  const { networkName, networkConfig } = connection
  if (networkConfig.type !== 'http') {
    throw new AssentError(
      'USAGE_INVALID',
      'The option --network is missing: name a network of hardhat.config.ts.',
      {
        facts: { network: networkName, expected: httpNetworks(hre) },
        hint: 'The in-process chain starts empty and is lost at the end of the command, so commands do not run on it.',
      },
    )
  }
  const provider = connection.provider as unknown as EIP1193Provider
  const transport = custom(provider, { retryCount: 0 })
  const chainId = await createPublicClient({ transport })
    .getChainId()
    .catch((cause: unknown) => {
      throw toNetworkError(cause, networkName)
    })
  const publicClient = createPublicClient({
    chain: chainOf(chainId, networkName),
    transport,
    cacheTime: 0,
    // a development chain answers immediately
    pollingInterval: chainId === 31337 ? 50 : 2_000,
  }) as PublicClient
  return {
    name: networkName,
    chainId,
    publicClient,
    accounts: {
      list: () => listAccounts(networkName, provider),
      wallet: async (account) =>
        createWalletClient({
          account,
          chain: chainOf(chainId, networkName),
          transport,
        }) as unknown as WalletClient<Transport, Chain, Account>,
    },
  }
}

function httpNetworks({ config }: HardhatRuntimeEnvironment): string[] {
  return Object.entries(config.networks).flatMap(([name, { type }]) =>
    type === 'http' ? name : [],
  )
}

/**
 * Tells a wrong configuration of Hardhat from a chain that does not answer. Messages name the variable, never its value: it
 * can be a key, or a URL that contains one.
 */
function toNetworkError(
  cause: unknown,
  network: string,
  networks: readonly string[] = [],
): AssentError {
  const found = findHardhatError(cause)
  if (found === undefined || /cannot connect|timed? ?out|HTTP/i.test(found.message)) {
    return new AssentError(
      'CHAIN_UNREACHABLE',
      `The RPC endpoint of the network ${network} does not answer.`,
      {
        cause,
        facts: { network },
        hint: `Check that the node runs, and the URL of the network ${network} in hardhat.config.ts (for live and signed: ASSENT_RPC_URL).`,
      },
    )
  }
  const message = found.message.replace(/^HHE\d+: /, '').split('\n', 1)[0] ?? ''
  const [, variable] = /[Vv]ariable "(\w+)"/.exec(message) ?? []
  if (variable !== undefined) {
    const isMissing = / not found/.test(message)
    return new AssentError(
      'CONFIG_INVALID',
      `The network ${network} needs the variable ${variable}, which ${isMissing ? 'is not set' : 'has an invalid value'}.`,
      {
        cause,
        facts: { network, variable },
        hint: `Set it in the environment, or encrypted with npx hardhat keystore set ${variable}. ${expectedValues[variable] ?? ''}`.trim(),
      },
    )
  }
  if (/network/i.test(message) && / not defined/.test(message)) {
    return new AssentError('USAGE_INVALID', `hardhat.config.ts has no network ${network}.`, {
      cause,
      facts: { network, expected: networks },
      hint: 'Pass --network with one of the networks in the facts.',
    })
  }
  return new AssentError('CONFIG_INVALID', `The network ${network}: ${message}`, {
    cause,
    facts: { network },
  })
}

const expectedValues: Readonly<Record<string, string>> = {
  ASSENT_RPC_URL: 'Expected: an http:// or https:// URL.',
  ASSENT_KEY: 'Expected: a private key, 0x and 64 hexadecimal digits.',
}

/** An error without a code of JSON-RPC comes from this process and not from the node. */
function isLocal(cause: unknown): boolean {
  const isRpcError = cause instanceof Error && ('code' in cause || 'data' in cause)
  return !isRpcError && !/fetch|connect|socket|timed? ?out/i.test(String(cause))
}

function findHardhatError(cause: unknown): Error | undefined {
  for (let error = cause; error instanceof Error; error = error.cause) {
    if (error.name === 'HardhatError' || /^HHE\d+: /.test(error.message)) return error
  }
  return undefined
}

async function listAccounts(name: string, provider: EIP1193Provider): Promise<readonly Address[]> {
  try {
    return await provider.request({ method: 'eth_accounts' })
  } catch (cause) {
    // the node has answered before, so only the accounts of the configuration can fail here
    if (findHardhatError(cause) === undefined && isLocal(cause)) {
      throw new AssentError(
        'CONFIG_INVALID',
        `The network ${name} has an account whose private key is invalid.`,
        {
          facts: { network: name },
          hint: `Check the accounts of the network ${name} in hardhat.config.ts (for signed: ASSENT_KEY). ${expectedValues.ASSENT_KEY}`,
        },
      )
    }
    throw toNetworkError(cause, name)
  }
}
