/** The event log of a dstack guest, in its three forms. */
import { toHex } from '../../lib/bytes.ts'
import type { AttestedEvent, AttestedRuntimeEvent } from '../../quote/attestation.ts'
import {
  RUNTIME_EVENT_TYPE,
  runtimeEventDigest,
  runtimeEventPreimage,
  type TdxEvent,
} from '../../quote/measurements/event-log.ts'

/** `full`: everything. `quote`: as `GetQuote` returns it. `certificate`: as in RA-TLS certificates. */
export type EventLogForm = 'full' | 'quote' | 'certificate'

/** Events of firmware and guest, with the details of the form. */
export function listEvents(
  boot: readonly TdxEvent[],
  runtime: readonly AttestedRuntimeEvent[],
  form: EventLogForm,
): AttestedEvent[] {
  const nothing = new Uint8Array()
  const isFull = form === 'full'
  const kept = form === 'certificate' ? boot.filter(isAcpi) : boot
  return [
    ...kept.map((event) => (isFull || isAcpi(event) ? event : { ...event, payload: nothing })),
    ...runtime.map(({ name, payload, version }) => ({
      imr: 3,
      eventType: RUNTIME_EVENT_TYPE,
      // dstack removes the digests of version 1 events only
      digest: isFull || version === 2 ? runtimeEventDigest(name, payload, version) : nothing,
      event: name,
      payload,
      version,
      ...(version === 2 ? { preimage: runtimeEventPreimage(name, payload, version) } : {}),
    })),
  ]
}

/** JSON as dstack's guest agent writes it. */
export function renderEvents(events: readonly AttestedEvent[]): string {
  return JSON.stringify(
    events.map((event) => ({
      imr: event.imr,
      event_type: event.eventType,
      digest: toHex(event.digest),
      event: event.event,
      event_payload: toHex(event.payload),
      ...(event.version === 2 ? { version: 2 } : {}),
      ...(event.preimage === undefined ? {} : { preimage: toHex(event.preimage) }),
    })),
  )
}

function isAcpi(event: TdxEvent): boolean {
  return event.imr === 0 && event.eventType === 10
}
