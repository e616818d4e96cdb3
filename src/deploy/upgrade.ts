/**
 * Deploys new code for a proxy or for apps: compares its storage layout with the current code, creates it once and records
 * it. The owner makes it the current code; then the record is updated.
 */
import type { Address, PublicClient, StateOverride } from 'viem'

import { kmsAuthAbi } from '../chain/abi.ts'
import { toChainError } from '../chain/call.ts'
import { implementationOf, requireRecordedCode } from '../chain/check/code.ts'
import { upgradeableContracts } from '../chain/check/proxies.ts'
import {
  type DeployedContract,
  type Deployment,
  implementationName,
  recordedCodes,
} from '../chain/record/deployments.ts'
import { AssentError } from '../errors/index.ts'
import {
  foresee,
  type Placing,
  type PlacingOptions,
  place,
  type RecordOptions,
  type Run,
  startRun,
  writeDeployment,
} from './create-contract-once.ts'
import { type Layouts, moved } from './storage-layout.ts'

/** Names of upgradeable contracts in a deployment record, and `app`, with their contract types. */
export const upgradeable = { ...upgradeableContracts, app: 'App' } as const

/** Name of an upgradeable contract in the record, or `app`. */
export type UpgradeableName = keyof typeof upgradeable

/** Dependencies of an upgrade. */
export interface UpgradeOptions extends Omit<PlacingOptions, 'record' | 'storage'> {
  /** The record that is continued. */
  readonly record: RecordOptions
  /** Reads the storage layout of a contract of these sources. */
  readonly storage: (contract: string) => Promise<readonly string[]>
  /** Storage layouts of the last release, for records without storage layouts. */
  readonly released: Layouts
  /** The contract to upgrade. */
  readonly proxy: UpgradeableName
  /** Address of the current implementation: of the proxy, of one app, or of new apps. */
  readonly inForce: Address
  /** Contract type of the new code (default: the current one). */
  readonly contract?: string
}

/** A planned upgrade. Nothing was sent yet. */
export interface UpgradePlan {
  /** Contract type of the new code. */
  readonly contract: string
  /** Its current or future name in the record. */
  readonly name: string
  /** Address of the new code, also before it is deployed. */
  readonly address: Address
  /** Name of the current code in the record. */
  readonly replaces: string
  /** `all` if the new code uses all state of the current code; `less` if it is older and leaves newer state unused. */
  readonly keeps: 'all' | 'less'
  /** Deploys and records the code; undefined if it is already deployed. */
  readonly create: (() => Promise<Address>) | undefined
  /** State for simulations, as if the code were deployed. */
  readonly stateOverride: StateOverride
}

/**
 * Compares the code of these sources with the current code and plans the upgrade.
 *
 * @throws INPUT_INVALID if the proxy has the same code already, STORAGE_MOVED, DEPLOYMENT_INVALID, and as `deploy`
 */
export async function planUpgrade(options: UpgradeOptions): Promise<UpgradePlan> {
  const { proxy, storage, record } = options
  const run = await startRun(options)
  const contract = options.contract ?? upgradeable[proxy]
  const { name: replaces, code } = codeInForce(run.deployment, options)
  if (await isCodeOf(options, replaces, { ...code, contract })) {
    throw new AssentError('INPUT_INVALID', `${proxy} has the code of these sources already.`, {
      facts: { proxy, contract, implementation: code.address },
      hint: 'Check out the sources that it is to have, or name another contract of these with --code.',
    })
  }
  const now = await storage(contract)
  const before = code.storage ?? options.released[upgradeable[proxy]] ?? []
  const known = await findKnown(options, run.deployment, contract)
  // an older implementation can lack newer variables, which it leaves unchanged
  if (known === undefined || elsewhere(now, before).length > 0) {
    requireSamePlaces(before, now, proxy)
  }
  const keeps = elsewhere(before, now).length === 0 ? 'all' : 'less'
  if (known !== undefined) {
    return { contract, replaces, keeps, ...known, create: undefined, stateOverride: [] }
  }
  const placing: Placing = {
    name: nextName(run.deployment, proxy),
    contract,
    args: [],
    beside: { storage: [...now], commit: record.commit, compiler: record.compiler },
  }
  return { contract, replaces, keeps, ...(await planCreation(run, placing)) }
}

async function planCreation(run: Run, placing: Placing) {
  const { address, code } = await foresee(run, placing)
  return {
    name: placing.name,
    address,
    create: () => place(run, placing),
    stateOverride: [{ address, code }],
  }
}

/** @throws DEPLOYMENT_INVALID if the chain has other code than the record */
function codeInForce(
  deployment: Deployment,
  { proxy, inForce }: Pick<UpgradeOptions, 'proxy' | 'inForce'>,
): { name: string; code: DeployedContract } {
  const codes = recordedCodes(deployment, proxy)
  const found = codes.find(([, { address }]) => address === inForce.toLowerCase())
  if (found !== undefined) return { name: found[0], code: found[1] }
  throw new AssentError('DEPLOYMENT_INVALID', `${proxy} has other code than the record knows.`, {
    facts: { proxy, found: inForce, recorded: codes.map(([, { address }]) => address) },
    hint: 'Where that keeps what is not known here, so new code cannot be compared with it. Find out what it is; if you then know that some code fits, give the address of that.',
  })
}

