/** Deployment records: addresses, blocks, arguments and compiler settings of the contracts of one chain. */
import { join } from 'node:path'

import type { Address, PublicClient } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { readBytes } from '../../lib/files.ts'
import { addressSchema, bytes32Schema } from '../../lib/schema.ts'
import { toChainError } from '../call.ts'

/** Name of a contract in the record or of its type. A record can come from another person, and its names are printed. */
const nameSchema = z.string().regex(/^[A-Za-z]\w{0,63}$/, 'a name of letters and digits')

/** Version as git or the compiler prints it. */
const versionSchema = z.string().regex(/^\w[\w.+-]{0,99}$/, 'letters, digits, dots, plus and minus')

const compilerSchema = z.strictObject({
  version: versionSchema,
  settings: z.record(z.string(), z.unknown()),
})

const contractSchema = z.strictObject({
  address: addressSchema,
  /** Name of the contract whose code is there. */
  contract: nameSchema,
  block: z.int().nonnegative(),
  transaction: bytes32Schema,
  /** Creator and the nonce of the creating transaction: the address follows from both. */
  deployer: addressSchema,
  nonce: z.int().nonnegative(),
  /** Arguments of the constructor, numbers as decimal text. */
  arguments: z.array(z.unknown()),
  /** For a proxy, the call that initialized it. */
  initializer: z.strictObject({ function: nameSchema, arguments: z.array(z.unknown()) }).optional(),
  /** Libraries that its code calls, by name. */
  libraries: z.record(nameSchema, addressSchema).optional(),
  /** For a `CreationCode`, the part of another contract's creation code that is stored in it (bytes `from` to `to`). */
  creationCodePart: z
    .strictObject({ contract: nameSchema, from: z.int().nonnegative(), to: z.int().positive() })
    .optional(),
  /** For upgradeable code: where it keeps what, as in snapshots/storage.json. */
  storage: z.array(z.string()).optional(),
  /** For code that was built from other sources than the deployment names (it waits or was replaced): its sources. */
  commit: versionSchema.optional(),
  compiler: compilerSchema.optional(),
  /** For a proxy that was upgraded, the name of its current code in the record. */
  implementation: nameSchema.optional(),
  /** For KmsAuth, the name of the code that new apps get, if it is not `appImplementation`. */
  appImplementation: nameSchema.optional(),
})

/**
 * One contract of a deployment record: where it is, and how it was created. The check can repeat the creation from it.
 */
export type DeployedContract = z.infer<typeof contractSchema>

/** A creation that was about to be sent when this was written: it may have been, or not. */
const intentSchema = z.strictObject({
  name: nameSchema,
  address: addressSchema,
  deployer: addressSchema,
  nonce: z.int().nonnegative(),
  /** keccak256 of the creation code with its arguments. */
  code: bytes32Schema,
  /** No earlier block has it. */
  sinceBlock: z.int().nonnegative(),
})

/**
 * A contract creation that the record announces before it is sent, so that a crash leaves no unknown contract behind.
 */
export type PlannedTransaction = z.infer<typeof intentSchema>

const deploymentSchema = z.strictObject({
  chainId: z.int().positive(),
  /** Commit of the sources, as git names it; `unknown` outside a repository. After an upgrade, that of the newest code. */
  commit: versionSchema,
  compiler: compilerSchema,
  contracts: z.record(nameSchema, contractSchema),
  /** Only during a deployment, or after a crash in the middle of one. */
  pending: intentSchema.optional(),
})

/** The deployment record of one chain, as `deployments/<chainId>.json` contains it. */
export type Deployment = z.infer<typeof deploymentSchema>

/** Names of the contracts without which a deployment is not complete. All other contracts are optional. */
export const requiredContracts = [
  'votes',
  'timelock',
  'governor',
  'appImplementation',
  'kmsAuthImplementation',
  'kmsAuth',
] as const

/** One of {@link requiredContracts}. */
export type ContractName = (typeof requiredContracts)[number]

/** Addresses by name. An optional contract is undefined if the record does not have it. */
export type Addresses = Record<ContractName, Address> & {
  /** Registry of base images and measurement sets. */
  readonly images?: Address
  /** Creates a DAO for an app. */
  readonly daoFactory?: Address
  /** Decides about a boot from a quote, on-chain. */
  readonly bootEvaluator?: Address
  /** Verifies quotes and stores collateral. */
  readonly quoteVerifier?: Address
  /** Records boots that a quote proves. */
  readonly bootLog?: Address
  /** Host registry. */
  readonly hosts?: Address
  /** Registry of the root public keys of the KMS. */
  readonly rootKeys?: Address
  /** Bonds of operators. */
  readonly hostBonds?: Address
  /** Roots that relayers post, by which a KMS node proves how old its view is. */
  readonly heartbeat?: Address
  /** Says which key speaks for which app. */
  readonly instances?: Address
  /** Code of the ERC-1271 signers of apps. */
  readonly appSigner?: Address
  /** Creates the ERC-1271 signers of apps. */
  readonly appSigners?: Address
  readonly requests?: Address
}

