/**
 * Computes MRTD and RTMR0 to RTMR2 of a dstack base image from its measurement document: dstack's "lite" scheme.
 *
 * The scheme does not verify the ACPI tables: their three digests come from the event log.
 */
import { createHash, hash } from 'node:crypto'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, utf8ToBytes } from '../../lib/bytes.ts'

/** The content of `measurement.tdx.cbor`, version 3. Digests have 48 bytes. */
export interface TdxMeasurement {
  readonly cmdlineSha384: Uint8Array
  /** 48 bytes: Authenticode digest of the kernel image. */
  readonly kernelAuthenticode: Uint8Array
  readonly initrdSha384: Uint8Array
  /** MRTD if the hypervisor adds and measures each page in one pass, 48 bytes. */
  readonly mrTdSinglePass: Uint8Array
  /** MRTD if the hypervisor adds all pages first and measures them then, 48 bytes. */
  readonly mrTdTwoPass: Uint8Array
  /** The memory ranges that the firmware accepts, as varints. */
  readonly tdHob: Uint8Array
}

/** The machine shape. */
export interface Machine {
  /** Bytes. */
  readonly memorySize: bigint
  /** True for QEMU before 9.0: it adds all pages of a section first and then extends them. */
  readonly twoPass: boolean
}

/** SHA-384 digests of the ACPI inputs, 48 bytes each. */
export interface AcpiDigests {
  /** SHA-384 of the table loader, 48 bytes. */
  readonly loader: Uint8Array
  /** SHA-384 of the root system description pointer, 48 bytes. */
  readonly rsdp: Uint8Array
  /** SHA-384 of the ACPI tables, 48 bytes. */
  readonly tables: Uint8Array
}

/** The digests that are extended into each register before the guest's own events. */
export interface BootMeasurement {
  readonly mrTd: Uint8Array
  /** Digests in the order in which they extend the register, 48 bytes each. */
  readonly rtmr0: readonly Uint8Array[]
  readonly rtmr1: readonly Uint8Array[]
  readonly rtmr2: readonly Uint8Array[]
}

/**
 * Computes the digests that firmware with the layout `pre202505` extends.
 *
 * @throws OS_IMAGE_MEASUREMENT_MALFORMED
 */
export function measureBoot(
  image: TdxMeasurement,
  machine: Machine,
  acpi: AcpiDigests,
): BootMeasurement {
  return {
    mrTd: machine.twoPass ? image.mrTdTwoPass : image.mrTdSinglePass,
    rtmr0: [
      sha384(buildTdHob(image.tdHob, machine.memorySize)),
      configurationVolume,
      ...secureBootVariables,
      separator,
      acpi.loader,
      acpi.rsdp,
      acpi.tables,
      bootOrder,
      firstBootOption,
    ],
    rtmr1: [image.kernelAuthenticode, applicationCalled, separator, exitInvoked, exitSucceeded],
    rtmr2: [image.cmdlineSha384, image.initrdSha384],
  }
}

/** Computes a register: `mr ← SHA-384(mr ‖ digest)`, starting with zeros. */
export function foldDigests(digests: readonly Uint8Array[]): Uint8Array {
  return digests.reduce<Uint8Array>(
    (mr, digest) => new Uint8Array(createHash('sha384').update(mr).update(digest).digest()),
    new Uint8Array(48),
  )
}

function sha384(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha384', bytes, 'buffer'))
}

const constant = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

const configurationVolume = constant(
  '344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790',
)
const firstBootOption = constant(
  '23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298',
)
const separator = sha384(new Uint8Array(4))
const bootOrder = sha384(new Uint8Array(2))
const applicationCalled = sha384(utf8ToBytes('Calling EFI Application from Boot Option'))
const exitInvoked = sha384(utf8ToBytes('Exit Boot Services Invocation'))
const exitSucceeded = sha384(utf8ToBytes('Exit Boot Services Returned with Success'))

// EFI GUIDs in wire form: 8BE4DF61-93CA-11D2-AA0D-00E098032B8C, D719B2CB-3D3A-4596-A3BC-DAD00E67656F
const globalVariables = constant('61dfe48bca93d211aa0d00e098032b8c')
const securityDatabase = constant('cbb219d73a3d9645a3bcdad00e67656f')

const secureBootVariables = [
  emptyVariable(globalVariables, 'SecureBoot'),
  emptyVariable(globalVariables, 'PK'),
  emptyVariable(globalVariables, 'KEK'),
  emptyVariable(securityDatabase, 'db'),
  emptyVariable(securityDatabase, 'dbx'),
]

