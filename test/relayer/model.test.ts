/**
 * The outbox explored by seeded schedules: crashes at every write and call, endpoints that fail, lag and
 * lie, reorgs, foreign nonces, fee spikes, rivals. 2,000 of them here, `ASSENT_NIGHTLY=1` runs 100,000.
 */
import { mkdirSync, writeFileSync } from 'node:fs'

import { expect, test } from 'vitest'

import { recoveryPolls, runSchedule } from './model/schedule.ts'

const isNightly = process.env.ASSENT_NIGHTLY === '1'
const schedules = isNightly ? 100_000 : 2_000
/** `ASSENT_MODEL_SEED=…` runs one schedule, to look into a failure. */
const only = process.env.ASSENT_MODEL_SEED
const first = only === undefined ? 1 : Number(only)
const last = only === undefined ? schedules : first

test(`${last - first + 1} schedules end with every intent final exactly once and no stuck nonce`, {
  timeout: isNightly ? 3_600_000 : 240_000,
}, async () => {
  const total = { intents: 0, crashes: 0, faults: 0, reorgs: 0 }
  let slowest = 0
  const failures: { seed: number; error: string }[] = []
  for (let seed = first; seed <= last; seed++) {
    try {
      const result = await runSchedule(seed)
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += result[key]
      slowest = Math.max(slowest, result.recovery)
    } catch (error) {
      failures.push({ seed, error: String(error) })
    }
  }
  if (failures.length > 0) keep(failures)
  console.info(`model: ${schedules} schedules`, total, `slowest recovery ${slowest} polls`)

  expect(failures).toEqual([])
  expect(slowest).toBeLessThanOrEqual(recoveryPolls)
})

/** Seeds that failed are kept as a file, to be run again by themselves. */
function keep(failures: readonly { seed: number; error: string }[]): void {
  mkdirSync('.assent', { recursive: true })
  writeFileSync('.assent/model-failures.json', JSON.stringify(failures, null, 2))
}
