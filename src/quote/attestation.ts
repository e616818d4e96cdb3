/**
 * dstack's VersionedAttestation: one value with a quote, its event log and the VM configuration.
 *
 * Version 0 is SCALE, version 1 is MessagePack; the first byte distinguishes them. Decoding verifies nothing: verify the
 * quote, compare its report data and replay the log.
 */
import { encode as encodeMessagePack } from '@msgpack/msgpack'

import { AssentError } from '../errors/index.ts'
import { concatBytes, fromHex, requireLength, toHex } from '../lib/bytes.ts'
import { MessagePackReader } from '../lib/messagepack.ts'
import { ScaleReader, scaleBytes, scaleCompact, scaleText, scaleU32 } from '../lib/scale.ts'
import { type LoggedEvent, MAX_EVENTS } from './measurements/event-log.ts'
import { parseQuote, type Quote } from './parse.ts'

/** One entry of the event log. `checkEvents` checks it. */
export type AttestedEvent = LoggedEvent

/** A runtime event as the guest lists it. */
export interface AttestedRuntimeEvent {
  /** Such as `compose-hash`. */
  readonly name: string
  /** Raw bytes. */
  readonly payload: Uint8Array
  /** Form of the digest: 1 = concatenation, 2 = JSON (RFC 8785). */
  readonly version: 1 | 2
}

/** An attestation of a dstack CVM on Intel TDX. Nothing in it is verified. */
export interface Attestation {
  /** Raw TDX quote. */
  readonly quote: Uint8Array
  /** All events that the quoting agent returned, with digests that are not checked yet. */
  readonly eventLog: readonly AttestedEvent[]
  /** Events of RTMR3 by name; their digests follow from name and payload. */
  readonly runtimeEvents: readonly AttestedRuntimeEvent[]
  /** 64 bytes. */
  readonly reportData: Uint8Array
  /** The VM configuration (`vm_config` JSON), or the whole sys-config, unchanged. */
  readonly config: string
}

const parsed = new WeakMap<Attestation, Quote>()

/** Parses the quote of an attestation. The result is stored, so an attestation is parsed once. @throws QUOTE_* */
export function quoteOf(attestation: Attestation): Quote {
  let quote = parsed.get(attestation)
  if (quote === undefined) {
    quote = parseQuote(attestation.quote)
    parsed.set(attestation, quote)
  }
  return quote
}

const maxBytes = 10 * 1024 * 1024
const platformNames = ['tdx', 'gcp-tdx', 'nitro-enclave', 'sev-snp', 'aws-nitro-tpm']

/**
 * Decodes a VersionedAttestation of version 0 or 1, as certificates and the guest agent contain it.
 *
 * @throws ATTESTATION_MALFORMED
 * @throws ATTESTATION_UNSUPPORTED for another platform than TDX, or a guest other than dstack
 *
 * @example
 * const { quote, eventLog } = decodeAttestation(extensionValue)
 */
export function decodeAttestation(bytes: Uint8Array): Attestation {
  return encodingOf(bytes) === 'scale' ? decodeScale(bytes) : decodeMap(bytes)
}

/**
 * Decodes only the quote. A server verifies it before it decodes the event log, which can have thousands of events.
 *
 * @throws ATTESTATION_MALFORMED, ATTESTATION_UNSUPPORTED, QUOTE_*
 */
export function decodeAttestedQuote(bytes: Uint8Array): Quote {
  const quote = encodingOf(bytes) === 'scale' ? startScale(bytes).quote : startMap(bytes).quote
  return parseQuote(quote)
}

