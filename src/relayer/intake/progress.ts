/** Follows the events of an intent. A client that lost its connection continues after the last event it received. */
import { AssentError } from '../../errors/index.ts'
import type { Database } from '../database/database.ts'
import { type IntentEvent, isIntentSettled, readIntentEvents } from '../outbox/intents.ts'

/** Source of the events. */
export interface ProgressSource {
  /** Whether the intent is final or abandoned. */
  isSettled(): Promise<boolean>
  /** The next events after the one with this id, in order. */
  eventsAfter(id: number): Promise<readonly IntentEvent[]>
}

/** Reads events from the database, so that every replica can serve the stream. */
export function readProgress(db: Database, id: string): ProgressSource {
  return {
    isSettled: () => isIntentSettled(db, id),
    eventsAfter: (last) => readIntentEvents(db, id, last),
  }
}

/**
 * Each event after `last` exactly once, until the intent has ended or `goesOn` returns false.
 *
 * @param goesOn waits before the next read
 */
export async function* followProgress(
  source: ProgressSource,
  last: number,
  goesOn: () => Promise<boolean>,
): AsyncGenerator<IntentEvent> {
  for (;;) {
    // read first: events that are written together with the end must be in the list below
    const isSettled = await source.isSettled()
    const news = await source.eventsAfter(last)
    for (const event of news) {
      yield event
      last = event.id
    }
    if (news.length === 0 && isSettled) return
    if (news.length === 0 && !(await goesOn())) return
  }
}

/** Value of the header `Last-Event-ID`; 0 without it. @throws INPUT_INVALID */
export function readLastEventId(header: string | undefined): number {
  if (header === undefined) return 0
  if (/^\d{1,15}$/.test(header)) return Number(header)
  throw new AssentError('INPUT_INVALID', 'Last-Event-ID is not a number.')
}
