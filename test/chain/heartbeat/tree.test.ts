/** The hash tree of heartbeats: what a posted value covers, and what it does not. */
import { hash } from 'node:crypto'

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import {
  covers,
  type HeartbeatProof,
  heartbeatValue,
  maxDepth,
  maxLater,
  merklePath,
  merkleRoot,
  noValue,
} from '../../../src/chain/heartbeat/tree.ts'
import { type Hex, to0x } from '../../../src/lib/bytes.ts'

const word = (number: number): Hex => `0x${number.toString(16).padStart(64, '0')}`
const words = (count: number, first = 1) =>
  Array.from({ length: count }, (_, index) => word(first + index))
const sha256 = (...parts: readonly (string | Hex)[]): Hex => {
  const bytes = parts.map((part) =>
    part.startsWith('0x') ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part, 'utf8'),
  )
  return to0x(hash('sha256', Buffer.concat(bytes), 'buffer'))
}
const proofOf = (nonces: readonly Hex[], index: number): HeartbeatProof => ({
  path: merklePath(nonces, index),
  previous: noValue,
  later: [],
})

describe('a value', () => {
  test('has the hashes that the documentation states', () => {
    const [one, two, three] = words(3) as [Hex, Hex, Hex]
    const domain = 'assent-heartbeat-v1'
    const leaves = [one, two, three].map((nonce) => sha256(domain, '0x00', nonce))
    const pair = sha256(domain, '0x01', ...leaves.slice(0, 2).sort())
    const root = sha256(domain, '0x01', ...[pair, leaves[2] as Hex].sort())

    expect(merkleRoot([one, two, three])).toBe(root)
    expect(heartbeatValue(noValue, root)).toBe(sha256(domain, '0x02', noValue, root))
  })

  test('covers each of its nonces, for every number of nonces up to 70', () => {
    for (let count = 1; count <= 70; count++) {
      const nonces = words(count)
      const value = heartbeatValue(noValue, merkleRoot(nonces))
      for (const [index, nonce] of nonces.entries()) {
        expect(covers(value, nonce, proofOf(nonces, index)), `${index} of ${count}`).toBe(true)
      }
    }
  })

  test('does not cover another nonce, with any proof of its own', () => {
    const nonces = words(9)
    const value = heartbeatValue(noValue, merkleRoot(nonces))
    for (const index of nonces.keys()) {
      expect(covers(value, word(77), proofOf(nonces, index))).toBe(false)
      expect(covers(value, word(index + 2), proofOf(nonces, index))).toBe(false)
    }
  })

  test('does not cover an inner node, a leaf, a root or a value as if it were a nonce', () => {
    const nonces = words(4)
    const root = merkleRoot(nonces)
    const value = heartbeatValue(noValue, root)
    const [sibling, above] = merklePath(nonces, 0) as [Hex, Hex]

    expect(covers(value, sibling, { path: [above], previous: noValue, later: [] })).toBe(false)
    expect(covers(value, above, { path: [], previous: noValue, later: [] })).toBe(false)
    expect(covers(value, root, { path: [], previous: noValue, later: [] })).toBe(false)
    expect(covers(value, value, { path: [], previous: noValue, later: [] })).toBe(false)
    expect(covers(noValue, noValue, { path: [], previous: noValue, later: [] })).toBe(false)
  })

  test('covers the nonces of earlier values, and of no later one', () => {
    const rounds = [words(3), words(5, 100), words(1, 200), words(2, 300)]
    const roots = rounds.map(merkleRoot)
    const values: Hex[] = []
    for (const root of roots) values.push(heartbeatValue(values.at(-1) ?? noValue, root))
    for (const [round, nonces] of rounds.entries()) {
      const proof = {
        path: merklePath(nonces, 0),
        previous: values[round - 1] ?? noValue,
        later: roots.slice(round + 1),
      }
      for (const [posted, value] of values.entries()) {
        expect(covers(value, nonces[0] as Hex, proof), `${round} in ${posted}`).toBe(
          posted >= round,
        )
      }
    }
  })

  test('covers nothing by a proof that was changed in one byte', () => {
    const nonces = words(6)
    const later = [word(900), word(901)]
    const whole = { ...proofOf(nonces, 2), later }
    const value = later.reduce(heartbeatValue, heartbeatValue(noValue, merkleRoot(nonces)))
    const flat = [...whole.path, whole.previous, ...whole.later]
    const split = (all: readonly Hex[]): HeartbeatProof => ({
      path: all.slice(0, whole.path.length),
      previous: all[whole.path.length] as Hex,
      later: all.slice(whole.path.length + 1),
    })
    expect(covers(value, nonces[2] as Hex, split(flat))).toBe(true)
    fc.assert(
      fc.property(
        fc.nat(flat.length - 1),
        fc.nat(31),
        fc.integer({ min: 1, max: 255 }),
        (index, at, mask) => {
          const bytes = Buffer.from((flat[index] as Hex).slice(2), 'hex')
          bytes[at] = (bytes[at] as number) ^ mask
          const changed = flat.map((each, other) => (other === index ? to0x(bytes) : each))
          return !covers(value, nonces[2] as Hex, split(changed))
        },
      ),
    )
  })
})

describe('limits', () => {
  test('a path has at most twelve siblings, and a proof at most 512 later roots', () => {
    const nonce = word(1)
    const pathOf = (length: number) => ({ path: words(length, 50), previous: noValue, later: [] })
    const root = (length: number) => {
      const leaf = merkleRoot([nonce])
      const up = (one: Hex, other: Hex) =>
        sha256('assent-heartbeat-v1', '0x01', ...[one, other].sort())
      return words(length, 50).reduce(up, leaf)
    }
    expect(covers(heartbeatValue(noValue, root(maxDepth)), nonce, pathOf(maxDepth))).toBe(true)
    const deeper = maxDepth + 1
    expect(covers(heartbeatValue(noValue, root(deeper)), nonce, pathOf(deeper))).toBe(false)

    for (const [count, isCovered] of [
      [maxLater, true],
      [maxLater + 1, false],
    ] as const) {
      const later = words(count, 1_000)
      const value = later.reduce(heartbeatValue, heartbeatValue(noValue, merkleRoot([nonce])))
      expect(covers(value, nonce, { path: [], previous: noValue, later })).toBe(isCovered)
    }
  })

  test('a root has 1 to 4096 nonces', () => {
    expect(() => merkleRoot([])).toThrow(RangeError)
    expect(() => merkleRoot(words(4097))).toThrow(RangeError)
    expect(merklePath(words(4096), 4095)).toHaveLength(maxDepth)
    expect(() => merklePath(words(3), 3)).toThrow(RangeError)
  })
})
