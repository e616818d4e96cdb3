/** What the parts of the deployment check share. */
import type { PublicClient } from 'viem'

import type { Addresses, Deployment } from '../deployments.ts'
import type { ExpectedSettings } from './expected-settings.ts'
import type { OwnedContractName } from './proxies.ts'

/** What each part of the check looks at. */
export interface CheckContext {
  readonly client: PublicClient
  readonly deployment: Deployment
  readonly addresses: Addresses
  /** Registries that this deployment has. */
  readonly names: readonly OwnedContractName[]
  readonly expected: ExpectedSettings
}
