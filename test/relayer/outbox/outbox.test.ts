/** Decisions of the outbox that need neither chain nor database. `model.test.ts` runs them together. */
import { describe, expect, test } from 'vitest'

import {
  type AccountOutbox,
  type ChainObservation,
  freeNonces,
  type NonceSlot,
} from '../../../src/relayer/outbox/outbox.ts'

const outbox = {
  slots: [{ nonce: 3 }, { nonce: 5 }] as unknown as readonly NonceSlot[],
  awaitingFinality: [{ nonce: 6 }],
  intents: new Map(),
} as unknown as AccountOutbox
const observed = { latest: { count: 3 } } as ChainObservation

describe('free nonces', () => {
  test.each([
    [0, []],
    [1, [4]],
    [3, [4, 7, 8]],
  ])('%i of them are the lowest that neither the chain nor a row has', (count, expected) => {
    expect(freeNonces(outbox, observed, count)).toEqual(expected)
  })
})
