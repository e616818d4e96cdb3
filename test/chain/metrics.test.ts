/** What the metrics of a chain view show after each event. */
import { Registry } from 'prom-client'
import { beforeEach, describe, expect, test } from 'vitest'

import type { ChainEvent } from '../../src/chain/boot/boot.ts'
import { createChainMetrics } from '../../src/chain/boot/metrics.ts'

let registry: Registry
let observe: (event: ChainEvent) => void

beforeEach(() => {
  registry = new Registry()
  observe = createChainMetrics(registry, 'service')
})

/** Values of a metric by its labels; of a metric without labels under the empty name. */
async function valuesOf(name: string): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric(`service_${name}`)?.get()
  if (metric === undefined) throw new Error(`no metric ${name}`)
  return Object.fromEntries(
    metric.values.map(({ labels, value }) => [Object.values(labels).join(' '), value]),
  )
}

const block = { number: 12n, timestamp: 1_800_000_000 } as never
const fault = { endpoint: '2:rpc.example', code: 'CHAIN_TIMEOUT' } as const

describe('the metrics of a chain view', () => {
  test('have block, time and disagreeing endpoints of the newest look', async () => {
    observe({ kind: 'looked', block, disagreeing: [fault] })

    expect(await valuesOf('chain_view_height')).toEqual({ '': 12 })
    expect(await valuesOf('chain_view_timestamp_seconds')).toEqual({ '': 1_800_000_000 })
    expect(await valuesOf('chain_endpoints_out_of_quorum')).toEqual({ '': 1 })
    expect(await valuesOf('chain_endpoint_faults_total')).toEqual({
      '2:rpc.example CHAIN_TIMEOUT': 1,
    })
    observe({ kind: 'looked', block, disagreeing: [] })
    expect(await valuesOf('chain_endpoints_out_of_quorum')).toEqual({ '': 0 })
  })

  test('count faults of endpoints and failed looks, each for itself', async () => {
    observe({ kind: 'fault', fault })
    observe({ kind: 'fault', fault })
    observe({ kind: 'failed', code: 'CHAIN_STALE' })

    expect(await valuesOf('chain_endpoint_faults_total')).toEqual({
      '2:rpc.example CHAIN_TIMEOUT': 2,
    })
    expect(await valuesOf('chain_refresh_failures_total')).toEqual({ CHAIN_STALE: 1 })
    expect(await valuesOf('chain_view_height')).toEqual({ '': 0 })
  })

  test('have the times of the light client, and zeros without one', async () => {
    const consensus = { finalizedAt: 11, nextForkAt: 22, unknownForkAt: 33 } as never
    observe({ kind: 'looked', block, disagreeing: [], consensus })
    const times = async () => [
      await valuesOf('light_client_finalized_timestamp_seconds'),
      await valuesOf('light_client_next_fork_timestamp_seconds'),
      await valuesOf('light_client_unknown_fork_timestamp_seconds'),
    ]
    expect(await times()).toEqual([{ '': 11 }, { '': 22 }, { '': 33 }])

    observe({ kind: 'looked', block, disagreeing: [] })
    expect(await times()).toEqual([{ '': 0 }, { '': 0 }, { '': 0 }])
  })

  test('have the age of the heartbeat only where there is a heartbeat', async () => {
    expect(await valuesOf('chain_heartbeat_age_seconds')).toEqual({})
    expect(await valuesOf('chain_heartbeat_max_age_seconds')).toEqual({})

    const since = performance.now() - 90_000
    observe({ kind: 'heartbeat', since, maxAgeSeconds: 600 } as ChainEvent)
    observe({
      kind: 'heartbeat-fault',
      relayer: '1:relayer.example',
      code: 'RELAYER_REFUSED',
    } as ChainEvent)

    const age = (await valuesOf('chain_heartbeat_age_seconds'))[''] ?? 0
    expect(age).toBeGreaterThanOrEqual(90)
    expect(age).toBeLessThan(150)
    expect(await valuesOf('chain_heartbeat_max_age_seconds')).toEqual({ '': 600 })
    expect(await valuesOf('chain_heartbeat_faults_total')).toEqual({
      '1:relayer.example RELAYER_REFUSED': 1,
    })
  })
})
