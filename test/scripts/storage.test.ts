import { expect, test } from 'vitest'

import { type Layouts, moved } from '../../src/deploy/storage-layout.ts'

const before: Layouts = {
  Registry: [
    'slot 0 byte 0: address owner (20 bytes)',
    'slot 0 byte 20: uint40 time (5 bytes)',
    'slot 1 byte 0: mapping(bytes32 => struct Host) hosts (32 bytes)',
    'slot 2 byte 0: uint256[50] __gap (1600 bytes)',
    'struct Host, slot 0 byte 0: address operator (20 bytes)',
  ],
}

function changed(change: (lines: string[]) => string[]): Layouts {
  return { Registry: change([...(before.Registry ?? [])]) }
}

test('a new storage layout may append into the gap, in the free part of a slot and to a struct', () => {
  const now = changed(([owner, time, hosts, , operator]) => [
    owner as string,
    time as string,
    'slot 0 byte 25: bool isNew (1 bytes)',
    hosts as string,
    'slot 2 byte 0: address images (20 bytes)',
    'slot 3 byte 0: uint256[49] __gap (1568 bytes)',
    operator as string,
    'struct Host, slot 0 byte 20: uint40 since (5 bytes)',
  ])

  expect(moved(before, { ...now, Another: [] })).toEqual([])
})

test.each([
  ['a value in another slot', /slot 1 byte 0: mapping/, 'slot 3 byte 0: mapping'],
  ['a value at another byte', /byte 20: uint40/, 'byte 24: uint40'],
  ['a value of another type', /uint40 time \(5/, 'uint32 time (4'],
  ['a value of another name', /address owner/, 'address admin'],
  ['a gap that ends elsewhere', /uint256\[50\] __gap \(1600/, 'uint256[49] __gap (1568'],
  ['a member of a struct elsewhere', /Host, slot 0 byte 0/, 'Host, slot 1 byte 0'],
])('a new storage layout is refused with %s', (_, from, to) => {
  const now = changed((lines) => lines.map((line) => line.replace(from, to)))

  expect(moved(before, now)).toHaveLength(1)
})

test('a new storage layout is refused without a contract that existed', () => {
  expect(moved(before, {})).toHaveLength(5)
})
