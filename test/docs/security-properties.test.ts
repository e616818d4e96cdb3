/** Every numbered security property of the contracts has a test that tries to break it, and each such test names one. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const attacks = join(root, 'test/contracts/attacks')

/** `- **A1.** Only an active approval allows anything.` */
async function propertiesOfPage(): Promise<string[]> {
  const page = await readFile(join(root, 'docs/contracts.md'), 'utf8')
  return [...page.matchAll(/^- \*\*([A-Z]\d+)\.\*\* \S/gm)].map(([, number]) => number as string)
}

/** `function test_A1_OnlyActiveAllows()` and fuzzed ones in Solidity, `describe('V1: …')` and `test('V1: …')` in TypeScript. */
const solidityTest = /^ +function test(?:Fuzz)?_([A-Z]\d+)_\w+\(/gm
const typescriptTest = /^(?:describe|test)\('([A-Z]\d+): /gm

async function propertiesOfTests(): Promise<string[]> {
  const files = (await readdir(attacks)).filter((file) => /\.(t\.sol|test\.ts)$/.test(file))
  const texts = await Promise.all(files.map((file) => readFile(join(attacks, file), 'utf8')))
  return texts.flatMap((text) =>
    [...text.matchAll(solidityTest), ...text.matchAll(typescriptTest)].map(
      ([, number]) => number as string,
    ),
  )
}

function sorted(numbers: Iterable<string>): string[] {
  return [...new Set(numbers)].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

test('each security property has an attack test, and each attack test names a property', async () => {
  const properties = await propertiesOfPage()

  expect(properties.length).toBeGreaterThan(50)
  expect(properties).toHaveLength(new Set(properties).size)
  expect(sorted(await propertiesOfTests())).toEqual(sorted(properties))
})

test('the numbers of security properties have no gap', async () => {
  const numbers = await propertiesOfPage()
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
  const numbers = await propertiesOfPage()

  expect(references.length).toBeGreaterThan(10)
  expect(references.filter((each) => !numbers.includes(each))).toEqual([])
})
