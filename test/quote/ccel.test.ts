import { describe, expect, test } from 'vitest'

import { toHex } from '../../src/lib/bytes.ts'
import { parseCcel } from '../../src/quote/measurements/ccel.ts'
import { replayRtmr } from '../../src/quote/measurements/event-log.ts'
import { ccelOf, ccelRecord } from '../fuzz/ccel.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'

const digest = new Uint8Array(48).fill(7)
const record = (change: Parameters<typeof ccelRecord>[0] = {}) =>
  ccelRecord({ register: 1, ...change })
const code = (bytes: Uint8Array) => {
  try {
    return parseCcel(bytes)
  } catch (error) {
    return (error as { code: string }).code
  }
}

test('parseCcel reads events up to the end mark and counts registers from zero', () => {
  const log = ccelOf([record({ register: 2, digests: [[0x0c, digest]] }), record({ register: 0 })])

  expect(parseCcel(new Uint8Array([...log, 1, 2, 3]))).toEqual([
    { imr: 1, eventType: 0x8000_0001, digest, event: '', payload: new Uint8Array([9]), version: 1 },
  ])
})

test('parseCcel reads a log without the unused space', () => {
  const whole = ccelOf([record(), record({ register: 4 })])

  expect(parseCcel(whole.slice(0, -4))).toEqual(parseCcel(whole))
})

test('parseCcel skips events that extend nothing', () => {
  const silent = record({ eventType: 3, digests: [[0x0c, new Uint8Array(48)]] })
  const without = record({ eventType: 3, digests: [] })

  expect(parseCcel(ccelOf([silent, record(), without]))).toEqual(parseCcel(ccelOf([record()])))
})

test('parseCcel uses the SHA-384 digest of an event with several digests', () => {
  const others = [
    [0x0b, new Uint8Array(32)],
    [0x0c, digest],
    [0x0d, new Uint8Array(64)],
  ] as const
  const [event] = parseCcel(ccelOf([record({ digests: others })])) as { digest: Uint8Array }[]

  expect(event?.digest).toEqual(digest)
})

test.each([
  ['part of an end mark', ccelOf([record()]).slice(0, -1)],
  ['an event cut off', ccelOf([record().slice(0, -1)])],
  ['no digest', ccelOf([record({ digests: [] })])],
  [
    'two SHA-384 digests',
    ccelOf([
      record({
        digests: [
          [0x0c, digest],
          [0x0c, digest],
        ],
      }),
    ]),
  ],
  ['a SHA-256 digest', ccelOf([record({ digests: [[0x0b, new Uint8Array(32)]] })])],
  ['an unknown algorithm', ccelOf([record({ digests: [[0x12, new Uint8Array(32)]] })])],
  ['a register beyond the fourth', ccelOf([record({ register: 5 })])],
  ['another signature', ccelOf([record()], { signature: 'Spec ID Event02\0' })],
  ['another digest size in the header', ccelOf([record()], { digestSize: 32 })],
  ['a header of another size', ccelOf([record()], { size: 1 })],
])('parseCcel refuses a log with %s', (_, log) => {
  expect(code(log)).toBe('EVENT_LOG_MALFORMED')
})

test('parseCcel refuses a log above the size of a table', () => {
  expect(code(new Uint8Array(1_048_577))).toBe('INPUT_TOO_LARGE')
})

describeRecorded('a recorded CCEL', () => {
  const bytes = readVector('dstack/ccel/ccel.bin')
  const decoded = readVectorJson<{
    events: { imr: number; event_type: number; digest: string; data: string }[]
    replayed: Record<string, string>
  }>('dstack/ccel/ccel.decoded.json')

  test('has the recorded events', () => {
    const events = parseCcel(bytes).map(({ imr, eventType, digest, payload }) => ({
      ...{ imr, event_type: eventType, alg: 12 },
      ...{ digest: toHex(digest), data: toHex(payload) },
    }))

    expect(events).toEqual(decoded.events)
  })

  describe.each([0, 1, 2, 3] as const)('RTMR%i', (imr) => {
    test('replays to the recorded value', () => {
      expect(toHex(replayRtmr(parseCcel(bytes), imr))).toBe(decoded.replayed[`rtmr${imr}`])
    })
  })
})
