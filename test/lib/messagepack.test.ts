import { encode } from '@msgpack/msgpack'
import { describe, expect, test } from 'vitest'

import { concatBytes, utf8ToBytes } from '../../src/lib/bytes.ts'
import { MessagePackReader } from '../../src/lib/messagepack.ts'

const failure = (why: string) => new Error(why)
const reader = (...parts: (number | Uint8Array)[]) =>
  new MessagePackReader(
    concatBytes(...parts.map((part) => (typeof part === 'number' ? Uint8Array.of(part) : part))),
    failure,
  )

test('MessagePackReader reads values of every size that serializers write', () => {
  for (const size of [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536, 70_000]) {
    const text = 'x'.repeat(size)
    const bytes = new Uint8Array(size).map((_, index) => index)
    expect(reader(encode(text)).text('v')).toBe(text)
    expect(reader(encode(bytes)).bytes('v')).toEqual(bytes)
    expect(reader(encode([...bytes])).bytes('v')).toEqual(bytes)
    expect(reader(encode([...bytes])).list('v', size, (r) => r.number('n', 255))).toEqual([
      ...bytes,
    ])
    expect(reader(encode(size)).number('v', size)).toBe(size)
  }
  const map = reader(encode({ a: null, b: 'é', c: { d: [1, [2], { e: -1.5 }] } }))
  const members = map.members('m', ['a', 'b', 'c'], ['f'])
  map.end()
  expect(members.get('a')?.nil()).toBe(true)
  expect(members.get('b')?.text('b')).toBe('é')
  expect(members.get('f')).toBeUndefined()
})

describe('a MessagePack header with a size above the remaining bytes', () => {
  // family, first byte, octets of the size behind it
  const heads: [string, number, number][] = [
    ['fixmap', 0x8f, 0],
    ['fixarray', 0x9f, 0],
    ['fixstr', 0xbf, 0],
    ['bin 8', 0xc4, 1],
    ['bin 16', 0xc5, 2],
    ['bin 32', 0xc6, 4],
    ['ext 8', 0xc7, 1],
    ['ext 16', 0xc8, 2],
    ['ext 32', 0xc9, 4],
    ['fixext 1', 0xd4, 0],
    ['fixext 16', 0xd8, 0],
    ['str 8', 0xd9, 1],
    ['str 16', 0xda, 2],
    ['str 32', 0xdb, 4],
    ['array 16', 0xdc, 2],
    ['array 32', 0xdd, 4],
    ['map 16', 0xde, 2],
    ['map 32', 0xdf, 4],
  ]
  const largest = (first: number, octets: number) =>
    concatBytes(Uint8Array.of(first), new Uint8Array(octets).fill(0xff))

  test.each(heads)('%s', (_family, first, octets) => {
    const head = largest(first, octets)
    const read: ((from: MessagePackReader) => unknown)[] = [
      (from) => from.text('v'),
      (from) => from.bytes('v'),
      (from) => from.number('v', 2 ** 32),
      (from) => from.list('v', 2 ** 32, (inner) => inner.text('w')),
      (from) => from.members('v', ['version']),
    ]
    for (const one of read) expect(() => one(reader(head))).toThrow(Error)
    // as a member's value, which is passed over first
    const inside = () => reader(0x81, encode('version'), head).members('v', ['version'])
    expect(inside).toThrow(/cut off|extension/)
    // nested as deep as bytes allow, in any place
    const nested = concatBytes(...Array.from({ length: 100_000 }, () => head))
    const before = process.memoryUsage()
    for (const one of [...read, (from: MessagePackReader) => from.members('v', ['version'])]) {
      // a text or bytes may well be what follows
      const outcome = attempt(() => one(reader(nested)))
      expect(outcome instanceof Error || isShort(outcome)).toBe(true)
    }
    attempt(() => reader(0x81, encode('version'), nested).members('v', ['version']))
    const after = process.memoryUsage()
    expect(
      after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers,
    ).toBeLessThan(64 * nested.length)
  })

  test('is refused for each type, at any depth of valid lists and maps', () => {
    for (const [, first, octets] of heads) {
      for (const depth of [1, 10, 1_000, 100_000]) {
        const wrap = new Uint8Array(depth).fill(0x91)
        const inside = () =>
          reader(0x81, encode('version'), wrap, largest(first, octets)).members('v', ['version'])
        expect(inside).toThrow(/cut off|extension/)
      }
    }
  })
})

function attempt(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

function isShort(value: unknown): boolean {
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length <= 65_535
}

test('MessagePackReader accepts only the shortest form of a value', () => {
  const longer: [Uint8Array, (from: MessagePackReader) => unknown][] = [
    [Uint8Array.of(0xcc, 0x7f), (from) => from.number('v', 255)],
    [Uint8Array.of(0xcd, 0, 0xff), (from) => from.number('v', 65_535)],
    [Uint8Array.of(0xce, 0, 0, 0xff, 0xff), (from) => from.number('v', 2 ** 32)],
    [Uint8Array.of(0xd9, 1, 0x61), (from) => from.text('v')],
    [Uint8Array.of(0xda, 0, 1, 0x61), (from) => from.text('v')],
    [Uint8Array.of(0xc5, 0, 1, 0x61), (from) => from.bytes('v')],
    [Uint8Array.of(0xdc, 0, 1, 1), (from) => from.bytes('v')],
    [Uint8Array.of(0xde, 0, 1, 0xa1, 0x61, 1), (from) => from.members('v', ['a'])],
  ]
  for (const [bytes, read] of longer) expect(() => read(reader(bytes))).toThrow(/shortest form/)
})

test('MessagePackReader refuses unknown, repeated, missing and unnamed members', () => {
  expect(() => reader(encode({ a: 1, b: 2 })).members('v', ['a'])).toThrow(/unknown member/)
  expect(() => reader(encode({})).members('v', ['a'])).toThrow(/lacks a member/)
  expect(() => reader(0x82, encode('a'), 1, encode('a'), 1).members('v', ['a'])).toThrow(/twice/)
  expect(() => reader(0x81, 1, 1).members('v', ['a'])).toThrow(/not text/)
  expect(() => reader(encode({ ['k'.repeat(65)]: 1 })).members('v', ['a'])).toThrow(/too long/)
})

test('MessagePackReader refuses invalid UTF-8, trailing bytes and too many entries', () => {
  expect(() => reader(0xa1, 0xff).text('v')).toThrow(/not UTF-8/)
  const trailing = reader(0x01, 0x02)
  trailing.number('v', 1)
  expect(() => trailing.end()).toThrow(/trailing bytes/)
  expect(() => reader(encode([1, 2])).list('v', 1, (from) => from.number('n', 2))).toThrow(/more/)
  expect(() => reader(encode([1, 256])).bytes('v')).toThrow(/above 255/)
  expect(() => reader(utf8ToBytes('')).nil()).not.toThrow()
})
