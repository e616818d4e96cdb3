/** What the metrics of the account say after a poll, after an action and after the lease is lost. */
import { expect, test } from 'vitest'

import {
  createMetrics,
  forgetAccount,
  type Metrics,
  recordAccount,
  recordDecision,
  toEther,
} from '../../src/relayer/metrics.ts'
import type { AccountOutbox, Attempt, NonceSlot } from '../../src/relayer/outbox/outbox.ts'

type Recorded = Parameters<typeof recordDecision>

/** Values of a metric by its only label, or by `value`. */
async function valuesOf(metric: Metrics['slots' | 'spent']): Promise<Record<string, number>> {
  const { values } = await metric.get()
  return Object.fromEntries(
    values.map(({ labels, value }) => [Object.values(labels)[0] ?? 'value', value]),
  )
}

const heads = { latest: { count: 4 } } as Parameters<typeof recordAccount>[2]
const slot = (nonce: number, state: string) => ({ nonce, state }) as NonceSlot

test('slots are counted by state, and a gap is a nonce that no node has below one that is used', async () => {
  const metrics = createMetrics()
  const outbox = {
    slots: [
      // the chain used nonce 3 already
      slot(3, 'reserved'),
      slot(4, 'signed'),
      slot(5, 'broadcast'),
      slot(6, 'broadcast'),
      slot(7, 'mined'),
      slot(8, 'reserved'),
      slot(9, 'final'),
    ],
    awaitingFinality: [{ nonce: 1 }, { nonce: 0 }],
    intents: new Map(),
  } as unknown as AccountOutbox
  recordAccount(metrics, outbox, heads)

  expect(await valuesOf(metrics.slots)).toEqual({ reserved: 2, signed: 1, broadcast: 2, mined: 3 })
  expect(await valuesOf(metrics.nonceGap)).toEqual({ value: 1 })

  // behind the last nonce there is no gap
  recordAccount(metrics, { ...outbox, slots: [slot(4, 'signed')] }, heads)
  expect(await valuesOf(metrics.nonceGap)).toEqual({ value: 0 })

  recordAccount(metrics, { ...outbox, slots: [] }, heads)
  expect(await valuesOf(metrics.nonceGap)).toEqual({ value: 0 })

  recordAccount(metrics, outbox, heads)
  forgetAccount(metrics)
  expect(await valuesOf(metrics.slots)).toEqual({ reserved: 0, signed: 0, broadcast: 0, mined: 0 })
  expect(await valuesOf(metrics.nonceGap)).toEqual({ value: 0 })
})

test('fees are counted in ether', async () => {
  expect(toEther(1_500_000_000_000_000_000n)).toBe(1.5)
  const metrics = createMetrics()
  const settle = { action: 'settle', receipt: { cost: 250_000_000_000_000_000n } }
  const changes = { intents: [], slots: [] }
  recordDecision(metrics, settle as unknown as Recorded[1], changes, 5)
  recordDecision(metrics, settle as unknown as Recorded[1], changes, 6)

  expect(await valuesOf(metrics.spent)).toEqual({ value: 0.5 })
  expect(await valuesOf(metrics.answers)).toEqual({})
})

test('answers of nodes and the last success of each kind are recorded', async () => {
  const metrics = createMetrics()
  const attempt = { hash: '0x02' } as unknown as Attempt
  const attempts = [
    { hash: '0x01', answer: 'accepted' },
    { hash: '0x02', answer: 'underpriced' },
  ]
  const changes = {
    slots: [{ attempts }],
    intents: [
      { state: 'final', kind: 'host' },
      { state: 'queued', kind: 'collateral' },
    ],
  } as unknown as Recorded[2]
  const send = { action: 'send', attempt } as Recorded[1]
  recordDecision(metrics, send, changes, 99)

  expect(await valuesOf(metrics.answers)).toEqual({ underpriced: 1 })
  expect(await valuesOf(metrics.lastSuccess)).toEqual({ host: 99 })

  for (const slots of [[], [{ attempts: [] }]] as unknown as Recorded[2]['slots'][]) {
    recordDecision(metrics, send, { slots, intents: [] }, 100)
  }
  expect(await valuesOf(metrics.answers)).toEqual({ underpriced: 1, unknown: 2 })
  expect(await valuesOf(metrics.lastSuccess)).toEqual({ host: 99 })
})