function emptyVariable(guid: Uint8Array, name: string): Uint8Array {
  return sha384(concatBytes(guid, u64(BigInt(name.length)), u64(0n), Buffer.from(name, 'utf16le')))
}

interface MemoryRange {
  readonly start: bigint
  readonly end: bigint
  readonly accepted: boolean
}

const page = 4096n
const maxWitnessBytes = 4096
const maxAddress = 1n << 52n
const lowMemoryEnd = 0x8000_0000n
const highMemoryStart = 0x1_0000_0000n

/** Builds the hand-off block with the memory map for the firmware: a header, then one record for each range. */
function buildTdHob(witness: Uint8Array, memorySize: bigint): Uint8Array {
  const { address, accepted } = readWitness(witness)
  const ranges = splitMemory(accepted, memorySize)
  const last = ranges.pop()
  if (last === undefined || last.accepted) throw malformed('leaves no memory to the guest')
  const records = [...ranges, ...splitAtGap(last, memorySize)].map(hobRecord)
  const length = 56n + 48n * BigInt(records.length)
  const header = concatBytes(u16(1), u16(56), u32(0), u32(9), u32(0), new Uint8Array(32))
  return concatBytes(header, u64(address + length + 8n), ...records)
}

/** Reads the memory map. The document comes from the host and is not approved yet, so every value is bounded. */
function readWitness(witness: Uint8Array): { address: bigint; accepted: MemoryRange[] } {
  const [base, hob, count, ...pairs] = readVarints(witness)
  if (base === undefined || hob === undefined || count === undefined) throw malformed('is cut off')
  if (count * 2n !== BigInt(pairs.length)) throw malformed('has another number of ranges')
  const accepted = Array.from({ length: Number(count) }, (_, index) => {
    const start = (base + (pairs[2 * index] as bigint)) * page
    return { start, end: start + (pairs[2 * index + 1] as bigint) * page, accepted: true }
  })
  const address = (base + hob) * page
  if (address >= maxAddress) throw malformed('lies beyond physical memory')
  return { address, accepted }
}

/** LEB128, unsigned: shortest form only, no number beyond 56 bits. */
function readVarints(bytes: Uint8Array): bigint[] {
  if (bytes.length > maxWitnessBytes) throw malformed('is too large')
  const values: bigint[] = []
  let value = 0n
  let shift = 0n
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << shift
    shift += 7n
    if (byte & 0x80) continue
    if (shift > 56n || (byte === 0 && shift > 7n)) throw malformed('has a number that is too long')
    values.push(value)
    value = 0n
    shift = 0n
  }
  if (shift > 0n) throw malformed('is cut off')
  return values
}

function splitMemory(accepted: readonly MemoryRange[], memorySize: bigint): MemoryRange[] {
  const ranges: MemoryRange[] = []
  let free = 0n
  for (const range of accepted) {
    const isInside = range.start >= free && range.end > range.start && range.end <= memorySize
    if (!isInside) throw malformed('has ranges that overlap, are empty or beyond the memory')
    if (range.start > free) ranges.push({ start: free, end: range.start, accepted: false })
    ranges.push(range)
    free = range.end
  }
  if (free < memorySize) ranges.push({ start: free, end: memorySize, accepted: false })
  return ranges
}

/** Machines with much memory have a hole for devices between 2 GiB and 4 GiB. */
function splitAtGap(last: MemoryRange, memorySize: bigint): MemoryRange[] {
  if (memorySize < 0xb000_0000n) return [last]
  const low =
    last.start < lowMemoryEnd ? [{ start: last.start, end: lowMemoryEnd, accepted: false }] : []
  const high =
    last.end > lowMemoryEnd
      ? [
          {
            start: highMemoryStart,
            end: highMemoryStart + last.end - lowMemoryEnd,
            accepted: false,
          },
        ]
      : []
  return [...low, ...high]
}

function malformed(why: string): AssentError {
  return new AssentError(
    'OS_IMAGE_MEASUREMENT_MALFORMED',
    `The memory map of the measurement document ${why}.`,
  )
}

function hobRecord({ start, end, accepted }: MemoryRange): Uint8Array {
  const type = Uint8Array.of(accepted ? 0 : 7, 0, 0, 0)
  return concatBytes(
    u16(3),
    u16(48),
    u32(0),
    new Uint8Array(16),
    type,
    u32(7),
    u64(start),
    u64(end - start),
  )
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8)
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

function u64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer)
}
