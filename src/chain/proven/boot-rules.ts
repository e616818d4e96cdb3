/**
 * The rules of KmsAuth, App and Hosts, applied to proven storage words at a given time.
 *
 * Order and reasons are the same as in contracts/auth/KmsAuth.sol and contracts/registry. A test compares both on random
 * histories.
 */
import { type Approval, stateAt } from '../approval.ts'
import type { KeyEpochs } from '../boot.ts'
import type { AppRules, HostProof } from './slots.ts'

/** Reasons of contracts/auth/DenialReasons.sol, and those that only a reader of storage proofs can have. */
export const reasons = {
  tcbNotUpToDate: 'TCB status is not up to date',
  imageNotAllowed: 'OS image is not allowed',
  measurementNotAllowed: 'Aggregated MR not allowed',
  kmsDeviceNotAllowed: 'KMS is not allowed to boot on this device',
  appNotRegistered: 'App not registered',
  appHasNoCode: 'App not deployed or invalid address',
  releaseNotAllowed: 'Compose hash not allowed',
  deviceNotAllowed: 'Device not allowed',
  hostNotRegistered: 'Host is not registered',
  measurementsNotAllowed: 'Measurements are not allowed for this OS image',
  appForeign: 'App contract is not one whose rules this KMS knows',
} as const

export type DenialReason = keyof typeof reasons

/** State of a host in `Hosts`; `no-rule`: KmsAuth has no host registry. */
export type HostFacts =
  | 'no-rule'
  | {
      readonly proof: HostProof
      readonly attestedSince: number
      readonly statusUntil: number
      readonly host: Approval
      /** Whether the bond is sufficient; true if no bond is required. */
      readonly isBonded: boolean
    }

/** Approval of the measurement set; `open`: the base image may have any measurements. */
export type MeasurementFacts = 'open' | Approval

/** Whether a foreign app is denied, or only the known facts of its boot are evaluated. */
export type ForeignApps = 'refuse' | 'insecure-execute'

export interface AppBootFacts {
  readonly app: Approval
  readonly image: Approval
  readonly contract: KnownApp | 'none' | 'foreign'
  readonly host: HostFacts
  readonly measurements: MeasurementFacts
}

/** An app whose code is pinned. */
interface KnownApp {
  readonly rules: AppRules
  readonly release: Approval
  readonly device: Approval
}

export interface KmsBootFacts {
  readonly image: Approval
  readonly measurement: Approval
  readonly device: Approval
  readonly host: HostFacts
  readonly measurements: MeasurementFacts
}

/** The first reason to deny an app's boot at `at` (unix seconds); undefined: no reason. */
export function appDenialReason(
  facts: AppBootFacts,
  tcbStatus: string,
  at: number,
  foreignApps: ForeignApps,
): DenialReason | undefined {
  const { contract } = facts
  if (!isActive(facts.app, at)) return 'appNotRegistered'
  if (!isActive(facts.image, at)) return 'imageNotAllowed'
  if (contract === 'none') return 'appHasNoCode'
  if (contract === 'foreign' && foreignApps === 'refuse') return 'appForeign'
  const refused = contract === 'foreign' ? undefined : refuseByApp(contract, tcbStatus, at)
  if (refused !== undefined) return refused
  return refuseMachine(facts, at)
}

/** Rules of KmsAuth: first the host, then the measurements. */
function refuseMachine(
  { host, measurements }: Pick<AppBootFacts, 'host' | 'measurements'>,
  at: number,
): DenialReason | undefined {
  if (!isHostAdmitted(host, at)) return 'hostNotRegistered'
  const isShown = measurements === 'open' || isActive(measurements, at)
  return isShown ? undefined : 'measurementsNotAllowed'
}

/** As `App.isAppAllowed`. */
function refuseByApp(contract: KnownApp, tcbStatus: string, at: number): DenialReason | undefined {
  const { rules, device } = contract
  if (rules.requireTcbUpToDate && tcbStatus !== 'UpToDate') return 'tcbNotUpToDate'
  if (!isReleaseAllowed(contract, at)) return 'releaseNotAllowed'
  if (!rules.allowAnyDevice && !isActive(device, at)) return 'deviceNotAllowed'
  return undefined
}

/** The first reason to deny a KMS node at `at` (unix seconds); undefined: no reason. */
export function kmsDenialReason(
  facts: KmsBootFacts,
  tcbStatus: string,
  at: number,
): DenialReason | undefined {
  if (tcbStatus !== 'UpToDate') return 'tcbNotUpToDate'
  if (!isActive(facts.image, at)) return 'imageNotAllowed'
  if (!isActive(facts.measurement, at)) return 'measurementNotAllowed'
  if (!isActive(facts.device, at)) return 'kmsDeviceNotAllowed'
  return refuseMachine(facts, at)
}

/** As `App.epochsOf`: both are zero if the release gets no keys. */
export function epochsOf(facts: AppBootFacts, at: number): KeyEpochs {
  const { contract } = facts
  const none = { write: 0, read: 0 }
  if (typeof contract === 'string' || !isReleaseAllowed(contract, at)) return none
  const { epochsOpened, endOpenedEpoch, endFrom, nextOldest } = contract.rules
  const epoch = epochsOpened + 1
  const migrating = endOpenedEpoch && at < endFrom
  const old = contract.release.index < nextOldest
  return {
    write: migrating && old ? epoch - 1 : epoch,
    read: migrating ? epoch - 1 : epoch,
  }
}

function isReleaseAllowed({ rules, release }: KnownApp, at: number): boolean {
  const oldest = at < rules.endFrom ? rules.oldest : rules.nextOldest
  return isActive(release, at) && release.index >= oldest
}

/** As `Hosts.admission`. */
function isHostAdmitted(facts: HostFacts, at: number): boolean {
  if (facts === 'no-rule') return true
  const { proof, attestedSince, statusUntil } = facts
  const { version } = facts.host
  const isProvenUnder =
    proof.approvalVersion === version || (proof.approvalVersion === 0 && version === 1)
  return (
    at < proof.expiresAt &&
    proof.attestedAt >= attestedSince &&
    at < statusUntil &&
    isActive(facts.host, at) &&
    isProvenUnder &&
    facts.isBonded
  )
}

function isActive(approval: Approval, at: number): boolean {
  return stateAt(approval, at) === 'active'
}
