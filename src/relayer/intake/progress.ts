/** Progress of an intent, event by event; whoever was cut off goes on after the last one that he saw. */
import { AssentError } from '../../errors/index.ts'
import type { Database } from '../database/database.ts'
import { type IntentEvent, isIntentSettled, readIntentEvents } from '../outbox/intents.ts'

export interface ProgressSource {
  /** Nothing more will happen, unless somebody asks for it again. */
  isSettled(): Promise<boolean>
  /** Some events after the one with this id, in order; none if there are none. */
  eventsAfter(id: number): Promise<readonly IntentEvent[]>
}

/** From the database, so that a stream may be served by another replica than the one that sends. */
export function readProgress(db: Database, id: string): ProgressSource {
  return {
    isSettled: () => isIntentSettled(db, id),
    eventsAfter: (last) => readIntentEvents(db, id, last),
  }
}

/**
 * Every event after `last`, none twice, until the intent is settled or `goesOn` says no.
 *
 * @param goesOn waits a little
 */
export async function* followProgress(
  source: ProgressSource,
  last: number,
  goesOn: () => Promise<boolean>,
): AsyncGenerator<IntentEvent> {
  for (;;) {
    // Asked first: what is written together with the settlement must be among the events then.
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

/** Zero if nothing was seen yet. @throws INPUT_INVALID */
export function readLastEventId(header: string | undefined): number {
  if (header === undefined) return 0
  if (/^\d{1,15}$/.test(header)) return Number(header)
  throw new AssentError('INPUT_INVALID', 'Last-Event-ID is not a number.')
}
