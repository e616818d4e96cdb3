import { expect, test } from 'vitest'

import { toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { type Compose, serializeCompose } from '../../src/quote/measurements/compose.ts'
import { composeHash } from '../../src/quote/measurements/measure.ts'
import { describeRecorded, readVectorJson, readVectorText } from '../vectors.ts'

describeRecorded('serializeCompose gives the bytes of the SDKs for', () => {
  const known = readVectorJson<{
    raw_files: { file: string; sdk_deterministic_sha256: string }[]
    sdk_cases: { input: Compose; normalize: boolean; serialized: string; sha256: string }[]
  }>('dstack/kat/compose-hash.json')

  test.each(known.sdk_cases)(
    'the recorded case with normalize $normalize',
    ({ input, normalize, serialized, sha256 }) => {
      const text = serializeCompose(input, { normalize })

      expect(text).toBe(serialized)
      expect(toHex(composeHash(utf8ToBytes(text)))).toBe(sha256)
    },
  )

  test.each(known.raw_files)(
    'the recorded file $file',
    ({ file, sdk_deterministic_sha256: sha256 }) => {
      const compose = JSON.parse(readVectorText(`dstack/${file}`)) as Compose

      expect(toHex(composeHash(utf8ToBytes(serializeCompose(compose))))).toBe(sha256)
    },
  )
})

test('serializeCompose handles undefined and non-finite numbers like JSON.stringify', () => {
  expect(serializeCompose({ b: Number.NaN, a: undefined, c: [Number.POSITIVE_INFINITY] })).toBe(
    '{"b":null,"c":[null]}',
  )
})

test.each(['0', '7', '10', '4294967295'])(
  'serializeCompose refuses the key "%s", because languages sort it differently',
  (key) => {
    expect(() => serializeCompose({ services: { [key]: 1 } })).toThrowError(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    )
  },
)

test('serializeCompose treats __proto__ as an ordinary key', () => {
  const compose = JSON.parse('{"b":{"__proto__":{"z":1,"a":2}},"__proto__":1}') as Compose

  expect(serializeCompose(compose)).toBe('{"__proto__":1,"b":{"__proto__":{"a":2,"z":1}}}')
})

test.each(['01', '1a', 'a1', '-1', '1.5', ''])('serializeCompose accepts the key "%s"', (key) => {
  expect(serializeCompose({ [key]: 1 })).toBe(JSON.stringify({ [key]: 1 }))
})
