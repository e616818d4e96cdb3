/** Checks which contract uses which other contract. */
import { zeroAddress } from 'viem'

import {
  appSignerAbi,
  appSignersAbi,
  bootLogAbi,
  hostsAbi,
  instancesAbi,
  kmsAuthAbi,
  requestsAbi,
  rootKeysAbi,
} from '../abi.ts'
import { implementationName } from '../record/deployments.ts'
import type { CheckContext } from './context.ts'
import { type DeploymentFinding, exactly, oneOf } from './finding.ts'

/**
 * Checks that the contracts refer to each other: host and image registry of `KmsAuth`, verifier and bonds of the
 * registries, implementation of new apps.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function checkWiring(context: CheckContext): Promise<DeploymentFinding[]> {
  return [
    ...(await checkKmsAuth(context)),
    ...(await checkHosts(context)),
    ...(await checkRootKeys(context)),
    ...(await checkBootLog(context)),
    ...(await checkInstances(context)),
    ...(await checkRequests(context)),
  ]
}

/** KmsAuth uses either no host and image registry, or those of this deployment. */
async function checkKmsAuth({
  client,
  addresses,
  deployment,
}: CheckContext): Promise<DeploymentFinding[]> {
  const kms = { address: addresses.kmsAuth, abi: kmsAuthAbi } as const
  const [implementation, hosts, images] = await Promise.all([
    client.readContract({ ...kms, functionName: 'appImplementation' }),
    client.readContract({ ...kms, functionName: 'hosts' }),
    client.readContract({ ...kms, functionName: 'images' }),
  ])
  const known = (address: typeof addresses.hosts) => [address ?? zeroAddress, zeroAddress]
  return [
    exactly(
      'APP_IMPLEMENTATION',
      'app implementation of kmsAuth, as recorded',
      [implementation],
      [deployment.contracts[implementationName(deployment, 'app')]?.address ?? zeroAddress],
    ),
    oneOf('HOSTS', 'host registry of kmsAuth', hosts, known(addresses.hosts)),
    oneOf('IMAGES', 'image registry of kmsAuth', images, known(addresses.images)),
  ]
}

async function checkHosts({ client, addresses }: CheckContext): Promise<DeploymentFinding[]> {
  const { hosts, hostBonds, quoteVerifier } = addresses
  if (hosts === undefined) return []
  const at = { address: hosts, abi: hostsAbi } as const
  const verifier = await client.readContract({ ...at, functionName: 'verifier' })
  const bonds = await client.readContract({ ...at, functionName: 'bonds' })
  return [
    exactly('VERIFIER', 'verifier of hosts', [verifier], [quoteVerifier ?? zeroAddress]),
    oneOf('BONDS', 'bond contract of hosts', bonds, [hostBonds ?? zeroAddress, zeroAddress]),
  ]
}

async function checkRootKeys({ client, addresses }: CheckContext): Promise<DeploymentFinding[]> {
  const { rootKeys, kmsAuth, quoteVerifier } = addresses
  if (rootKeys === undefined) return []
  const at = { address: rootKeys, abi: rootKeysAbi } as const
  const verifier = await client.readContract({ ...at, functionName: 'verifier' })
  const asked = await client.readContract({ ...at, functionName: 'kmsAuth' })
  return [
    exactly('VERIFIER', 'verifier of rootKeys', [verifier], [quoteVerifier ?? zeroAddress]),
    exactly('KMS_AUTH', 'kmsAuth of rootKeys', [asked], [kmsAuth]),
  ]
}

async function checkBootLog({ client, addresses }: CheckContext): Promise<DeploymentFinding[]> {
  const { bootLog, quoteVerifier } = addresses
  if (bootLog === undefined) return []
  const at = { address: bootLog, abi: bootLogAbi } as const
  const verifier = await client.readContract({ ...at, functionName: 'verifier' })
  return [exactly('VERIFIER', 'verifier of bootLog', [verifier], [quoteVerifier ?? zeroAddress])]
}

/** Requests asks the instances of this deployment, slashes its bonds, and pays its DAO. */
async function checkRequests({ client, addresses }: CheckContext): Promise<DeploymentFinding[]> {
  const { requests, instances, hostBonds, timelock } = addresses
  if (requests === undefined) return []
  const at = { address: requests, abi: requestsAbi } as const
  const asked = await Promise.all([
    client.readContract({ ...at, functionName: 'instances' }),
    client.readContract({ ...at, functionName: 'bonds' }),
    client.readContract({ ...at, functionName: 'dao' }),
  ])
  const recorded = [instances, hostBonds, timelock].map((each) => each ?? zeroAddress)
  return [exactly('REQUESTS', 'contracts of requests, and its DAO', asked, recorded)]
}

/** Instances asks the registries of this deployment, and the signers of apps ask it. */
async function checkInstances({ client, addresses }: CheckContext): Promise<DeploymentFinding[]> {
  const { instances, appSigner, appSigners, kmsAuth, images, rootKeys, bootLog } = addresses
  if (instances === undefined) return []
  const at = { address: instances, abi: instancesAbi } as const
  const asked = await Promise.all([
    client.readContract({ ...at, functionName: 'kmsAuth' }),
    client.readContract({ ...at, functionName: 'images' }),
    client.readContract({ ...at, functionName: 'rootKeys' }),
    client.readContract({ ...at, functionName: 'bootLog' }),
  ])
  const recorded = [kmsAuth, images, rootKeys, bootLog].map((each) => each ?? zeroAddress)
  const findings = [exactly('INSTANCES', 'registries that instances asks', asked, recorded)]
  if (appSigners === undefined) return findings
  const signers = { address: appSigners, abi: appSignersAbi } as const
  const implementation = await client.readContract({ ...signers, functionName: 'implementation' })
  const signer = { address: implementation, abi: appSignerAbi } as const
  const registry = await client.readContract({ ...signer, functionName: 'instances' })
  return [
    ...findings,
    exactly('INSTANCES', 'code of the app signers', [implementation], [appSigner ?? zeroAddress]),
    exactly('INSTANCES', 'registry of the app signers', [registry], [instances]),
  ]
}
