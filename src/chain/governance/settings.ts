/** Calls that change settings of a DAO: voting parameters, guardian, ownership, code, and rules of its registries. */
import {
  type Address,
  encodeFunctionData,
  type Hex,
  isAddressEqual,
  parseEventLogs,
  type TransactionReceipt,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import {
  appAbi,
  approvalRegistryAbi,
  assentGovernorAbi,
  daoFactoryAbi,
  hostsAbi,
  imagesAbi,
  kmsAuthAbi,
  rootKeysAbi,
  timelockControllerAbi,
} from '../abi.ts'
import { type Kind, kinds } from '../approval.ts'
import { type Call, callOf } from '../call.ts'
import type { Addresses } from '../record/deployments.ts'
import { setGuardian } from '../registries/registry.ts'

/* VOTING */

/** New voting parameters. Omitted ones do not change. Times in seconds. */
export interface VotingChange {
  /** Seconds between proposal and vote. */
  readonly votingDelay?: number
  /** Seconds of voting. */
  readonly votingPeriod?: number
  /** Votes that a proposer needs, in the smallest unit of the token. */
  readonly proposalThreshold?: bigint
  /** Percent of the supply, 1 to 100. */
  readonly quorumPercent?: number
  /** Seconds for which a vote continues after a late quorum. */
  readonly lateQuorumExtension?: number
  /** Seconds between queueing and execution. */
  readonly timelockDelay?: number
}

/** One call for each parameter that changes. */
export function setVoting(
  { governor, timelock }: Pick<Addresses, 'governor' | 'timelock'>,
  change: VotingChange,
): Call[] {
  const abi = assentGovernorAbi
  const { votingDelay, votingPeriod, proposalThreshold, quorumPercent } = change
  const { lateQuorumExtension, timelockDelay } = change
  const calls: Call[] = []
  if (votingDelay !== undefined)
    calls.push(callOf(governor, abi, 'setVotingDelay', [votingDelay], 'set the voting delay'))
  if (votingPeriod !== undefined)
    calls.push(callOf(governor, abi, 'setVotingPeriod', [votingPeriod], 'set the voting period'))
  if (proposalThreshold !== undefined) {
    const words = 'set the votes to propose'
    calls.push(callOf(governor, abi, 'setProposalThreshold', [proposalThreshold], words))
  }
  if (quorumPercent !== undefined) {
    const args = [BigInt(quorumPercent)] as const
    calls.push(callOf(governor, abi, 'updateQuorumNumerator', args, 'set the quorum'))
  }
  if (lateQuorumExtension !== undefined) {
    const args = [lateQuorumExtension] as const
    calls.push(callOf(governor, abi, 'setLateQuorumVoteExtension', args, 'set the extension'))
  }
  if (timelockDelay !== undefined) {
    const args = [BigInt(timelockDelay)] as const
    calls.push(callOf(timelock, timelockControllerAbi, 'updateDelay', args, 'set the delay'))
  }
  return calls
}

/** Sets the guardian of the governor and of all registries, so that none is forgotten. @param suspension seconds */
export function setGuardianEverywhere(
  addresses: Addresses,
  guardian: Address,
  suspension: number,
  notAfter: number,
): Call[] {
  const to = guardian
  const { kmsAuth, images, hosts, rootKeys } = addresses
  const registries = [kmsAuth, images, hosts, rootKeys]
  return [
    callOf(addresses.governor, assentGovernorAbi, 'setProposalGuardian', [to], 'name the guardian'),
    ...registries
      .filter((registry) => registry !== undefined)
      .map((registry) => setGuardian(registry, to, suspension, notAfter)),
  ]
}

/* OWNERSHIP AND CODE */

/** Offers a contract to a new owner, who must accept it. */
export function transferOwnership(contract: Address, newOwner: Address): Call {
  return callOf(
    contract,
    approvalRegistryAbi,
    'transferOwnership',
    [newOwner],
    'offer the ownership',
  )
}

/** Accepts an offered contract; only the pending owner can make this call. */
export function acceptOwnership(contract: Address): Call {
  return callOf(contract, approvalRegistryAbi, 'acceptOwnership', [], 'take over the ownership')
}

/** Gives up the ownership, permanently. */
export function renounceOwnership(contract: Address): Call {
  return callOf(contract, approvalRegistryAbi, 'renounceOwnership', [], 'give up the ownership')
}

/** Replaces the code of a contract or app. @param data calldata that the new code executes; `0x` for none */
export function upgrade(contract: Address, implementation: Address, data: Hex = '0x'): Call {
  return callOf(
    contract,
    kmsAuthAbi,
    'upgradeToAndCall',
    [implementation, data],
    'replace the code',
  )
}

/** Gives up the right to replace the code, permanently. The function of an app has dstack's name. */
export function renounceUpgrades(contract: Address, isApp: boolean): Call {
  const words = 'give up upgrades'
  return isApp
    ? callOf(contract, appAbi, 'disableUpgrades', [], words)
    : callOf(contract, kmsAuthAbi, 'renounceUpgrades', [], words)
}

/** The first call of a batch that must revert after `notAfter` (unix seconds), for calls without a deadline parameter. */
export function requireNotAfter(kmsAuth: Address, notAfter: number): Call {
  const data = encodeFunctionData({
    abi: approvalRegistryAbi,
    functionName: 'requireNotAfter',
    args: [notAfter],
  })
  return { to: kmsAuth, data, summary: `refuse it after ${notAfter}` }
}

/** Parameters of the DAO of an app; fields of the Solidity struct. Times in seconds. */
export interface DaoParameters {
  /** Name of the governor and the token. */
  readonly name: string
  /** Symbol of the token. */
  readonly symbol: string
  /** Token whose deposits give votes; the zero address = new votes, all of `supply` to `holder`. */
  readonly underlying: Address
  /** Account that receives the whole supply. */
  readonly holder: Address
  /** In the token's smallest unit. Of an existing token: its total supply, of which the quorum is a share. */
  readonly supply: bigint
  /** Seconds. */
  readonly votingDelay: number
  /** Seconds. */
  readonly votingPeriod: number
  /** Seconds. */
  readonly lateQuorumExtension: number
  /** Votes that a proposer needs, in the token's smallest unit. */
  readonly proposalThreshold: bigint
  /** Percent of the supply, 1 to 100. */
  readonly quorumPercent: bigint
  /** Seconds. */
  readonly timelockDelay: bigint
  /** Can cancel proposals, and suspend approvals of the app. */
  readonly guardian: Address
  /** How long a suspension lasts. */
  readonly suspension: number
}

/** Creates a DAO; with `app`, transfers the app to it in the same transaction. */
export function createDao(factory: Address, terms: DaoParameters, app?: Address): Call {
  if (app === undefined) return callOf(factory, daoFactoryAbi, 'create', [terms], 'make a DAO')
  return callOf(
    app,
    appAbi,
    'transferToNewDao',
    [factory, terms],
    `give app ${app} to a DAO of its own`,
  )
}

/** Addresses of a DAO that the factory created. */
export interface CreatedDao {
  /** Owner of the app: the account that executes decisions. */
  readonly timelock: Address
  /** Counts votes and schedules decisions. */
  readonly governor: Address
  /** The votes token. */
  readonly votes: Address
}

/** The contracts that `createDao` created, from its receipt. @throws INPUT_INVALID */
export function readCreatedDao(receipt: TransactionReceipt, factory: Address): CreatedDao {
  const logs = receipt.logs.filter(({ address }) => isAddressEqual(address, factory))
  const [created] = parseEventLogs({ abi: daoFactoryAbi, eventName: 'DaoCreated', logs })
  if (created === undefined) {
    throw new AssentError('INPUT_INVALID', 'The transaction created no DAO.', {
      facts: { transaction: receipt.transactionHash, factory },
    })
  }
  const { timelock, governor, votes } = created.args
  return { timelock, governor, votes }
}

/* KMS, IMAGES AND APPS */

/** Sets the activation delay of a kind in KmsAuth, or of measurement sets in Images. */
export function setActivationDelay(
  { kmsAuth, images }: Pick<Addresses, 'kmsAuth' | 'images'>,
  kind: Kind,
  seconds: number,
  notAfter: number,
): Call {
  const words = `activation delay of ${seconds} s`
  if (kind === 'measurements' && images !== undefined) {
    return callOf(images, imagesAbi, 'setActivationDelay', [seconds, notAfter], words)
  }
  const args = [kinds[kind], seconds, notAfter] as const
  return callOf(kmsAuth, kmsAuthAbi, 'setActivationDelay', args, words)
}

/** Sets the code of apps that are created from now on. Existing apps keep theirs. */
export function setAppImplementation(kmsAuth: Address, implementation: Address): Call {
  const words = `make new apps of ${implementation}`
  return callOf(kmsAuth, kmsAuthAbi, 'setAppImplementation', [implementation], words)
}

/** Sets the image registry. The zero address: no measurement sets are checked. */
export function setImages(kmsAuth: Address, images: Address, notAfter: number): Call {
  return callOf(kmsAuth, kmsAuthAbi, 'setImages', [images, notAfter], `ask ${images} about images`)
}

/** A measurement set to approve. Times in unix seconds, 0 = not set. */
export interface MeasurementSetTerms {
  /** Base image to which the set belongs, 32 bytes. */
  readonly osImageHash: Hex
  /** Number of contracts/types/TeeVariant.sol. */
  readonly variant: number
  /** MRTD and RTMR0 to RTMR2, 48 bytes each, one after the other. */
  readonly registers: Hex
  /** Unix seconds; 0: as soon as the activation delay allows. */
  readonly activeFrom: number
  /** Unix seconds; 0: never. */
  readonly expiresAt: number
  /** Bytes of the evidence document; `0x` without one. The contract stores their keccak-256. */
  readonly evidence: Hex
}

/**
 * Approves measurement sets of closed images. Only the owner of the image registry can send it.
 *
 * @param notAfter execution deadline, Unix seconds
 */
export function approveMeasurementSets(
  images: Address,
  sets: readonly MeasurementSetTerms[],
  notAfter: number,
): Call {
  return callOf(
    images,
    imagesAbi,
    'approveMeasurementSets',
    [sets, notAfter],
    'approve measurements',
  )
}

/** Sets the name under which people know a base image, for example `dstack-0.5.4`. It decides nothing. */
export function setImageName(images: Address, osImageHash: Hex, release: string): Call {
  return callOf(images, imagesAbi, 'setImageName', [osImageHash, release], `name ${osImageHash}`)
}

/** Closes base images: they boot only with an approved measurement set. */
export function closeImages(images: Address, hashes: readonly Hex[]): Call {
  return callOf(images, imagesAbi, 'closeImages', [hashes], `close ${hashes.join(', ')}`)
}

/**
 * Opens base images: any measurements may boot again, so their verification falls to the KMS.
 *
 * @param notAfter execution deadline, Unix seconds
 */
export function openImages(images: Address, hashes: readonly Hex[], notAfter: number): Call {
  return callOf(images, imagesAbi, 'openImages', [hashes, notAfter], `open ${hashes.join(', ')}`)
}

/* HOSTS */

/** Fields of `IHosts.HostRules`. */
export interface HostRules {
  /** Host proofs registered before this time (Unix seconds) do not count. */
  readonly attestedSince: number
  /** Shortest validity of a host proof, seconds. */
  readonly minLifetime: number
  /** Longest validity of a host proof, seconds. */
  readonly maxLifetime: number
  /** How old the block in a quote may be, blocks; at most 8,191. */
  readonly window: number
  /** Lowest accepted TCB evaluation number. */
  readonly minEvaluationNumber: number
  /** Whether the first host proof also approves the host. */
  readonly isOpen: boolean
  /** Seconds from an approval to its start. */
  readonly activationDelay: number
}

/**
 * Sets the rules for host proofs. Only the owner of the host registry can send it.
 *
 * @param notAfter execution deadline, Unix seconds
 */
export function setHostRules(hosts: Address, rules: HostRules, notAfter: number): Call {
  return callOf(hosts, hostsAbi, 'setRules', [rules, notAfter], 'set the rules of hosts')
}

/** @param until first second at which proofs of this status no longer count; 0 = never */
export function setStatusAcceptedUntil(
  hosts: Address,
  status: number,
  until: number,
  notAfter: number,
): Call {
  return callOf(
    hosts,
    hostsAbi,
    'setStatusAcceptedUntil',
    [status, until, notAfter],
    `status ${status}`,
  )
}

/**
 * Rejects new host proofs of platforms with these advisories, or accepts them again. Present host proofs keep counting.
 *
 * @param advisories advisory ids as ASCII, zero-padded to 32 bytes
 * @param notAfter execution deadline, Unix seconds
 */
export function setAdvisoriesDenied(
  hosts: Address,
  advisories: readonly Hex[],
  denied: boolean,
  notAfter: number,
): Call {
  const args = [advisories, denied, notAfter] as const
  return callOf(hosts, hostsAbi, 'setAdvisoriesDenied', args, 'set advisories')
}

/**
 * Names the operator of a host. The zero address: the next account that proves the host becomes its operator.
 *
 * @param notAfter execution deadline, Unix seconds
 */
export function setOperator(
  hosts: Address,
  deviceId: Hex,
  operator: Address,
  notAfter: number,
): Call {
  const args = [deviceId, operator, notAfter] as const
  return callOf(hosts, hostsAbi, 'setOperator', args, `give away ${deviceId}`)
}

/** Sets the quote verifier of `hosts` or of `rootKeys`. */
export function setVerifier(registry: Address, verifier: Address, notAfter: number): Call {
  return callOf(registry, rootKeysAbi, 'setVerifier', [verifier, notAfter], `believe ${verifier}`)
}

/** Sets the bond contract. The zero address: no bonds are required. */
export function setBonds(hosts: Address, bonds: Address, notAfter: number): Call {
  return callOf(hosts, hostsAbi, 'setBonds', [bonds, notAfter], `ask ${bonds} for bonds`)
}

/** Sets the continuity delay. 0: no host can continue under a new device id. */
export function setContinuityDelay(hosts: Address, seconds: number, notAfter: number): Call {
  const words = `continuity delay of ${seconds} s`
  return callOf(hosts, hostsAbi, 'setContinuityDelay', [seconds, notAfter], words)
}
