/** The fleet of the benchmark, small: it must be able to say that a proof lapsed. */
import { expect, test } from 'vitest'

import { day, runFleet } from '../../../bench/relayer/fleet.ts'
import { findAnvil } from '../../anvil.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the small fleet is SKIPPED. ***\n')

test.skipIf(absent)(
  'the proof of a host that is offline for less than renewBefore does not expire, and one of a longer outage does',
  { timeout: 180_000 },
  async () => {
    // Proofs end with the collateral, on day 30 at the latest, and are due from day 23 on.
    const short = [{ from: 22 * day, to: 25 * day }]
    const long = [{ from: 20 * day, to: 40 * day }]
    const result = await runFleet({
      machines: 2,
      days: 32,
      step: 2 * day,
      absences: (machine) => (machine === 0 ? short : long),
      outages: [],
    })
    expect(result.lapsed).toBe(1)
    expect(result.renewals).toBe(1)
    expect(result.troubles).toBeGreaterThan(0)
    expect(result.hostGas).toBeGreaterThan(0)
    expect(result.collateralGas).toBeGreaterThan(0)
  },
)
