/** Tests of the fuzzing engine with faulty parsers. It must find each fault and store the input. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'

import { afterEach, expect, test } from 'vitest'

import { failuresFolder } from '../../scripts/test-effort.ts'
import { AssentError } from '../../src/errors/index.ts'
import { fuzz, type Target } from './engine.ts'
import { mutateBytes } from './mutate.ts'

const refuse = () => {
  throw new AssentError('INPUT_INVALID', 'No.')
}

/** A format with one length byte and that number of bytes. */
const honest: Target<Uint8Array, Uint8Array> = {
  name: 'engine test',
  seeds: [Uint8Array.of(3, 1, 2, 3)],
  mutate: mutateBytes,
  parse: (input) => (input.length === (input[0] ?? 255) + 1 ? input.slice(1) : refuse()),
  doubt: (content, input) =>
    Buffer.from([content.length, ...content]).equals(input) ? undefined : 'is not the same',
}

const keptFiles = () => {
  try {
    return readdirSync(failuresFolder).filter((file) => file.startsWith('fuzz-engine-test-'))
  } catch {
    return []
  }
}

afterEach(() => {
  for (const file of keptFiles()) rmSync(path.join(failuresFolder, file))
})

test('the fuzzing engine reports nothing for a correct parser', async () => {
  const { faults, accepted, answers } = await fuzz(honest, 2_000)

  expect(faults).toEqual([])
  expect(accepted).toBeGreaterThan(10)
  expect(answers).toBe(2)
  expect(keptFiles()).toEqual([])
})

test.each<[string, Partial<typeof honest>, RegExp]>([
  ['reads a length too much', { parse: (input) => input.slice(1, 4) }, /is not the same/],
  [
    'throws what is not typed',
    { parse: (input) => honest.parse(input.slice()) && refuseBadly(input) },
    /RangeError/,
  ],
  [
    'ignores the end',
    { parse: (input) => (input.length >= 4 ? input.slice(1, 4) : refuse()) },
    /is not the same/,
  ],
])('the fuzzing engine finds a parser that %s and stores the input', async (_, fault, message) => {
  const { faults } = await fuzz({ ...honest, ...fault }, 2_000)

  expect(faults.join('\n')).toMatch(message)
  const [file] = keptFiles()
  const kept = JSON.parse(readFileSync(path.join(failuresFolder, file as string), 'utf8'))
  expect(kept).toMatchObject({ target: 'engine test', wrong: expect.stringMatching(message) })
  expect(kept.input).toMatch(/^([0-9a-f]{2})*$/)
})

test('the fuzzing engine reports a refused seed as a fault of the target', async () => {
  const { faults } = await fuzz({ ...honest, seeds: [Uint8Array.of(9)] }, 1)

  expect(faults[0]).toMatch(/^a seed: INPUT_INVALID/)
})

function refuseBadly(input: Uint8Array): Uint8Array {
  if (input[1] === 1) return input.slice(1)
  throw new RangeError('offset out of bounds')
}
