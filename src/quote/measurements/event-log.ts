/**
 * The dstack event log: the events that were extended into the RTMRs, in their order.
 *
 * The host can change a log. Use only what replays to the RTMRs of a verified quote. Digests of runtime events are always
 * computed from name and payload and never taken from the log.
 */
import { hash } from 'node:crypto'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, equalBytes, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { readJson } from '../../lib/json.ts'

/** Genuine logs have 10 to 60 KB. */
export const MAX_EVENT_LOG_CHARS = 4_194_304

/** Event type of dstack's runtime events. RTMR3 contains only these. */
export const RUNTIME_EVENT_TYPE = 0x0800_0001
const RTMR3 = 3

/** How the digest of a runtime event is computed. */
export type EventVersion = 1 | 2

/** One event of the log. */
export interface TdxEvent {
  /** The RTMR that it extended: 0 to 3. */
  readonly imr: number
  /** TCG event type; dstack's runtime events have 0x08000001. */
  readonly eventType: number
  /** 48 bytes. Computed for runtime events, as logged for firmware events (there it can be empty). */
  readonly digest: Uint8Array
  /** Name of a runtime event, for example `compose-hash`. */
  readonly event: string
  /** Raw bytes. Only runtime events prove their payload: their digest is computed from it. */
  readonly payload: Uint8Array
  /** How the digest of a runtime event is computed. */
  readonly version: EventVersion
  /** Only runtime events of version 2: the bytes that the digest covers. dstack requires it in the log. */
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
export const MAX_EVENTS = 4_096
/** A list of objects with up to seven members each. */
const jsonLimits = { depth: 2, values: 9 * MAX_EVENTS }

/**
 * Parses an event log of the guest agent. It accepts all three forms of dstack: complete, shortened for GetQuote, and
 * shortened for certificates.
 *
 * @param log JSON text, or the parsed JSON
 * @returns events with computed digests; they are not compared with a quote yet, see {@link requireRtmr3}
 * @throws EVENT_LOG_MALFORMED, EVENT_LOG_CONTRADICTORY, INPUT_TOO_LARGE
 * @example
 * const { event_log: log } = await agent.getQuote(reportData)
 * const events = parseEventLog(log)
 */
export function parseEventLog(log: unknown): TdxEvent[] {
  const list = typeof log === 'string' ? parseJson(log) : log
  if (!Array.isArray(list)) throw malformed('it is not a list')
  if (list.length > MAX_EVENTS) throw malformed(`it has more than ${MAX_EVENTS} events`)
  return checkEvents(list.map(readEvent))
}

/** Reads one event. The first wrong event ends the work, so a log of wrong events costs nothing more. */
function readEvent(value: unknown, index: number): LoggedEvent {
  const parsed = eventSchema.safeParse(value)
  if (!parsed.success) throw malformed(`event ${index}: ${describeIssues(parsed.error)}`)
  const { event_type: eventType, event_payload: payload, version = 1, ...rest } = parsed.data
  return { ...rest, eventType, payload, version }
}

/** An event as it was logged. Its digest can be missing or wrong. */
export type LoggedEvent = TdxEvent

/**
 * Checks events from a decoded attestation in the same way as `parseEventLog`, and computes the digests of runtime
 * events.
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

  // a lone surrogate has no UTF-8 encoding, so no guest can have hashed it
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
 * The digest of a runtime event: SHA-384, 48 bytes.
 *
 * Version 1 hashes `LE32(type) ":" name ":" payload`. Version 2 hashes canonical JSON (RFC 8785) of name, payload and
 * type.
 *
 * @example const digest = runtimeEventDigest('app-id', appId)
 */
export function runtimeEventDigest(
  name: string,
  payload: Uint8Array,
  version: EventVersion = 1,
): Uint8Array {
  return sha384(runtimeEventPreimage(name, payload, version))
}

/** The bytes that the digest of a runtime event covers. */
export function runtimeEventPreimage(
  name: string,
  payload: Uint8Array,
  version: EventVersion,
): Uint8Array {
  if (version === 2) {
    // the keys are in RFC 8785 order, and JSON.stringify escapes strings like RFC 8785
    return utf8ToBytes(JSON.stringify({ name, payload: toHex(payload), type: RUNTIME_EVENT_TYPE }))
  }
  const type = new Uint8Array(4)
  new DataView(type.buffer).setUint32(0, RUNTIME_EVENT_TYPE, true)
  return concatBytes(type, utf8ToBytes(`:${name}:`), payload)
}

/**
 * Computes the value of one RTMR from the events: `mr ← SHA-384(mr ‖ digest)`, starting with zeros.
 *
 * @returns 48 bytes
 * @throws EVENT_LOG_MALFORMED if the digest of an event of this RTMR is missing
 * @example const rtmr0 = replayRtmr(events, 0)
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

/**
 * Computes RTMR3 from the runtime events. If it differs from the quote, the log does not belong to the quote.
 *
 * @example const rtmr3 = replayRtmr3(parseEventLog(log))
 */
export function replayRtmr3(events: readonly TdxEvent[]): Uint8Array {
  return replayRtmr(events, RTMR3)
}

/**
 * Checks that the log belongs to a quote.
 *
 * @param quoted RTMR3 of the verified quote, 48 bytes
 * @throws EVENT_LOG_RTMR3_MISMATCH
 * @example requireRtmr3(parseEventLog(log), verdict.quote.report.rtmr3)
 */
export function requireRtmr3(events: readonly TdxEvent[], quoted: Uint8Array): void {
  const replayed = replayRtmr3(events)
  if (!equalBytes(replayed, quoted)) {
    throw new AssentError(
      'EVENT_LOG_RTMR3_MISMATCH',
      // dstack's wording
      `RTMR3 mismatch, quoted: ${toHex(quoted)}, replayed: ${toHex(replayed)}`,
      { facts: { found: toHex(replayed), expected: toHex(quoted) } },
    )
  }
}

/** `boot`: the events before the CVM gets its keys. `full`: all events. */
export type EventView = 'boot' | 'full'

const BOOT_DONE = 'boot-mr-done'
const SYSTEM_READY = 'system-ready'

/**
 * Selects runtime events: for `boot` up to `boot-mr-done`, because later events do not exist when a CVM requests its
 * keys; for `full` all of them.
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
 * Finds the payload of the first event with this name. It stops at `system-ready`, because the app can write any event
 * after it.
 *
 * @throws EVENT_LOG_MALFORMED if the name of a system event contains a colon: version 1 hashes ("a:b", "c") and
 *   ("a", "b:c") to the same digest, so a host could replace one by the other
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
