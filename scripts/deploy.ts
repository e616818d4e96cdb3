/**
 * Deploys Assent whole and hands it to its DAO.
 *
 * Every step is recorded before the next begins, so a crash in the middle is resumed by running it
 * again; what is recorded is checked against the chain first. The owner of every registry is the
 * timelock from its first block on: the deployer is never in a position to approve anything.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'

import {
  type Abi,
  type Address,
  encodeDeployData,
  encodeFunctionData,
  keccak256,
  toBytes,
  zeroAddress,
} from 'viem'

import { hostsAbi, kmsAuthAbi, rootKeysAbi, timelockControllerAbi } from '../src/chain/abi.ts'
import { type Clients, sendCall, toChainError } from '../src/chain/call.ts'
import {
  type Addresses,
  type DeployedContract,
  type Deployment,
  deployedAddresses,
  deploymentFile,
  parseDeployment,
  requireContract,
} from '../src/chain/deployments.ts'
import { type LinkableArtifact, linked, p256Precompile } from '../src/chain/quotes/verifier.ts'
import { AssentError } from '../src/errors/index.ts'
import { type Hex, to0x } from '../src/lib/bytes.ts'

/** What a compiler made of one contract. */
export type Artifact = Pick<LinkableArtifact, 'abi' | 'bytecode'> & Partial<LinkableArtifact>

