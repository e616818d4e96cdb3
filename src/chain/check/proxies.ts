import type { ContractType } from '../governance/describe-call.ts'

/** Proxies with an owner, and the contract behind each. */
export const ownedContracts = {
  kmsAuth: 'KmsAuth',
  images: 'Images',
  hosts: 'Hosts',
  rootKeys: 'RootKeys',
  hostBonds: 'HostBonds',
} as const satisfies Record<string, ContractType>

export type OwnedContractName = keyof typeof ownedContracts
