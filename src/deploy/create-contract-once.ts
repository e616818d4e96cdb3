/**
 * One contract, created exactly once, whatever happens in between.
 *
 * Before anything is sent, the record says what will be: address, nonce, code. After a crash the chain tells
 * whether it happened. A nonce is used once, so that sending again can never create a second one.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'

import { type Address, getContractAddress, isAddressEqual, keccak256, type Transaction } from 'viem'

import { type Clients, toChainError } from '../chain/call.ts'
import { creationCodeOf, recreateCode } from '../chain/check/code.ts'
import {
  type DeployedContract,
  type Deployment,
  deploymentFile,
  findDeployment,
  type PlannedTransaction,
  requireContract,
} from '../chain/deployments.ts'
import type { LinkableArtifact } from '../chain/verifier/verifier.ts'
import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'

/** What a compiler made of one contract. */
export type Artifact = Pick<LinkableArtifact, 'abi' | 'bytecode'> & Partial<LinkableArtifact>

export interface PlacingOptions extends Clients {
  readonly artifacts: (contract: string) => Promise<Artifact>
  /** Where an upgradeable contract keeps what; the record says it to those who upgrade. */
  readonly storage?: (contract: string) => Promise<readonly string[]>
  /** Writes `deployments/<chainId>.json` here and resumes from it. */
  readonly record?: RecordOptions
  /** Told each step in words. */
  readonly onStep?: (words: string) => void
}

export interface RecordOptions {
  readonly folder: string
  readonly commit: string
  readonly compiler: Deployment['compiler']
}

/** A deployment under way. */
export interface Run {
  readonly options: PlacingOptions
  deployment: Deployment
}

/** What is to be created. */
export interface Placing {
  /** Its name in the record. */
  readonly name: string
  readonly contract: string
  readonly args: readonly unknown[]
  readonly initializer?: DeployedContract['initializer']
  readonly libraries?: Readonly<Record<string, Address>>
  readonly holds?: DeployedContract['holds']
  /** What else the record says about it. */
  readonly beside?: Pick<DeployedContract, 'storage' | 'commit' | 'compiler'>
}

/** Continues the recorded deployment of this chain, or begins one. @throws DEPLOYMENT_INVALID, FILE_UNREADABLE */
export async function startRun(options: PlacingOptions): Promise<Run> {
  const chainId = await options.publicClient.getChainId().catch((cause: unknown) => {
    throw toChainError(cause, 'ask for the chain id')
  })
  const { record } = options
  const fresh: Deployment = {
    chainId,
    commit: record?.commit ?? 'unknown',
    compiler: record?.compiler ?? { version: 'unknown', settings: {} },
    contracts: {},
  }
  if (record === undefined) return { options, deployment: fresh }
  return { options, deployment: (await findDeployment(record.folder, chainId)) ?? fresh }
}

/** Creates one contract, unless the record or the chain says that it is done. */
export async function place(run: Run, placing: Placing): Promise<Address> {
  const { options, deployment } = run
  const recordable = recordedArguments(placing)
  const known = deployment.contracts[placing.name]
  if (known !== undefined) {
    await requireRecorded(run, placing.name, known, recordable)
    return known.address
  }
  const code = await creationCode(options, placing)
  const intent = await intend(run, placing.name, code)
  const created = (await findCreation(options, intent)) ?? (await create(options, intent, code))
  const { address, deployer, nonce } = intent
  const { initializer, libraries, holds, beside } = placing
  deployment.contracts[placing.name] = {
    address,
    contract: placing.contract,
    ...created,
    deployer,
    nonce,
    arguments: recordable,
    ...(initializer === undefined ? {} : { initializer }),
    ...(libraries === undefined ? {} : { libraries }),
    ...(holds === undefined ? {} : { holds }),
    ...beside,
  }
  const { pending: _, ...done } = deployment
  run.deployment = done
  await writeRecord(run)
  options.onStep?.(`${placing.name}: ${placing.contract} at ${address}`)
  return address
}

async function creationCode(
  { artifacts }: PlacingOptions,
  { contract, args, libraries = {} }: Placing,
): Promise<Hex> {
  const { abi, bytecode, linkReferences = {} } = await artifacts(contract)
  return creationCodeOf({ abi, bytecode, linkReferences }, args, libraries)
}

/* WHAT WILL BE */

