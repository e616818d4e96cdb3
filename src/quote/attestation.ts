/**
 * VersionedAttestation: how dstack carries a quote, its event log and the machine's description in one value.
 *
 * Version 0 is SCALE, version 1 is MessagePack; the first byte tells which. Nothing here is believed: the
 * quote must be verified, its report data compared, the log replayed.
 */
import { decode as decodeMessagePack, encode as encodeMessagePack } from '@msgpack/msgpack'

import { AssentError } from '../errors/index.ts'
import { concatBytes, equalBytes, requireLength } from '../lib/bytes.ts'
import { ScaleReader, scaleBytes, scaleCompact, scaleText, scaleU32 } from '../lib/scale.ts'
import type { LoggedEvent } from './event-log.ts'
import { parseQuote, type Quote } from './parse.ts'

/** One entry of the platform's event log; `checkEvents` says whether it holds. */
export type AttestedEvent = LoggedEvent

/** What the guest says it extended into RTMR3. */
export interface AttestedRuntimeEvent {
  readonly name: string
  readonly payload: Uint8Array
  readonly version: 1 | 2
}

/** The attestation of an Intel TDX dstack guest. */
export interface Attestation {
  readonly quote: Uint8Array
  readonly eventLog: readonly AttestedEvent[]
  readonly runtimeEvents: readonly AttestedRuntimeEvent[]
  /** 64 bytes. */
  readonly reportData: Uint8Array
  /** vm_config JSON, or the whole sys-config, as the guest had it. */
  readonly config: string
}

const parsed = new WeakMap<Attestation, Quote>()

/** The quote of an attestation, read once. @throws QUOTE_* */
export function quoteOf(attestation: Attestation): Quote {
  let quote = parsed.get(attestation)
  if (quote === undefined) {
    quote = parseQuote(attestation.quote)
    parsed.set(attestation, quote)
  }
  return quote
}

const maxBytes = 10 * 1024 * 1024
const maxEvents = 65_536
const platformNames = ['tdx', 'gcp-tdx', 'nitro-enclave', 'sev-snp', 'aws-nitro-tpm']

/** @throws ATTESTATION_MALFORMED, ATTESTATION_UNSUPPORTED */
export function decodeAttestation(bytes: Uint8Array): Attestation {
  if (bytes.length > maxBytes) throw malformed('it is too large', { bytes: bytes.length })
  const first = bytes[0]
  if (first === 0) return decodeScale(bytes)
  if (
    first !== undefined &&
    ((first >= 0x80 && first <= 0x8f) || first === 0xde || first === 0xdf)
  ) {
    return decodeMap(bytes)
  }
  throw malformed('its first byte is of no known version', { firstByte: first })
}

/** Version 0, or version 1 where an event has a version that SCALE does not carry. */
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

