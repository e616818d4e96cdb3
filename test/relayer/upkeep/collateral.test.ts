/** The keeper of collateral against real contracts, real HTTP, and services that fail in every way. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { quoteVerifierAbi } from '../../../src/chain/abi.ts'
import {
  qeIdentityFamily,
  readHeld,
  tcbInfoFamily,
} from '../../../src/chain/verifier/collateral.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import {
  type CollateralUpdaterOptions,
  createCollateralTarget,
  createCollateralUpdater,
  isDue,
  listCollateral,
} from '../../../src/relayer/upkeep/collateral.ts'
import { createSimulator, simulatedFmspc } from '../../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../../anvil.ts'
import { createFixture, log, type RelayerFixture } from '../fixture.ts'
import {
  insteadOfIntel,
  intelService,
  type PccsFault,
  type PccsServer,
  startPccs,
} from '../pccs-server.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the keeper of collateral is SKIPPED. ***\n')

const day = 86_400
const family = { fmspc: simulatedFmspc.toLowerCase(), ca: 'platform' } as const

describe.skipIf(absent)('the collateral job', () => {
  let fixture: RelayerFixture
  let pcs: PccsServer
  let pccs: PccsServer
  const failures: [string, string][] = []

  beforeAll(async () => {
    fixture = await createFixture()
    const { simulator, clock } = fixture
    const impostor = createSimulator({ seed: new Uint8Array(32).fill(66), at: clock() })
    pcs = await startPccs({ simulator, clock, impostor, kind: 'pcs' })
    pccs = await startPccs({ simulator, clock, impostor, kind: 'pccs' })
  })
  beforeEach(async () => {
    await fixture.reset()
    failures.length = 0
    for (const server of [pcs, pccs]) {
      server.fault = undefined
      server.numbers = { standard: 20, early: 21 }
      server.recoveryAt = fixture.clock() - 300 * day
      server.revoked = []
    }
  })
  afterAll(async () => {
    await pcs?.stop()
    await pccs?.stop()
    await fixture?.stop()
  })

  const keeper = (changes: Partial<CollateralUpdaterOptions> = {}) =>
    createCollateralUpdater({
      db: fixture.database.db,
      chainId: 31_337,
      reader: fixture.reader,
      store: fixture.addresses.quoteVerifier,
      services: [pccs.url, intelService],
      fetch: insteadOfIntel(pcs),
      root: fixture.simulator.rootCertificate,
      families: async () => [family],
      clock: fixture.clock,
      log,
      refreshBefore: 7 * day,
      timeoutMs: 5_000,
      onFailure: (service, error) => failures.push([service, error.code]),
      ...changes,
    })
  const targets = () => ({ collateral: createCollateralTarget(fixture.addresses.quoteVerifier) })
  const held = (name: string) => readHeld(fixture.client, fixture.addresses.quoteVerifier, name)
  const documentName = (number: number) =>
    `document:${tcbInfoFamily(fromHex(family.fmspc, 'fmspc'))}:${number}`

  /** Rounds until one has nothing to do. */
  async function keep(kept = keeper()): Promise<number> {
    for (let rounds = 1; rounds <= 6; rounds++) {
      const { parts } = await kept.run()
      if (parts.every(({ action }) => action === 'none')) return rounds
      await fixture.drain(targets())
    }
    const rows = await fixture.database.db.query.intents.findMany()
    throw new Error(`never at rest: ${JSON.stringify(rows.map(({ payload: _, ...row }) => row))}`)
  }

  test('fills an empty store with both sets, issuers first', async () => {
    const first = await keeper().run()
    // behind the task of an issuer stands which chain it is
    const names = first.parts.filter(({ action }) => action === 'put').map(({ name }) => name)
    expect(names.map((name) => name.replace(/:0x.*/, ''))).toEqual([
      'issuer:1',
      'issuer:3',
      'crl:0',
    ])
    await fixture.drain(targets())
    await keep()

    for (const number of [20, 21]) {
      expect((await held(documentName(number))).issuedAt).toBeGreaterThan(0)
      expect((await held(`document:${qeIdentityFamily}:${number}`)).issuedAt).toBeGreaterThan(0)
    }
    expect((await held('crl:1')).until).toBeGreaterThan(fixture.clock())
    const { standard } = await fixture.client.readContract({
      address: fixture.addresses.quoteVerifier,
      abi: quoteVerifierAbi,
      functionName: 'freshness',
    })
    expect(standard).toBe(20)
    expect(await fixture.drain(targets())).toBe(0n)
    expect(await listCollateral(fixture.database.db, 31_337)).toContainEqual(
      expect.objectContaining({ name: expect.stringMatching(/^crl:1:0x/) }),
    )
  })

  test('uploads equal content only before the stored part ends', async () => {
    await keep()
    const before = await held(documentName(20))
    await fixture.pass(20 * day)
    expect(await keep()).toBe(1)
    expect(await held(documentName(20))).toEqual(before)

    await fixture.pass(4 * day)
    await keep()
    const after = await held(documentName(20))
    expect(after.until).toBeGreaterThan(before.until + 20 * day)
    expect(before.until).toBeGreaterThan(fixture.clock())
  })

  test('uploads a new revocation at once', async () => {
    await keep()
    await fixture.pass(2 * day)
    pccs.revoked = [Uint8Array.of(1, 2, 3)]
    pcs.revoked = pccs.revoked
    await keep()

    const { count } = await fixture.client.readContract({
      address: fixture.addresses.quoteVerifier,
      abi: quoteVerifierAbi,
      functionName: 'crl',
      args: [1],
    })
    expect(count).toBe(1)
  })

  test('follows the evaluation numbers from early to standard', async () => {
    for (const server of [pcs, pccs]) server.recoveryAt = fixture.clock() - 365 * day
    await keep()
    const { upcoming } = await keeper().run()
    expect(upcoming).toMatchObject({ number: 21 })

    await fixture.pass(3 * day)
    await keep()
    const { standard } = await fixture.client.readContract({
      address: fixture.addresses.quoteVerifier,
      abi: quoteVerifierAbi,
      functionName: 'freshness',
    })
    expect(standard).toBe(21)
  })

  const faults: [PccsFault, string][] = [
    ['down', 'PCCS_UNAVAILABLE'],
    ['unknown', 'PCCS_UNAVAILABLE'],
    ['gone', 'PCCS_UNAVAILABLE'],
    ['throttled', 'PCCS_UNAVAILABLE'],
    ['html', 'PCCS_UNAVAILABLE'],
    ['endless', 'PCCS_UNAVAILABLE'],
    ['headerless', 'PCCS_UNAVAILABLE'],
    ['truncated', 'PCCS_UNAVAILABLE'],
    ['another-platform', 'PCCS_UNAVAILABLE'],
    ['tampered', 'QUOTE_TCB_INFO_SIGNATURE_INVALID'],
    ['another-authority', 'QUOTE_ROOT_UNTRUSTED'],
  ]
  test('uses another service if one fails', async () => {
    for (const [fault, code] of faults) {
      failures.length = 0
      pccs.fault = fault
      const { parts, failed } = await keeper().run()

      expect(failures, fault).toContainEqual([new URL(pccs.url).host, code])
      expect(failed, fault).toEqual([new URL(pccs.url).host])
      const names = parts.map(({ name }) => name)
      expect(names, fault).toContain(documentName(20))
      expect(names, fault).toContain(documentName(21))
    }
  })

  test.each(['outdated', 'from-the-future'] as const)(
    'never uploads documents %s and names them',
    async (fault) => {
      pccs.fault = fault
      await keep()
      const { issuedAt, until } = await held(documentName(20))
      expect(issuedAt).toBeLessThanOrEqual(fixture.clock())
      expect(until).toBeGreaterThan(fixture.clock() + 28 * day)

      const { parts, failed } = await keeper({ services: [pccs.url] }).run()
      expect(failed).toEqual([new URL(pccs.url).host])
      expect(failures).toContainEqual([failed[0], 'RELAYER_COLLATERAL_STALE'])
      expect(parts.map(({ action }) => action)).not.toContain('put')
    },
  )

  test('spends no gas if all services serve forged collateral', async () => {
    pccs.fault = 'another-authority'
    pcs.fault = 'truncated'
    await expect(keeper().run()).rejects.toMatchObject({ code: 'PCCS_UNAVAILABLE' })
    expect(await fixture.drain(targets())).toBe(0n)
  })
})

describe('an upload of collateral is worth its gas:', () => {
  const part = { issuedAt: 200, until: 2_000, content: '0x01' } as const
  const rules = { refreshBefore: 100 }
  const held = { issuedAt: 100, until: 1_000 }
  const same = { putContent: '0x01', putIssuedAt: 100 } as const

  test.each([
    ['nothing is held', part, { issuedAt: 0, until: 0 }, undefined, 500, true],
    ['what is held is as new', part, { issuedAt: 200, until: 1_000 }, same, 950, false],
    ['what is held says the same and lasts', part, held, same, 500, false],
    ['what is held says the same and ends soon', part, held, same, 901, true],
    ['it ends at the margin', part, held, same, 900, false],
    ['the newer one ends no later', { ...part, until: 1_000 }, held, same, 950, false],
    ['it says something else', part, held, { ...same, putContent: '0x02' as const }, 500, true],
    ['somebody else stored what is held', part, held, { ...same, putIssuedAt: 99 }, 500, true],
    ['nothing is remembered', part, held, undefined, 500, true],
  ] as const)('%s', (_, offered, kept, known, at, expected) => {
    expect(isDue(offered, kept, known, at, rules)).toBe(expected)
  })
})