/** Writes down what is about to be sent; an earlier intent of the same step stays as it is. */
async function intend(run: Run, name: string, code: Hex): Promise<PlannedTransaction> {
  const begun = await openIntent(run, name, code)
  if (begun !== undefined) return begun
  const intent = await newIntent(run.options, name, keccak256(code))
  run.deployment = { ...run.deployment, pending: intent }
  await writeRecord(run)
  return intent
}

/** The same step, begun before. @throws DEPLOYMENT_INVALID if another one is, or somebody else's */
async function openIntent(
  { options, deployment: { pending } }: Run,
  name: string,
  code: Hex,
): Promise<PlannedTransaction | undefined> {
  if (pending === undefined) return undefined
  const isSent = (await transactionCount(options, pending.deployer)) > pending.nonce
  // what was sent is there, or something else used its nonce and it cannot be
  if (isSent && (await findCreation(options, pending)) === undefined) return undefined
  const { deployer, nonce } = pending
  const wanted = keccak256(code)
  if (pending.name !== name || pending.code !== wanted) {
    throw new AssentError('DEPLOYMENT_INVALID', `The record waits for another ${pending.name}.`, {
      facts: { name, recorded: pending.code, wanted, deployer, nonce },
      hint: isSent
        ? 'Resume with the sources and rules with which it was begun.'
        : 'Resume with the sources and rules with which it was begun; or give it up: any other transaction of its deployer takes its nonce.',
    })
  }
  const { address } = options.walletClient.account
  if (isSent || isAddressEqual(address, deployer)) return pending
  throw new AssentError('DEPLOYMENT_INVALID', `${name} was begun by another account.`, {
    facts: { name, deployer, nonce, account: address },
    hint: `Go on with that one: --from ${deployer}.`,
  })
}

/** What `place` would create now, if nothing comes between. */
export interface Foreseen extends Pick<PlannedTransaction, 'address' | 'deployer' | 'nonce'> {
  /** The code that will be there. */
  readonly code: Hex
}

/** @throws DEPLOYMENT_INVALID, CALL_REVERTED */
export async function foresee(run: Run, placing: Placing): Promise<Foreseen> {
  const { options } = run
  const creation = await creationCode(options, placing)
  const { address, deployer, nonce } =
    (await openIntent(run, placing.name, creation)) ??
    (await newIntent(options, placing.name, keccak256(creation)))
  const code = await recreateCode(options.publicClient, { address, deployer, nonce }, creation)
  return { address, deployer, nonce, code: code ?? '0x' }
}

async function newIntent(
  options: PlacingOptions,
  name: string,
  code: Hex,
): Promise<PlannedTransaction> {
  const deployer = options.walletClient.account.address
  const nonce = await transactionCount(options, deployer)
  const block = await options.publicClient
    .getBlockNumber({ cacheTime: 0 })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the newest block')
    })
  return {
    name,
    address: getContractAddress({ from: deployer, nonce: BigInt(nonce) }).toLowerCase() as Address,
    deployer: deployer.toLowerCase() as Address,
    nonce,
    code,
    sinceBlock: Number(block),
  }
}

async function transactionCount(
  { publicClient }: PlacingOptions,
  address: Address,
): Promise<number> {
  try {
    return await publicClient.getTransactionCount({ address })
  } catch (cause) {
    throw toChainError(cause, `count the transactions of ${address}`)
  }
}

/* WHAT IS */

interface Created {
  readonly block: number
  readonly transaction: Hex
}

/**
 * The creation that was intended, if it is on the chain; undefined if its nonce is free or something else's.
 *
 * @throws TRANSACTION_REVERTED, CHAIN_TIMEOUT if the node counts a transaction and does not show it
 */
async function findCreation(
  options: PlacingOptions,
  intent: PlannedTransaction,
): Promise<Created | undefined> {
  if ((await transactionCount(options, intent.deployer)) <= intent.nonce) return undefined
  const found = await findCounted(options, intent)
  if (found.to !== null || keccak256(found.input) !== intent.code) return undefined
  return {
    block: Number(found.blockNumber),
    transaction: await requireSuccess(options, found.hash, intent),
  }
}

/** Nodes count a transaction before they show its block. */
const settleMs = 10_000

async function findCounted(
  options: PlacingOptions,
  intent: PlannedTransaction,
): Promise<Transaction> {
  const until = Date.now() + settleMs
  do {
    const found = await findTransaction(options, intent)
    if (found !== undefined) return found
    await pause(options)
  } while (Date.now() < until)
  throw notThere(intent)
}

