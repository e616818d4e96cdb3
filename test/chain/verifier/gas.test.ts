/** What the registries cost: below the aims, and what the table of docs/contracts.md says. */
import { readFileSync } from 'node:fs'

import { beforeAll, describe, expect, test } from 'vitest'

import { heartbeatRows } from '../../../bench/chain/heartbeat.ts'
import { rows } from '../../../bench/registry.ts'
import type { BenchRow } from '../../../bench/result-row.ts'

const page = readFileSync(new URL('../../../docs/contracts.md', import.meta.url), 'utf8')
const table = page
  .slice(page.indexOf('\n## Gas'))
  .split('\n')
  .map((line) => /\(`([\w.-]+)`\) \| ([\d,]+) \|/.exec(line))
  .filter((found) => found !== null)
  .map(([, name, value]) => ({ name, value: Number(value?.replaceAll(',', '')) }))

describe('the table of gas in the documentation', () => {
  let measured: readonly BenchRow[]
  beforeAll(async () => {
    measured = [...(await rows()), ...(await heartbeatRows())]
  })

  test('has every row once', () => {
    expect(table.map(({ name }) => name).sort()).toEqual(measured.map(({ name }) => name).sort())
  })

  test.each(table)('has the measured gas of $name', ({ name, value }) => {
    const row = measured.find((each) => each.name === name) as BenchRow

    expect(row.value).toBeLessThanOrEqual(row.aim as number)
    // signatures and keys differ by some zero bytes; a verified quote is the business of docs/verifier.md
    const tolerance = name === 'kms.register-root' ? 0.1 : 0.01
    expect(Math.abs(row.value - value) / value).toBeLessThan(tolerance)
  })
})
