/**
 * The firmware's event log in the ACPI table CCEL: events of the TCG "PC Client Platform Firmware Profile" in crypto-agile
 * form, each with a SHA-384 digest. In a TD it is the file `/sys/firmware/acpi/tables/data/CCEL`.
 *
 * A log is not trusted. Use only what replays to the RTMRs of a verified quote.
 */
import { AssentError } from '../../errors/index.ts'
import type { TdxEvent } from './event-log.ts'

/** A genuine table has 64 KiB, mostly unused. */
export const MAX_CCEL_BYTES = 1_048_576

const MAX_ENTRIES = 65_536
const END = 0xffff_ffff
const SPEC_ID = 'Spec ID Event03\0'
const SHA384 = 0x000c
/** EV_NO_ACTION: an informative event that does not extend a register (TCG PFP §10.4.1). */
const NO_ACTION = 3
/** Digest sizes by TCG algorithm id. */
const digestBytes: Readonly<Record<number, number>> = { 4: 20, 11: 32, 12: 48, 13: 64 }

/**
 * Parses the log up to its end mark, or to the end of the bytes if the unused space was cut off.
 *
 * @param bytes content of the table
 * @returns the events that extend RTMR0 to RTMR3, in their order
 * @throws EVENT_LOG_MALFORMED, INPUT_TOO_LARGE
 * @example const events = parseCcel(await readFile('/sys/firmware/acpi/tables/data/CCEL'))
 */
export function parseCcel(bytes: Uint8Array): TdxEvent[] {
  if (bytes.length > MAX_CCEL_BYTES) {
    throw new AssentError('INPUT_TOO_LARGE', 'The firmware event log is too large.', {
      facts: { found: bytes.length, expected: `at most ${MAX_CCEL_BYTES}` },
    })
  }
  const reader = new CcelReader(bytes)
  readHeader(reader)
  const events: TdxEvent[] = []
  for (let count = 0; ; count++) {
    if (reader.isAtEnd) return events
    const register = reader.u32('register')
    if (register === END) return events
    if (count === MAX_ENTRIES) throw malformed('it has too many events', reader.offset)
    const event = readEvent(reader, register)
    if (event !== undefined) events.push(event)
  }
}

/** Reads the Spec ID event. It is the only event in the old form (TCG_PCClientPCREvent). */
function readHeader(reader: CcelReader): void {
  reader.u32('register')
  reader.u32('event type')
  reader.take(20, 'SHA-1')
  const size = reader.u32('size')
  const end = reader.offset + size
  if (Buffer.from(reader.take(16, 'signature')).toString('latin1') !== SPEC_ID) {
    throw malformed('it has another signature', reader.offset - 16)
  }
  reader.take(8, 'platform class and versions')
  const algorithms = reader.u32('number of algorithms')
  if (algorithms > MAX_ENTRIES) throw malformed('it has too many algorithms', reader.offset)
  for (let index = 0; index < algorithms; index++) {
    const algorithm = reader.u16('algorithm')
    if (reader.u16('digest size') !== digestBytes[algorithm]) {
      throw malformed('an algorithm has another digest size', reader.offset - 2)
    }
  }
  reader.take(reader.u8('vendor info size'), 'vendor info')
  if (reader.offset !== end) throw malformed('its header has another size', reader.offset)
}

/** Reads one event. Register 1 is RTMR0. Register 0 and events that extend nothing give undefined. */
function readEvent(reader: CcelReader, register: number): TdxEvent | undefined {
  const start = reader.offset - 4
  const eventType = reader.u32('event type')
  const count = reader.u32('number of digests')
  if (count > MAX_ENTRIES) throw malformed('an event has too many digests', reader.offset)
  const digests: [algorithm: number, digest: Uint8Array][] = []
  for (let index = 0; index < count; index++) {
    const algorithm = reader.u16('algorithm')
    const size = digestBytes[algorithm]
    if (size === undefined) throw malformed('a digest has an unknown algorithm', reader.offset - 2)
    digests.push([algorithm, reader.take(size, 'digest')])
  }
  const payload = reader.take(reader.u32('event size'), 'event')
  if (register === 0 || eventType === NO_ACTION) return undefined
  const [digest, ...more] = digests.flatMap(([algorithm, each]) =>
    algorithm === SHA384 ? [each] : [],
  )
  if (digest === undefined || more.length > 0) {
    throw malformed('an event has not exactly one SHA-384 digest', start)
  }
  if (register > 4) throw malformed('an event is of no RTMR', start)
  return { imr: register - 1, eventType, digest, event: '', payload, version: 1 }
}

/** Reads little-endian numbers and checks the bounds. */
class CcelReader {
  readonly #bytes: Uint8Array
  offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.offset === this.#bytes.length
  }

  take(length: number, field: string): Uint8Array {
    const end = this.offset + length
    if (end > this.#bytes.length) throw malformed(`it ends inside ${field}`, this.offset)
    const taken = this.#bytes.slice(this.offset, end)
    this.offset = end
    return taken
  }

  u8(field: string): number {
    return this.#number(1, field)
  }

  u16(field: string): number {
    return this.#number(2, field)
  }

  u32(field: string): number {
    return this.#number(4, field)
  }

  #number(width: number, field: string): number {
    return this.take(width, field).reduceRight((value, byte) => value * 256 + byte, 0)
  }
}

function malformed(why: string, offset: number): AssentError {
  return new AssentError('EVENT_LOG_MALFORMED', `The firmware event log cannot be read: ${why}.`, {
    facts: { found: why, offset },
  })
}
