/** The contexts of commands that need a chain or a deployment. */
import type { Address } from 'viem'

import { type Clients, toChainError } from '../../chain/call.ts'
import {
  deployedAddresses,
  readDeployment,
  requireContract,
} from '../../chain/record/deployments.ts'
import type { ContractSources } from '../../deploy/contract-sources.ts'
import { AssentError } from '../../errors/index.ts'
import { readAddress } from '../input/arguments.ts'
import type { Context } from './context.ts'
import type { ChainContext, Network, Session } from './session.ts'

/** What a front door adds to a network. */
export interface ChainParts {
  /** Folder of the deployment records. */
  readonly deployments: string
  /** The account of `--from`, or of the profile. */
  readonly from: string | undefined
  readonly sources: () => Promise<ContractSources>
}

/** Adds the chain to a context. The deployment record is read by the commands that need it. */
export function openChain(
  context: Context,
  network: Network,
  { deployments, from, sources }: ChainParts,
): ChainContext {
  return {
    ...context,
    ...network,
    deployments,
    sources,
    signer: () => chooseSigner(network, from),
    close: async () => network.accounts.close?.(),
  }
}

/** @throws FILE_UNREADABLE, DEPLOYMENT_INVALID, CONTRACT_MISSING, CHAIN_UNREACHABLE */
export async function openDeployment(chain: ChainContext): Promise<Session> {
  const { publicClient, deployments, chainId } = chain
  const deployment = await readDeployment(deployments, chainId)
  const addresses = deployedAddresses(deployment)
  await requireContract(publicClient, addresses.kmsAuth, 'kmsAuth')
  return { ...chain, deployment, addresses, now: await timeOf(chain) }
}

async function timeOf({ publicClient }: Network): Promise<number> {
  try {
    return Number((await publicClient.getBlock()).timestamp)
  } catch (cause) {
    throw toChainError(cause, 'read the newest block')
  }
}

/** The clients for the account that signs. @throws SIGNER_UNCLEAR if none or several accounts fit */
async function chooseSigner(
  { name, publicClient, accounts }: Network,
  from: string | undefined,
): Promise<Clients> {
  const wanted = from === undefined ? undefined : readAddress(from, '--from').toLowerCase()
  const all = await accounts.list()
  const chosen = all.filter((each) => wanted === undefined || each.toLowerCase() === wanted)
  if (chosen.length !== 1) {
    throw new AssentError(
      'SIGNER_UNCLEAR',
      wanted === undefined
        ? `The network ${name} has ${all.length} accounts.`
        : `The network ${name} has no account ${from}.`,
      { facts: { network: name, accounts: all } },
    )
  }
  const walletClient = await accounts.wallet(chosen[0] as Address)
  const { explain } = accounts
  return { publicClient, walletClient, ...(explain === undefined ? {} : { explain }) }
}
