/** What every task stands on: one network, its deployment, its accounts, and how to speak to people. */
import { createInterface } from 'node:readline/promises'

import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import {
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
import { appAbi } from '../chain/abi.ts'
import { readBondTerms } from '../chain/bonds.ts'
import { type Clients, toChainError } from '../chain/call.ts'
import { implementationOf } from '../chain/check/code.ts'
import {
  type Addresses,
  type Deployment,
  deployedAddresses,
  readDeployment,
  recordedCodes,
  requireContract,
} from '../chain/deployments.ts'
import { type AddressBook, addressBook } from '../chain/governance/describe-call.ts'
import { readDaoSettings } from '../chain/governance/proposals.ts'
import { appKey, readState } from '../chain/registry.ts'
import { colors as pc } from '../cli/colors.ts'
import { codeOfNewApps, recordUpgrades } from '../deploy/upgrade.ts'
import { AssentError } from '../errors/index.ts'
import { readAddress } from './arguments.ts'

/** Options that every task has. */
export interface CommonArguments {
  readonly deployments: string
  readonly json: boolean
}

/** Options of tasks that send something. */
export interface TransactionArguments extends CommonArguments {
  readonly from?: string
  readonly yes: boolean
}

/** The DAO that is meant: the deployment's, unless another is named. */
export function governorOf({ addresses }: Session, named: string | undefined): Address {
  return named === undefined ? addresses.governor : readAddress(named, '--governor')
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
  /** The chain's time when the task began. */
  readonly now: number
  readonly say: Say
}

/** Text for people, or one JSON object for machines. */
export interface Say {
  line(text?: string): void
  heading(text: string): void
  /** Something that must not be overlooked. */
  warning(text: string): void
}

export function speak(json: boolean): Say {
  const line = json ? () => undefined : (text = '') => console.log(text)
  return {
    line,
    heading: (text) => line(pc.bold(text)),
    warning: (text) => line(pc.yellow(text)),
  }
}

/** Says now and then how far a long search through blocks is; says nothing of a short one. */
export function progressOf(say: Say, what: string): (read: bigint, total: bigint) => void {
  let next = Date.now() + 2_000
  return (read, total) => {
    if (Date.now() < next) return
    next = Date.now() + 5_000
    say.line(`${what}: ${read} of ${total} blocks are read.`)
  }
}

/** @throws USAGE_INVALID, CHAIN_UNREACHABLE */
export async function openNetwork(hre: HardhatRuntimeEnvironment): Promise<Network> {
  const connection = await hre.network.getOrCreate()
  if (connection.networkConfig.type !== 'http') {
    throw new AssentError(
      'USAGE_INVALID',
      'Say which network: --network <name of one in hardhat.config.ts>.',
      {
        facts: { network: connection.networkName },
        hint: 'The in-process chain begins empty and is forgotten at the end.',
      },
    )
  }
  const provider = connection.provider as unknown as EIP1193Provider
  const transport = custom(provider, { retryCount: 0 })
  const chainId = await createPublicClient({ transport })
    .getChainId()
    .catch((cause: unknown) => {
      throw toChainError(cause, 'ask for the chain id')
    })
  const publicClient = createPublicClient({
    chain: chainOf(chainId, connection.networkName),
    transport,
    cacheTime: 0,
    // a development chain answers at once
    pollingInterval: chainId === 31337 ? 50 : 2_000,
  }) as PublicClient
  return { name: connection.networkName, chainId, publicClient, provider }
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
  return { ...network, deployment, addresses, now: await timeOf(network), say: speak(json) }
}

/** Lets the record know which of its code is in force; returns the names of what it did not know. */
export async function updateRecord(
  { publicClient, deployment, say }: Session,
  { deployments }: Pick<CommonArguments, 'deployments'>,
): Promise<string[]> {
  const told = await recordUpgrades(publicClient, deployment, deployments)
  for (const each of told) say.line(`${each}: the record says now which code is in force`)
  return told
}

/** @throws SIGNER_UNCLEAR */
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

async function accountsOf({ provider }: Network): Promise<readonly Address[]> {
  try {
    return await provider.request({ method: 'eth_accounts' })
  } catch (cause) {
    throw toChainError(cause, 'ask for the accounts')
  }
}

/** Names for the deployment, for those of `targets` that are apps of its code, and for the DAO that was named. */
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

/** Registered, and of code that apps are or were made of; anything else may do whatever it likes. */
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

export async function requireApp(session: Session, text: string): Promise<Address> {
  const app = readAddress(text, '--app')
  await requireContract(session.publicClient, app, 'app')
  await session.publicClient
    .readContract({ address: app, abi: appAbi, functionName: 'noticePeriod' })
    .catch((cause: unknown) => {
      const error = toChainError(cause, 'ask the app for its notice')
      if (error.code === 'CHAIN_UNREACHABLE') throw error
      throw new AssentError('CONTRACT_MISMATCH', `${app} is no app of Assent.`, {
        cause: error,
        facts: { app },
        hint: 'Give the app’s id: the address that created-app printed.',
      })
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
      'Nothing was done: there is no terminal to ask on.',
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`${pc.bold('Do it?')} [y/N] `)
  terminal.close()
  if (answer.trim().toLowerCase() === 'y') return
  throw new AssentError('CONFIRMATION_MISSING', 'Nothing was done.')
}

function chainOf(chainId: number, name: string): Chain {
  return defineChain({
    id: chainId,
    name,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [] } },
  })
}
