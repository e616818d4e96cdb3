import { expect, test } from 'vitest'

import { closestWord } from '../../src/lib/closest-word.ts'

const known = ['release-2', 'blog', 'demo-host']

test.each([
  ['relaese-2', 'release-2'],
  ['blg', 'blog'],
  ['demohost', 'demo-host'],
  ['demo-hostt', 'demo-host'],
  ['nosuch', undefined],
  ['b', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
])('the closest word to "%s" is found', (text, word) => {
  expect(closestWord(text, known)).toBe(word)
})
