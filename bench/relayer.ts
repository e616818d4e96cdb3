/**
 * Intents per second, from queued to final, on anvil with one-second blocks and embedded Postgres; and a fleet
 * through 90 simulated days (`ASSENT_BENCH_HOSTS` machines, 20 if nothing is said).
 */
import { findAnvil } from '../test/anvil.ts'
import { benchNumber } from './environment.ts'
import { runFleet } from './relayer/fleet.ts'
import { measureIntents } from './relayer/intents.ts'
import type { BenchRow } from './result-row.ts'

const none = { section: 'relayer', aim: null, peer: null, peerValue: null }

export async function rows(): Promise<BenchRow[]> {
  const machines = benchNumber('ASSENT_BENCH_HOSTS', 20)
  if (findAnvil() === undefined) {
    console.error('relayer: anvil is not at hand, nothing measured')
    return []
  }
  const measured: BenchRow[] = []
  for (const queued of [1, 10, 1_000]) {
    const { seconds, gas } = await measureIntents(queued)
    const name = queued === 1_000 ? 'intents.per-second' : `intents.per-second.${queued}-queued`
    const aim = queued === 1_000 ? 50 : null
    measured.push({ ...none, name, value: queued / seconds, unit: '1/s', aim })
    if (queued === 1_000) measured.push({ ...none, name: 'intents.gas', value: gas, unit: 'gas' })
  }
  const memory = process.memoryUsage().rss / 2 ** 20
  measured.push({ ...none, name: 'memory', value: memory, unit: 'MiB' })
  return [...measured, ...(await measureFleet(machines))]
}

/** Budget for all that a machine costs in a day: first proof, record and renewals, shared out. */
const gasPerHostDay = 15_000

/** Budget for the collateral of one family in a day, whatever the number of machines. */
const collateralGasPerDay = 60_000

async function measureFleet(machines: number): Promise<BenchRow[]> {
  const days = 90
  const fleet = await runFleet({ machines, days })
  const row = (name: string, value: number, unit: string, aim: number | null) => ({
    ...none,
    name,
    value,
    unit,
    aim,
  })
  return [
    row('fleet.hosts', machines, '', null),
    row('lapsed', fleet.lapsed, '', 0),
    row('renewals', fleet.renewals, '', null),
    row('renewals.put-off', fleet.troubles, '', null),
    row('gas-per-host-day', fleet.hostGas / machines / days, 'gas', gasPerHostDay),
    row('collateral-gas-per-day', fleet.collateralGas / days, 'gas', collateralGasPerDay),
  ]
}
