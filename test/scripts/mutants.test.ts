/**
 * Mutation and coverage scripts run at night only. This test reports on the same day that an edit, a file or a condition
 * that they name no longer fits the code.
 */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

import { describe, expect, test } from 'vitest'

import { applyEdit } from '../../scripts/mutants/mutate.ts'

const folder = path.join(import.meta.dirname, '..', '..', 'scripts')
/** These draw their mutants from the code; the others have a list of edits. */
const drawn = ['solidity-mutants.ts', 'typescript-mutants.ts']
const listed = readdirSync(path.join(folder, 'mutants')).filter(
  (name) => name.endsWith('-mutants.ts') && !drawn.includes(name),
)
const coverage = readdirSync(path.join(folder, 'coverage')).filter((name) =>
  name.endsWith('-coverage.ts'),
)
const scripts = [
  'proofs/halmos.ts',
  ...coverage.map((name) => `coverage/${name}`),
  ...listed.map((name) => `mutants/${name}`),
]

test('the project has coverage scripts, and mutation scripts for contracts, proofs, quotes, relayer', () => {
  expect(scripts.sort()).toEqual([
    'coverage/contract-coverage.ts',
    'coverage/quote-coverage.ts',
    'mutants/contract-mutants.ts',
    'mutants/proven-mutants.ts',
    'mutants/quote-mutants.ts',
    'mutants/relayer-mutants.ts',
    'proofs/halmos.ts',
  ])
})

test.each(scripts)(
  'everything that scripts/%s names fits the code',
  async (name) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      path.join(folder, name),
      '--check',
    ])
    const [, fitting, all] = /^(\d+) of (\d+) anchors fit the code$/m.exec(stdout) ?? []
    expect(Number(all)).toBeGreaterThan(0)
    expect(fitting).toBe(all)
  },
  60_000,
)

describe('an edit of a mutant', () => {
  test('replaces the only place where its text is found', () => {
    expect(applyEdit('a + b', { from: '+', to: '$&' }, 'minus')).toBe('a $& b')
  })

  test.each(['a - b', 'a + b + c'])('is refused for a text with no or two places: %s', (text) => {
    expect(() => applyEdit(text, { from: '+', to: '-' }, 'minus')).toThrow('"minus"')
  })
})
