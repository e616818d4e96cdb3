/**
 * A simulated dstack base image of the "lite" scheme. Its registers can be computed from its measurement document, so
 * image verification works as with real images.
 */
import { sha256, sha384 } from '@noble/hashes/sha2.js'

import { fromHex, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import type { TdxEvent } from '../../quote/measurements/event-log.ts'
import { encodeTdxMeasurement } from '../../quote/measurements/measurement-document.ts'
import { foldDigests, measureBoot, type TdxMeasurement } from '../../quote/measurements/os-image.ts'

/** Differences from the default image. */
export interface ImageOptions {
  /** The same name gives the same image, byte for byte. */
  readonly name?: string
}

/** A base image: the measurements that dstack's tools publish with a release. */
export interface OsImage {
  /** For people. */
  readonly name: string
  readonly measurement: TdxMeasurement
  /** `sha256sum.txt`; its SHA-256 is `os_image_hash`. */
  readonly checksumFile: Uint8Array
  /** CBOR, as an image release contains it. */
  readonly measurementDocument: Uint8Array
  /** 32 bytes. */
  readonly osImageHash: Uint8Array
}

/** The part of the virtual machine that changes the measurements. */
export interface MachineOptions {
  /** Bytes; default 2 GiB. */
  readonly memorySize?: number
  readonly cpuCount?: number
  /** QEMU before 9.0 measures in two passes. */
  readonly qemuVersion?: string
}

/** An image started on a virtual machine: registers and events before the first event of the guest. */
export interface BootedImage {
  readonly mrTd: Uint8Array
  readonly rtmr0: Uint8Array
  readonly rtmr1: Uint8Array
  readonly rtmr2: Uint8Array
  /** Events of RTMR0 to RTMR2. */
  readonly events: readonly TdxEvent[]
  readonly vmConfig: string
}

const acpiMarker = utf8ToBytes('ACPI DATA')

/** A base image with kernel, initrd and command line of random bytes. */
export function createImage({ name = 'assent-sim-1.0.0' }: ImageOptions = {}): OsImage {
  const digest = (part: string) => sha384(utf8ToBytes(`assent simulator image ${name} ${part}`))
  const measurement = {
    cmdlineSha384: digest('cmdline'),
    kernelAuthenticode: digest('kernel'),
    initrdSha384: digest('initrd'),
    mrTdSinglePass: digest('mrtd single pass'),
    mrTdTwoPass: digest('mrtd two pass'),
    tdHob: fromHex('80100904000609020b021010', 'TD HOB witness'),
  }
  const measurementDocument = encodeTdxMeasurement(measurement)
  const checksumFile = utf8ToBytes(
    ['bzImage', 'initramfs.cpio.gz', 'ovmf.fd']
      .map((file) => `${toHex(sha256(digest(file)))}  ${file}\n`)
      .concat(`${toHex(sha256(measurementDocument))}  measurement.tdx.cbor\n`)
      .join(''),
  )
  const osImageHash = sha256(checksumFile)
  return { name, measurement, checksumFile, measurementDocument, osImageHash }
}

/** Measures the start of an image on a virtual machine of this shape. */
export function startImage(image: OsImage, machine: MachineOptions = {}): BootedImage {
  const { memorySize = 2 ** 31, cpuCount = 2, qemuVersion = '9.2.1' } = machine
  const acpi = describeAcpi(cpuCount, memorySize)
  const boot = measureBoot(
    image.measurement,
    { memorySize: BigInt(memorySize), twoPass: qemuVersion.startsWith('8.') },
    acpi,
  )
  return {
    mrTd: boot.mrTd,
    rtmr0: foldDigests(boot.rtmr0),
    rtmr1: foldDigests(boot.rtmr1),
    rtmr2: foldDigests(boot.rtmr2),
    events: bootEvents(boot.rtmr0, boot.rtmr1, boot.rtmr2),
    vmConfig: JSON.stringify(describeMachine(image, { memorySize, cpuCount, qemuVersion })),
  }
}

/** ACPI tables depend on the machine shape, not on the image. */
function describeAcpi(cpuCount: number, memorySize: number) {
  const digest = (part: string) =>
    sha384(utf8ToBytes(`assent simulator ${part} ${cpuCount} ${memorySize}`))
  return {
    loader: digest('acpi loader'),
    rsdp: digest('acpi rsdp'),
    tables: digest('acpi tables'),
  }
}

function describeMachine(image: OsImage, machine: Required<MachineOptions>) {
  return {
    os_image_hash: toHex(image.osImageHash),
    cpu_count: machine.cpuCount,
    memory_size: machine.memorySize,
    qemu_version: machine.qemuVersion,
    pci_hole64_size: 0,
    hugepages: false,
    num_gpus: 0,
    num_nvswitches: 0,
    hotplug_off: false,
    image: image.name,
    host_share_mode: '9p',
    ovmf_variant: 'pre202505',
    tdx_attestation_variant: 'lite',
    tdx_measurement: {
      measurement: Buffer.from(image.measurementDocument).toString('base64'),
      checksum_file: Buffer.from(image.checksumFile).toString('base64'),
    },
    spec_version: 1,
  }
}

// TCG event types of the firmware's log, in the order of the registers' digests
const types0 = [
  0x8000000b, 0x8000000a, 0x80000001, 0x80000001, 0x80000001, 0x80000001, 0x80000001, 4, 10, 10, 10,
  0x80000002, 0x80000002,
]
const types1 = [0x80000003, 0x80000007, 4, 0x80000007, 0x80000007]
const acpiNames = ['acpi-loader', 'acpi-rsdp', 'acpi-tables']

function bootEvents(
  rtmr0: readonly Uint8Array[],
  rtmr1: readonly Uint8Array[],
  rtmr2: readonly Uint8Array[],
): TdxEvent[] {
  const event = (imr: number, eventType: number, digest: Uint8Array | undefined): TdxEvent => ({
    imr,
    eventType,
    digest: digest ?? new Uint8Array(48),
    event: '',
    payload: eventType === 10 ? acpiMarker : new Uint8Array(),
    version: 1,
  })
  const firmware = types0.map((type, index) => ({
    ...event(0, type, rtmr0[index]),
    event: acpiNames[index - 8] ?? '',
  }))
  const loader = types1.map((type, index) => event(1, type, rtmr1[index]))
  const kernel = rtmr2.map((digest) => event(2, 6, digest))
  // as in real logs: the kernel is measured before the boot variables
  return [
    ...firmware.slice(0, 11),
    ...loader.slice(0, 1),
    ...firmware.slice(11),
    ...loader.slice(1, 3),
    ...kernel,
    ...loader.slice(3),
  ]
}
