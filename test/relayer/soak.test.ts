/** kill -9 under load: six seconds with two replicas here, ten minutes with one and three in `npm run nightly`. */
import { describe, expect, test } from 'vitest'

import { inputs, isNightly, keepFailure, seed } from '../../scripts/test-effort.ts'
import { findAnvil } from '../anvil.ts'
import { hasServer } from './databases.ts'
import { soak } from './soak/soak.ts'

const absent = findAnvil() === undefined || !hasServer
if (absent) console.warn('\n*** ANVIL OR POSTGRES ABSENT: the soak is SKIPPED. ***\n')

const seconds = inputs(6, 600)

describe.skipIf(absent)(`${seconds} seconds of kill -9`, () => {
  test.each(isNightly ? [1, 3] : [2])(
    '%i replicas: every accepted quote is on-chain exactly once',
    async (replicas) => {
      const result = await soak({
        replicas,
        seconds,
        seed,
        ...(isNightly ? { onProgress: (words: string) => console.info(words) } : {}),
      })
      console.info(`soak, ${replicas} replicas:`, result)
      if (result.wrong.length > 0) keepFailure(`relayer-soak-${replicas}-${seed}`, result)

      expect(result.wrong).toEqual([])
      expect(result.accepted).toBeGreaterThan(seconds)
      expect(result.kills).toBeGreaterThan(0)
    },
    isNightly ? 1_800_000 : 240_000,
  )
})
