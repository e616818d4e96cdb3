/**
 * Judges again what the log says was decided: what the contracts' rules are over the proven words, at the
 * block's time and at that of the entry.
 *
 * Written from docs/contracts.md, "Storage" and "The questions"; shares nothing with the code that decides.
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

/** How long a decision may lie before the time at which it was written down. */
const toleranceSeconds = 60

/** Of the KmsAuth, by their fixed places. */
const slots = { hosts: uint(11n), images: uint(12n) } as const
const nobody = addressIn(0n)
const foreign = 'App contract is not one whose rules this KMS knows'

export interface EvaluatedEntry {
  /** `handover`, `onboarded` and `self` are about a KMS, everything else about an app. */
  readonly question: 'app' | 'kms'
  readonly boot: Readonly<Record<string, unknown>>
  readonly state: LoggedState
  /** When the entry was written, by the node's clock. */
  readonly writtenAt: number
  readonly pins: PinnedCodeHashes | undefined
}

/** What speaks against something given; undefined if nothing does. */
export function whyNotGranted(decision: EvaluatedEntry, epochs?: { readonly told: unknown }) {
  try {
    for (const at of timesOf(decision)) {
      const refusal = refusalAt(decision, at)
      if (refusal !== undefined) return `${refusal} (at ${at})`
    }
    if (epochs !== undefined) requireEpochs(decision, epochs.told)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Whether the proven state refuses what was denied, in the words that were given. */
export function whyNotDenied(decision: EvaluatedEntry, reason: unknown): string | undefined {
  try {
    const { state, writtenAt, pins } = decision
    const found = [state.blockTime, writtenAt].map((at) => refusalAt(decision, at))
    if (found.includes(String(reason))) return undefined
    // what an app said itself, and whose code it has, is not in the proofs
    const isTheApps = state.executedBy.length > 0 || (reason === foreign && pins === undefined)
    if (isTheApps) return undefined
    const refusals = found.filter((refusal) => refusal !== undefined)
    return refusals.length > 0
      ? `it was denied for "${reason}", and the chain says "${refusals[0]}"`
      : `it was denied for "${reason}", and nothing in its evidence speaks against it`
  } catch (error) {
    return (error as Error).message
  }
}

/** What ends between the block and the entry has ended, what begins then has not begun. */
function timesOf({ state, writtenAt }: EvaluatedEntry): readonly [number, number] {
  return [state.blockTime, Math.max(state.blockTime, writtenAt - toleranceSeconds)]
}

/** The first reason against it in the contracts' words and order. @throws RangeError, TypeError */
export function refusalAt(decision: EvaluatedEntry, at: number): string | undefined {
  const { state, pins } = decision
  const kmsAuth = new LoggedContractReader(state, state.kmsContract)
  requireKnown(kmsAuth, 'kmsAuth', pins)
  const refusal =
    decision.question === 'kms'
      ? kmsDenial(decision, kmsAuth, at)
      : appDenial(decision, kmsAuth, at)
  return refusal ?? refuseMachine(decision, kmsAuth, at)
}

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
    throw new RangeError('endpoints were asked about an app whose rules are known')
  // a foreign app answered for itself, and only endpoints say so
  if (isExecuted) return undefined
  if (standing === 'foreign') return foreign
  return refuseByApp(boot, app, at)
}

function refuseByApp(
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

function refuseMachine(
  decision: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): string | undefined {
  if (!isHostAdmitted(decision, kmsAuth, at)) return 'Host is not registered'
  if (!areMeasurementsAllowed(decision, kmsAuth, at))
    return 'Measurements are not allowed for this OS image'
  return undefined
}

/** Hosts.admission */
function isHostAdmitted(
  { boot, state, pins }: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): boolean {
  const address = addressIn(kmsAuth.word(slots.hosts, 'whether hosts are judged'))
  if (address === nobody) return true
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

function isBonded(
  { state, pins }: Pick<EvaluatedEntry, 'state' | 'pins'>,
  hosts: LoggedContractReader,
  device: string,
  operator: string,
): boolean {
  const address = addressIn(hosts.word(uint(10n), 'whether hosts are bonded'))
  if (address === nobody) return true
  const bonds = new LoggedContractReader(state, address)
  requireKnown(bonds, 'bonds', pins)
  const slot = mapping(uint(BigInt(operator)), mapping(device, uint(0n)))
  const bonded = wide(bonds.word(slot, 'the bond of its host'), 0, 96)
  return bonded >= wide(bonds.word(uint(1n), 'the least bond'), 0, 96)
}

/** Images: sets of measurements, where the image is closed or could not be measured. */
function areMeasurementsAllowed(
  decision: EvaluatedEntry,
  kmsAuth: LoggedContractReader,
  at: number,
): boolean {
  const { boot, state, pins, question } = decision
  const demanded = boot.mustBeApproved
  if (question === 'kms' && demanded === undefined) return true
  const address = addressIn(kmsAuth.word(slots.images, 'whether images are judged'))
  if (address === nobody) return demanded === undefined
  const images = new LoggedContractReader(state, address)
  requireKnown(images, 'images', pins)
  const image = idOf(boot.osImageHash, 32)
  const closed = bits(images.word(mapping(image, uint(5n)), 'whether its image is closed'), 0, 8)
  if (demanded === undefined && closed === 0) return true
  // keccak256(abi.encode(osImageHash, TDX, mr_system))
  const registers = idOf(demanded ?? boot.mrSystem, 32)
  return images.isActive('measurements', mapping(image, uint(0n) + registers.slice(2)), at)
}

function requireKnown(
  contract: LoggedContractReader,
  role: ContractRole,
  pins: PinnedCodeHashes | undefined,
): void {
  const standing = contract.standing(role, pins)
  if (standing === 'known') return
  throw new RangeError(`${contract.address} is not the ${role} whose code is pinned`)
}

function requireEpochs(decision: EvaluatedEntry, told: unknown): void {
  const { state } = decision
  if (state.executedBy.length > 0) {
    if (told !== null) throw new RangeError('epochs of an app that counts none')
    return
  }
  const { write, read } = (told ?? {}) as { write?: unknown; read?: unknown }
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
  throw new RangeError(`it gave epochs ${JSON.stringify(told)}; granted were ${granted}`)
}

/** App.epochsOf of a release that counts. */
export function epochsAt(
  { boot, state }: EvaluatedEntry,
  at: number,
): { write: number; read: number } {
  const { write, read } = standingOf(boot, new LoggedContractReader(state, `0x${boot.appId}`), at)
  return { write, read }
}

/** Where a release stands among those of its app, at a time. */
function standingOf(boot: EvaluatedEntry['boot'], app: LoggedContractReader, at: number) {
  const rules = app.word(uint(4n), 'the rules of its app')
  const ends = app.word(uint(5n), 'the rules of its app')
  const release = app.word(approvalSlot('release', idOf(boot.composeHash, 32)), 'release')
  const [opened, oldest] = [bits(rules, 184, 32), bits(rules, 216, 32)]
  const [nextOldest, endFrom, endOpens] = [bits(ends, 0, 32), bits(ends, 32, 40), bits(ends, 72, 8)]
  const index = bits(release, 192, 32)
  const epoch = opened + 1
  const migrating = endOpens !== 0 && at < endFrom
  return {
    index,
    oldest: at < endFrom ? oldest : nextOldest,
    write: migrating && index < nextOldest ? epoch - 1 : epoch,
    read: migrating ? epoch - 1 : epoch,
  }
}

/** As the contracts key it: 32 bytes, an address in the lower 20. */
function idOf(text: unknown, length: number): string {
  if (typeof text !== 'string' || !new RegExp(`^[0-9a-f]{${2 * length}}$`).test(text)) {
    throw new TypeError('it does not say what booted')
  }
  return `0x${text.padStart(64, '0')}`
}
