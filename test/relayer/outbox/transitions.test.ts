/** Each transition of the outbox alone. `model.test.ts` runs them together. */
import { describe, expect, test } from 'vitest'

import { AssentError } from '../../../src/errors/index.ts'
import type {
  Attempt,
  Intent,
  LastError,
  NonceSlot,
  Receipt,
  Rules,
} from '../../../src/relayer/outbox/outbox.ts'
import * as transitions from '../../../src/relayer/outbox/transitions.ts'

const at = 1_800_000_000
const call = { to: `0x${'aa'.repeat(20)}`, data: '0x01', value: 0n, gas: 21_000n } as const
const earlier: LastError = { code: 'RELAYER_REVERTED', message: 'earlier', facts: {} }
const rules = { maxRefusals: 5 } as Rules

const intent: Intent = {
  id: 'the intent',
  kind: 'host',
  key: 'a host',
  payload: {},
  state: 'sending',
  createdAt: at - 60,
  notBefore: at - 60,
  expiresAt: at + 60,
  refusals: 0,
  lastError: earlier,
  version: 1,
}

function attempt(hash: string, fields: Partial<Attempt> = {}): Attempt {
  return {
    hash: `0x${hash}`,
    raw: '0x02',
    kind: 'call',
    intentId: intent.id,
    fees: { maxFee: 2n, tip: 1n },
    signedAt: at - 30,
    sentAt: at - 20,
    answer: 'accepted',
    ...fields,
  }
}

const slot: NonceSlot = {
  nonce: 7,
  intentId: intent.id,
  call,
  state: 'broadcast',
  reservedAt: at - 40,
  attempts: [attempt('00'), attempt('01'), attempt('02')],
  mined: null,
  closedAt: null,
  version: 1,
}

const receipt: Receipt = {
  hash: '0x01',
  blockNumber: 9,
  blockHash: '0x99',
  succeeded: true,
  cost: 5n,
}

const finalSlot = { slot, intent, isDone: false, block: 12, at }

describe('an intent in the queue', () => {
  test.each([
    [0, 5],
    [1, 10],
    [5, 160],
    [6, 300],
    [50, 300],
  ])('after %i refusals waits %i seconds', (refusals, seconds) => {
    expect(transitions.delayed({ ...intent, refusals }, at, null)).toEqual({
      ...intent,
      refusals,
      state: 'queued',
      notBefore: at + seconds,
      lastError: null,
    })
  })

  test('waits longer after a refusal, and keeps its reason', () => {
    expect(transitions.refused({ ...intent, refusals: 3 }, at, earlier, rules)).toMatchObject({
      state: 'queued',
      refusals: 4,
      notBefore: at + 40,
      lastError: earlier,
    })
  })

  test('is abandoned at the last allowed refusal', () => {
    expect(transitions.refused({ ...intent, refusals: 4 }, at, earlier, rules)).toEqual({
      ...intent,
      state: 'abandoned',
      refusals: 5,
      lastError: earlier,
    })
  })

  test('keeps code, message and facts of an error', () => {
    const error = new AssentError('RELAYER_REVERTED', 'It reverted.', { facts: { block: 9 } })

    expect(transitions.toLastError(error)).toEqual({
      code: 'RELAYER_REVERTED',
      message: 'It reverted.',
      facts: { block: 9 },
    })
  })

  test('is abandoned when it expires, with the reason why it had not progressed', () => {
    expect(transitions.expired(intent)).toMatchObject({
      state: 'abandoned',
      lastError: {
        code: 'RELAYER_EXPIRED',
        message: expect.stringContaining('expired'),
        facts: { expiresAt: at + 60, last: earlier },
      },
    })
  })
})

describe('a nonce slot', () => {
  test('is reserved for the call of an intent, without a transaction', () => {
    expect(transitions.reserve({ ...intent, state: 'queued' }, call, 7, at)).toEqual({
      intents: [intent],
      slots: [{ ...slot, state: 'reserved', reservedAt: at, attempts: [], version: 0 }],
    })
  })

  test('without an intent fills a gap', () => {
    expect(transitions.fill(7, at)).toMatchObject({
      intents: [],
      slots: [{ nonce: 7, intentId: null, call: null, state: 'reserved', attempts: [] }],
    })
  })

  test.each([
    ['reserved', 'signed'],
    ['signed', 'signed'],
    ['broadcast', 'broadcast'],
  ] as const)('that is %s is %s with one more transaction', (before, after) => {
    expect(transitions.signed({ ...slot, state: before }, attempt('03'))).toEqual({
      intents: [],
      slots: [{ ...slot, state: after, attempts: [...slot.attempts, attempt('03')] }],
    })
  })

  test.each([
    ['accepted', 'broadcast'],
    ['underpriced', 'signed'],
    ['unknown', 'signed'],
  ] as const)(
    'keeps the answer %s of the transaction that was sent, and is %s',
    (answer, state) => {
      const sent = transitions.sent({ ...slot, state: 'signed' }, attempt('02'), answer, at)
      const [first, second, last] = slot.attempts

      expect(sent).toEqual({
        intents: [],
        slots: [{ ...slot, state, attempts: [first, second, { ...last, answer, sentAt: at }] }],
      })
    },
  )

  test('is mined when a receipt is found, and stays open until it is final', () => {
    expect(transitions.mined(slot, receipt)).toEqual({
      intents: [],
      slots: [{ ...slot, state: 'mined', mined: receipt }],
    })
  })

  test('is sent again at once after a reorg removed its block: only the last transaction', () => {
    const { intents, slots } = transitions.unmined({ ...slot, state: 'mined', mined: receipt })
    const [first, second, last] = slot.attempts
    const attempts = [first, second, { ...last, sentAt: null }]

    expect(intents).toEqual([])
    expect(slots).toEqual([{ ...slot, state: 'broadcast', mined: null, attempts }])
  })
})

