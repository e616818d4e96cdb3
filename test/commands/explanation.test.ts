import { expect, test } from 'vitest'

import { formatDeadline } from '../../src/chain/governance/format-time.ts'
import { printHostConditions } from '../../src/commands/output/explanation.ts'
import type { Output } from '../../src/commands/output/output.ts'

const at = 1_800_000_000
const until = at + 86_400

/** The lines of one condition whose sentence is `found`. */
function printed(found: string): string {
  const lines: string[] = []
  const output = { line: (text = '') => lines.push(text) } as unknown as Output
  const condition = {
    condition: 'proof-valid',
    state: 'met',
    found,
    until,
    nextStep: null,
  } as const
  printHostConditions(output, [condition], at)
  return lines.join('\n')
}

test('a condition says once until when it holds', () => {
  const end = formatDeadline(until, at)

  expect(printed('The bond is sufficient.')).toContain(`sufficient. Until ${end}.`)
  expect(printed(`The host proof is valid until ${end}.`).split(end)).toHaveLength(2)
})
