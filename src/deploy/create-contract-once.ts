/**
 * Creates a contract exactly once, also if the process stops in between.
 *
 * Address, nonce and code are recorded before the transaction is sent. After a crash, the chain shows if it was mined. A
 * nonce can be used only once, so sending again cannot create a second contract.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'

import {
  type Address,
  BaseError,
  getContractAddress,
  isAddressEqual,
  keccak256,
  type Transaction,
} from 'viem'

import { type Clients, toChainError } from '../chain/call.ts'
import { creationCodeOf, recreateCode } from '../chain/check/code.ts'
import {
  type DeployedContract,
  type Deployment,
  deploymentFile,
  findDeployment,
  type PlannedTransaction,
  requireContract,
} from '../chain/record/deployments.ts'
import type { LinkableArtifact } from '../chain/verifier/verifier.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'

/** The compiled artifact of one contract. */
export type Artifact = Pick<LinkableArtifact, 'abi' | 'bytecode'> & Partial<LinkableArtifact>

/** Dependencies of a deployment: clients, artifacts and, if it is recorded, the record. */
export interface PlacingOptions extends Clients {
  /** Reads a compiled contract by its name. */
  readonly artifacts: (contract: string) => Promise<Artifact>
  /** Storage layout of an upgradeable contract, which is recorded for later upgrades. */
  readonly storage?: (contract: string) => Promise<readonly string[]>
  /** Where the deployment record `<chainId>.json` is written and continued. */
  readonly record?: RecordOptions
  /** Receives one sentence for each finished step. */
  readonly onStep?: (words: string) => void
}

/** The record of a deployment, and the sources of its contracts. */
export interface RecordOptions {
  /** Folder of the records, usually `deployments`. */
  readonly folder: string
  /** Commit of the sources. */
  readonly commit: string
  /** Version and settings of the compiler. */
  readonly compiler: Deployment['compiler']
}

/** A running deployment. */
export interface Run {
  readonly options: PlacingOptions
  /** Grows with each created contract. */
  deployment: Deployment
}

/** A contract to create. */
export interface Placing {
  /** Its name in the record. */
  readonly name: string
  /** Contract type, which names the artifact. */
  readonly contract: string
  /** Arguments of the constructor. */
  readonly args: readonly unknown[]
  /** For a proxy, the call that initializes it. */
  readonly initializer?: DeployedContract['initializer']
  /** Libraries that its code calls, by name. */
  readonly libraries?: Readonly<Record<string, Address>>
  /** For a `CreationCode`, which bytes of which contract it stores. */
  readonly creationCodePart?: DeployedContract['creationCodePart']
  /** Further members of its entry in the record. */
  readonly beside?: Pick<DeployedContract, 'storage' | 'commit' | 'compiler'>
}

/** Continues the recorded deployment of this chain, or starts a new one. @throws DEPLOYMENT_INVALID, FILE_UNREADABLE */
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

