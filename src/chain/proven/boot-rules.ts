/**
 * The rules of KmsAuth, App and Hosts, applied to proven storage words at a given time.
 *
 * Order and reasons are the same as in contracts/auth/KmsAuth.sol and contracts/registry. A test compares both on random
 * histories.
 */
import { type Approval, stateAt } from '../approval.ts'
import type { KeyEpochs } from '../boot/boot.ts'
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

/** Name of a reason in {@link reasons}. */
export type DenialReason = keyof typeof reasons

/** Facts about a host that `Hosts.admission` reads; `no-rule` if `KmsAuth` has no host registry. */
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

/** Everything that decides about an app's boot, read at one block. */
export interface AppBootFacts {
  /** Approval of the app in `KmsAuth`. */
  readonly app: Approval
  /** Approval of the base image. */
  readonly image: Approval
  /** State of the app's contract; `none`: there is no code at the app id; `foreign`: its code is not pinned. */
  readonly contract: KnownApp | 'none' | 'foreign'
  /** Host proof and approval in `Hosts`. */
  readonly host: HostFacts
  /** Approval of the measurement set in `Images`. */
  readonly measurements: MeasurementFacts
}

/** An app whose code is pinned. */
interface KnownApp {
  readonly rules: AppRules
  readonly release: Approval
  readonly device: Approval
}

/** Everything that decides about a KMS node, read at one block. */
export interface KmsBootFacts {
  /** Approval of the base image. */
  readonly image: Approval
  /** Approval of the node's `mr_aggregated`. */
  readonly measurement: Approval
  /** Approval of the host for KMS nodes. */
  readonly device: Approval
  /** Host proof and approval in `Hosts`. */
  readonly host: HostFacts
  /** Approval of the measurement set in `Images`. */
  readonly measurements: MeasurementFacts
}

/** Facts of a rule that are not in the chain's state. */
export interface RuleContext {
  /** TCB status of the quote, as in `AppBootInfo`. */
  readonly tcbStatus: string
  /** Treatment of an app whose code is not pinned. */
  readonly foreignApps: ForeignApps
}

/** One condition of a boot. */
export interface BootRule<Facts> {
  /** The reason of the denial if the rule does not hold. */
  readonly denial: DenialReason
  /** Whether the rule holds at `at` (unix seconds); undefined: it does not apply to this boot. */
  readonly holds: (facts: Facts, at: number, context: RuleContext) => boolean | undefined
  /** Moments at which the answer can change without a transaction, unix seconds. Zero and past moments may be among them. */
  readonly changes: (facts: Facts) => readonly number[]
}

/** Conditions of a host in `Hosts`, in the order of `Hosts.admission`. */
export type HostCondition =
  | 'proof-valid'
  | 'proof-recent'
  | 'status-accepted'
  | 'approved'
  | 'proven-under-approval'
  | 'bonded'

interface HostRule {
  readonly condition: HostCondition
  readonly holds: (facts: KnownHost, at: number) => boolean
  readonly changes: (facts: KnownHost) => readonly number[]
}

type KnownHost = Exclude<HostFacts, 'no-rule'>

const never = () => []

/** Conditions of `Hosts.admission`: a host is admitted if it meets all of them. */
export const hostRules: readonly HostRule[] = [
  {
    condition: 'proof-valid',
    holds: ({ proof }, at) => at < proof.expiresAt,
    changes: ({ proof }) => [proof.expiresAt],
  },
  {
    condition: 'proof-recent',
    holds: ({ proof, attestedSince }) => proof.attestedAt >= attestedSince,
    changes: never,
  },
  {
    condition: 'status-accepted',
    holds: ({ statusUntil }, at) => at < statusUntil,
    changes: ({ statusUntil }) => [statusUntil],
  },
  {
    condition: 'approved',
    holds: ({ host }, at) => isActive(host, at),
    changes: ({ host }) => changesOf(host),
  },
  {
    condition: 'proven-under-approval',
    holds: ({ proof: { approvalVersion: proven }, host: { version } }) =>
      proven === version || (proven === 0 && version === 1),
    changes: never,
  },
  { condition: 'bonded', holds: ({ isBonded }) => isBonded, changes: never },
]

/** Rules of KmsAuth for every boot: first the host, then the measurements. */
const machineRules: readonly BootRule<Pick<AppBootFacts, 'host' | 'measurements'>>[] = [
  {
    denial: 'hostNotRegistered',
    holds: ({ host }, at) => host === 'no-rule' || hostRules.every((rule) => rule.holds(host, at)),
    changes: ({ host }) =>
      host === 'no-rule' ? [] : hostRules.flatMap((rule) => rule.changes(host)),
  },
  {
    denial: 'measurementsNotAllowed',
    holds: ({ measurements }, at) => measurements === 'open' || isActive(measurements, at),
    changes: ({ measurements }) => (measurements === 'open' ? [] : changesOf(measurements)),
  },
]

