/** The contracts that calls can go to, with their names and types, so that the calls can be described. */
import type { Address, PublicClient } from 'viem'
import { appKey } from '../../chain/approval.ts'
import { implementationOf } from '../../chain/check/code.ts'
import { type AddressBook, addressBook } from '../../chain/governance/describe-call.ts'
import { readDaoSettings } from '../../chain/governance/proposals.ts'
import {
  type Addresses,
  type Deployment,
  deployedAddresses,
  recordedCodes,
} from '../../chain/record/deployments.ts'
import { isProxyOfAssent } from '../../chain/registries/app.ts'
import { readBondTerms } from '../../chain/registries/bonds.ts'
import { readState } from '../../chain/registries/registry.ts'
import { codeOfNewApps } from '../../deploy/upgrade.ts'
import type { Session } from '../session/session.ts'

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

/** A registered app with Assent's code, proxy included. Calls of other contracts cannot be described. */
async function isApp(
  client: PublicClient,
  deployment: Deployment,
  target: Address,
): Promise<boolean> {
  const { kmsAuth } = deployedAddresses(deployment)
  if ((await readState(client, kmsAuth, 'app', appKey(target))) === 'none') return false
  if (!(await isProxyOfAssent(client, target, kmsAuth))) return false
  const found = (await implementationOf(client, target)).toLowerCase()
  if (recordedCodes(deployment, 'app').some(([, { address }]) => address === found)) return true
  return (await codeOfNewApps(client, kmsAuth)).toLowerCase() === found
}
