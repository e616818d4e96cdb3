/**
 * A KMS and a webhook whose registries are on an OP Stack chain, with L2 endpoints that collude: not one key is released.
 *
 * All L2 endpoints show an invented block, in which a withdrawn app is still approved. In each case somebody tries to make
 * this block count: with a dispute game on L1, or with lying L1 endpoints.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import type { ChainEvent } from '../../src/chain/boot/boot.ts'
import { findAnvil } from '../anvil.ts'
import type { Lie } from '../chain/malicious-endpoint.ts'
import type { DisputeContracts } from '../chain/op-stack/l1.ts'
import { askKms, askWebhook, setStage, stage, strikeStage } from './malicious-endpoints/fixture.ts'
import {
  endpointLies,
  gameLies,
  invent,
  laterFork,
  openRollupView,
  type RollupWorld,
  rollup,
  setRollup,
  strikeRollup,
} from './malicious-endpoints/rollup-cases.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests with lying rollups are SKIPPED. ***\n')

beforeAll(async () => {
  if (absent) return
  await setStage()
  await setRollup()
}, 120_000)
afterAll(async () => {
  await strikeRollup()
  await strikeStage()
})
afterEach(() => {
  if (absent) return
  for (const liar of [...readers().flatMap(({ liars }) => liars), ...rollup.l1Liars])
    Object.assign(liar, { lie: undefined, liesSent: 0 })
})

const readers = () => [stage.kms, stage.auth]

/** All L2 endpoints of both readers. */
function collude(lie: Lie): void {
  for (const { liars } of readers()) for (const liar of liars) liar.lie = lie
}

const openBoth = (world: RollupWorld) => readers().map((reader) => openRollupView(reader, world))

const askBoth = async (guest: 'allowed' | 'withdrawn') => {
  const [kms, webhook] = await Promise.all([askKms(guest), askWebhook(guest)])
  return { kms, webhook }
}

describe.skipIf(absent)('a KMS whose registries are on an OP Stack chain', () => {
  test('releases keys to an allowed boot, and denies a withdrawn one', async () => {
    openBoth({ contracts: rollup.honest })

    expect(await askBoth('allowed')).toMatchObject({
      kms: { status: 200 },
      webhook: { isAllowed: true },
    })
    expect(await askBoth('withdrawn')).toMatchObject({
      kms: { status: 400, code: 'KMS_BOOT_DENIED' },
      webhook: { isAllowed: false, outcome: 'denied' },
    })
  })

  test('reports the time of the L1 block for metrics', async () => {
    openBoth({ contracts: rollup.honest })
    const { view } = stage.kms
    const events: ChainEvent[] = []
    view.watch?.((event) => events.push(event))
    await view.facts()

    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'looked', l1BlockTime: rollup.final.timestamp }),
    )
  })

  test('releases no key when all L2 endpoints invent a block', async () => {
    openBoth({ contracts: rollup.honest })
    collude(invent)

    expect(await askBoth('withdrawn')).toMatchObject({
      kms: { status: 400, code: 'KMS_BOOT_DENIED' },
      webhook: { isAllowed: false },
    })
  })

  // the assumption of this test: without it, the lies below would be refused for another reason
  test.each(['anchored', 'proposed'] as const)('believes a game that counts: %s', async (level) => {
    openBoth({ contracts: rollup.believed[level], level })
    collude(invent)

    expect(await askBoth('withdrawn')).toMatchObject({
      kms: { status: 200 },
      webhook: { isAllowed: true },
    })
  })

  test('reads headers of a later fork of L1 with long extra data, if the settings name its fields', async () => {
    for (const liar of rollup.l1Liars) liar.lie = laterFork.lie
    const { headerFields } = laterFork
    openBoth({ contracts: rollup.honest, headerFields })
    expect(await askBoth('allowed')).toMatchObject({ kms: { status: 200 } })

    openBoth({ contracts: rollup.honest })
    expect(await askBoth('allowed')).toMatchObject({
      kms: { status: 400, code: 'CHAIN_HEADER_UNKNOWN' },
      webhook: { isAllowed: false, outcome: 'outage' },
    })
  })

  test('does not go back to the block of an older game', async () => {
    openBoth({ contracts: rollup.goingBack })

    expect(await askBoth('withdrawn')).toMatchObject({
      kms: { status: 400, code: 'CHAIN_BEHIND_MEMORY' },
      webhook: { isAllowed: false, outcome: 'outage' },
    })
  })
})

describe.skipIf(absent)(`${gameLies.length} dispute games release no key`, () => {
  test.each(gameLies)('$name', async (lie) => {
    const { alone, beside } = rollup.prepared.get(lie) ?? {}
    collude(invent)
    const reasons = openBoth({ contracts: alone as DisputeContracts, level: lie.level })
    const { kms, webhook } = await askBoth('withdrawn')

    expect(kms).toMatchObject({ status: 400, code: expect.stringMatching(/^ROLLUP_/) })
    expect(webhook).toMatchObject({ isAllowed: false, outcome: 'outage' })
    for (const each of reasons) expect(each).toContain(lie.reason)

    openBoth({ contracts: beside as DisputeContracts, level: lie.level })
    const isRead = lie.reason !== 'ROLLUP_STORAGE_UNEXPECTED'
    expect(await askBoth('withdrawn')).toMatchObject({
      kms: { status: 400, code: isRead ? 'KMS_BOOT_DENIED' : lie.reason },
      webhook: { isAllowed: false, outcome: isRead ? 'denied' : 'outage' },
    })
  })
})

describe.skipIf(absent)(
  `${endpointLies.length} lies of endpoints about a rollup release no key`,
  () => {
    test.each(endpointLies)('$name', async ({ code, l1, isAlone, l2 }) => {
      const liars = l1 ? rollup.l1Liars.slice(0, isAlone ? 1 : 2) : []
      for (const liar of liars) liar.lie = l1
      if (l2) collude(l2)
      const reasons = openBoth({ contracts: rollup.honest })
      const { kms, webhook } = await askBoth('withdrawn')

      expect(kms).toMatchObject({
        status: 400,
        code: expect.stringMatching(/^(CHAIN_|ROLLUP_|KMS_BOOT_DENIED)/),
      })
      expect(webhook).toMatchObject({ isAllowed: false })
      for (const each of reasons) expect(each).toContain(code)
      for (const liar of liars) expect(liar.liesSent).toBeGreaterThan(0)
    })
  },
)
