/** Input of the parts of the deployment check. */
import type { PublicClient } from 'viem'

import type { Addresses, Deployment } from '../record/deployments.ts'
import type { ExpectedSettings } from './expected-settings.ts'
import type { UpgradeableContractName } from './proxies.ts'

/** The deployment to check, and what is expected of it. */
export interface CheckContext {
  /** Reads the chain; the check sends no transaction. */
  readonly client: PublicClient
  /** The record that is checked. */
  readonly deployment: Deployment
  /** Addresses in that record. */
  readonly addresses: Addresses
  /** Upgradeable contracts with an owner in this deployment. */
  readonly names: readonly UpgradeableContractName[]
  /** The expected state of the chain. */
  readonly expected: ExpectedSettings
}
