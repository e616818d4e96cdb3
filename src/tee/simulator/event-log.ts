/** How a dstack guest writes its event log down. */
import { toHex } from '../../lib/bytes.ts'
import type { AttestedEvent, AttestedRuntimeEvent } from '../../quote/attestation.ts'
import {
  RUNTIME_EVENT_TYPE,
  runtimeEventDigest,
  runtimeEventPreimage,
  type TdxEvent,
} from '../../quote/measurements/event-log.ts'

/** Everything; as `GetQuote` answers; as a certificate carries it. */
export type EventLogForm = 'full' | 'quote' | 'certificate'

/** What firmware and guest measured, as far as the form tells it. */
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
      // dstack strips the digests of version 1 only
      digest: isFull || version === 2 ? runtimeEventDigest(name, payload, version) : nothing,
      event: name,
      payload,
      version,
      ...(version === 2 ? { preimage: runtimeEventPreimage(name, payload, version) } : {}),
    })),
  ]
}

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
