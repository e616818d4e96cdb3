import { describe, expect, test } from 'vitest'

import { escapeLines, escapeMarkdown, escapeText, quoteText } from '../../src/lib/printable.ts'

/** What a terminal obeys, or what it does not show. */
const unprintable: readonly (readonly [name: string, character: string, shown: string])[] = [
  ['line feed', '\n', '\\n'],
  ['carriage return', '\r', '\\r'],
  ['tab', '\t', '\\t'],
  ['null', '\0', '\\u0000'],
  ['escape', '\u001b', '\\u001b'],
  ['backspace', '\b', '\\u0008'],
  ['delete', '\u007f', '\\u007f'],
  ['control sequence introducer in one character (C1)', '\u009b', '\\u009b'],
  ['next line (C1)', '\u0085', '\\u0085'],
  ['line separator', '\u2028', '\\u2028'],
  ['paragraph separator', '\u2029', '\\u2029'],
  ['right-to-left override', '\u202e', '\\u202e'],
  ['right-to-left isolate', '\u2067', '\\u2067'],
  ['Arabic letter mark', '\u061c', '\\u061c'],
  ['zero-width space', '\u200b', '\\u200b'],
  ['zero-width joiner', '\u200d', '\\u200d'],
  ['byte order mark', '\ufeff', '\\ufeff'],
  ['soft hyphen', '\u00ad', '\\u00ad'],
  ['Hangul filler, a blank letter', '\u3164', '\\u3164'],
  ['blank Braille pattern', '\u2800', '\\u2800'],
  ['no-break space', '\u00a0', '\\u00a0'],
  ['variation selector', '\ufe0f', '\\ufe0f'],
  ['tag letter', '\u{e0041}', '\\udb40\\udc41'],
  ['high surrogate alone', '\ud83d', '\\ud83d'],
  ['low surrogate alone', '\ude00', '\\ude00'],
  ['private character', '\ue000', '\\ue000'],
  ['noncharacter', '\uffff', '\\uffff'],
]

describe('text for a terminal', () => {
  test.each(unprintable)('shows a %s as an escape', (_, character, shown) => {
    expect(escapeText(`a${character}b${character}`)).toBe(`a${shown}b${shown}`)
    expect(quoteText(`a${character}b`)).toBe(`"a${shown}b"`)
  })

  test('keeps letters, accents, emoji and punctuation', () => {
    const text = 'docker run -v "$PWD":/build Überprüfung 中文 ✓ … 😀 \\ `x`'

    expect(escapeText(text)).toBe(text)
    expect(escapeLines(`${text}\n${text}`)).toBe(`${text}\n${text}`)
  })

  test('with several lines keeps line ends and nothing else', () => {
    expect(escapeLines('a\nb\r\n\u001b[2J')).toBe('a\nb\\r\n\\u001b[2J')
  })

  test('in JSON is the same JSON value', () => {
    const value = Object.fromEntries(unprintable.map(([name, character]) => [name, character]))
    const json = escapeLines(JSON.stringify(value, null, 2))

    expect(JSON.parse(json)).toEqual(value)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be in it
    expect(json).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/)
  })
})

test('text in Markdown cannot be a link, an image, HTML, code or emphasis', () => {
  expect(escapeMarkdown('![a](https://b) <b> `c` **d** ~~e~~ _f_\n# g')).toBe(
    '!\\[a\\](https://b) \\<b> \\`c\\` \\*\\*d\\*\\* \\~\\~e\\~\\~ \\_f\\_\\\\n# g',
  )
})

describe('a quotation', () => {
  test('cannot be ended by the text inside', () => {
    expect(quoteText('a", approved by "all')).toBe('"a\\", approved by \\"all"')
    expect(quoteText('a\\", x')).toBe('"a\\\\\\", x"')
  })

  test('shows repeated spaces, which could fill a line', () => {
    expect(quoteText('make dist   - withdraw')).toBe('"make dist \\u0020\\u0020- withdraw"')
  })

  test('has a limited length and says how much is missing', () => {
    expect(quoteText('a'.repeat(2_000))).toBe(`"${'a'.repeat(2_000)}"`)
    expect(quoteText('a'.repeat(2_003))).toBe(`"${'a'.repeat(2_000)}" … (3 more characters)`)
    expect(quoteText('\u202e'.repeat(9_999)).length).toBeLessThan(13_000)
  })
})
