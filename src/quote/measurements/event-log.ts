/**
 * The dstack event log: what was extended into the RTMRs, in order.
 *
 * A log is a claim of the host. It is believed only as far as it replays to the RTMRs of a quote, and
 * digests of runtime events are always computed from name and payload, never taken from the log.
 */
import { hash } from 'node:crypto'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, equalBytes, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { readJson } from '../../lib/json.ts'

/** Genuine logs have 10 to 60 KB. */
export const MAX_EVENT_LOG_CHARS = 4_194_304

/** Event type of dstack's runtime events; they alone go to RTMR3. */
export const RUNTIME_EVENT_TYPE = 0x0800_0001
const RTMR3 = 3

export type EventVersion = 1 | 2

export interface TdxEvent {
  /** 0 to 3: the RTMR it was extended into */
  readonly imr: number
  readonly eventType: number
  /** 48 bytes: computed for runtime events, as logged for firmware events */
  readonly digest: Uint8Array
  readonly event: string
  readonly payload: Uint8Array
  /** how a runtime event is hashed */
  readonly version: EventVersion
  /** what the digest of a runtime event of version 2 is made of: dstack wants it beside the digest */
  readonly preimage?: Uint8Array | undefined
}

const hexBytes = z
  .string()
  .regex(/^(?:[0-9a-fA-F]{2})*$/, 'bytes as hex without 0x')
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')))

const eventSchema = z.strictObject({
  imr: z.int().min(0).max(3),
  event_type: z.int().min(0).max(0xffff_ffff),
  digest: hexBytes.refine((bytes) => bytes.length === 0 || bytes.length === 48, '48 bytes or none'),
  event: z.string().max(256),
  event_payload: hexBytes,
  version: z.literal([1, 2]).optional(),
  preimage: hexBytes.optional(),
})

/** Genuine logs have fewer than 200. */
export const MAX_EVENTS = 16_384
/** A list of objects with up to seven members each. */
const jsonLimits = { depth: 2, values: 9 * MAX_EVENTS }

/**
 * Reads an event log as the guest agent gives it: JSON text or the value of it. All three renderings of
 * dstack (full, stripped for GetQuote, stripped for certificates) have this shape.
 *
 * @throws EVENT_LOG_MALFORMED, EVENT_LOG_CONTRADICTORY, INPUT_TOO_LARGE
 */
export function parseEventLog(log: unknown): TdxEvent[] {
  const list = typeof log === 'string' ? parseJson(log) : log
  if (!Array.isArray(list)) throw malformed('it is not a list')
  if (list.length > MAX_EVENTS) throw malformed(`it has more than ${MAX_EVENTS} events`)
  return checkEvents(list.map(readEvent))
}

/** One event at a time, so that a log of wrong events costs as much as its first one. */
function readEvent(value: unknown, index: number): LoggedEvent {
  const parsed = eventSchema.safeParse(value)
  if (!parsed.success) throw malformed(`event ${index}: ${describeIssues(parsed.error)}`)
  const { event_type: eventType, event_payload: payload, version = 1, ...rest } = parsed.data
  return { ...rest, eventType, payload, version }
}

/** An event as it was logged: its digest may be stripped, or wrong. */
export type LoggedEvent = TdxEvent

/**
 * Checks events of a decoded attestation as `parseEventLog` checks those of a JSON log, and computes the
 * digests of runtime events.
 *
 * @throws EVENT_LOG_MALFORMED, EVENT_LOG_CONTRADICTORY
 */
export function checkEvents(events: readonly LoggedEvent[]): TdxEvent[] {
  return events.map(checkEvent)
}

function parseJson(text: string): unknown {
  if (text.length > MAX_EVENT_LOG_CHARS) {
    throw new AssentError('INPUT_TOO_LARGE', 'The event log is too large.', {
      facts: { found: text.length, expected: `at most ${MAX_EVENT_LOG_CHARS}` },
    })
  }
  try {
    return readJson(text, jsonLimits).value
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw malformed('not JSON', cause)
  }
}

function checkEvent(logged: LoggedEvent, index: number): TdxEvent {
  const { imr, eventType, event, payload, version } = logged
  if ((imr === RTMR3) !== (eventType === RUNTIME_EVENT_TYPE)) {
    throw malformed(`event ${index} has type ${eventType} in RTMR${imr}`)
  }
  if (imr !== RTMR3) return { imr, eventType, digest: logged.digest, event, payload, version }

  // a lone surrogate has no UTF-8, so the guest cannot have hashed it
  if (Buffer.from(event).toString() !== event) throw malformed(`event ${index} is not Unicode`)
  const preimage = runtimeEventPreimage(event, payload, version)
  const digest = sha384(preimage)
  const isContradictory =
    (logged.digest.length > 0 && !equalBytes(logged.digest, digest)) ||
    (logged.preimage !== undefined && !equalBytes(logged.preimage, preimage))
  if (isContradictory) {
    throw new AssentError('EVENT_LOG_CONTRADICTORY', `Event ${index} contradicts its own digest.`, {
      facts: { index, event, found: toHex(logged.digest), expected: toHex(digest) },
    })
  }
  const checked = { imr, eventType, digest, event, payload, version }
  return version === 2 ? { ...checked, preimage } : checked
}

