/** The strict parser of Intel's signed documents: what it reads, what it skips, and each of its limits. */
import { describe, expect, test } from 'vitest'

import { isAssentError } from '../../src/errors/index.ts'
import { type JsonObject, parseSignedJson } from '../../src/quote/collateral/signed-json.ts'

const code = 'QUOTE_TCB_INFO_MALFORMED'
const parse = (text: string) => parseSignedJson(text, 'document', code)

/** The value that `read` returns, or the code of the error. */
function outcome(text: string, read: (json: JsonObject) => unknown = () => 'parsed'): unknown {
  try {
    return read(parse(text))
  } catch (error) {
    if (isAssentError(error)) return error.code
    throw error
  }
}

const nested = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
const members = (count: number) =>
  `{${Array.from({ length: count }, (_, index) => `"m${index}":1`).join()}}`

describe('parseSignedJson', () => {
  test.each([
    ['an empty object', '{}', 'parsed'],
    ['every type of value', '{"a":[1,-2.5e+3,"x",true,false,null,{},[]]}', 'parsed'],
    ['every escape', String.raw`{"a":"\"\\\/\b\f\n\r\t\u00aF"}`, 'parsed'],
    ['characters beyond ASCII', '{"é":"\u{1f600}\uffff"}', 'parsed'],
    ['the deepest nesting', nested(32), 'parsed'],
    ['one level more', nested(33), code],
    ['as many members as allowed', members(64), 'parsed'],
    ['one member more', members(65), 'QUOTE_TOO_LARGE'],
    ['a document of the greatest length', `{"a":"${'x'.repeat(65_528)}"}`, 'parsed'],
    ['one character more', `{"a":"${'x'.repeat(65_529)}"}`, 'QUOTE_TOO_LARGE'],
    ['a list instead of an object', '[]', code],
    ['nothing', '', code],
    ['a trailing character', '{} ', code],
    ['a leading space', ' {}', code],
    ['a space between tokens', '{"a": 1}', code],
    ['a missing comma', '{"a":1"b":2}', code],
    ['a trailing comma', '{"a":1,}', code],
    ['a missing colon', '{"a"1}', code],
    ['a name without quotation marks', '{a:1}', code],
    ['a list without end', '{"a":[1', code],
    ['a string without end', '{"a":"x', code],
    ['an unknown escape', String.raw`{"a":"\x"}`, code],
    ['an incomplete escape', String.raw`{"a":"\u00a"}`, code],
    ['an escape at the end', '{"a":"\\', code],
    ['a control character', '{"a":"\u001f"}', code],
    ['a padded number', '{"a":01}', code],
    ['a plus sign', '{"a":+1}', code],
    ['a fraction without digits', '{"a":1.}', code],
    ['a repeated name', '{"a":1,"a":1}', code],
  ])('%s: %s', (_, text, expected) => {
    expect(outcome(text)).toBe(expected)
  })

  test('a repeated name matters only in an object that is read', () => {
    const text = '{"read":{"a":1},"skipped":{"a":1,"a":2}}'

    expect(outcome(text, (json) => json.object('read').number('a', 9))).toBe(1)
    expect(outcome(text, (json) => json.object('skipped'))).toBe(code)
  })
})

describe('a number of a signed document', () => {
  test.each([
    ['0', 0],
    ['255', 255],
    ['256', code],
    ['-0', code],
    ['-1', code],
    ['1.0', code],
    ['1e1', code],
    ['"1"', code],
    ['null', code],
    ['99999999999', code],
  ])('is %s, up to 255: %s', (text, expected) => {
    expect(outcome(`{"a":${text}}`, (json) => json.number('a', 255))).toBe(expected)
  })

  test('can have ten digits', () => {
    expect(parse('{"a":4294967295}').number('a', 0xffff_ffff)).toBe(0xffff_ffff)
  })
})

describe('a string of a signed document', () => {
  test.each([
    ['""', ''],
    ['" ~"', ' ~'],
    [String.raw`"a\u0062"`, code],
    ['"\u007f"', code],
    ['"é"', code],
    ['1', code],
    ['[]', code],
  ])('is parsed: %j: %j', (text, expected) => {
    expect(outcome(`{"a":${text}}`, (json) => json.string('a'))).toBe(expected)
  })

  test('that is absent is refused, and the error names it with its path', () => {
    const json = parse('{"list":[{},{"b":1}]}')
    const [, second] = json.objects('list')

    expect(second?.has('b')).toBe(true)
    expect(second?.has('a')).toBe(false)
    expect(() => second?.string('a')).toThrowError('document.list[1].a must be a value.')
  })
})

describe('a time of a signed document', () => {
  test.each([
    ['1970-01-01T00:00:01Z', 1],
    ['2025-05-14T07:08:09Z', Date.UTC(2025, 4, 14, 7, 8, 9) / 1000],
    ['2024-02-29T23:59:59Z', Date.UTC(2024, 1, 29, 23, 59, 59) / 1000],
    ['2106-02-07T06:28:15Z', 0xffff_ffff],
    ['1970-01-01T00:00:00Z', code],
    ['2106-02-07T06:28:16Z', code],
    ['2025-02-29T00:00:00Z', code],
    ['2025-13-01T00:00:00Z', code],
    ['2025-05-14T24:00:00Z', code],
    ['2025-05-14T00:00:00', code],
    ['2025-05-14T00:00:00.0Z', code],
    ['x2025-05-14T00:00:00Z', code],
    ['2025-05-14 00:00:00Z', code],
  ])('is %s: %s', (text, expected) => {
    const document = `{"a":"${text}"}`
    const date = expected === code ? code : text

    expect(outcome(document, (json) => json.time('a'))).toBe(expected)
    expect(outcome(document, (json) => json.date('a'))).toBe(date)
  })
})

describe('bytes and lists of a signed document', () => {
  test.each([
    ['"00fF"', '00ff'],
    ['"00f"', code],
    ['"00ffff"', code],
    ['"0xff"', code],
    ['"00fg"', code],
  ])('as two bytes %s: %s', (text, expected) => {
    const read = (json: JsonObject) => Buffer.from(json.bytes('a', 2)).toString('hex')

    expect(outcome(`{"a":${text}}`, read)).toBe(expected)
  })

  test.each([
    [128, 128],
    [129, 'QUOTE_TOO_LARGE'],
  ])('a list of %d objects: %s', (count, expected) => {
    const text = `{"a":[${Array(count).fill('{}').join()}]}`

    expect(outcome(text, (json) => json.objects('a').length)).toBe(expected)
  })

  test.each([
    ['["INTEL-SA-1"]', 1],
    ['[]', 0],
    ['[""]', code],
    ['[1]', code],
    ['"x"', code],
    [JSON.stringify(Array(255).fill('x')), 255],
    [JSON.stringify(Array(256).fill('x')), 'QUOTE_TOO_LARGE'],
  ])('names %.20s: %s', (text, expected) => {
    expect(outcome(`{"a":${text}}`, (json) => json.names('a').length)).toBe(expected)
  })
})
