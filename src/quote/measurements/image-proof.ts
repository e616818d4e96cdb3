/**
 * Image verification: checks that a quote comes from the base image that the host claims.
 *
 * `os_image_hash` is a claim of the host. It is accepted only if MRTD and RTMR0 to RTMR2 of the quote are the
 * measurements of that image.
 */
import { hash as hashOf } from 'node:crypto'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, toHex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import type { TdReport } from '../parse.ts'
import type { TdxEvent } from './event-log.ts'
import { decodeTdxMeasurement } from './measurement-document.ts'
import {
  type AcpiDigests,
  type BootMeasurement,
  foldDigests,
  type Machine,
  measureBoot,
} from './os-image.ts'

/** The measurements of one base image on one machine shape: 48 bytes each. */
export interface MeasurementSet {
  /** 48 bytes: the firmware. */
  readonly mrTd: Uint8Array
  /** 48 bytes: virtual hardware and firmware settings. */
  readonly rtmr0: Uint8Array
  /** 48 bytes: the kernel. */
  readonly rtmr1: Uint8Array
  /** 48 bytes: command line and initrd. */
  readonly rtmr2: Uint8Array
}

/** Returns the approved measurement sets of an image. The legacy scheme needs them, because it has no document. */
export type ApprovedSets = (osImageHash: Uint8Array) => readonly MeasurementSet[]

/** A verified quote with its event log, and the host's claim about the image. */
export interface ImageClaim {
  readonly report: TdReport
  readonly events: readonly TdxEvent[]
  /** The host's description of image and machine; untrusted. */
  readonly description: ImageDescription
}

const maxDescription = 256 * 1024
const base64 = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')))

/** The VM configuration. Unknown members are ignored, as dstack does. */
const descriptionSchema = z.object({
  os_image_hash: z.string().regex(/^[0-9a-fA-F]{64}$/, '64 hexadecimal digits'),
  memory_size: z.int().min(0).default(0),
  qemu_version: z
    .string()
    .regex(/^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$/, 'x.y.z')
    .nullish(),
  qemu_single_pass_add_pages: z.boolean().nullish(),
  tdx_attestation_variant: z.enum(['legacy', 'lite']).default('legacy'),
  tdx_measurement: z.object({ checksum_file: base64, measurement: base64 }).nullish(),
})

/** The members of a VM configuration that image verification uses. */
export type ImageDescription = z.output<typeof descriptionSchema>

/** Parses the VM configuration (`vm_config`). @throws IMAGE_CLAIM_INVALID */
export function parseImageClaim(text: string): ImageDescription {
  if (text.length > maxDescription) throw claimInvalid('vm_config is larger than 256 KiB')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw claimInvalid('vm_config is not JSON', cause)
  }
  const parsed = descriptionSchema.safeParse(json)
  if (!parsed.success) throw claimInvalid(`vm_config: ${describeIssues(parsed.error)}`)
  return parsed.data
}

/**
 * Returns the image hash that the quote proves. The scheme is the one that the machine declares.
 *
 * @throws IMAGE_NOT_PROVEN, IMAGE_UNKNOWN, IMAGE_CLAIM_INVALID, OS_IMAGE_MEASUREMENT_MALFORMED
 */
export function proveOsImage(claim: ImageClaim, approved: ApprovedSets): Uint8Array {
  const hash = fromHex(claim.description.os_image_hash, 'os_image_hash', 32)
  if (claim.description.tdx_attestation_variant === 'lite') proveLite(claim, hash)
  else proveLegacy(claim, hash, approved)
  return hash
}

/** Computes the registers from the measurement document of the image and compares them. */
function proveLite({ report, events, description }: ImageClaim, hash: Uint8Array): void {
  const material = description.tdx_measurement
  if (!material) throw claimInvalid('the lite scheme needs tdx_measurement')
  if (hashOf('sha256', material.checksum_file) !== toHex(hash)) {
    throw notProven('os_image_hash is not the hash of the checksum file')
  }
  requireListed(material.checksum_file, material.measurement)
  const machine = readMachine(description)
  const acpi = findAcpiDigests(events)
  requireRegisters(report, measureOnce(toHex(hash), material.measurement, machine, acpi))
}

/** Checks that the checksum file of an image lists this document. @throws IMAGE_NOT_PROVEN, IMAGE_CLAIM_INVALID */
export function requireListed(checksumFile: Uint8Array, document: Uint8Array): void {
  if (listedDigest(checksumFile) === hashOf('sha256', document)) return
  throw notProven('the checksum file lists another measurement document')
}

const measuredSets = new Map<string, MeasurementSet>()
const maxMeasuredSets = 256

/** The registers depend on these arguments only, so the newest results are kept. */
function measureOnce(
  image: string,
  document: Uint8Array,
  machine: Machine,
  acpi: AcpiDigests,
): MeasurementSet {
  const { loader, rsdp, tables } = acpi
  const shape = [hashOf('sha256', document), machine.memorySize, machine.twoPass]
  const id = [image, ...shape, ...[loader, rsdp, tables].map(toHex)].join()
  const set = measuredSets.get(id) ?? measureImage(document, machine, acpi)
  measuredSets.delete(id)
  measuredSets.set(id, set)
  if (measuredSets.size > maxMeasuredSets)
    measuredSets.delete(measuredSets.keys().next().value ?? '')
  return set
}

