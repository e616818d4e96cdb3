/**
 * Evaluates a logged decision again: applies the rules of the contracts to the proven storage, at the time of the block
 * and at the time of the entry.
 *
 * Written from docs/contracts.md, "Storage" and "The questions". It shares no code with the KMS.
 */

import {
  addressIn,
  approvalSlot,
  bits,
  type ContractRole,
  isActive,
  LoggedContractReader,
  mapping,
  type PinnedCodeHashes,
  uint,
  wide,
} from './contract-storage.ts'
import type { LoggedState } from './evidence.ts'

/** Most seconds between a decision and its entry. */
const toleranceSeconds = 60

/** Storage slots of the KmsAuth contract. */
const slots = { hosts: uint(11n), images: uint(12n) } as const
const zeroAddress = addressIn(0n)
const foreign = 'App contract is not one whose rules this KMS knows'

/** A decision with its evidence. */
export interface EvaluatedEntry {
  /** `kms` for the entries `handover`, `onboarded` and `self`, `app` for all others. */
  readonly question: 'app' | 'kms'
  /** The boot info in the entry. */
  readonly boot: Readonly<Record<string, unknown>>
  /** Storage that the entry's evidence proves. */
  readonly state: LoggedState
  /** Unix seconds of the entry, by the clock of the node. */
  readonly writtenAt: number
  /** Accepted code; undefined: any code. */
  readonly pins: PinnedCodeHashes | undefined
}

/**
 * Checks that a key release was allowed.
 *
 * @param epochs the key epochs in the entry, for a release to an app
 * @returns the reason against it, or undefined if it was allowed
 */
