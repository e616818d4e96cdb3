import { expect, test } from 'vitest'
import {
  followProgress,
  type ProgressSource,
  readLastEventId,
} from '../../../src/relayer/intake/progress.ts'
import type { IntentEvent } from '../../../src/relayer/outbox/intents.ts'

const event = (id: number): IntentEvent => ({ id, at: 0, state: 'queued', facts: {} })

/** Everything happens right after the given question, as if another process had just written it. */
function settlesAfter(question: number) {
  const written: IntentEvent[] = [event(1)]
  let asked = 0
  let isSettled = false
  const answer = async <T>(value: T): Promise<T> => {
    asked += 1
    if (asked === question) {
      written.push(event(2), event(3))
      isSettled = true
    }
    return value
  }
  const source: ProgressSource = {
    isSettled: () => answer(isSettled),
    eventsAfter: (last) => answer(written.filter(({ id }) => id > last)),
  }
  return source
}

async function idsOf(source: ProgressSource, last = 0, patience = 5): Promise<number[]> {
  const ids: number[] = []
  for await (const { id } of followProgress(source, last, async () => patience-- > 0)) ids.push(id)
  return ids
}

test.each([1, 2, 3, 4, 5, 6])(
  'an intent that settles after request %i has sent every event once',
  async (question) => {
    expect(await idsOf(settlesAfter(question))).toEqual([1, 2, 3])
    expect(await idsOf(settlesAfter(question), 1)).toEqual([2, 3])
  },
)

test('a stop ends an event stream that has no events', async () => {
  const source = { isSettled: async () => false, eventsAfter: async () => [] }

  expect(await idsOf(source)).toEqual([])
})

test('Last-Event-ID must be a number', () => {
  expect(readLastEventId(undefined)).toBe(0)
  expect(readLastEventId('12')).toBe(12)
  for (const header of ['', '-1', '1.5', 'a', '0x1', '1'.repeat(16)]) {
    expect(() => readLastEventId(header)).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    )
  }
})
