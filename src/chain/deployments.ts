/** Where the contracts of one chain are, and how they came there: deployments/<chainId>.json. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Address, PublicClient } from 'viem'
import { z } from 'zod'

import { AssentError } from '../errors/index.ts'
import { describeIssues } from '../lib/config.ts'
import { addressSchema, bytes32Schema } from '../lib/schema.ts'
import { toChainError } from './call.ts'

const compilerSchema = z.strictObject({
  version: z.string(),
  settings: z.record(z.string(), z.unknown()),
})

const contractSchema = z.strictObject({
  address: addressSchema,
  /** Name of the contract whose code is there. */
  contract: z.string(),
  block: z.int().nonnegative(),
  transaction: bytes32Schema,
  /** Who created it, with which of his transactions: both together are its address. */
  deployer: addressSchema,
  nonce: z.int().nonnegative(),
  /** Arguments of the constructor, numbers as decimal text. */
  arguments: z.array(z.unknown()),
  /** Of a proxy: the call that initialized it. */
  initializer: z.strictObject({ function: z.string(), arguments: z.array(z.unknown()) }).optional(),
  /** Libraries that its code calls, by name. */
  libraries: z.record(z.string(), addressSchema).optional(),
  /** Of a `CreationCode`: which bytes of which contract's creation code it holds. */
  holds: z
    .strictObject({ contract: z.string(), from: z.int().nonnegative(), to: z.int().positive() })
    .optional(),
  /** Of upgradeable code: where it keeps what, as in snapshots/storage.json. */
  storage: z.array(z.string()).optional(),
  /** Of what has other sources than those that the deployment names, as code that waits or was replaced: its own. */
  commit: z.string().optional(),
  compiler: compilerSchema.optional(),
  /** Of a proxy that was upgraded: the name of the code in force, here in the record. */
  implementation: z.string().optional(),
  /** Of KmsAuth: the name of the code that new apps get, if it is not `appImplementation`. */
  appImplementation: z.string().optional(),
})

export type DeployedContract = z.infer<typeof contractSchema>

/** A creation that was about to be sent when this was written: it may have been, or not. */
const intentSchema = z.strictObject({
  name: z.string(),
  address: addressSchema,
  deployer: addressSchema,
  nonce: z.int().nonnegative(),
  /** keccak256 of the creation code with its arguments. */
  code: bytes32Schema,
  /** No earlier block has it. */
  sinceBlock: z.int().nonnegative(),
})

export type PlannedTransaction = z.infer<typeof intentSchema>

const deploymentSchema = z.strictObject({
  chainId: z.int().positive(),
  /** Commit of the sources, as git names it; `unknown` outside a repository. After an upgrade, that of the newest code. */
  commit: z.string(),
  compiler: compilerSchema,
  contracts: z.record(z.string(), contractSchema),
  /** Only while a deployment goes on, or after a crash in the middle of one. */
  pending: intentSchema.optional(),
})

export type Deployment = z.infer<typeof deploymentSchema>

/** Contracts without which Assent does nothing. */
export const requiredContracts = [
  'votes',
  'timelock',
  'governor',
  'appImplementation',
  'kmsAuthImplementation',
  'kmsAuth',
] as const

export type ContractName = (typeof requiredContracts)[number]

/** Those of the registries built on quotes are there if the deployment has them. */
export type Addresses = Record<ContractName, Address> & {
  readonly images?: Address
  readonly daoFactory?: Address
  readonly bootEvaluator?: Address
  readonly quoteVerifier?: Address
  readonly bootLog?: Address
  readonly hosts?: Address
  readonly rootKeys?: Address
  readonly hostBonds?: Address
}

/** @throws DEPLOYMENT_INVALID */
export function parseDeployment(json: unknown): Deployment {
  const parsed = deploymentSchema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('DEPLOYMENT_INVALID', `Deployment: ${describeIssues(parsed.error)}`)
}

export function deploymentFile(folder: string, chainId: number): string {
  return join(folder, `${chainId}.json`)
}

/** @throws FILE_UNREADABLE, DEPLOYMENT_INVALID */
export async function readDeployment(folder: string, chainId: number): Promise<Deployment> {
  const deployment = await findDeployment(folder, chainId)
  if (deployment !== undefined) return deployment
  const file = deploymentFile(folder, chainId)
  throw new AssentError('FILE_UNREADABLE', `There is no deployment record ${file}.`, {
    facts: { file },
  })
}

/** Only a file that is not there means that nothing is recorded. @throws FILE_UNREADABLE, DEPLOYMENT_INVALID */
export async function findDeployment(
  folder: string,
  chainId: number,
): Promise<Deployment | undefined> {
  const file = deploymentFile(folder, chainId)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
  const deployment = parseDeployment(parseJson(text, file))
  if (deployment.chainId === chainId) return deployment
  throw new AssentError('DEPLOYMENT_INVALID', `${file} is the record of another chain.`, {
    facts: { file, expected: chainId, found: deployment.chainId },
  })
}

/** The addresses of a complete deployment. @throws DEPLOYMENT_INVALID */
export function deployedAddresses(deployment: Deployment): Addresses {
  const missing = requiredContracts.filter((name) => deployment.contracts[name] === undefined)
  if (missing.length > 0) {
    throw new AssentError('DEPLOYMENT_INVALID', `Not deployed: ${missing.join(', ')}.`, {
      facts: { missing },
    })
  }
  return Object.fromEntries(
    Object.entries(deployment.contracts).map(([name, { address }]) => [name, address]),
  ) as Addresses
}

/** The name under which the code behind a proxy is recorded; behind new apps, if it is `app`. */
export function implementationName({ contracts }: Deployment, proxy: string): string {
  const named =
    proxy === 'app' ? contracts.kmsAuth?.appImplementation : contracts[proxy]?.implementation
  return named ?? `${proxy}Implementation`
}

/** The proxy for which this is code, in force or not; `app` if it is for apps. */
export function proxyOf({ contracts }: Deployment, name: string): string | undefined {
  const proxy = /^(\w+)Implementation\d*$/.exec(name)?.[1]
  if (proxy === undefined) return undefined
  return proxy === 'app' || contracts[proxy] !== undefined ? proxy : undefined
}

/** All code that was ever recorded for a proxy, or for apps (`app`). */
export function recordedCodes(
  deployment: Deployment,
  proxy: string,
): readonly (readonly [name: string, code: DeployedContract])[] {
  return Object.entries(deployment.contracts).filter(
    ([name]) => proxyOf(deployment, name) === proxy,
  )
}

/** Nothing is asked of an address without code. @throws CONTRACT_MISSING, CHAIN_UNREACHABLE */
export async function requireContract(
  client: PublicClient,
  address: Address,
  name: string,
): Promise<void> {
  const code = await client.getCode({ address }).catch((cause: unknown) => {
    throw toChainError(cause, `read the code of ${name}`)
  })
  if (code !== undefined && code !== '0x') return
  throw new AssentError('CONTRACT_MISSING', `There is no contract at ${address} (${name}).`, {
    facts: { name, address },
  })
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AssentError('DEPLOYMENT_INVALID', `${file} is not JSON.`, { cause, facts: { file } })
  }
}