/**
 * SHA-384 of a runtime event, 48 bytes.
 *
 * Version 1 hashes `LE32(type) ":" name ":" payload`, version 2 the RFC 8785 JSON of name, payload, type.
 */
export function runtimeEventDigest(
  name: string,
  payload: Uint8Array,
  version: EventVersion = 1,
): Uint8Array {
  return sha384(runtimeEventPreimage(name, payload, version))
}

/** The bytes that a runtime event's digest is made of. */
export function runtimeEventPreimage(
  name: string,
  payload: Uint8Array,
  version: EventVersion,
): Uint8Array {
  if (version === 2) {
    // keys in RFC 8785 order; JSON.stringify escapes strings as RFC 8785 does
    return utf8ToBytes(JSON.stringify({ name, payload: toHex(payload), type: RUNTIME_EVENT_TYPE }))
  }
  const type = new Uint8Array(4)
  new DataView(type.buffer).setUint32(0, RUNTIME_EVENT_TYPE, true)
  return concatBytes(type, utf8ToBytes(`:${name}:`), payload)
}

/**
 * Folds events into the value of one RTMR: `mr ← SHA-384(mr ‖ digest)` from zeros.
 *
 * @throws EVENT_LOG_MALFORMED if an event of that RTMR was stripped of its digest
 */
export function replayRtmr(events: readonly TdxEvent[], imr: 0 | 1 | 2 | 3): Uint8Array {
  let value: Uint8Array = new Uint8Array(48)
  for (const event of events) {
    if (event.imr !== imr) continue
    if (event.digest.length !== 48) throw malformed(`an event of RTMR${imr} has no digest`)
    value = sha384(concatBytes(value, event.digest))
  }
  return value
}

/** RTMR3 as the runtime events give it; equal to the quote's, or the log is not of that quote. */
export function replayRtmr3(events: readonly TdxEvent[]): Uint8Array {
  return replayRtmr(events, RTMR3)
}

/**
 * @throws EVENT_LOG_RTMR3_MISMATCH
 */
export function requireRtmr3(events: readonly TdxEvent[], quoted: Uint8Array): void {
  const replayed = replayRtmr3(events)
  if (!equalBytes(replayed, quoted)) {
    throw new AssentError(
      'EVENT_LOG_RTMR3_MISMATCH',
      // dstack's words
      `RTMR3 mismatch, quoted: ${toHex(quoted)}, replayed: ${toHex(replayed)}`,
      { facts: { found: toHex(replayed), expected: toHex(quoted) } },
    )
  }
}

/** Which part of the log a question is about; see `bootEvents`. */
export type EventView = 'boot' | 'full'

const BOOT_DONE = 'boot-mr-done'
const SYSTEM_READY = 'system-ready'

/**
 * The runtime events of a view: `boot` ends with `boot-mr-done`, which is all that exists when a CVM asks
 * for its keys; `full` is the whole log.
 *
 * @throws APP_INFO_INCOMPLETE if the log never reaches `boot-mr-done`
 */
export function runtimeEvents(events: readonly TdxEvent[], view: EventView): TdxEvent[] {
  const runtime = events.filter((event) => event.imr === RTMR3)
  if (view === 'full') return runtime
  const end = runtime.findIndex((event) => event.event === BOOT_DONE)
  if (end === -1) {
    throw new AssentError('APP_INFO_INCOMPLETE', `The event log has no ${BOOT_DONE}.`, {
      facts: { event: BOOT_DONE },
    })
  }
  return runtime.slice(0, end + 1)
}

/**
 * Payload of the first event of that name up to `system-ready`: whatever comes later, the app wrote.
 *
 * @throws EVENT_LOG_MALFORMED if a system event's name contains a colon, because version 1 hashes
 *   ("a:b", "c") and ("a", "b:c") to the same digest, and a host could hide one behind the other
 */
export function findSystemEvent(events: readonly TdxEvent[], name: string): Uint8Array | undefined {
  for (const { event, payload } of events) {
    if (event.includes(':')) throw malformed('the name of a system event contains a colon')
    if (event === name) return payload
    if (event === SYSTEM_READY) return undefined
  }
  return undefined
}

function sha384(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha384', bytes, 'buffer'))
}

function malformed(what: string, cause?: unknown): AssentError {
  return new AssentError('EVENT_LOG_MALFORMED', `Event log: ${what}.`, {
    cause,
    facts: { found: what },
  })
}