export interface DeployOptions extends Clients {
  readonly artifacts: (contract: string) => Promise<Artifact>
  readonly rules: DaoRules
  /** Registries built on quotes; left out, there is neither a verifier nor hosts nor root keys. */
  readonly attestation?: AttestationRules
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

/** What quotes must lead back to, and what the DAO asks of hosts at first. */
export interface AttestationRules {
  /** Root certificate in DER: Intel's, or a simulator's on a development chain. */
  readonly root: Uint8Array
  /** `P256Solidity` deployed, on a chain without the precompile. */
  readonly p256?: Address
  readonly hosts: HostRules
}

/** Fields of `IHosts.Rules`. */
export interface HostRules {
  readonly attestedSince: number
  readonly minLifetime: number
  readonly maxLifetime: number
  readonly window: number
  readonly minEvaluationNumber: number
  readonly isOpen: boolean
  readonly activationDelay: number
}

/** Closed to whom the DAO did not admit; proofs last as long as their collateral, 45 days at most. */
export const standardHostRules: HostRules = {
  attestedSince: 0,
  minLifetime: 0,
  maxLifetime: 45 * 86_400,
  window: 8191,
  minEvaluationNumber: 0,
  isOpen: false,
  activationDelay: 0,
}

/** How the DAO is set up; times in seconds. */
export interface DaoRules {
  readonly token: { name: string; symbol: string; holder: Address; supply: bigint }
  readonly votingDelay: number
  readonly votingPeriod: number
  readonly proposalThreshold: bigint
  readonly quorumPercent: number
  readonly lateQuorumExtension: number
  readonly timelockDelay: number
  /** May suspend approvals and cancel proposals; undefined = nobody. */
  readonly guardian?: Address
  /** How long a suspension lasts. */
  readonly suspension: number
}

/** Rules for a real chain: two days to look, five to vote, two until it is done. */
export function standardRules(token: DaoRules['token'], guardian?: Address): DaoRules {
  return {
    token,
    votingDelay: 2 * 86_400,
    votingPeriod: 5 * 86_400,
    proposalThreshold: token.supply / 1000n,
    quorumPercent: 4,
    lateQuorumExtension: 86_400,
    timelockDelay: 2 * 86_400,
    suspension: 14 * 86_400,
    ...(guardian === undefined ? {} : { guardian }),
  }
}

/** @throws CALL_REVERTED, TRANSACTION_REVERTED, CHAIN_UNREACHABLE, DEPLOYMENT_INVALID */
export async function deploy(options: DeployOptions): Promise<Addresses> {
  const run = await startRun(options)
  const { rules } = options
  const { token } = rules
  const guardian = rules.guardian ?? zeroAddress
  const deployer = options.walletClient.account.address

  const votes = await place(run, 'votes', 'AssentVotes', [
    token.name,
    token.symbol,
    token.holder,
    token.supply,
  ])
  // nobody proposes or executes yet, the deployer sets up
  const timelock = await place(run, 'timelock', 'TimelockController', [
    BigInt(rules.timelockDelay),
    [],
    [],
    deployer,
  ])
  const governor = await place(run, 'governor', 'AssentGovernor', [
    votes,
    timelock,
    {
      votingDelay: rules.votingDelay,
      votingPeriod: rules.votingPeriod,
      proposalThreshold: rules.proposalThreshold,
      quorumPercent: BigInt(rules.quorumPercent),
      lateQuorumExtension: rules.lateQuorumExtension,
      guardian,
    },
  ])
  await handOver(run, timelock, governor, deployer)

  const appImplementation = await place(run, 'appImplementation', 'App', [])
  const implementation = await place(run, 'kmsAuthImplementation', 'KmsAuth', [])
  const kmsAuth = await placeProxy(
    run,
    'kmsAuth',
    implementation,
    kmsAuthAbi,
    'initializeGoverned',
    [timelock, appImplementation, guardian, rules.suspension],
  )
  if (options.attestation) await placeAttestation(run, options.attestation, { timelock, kmsAuth })
  return deployedAddresses(run.deployment)
}

/** Verifier, hosts, root keys. KmsAuth asks for hosts only once its DAO says so. */
async function placeAttestation(
  run: Run,
  { root, p256 = p256Precompile, hosts: hostRules }: AttestationRules,
  { timelock, kmsAuth }: { timelock: Address; kmsAuth: Address },
): Promise<void> {
  const { guardian = zeroAddress, suspension } = run.options.rules
  const libraries = {
    IssuerUpload: await place(run, 'issuerUpload', 'IssuerUpload', []),
    DocumentUpload: await place(run, 'documentUpload', 'DocumentUpload', []),
  }
  const verifier = await place(run, 'quoteVerifier', 'QuoteVerifier', [to0x(root), p256], {
    libraries,
  })
  const hosts = await place(run, 'hostsImplementation', 'Hosts', [])
  const hostArguments = [timelock, verifier, guardian, suspension, hostRules]
  await placeProxy(run, 'hosts', hosts, hostsAbi, 'initialize', hostArguments)
  const rootKeys = await place(run, 'rootKeysImplementation', 'RootKeys', [])
  const keyArguments = [timelock, verifier, kmsAuth, guardian, suspension]
  await placeProxy(run, 'rootKeys', rootKeys, rootKeysAbi, 'initialize', keyArguments)
}

/* STEPS */

interface Run {
  readonly options: DeployOptions
  readonly deployment: Deployment
}

/** Continues the recorded deployment of this chain, or begins one. */
async function startRun(options: DeployOptions): Promise<Run> {
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
  const text = await readFile(deploymentFile(record.folder, chainId), 'utf8').catch(() => undefined)
  if (text === undefined) return { options, deployment: fresh }
  const deployment = parseDeployment(JSON.parse(text))
  if (deployment.chainId === chainId) return { options, deployment }
  throw new AssentError('DEPLOYMENT_INVALID', 'The record is of another chain.', {
    facts: { expected: chainId, found: deployment.chainId },
  })
}

/** Deploys one contract, unless the record says it is done. */
async function place(
  run: Run,
  name: string,
  contract: string,
  args: readonly unknown[],
  extra: {
    initializer?: NonNullable<DeployedContract['initializer']>
    libraries?: Record<string, Address>
  } = {},
): Promise<Address> {
  const { options, deployment } = run
  const recordable = toRecordable(args)
  const known = deployment.contracts[name]
  if (known !== undefined) {
    await requireRecorded(run, name, known, recordable)
    return known.address
  }
  const { abi, bytecode, linkReferences = {} } = await options.artifacts(contract)
  const code = linked({ abi, bytecode, linkReferences }, extra.libraries ?? {}).bytecode as Hex
  const data = encodeDeployData({ abi, bytecode: code, args })
  const receipt = await create(options, data, name)
  deployment.contracts[name] = {
    address: receipt.address,
    contract,
    block: receipt.block,
    transaction: receipt.transaction,
    arguments: recordable as unknown[],
    ...(extra.initializer === undefined ? {} : { initializer: extra.initializer }),
  }
  await writeRecord(run)
  options.onStep?.(`${name}: ${contract} at ${receipt.address}`)
  return receipt.address
}

/** Deploys an ERC-1967 proxy that is initialized in the same transaction. */
function placeProxy(
  run: Run,
  name: string,
  implementation: Address,
  abi: Abi,
  functionName: string,
  args: readonly unknown[],
): Promise<Address> {
  const data = encodeFunctionData({ abi, functionName, args })
  return place(run, name, 'ERC1967Proxy', [implementation, data], {
    initializer: { function: functionName, arguments: toRecordable(args) as unknown[] },
  })
}

/** The governor alone proposes, cancels and executes (for anyone who asks it to); the deployer gives up what he held. Repeatable. */
async function handOver(
  run: Run,
  timelock: Address,
  governor: Address,
  deployer: Address,
): Promise<void> {
  const { publicClient } = run.options
  const holds = (role: Hex, account: Address) =>
    publicClient.readContract({
      address: timelock,
      abi: timelockControllerAbi,
      functionName: 'hasRole',
      args: [role, account],
    })
  for (const role of [timelockRoles.proposer, timelockRoles.canceller, timelockRoles.executor]) {
    if (await holds(role, governor)) continue
    await sendCall(run.options, roleCall(timelock, 'grantRole', role, governor))
  }
  if (!(await holds(timelockRoles.admin, deployer))) return
  await sendCall(run.options, roleCall(timelock, 'renounceRole', timelockRoles.admin, deployer))
  run.options.onStep?.('timelock: only the governor proposes, the deployer holds nothing')
}

export const timelockRoles = {
  admin: `0x${'00'.repeat(32)}`,
  proposer: keccak256(toBytes('PROPOSER_ROLE')),
  executor: keccak256(toBytes('EXECUTOR_ROLE')),
  canceller: keccak256(toBytes('CANCELLER_ROLE')),
} as const satisfies Record<string, Hex>

function roleCall(
  timelock: Address,
  functionName: 'grantRole' | 'renounceRole',
  role: Hex,
  account: Address,
) {
  return {
    to: timelock,
    data: encodeFunctionData({ abi: timelockControllerAbi, functionName, args: [role, account] }),
    words: `${functionName} on the timelock for ${account}`,
  }
}

async function create(
  { publicClient, walletClient }: DeployOptions,
  data: Hex,
  name: string,
): Promise<{ address: Address; block: number; transaction: Hex }> {
  try {
    const transaction = await walletClient.sendTransaction({ data })
    const receipt = await publicClient.waitForTransactionReceipt({ hash: transaction })
    if (receipt.status === 'success' && receipt.contractAddress != null) {
      const address = receipt.contractAddress.toLowerCase() as Address
      return { address, block: Number(receipt.blockNumber), transaction }
    }
    throw new AssentError('TRANSACTION_REVERTED', `${name} was not deployed.`, {
      facts: { name, transaction },
    })
  } catch (cause) {
    throw toChainError(cause, `deploy ${name}`)
  }
}

/** A record is only continued if it was made with the same arguments and its code is on this chain. */
async function requireRecorded(
  { options }: Run,
  name: string,
  known: DeployedContract,
  args: unknown,
): Promise<void> {
  if (JSON.stringify(known.arguments) !== JSON.stringify(args)) {
    throw new AssentError('DEPLOYMENT_INVALID', `${name} is recorded with other arguments.`, {
      facts: { name, recorded: known.arguments, wanted: args },
    })
  }
  await requireContract(options.publicClient, known.address, name)
}

/* THE RECORD */

/** Replaced whole, so that a crash leaves the old file or the new one. */
async function writeRecord({ options, deployment }: Run): Promise<void> {
  if (options.record === undefined) return
  const file = deploymentFile(options.record.folder, deployment.chainId)
  await mkdir(options.record.folder, { recursive: true })
  await writeFile(`${file}.new`, `${JSON.stringify(deployment, null, 2)}\n`)
  await rename(`${file}.new`, file)
}

function toRecordable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each: unknown) => {
      if (typeof each === 'bigint') return each.toString()
      return typeof each === 'string' && /^0x[0-9a-fA-F]*$/.test(each) ? each.toLowerCase() : each
    }),
  )
}

/** The commit of the sources, for the record. */
export function currentCommit(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
