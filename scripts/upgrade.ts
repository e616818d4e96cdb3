/**
 * New code for a proxy: created once, compared with what it replaces, recorded. Who decides puts it in force; then
 * the record is told.
 */
import type { Address, PublicClient } from 'viem'

import { implementationOf, requireRecordedCode } from '../src/chain/check/code.ts'
import { type OwnedName, owned } from '../src/chain/check/owned.ts'
import {
  type DeployedContract,
  type Deployment,
  implementationName,
  proxyOf,
} from '../src/chain/deployments.ts'
import { AssentError } from '../src/errors/index.ts'
import {
  type PlacingOptions,
  place,
  type RecordOptions,
  startRun,
  writeDeployment,
} from './placing.ts'
import { type Layouts, moved } from './storage.ts'

export interface UpgradeOptions extends Omit<PlacingOptions, 'record' | 'storage'> {
  readonly record: RecordOptions
  readonly storage: (contract: string) => Promise<readonly string[]>
  /** Where the last release keeps what: of records that do not say it themselves. */
  readonly released: Layouts
  readonly proxy: OwnedName
  /** Whose code; that of the contract there now if absent. */
  readonly contract?: string
}

/**
 * Creates what is to be behind the proxy, unless the record or the chain says that it is done.
 *
 * @returns its address
 * @throws INPUT_INVALID if the same code is in force, STORAGE_MOVED, DEPLOYMENT_INVALID, CODE_MISMATCH, and as `deploy`
 */
export async function placeUpgrade(options: UpgradeOptions): Promise<Address> {
  const { proxy, storage, record, publicClient } = options
  const run = await startRun(options)
  const contract = options.contract ?? owned[proxy]
  const { name, code } = await codeInForce(publicClient, run.deployment, proxy)
  if (await isCodeOf(options, name, { ...code, contract })) {
    throw new AssentError('INPUT_INVALID', `${proxy} has the code of these sources already.`, {
      facts: { proxy, contract, implementation: code.address },
    })
  }
  const now = await storage(contract)
  const before = code.storage ?? options.released[owned[proxy]] ?? []
  const known = await findKnown(options, run.deployment, contract)
  // what was there before may know less: it leaves alone what came after it
  if (known === undefined || elsewhere(now, before).length > 0) {
    requireSamePlaces(before, now, proxy)
  }
  if (known !== undefined) return known
  return place(run, {
    name: nextName(run.deployment, proxy),
    contract,
    args: [],
    beside: { storage: [...now], commit: record.commit, compiler: record.compiler },
  })
}

/** @throws DEPLOYMENT_INVALID if the chain has other code than the record */
async function codeInForce(
  client: PublicClient,
  deployment: Deployment,
  proxy: OwnedName,
): Promise<{ name: string; code: DeployedContract }> {
  const name = implementationName(deployment, proxy)
  const [at, code] = [deployment.contracts[proxy]?.address, deployment.contracts[name]]
  if (at === undefined || code === undefined) {
    throw new AssentError('DEPLOYMENT_INVALID', `${proxy} is not in the record.`)
  }
  const found = (await implementationOf(client, at)).toLowerCase()
  if (found === code.address) return { name, code }
  throw new AssentError('DEPLOYMENT_INVALID', `${proxy} has other code than the record says.`, {
    facts: { proxy, found, recorded: code.address },
    hint: 'If the DAO decided it, find out what it is before anything else is put there.',
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
  proxy: OwnedName,
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

/** Created before, of these very sources, and not in force: a run that stopped, a vote that goes on, code of before. */
async function findKnown(
  options: UpgradeOptions,
  deployment: Deployment,
  contract: string,
): Promise<Address | undefined> {
  const inForce = implementationName(deployment, options.proxy)
  for (const [name, code] of Object.entries(deployment.contracts)) {
    if (proxyOf(deployment, name) !== options.proxy || name === inForce) continue
    if (await isCodeOf(options, name, { ...code, contract })) return code.address
  }
  return undefined
}

function nextName({ contracts }: Deployment, proxy: OwnedName): string {
  let number = 2
  while (contracts[`${proxy}Implementation${number}`] !== undefined) number++
  return `${proxy}Implementation${number}`
}

/* IN FORCE */

/**
 * Tells the record which of its code is in force; what the record does not know it leaves to the check.
 *
 * @returns the proxies that changed
 */
export async function recordUpgrades(
  client: PublicClient,
  deployment: Deployment,
  folder: string,
): Promise<string[]> {
  let record = deployment
  const changed: string[] = []
  for (const proxy of Object.keys(owned)) {
    const at = record.contracts[proxy]?.address
    if (at === undefined) continue
    const found = (await implementationOf(client, at)).toLowerCase()
    const name = Object.keys(record.contracts).find(
      (each) =>
        proxyOf(record, each) === proxy && record.contracts[each]?.address.toLowerCase() === found,
    )
    if (name === undefined || name === implementationName(record, proxy)) continue
    record = putInForce(record, proxy, name)
    changed.push(proxy)
  }
  if (changed.length > 0) await writeDeployment(folder, record)
  return changed
}

/** What is replaced keeps its sources beside it; those of the deployment are those of what is in force. */
function putInForce(deployment: Deployment, proxy: string, name: string): Deployment {
  const { contracts, commit, compiler } = deployment
  const before = implementationName(deployment, proxy)
  const {
    commit: itsCommit,
    compiler: itsCompiler,
    ...inForce
  } = contracts[name] as DeployedContract
  return {
    ...deployment,
    commit: itsCommit ?? commit,
    compiler: itsCompiler ?? compiler,
    contracts: {
      ...contracts,
      [before]: { ...(contracts[before] as DeployedContract), commit, compiler },
      [name]: inForce,
      [proxy]: { ...(contracts[proxy] as DeployedContract), implementation: name },
    },
  }
}
