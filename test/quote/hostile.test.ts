/** Whatever is changed, cut or made up: it never verifies, and nothing but a typed error is thrown. */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'

import { inputs } from '../../scripts/test-effort.ts'
import { AssentError, type ErrorCode } from '../../src/errors/index.ts'
import { malformedErrors, rejectionErrors } from '../../src/errors/quote.ts'
import { parseCertificate } from '../../src/quote/certificates/certificate.ts'
import { parseRevocationList } from '../../src/quote/certificates/crl.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { parseQeIdentity } from '../../src/quote/collateral/qe-identity.ts'
import { parseTcbInfo } from '../../src/quote/collateral/tcb-info.ts'
import {
  findSystemEvent,
  parseEventLog,
  replayRtmr3,
} from '../../src/quote/measurements/event-log.ts'
import { parseVmConfig } from '../../src/quote/measurements/measure.ts'
import { MAX_QUOTE_BYTES, parseQuote } from '../../src/quote/parse.ts'
import { parsePolicy } from '../../src/quote/policy.ts'
import { Rejection } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createCollateralCache } from '../../src/quote/verify-cache.ts'
import { syntheticCase, syntheticRoot, syntheticTime } from '../synthetic.ts'

const cache = createCollateralCache()
const v4 = syntheticCase('valid_v4_td10')
const v5 = syntheticCase('relaunch_advised')

/** `verified`, or the code that refused. Anything thrown that is no AssentError fails the test. */
function judge(quote: Uint8Array, collateral: Collateral): 'verified' | ErrorCode {
  try {
    const options = { at: syntheticTime, root: syntheticRoot, cache }
    const verdict = verifyQuote(quote, collateral, options)
    if (verdict.verdict === 'verified') return 'verified'
    expect(verdict.code in rejectionErrors, verdict.code).toBe(true)
    return verdict.code
  } catch (error) {
    if (!(error instanceof AssentError)) throw error
    expect(error.code in malformedErrors, error.code).toBe(true)
    return error.code
  }
}

beforeAll(() => {
  expect(judge(v4.quote, v4.collateral)).toBe('verified')
  expect(judge(v5.quote, v5.collateral)).toBe('verified')
})

describe.each([
  ['v4', v4],
  ['v5', v5],
])('a genuine %s quote', (_, { quote, collateral }) => {
  const { length } = parseQuote(quote)

  test('with any one byte changed does not verify', () => {
    const changed = Uint8Array.from(quote)
    for (let at = 0; at < length; at++) {
      const original = changed[at] as number
      changed[at] = original ^ (1 << (at % 8))
      expect(judge(changed, collateral), `byte ${at}`).not.toBe('verified')
      changed[at] = original
    }
  })

  test('cut at any length is malformed', () => {
    for (let cut = 0; cut < length; cut++) {
      expect(judge(quote.subarray(0, cut), collateral) in malformedErrors, `cut at ${cut}`).toBe(
        true,
      )
    }
  })

  test('with padding still verifies, up to the size limit', () => {
    const padded = (size: number) => {
      const bytes = new Uint8Array(size)
      bytes.set(quote)
      return judge(bytes, collateral)
    }

    expect(padded(8_000)).toBe('verified')
    expect(padded(MAX_QUOTE_BYTES)).toBe('verified')
    expect(padded(MAX_QUOTE_BYTES + 1)).toBe('QUOTE_TOO_LARGE')
  })

  // what lies behind the end is padding
  test('with any run of bytes replaced, removed or repeated does not verify', () => {
    const run = fc.record({
      start: fc.nat(length - 1),
      size: fc.integer({ min: 1, max: 64 }),
      kind: fc.constantFrom('replace', 'drop', 'double'),
      bytes: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    })
    fc.assert(
      fc.property(run, ({ start, size, kind, bytes }) => {
        const end = Math.min(start + size, length)
        const middle = {
          replace: bytes.subarray(0, end - start),
          drop: [],
          double: [...quote.subarray(start, end), ...quote.subarray(start, end)],
        }
        const changed = Uint8Array.of(
          ...quote.subarray(0, start),
          ...middle[kind as keyof typeof middle],
          ...quote.subarray(end, length),
        )
        const isSame = Buffer.compare(changed.subarray(0, length), quote.subarray(0, length)) === 0
        expect(judge(changed, collateral) === 'verified').toBe(isSame)
      }),
      { numRuns: inputs(300, 30_000) },
    )
  })
})

