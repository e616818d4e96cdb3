/** Input of the parts of the deployment check. */
import type { PublicClient } from 'viem'

import type { Addresses, Deployment } from '../deployments.ts'
import type { ExpectedSettings } from './expected-settings.ts'
import type { OwnedContractName } from './proxies.ts'

/** The deployment to check, and what is expected of it. */
export interface CheckContext {
  readonly client: PublicClient
  readonly deployment: Deployment
  readonly addresses: Addresses
  /** Upgradeable contracts with an owner in this deployment. */
  readonly names: readonly OwnedContractName[]
  readonly expected: ExpectedSettings
}
