/** Every numbered promise of the contracts has a test in which somebody tries to break it, and the other way round. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const attacks = join(root, 'test/contracts/attacks')

/** `- **A1.** Only an active approval allows anything.` */
async function promised(): Promise<string[]> {
  const pages = ['contracts.md', 'trust.md', 'verifier.md']
  const texts = await Promise.all(pages.map((page) => readFile(join(root, 'docs', page), 'utf8')))
  return texts.flatMap((text) =>
    [...text.matchAll(/^- \*\*([A-Z]\d+)\.\*\* \S/gm)].map(([, number]) => number as string),
  )
}

/** `function test_A1_OnlyActiveAllows()`, and fuzzed ones. */
async function attacked(): Promise<string[]> {
  const files = (await readdir(attacks)).filter((file) => file.endsWith('.t.sol'))
  const texts = await Promise.all(files.map((file) => readFile(join(attacks, file), 'utf8')))
  return texts.flatMap((text) =>
    [...text.matchAll(/^ +function test(?:Fuzz)?_([A-Z]\d+)_\w+\(/gm)].map(
      ([, number]) => number as string,
    ),
  )
}

function sorted(numbers: Iterable<string>): string[] {
  return [...new Set(numbers)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

test('each security property has an attack test, and each attack test names a property', async () => {
  const promises = await promised()

  expect(promises.length).toBeGreaterThan(50)
  expect(promises).toHaveLength(new Set(promises).size)
  expect(sorted(await attacked())).toEqual(sorted(promises))
})

test('the numbers of security properties have no gap', async () => {
  const numbers = await promised()
  for (const area of new Set(numbers.map((number) => number.charAt(0)))) {
    const found = numbers.filter((number) => number.startsWith(area))
    expect(found).toEqual(found.map((_, i) => `${area}${i + 1}`))
  }
})

test('trust.md refers only to existing security properties', async () => {
  const trust = await readFile(join(root, 'docs/trust.md'), 'utf8')
  const references = [...trust.matchAll(/\(([A-Z]\d+(?:, [A-Z]\d+)*)\)/g)].flatMap(([, list]) =>
    (list as string).split(', '),
  )
  const numbers = await promised()

  expect(references.length).toBeGreaterThan(10)
  expect(references.filter((each) => !numbers.includes(each))).toEqual([])
})
