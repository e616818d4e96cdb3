/** A sample of the model's schedules on a real node: what the model says of Ethereum must be true of it. */
import { expect, test } from 'vitest'

import { inputs, isNightly, keepFailure, seed } from '../../scripts/test-effort.ts'
import { findAnvil, startAnvil } from '../anvil.ts'
import { deployBoard } from './counter-contract.ts'
import { createAnvilGround } from './model/anvil-backend.ts'
import { recoveryPolls, runSchedule } from './model/schedule.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: schedules on a real node are SKIPPED. ***\n')

const schedules = inputs(6, 300)
const first = (seed % 2 ** 24) * 128

test.skipIf(absent)(
  `${schedules} schedules on anvil end as on the model`,
  {
    timeout: isNightly ? 3_600_000 : 180_000,
  },
  async () => {
    const failures: { schedule: number; error: string }[] = []
    let slowest = 0
    for (let schedule = first; schedule < first + schedules; schedule++) {
      const anvil = await startAnvil({ mining: 'manual' })
      try {
        const ground = await createAnvilGround(anvil, await deployBoard(anvil))
        slowest = Math.max(slowest, (await runSchedule(schedule, ground)).recovery)
      } catch (error) {
        failures.push({ schedule, error: String(error) })
        keepFailure(`relayer-model-anvil-${schedule}`, { schedule, error: String(error) })
      } finally {
        await anvil.stop()
      }
    }
    expect(failures).toEqual([])
    expect(slowest).toBeLessThanOrEqual(recoveryPolls)
  },
)