/**
 * Checks the JSON of a deployment record. Unknown members are refused.
 *
 * @throws DEPLOYMENT_INVALID with the wrong members in its message
 * @example const { contracts } = parseDeployment(JSON.parse(text))
 */
export function parseDeployment(json: unknown): Deployment {
  const parsed = deploymentSchema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('DEPLOYMENT_INVALID', `Deployment: ${describeIssues(parsed.error)}`)
}

/** Path of the record of a chain: `<folder>/<chainId>.json`. */
export function deploymentFile(folder: string, chainId: number): string {
  return join(folder, `${chainId}.json`)
}

/**
 * Reads the deployment record of a chain.
 *
 * @param folder usually `deployments`
 * @throws FILE_UNREADABLE if there is no record, DEPLOYMENT_INVALID if it is malformed or of another chain
 * @example
 * const deployment = await readDeployment('deployments', 11155111)
 * const { kmsAuth, hosts } = deployedAddresses(deployment)
 */
export async function readDeployment(folder: string, chainId: number): Promise<Deployment> {
  const deployment = await findDeployment(folder, chainId)
  if (deployment !== undefined) return deployment
  const file = deploymentFile(folder, chainId)
  throw new AssentError('FILE_UNREADABLE', `There is no deployment record ${file}.`, {
    facts: { file },
    hint: `Pass the folder that has ${chainId}.json: --deployments FOLDER, or deployments in the profile of assent.toml.`,
  })
}

/**
 * As {@link readDeployment}, but returns undefined if the file does not exist. Any other failure throws, so that an
 * unreadable record is not taken for a new chain.
 *
 * @throws FILE_UNREADABLE, DEPLOYMENT_INVALID
 * @example const record = (await findDeployment('deployments', 1)) ?? (await deployAgain())
 */
export async function findDeployment(
  folder: string,
  chainId: number,
): Promise<Deployment | undefined> {
  const file = deploymentFile(folder, chainId)
  const bytes = await readBytes(file).catch((error: AssentError) => {
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined
    throw error
  })
  if (bytes === undefined) return undefined
  const text = bytes.toString('utf8')
  return requireChain(parseDeployment(parseJson(text, file)), chainId, file)
}

/** @param file for the error @throws DEPLOYMENT_INVALID for the record of another chain */
export function requireChain(deployment: Deployment, chainId: number, file: string): Deployment {
  if (deployment.chainId === chainId) return deployment
  throw new AssentError('DEPLOYMENT_INVALID', `${file} is the record of another chain.`, {
    facts: { file, expected: chainId, found: deployment.chainId },
  })
}

/**
 * The addresses of a complete deployment.
 *
 * @throws DEPLOYMENT_INVALID if one of {@link requiredContracts} is missing
 * @example const { kmsAuth, governor } = deployedAddresses(await readDeployment('deployments', 1))
 */
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

/**
 * Name under which the record has the implementation that a proxy uses now.
 *
 * @param proxy name of a proxy, or `app` for the implementation that new apps get
 */
export function implementationName({ contracts }: Deployment, proxy: string): string {
  const named =
    proxy === 'app' ? contracts.kmsAuth?.appImplementation : contracts[proxy]?.implementation
  return named ?? `${proxy}Implementation`
}

/**
 * Name of the proxy to which a recorded implementation belongs, whether the proxy uses it now or not; `app` for
 * implementations of apps; undefined for a contract that is not an implementation.
 */
export function proxyOf({ contracts }: Deployment, name: string): string | undefined {
  const proxy = /^(\w+)Implementation\d*$/.exec(name)?.[1]
  if (proxy === undefined) return undefined
  return proxy === 'app' || contracts[proxy] !== undefined ? proxy : undefined
}

/**
 * All implementations that were ever recorded for a proxy, or for apps (`app`), also replaced ones and ones that are
 * not in use yet.
 */
export function recordedCodes(
  deployment: Deployment,
  proxy: string,
): readonly (readonly [name: string, code: DeployedContract])[] {
  return Object.entries(deployment.contracts).filter(
    ([name]) => proxyOf(deployment, name) === proxy,
  )
}

/**
 * Requires that there is code at an address. Without this check, a call to an address without code would succeed and
 * return nothing.
 *
 * @param name for the error message
 * @throws CONTRACT_MISSING, CHAIN_UNREACHABLE
 * @example await requireContract(client, kmsAuth, 'KmsAuth')
 */
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