/** Creates one contract, unless the record or the chain shows that it exists. Returns its address. */
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
  const created = (await findCreation(options, intent)) ?? (await createOrForget(run, intent, code))
  const { address, deployer, nonce } = intent
  const { initializer, libraries, creationCodePart: part, beside } = placing
  deployment.contracts[placing.name] = {
    address,
    contract: placing.contract,
    ...created,
    deployer,
    nonce,
    arguments: recordable,
    ...(initializer === undefined ? {} : { initializer }),
    ...(libraries === undefined ? {} : { libraries }),
    ...(part === undefined ? {} : { creationCodePart: part }),
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

/* PLANNED TRANSACTIONS */

/** Records the planned transaction; an earlier one of the same step is kept. */
async function intend(run: Run, name: string, code: Hex): Promise<PlannedTransaction> {
  const begun = await openIntent(run, name, code)
  if (begun !== undefined) return begun
  const intent = await newIntent(run, name, keccak256(code))
  run.deployment = { ...run.deployment, pending: intent }
  await writeRecord(run)
  return intent
}

/** The planned transaction of an earlier run. @throws DEPLOYMENT_INVALID if it is of another step or another account */
async function openIntent(
  { options, deployment: { pending } }: Run,
  name: string,
  code: Hex,
): Promise<PlannedTransaction | undefined> {
  if (pending === undefined) return undefined
  const isSent = (await transactionCount(options, pending.deployer)) > pending.nonce
  // its transaction was mined, or another transaction used its nonce and it can never be mined
  if (isSent && (await findOwnCreation(options, pending)) === undefined) return undefined
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

/** The contract that `place` would create now. */
export interface Foreseen extends Pick<PlannedTransaction, 'address' | 'deployer' | 'nonce'> {
  /** The code that the contract will have. */
  readonly code: Hex
}

/**
 * Address and code that the next creation of this contract would give, from the deployer and its nonce. It creates
 * nothing, so a plan can show both before anything is sent.
 *
 * @throws DEPLOYMENT_INVALID, CALL_REVERTED
 */
export async function foresee(run: Run, placing: Placing): Promise<Foreseen> {
  const { options } = run
  const creation = await creationCode(options, placing)
  const { address, deployer, nonce } =
    (await openIntent(run, placing.name, creation)) ??
    (await newIntent(run, placing.name, keccak256(creation)))
  const code = await recreateCode(options.publicClient, { address, deployer, nonce }, creation)
  return { address, deployer, nonce, code: code ?? '0x' }
}

async function newIntent(
  { options, deployment }: Run,
  name: string,
  code: Hex,
): Promise<PlannedTransaction> {
  const deployer = options.walletClient.account.address
  const counted = await transactionCount(options, deployer)
  const nonce = Math.max(counted, nextRecordedNonce(deployment, deployer))
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

/** Behind one URL another node may answer, and not have the newest creation of this deployment yet. */
function nextRecordedNonce({ contracts }: Deployment, deployer: Address): number {
  const own = Object.values(contracts).filter((each) => each.deployer === deployer.toLowerCase())
  return Math.max(0, ...own.map(({ nonce }) => nonce + 1))
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

/* CREATION */

interface Created {
  readonly block: number
  readonly transaction: Hex
}

/**
 * Finds the planned creation on the chain. Undefined if its nonce is free or used by another transaction.
 *
 * @throws TRANSACTION_REVERTED, CHAIN_TIMEOUT if the node counts a transaction and does not show it
 */
async function findCreation(
  options: PlacingOptions,
  intent: PlannedTransaction,
): Promise<Created | undefined> {
  const isCounted = (await transactionCount(options, intent.deployer)) > intent.nonce
  return isCounted ? findOwnCreation(options, intent) : undefined
}

/** The planned creation, or undefined if another transaction used its nonce. The node must have counted one. */
async function findOwnCreation(
  options: PlacingOptions,
  intent: PlannedTransaction,
): Promise<Created | undefined> {
  const found = await findCounted(options, intent)
  if (found.to !== null || keccak256(found.input) !== intent.code) return undefined
  return {
    block: Number(found.blockNumber),
    transaction: await requireSuccess(options, found.hash, intent),
  }
}

/** A node can count a transaction before it returns its block. */
const settleMs = 10_000

async function findCounted(
  options: PlacingOptions,
  intent: PlannedTransaction,
): Promise<Transaction> {
  const until = performance.now() + settleMs
  do {
    const found = await findTransaction(options, intent)
    if (found !== undefined) return found
    await pause(options)
  } while (performance.now() < until)
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

/** Nothing was sent if the node refuses the creation, so the plan is forgotten: the next run may have other rules. */
async function createOrForget(run: Run, intent: PlannedTransaction, code: Hex): Promise<Created> {
  try {
    return await create(run.options, intent, code)
  } catch (error) {
    if (isAssentError(error) && error.code === 'CALL_REVERTED') {
      const { pending: _, ...rest } = run.deployment
      run.deployment = rest
      await writeRecord(run)
    }
    throw error
  }
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
    if (!isAlreadySent(cause)) throw toChainError(cause, `deploy ${name}`)
  }
  const until = performance.now() + waitMs
  while (performance.now() < until) {
    // asked once: behind one URL another node may answer the next question, and be a block late
    if ((await transactionCount(options, intent.deployer)) > nonce) {
      const created = await findOwnCreation(options, intent)
      if (created === undefined) break
      return created
    }
    await pause(options)
  }
  throw notThere(intent)
}

function pause({ publicClient }: PlacingOptions): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, publicClient.pollingInterval))
}

/** The node already has the transaction, sent before a crash. Only its own words count: viem quotes the request. */
function isAlreadySent(cause: unknown): boolean {
  const words = cause instanceof BaseError ? cause.details : String(cause)
  return /already known|underpriced|already imported|nonce/i.test(words)
}

function notThere({ name, nonce, address }: PlannedTransaction): AssentError {
  return new AssentError('CHAIN_TIMEOUT', `${name} is not on the chain.`, {
    facts: { name, nonce, address },
    hint: 'Run the same command again: what was sent is found, and nothing is sent twice.',
  })
}

/** A recorded contract must have the same arguments, and code on this chain. */
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

/** Writes the deployment record by replacing the file, so that a crash leaves the old or the new one. */
export async function writeDeployment(folder: string, deployment: Deployment): Promise<void> {
  const file = deploymentFile(folder, deployment.chainId)
  await mkdir(folder, { recursive: true })
  await writeFile(`${file}.new`, `${JSON.stringify(deployment, null, 2)}\n`, { flush: true })
  await rename(`${file}.new`, file)
}

/** Creation codes have tens of kilobytes, so the record has only their digest. */
function recordedArguments({ args, creationCodePart: part }: Placing): unknown[] {
  if (part === undefined) return toRecordable(args)
  return [{ keccak256: keccak256(args[0] as Hex) }]
}

/** Arguments in a stable JSON form: numbers as decimal text, hex in lower case. */
export function toRecordable(values: readonly unknown[]): unknown[] {
  return JSON.parse(
    JSON.stringify(values, (_, each: unknown) => {
      if (typeof each === 'bigint') return each.toString()
      return typeof each === 'string' && /^0x[0-9a-fA-F]*$/.test(each) ? each.toLowerCase() : each
    }),
  )
}