function encodingOf(bytes: Uint8Array): 'scale' | 'messagepack' {
  if (bytes.length > maxBytes) throw malformed('it is too large', { bytes: bytes.length })
  const first = bytes[0]
  if (first === 0) return 'scale'
  const isMap =
    first !== undefined && ((first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf)
  if (isMap) return 'messagepack'
  throw malformed('its first byte is of no known version', { firstByte: first })
}

/**
 * Encodes version 0, or version 1 if an event has a version that SCALE cannot express.
 *
 * @throws LENGTH_WRONG
 * @example await writeFile('attestation.bin', encodeAttestation(attestation))
 */
export function encodeAttestation(attestation: Attestation): Uint8Array {
  requireLength(attestation.reportData, 'report data', 64)
  return attestation.runtimeEvents.some((event) => event.version === 2)
    ? encodeMap(attestation)
    : encodeScale(attestation)
}

function encodeScale(attestation: Attestation): Uint8Array {
  return concatBytes(
    Uint8Array.of(0, 0),
    scaleBytes(attestation.quote),
    scaleCompact(attestation.eventLog.length),
    ...attestation.eventLog.map((event) =>
      concatBytes(
        scaleU32(event.imr),
        scaleU32(event.eventType),
        scaleBytes(event.digest),
        scaleText(event.event),
        scaleBytes(event.payload),
      ),
    ),
    scaleCompact(attestation.runtimeEvents.length),
    ...attestation.runtimeEvents.map((event) =>
      concatBytes(scaleText(event.name), scaleBytes(event.payload)),
    ),
    attestation.reportData,
    scaleText(attestation.config),
  )
}

function startScale(bytes: Uint8Array) {
  const reader = new ScaleReader(bytes, malformed)
  reader.take(1, 'version')
  const platform = reader.take(1, 'platform')[0] as number
  requireTdx(platformNames[platform] ?? `number ${platform}`)
  return { quote: reader.bytes('quote'), reader }
}

function decodeScale(bytes: Uint8Array): Attestation {
  const { quote, reader } = startScale(bytes)
  const eventLog = reader.list(
    'event log',
    () => ({
      imr: reader.u32('imr'),
      eventType: reader.u32('event type'),
      digest: reader.bytes('digest'),
      event: reader.text('event'),
      payload: reader.bytes('event payload'),
      version: 1 as const,
    }),
    MAX_EVENTS,
  )
  const runtimeEvents = reader.list(
    'runtime events',
    () => ({
      name: reader.text('event name'),
      payload: reader.bytes('event payload'),
      version: 1 as const,
    }),
    MAX_EVENTS,
  )
  const reportData = new Uint8Array(reader.take(64, 'report data'))
  const config = reader.text('config')
  reader.end()
  return { quote, eventLog, runtimeEvents, reportData, config }
}

function requireTdx(platform: string): void {
  if (platform === 'tdx') return
  throw new AssentError(
    'ATTESTATION_UNSUPPORTED',
    `The attestation is of platform ${platform}, not of plain TDX.`,
    { facts: { platform } },
  )
}

/**
 * Encodes the same bytes as dstack's serializer (`cc-eventlog/src/tdx.rs`): named maps; some byte vectors as binary and
 * some as lists of numbers; preimages as hexadecimal text.
 */
function encodeMap(attestation: Attestation): Uint8Array {
  return encodeMessagePack({
    version: 1,
    platform: {
      kind: 'tdx',
      data: {
        quote: [...attestation.quote],
        event_log: attestation.eventLog.map((event) => ({
          imr: event.imr,
          event_type: event.eventType,
          digest: event.digest,
          event: event.event,
          event_payload: event.payload,
          ...(event.version === 2 ? { version: 2 } : {}),
          ...(event.preimage === undefined ? {} : { preimage: toHex(event.preimage) }),
        })),
      },
    },
    stack: {
      kind: 'dstack',
      data: {
        report_data: [...attestation.reportData],
        runtime_events: attestation.runtimeEvents.map((event) => ({
          event: event.name,
          payload: event.payload,
          ...(event.version === 2 ? { version: 2 } : {}),
        })),
        config: attestation.config,
      },
    },
  })
}

/** Skips the event log without decoding it. */
function startMap(bytes: Uint8Array) {
  const reader = new MessagePackReader(bytes, malformed)
  const root = reader.members('attestation', ['version', 'platform', 'stack'])
  reader.end()
  const version = member(root, 'version').number('version', 0xffff_ffff)
  if (version !== 1) throw malformed('its version is not 1', { version })
  const platform = member(root, 'platform').members('platform', ['kind', 'data'])
  const stack = member(root, 'stack').members('stack', ['kind', 'data'])
  requireTdx(member(platform, 'kind').text('platform.kind'))
  requireDstack(member(stack, 'kind').text('stack.kind'))

  const tdx = member(platform, 'data').members('platform.data', ['quote', 'event_log'])
  return { quote: member(tdx, 'quote').bytes('quote'), tdx, stack }
}

function member(members: ReadonlyMap<string, MessagePackReader>, name: string): MessagePackReader {
  return members.get(name) as MessagePackReader
}

function decodeMap(bytes: Uint8Array): Attestation {
  const { quote, tdx, stack } = startMap(bytes)
  const eventLog = member(tdx, 'event_log').list('event_log', MAX_EVENTS, readLogEvent)
  const guestMembers = ['report_data', 'runtime_events', 'config']
  const guest = member(stack, 'data').members('stack.data', guestMembers)
  const reportData = member(guest, 'report_data').bytes('report_data')
  if (reportData.length !== 64) {
    throw malformed('report_data has not 64 bytes', { found: reportData.length })
  }
  const runtimeEvents = member(guest, 'runtime_events').list(
    'runtime_events',
    MAX_EVENTS,
    readRuntimeEvent,
  )
  return {
    quote,
    eventLog,
    runtimeEvents,
    reportData,
    config: member(guest, 'config').text('config'),
  }
}

function requireDstack(stack: string): void {
  if (stack === 'dstack') return
  throw new AssentError('ATTESTATION_UNSUPPORTED', 'The attestation is not of a dstack guest.', {
    facts: { stack },
  })
}

function readLogEvent(reader: MessagePackReader): AttestedEvent {
  const event = reader.members(
    'event',
    ['imr', 'event_type', 'digest', 'event', 'event_payload'],
    ['version', 'preimage'],
  )
  const member = (name: string) => event.get(name) as MessagePackReader
  const preimage = readPreimage(event.get('preimage'))
  return {
    imr: member('imr').number('imr', 0xffff_ffff),
    eventType: member('event_type').number('event_type', 0xffff_ffff),
    digest: member('digest').bytes('digest'),
    event: member('event').text('event'),
    payload: member('event_payload').bytes('event_payload'),
    version: readVersion(event.get('version')),
    ...(preimage === undefined ? {} : { preimage }),
  }
}

function readRuntimeEvent(reader: MessagePackReader): AttestedRuntimeEvent {
  const event = reader.members('runtime event', ['event', 'payload'], ['version'])
  const member = (name: string) => event.get(name) as MessagePackReader
  return {
    name: member('event').text('event'),
    payload: member('payload').bytes('payload'),
    version: readVersion(event.get('version')),
  }
}

function readPreimage(reader: MessagePackReader | undefined): Uint8Array | undefined {
  if (reader === undefined || reader.nil()) return undefined
  // older versions of Assent wrote bytes instead of dstack's hexadecimal text
  if (!reader.isText()) return reader.bytes('preimage')
  const text = reader.text('preimage')
  if (/^(?:[0-9a-fA-F]{2})*$/.test(text)) return fromHex(text, 'preimage')
  throw malformed('a preimage is not hexadecimal text', {})
}

function readVersion(reader: MessagePackReader | undefined): 1 | 2 {
  if (reader === undefined || reader.nil()) return 1
  const version = reader.number('version of an event', 0xffff_ffff)
  if (version === 1 || version === 2) return version
  throw malformed('an event has an unknown version', { version })
}

function malformed(why: string, facts: Record<string, unknown>, cause?: unknown): AssentError {
  return new AssentError('ATTESTATION_MALFORMED', `The attestation cannot be read: ${why}.`, {
    facts,
    cause,
  })
}
