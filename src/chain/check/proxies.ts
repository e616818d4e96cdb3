import type { ContractType } from '../governance/describe-call.ts'

/** Upgradeable contracts with an owner, by name in the deployment record, and the contract type behind each proxy. */
export const upgradeableContracts = {
  kmsAuth: 'KmsAuth',
  images: 'Images',
  hosts: 'Hosts',
  rootKeys: 'RootKeys',
  hostBonds: 'HostBonds',
} as const satisfies Record<string, ContractType>

/** Name of an upgradeable contract in the deployment record. */
export type UpgradeableContractName = keyof typeof upgradeableContracts
