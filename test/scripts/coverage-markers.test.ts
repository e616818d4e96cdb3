import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import solc from 'solc'
import { afterAll, expect, test } from 'vitest'

import { markAll, whatIsMissing } from '../../scripts/coverage/coverage-markers.ts'

const folder = mkdtempSync(join(tmpdir(), 'assent-marks-'))
afterAll(() => rmSync(folder, { recursive: true }))

function mark(body: string) {
  const source = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

library Sample {
    function run(uint256 a, uint256 b) internal pure returns (uint256 c) {
        ${body}
    }

    function differ(uint256 a, uint256 b) internal pure returns (uint256) {
        return a ^ b;
    }
}
`
  writeFileSync(join(folder, 'Sample.sol'), source)
  const marks = markAll(folder, ['Sample.sol'])
  const content = readFileSync(join(folder, 'Sample.sol'), 'utf8')
  const input = {
    language: 'Solidity',
    sources: { 'Sample.sol': { content } },
    settings: { evmVersion: 'osaka', outputSelection: { '*': { '*': ['evm.bytecode'] } } },
  }
  const { errors = [] } = JSON.parse(solc.compile(JSON.stringify(input))) as {
    errors?: { severity: string; formattedMessage: string }[]
  }
  expect(errors.filter(({ severity }) => severity === 'error')).toEqual([])
  expect(lineOf('function differ', content)).toBe(lineOf('function differ', source))
  return marks
}

function lineOf(words: string, text: string): number {
  return text.split('\n').findIndex((line) => line.includes(words))
}

/** The questions asked between the entries of both functions. */
function questionsIn(body: string): string[] {
  const names = mark(body).map(({ name }) => name)
  expect(names[0]).toBe('Sample run: entered')
  expect(names.at(-1)).toBe('Sample differ: entered')
  return names.slice(1, -1).map((name) => name.replace('Sample run: ', ''))
}

test.each([
  [
    'what decides where the code goes on',
    'if (a < b) c = 1; else while (c < 3) ++c;',
    ['a < b', 'c < 3'],
  ],
  ['each operand by itself', 'require(a < 3 && !(b == 0 || a > b));', ['a < 3', 'b == 0', 'a > b']],
  ['a choice between values', 'bool x = a == b; c = !x ? 1 : 2;', ['a == b', 'x']],
  ['a comparison whose result goes elsewhere', 'bool x = a == b; x;', ['a == b']],
  ['the same again', 'if (a < b) c = 1; if (a < b) c = 2;', ['a < b', 'a < b #2']],
  [
    'comparisons that are put together bit by bit',
    'if (differ(a, b) | differ(b, c) != 0) c = 1;',
    ['differ(a, b) | differ(b, c) != 0', 'differ(a, b)', 'differ(b, c)'],
  ],
  ['no constants', 'while (true) { if (a > b) break; ++a; }', ['a > b']],
])('coverage markers are inserted for %s', (_words, body, expected) => {
  expect(questionsIn(body)).toEqual(expected)
})

test.each([
  ['conditions', 'for {} 1 {} { if iszero(lt(a, b)) { break } a := add(a, 1) }', ['lt(a, b)']],
  ['both ways of a switch', 'switch eq(a, b) case 1 { c := 1 } default { c := 2 }', ['eq(a, b)']],
  [
    'comparisons whose results go elsewhere',
    'c := mul(iszero(a), gt(a, b))',
    ['iszero(a)', 'gt(a, b)'],
  ],
])('coverage markers are inserted in assembly for %s', (_words, body, expected) => {
  expect(questionsIn(`assembly ("memory-safe") { ${body} }`)).toEqual(expected)
})

test('a coverage marker is inserted at the entry of a function in assembly', () => {
  const names = mark('assembly ("memory-safe") { function g(x) -> y { y := x } c := g(a) }')
  expect(names.map(({ name, kind }) => `${kind} ${name}`)).toContain(
    'function Sample run g: entered',
  )
})

test('coverage markers refuse a switch whose cases are not yes or no', () => {
  expect(() => mark('assembly { switch a case 1 {} case 2 {} default {} }')).toThrow(/switch/)
})

test('each coverage marker has two numbers of its own', () => {
  const ways = mark('if (a < b) c = 1;').map(({ way }) => way)
  expect(ways).toEqual([0, 2, 4])
})

test('the coverage report lists each branch that did not run, and each accepted branch that did', () => {
  const marks = mark('if (a < b) c = 1;')
  const all = new Set(marks.flatMap(({ way }) => [way, way + 1]))
  const never = 'Sample run: a < b is never false'
  const recorded = new Set([...all].filter((way) => way !== 2))

  expect(whatIsMissing(marks, all, {})).toEqual([])
  expect(whatIsMissing(marks, recorded, {})).toEqual([`Sample.sol:6  ${never}`])
  expect(whatIsMissing(marks, recorded, { [never]: 'a reason' })).toEqual([])
  expect(whatIsMissing(marks, all, { [never]: 'a reason' })).toEqual([
    `listed as impossible, and it is not: ${never}`,
  ])
  expect(whatIsMissing(marks, new Set([1, 2, 3]), {})).toEqual([
    'Sample.sol:9  Sample differ: entered never',
  ])
})
