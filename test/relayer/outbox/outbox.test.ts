/** Decisions of the outbox that need neither chain nor database. `model.test.ts` runs them together. */
import { describe, expect, test } from 'vitest'

import {
  type AccountOutbox,
  type ChainObservation,
  decide,
  freeNonces,
  type NonceSlot,
  type Rules,
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

describe('a mined transaction without a receipt', () => {
  const hash = `0x${'ab'.repeat(32)}` as const
  const slot = { nonce: 3, state: 'mined', attempts: [{ hash }], mined: { blockNumber: 10 } }
  const rows = { slots: [slot], awaitingFinality: [], intents: new Map() }
  const rules = { maxInFlight: 1, maxUnfinal: 1 } as Rules

  test.each([
    ['is not given up by endpoints that have not reached its block', 9, []],
    ['is sent again if endpoints at its block do not have it', 10, ['unmined']],
  ])('%s', (_, number, expected) => {
    const seen = { latest: { number, count: 3 }, final: { number: 8, count: 3 } }
    const observation = { ...seen, receipts: new Map([[hash, null]]) }

    const actions = decide(
      rows as unknown as AccountOutbox,
      observation as unknown as ChainObservation,
      rules,
    )

    expect(actions.map(({ action }) => action)).toEqual(expected)
  })
})