async function findTransaction(
  { publicClient }: PlacingOptions,
  intent: PlannedTransaction,
): Promise<Transaction | undefined> {
  try {
    const head = await publicClient.getBlockNumber({ cacheTime: 0 })
    for (let number = BigInt(intent.sinceBlock); number <= head; number++) {
      const block = await publicClient.getBlock({ blockNumber: number, includeTransactions: true })
      const found = block.transactions.find((each) => isOf(each, intent))
      if (found !== undefined) return found
    }
    return undefined
  } catch (cause) {
    throw toChainError(cause, `look for ${intent.name}`)
  }
}

function isOf({ from, nonce }: Transaction, intent: PlannedTransaction): boolean {
  return from.toLowerCase() === intent.deployer && nonce === intent.nonce
}

async function requireSuccess(
  { publicClient }: PlacingOptions,
  hash: Hex,
  { name }: PlannedTransaction,
): Promise<Hex> {
  const { status } = await publicClient.getTransactionReceipt({ hash }).catch((cause: unknown) => {
    throw toChainError(cause, `look for ${name}`)
  })
  if (status === 'success') return hash
  throw new AssentError('TRANSACTION_REVERTED', `${name} was not deployed.`, {
    facts: { name, transaction: hash },
  })
}

const waitMs = 300_000

async function create(
  options: PlacingOptions,
  intent: PlannedTransaction,
  code: Hex,
): Promise<Created> {
  const { walletClient } = options
  const { name, nonce } = intent
  try {
    await walletClient.sendTransaction({ data: code, nonce })
  } catch (cause) {
    // sent before the crash and not yet in a block, the node knows it already
    if (!/already known|underpriced|already imported|nonce/i.test(String(cause))) {
      throw toChainError(cause, `deploy ${name}`)
    }
  }
  const until = Date.now() + waitMs
  while (Date.now() < until) {
    // counted before looking: between the two it may come
    const isUsed = (await transactionCount(options, intent.deployer)) > nonce
    const created = await findCreation(options, intent)
    if (created !== undefined) return created
    if (isUsed) break
    await pause(options)
  }
  throw notThere(intent)
}

function pause({ publicClient }: PlacingOptions): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, publicClient.pollingInterval))
}

function notThere({ name, nonce, address }: PlannedTransaction): AssentError {
  return new AssentError('CHAIN_TIMEOUT', `${name} is not on the chain.`, {
    facts: { name, nonce, address },
    hint: 'Run the same command again: what was sent is found, and nothing is sent twice.',
  })
}

/** A record is only continued if it was made with the same arguments and its code is on this chain. */
async function requireRecorded(
  { options }: Run,
  name: string,
  known: DeployedContract,
  args: readonly unknown[],
): Promise<void> {
  if (JSON.stringify(known.arguments) !== JSON.stringify(args)) {
    throw new AssentError('DEPLOYMENT_INVALID', `${name} is recorded with other arguments.`, {
      facts: { name, recorded: known.arguments, wanted: args },
    })
  }
  await requireContract(options.publicClient, known.address, name)
}

/* THE RECORD */

async function writeRecord({ options, deployment }: Run): Promise<void> {
  if (options.record !== undefined) await writeDeployment(options.record.folder, deployment)
}

/** Replaced whole, so that a crash leaves the old file or the new one. */
export async function writeDeployment(folder: string, deployment: Deployment): Promise<void> {
  const file = deploymentFile(folder, deployment.chainId)
  await mkdir(folder, { recursive: true })
  await writeFile(`${file}.new`, `${JSON.stringify(deployment, null, 2)}\n`, { flush: true })
  await rename(`${file}.new`, file)
}

/** Creation codes are tens of kilobytes: the record says whose they are, and their digest. */
function recordedArguments({ args, holds }: Placing): unknown[] {
  if (holds === undefined) return toRecordable(args)
  return [{ keccak256: keccak256(args[0] as Hex) }]
}

/** Numbers as decimal text, hex in lower case: what JSON can hold, and the same each time. */
export function toRecordable(values: readonly unknown[]): unknown[] {
  return JSON.parse(
    JSON.stringify(values, (_, each: unknown) => {
      if (typeof each === 'bigint') return each.toString()
      return typeof each === 'string' && /^0x[0-9a-fA-F]*$/.test(each) ? each.toLowerCase() : each
    }),
  )
}
