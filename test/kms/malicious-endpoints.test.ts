/**
 * Endpoints that lie, in front of a real node, against a real KMS and a real webhook: not one key is released.
 *
 * Each lie is sent from three positions: by one of three endpoints of which two have to agree; by two of these,
 * who collude and so are as many as have to agree; by the only endpoint there is.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { isNightly } from '../../scripts/test-effort.ts'
import { findAnvil } from '../anvil.ts'
import type { Lie } from '../chain/malicious-endpoint.ts'
import { type Case, lies } from './malicious-endpoints/cases.ts'
import {
  askKms,
  askWebhook,
  type Configured,
  type Guest,
  openStageView,
  type Reader,
  setStage,
  stage,
  strikeStage,
} from './malicious-endpoints/fixture.ts'
import { fork, raw, showOld } from './malicious-endpoints/modify-response.ts'
import { wouldBeFooled } from './malicious-endpoints/unverified-reader.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests with lying endpoints are SKIPPED. ***\n')

const seats = {
  'one of three': { endpoints: 3, liars: 1 },
  'two of three': { endpoints: 3, liars: 2 },
  'the only one': { endpoints: 1, liars: 1 },
} as const
type Seat = keyof typeof seats

beforeAll(async () => {
  if (!absent) await setStage()
}, 120_000)
afterAll(strikeStage)

const readers = () => [stage.kms, stage.auth]
const allLiars = () => readers().flatMap(({ liars }) => liars)

afterEach(() => {
  if (!absent) for (const liar of allLiars()) Object.assign(liar, { lie: undefined, liesSent: 0 })
})

function open(configured: Configured): void {
  for (const reader of readers()) openStageView(reader, configured)
}

/** Lets the first `count` endpoints of both readers tell it. */
function tell(lie: Lie, count: number): void {
  for (const { liars } of readers()) {
    liars.slice(0, count).forEach((liar, index) => {
      liar.lie = (...asked) => {
        stage.asked = index
        return lie(...asked)
      }
    })
  }
}

const askBoth = async (guest: Guest) => {
  const [kms, webhook] = await Promise.all([askKms(guest), askWebhook(guest)])
  return { kms, webhook }
}
const released = { kms: { status: 200 }, webhook: { isAllowed: true } }
const noReason = /^(CHAIN_|CONTRACT_|KMS_BOOT_DENIED|KMS_SELF_DENIED)/
const wasTold = ({ liars }: Reader, count: number) =>
  liars.slice(0, count).every(({ liesSent }) => liesSent > 0)

describe.skipIf(absent)('KMS with honest RPC endpoints', () => {
  test.each(Object.keys(seats) as Seat[])('releases keys to an allowed boot: %s', async (seat) => {
    open(seats[seat])

    expect(await askBoth('allowed')).toMatchObject(released)
  })

  test.each([
    ['withdrawn', 'Compose hash not allowed'],
    ['unproven', 'Host is not registered'],
    ['otherDevice', 'Device not allowed'],
    ['foreign', 'App contract is not one whose rules this KMS knows'],
    ['upgraded', 'App contract is not one whose rules this KMS knows'],
  ] as const)('denies every other boot: %s', async (guest, reason) => {
    open({ endpoints: 3 })

    expect(await askBoth(guest)).toMatchObject({
      kms: { status: 400, code: 'KMS_BOOT_DENIED', error: expect.stringContaining(reason) },
      webhook: { isAllowed: false, outcome: 'denied', reason },
    })
  })
})

/** Lies that fool nobody run daily only at the position where nobody contradicts them. */
const cases = (Object.keys(seats) as Seat[]).flatMap((seat) =>
  lies
    .filter(({ harmless }) => isNightly || !harmless || seat === 'the only one')
    .map((each) => ({ ...each, seat })),
)
const held = ({ seat, trustedAlone }: Case & { seat: Seat }) =>
  !(trustedAlone && seat === 'the only one')

describe.skipIf(absent)(`${lies.length} malicious answers of RPC endpoints release no key`, () => {
  /** The nodes that the lie could fool do not depend on the position, so it is checked once a day. */
  const fooling = new Set<string>()
  test.each(cases.filter(held))('$seat: $name', async (testCase) => {
    const { name, seat, cvm, lie, fresh, harmless, mayBeKnown } = testCase
    const { endpoints, liars } = seats[seat]
    tell(lie, liars)
    open({ endpoints, fresh })
    const { kms, webhook } = await askBoth(cvm)

    // the lie must have been sent to a node that it could fool
    const heard = readers().map((reader) => wasTold(reader, liars))
    expect(heard).toEqual(mayBeKnown ? expect.arrayContaining([true]) : [true, true])
    if (isNightly || !fooling.has(name)) {
      fooling.add(name)
      const isFooled = await wouldBeFooled(stage.kms.liars[0]?.url ?? '', cvm)
      if (harmless !== 'sometimes') expect(isFooled).toBe(harmless === undefined)
    }
    expect(kms).toMatchObject({ status: 400, code: expect.stringMatching(noReason) })
    expect(webhook).toMatchObject({ isAllowed: false })
    expect(webhook.outcome).toMatch(/^(denied|outage)$/)
    // one of three can neither get a key out nor keep one back
    if (seat === 'one of three')
      expect(await askWebhook('allowed')).toMatchObject({ isAllowed: true })
  })
})

describe.skipIf(absent)('a colluding RPC quorum', () => {
  test.each(cases.filter((each) => !held(each)))(
    'of one endpoint can release keys, as documented: $name',
    async ({ cvm, lie, fresh }) => {
      tell(lie, 1)
      open({ endpoints: 1, fresh })

      expect(await askBoth(cvm)).toMatchObject(released)
    },
  )

  test('of two endpoints can release keys if the third is unreachable', async () => {
    tell(
      fork(() => stage.final.number + 1n),
      2,
    )
    for (const { liars } of readers()) {
      const [, , third] = liars
      if (third) third.lie = raw((response) => response.destroy())
    }
    open({ endpoints: 3 })

    expect(await askBoth('withdrawn')).toMatchObject(released)
  })

  test('of two endpoints can release keys without the withdrawal check', async () => {
    tell(
      fork(() => stage.final.number + 1n),
      2,
    )
    open({ endpoints: 3, changed: { withdrawals: 'insecure-wait-until-final' } })

    expect(await askBoth('withdrawn')).toMatchObject(released)
  })

  test('of all endpoints can show an old block within the age limit to a node without a checkpoint', async () => {
    tell(
      showOld(() => stage.before),
      3,
    )
    open({ endpoints: 3, fresh: true })

    expect(await askBoth('withdrawn')).toMatchObject(released)
  })
})
