/**
 * Deploys all contracts of Assent with their DAO.
 *
 * Every step is recorded before the next one starts, so an interrupted run is continued by running it again. Recorded steps
 * are checked against the chain first. The timelock owns every registry from its first block on, so the deployer can never
 * approve anything.
 */
import {
  type Abi,
  type Address,
  encodeFunctionData,
  keccak256,
  size,
  slice,
  toBytes,
  zeroAddress,
} from 'viem'

import {
  hostBondsAbi,
  hostsAbi,
  imagesAbi,
  kmsAuthAbi,
  rootKeysAbi,
  timelockControllerAbi,
} from '../chain/abi.ts'
import { sendCall } from '../chain/call.ts'
import type { HostRules } from '../chain/governance/settings.ts'
import { type Addresses, deployedAddresses } from '../chain/record/deployments.ts'
import { p256Precompile, requireOpcodes } from '../chain/verifier/verifier.ts'
import { AssentError } from '../errors/index.ts'
import { type Hex, to0x } from '../lib/bytes.ts'
import {
  type Placing,
  type PlacingOptions,
  place,
  type Run,
  startRun,
  toRecordable,
} from './create-contract-once.ts'

export type { HostRules } from '../chain/governance/settings.ts'
export type { Artifact } from './create-contract-once.ts'

/** The contracts to deploy and their parameters. */
export interface DeployOptions extends PlacingOptions {
  /** Parameters of the DAO. */
  readonly rules: DaoRules
  /** Settings of quote verifier, hosts and root keys; without them, these contracts are not deployed. */
  readonly attestation?: AttestationRules
}

/** Root of trust for quotes and the first rules for hosts. */
export interface AttestationRules {
  /** Root certificate in DER: Intel's, or a simulator's on a development chain. */
  readonly root: Uint8Array
  /** For a chain without the P-256 precompile: deploys `P256Solidity`. */
  readonly p256?: 'solidity'
  /** First rules for hosts; the DAO can change them. */
  readonly hosts: HostRules
  /** Settings of the bond contract; without them, it is not deployed. */
  readonly bonds?: BondRules
}

/** Settings of the bond contract. Amounts in smallest token units, times in seconds. */
export interface BondRules {
  /** ERC-20 token of all bonds. It cannot be changed later. */
  readonly token: Address
  /** Minimum bond of a host. */
  readonly minimum: bigint
  /** Seconds. */
  readonly unbondingTime: number
}

/** Only the DAO approves hosts; a host proof is valid as long as its collateral, for at most 45 days. */
export const standardHostRules: HostRules = {
  attestedSince: 0,
  minLifetime: 0,
  maxLifetime: 45 * 86_400,
  window: 8191,
  minEvaluationNumber: 0,
  isOpen: false,
  activationDelay: 0,
}

/** Parameters of the DAO. Times in seconds. */
export interface DaoRules {
  /** Name, symbol, holder of the whole supply, and supply in the token's smallest unit. */
  readonly token: { name: string; symbol: string; holder: Address; supply: bigint }
  /** From a proposal to the start of voting. */
  readonly votingDelay: number
  /** How long voting lasts. */
  readonly votingPeriod: number
  /** Votes that a proposer needs, in the token's smallest unit. */
  readonly proposalThreshold: bigint
  /** Percent of the supply that must vote for or abstain. */
  readonly quorumPercent: number
  /** Voting time that must remain after the quorum is reached. */
  readonly lateQuorumExtension: number
  /** From queueing to execution. */
  readonly timelockDelay: number
  /** Account that can suspend approvals and cancel proposals; undefined = nobody. */
  readonly guardian?: Address
  /** Duration of a suspension. */
  readonly suspension: number
}

/**
 * Deploys all contracts of a DAO and its registries, and writes the deployment record after each step. An interrupted
 * deployment continues where it stopped: a contract that exists is not created twice.
 *
 * @throws CHAIN_TOO_OLD, CALL_REVERTED, TRANSACTION_REVERTED, CHAIN_UNREACHABLE, CHAIN_TIMEOUT, DEPLOYMENT_INVALID
 */
export async function deploy(options: DeployOptions): Promise<Addresses> {
  requireDaoRules(options.rules)
  await requireOpcodes(options.publicClient)
  const run = await startRun(options)
  const { rules, attestation } = options
  const timelock = await placeDao(run, rules)
  const kmsAuth = await placeKms(run, rules, timelock)
  if (attestation) await placeAttestation(run, attestation, { rules, timelock, kmsAuth })
  await placeDaoFactory(run)
  // the last ones, so that running an older deployment again adds them
  await place(run, { name: 'heartbeat', contract: 'Heartbeat', args: [] })
  if (attestation) await placeInstances(run)
  if (attestation) await placeRequests(run, timelock)
  return deployedAddresses(run.deployment)
}

