/** The session of a task: network, deployment, accounts and output. */
import { createInterface } from 'node:readline/promises'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import {
  type Abi,
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createWalletClient,
  custom,
  defineChain,
  type EIP1193Provider,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { appAbi, assentGovernorAbi } from '../src/chain/abi.ts'
import { appKey } from '../src/chain/approval.ts'
import { readBondTerms } from '../src/chain/bonds.ts'
import { type Clients, toChainError } from '../src/chain/call.ts'
import { isOtherAnswer } from '../src/chain/check/check.ts'
import { implementationOf } from '../src/chain/check/code.ts'
import {
  type Addresses,
  type Deployment,
  deployedAddresses,
  readDeployment,
  recordedCodes,
  requireContract,
} from '../src/chain/deployments.ts'
import { type AddressBook, addressBook } from '../src/chain/governance/describe-call.ts'
import { readDaoSettings } from '../src/chain/governance/proposals.ts'
import { readState } from '../src/chain/registry.ts'
import { colors as pc } from '../src/commands/output/colors.ts'
import { codeOfNewApps, recordUpgrades } from '../src/deploy/upgrade.ts'
import { AssentError } from '../src/errors/index.ts'
import { readAddress } from './arguments.ts'

/** Options of every task. */
export interface CommonArguments {
  readonly deployments: string
  readonly json: boolean
}

/** Options of tasks that sign. */
export interface TransactionArguments extends CommonArguments {
  readonly from?: string
  readonly yes: boolean
}

/**
 * The governor of a task: that of the deployment, or the one in `--governor`.
 *
 * @throws USAGE_INVALID, CONTRACT_MISSING, CONTRACT_MISMATCH if the contract is not a governor of Assent, CHAIN_UNREACHABLE
 */
export async function requireGovernor(
  { addresses, publicClient }: Session,
  named: string | undefined,
): Promise<Address> {
  if (named === undefined) return addresses.governor
  const governor = readAddress(named, '--governor')
  await requireAnswer(publicClient, governor, {
    name: '--governor',
    abi: assentGovernorAbi,
    functionName: 'proposalCount',
    expected: 'a governor of Assent',
    hint: 'Pass the address of the governor that create-dao printed.',
  })
  return governor
}

interface ExpectedContract {
  /** The option or argument that named the contract. */
  readonly name: string
  readonly abi: Abi
  /** A view function that only this type of contract has. */
  readonly functionName: string
  readonly args?: readonly unknown[]
  /** The type of contract, for the message. */
  readonly expected: string
  readonly hint?: string
}

/**
 * Checks that a contract is of the expected type: that it answers one of its functions.
 *
 * @throws CONTRACT_MISSING, CONTRACT_MISMATCH, CHAIN_UNREACHABLE
 */
export async function requireAnswer(
  client: PublicClient,
  address: Address,
  { name, abi, functionName, args = [], expected, hint }: ExpectedContract,
): Promise<void> {
  await requireContract(client, address, name)
  await client.readContract({ address, abi, functionName, args }).catch((cause: unknown) => {
    const error = toChainError(cause, `ask ${name} for ${functionName}`)
    if (error.code === 'CHAIN_UNREACHABLE' && !isOtherAnswer(cause)) throw error
    throw new AssentError('CONTRACT_MISMATCH', `${name}: ${address} is not ${expected}.`, {
      cause: error,
      facts: { name, address, expected, asked: functionName },
      ...(hint === undefined ? {} : { hint }),
    })
  })
}

export interface Network {
  readonly name: string
  readonly chainId: number
  readonly publicClient: PublicClient
  readonly provider: EIP1193Provider
}

export interface Session extends Network {
  readonly deployment: Deployment
  readonly addresses: Addresses
  /** The chain's time at the start of the task, in unix seconds. */
  readonly now: number
  readonly output: Output
}

/** Text output of a task. With `--json` it prints nothing. */
export interface Output {
  line(text?: string): void
  heading(text: string): void
  /** A line that must not be overlooked. */
  warning(text: string): void
}

export function createOutput(json: boolean): Output {
  const line = json ? () => undefined : (text = '') => console.log(text)
  return {
    line,
    heading: (text) => line(pc.bold(text)),
    warning: (text) => line(pc.yellow(text)),
  }
}

/** Reports the progress of a long search through blocks, every few seconds. */
export function progressOf(output: Output, what: string): (read: bigint, total: bigint) => void {
  let next = Date.now() + 2_000
  return (read, total) => {
    if (Date.now() < next) return
    next = Date.now() + 5_000
    output.line(`${what}: ${read} of ${total} blocks are read.`)
  }
}

/**
 * Connects to the network of `--network`.
 *
 * @throws USAGE_INVALID if there is no such network, CONFIG_INVALID if one of its variables is missing or wrong,
 *   CHAIN_UNREACHABLE
 */
export async function openNetwork(hre: HardhatRuntimeEnvironment): Promise<Network> {
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
        hint: 'The in-process chain starts empty and is lost at the end of the command, so tasks do not run on it.',
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
  return { name: networkName, chainId, publicClient, provider }
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

/** @throws FILE_UNREADABLE, DEPLOYMENT_INVALID, CONTRACT_MISSING, CHAIN_UNREACHABLE */
export async function openSession(
  { deployments, json }: CommonArguments,
  hre: HardhatRuntimeEnvironment,
): Promise<Session> {
  const network = await openNetwork(hre)
  const deployment = await readDeployment(deployments, network.chainId)
  const addresses = deployedAddresses(deployment)
  await requireContract(network.publicClient, addresses.kmsAuth, 'kmsAuth')
  return {
    ...network,
    deployment,
    addresses,
    now: await timeOf(network),
    output: createOutput(json),
  }
}

/** Writes the current implementations into the deployment record. Returns the names of the changed ones. */
export async function updateRecord(
  { publicClient, deployment, output }: Session,
  { deployments }: Pick<CommonArguments, 'deployments'>,
): Promise<string[]> {
  const told = await recordUpgrades(publicClient, deployment, deployments)
  for (const each of told)
    output.line(`${each}: the deployment record has the current implementation now`)
  return told
}

/** The clients for the account that signs. @throws SIGNER_UNCLEAR if none or several accounts fit, CONFIG_INVALID */
export async function signerOf(network: Network, from: string | undefined): Promise<Clients> {
  const { provider, publicClient, chainId, name } = network
  const accounts = await accountsOf(network)
  const wanted = from === undefined ? undefined : readAddress(from, '--from').toLowerCase()
  const chosen = accounts.filter((each) => wanted === undefined || each.toLowerCase() === wanted)
  if (chosen.length !== 1) {
    throw new AssentError(
      'SIGNER_UNCLEAR',
      wanted === undefined
        ? `The network ${name} has ${accounts.length} accounts.`
        : `The network ${name} has no account ${from}.`,
      { facts: { network: name, accounts } },
    )
  }
  const walletClient = createWalletClient({
    account: chosen[0] as Address,
    chain: chainOf(chainId, name),
    transport: custom(provider, { retryCount: 0 }),
  }) as unknown as WalletClient<Transport, Chain, Account>
  return { publicClient, walletClient }
}

async function accountsOf({ name, provider }: Network): Promise<readonly Address[]> {
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

/** The address book of the deployment, with the apps among `targets` and the DAO of `governor`. */
export async function readAddressBook(
  { addresses, deployment, publicClient }: Session,
  targets: readonly Address[],
  governor: Address = addresses.governor,
): Promise<AddressBook> {
  const strangers = [...new Set(targets)].filter((target) => !isDeployed(addresses, target))
  const areApps = await Promise.all(
    strangers.map((target) => isApp(publicClient, deployment, target)),
  )
  const { hostBonds } = addresses
  const token =
    hostBonds === undefined ? undefined : (await readBondTerms(publicClient, hostBonds)).token
  const dao = isDeployed(addresses, governor)
    ? undefined
    : { governor, ...(await readDaoSettings(publicClient, governor)) }
  return addressBook(addresses, {
    apps: strangers.filter((_, i) => areApps[i]),
    bondToken: token,
    dao,
  })
}

function isDeployed(addresses: Addresses, target: Address): boolean {
  return Object.values(addresses).some((each) => each?.toLowerCase() === target.toLowerCase())
}

/** A registered app with Assent's code. Calls of other contracts cannot be described. */
async function isApp(
  client: PublicClient,
  deployment: Deployment,
  target: Address,
): Promise<boolean> {
  const { kmsAuth } = deployedAddresses(deployment)
  if ((await readState(client, kmsAuth, 'app', appKey(target))) === 'none') return false
  const found = (await implementationOf(client, target)).toLowerCase()
  if (recordedCodes(deployment, 'app').some(([, { address }]) => address === found)) return true
  return (await codeOfNewApps(client, kmsAuth)).toLowerCase() === found
}

/** @throws USAGE_INVALID, CONTRACT_MISSING, CONTRACT_MISMATCH, CHAIN_UNREACHABLE */
export async function requireApp(session: Session, text: string): Promise<Address> {
  const app = readAddress(text, 'app')
  await requireAnswer(session.publicClient, app, {
    name: 'app',
    abi: appAbi,
    functionName: 'noticePeriod',
    expected: 'an app of Assent',
    hint: 'Pass the app id that create-app printed.',
  })
  return app
}

async function timeOf({ publicClient }: Network): Promise<number> {
  try {
    return Number((await publicClient.getBlock()).timestamp)
  } catch (cause) {
    throw toChainError(cause, 'read the newest block')
  }
}

/** @throws CONFIRMATION_MISSING */
export async function confirm(
  { yes }: Pick<TransactionArguments, 'yes'>,
  json: boolean,
): Promise<void> {
  if (yes) return
  if (json || process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    throw new AssentError(
      'CONFIRMATION_MISSING',
      'Nothing was sent: a confirmation needs a terminal. Pass --yes to skip it.',
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`${pc.bold('Continue?')} [y/N] `)
  terminal.close()
  if (answer.trim().toLowerCase() === 'y') return
  throw new AssentError('CONFIRMATION_MISSING', 'Nothing was sent: the confirmation was declined.')
}

function chainOf(chainId: number, name: string): Chain {
  return defineChain({
    id: chainId,
    name,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [] } },
  })
}
