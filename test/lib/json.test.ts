import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { readJson } from '../../src/lib/json.ts'

const wide = { depth: 1_000, values: 1_000_000 }

test('readJson returns the same value as JSON.parse', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(readJson(text, wide)).toEqual({ value: JSON.parse(text), repeated: new Set() })
    }),
    { numRuns: 500 },
  )
})

test('readJson throws a SyntaxError for text that is not JSON', () => {
  for (const text of ['', '{', '"', '"\\', '[1,]', '{"a":1,}', '{a:1}', ']']) {
    expect(() => readJson(text, wide), text).toThrow(SyntaxError)
  }
})

describe('the limits of readJson', () => {
  const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const tooLarge = expect.objectContaining({ code: 'INPUT_TOO_LARGE' })

  test('refuse JSON that is nested too deeply', () => {
    expect(readJson(nest(4), { depth: 4, values: 100 }).value).toEqual([[[[]]]])
    expect(() => readJson(nest(5), { depth: 4, values: 100 })).toThrow(tooLarge)
    expect(() => readJson('{"a":{"a":{}}}', { depth: 2, values: 100 })).toThrow(tooLarge)
    // never parsed, however long
    expect(() => readJson('['.repeat(1e7), { depth: 4, values: 1e9 })).toThrow(tooLarge)
  })

  test('refuse JSON with too many values', () => {
    expect(readJson('[1,2,3]', { depth: 4, values: 4 }).value).toEqual([1, 2, 3])
    expect(() => readJson('[1,2,3,4]', { depth: 4, values: 4 })).toThrow(tooLarge)
    expect(() => readJson('{"a":1,"b":1,"c":1,"d":1}', { depth: 4, values: 4 })).toThrow(tooLarge)
  })

  test('ignore brackets, commas and quotes inside strings', () => {
    for (const value of ['[[[[[', ',,,,,,', '\\"[[[[', 'a\\', '\\\\"{{{', '"']) {
      const text = JSON.stringify({ a: value })
      expect(readJson(text, { depth: 1, values: 2 }).value).toEqual({ a: value })
    }
  })
})

test('readJson lists repeated members of the outermost object', () => {
  const twice = (text: string) => [...readJson(text, wide).repeated]

  expect(twice('{"a":1,"b":2,"a":3}')).toEqual(['a'])
  expect(twice('{"a":1,"\\u0061":3}')).toEqual(['a'])
  expect(twice(' {"a":"a","b":["b"],"c":{"c":1,"c":2}}')).toEqual([])
  expect(twice('[{"a":1,"a":2}]')).toEqual([])
  expect(twice('{"__proto__":1,"__proto__":2}')).toEqual(['__proto__'])
})