/** Rules that the governor's constructor would refuse, before anything is sent. @throws INPUT_INVALID */
function requireDaoRules({ votingPeriod, lateQuorumExtension, quorumPercent }: DaoRules): void {
  const fail = (message: string, facts: Record<string, unknown>) => {
    throw new AssentError('INPUT_INVALID', message, { facts })
  }
  if (lateQuorumExtension > votingPeriod) {
    fail('lateQuorumExtension is longer than votingPeriod.', { lateQuorumExtension, votingPeriod })
  }
  if (votingPeriod < 1) fail('votingPeriod is zero.', { votingPeriod })
  if (quorumPercent < 1 || quorumPercent > 100) {
    fail('quorumPercent is not between 1 and 100.', { quorumPercent })
  }
}

/** Deploys votes, timelock and governor. The deployer has no rights afterwards. */
async function placeDao(run: Run, rules: DaoRules): Promise<Address> {
  const { name, symbol, holder, supply } = rules.token
  const deployer = run.options.walletClient.account.address
  const votes = await place(run, {
    name: 'votes',
    contract: 'AssentVotes',
    args: [name, symbol, holder, supply],
  })
  // without proposers and executors; the deployer grants the roles below
  const timelock = await place(run, {
    name: 'timelock',
    contract: 'TimelockController',
    args: [BigInt(rules.timelockDelay), [], [], deployer],
  })
  const { votingDelay, votingPeriod, proposalThreshold, lateQuorumExtension } = rules
  const governor = await place(run, {
    name: 'governor',
    contract: 'AssentGovernor',
    args: [
      votes,
      timelock,
      {
        votingDelay,
        votingPeriod,
        proposalThreshold,
        quorumPercent: BigInt(rules.quorumPercent),
        lateQuorumExtension,
        guardian: rules.guardian ?? zeroAddress,
      },
    ],
  })
  await transferToNewDao(run, timelock, governor, deployer)
  return timelock
}

/** Deploys KmsAuth, Images and BootEvaluator. KmsAuth uses Images only after the DAO decides so. */
async function placeKms(run: Run, rules: DaoRules, timelock: Address): Promise<Address> {
  const { guardian = zeroAddress, suspension } = rules
  const app = await placeCode(run, 'appImplementation', 'App')
  const kmsAuth = await placeProxy(run, {
    name: 'kmsAuth',
    contract: 'KmsAuth',
    abi: kmsAuthAbi,
    initializer: 'initializeGoverned',
    args: [timelock, app, guardian, suspension],
  })
  await placeProxy(run, {
    name: 'images',
    contract: 'Images',
    abi: imagesAbi,
    initializer: 'initialize',
    args: [timelock, guardian, suspension],
  })
  await place(run, { name: 'bootEvaluator', contract: 'BootEvaluator', args: [] })
  return kmsAuth
}

/** Deploys quote verifier, hosts, root keys and bonds. KmsAuth uses Hosts, and Hosts uses bonds, only after the DAO decides so. */
async function placeAttestation(
  run: Run,
  { root, p256, hosts, bonds }: AttestationRules,
  dao: { rules: DaoRules; timelock: Address; kmsAuth: Address },
): Promise<void> {
  const { timelock, kmsAuth } = dao
  const { guardian = zeroAddress, suspension } = dao.rules
  const libraries = {
    IssuerUpload: await place(run, { name: 'issuerUpload', contract: 'IssuerUpload', args: [] }),
    DocumentUpload: await place(run, {
      name: 'documentUpload',
      contract: 'DocumentUpload',
      args: [],
    }),
  }
  const curve =
    p256 === 'solidity'
      ? await place(run, { name: 'p256', contract: 'P256Solidity', args: [] })
      : p256Precompile
  const verifier = await place(run, {
    name: 'quoteVerifier',
    contract: 'QuoteVerifier',
    args: [to0x(root), curve],
    libraries,
  })
  await place(run, { name: 'bootLog', contract: 'BootLog', args: [verifier] })
  await placeProxy(run, {
    name: 'hosts',
    contract: 'Hosts',
    abi: hostsAbi,
    initializer: 'initialize',
    args: [timelock, verifier, guardian, suspension, hosts],
  })
  await placeProxy(run, {
    name: 'rootKeys',
    contract: 'RootKeys',
    abi: rootKeysAbi,
    initializer: 'initialize',
    args: [timelock, verifier, kmsAuth, guardian, suspension],
  })
  if (bonds === undefined) return
  await placeProxy(run, {
    name: 'hostBonds',
    contract: 'HostBonds',
    abi: hostBondsAbi,
    initializer: 'initialize',
    args: [timelock, bonds.token, bonds.minimum, bonds.unbondingTime],
  })
}