export function whyNotGranted(decision: EvaluatedEntry, epochs?: { readonly logged: unknown }) {
  try {
    for (const at of timesOf(decision)) {
      const reason = denialReasonAt(decision, at)
      if (reason !== undefined) return `${reason} (at ${at})`
    }
    if (epochs !== undefined) requireEpochs(decision, epochs.logged)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/**
 * Checks that a denial follows from the proven state, with the logged reason.
 *
 * @returns what is wrong, or undefined if the denial is correct
 */
export function whyNotDenied(decision: EvaluatedEntry, reason: unknown): string | undefined {
  try {
    const { state, writtenAt, pins } = decision
    const found = [state.blockTime, writtenAt].map((at) => denialReasonAt(decision, at))
    if (found.includes(String(reason))) return undefined
    // the proofs contain neither the answer of a foreign app nor, without pins, whose code it has
    const isUnproven = state.executedBy.length > 0 || (reason === foreign && pins === undefined)
    if (isUnproven) return undefined
    const reasons = found.filter((each) => each !== undefined)
    return reasons.length > 0
      ? `it was denied for "${reason}", but the chain's reason is "${reasons[0]}"`
      : `it was denied for "${reason}", but its evidence allows it`
  } catch (error) {
    return (error as Error).message
  }
}

/**
 * The times at which a release must be allowed: that of the block and that of the entry. An approval must be active at
 * both, so one that starts or ends in between does not count.
 */
function timesOf({ state, writtenAt }: EvaluatedEntry): readonly [number, number] {
  return [state.blockTime, Math.max(state.blockTime, writtenAt - toleranceSeconds)]
}

/**
 * The first reason against a boot at a time, with the wording and in the order of the contracts.
 *
 * @throws RangeError, TypeError if a value is not proven
 */
export function denialReasonAt(decision: EvaluatedEntry, at: number): string | undefined {
  const { state, pins } = decision
  const kmsAuth = new LoggedContractReader(state, state.kmsContract)
  requireKnown(kmsAuth, 'kmsAuth', pins)
  const reason =
    decision.question === 'kms'
      ? kmsDenial(decision, kmsAuth, at)
      : appDenial(decision, kmsAuth, at)
  return reason ?? hostDenial(decision, kmsAuth, at)
}

/** The rules of `KmsAuth.isKmsAllowed`, without those about the host. */
function kmsDenial(
  { boot }: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): string | undefined {
  if (boot.tcbStatus !== 'UpToDate') return 'TCB status is not up to date'
  if (!kmsAuth.isActive('osImage', idOf(boot.osImageHash, 32), at)) return 'OS image is not allowed'
  if (!kmsAuth.isActive('kmsMeasurement', idOf(boot.mrAggregated, 32), at))
    return 'Aggregated MR not allowed'
  if (!kmsAuth.isActive('kmsDevice', idOf(boot.deviceId, 32), at))
    return 'KMS is not allowed to boot on this device'
  return undefined
}

/** The rules of `KmsAuth.isAppAllowed`, without those about the host. */
function appDenial(
  decision: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): string | undefined {
  const { boot, state, pins } = decision
  if (!kmsAuth.isActive('app', idOf(boot.appId, 20), at)) return 'App not registered'
  if (!kmsAuth.isActive('osImage', idOf(boot.osImageHash, 32), at)) return 'OS image is not allowed'
  const app = new LoggedContractReader(state, `0x${boot.appId}`)
  const standing = app.standing('app', pins)
  if (standing === 'none') return 'App not deployed or invalid address'
  const isExecuted = state.executedBy.length > 0
  if (isExecuted && standing === 'known' && pins !== undefined)
    throw new RangeError(
      'the answer of a known app was taken from endpoints instead of its proven storage',
    )
  // a foreign app answers itself, and only the endpoints confirm its answer
  if (isExecuted) return undefined
  if (standing === 'foreign') return foreign
  return ownAppDenial(boot, app, at)
}

/** The rules of `App.isAppAllowed`. */
function ownAppDenial(
  boot: EvaluatedEntry['boot'],
  app: LoggedContractReader,
  at: number,
): string | undefined {
  const rules = app.word(uint(4n), 'the rules of its app')
  const [anyDevice, upToDate] = [bits(rules, 136, 8) !== 0, bits(rules, 144, 8) !== 0]
  if (upToDate && boot.tcbStatus !== 'UpToDate') return 'TCB status is not up to date'
  const { index, oldest } = standingOf(boot, app, at)
  const isRelease = app.isActive('release', idOf(boot.composeHash, 32), at) && index >= oldest
  if (!isRelease) return 'Compose hash not allowed'
  if (!anyDevice && !app.isActive('device', idOf(boot.deviceId, 32), at))
    return 'Device not allowed'
  return undefined
}

/** The rules about the host and its measurements, which apps and KMS nodes share. */
function hostDenial(
  decision: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): string | undefined {
  if (!isHostAdmitted(decision, kmsAuth, at)) return 'Host is not registered'
  if (!areMeasurementsAllowed(decision, kmsAuth, at))
    return 'Measurements are not allowed for this OS image'
  return undefined
}

/** The rules of `Hosts.admission`. */
function isHostAdmitted(
  { boot, state, pins }: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): boolean {
  const address = addressIn(kmsAuth.word(slots.hosts, 'the address of the host registry'))
  if (address === zeroAddress) return true
  const hosts = new LoggedContractReader(state, address)
  requireKnown(hosts, 'hosts', pins)
  const device = idOf(boot.deviceId, 32)
  const place = BigInt(mapping(device, uint(5n)))
  const proof = hosts.word(uint(place), 'the proof of its host')
  const more = hosts.word(uint((place + 1n) % 2n ** 256n), 'the proof of its host')
  const attestedSince = bits(hosts.word(uint(8n), 'the rules of hosts'), 0, 40)
  const status = wide(proof, 240, 8)
  const statusUntil = bits(
    hosts.word(mapping(uint(status), uint(6n)), 'the rule of its TCB'),
    0,
    40,
  )
  const approval = hosts.word(approvalSlot('host', device), 'the approval (host)')
  const [provenUnder, version] = [bits(more, 112, 32), bits(approval, 160, 32)]
  return (
    at < bits(proof, 200, 40) &&
    bits(proof, 160, 40) >= attestedSince &&
    at < statusUntil &&
    isActive(approval, at) &&
    (provenUnder === version || (provenUnder === 0 && version === 1)) &&
    isBonded({ state, pins }, hosts, device, addressIn(proof))
  )
}

/** The rule of `HostBonds.isBonded`: the operator's bond is at least the minimum. */
function isBonded(
  { state, pins }: Pick<EvaluatedEntry, 'state' | 'pins'>,
  hosts: LoggedContractReader,
  device: string,
  operator: string,
): boolean {
  const address = addressIn(hosts.word(uint(10n), 'the address of the bonds'))
  if (address === zeroAddress) return true
  const bonds = new LoggedContractReader(state, address)
  requireKnown(bonds, 'bonds', pins)
  const slot = mapping(uint(BigInt(operator)), mapping(device, uint(0n)))
  const bonded = wide(bonds.word(slot, 'the bond of its host'), 0, 96)
  return bonded >= wide(bonds.word(uint(1n), 'the required bond'), 0, 96)
}

/** The rules of `Images`: a closed image, or one that cannot be measured, needs an approved measurement set. */
function areMeasurementsAllowed(
  decision: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): boolean {
  const { boot, state, pins, question } = decision
  const required = boot.mustBeApproved
  if (question === 'kms' && required === undefined) return true
  const address = addressIn(kmsAuth.word(slots.images, 'the address of the image registry'))
  if (address === zeroAddress) return required === undefined
  const images = new LoggedContractReader(state, address)
  requireKnown(images, 'images', pins)
  const image = idOf(boot.osImageHash, 32)
  const closed = bits(images.word(mapping(image, uint(5n)), 'whether its image is closed'), 0, 8)
  if (required === undefined && closed === 0) return true
  // keccak256(abi.encode(osImageHash, TDX, mr_system))
  const registers = idOf(required ?? boot.mrSystem, 32)
  return images.isActive('measurements', mapping(image, uint(0n) + registers.slice(2)), at)
}

/** A contract with other code could keep other things in these slots, so its storage proves nothing. */
function requireKnown(
  contract: LoggedContractReader,
  role: ContractRole,
  pins: PinnedCodeHashes | undefined,
): void {
  const standing = contract.standing(role, pins)
  if (standing === 'known') return
  throw new RangeError(`the code of ${contract.address} is not the pinned code of ${role}`)
}

/** Checks the key epochs in an entry against `App.epochsOf`. */
function requireEpochs(decision: EvaluatedEntry, logged: unknown): void {
  const { state } = decision
  if (state.executedBy.length > 0) {
    if (logged !== null) throw new RangeError('a foreign app has no key epochs')
    return
  }
  const { write, read } = (logged ?? {}) as { write?: unknown; read?: unknown }
  const [then, later] = timesOf(decision).map((at) => epochsAt(decision, at))
  const from = Math.max(then?.read ?? 0, later?.read ?? 0)
  const isGranted =
    then !== undefined &&
    write === then.write &&
    typeof read === 'number' &&
    read >= from &&
    read <= then.write
  if (isGranted) return
  const granted = `write ${then?.write}, read from ${from}`
  throw new RangeError(`it released epochs ${JSON.stringify(logged)}; allowed were ${granted}`)
}

/** The result of `App.epochsOf` for an active release. */
export function epochsAt(
  { boot, state }: EvaluatedEntry,
  at: number,
): { write: number; read: number } {
  const { write, read } = standingOf(boot, new LoggedContractReader(state, `0x${boot.appId}`), at)
  return { write, read }
}

/** The number of a release, and the key epochs that it can write and read at a time. */
function standingOf(boot: EvaluatedEntry['boot'], app: LoggedContractReader, at: number) {
  const rules = app.word(uint(4n), 'the rules of its app')
  const ends = app.word(uint(5n), 'the rules of its app')
  const release = app.word(approvalSlot('release', idOf(boot.composeHash, 32)), 'release')
  const [opened, oldest] = [bits(rules, 184, 32), bits(rules, 216, 32)]
  const [nextOldest, supersededAt, endOpens] = [
    bits(ends, 0, 32),
    bits(ends, 32, 40),
    bits(ends, 72, 8),
  ]
  const index = bits(release, 192, 32)
  const epoch = opened + 1
  const migrating = endOpens !== 0 && at < supersededAt
  return {
    index,
    oldest: at < supersededAt ? oldest : nextOldest,
    write: migrating && index < nextOldest ? epoch - 1 : epoch,
    read: migrating ? epoch - 1 : epoch,
  }
}

/** An id as the contracts store it: 32 bytes, with an address in the lower 20. */
function idOf(text: unknown, length: number): string {
  if (typeof text !== 'string' || !new RegExp(`^[0-9a-f]{${2 * length}}$`).test(text)) {
    throw new TypeError('its boot info is incomplete')
  }
  return `0x${text.padStart(64, '0')}`
}
