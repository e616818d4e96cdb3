/** What a dstack guest extends into RTMR3, and how its log is written down. */
import { sha384 } from '@noble/hashes/sha2.js'

import { concatBytes, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import type { BootEvent } from './image.ts'

export interface RuntimeEvent {
  readonly name: string
  readonly payload: Uint8Array
  readonly version: 1 | 2
}

export const runtimeEventType = 0x08000001

/** Everything; as `GetQuote` answers; as a certificate carries it. */
export type EventLogForm = 'full' | 'quote' | 'certificate'

/** What the digest of a runtime event is taken over. */
export function eventPreimage({ name, payload, version }: RuntimeEvent): Uint8Array {
  if (version === 2) {
    // RFC 8785: members sorted, no spaces; strings as JSON.stringify writes them
    return utf8ToBytes(JSON.stringify({ name, payload: toHex(payload), type: runtimeEventType }))
  }
  const type = new Uint8Array(Uint32Array.of(runtimeEventType).buffer)
  return concatBytes(type, utf8ToBytes(`:${name}:`), payload)
}

export function eventDigest(event: RuntimeEvent): Uint8Array {
  return sha384(eventPreimage(event))
}

export function renderEventLog(
  boot: readonly BootEvent[],
  runtime: readonly RuntimeEvent[],
  form: EventLogForm,
): string {
  const kept = form === 'certificate' ? boot.filter(isAcpi) : boot
  return JSON.stringify([
    ...kept.map((event) => renderBootEvent(event, form)),
    ...runtime.map((event) => renderRuntimeEvent(event, form)),
  ])
}

export function isAcpi(event: BootEvent): boolean {
  return event.imr === 0 && event.eventType === 10
}

function renderBootEvent(event: BootEvent, form: EventLogForm): object {
  return {
    imr: event.imr,
    event_type: event.eventType,
    digest: toHex(event.digest),
    event: event.event,
    event_payload: form === 'full' || isAcpi(event) ? toHex(event.payload) : '',
  }
}

function renderRuntimeEvent(event: RuntimeEvent, form: EventLogForm): object {
  return {
    imr: 3,
    event_type: runtimeEventType,
    digest: form === 'full' ? toHex(eventDigest(event)) : '',
    event: event.name,
    event_payload: toHex(event.payload),
    ...(event.version === 2 ? { version: 2, preimage: toHex(eventPreimage(event)) } : {}),
  }
}