describe('genuine collateral', () => {
  const { quote, collateral } = v4
  const fields = Object.keys(collateral) as (keyof Collateral)[]

  test('with any one character changed does not verify', () => {
    const place = fc.record({
      field: fc.constantFrom(...fields),
      at: fc.nat(),
      by: fc.integer({ min: 1, max: 15 }),
    })
    fc.assert(
      fc.property(place, ({ field, at, by }) => {
        const text = collateral[field] as string
        const index = at % text.length
        const changed =
          text.slice(0, index) + otherCharacter(text[index] as string, by) + text.slice(index + 1)

        expect(judge(quote, { ...collateral, [field]: changed })).not.toBe('verified')
      }),
      { numRuns: inputs(600, 60_000) },
    )
  })

  test('cut anywhere does not verify', () => {
    const place = fc.record({ field: fc.constantFrom(...fields), at: fc.nat() })
    fc.assert(
      fc.property(place, ({ field, at }) => {
        const text = collateral[field] as string
        // the line feed after the last certificate may be missing
        const cut = text.slice(0, at % (text.length - 1))

        expect(judge(quote, { ...collateral, [field]: cut })).not.toBe('verified')
      }),
      { numRuns: inputs(200, 20_000) },
    )
  })

  test('with fields of other documents does not verify', () => {
    for (const field of fields) {
      for (const other of fields) {
        if (collateral[other] === collateral[field]) continue
        const swapped = { ...collateral, [field]: collateral[other] as string }
        expect(judge(quote, swapped), `${other} as ${field}`).not.toBe('verified')
      }
    }
  })
})

describe('random input', () => {
  /** Runs `parse`; only typed refusals may come out. */
  const refuses = (parse: (input: never) => unknown) => (input: unknown) => {
    try {
      parse(input as never)
    } catch (error) {
      if (!(error instanceof AssentError) && !(error instanceof Rejection)) throw error
    }
  }

  const bytes = fc.uint8Array({ maxLength: 6_000 })
  // starts that get past the first checks
  const quoteLike = fc
    .record({ keep: fc.nat(v4.quote.length), tail: bytes })
    .map(({ keep, tail }) => Uint8Array.of(...v4.quote.subarray(0, keep), ...tail))
  const derLike = fc
    .record({ keep: fc.nat(syntheticRoot.length), tail: fc.uint8Array({ maxLength: 200 }) })
    .map(({ keep, tail }) => Uint8Array.of(...syntheticRoot.subarray(0, keep), ...tail))
  const json = fc.oneof(
    fc.json(),
    fc.string(),
    mutatedText(v4.collateral.tcb_info),
    mutatedText(v4.collateral.qe_identity),
  )

  test.each<[string, fc.Arbitrary<unknown>, (input: never) => unknown]>([
    ['parseQuote', fc.oneof(bytes, quoteLike), parseQuote],
    ['parseQuote of no bytes', fc.anything(), parseQuote],
    ['parseCertificate', fc.oneof(bytes, derLike), (input) => parseCertificate(input, 'x')],
    ['parseRevocationList', fc.oneof(bytes, derLike), (input) => parseRevocationList(input, 'x')],
    ['parseTcbInfo', json, parseTcbInfo],
    ['parseQeIdentity', json, parseQeIdentity],
    [
      'parseCollateral',
      fc.oneof(
        fc.anything(),
        fc.dictionary(fc.constantFrom(...Object.keys(v4.collateral)), fc.string()),
      ),
      parseCollateral,
    ],
    ['parseEventLog', fc.oneof(fc.json(), fc.anything()), parseEventLog],
    ['parseVmConfig', fc.oneof(fc.json(), fc.string()), parseVmConfig],
    ['parsePolicy', fc.anything(), parsePolicy],
  ])('%s throws typed errors only', (_, input, parse) => {
    fc.assert(fc.property(input, refuses(parse)), { numRuns: inputs(500, 50_000) })
  })

  test('a random event log replays to the same value with and without digests', () => {
    const event = fc.record({
      event: fc.string({ unit: 'grapheme', maxLength: 20 }),
      payload: fc.uint8Array({ maxLength: 40 }),
      version: fc.constantFrom(1, 2),
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        const stripped = events.map((entry) => ({
          imr: 3,
          event_type: 0x0800_0001,
          digest: '',
          event: entry.event,
          event_payload: Buffer.from(entry.payload).toString('hex'),
          version: entry.version,
        }))
        const parsed = parseEventLog(stripped)
        const full = stripped.map((entry, index) => ({
          ...entry,
          digest: Buffer.from(parsed[index]?.digest as Uint8Array).toString('hex'),
        }))

        expect(replayRtmr3(parseEventLog(JSON.stringify(full)))).toEqual(replayRtmr3(parsed))
        refuses(() => findSystemEvent(parsed, 'app-id'))(undefined)
      }),
      { numRuns: inputs(200, 20_000) },
    )
  })

  test('deeply nested JSON is refused before it is parsed', () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`.slice(0, 65_536)

    expect(() => parseTcbInfo(deep)).toThrowError(
      expect.objectContaining({ code: 'QUOTE_TCB_INFO_MALFORMED' }),
    )
    expect(() => parseTcbInfo('x'.repeat(65_537))).toThrowError(
      expect.objectContaining({ code: 'QUOTE_TOO_LARGE' }),
    )
  })
})

/** Another character that does not mean the same: hex digits have two cases. */
function otherCharacter(character: string, by: number): string {
  const digit = Number.parseInt(character, 16)
  return Number.isNaN(digit)
    ? String.fromCharCode(character.charCodeAt(0) ^ by)
    : ((digit + by) % 16).toString(16)
}

function mutatedText(text: string): fc.Arbitrary<string> {
  return fc
    .record({ start: fc.nat(text.length), size: fc.nat(8), piece: fc.string({ maxLength: 8 }) })
    .map(({ start, size, piece }) => text.slice(0, start) + piece + text.slice(start + size))
}
