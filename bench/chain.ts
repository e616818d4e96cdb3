/** What it costs to know which block is final: the light client, its part of a release, and heartbeats. */
import { findAnvil } from '../test/anvil.ts'
import { heartbeatRows } from './chain/heartbeat.ts'
import { lightClientRows } from './chain/light-client.ts'
import { releaseRows } from './chain/release.ts'
import type { BenchRow } from './result-row.ts'

export async function rows(): Promise<BenchRow[]> {
  const measured = [...lightClientRows(), ...(await heartbeatRows())]
  if (findAnvil() !== undefined) return [...measured, ...(await releaseRows())]
  console.error('chain: anvil is not at hand, releases are not measured')
  return measured
}
