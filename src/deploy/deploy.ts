/**
 * Deploys Assent whole and hands it to its DAO.
 *
 * Every step is recorded before the next begins, so a crash in the middle is resumed by running it
 * again; what is recorded is checked against the chain first. The owner of every registry is the
 * timelock from its first block on: the deployer is never in a position to approve anything.
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
import { type Addresses, deployedAddresses } from '../chain/deployments.ts'
import type { HostRules } from '../chain/governance/settings.ts'
import { p256Precompile, requireOpcodes } from '../chain/verifier/verifier.ts'
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

export interface DeployOptions extends PlacingOptions {
  readonly rules: DaoRules
  /** Registries built on quotes; left out, there is neither a verifier nor hosts nor root keys. */
  readonly attestation?: AttestationRules
}

/** What quotes must lead back to, and what the DAO asks of hosts at first. */
export interface AttestationRules {
  /** Root certificate in DER: Intel's, or a simulator's on a development chain. */
  readonly root: Uint8Array
  /** `P256Solidity` deployed, or `solidity` to deploy it, on a chain without the precompile. */
  readonly p256?: Address | 'solidity'
  readonly hosts: HostRules
  /** Deposits of operators; left out, there are none. */
  readonly bonds?: BondRules
}

/** Amounts in the token's smallest units, times in seconds. */
export interface BondRules {
  readonly token: Address
  readonly minimum: bigint
  readonly unbondingTime: number
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

/**
 * @throws CHAIN_TOO_OLD, CALL_REVERTED, TRANSACTION_REVERTED, CHAIN_UNREACHABLE, CHAIN_TIMEOUT,
 *   DEPLOYMENT_INVALID
 */
export async function deploy(options: DeployOptions): Promise<Addresses> {
  await requireOpcodes(options.publicClient)
  const run = await startRun(options)
  const { rules, attestation } = options
  const timelock = await placeDao(run, rules)
  const kmsAuth = await placeKms(run, rules, timelock)
  if (attestation) await placeAttestation(run, attestation, { rules, timelock, kmsAuth })
  await placeDaoFactory(run)
  return deployedAddresses(run.deployment)
}

/** Votes, timelock, governor; whoever deploys holds nothing afterwards. */
async function placeDao(run: Run, rules: DaoRules): Promise<Address> {
  const { name, symbol, holder, supply } = rules.token
  const deployer = run.options.walletClient.account.address
  const votes = await place(run, {
    name: 'votes',
    contract: 'AssentVotes',
    args: [name, symbol, holder, supply],
  })
  // nobody proposes or executes yet, the deployer sets up
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

/** KmsAuth, images, and who tells more of KmsAuth's answers. It asks for images only once its DAO says so. */
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

/** Verifier, hosts, root keys, bonds. KmsAuth asks for hosts, and hosts for bonds, once the DAO says so. */
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
      : (p256 ?? p256Precompile)
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

/** Creation codes lie in accounts of their own: together they are larger than one may be. */
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
      holds: { contract, ...part },
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
  /** Of the code behind it. */
  readonly contract: string
  readonly abi: Abi
  readonly initializer: string
  readonly args: readonly unknown[]
}

/** Code, then an ERC-1967 proxy of it that is initialized in the transaction that creates it. */
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

/** Code for proxies, with where it keeps what. */
async function placeCode(run: Run, name: string, contract: string): Promise<Address> {
  const storage = await run.options.storage?.(contract)
  const beside = storage === undefined ? {} : { beside: { storage: [...storage] } }
  return place(run, { name, contract, args: [], ...beside })
}

/* THE HAND-OVER */

/** The governor alone proposes, cancels and executes (for anyone who asks it to); the deployer gives up what he held. Repeatable. */
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