/** Rules for an app's boot, in the order of `KmsAuth.isAppAllowed`. */
export const appRules: readonly BootRule<AppBootFacts>[] = [
  activeApproval('appNotRegistered', (facts) => facts.app),
  activeApproval('imageNotAllowed', (facts) => facts.image),
  { denial: 'appHasNoCode', holds: ({ contract }) => contract !== 'none', changes: never },
  {
    denial: 'appForeign',
    holds: ({ contract }, _, { foreignApps }) => {
      if (contract !== 'foreign') return contract === 'none' ? undefined : true
      return foreignApps === 'refuse' ? false : undefined
    },
    changes: never,
  },
  // as `App.isAppAllowed`
  {
    denial: 'tcbNotUpToDate',
    holds: ({ contract }, _, { tcbStatus }) =>
      typeof contract === 'string'
        ? undefined
        : !contract.rules.requireTcbUpToDate || tcbStatus === upToDate,
    changes: never,
  },
  {
    denial: 'releaseNotAllowed',
    holds: ({ contract }, at) =>
      typeof contract === 'string' ? undefined : isReleaseAllowed(contract, at),
    changes: ({ contract }) =>
      typeof contract === 'string'
        ? []
        : [...changesOf(contract.release), contract.rules.supersededAt],
  },
  {
    denial: 'deviceNotAllowed',
    holds: ({ contract }, at) =>
      typeof contract === 'string'
        ? undefined
        : contract.rules.allowAnyDevice || isActive(contract.device, at),
    changes: ({ contract }) => (typeof contract === 'string' ? [] : changesOf(contract.device)),
  },
  ...machineRules,
]

/** Rules for a KMS node, in the order of `KmsAuth.isKmsAllowed`. */
export const kmsRules: readonly BootRule<KmsBootFacts>[] = [
  {
    denial: 'tcbNotUpToDate',
    holds: (_, __, { tcbStatus }) => tcbStatus === upToDate,
    changes: never,
  },
  activeApproval('imageNotAllowed', (facts) => facts.image),
  activeApproval('measurementNotAllowed', (facts) => facts.measurement),
  activeApproval('kmsDeviceNotAllowed', (facts) => facts.device),
  ...machineRules,
]

const upToDate = 'UpToDate'

/** The first reason to deny an app's boot at `at` (unix seconds); undefined: no reason. */
export function appDenialReason(
  facts: AppBootFacts,
  tcbStatus: string,
  at: number,
  foreignApps: ForeignApps,
): DenialReason | undefined {
  return firstDenial(appRules, facts, at, { tcbStatus, foreignApps })
}

/** The first reason to deny a KMS node at `at` (unix seconds); undefined: no reason. */
export function kmsDenialReason(
  facts: KmsBootFacts,
  tcbStatus: string,
  at: number,
): DenialReason | undefined {
  return firstDenial(kmsRules, facts, at, { tcbStatus, foreignApps: 'refuse' })
}

/** The first rule that does not hold. A rule that does not apply denies nothing. */
export function firstDenial<Facts>(
  rules: readonly BootRule<Facts>[],
  facts: Facts,
  at: number,
  context: RuleContext,
): DenialReason | undefined {
  return rules.find((rule) => rule.holds(facts, at, context) === false)?.denial
}

/** As `App.epochsOf`: both are zero if the release gets no keys. */
export function epochsOf(facts: AppBootFacts, at: number): KeyEpochs {
  const { contract } = facts
  const none = { write: 0, read: 0 }
  if (typeof contract === 'string' || !isReleaseAllowed(contract, at)) return none
  const { epochsOpened, endOpenedEpoch, supersededAt, nextOldest } = contract.rules
  const epoch = epochsOpened + 1
  const migrating = endOpenedEpoch && at < supersededAt
  const old = contract.release.index < nextOldest
  return {
    write: migrating && old ? epoch - 1 : epoch,
    read: migrating ? epoch - 1 : epoch,
  }
}

function isReleaseAllowed({ rules, release }: KnownApp, at: number): boolean {
  const oldest = at < rules.supersededAt ? rules.oldest : rules.nextOldest
  return isActive(release, at) && release.index >= oldest
}

function activeApproval<Facts>(
  denial: DenialReason,
  of: (facts: Facts) => Approval,
): BootRule<Facts> {
  return {
    denial,
    holds: (facts, at) => isActive(of(facts), at),
    changes: (facts) => changesOf(of(facts)),
  }
}

function changesOf({ activeFrom, expiresAt, suspendedUntil }: Approval): readonly number[] {
  return [activeFrom, expiresAt, suspendedUntil]
}

function isActive(approval: Approval, at: number): boolean {
  return stateAt(approval, at) === 'active'
}