/** A key speaks for its app for at most 30 days, and its proof names a block of the last 8,191. */
const instanceRules = { maxLifetime: 30n * 86_400n, window: 8191n }

/** Deploys the registry of instances and the factory of ERC-1271 signers. Both have no owner. */
async function placeInstances(run: Run): Promise<void> {
  const { kmsAuth, images, rootKeys, bootLog } = deployedAddresses(run.deployment)
  const { maxLifetime, window } = instanceRules
  const instances = await place(run, {
    name: 'instances',
    contract: 'Instances',
    args: [kmsAuth, images, rootKeys, bootLog, maxLifetime, window],
  })
  const signer = await place(run, { name: 'appSigner', contract: 'AppSigner', args: [instances] })
  await place(run, { name: 'appSigners', contract: 'AppSigners', args: [signer] })
}

/** The DAO's share of each fee, in hundredths of a percent. */
const daoShareOfFees = 500

/** Deploys the contract of paid requests. It has no owner; the DAO receives its share, and decides if it may slash bonds. */
async function placeRequests(run: Run, timelock: Address): Promise<void> {
  const { instances, hostBonds = zeroAddress } = deployedAddresses(run.deployment)
  const args = [instances, hostBonds, timelock, daoShareOfFees]
  await place(run, { name: 'requests', contract: 'Requests', args })
}

/** Deploys the DaoFactory. Its creation codes are in accounts of their own, because together they exceed the size limit. */
async function placeDaoFactory(run: Run): Promise<void> {
  const codeOf = async (contract: string) => (await run.options.artifacts(contract)).bytecode as Hex
  const hold = async (
    name: string,
    contract: string,
    code: Hex,
    part: { from: number; to: number },
  ) =>
    place(run, {
      name,
      contract: 'CreationCode',
      args: [slice(code, part.from, part.to)],
      creationCodePart: { contract, ...part },
    })
  const whole = async (name: string, contract: string) => {
    const code = await codeOf(contract)
    return hold(name, contract, code, { from: 0, to: size(code) })
  }
  const governor = await codeOf('AssentGovernor')
  const half = size(governor) >> 1
  const args = [
    [
      await hold('governorHead', 'AssentGovernor', governor, { from: 0, to: half }),
      await hold('governorTail', 'AssentGovernor', governor, { from: half, to: size(governor) }),
    ],
    await whole('timelockCode', 'TimelockController'),
    await whole('votesCode', 'AssentVotes'),
    await whole('wrapperCode', 'AssentVotesWrapper'),
  ]
  await place(run, { name: 'daoFactory', contract: 'DaoFactory', args })
}

interface PlacingProxy {
  readonly name: string
  /** Contract type of the implementation. */
  readonly contract: string
  readonly abi: Abi
  readonly initializer: string
  readonly args: readonly unknown[]
}

/** Deploys an implementation and its ERC-1967 proxy, which is initialized in its creation transaction. */
async function placeProxy(
  run: Run,
  { name, contract, abi, initializer, args }: PlacingProxy,
): Promise<Address> {
  const implementation = await placeCode(run, `${name}Implementation`, contract)
  const data = encodeFunctionData({ abi, functionName: initializer, args })
  const proxy: Placing = {
    name,
    contract: 'ERC1967Proxy',
    args: [implementation, data],
    initializer: { function: initializer, arguments: toRecordable(args) },
  }
  return place(run, proxy)
}

/** Deploys an implementation and records its storage layout. */
async function placeCode(run: Run, name: string, contract: string): Promise<Address> {
  const storage = await run.options.storage?.(contract)
  const beside = storage === undefined ? {} : { beside: { storage: [...storage] } }
  return place(run, { name, contract, args: [], ...beside })
}

/* ROLES */

/** Grants all timelock roles to the governor; the deployer renounces its own role. Can be repeated. */
async function transferToNewDao(
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

/** Roles of OpenZeppelin's `TimelockController`: keccak-256 of the name; zero for the admin. */
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
    summary: `${functionName} on the timelock for ${account}`,
  }
}