describe('a final transaction', () => {
  test('with the effect ends intent and slot', () => {
    const done = { ...finalSlot, isDone: true }

    expect(transitions.settled(done, attempt('01'), receipt, rules)).toEqual({
      intents: [{ ...intent, state: 'final', lastError: null }],
      slots: [{ ...slot, state: 'final', mined: receipt, closedAt: 12 }],
    })
  })

  test('of a cancelled slot whose effect is there ends the intent, and abandons the slot', () => {
    const done = { ...finalSlot, isDone: true }
    const { intents, slots } = transitions.settled(
      done,
      attempt('01', { kind: 'cancel' }),
      receipt,
      rules,
    )

    expect(intents).toMatchObject([{ state: 'final' }])
    expect(slots).toMatchObject([{ state: 'abandoned' }])
  })

  test.each([
    [true, 'RELAYER_NO_EFFECT'],
    [false, 'RELAYER_REVERTED'],
  ])('without the effect counts as a refusal: success %s is %s', (succeeded, code) => {
    const given = { ...receipt, succeeded }
    const { intents, slots } = transitions.settled(finalSlot, attempt('01'), given, rules)

    expect(intents).toMatchObject([
      {
        state: 'queued',
        refusals: 1,
        lastError: { code, facts: { transaction: '0x01', block: 9 } },
      },
    ])
    expect(slots).toMatchObject([{ state: 'abandoned', mined: given, closedAt: 12 }])
  })

  test('that replaced the call is no refusal of the contract', () => {
    const cancel = attempt('02', { kind: 'cancel' })
    const { intents } = transitions.settled(finalSlot, cancel, receipt, rules)

    expect(intents).toMatchObject([
      {
        state: 'queued',
        refusals: 0,
        lastError: { code: 'RELAYER_CANCELLED', facts: { nonce: 7 } },
      },
    ])
  })

  test('of a slot without an intent closes the slot only', () => {
    const empty = { ...finalSlot, intent: undefined, isDone: true }

    expect(transitions.settled(empty, attempt('01'), receipt, rules)).toMatchObject({
      intents: [],
      slots: [{ state: 'abandoned', closedAt: 12 }],
    })
  })
})

describe('a nonce that is used without a receipt', () => {
  test('was used by another transaction: the intent is queued again', () => {
    expect(transitions.taken(finalSlot)).toMatchObject({
      intents: [
        {
          state: 'queued',
          refusals: 0,
          notBefore: at + 5,
          lastError: { code: 'RELAYER_NONCE_TAKEN' },
        },
      ],
      slots: [{ state: 'abandoned', closedAt: 12 }],
    })
  })

  test('carried the call if the effect is there', () => {
    expect(transitions.taken({ ...finalSlot, isDone: true })).toMatchObject({
      intents: [{ state: 'final', lastError: null }],
      slots: [{ state: 'final', closedAt: 12 }],
    })
  })

  test('of a slot without an intent closes the slot only', () => {
    expect(transitions.taken({ ...finalSlot, intent: undefined })).toMatchObject({
      intents: [],
      slots: [{ state: 'abandoned', closedAt: 12 }],
    })
  })
})

describe('a closed slot after finality was broken', () => {
  const closed: NonceSlot = { ...slot, state: 'final', mined: receipt, closedAt: 12 }
  const final: Intent = { ...intent, state: 'final' }

  test('with the effect sends its transaction again', () => {
    const { intents, slots } = transitions.reopened(closed, final)

    expect(intents).toEqual([{ ...final, state: 'sending' }])
    expect(slots).toMatchObject([
      { state: 'broadcast', intentId: intent.id, call, mined: null, closedAt: null },
    ])
    expect(slots[0]?.attempts.map(({ sentAt }) => sentAt)).toEqual([at - 20, at - 20, null])
  })

  test('with the effect sends its call again though a cancellation was signed too', () => {
    const attempts = [attempt('01'), attempt('02', { kind: 'cancel' })]

    expect(transitions.reopened({ ...closed, attempts }, final)).toMatchObject({
      intents: [{ state: 'sending' }],
      slots: [{ state: 'broadcast', intentId: intent.id }],
    })
  })

  test.each([
    ['was abandoned', { ...closed, state: 'abandoned' as const }, final],
    ['sent no call', { ...closed, attempts: [attempt('01', { kind: 'cancel' })] }, final],
    ['has an intent that is not final', closed, intent],
    ['has no intent', closed, undefined],
  ])('becomes an empty transaction if it %s', (_, given, known) => {
    expect(transitions.reopened(given, known)).toMatchObject({
      intents: [],
      slots: [{ state: 'signed', intentId: null, call: null, mined: null, closedAt: null }],
    })
  })

  test('is signed anew if it has no transaction', () => {
    const { slots } = transitions.reopened({ ...closed, attempts: [] }, undefined)

    expect(slots).toMatchObject([{ state: 'reserved', attempts: [] }])
  })
})
