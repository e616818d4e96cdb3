/** The context of commands that need a chain or a deployment. */
import type { Account, Address, Chain, PublicClient, Transport, WalletClient } from 'viem'

import type { Clients } from '../../chain/call.ts'
import type { Addresses, Deployment } from '../../chain/record/deployments.ts'
import type { ContractSources } from '../../deploy/contract-sources.ts'
import type { Context } from './context.ts'

/** A chain and the accounts that can sign on it. */
export interface Network {
  /** Name of the Hardhat network, or of the profile, or of the endpoint. */
  readonly name: string
  readonly chainId: number
  readonly publicClient: PublicClient
  /** Source of signatures: keystore, external signer, web3signer, or the node. */
  readonly accounts: Accounts
}

/** Accounts that can sign: of a keystore, of an external signer, of the node, or of Hardhat's configuration. */
export interface Accounts {
  /** @throws CONFIG_INVALID, CHAIN_UNREACHABLE, SIGNER_UNREACHABLE */
  list(): Promise<readonly Address[]>
  /** Only for an address of the list. */
  wallet(address: Address): Promise<WalletClient<Transport, Chain, Account>>
  /** For a signer that shows words to a person. */
  readonly explain?: Clients['explain']
  /** Ends what was opened for the signer. */
  close?(): Promise<void>
}

/** For a command that needs a deployment only for some of its arguments. */
export interface OnDemandContext extends Context {
  /** Opens it, at the first call. @throws CONFIG_INVALID, CHAIN_*, FILE_UNREADABLE, DEPLOYMENT_INVALID, CONTRACT_MISSING */
  openSession(): Promise<Session>
}

/** For a command that needs a chain. */
export interface ChainContext extends Context, Network {
  /** The folder of deployment records. */
  readonly deployments: string
  /** The account of `--from`, of the profile, or the only one. @throws SIGNER_UNCLEAR */
  signer(): Promise<Clients>
  /** The contracts of this version of Assent, compiled. */
  sources(): Promise<ContractSources>
}

/** For a command that needs a deployment. */
export interface Session extends ChainContext {
  /** The deployment record of the chain. */
  readonly deployment: Deployment
  /** Addresses of its contracts by name. */
  readonly addresses: Addresses
  /** The chain's time at the start of the command, in unix seconds. */
  readonly now: number
}
