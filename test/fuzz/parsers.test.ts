/** Runs every parser on mutated inputs: only typed errors, bounded time, and no invalid input is accepted. */
import { afterAll, expect, test } from 'vitest'

import { inputs } from '../../scripts/test-effort.ts'
import { fuzz } from './engine.ts'
import { targets } from './targets.ts'

const total = Number(process.env.N ?? inputs(6_000, 1_000_000))
const weights = targets.reduce((sum, { weight = 1 }) => sum + weight, 0)
let tried = 0

test.each(targets.map((target) => [target.name, target] as const))('%s', async (name, target) => {
  const count = Math.ceil((total * (target.weight ?? 1)) / weights)
  const { accepted, answers, slowestMs, faults } = await fuzz(target, count)
  tried += count
  console.info(
    `fuzz: ${count} × ${name}: ${accepted} accepted, ${answers} answers, slowest ${slowestMs.toFixed(0)} ms`,
  )

  expect(faults).toEqual([])
})

afterAll(() => console.info(`fuzz: ${tried} inputs over ${targets.length} parsers`))
