/** What instances cost: below the aims, and what the table of docs/contracts.md says. */
import { readFileSync } from 'node:fs'

import { beforeAll, describe, expect, test } from 'vitest'

import { rows } from '../../bench/instances.ts'
import type { BenchRow } from '../../bench/result-row.ts'

const page = readFileSync(new URL('../../docs/contracts.md', import.meta.url), 'utf8')
const table = [...page.matchAll(/\(`((?:instances|requests)\.[\w.-]+)`\) \| ([\d,]+) \|/g)].map(
  ([, name = '', value = '']) => ({ name, value: Number(value.replaceAll(',', '')) }),
)

describe('the table of the gas of instances', () => {
  let measured: readonly BenchRow[]
  beforeAll(async () => {
    measured = await rows()
  })

  test('has every row once', () => {
    expect(table.map(({ name }) => name).sort()).toEqual(measured.map(({ name }) => name).sort())
  })

  test.each(table)('has the measured gas of $name', ({ name, value }) => {
    const row = measured.find((each) => each.name === name) as BenchRow

    if (row.aim !== null) expect(row.value).toBeLessThanOrEqual(row.aim)
    // signatures and keys differ by some zero bytes
    expect(Math.abs(row.value - value) / value).toBeLessThan(0.02)
  })
})
