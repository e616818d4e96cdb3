/** A cache never exceeds its limit, and keeps the entries in use. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { inputs, seed } from '../../scripts/test-effort.ts'
import { createByteCache } from '../../src/lib/byte-cache.ts'

describe('createByteCache', () => {
  test('stays below its limit and returns the last value of each name', () => {
    const step = fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat(20), fc.nat(3_000))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const cache = createByteCache<number>(8_192)
        const last = new Map<string, number>()
        for (const [what, which, bytes] of steps) {
          const name = `name ${which}`
          if (what === 'get') {
            const found = cache.get(name)
            if (found !== undefined) expect(found).toBe(last.get(name))
          } else if (what === 'set') {
            cache.set(name, bytes, bytes)
            last.set(name, bytes)
          } else {
            cache.delete(name)
            last.delete(name)
            expect(cache.get(name)).toBeUndefined()
          }
          expect(cache.bytes()).toBeLessThanOrEqual(8_192)
          expect(cache.bytes()).toBeGreaterThanOrEqual(0)
        }
      }),
      { numRuns: inputs(200, 5_000), seed },
    )
  })

  test('keeps values in use and drops unused ones', () => {
    const cache = createByteCache<number>(20_000)
    cache.set('used', 1, 100)
    cache.set('unused', 2, 100)
    for (let index = 0; index < 1_000; index++) {
      cache.set(`passing ${index}`, index, 100)
      expect(cache.get('used')).toBe(1)
    }
    expect(cache.get('unused')).toBeUndefined()
    expect(cache.get('passing 999')).toBe(999)
  })

  test('does not store a value above half of the limit and drops the one it replaces', () => {
    const cache = createByteCache<number>(2_000)
    cache.set('a', 1, 10)
    cache.set('a', 2, 2_000)
    expect(cache.get('a')).toBeUndefined()
    expect(cache.bytes()).toBe(0)
  })
})