async function isCodeOf(
  { publicClient, artifacts }: UpgradeOptions,
  name: string,
  code: DeployedContract,
): Promise<boolean> {
  try {
    await requireRecordedCode(
      publicClient,
      async (contract) => ({ linkReferences: {}, ...(await artifacts(contract)) }),
      name,
      code,
    )
    return true
  } catch (error) {
    if (error instanceof AssentError && error.code === 'CODE_MISMATCH') return false
    throw error
  }
}

/** @throws STORAGE_MOVED */
function requireSamePlaces(
  before: readonly string[],
  now: readonly string[],
  proxy: UpgradeableName,
): void {
  const gone = elsewhere(before, now)
  if (before.length > 0 && gone.length === 0) return
  throw new AssentError('STORAGE_MOVED', `The new code of ${proxy} does not keep what is there.`, {
    facts: { proxy, moved: gone },
  })
}

function elsewhere(before: readonly string[], now: readonly string[]): string[] {
  return moved({ it: before }, { it: now })
}

/** Finds recorded code of these sources that is not the current code: from a stopped run, an open vote or an earlier version. */
async function findKnown(
  options: UpgradeOptions,
  deployment: Deployment,
  contract: string,
): Promise<{ name: string; address: Address } | undefined> {
  for (const [name, code] of recordedCodes(deployment, options.proxy)) {
    if (code.address === options.inForce.toLowerCase()) continue
    if (await isCodeOf(options, name, { ...code, contract })) return { name, address: code.address }
  }
  return undefined
}

function nextName({ contracts }: Deployment, proxy: UpgradeableName): string {
  let number = 2
  while (contracts[`${proxy}Implementation${number}`] !== undefined) number++
  return `${proxy}Implementation${number}`
}

/* CURRENT CODE */

/**
 * Writes the current implementations into the record. Code outside the record is left to `assent deployment check`.
 *
 * @returns the names of what changed
 */
export async function recordUpgrades(
  client: PublicClient,
  deployment: Deployment,
  folder: string,
): Promise<string[]> {
  let record = deployment
  const changed: string[] = []
  for (const proxy of Object.keys(upgradeable) as UpgradeableName[]) {
    const found = await codeOnChain(client, record, proxy)
    const name = recordedCodes(record, proxy).find(([, { address }]) => address === found)?.[0]
    if (name === undefined || name === implementationName(record, proxy)) continue
    record = putInForce(record, proxy, name)
    changed.push(proxy)
  }
  if (changed.length > 0) await writeDeployment(folder, record)
  return changed
}

/** The implementation of a proxy or of new apps; undefined if the record has no such proxy. */
async function codeOnChain(
  client: PublicClient,
  { contracts }: Deployment,
  proxy: UpgradeableName,
): Promise<string | undefined> {
  const at = contracts[proxy === 'app' ? 'kmsAuth' : proxy]?.address
  if (at === undefined) return undefined
  const found =
    proxy === 'app' ? await codeOfNewApps(client, at) : await implementationOf(client, at)
  return found.toLowerCase()
}

/** The implementation of new apps. @throws CHAIN_UNREACHABLE */
export async function codeOfNewApps(client: PublicClient, kmsAuth: Address): Promise<Address> {
  const contract = { address: kmsAuth, abi: kmsAuthAbi } as const
  try {
    return await client.readContract({ ...contract, functionName: 'appImplementation' })
  } catch (cause) {
    throw toChainError(cause, 'read the code of new apps')
  }
}

/**
 * The commit and compiler of a deployment are those of the newest current code. Code from other sources has its own commit
 * and compiler in its entry.
 */
function putInForce(deployment: Deployment, proxy: UpgradeableName, name: string): Deployment {
  const { commit, compiler } = deployment
  const {
    commit: itsCommit,
    compiler: itsCompiler,
    ...inForce
  } = deployment.contracts[name] as DeployedContract
  const now = { commit: itsCommit ?? commit, compiler: itsCompiler ?? compiler }
  const others = Object.entries(deployment.contracts).map(([each, contract]) => {
    const { commit: own = commit, compiler: ownCompiler = compiler, ...rest } = contract
    return [
      each,
      {
        ...rest,
        ...(own === now.commit ? {} : { commit: own }),
        ...(isSame(ownCompiler, now.compiler) ? {} : { compiler: ownCompiler }),
      },
    ] as const
  })
  const contracts: Record<string, DeployedContract> = {
    ...Object.fromEntries(others),
    [name]: inForce,
  }
  const [holder, field] =
    proxy === 'app'
      ? (['kmsAuth', 'appImplementation'] as const)
      : ([proxy, 'implementation'] as const)
  contracts[holder] = { ...(contracts[holder] as DeployedContract), [field]: name }
  return { ...deployment, ...now, contracts }
}

function isSame(one: Deployment['compiler'], other: Deployment['compiler']): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
