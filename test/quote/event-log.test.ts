import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import {
  findSystemEvent,
  parseEventLog,
  RUNTIME_EVENT_TYPE,
  replayRtmr3,
  runtimeEventDigest,
  runtimeEventPreimage,
  runtimeEvents,
} from '../../src/quote/measurements/event-log.ts'
import { readCommittedJson } from '../vectors.ts'

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof AssentError) return error.code
    throw error
  }
  return 'accepted'
}

const runtime = (event: string, payload = '', more: object = {}) => ({
  imr: 3,
  event_type: RUNTIME_EVENT_TYPE,
  digest: '',
  event,
  event_payload: payload,
  ...more,
})

describe('runtime event digests', () => {
  const { cases } = readCommittedJson<{
    cases: {
      event: string
      payload: string
      v1_preimage: string
      v1_sha384: string
      v2_preimage_utf8: string
      v2_sha384: string
    }[]
  }>('dstack/kat/runtime-event-digest.json')

  test.each(cases.map((entry) => [entry.event, entry] as const))('%j', (_, entry) => {
    const payload = Buffer.from(entry.payload, 'hex')

    expect(toHex(runtimeEventPreimage(entry.event, payload, 1))).toBe(entry.v1_preimage)
    expect(toHex(runtimeEventDigest(entry.event, payload, 1))).toBe(entry.v1_sha384)
    expect(runtimeEventPreimage(entry.event, payload, 2)).toEqual(
      utf8ToBytes(entry.v2_preimage_utf8),
    )
    expect(toHex(runtimeEventDigest(entry.event, payload, 2))).toBe(entry.v2_sha384)
  })
})

describe('parseEventLog', () => {
  test('computes the digests of runtime events, with or without logged digests', () => {
    const digest = toHex(runtimeEventDigest('app-id', Uint8Array.of(1), 1))
    const stripped = parseEventLog([runtime('app-id', '01')])
    const full = parseEventLog(JSON.stringify([runtime('app-id', '01', { digest })]))

    expect(stripped).toEqual(full)
    expect(toHex(replayRtmr3(full))).toBe(toHex(replayRtmr3(stripped)))
  })

  test.each([
    ['no JSON', '[{', 'EVENT_LOG_MALFORMED'],
    ['no list', '{}', 'EVENT_LOG_MALFORMED'],
    ['an unknown field', [runtime('a', '', { extra: 1 })], 'EVENT_LOG_MALFORMED'],
    ['a missing field', [{ imr: 3 }], 'EVENT_LOG_MALFORMED'],
    ['an RTMR that does not exist', [runtime('a', '', { imr: 4 })], 'EVENT_LOG_MALFORMED'],
    ['half a byte', [runtime('a', '0')], 'EVENT_LOG_MALFORMED'],
    ['a firmware event in RTMR3', [runtime('a', '', { event_type: 10 })], 'EVENT_LOG_MALFORMED'],
    ['a runtime event elsewhere', [runtime('a', '', { imr: 2 })], 'EVENT_LOG_MALFORMED'],
    ['a version 3 event', [runtime('a', '', { version: 3 })], 'EVENT_LOG_MALFORMED'],
    [
      'a lone surrogate',
      '[{"imr":3,"event_type":134217729,"digest":"","event":"\\ud800","event_payload":""}]',
      'EVENT_LOG_MALFORMED',
    ],
    [
      'a digest of another event',
      [runtime('a', '', { digest: '00'.repeat(48) })],
      'EVENT_LOG_CONTRADICTORY',
    ],
    [
      'a preimage of another event',
      [runtime('a', '', { version: 2, preimage: '00' })],
      'EVENT_LOG_CONTRADICTORY',
    ],
    ['more text than any log', ' '.repeat(4_194_305), 'INPUT_TOO_LARGE'],
  ])('refuses %s', (_, log, code) => {
    expect(codeOf(() => parseEventLog(log))).toBe(code)
  })
})

describe('system events', () => {
  const log = parseEventLog([
    runtime('system-preparing'),
    runtime('app-id', '11'),
    runtime('app-id', '22'),
    runtime('boot-mr-done'),
    runtime('key-provider', '33'),
    runtime('system-ready'),
    runtime('late', '44'),
    runtime('with:colon', '55'),
  ])

  test('the first event of a name is used', () => {
    expect(findSystemEvent(log, 'app-id')).toEqual(Uint8Array.of(0x11))
  })

  test('an event that the app wrote after system-ready is ignored', () => {
    expect(findSystemEvent(log, 'late')).toBeUndefined()
  })

  test('the boot view ends with boot-mr-done', () => {
    expect(runtimeEvents(log, 'boot').at(-1)?.event).toBe('boot-mr-done')
    expect(findSystemEvent(runtimeEvents(log, 'boot'), 'key-provider')).toBeUndefined()
  })

  test('a log without boot-mr-done has no boot view', () => {
    expect(codeOf(() => runtimeEvents(log.slice(0, 2), 'boot'))).toBe('APP_INFO_INCOMPLETE')
  })

  test('an event name with a colon is refused', () => {
    // the same digest, split in another place
    const whole = runtimeEventDigest('compose-hash', utf8ToBytes('x:y'), 1)
    expect(runtimeEventDigest('compose-hash:x', utf8ToBytes('y'), 1)).toEqual(whole)

    const resplit = parseEventLog([runtime('compose-hash:x', '79'), runtime('compose-hash', '00')])
    expect(codeOf(() => findSystemEvent(resplit, 'compose-hash'))).toBe('EVENT_LOG_MALFORMED')
  })
})
