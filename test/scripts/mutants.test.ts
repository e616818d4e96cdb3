/** Mutation scripts run at night only; this test reports a day earlier that one of their edits no longer fits the code. */
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
const scripts = ['proofs/halmos.ts', ...listed.map((name) => `mutants/${name}`)]

test('the project has mutation scripts for contracts, proofs, quotes and the relayer', () => {
  expect(scripts.sort()).toEqual([
    'mutants/contract-mutants.ts',
    'mutants/proven-mutants.ts',
    'mutants/quote-mutants.ts',
    'mutants/relayer-mutants.ts',
    'proofs/halmos.ts',
  ])
})

test.each(scripts)(
  'every mutant of scripts/%s fits the code exactly once',
  async (name) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      path.join(folder, name),
      '--check',
    ])
    const [, fitting, all] = /^(\d+) of (\d+) mutants fit the code$/m.exec(stdout) ?? []
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