/** Drops the stored results of one image, or of all. @param image hash of the image as lower-case hex */
export function forgetImages(image: string | 'all'): void {
  for (const id of measuredSets.keys())
    if (image === 'all' || id.startsWith(`${image},`)) measuredSets.delete(id)
}

/**
 * Computes the registers of a machine that boots the image of a measurement document.
 *
 * @throws OS_IMAGE_MEASUREMENT_MALFORMED
 */
export function measureImage(
  document: Uint8Array,
  machine: Machine,
  acpi: AcpiDigests,
): MeasurementSet {
  return foldAll(measureBoot(decodeTdxMeasurement(document), machine, acpi))
}

function foldAll({ mrTd, rtmr0, rtmr1, rtmr2 }: BootMeasurement): MeasurementSet {
  return {
    mrTd,
    rtmr0: foldDigests(rtmr0),
    rtmr1: foldDigests(rtmr1),
    rtmr2: foldDigests(rtmr2),
  }
}

/** Compares with the approved measurement sets. The legacy scheme has no document from which they could be computed. */
function proveLegacy({ report }: ImageClaim, hash: Uint8Array, approved: ApprovedSets): void {
  const sets = approved(hash)
  if (sets.length === 0) {
    throw new AssentError('IMAGE_UNKNOWN', 'No measurements are approved for this image.', {
      facts: { osImageHash: toHex(hash) },
    })
  }
  if (sets.some((set) => differing(report, set).length === 0)) return
  throw notProven('no approved measurement set of the image equals the quote')
}

const documentName = 'measurement.tdx.cbor'

/** Reads the digest of the document from a `sha256sum` file, which must list it exactly once. */
function listedDigest(manifest: Uint8Array): string {
  const lines = Buffer.from(manifest).toString('utf8').split('\n')
  const matches = lines
    .map((line) => /^([0-9a-f]{64}) [ *](\S+)$/.exec(line))
    .filter((match) => match?.[2] === documentName)
  const digest = matches[0]?.[1]
  if (matches.length !== 1 || digest === undefined) {
    throw claimInvalid(`the checksum file does not list ${documentName} exactly once`)
  }
  return digest
}

const twoGiB = 2 ** 31
const gapStart = 0xb0000000

/** Reads memory size and page order. QEMU before 9.0 adds all pages of a section first and then extends them. */
export function readMachine(
  description: Pick<
    ImageDescription,
    'memory_size' | 'qemu_version' | 'qemu_single_pass_add_pages'
  >,
): Machine {
  const { memory_size: memorySize, qemu_version: version } = description
  if (memorySize !== twoGiB && memorySize < gapStart) {
    throw claimInvalid('the lite scheme covers 2 GiB of memory, or 2.75 GiB and more')
  }
  const major = Number((version ?? '9.1.0').split('.')[0])
  if (major < 8) throw claimInvalid('QEMU before 8.0 is not supported')
  // the name says single pass, but dstack interprets `true` as two passes
  const twoPass = description.qemu_single_pass_add_pages ?? major < 9
  return { memorySize: BigInt(memorySize), twoPass }
}

const acpiEventType = 10
const acpiPayload = toHex(Buffer.from('ACPI DATA'))

/** Finds the three digests of the firmware's ACPI inputs in the event log. */
export function findAcpiDigests(events: readonly TdxEvent[]): AcpiDigests {
  const found = events.filter(
    ({ imr, eventType, payload }) =>
      imr === 0 && eventType === acpiEventType && toHex(payload) === acpiPayload,
  )
  const named = (name: string): Uint8Array => {
    const [event, ...more] = found.filter((candidate) => candidate.event === name)
    if (event === undefined || more.length > 0 || event.digest.length !== 48) {
      throw claimInvalid(`the event log must have ${name} exactly once`)
    }
    return event.digest
  }
  if (found.length !== 3) throw claimInvalid('the event log must have three ACPI events')
  return { loader: named('acpi-loader'), rsdp: named('acpi-rsdp'), tables: named('acpi-tables') }
}

function requireRegisters(report: TdReport, expected: MeasurementSet): void {
  const wrong = differing(report, expected)
  if (wrong.length > 0) throw notProven(`${wrong.join(', ')} of the quote differ`, wrong)
}

function differing(report: TdReport, set: MeasurementSet): string[] {
  const pairs = [
    ['MRTD', report.mrTd, set.mrTd],
    ['RTMR0', report.rtmrs[0], set.rtmr0],
    ['RTMR1', report.rtmrs[1], set.rtmr1],
    ['RTMR2', report.rtmrs[2], set.rtmr2],
  ] as const
  return pairs.filter(([, found, wanted]) => !equalBytes(found, wanted)).map(([name]) => name)
}

function notProven(what: string, registers: readonly string[] = []): AssentError {
  return new AssentError('IMAGE_NOT_PROVEN', `The claimed image is not proven: ${what}.`, {
    facts: { registers },
  })
}

function claimInvalid(what: string, cause?: unknown): AssentError {
  return new AssentError('IMAGE_CLAIM_INVALID', `The image cannot be checked: ${what}.`, { cause })
}
