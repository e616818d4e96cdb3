import { describe, expect, test } from 'vitest'

import { wrapText } from '../../src/commands/output/wrap-text.ts'

describe('wrapText', () => {
  test.each([
    ['a short line', 'one two', 40, 'one two'],
    ['a line of exactly the width', 'a'.repeat(40), 40, 'a'.repeat(40)],
    ['a line with one word too many', `${'a'.repeat(38)} bb`, 40, `${'a'.repeat(38)}\n  bb`],
    ['a word longer than the width', `x ${'b'.repeat(50)}`, 40, `x\n  ${'b'.repeat(50)}`],
    [
      'an indented line',
      `    - ${'a'.repeat(30)} bbbbb`,
      40,
      `    - ${'a'.repeat(30)}\n      bbbbb`,
    ],
    ['two lines', `x\n${'a'.repeat(39)} b`, 40, `x\n${'a'.repeat(39)}\n  b`],
    [
      'a width below 40',
      `${'a'.repeat(20)} ${'b'.repeat(19)}`,
      10,
      `${'a'.repeat(20)} ${'b'.repeat(19)}`,
    ],
    ['wide characters by their columns', `${'漢'.repeat(19)} bbb`, 40, `${'漢'.repeat(19)}\n  bbb`],
    [
      'a long word of wide characters',
      `x ${'漢'.repeat(25)}`,
      40,
      `x ${'漢'.repeat(19)}\n  ${'漢'.repeat(6)}`,
    ],
    [
      'colours, which have no width',
      `\x1b[32m${'a'.repeat(36)}\x1b[39m bbb`,
      40,
      `\x1b[32m${'a'.repeat(36)}\x1b[39m bbb`,
    ],
    [
      'a coloured word of wide characters, without a break inside a colour code',
      `x \x1b[35m${'█'.repeat(45)}\x1b[39m`,
      40,
      `x \x1b[35m${'█'.repeat(38)}\n  ${'█'.repeat(7)}\x1b[39m`,
    ],
  ])('wraps %s', (_, text, columns, expected) => {
    expect(wrapText(text, columns)).toBe(expected)
  })
})