function decodeScale(bytes: Uint8Array): Attestation {
  const reader = new ScaleReader(bytes, malformed)
  reader.take(1, 'version')
  const platform = reader.take(1, 'platform')[0] as number
  requireTdx(platformNames[platform] ?? `number ${platform}`)
  const quote = reader.bytes('quote')
  const eventLog = reader.list('event log', () => ({
    imr: reader.u32('imr'),
    eventType: reader.u32('event type'),
    digest: reader.bytes('digest'),
    event: reader.text('event'),
    payload: reader.bytes('event payload'),
    version: 1 as const,
  }))
  const runtimeEvents = reader.list('runtime events', () => ({
    name: reader.text('event name'),
    payload: reader.bytes('event payload'),
    version: 1 as const,
  }))
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

/** Named maps; byte vectors as binary where dstack's serializer writes them so, else as lists of numbers. */
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
          ...(event.preimage === undefined ? {} : { preimage: event.preimage }),
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

function decodeMap(bytes: Uint8Array): Attestation {
  const root = members(decodeStrict(bytes), 'attestation', ['version', 'platform', 'stack'])
  if (root.version !== 1) throw malformed('its version is not 1', { version: root.version })
  const platform = members(root.platform, 'platform', ['kind', 'data'])
  const stack = members(root.stack, 'stack', ['kind', 'data'])
  if (typeof platform.kind !== 'string') throw malformed('platform has no kind', {})
  requireTdx(platform.kind)
  if (stack.kind !== 'dstack') {
    throw new AssentError('ATTESTATION_UNSUPPORTED', 'The attestation is not of a dstack guest.', {
      facts: { stack: stack.kind },
    })
  }
  const tdx = members(platform.data, 'platform data', ['quote', 'event_log'])
  const guest = members(stack.data, 'stack data', ['report_data', 'runtime_events', 'config'])
  const reportData = bytesOf(guest.report_data, 'report_data')
  if (reportData.length !== 64) {
    throw malformed('report_data has not 64 bytes', { found: reportData.length })
  }
  return {
    quote: bytesOf(tdx.quote, 'quote'),
    eventLog: listOf(tdx.event_log, 'event_log').map(readLogEvent),
    runtimeEvents: listOf(guest.runtime_events, 'runtime_events').map(readRuntimeEvent),
    reportData,
    config: textOf(guest.config, 'config'),
  }
}

function decodeStrict(bytes: Uint8Array): unknown {
  let value: unknown
  let written: Uint8Array
  try {
    // refuses bytes after the end, and sizes beyond these
    value = decodeMessagePack(bytes, {
      maxStrLength: maxBytes,
      maxBinLength: maxBytes,
      maxArrayLength: maxBytes,
      maxMapLength: 64,
      maxExtLength: 0,
    })
    written = encodeMessagePack(value)
  } catch (cause) {
    throw malformed('it is not MessagePack', {}, cause)
  }
  // serializers write the shortest form; a key that occurs twice, of which readers take one, does not survive this
  if (equalBytes(written, bytes)) return value
  throw malformed('it is not in the form that a serializer writes', {})
}

function readLogEvent(value: unknown): AttestedEvent {
  const event = members(
    value,
    'event',
    ['imr', 'event_type', 'digest', 'event', 'event_payload'],
    ['version', 'preimage'],
  )
  return {
    imr: integerOf(event.imr, 'imr'),
    eventType: integerOf(event.event_type, 'event_type'),
    digest: bytesOf(event.digest, 'digest'),
    event: textOf(event.event, 'event'),
    payload: bytesOf(event.event_payload, 'event_payload'),
    version: versionOf(event.version),
    ...(event.preimage === undefined || event.preimage === null
      ? {}
      : { preimage: bytesOf(event.preimage, 'preimage') }),
  }
}

function readRuntimeEvent(value: unknown): AttestedRuntimeEvent {
  const event = members(value, 'runtime event', ['event', 'payload'], ['version'])
  return {
    name: textOf(event.event, 'event'),
    payload: bytesOf(event.payload, 'payload'),
    version: versionOf(event.version),
  }
}

function members(
  value: unknown,
  name: string,
  required: readonly string[],
  optional: readonly string[] = [],
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`${name} is not a map`, {})
  }
  const keys = Object.keys(value)
  const missing = required.filter((key) => !keys.includes(key))
  const unknown = keys.filter((key) => !required.includes(key) && !optional.includes(key))
  if (missing.length + unknown.length > 0) {
    throw malformed(`${name} has other members`, { missing, unknown })
  }
  return value as Record<string, unknown>
}

/** Producers differ in how they write bytes: as binary, or as a list of numbers. */
function bytesOf(value: unknown, name: string): Uint8Array {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value) && value.every(isByte)) return Uint8Array.from(value)
  throw malformed(`${name} is not bytes`, {})
}

function isByte(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
}

function listOf(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw malformed(`${name} is not a list`, {})
  if (value.length > maxEvents) throw malformed(`${name} has too many entries`, {})
  return value
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw malformed(`${name} is not text`, {})
  return value
}

function integerOf(value: unknown, name: string): number {
  const fits = typeof value === 'number' && Number.isInteger(value)
  if (!fits || value < 0 || value > 0xffffffff) throw malformed(`${name} is not a u32`, {})
  return value
}

function versionOf(value: unknown): 1 | 2 {
  if (value === undefined || value === null || value === 1) return 1
  if (value === 2) return 2
  throw malformed('an event has an unknown version', { version: value })
}

function malformed(why: string, facts: Record<string, unknown>, cause?: unknown): AssentError {
  return new AssentError('ATTESTATION_MALFORMED', `The attestation cannot be read: ${why}.`, {
    facts,
    cause,
  })
}
