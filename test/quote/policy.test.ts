import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { toHex } from '../../src/lib/bytes.ts'
import type { TdReport } from '../../src/quote/parse.ts'
import {
  checkPolicy,
  defaultPolicy,
  parsePolicy,
  type QuotePolicyInput,
  type TdAttribute,
  tdAttributeBits,
} from '../../src/quote/policy.ts'
import type { Verified } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { syntheticCase, syntheticCases, syntheticRoot, syntheticTime } from '../synthetic.ts'

const DAY = 86_400

function verified(id: string): Verified {
  const { quote, collateral } = syntheticCase(id)
  const verdict = verifyQuote(quote, collateral, { at: syntheticTime, root: syntheticRoot })
  if (verdict.verdict !== 'verified') throw new Error(`${id}: ${verdict.code}`)
  return verdict
}

/** Code of the rule that refuses, or `accepted`. */
function judge(verdict: Verified, policy?: QuotePolicyInput): string {
  try {
    checkPolicy(verdict, parsePolicy(policy))
    return 'accepted'
  } catch (error) {
    if (error instanceof AssentError) return error.code
    throw error
  }
}

const good = verified('valid_v4_td10')

/** Its report shows that no service TD is bound. */
const showing = withReport(
  { mrServiceTd: new Uint8Array(48) },
  verified('td15_mrservicetd_nonzero'),
)

/** The same TD with another report; the signature is not the policy's business. */
function withReport(changes: Partial<TdReport>, verdict = good): Verified {
  const { quote } = verdict
  return { ...verdict, quote: { ...quote, report: { ...quote.report, ...changes } } }
}

function withAttributes(bits: bigint, verdict = good): Verified {
  const tdAttributes = new Uint8Array(8)
  new DataView(tdAttributes.buffer).setBigUint64(0, bits, true)
  return withReport({ tdAttributes }, verdict)
}

describe('the default policy', () => {
  test('accepts an up-to-date TD', () => {
    expect(judge(good)).toBe('accepted')
  })

  test.each([
    ['td_debug', 'POLICY_TD_UNTRUSTED'],
    ['td_sept_ve_disable_clear', 'POLICY_SEPT_VE_DISABLE_CLEAR'],
    ['td_reserved_attr', 'POLICY_TD_UNTRUSTED'],
    ['td_perfmon', 'POLICY_TD_ATTRIBUTES_REFUSED'],
    ['td15_mrservicetd_nonzero', 'POLICY_SERVICE_TD_REFUSED'],
    ['level_second', 'POLICY_STATUS_REFUSED'],
    ['relaunch_advised', 'POLICY_STATUS_REFUSED'],
    ['eval_numbers_differ', 'accepted'],
    ['crl_leaf_serial_in_root_crl', 'accepted'],
  ])('gives for %s: %s', (id, expected) => {
    expect(judge(verified(id))).toBe(expected)
  })

  test('accepts the same XFAM bits and TD attributes as PolicyLib.standard on-chain', () => {
    const file = new URL('../../contracts/types/Policy.sol', import.meta.url)
    const source = readFileSync(file, 'utf8')

    expect(source).toContain('policy.xfamAllowed = KNOWN_XFAM;')
    const [, mask = ''] = source.match(/ KNOWN_XFAM = (0x[0-9a-f_]+);/) ?? []
    expect(BigInt(mask.replaceAll('_', ''))).toBe(defaultPolicy.xfam)
    expect(defaultPolicy.attributes).toEqual([])
    expect(source).toContain('policy.attributesAllowed = SEPT_VE_DISABLE;')
  })

  test('is tested with every synthetic case that needs a policy', () => {
    const marked = syntheticCases.filter((entry) => entry.policy && entry.expect.verifies)

    expect(marked.map((entry) => entry.id).sort()).toEqual([
      'crl_leaf_serial_in_root_crl',
      'eval_numbers_differ',
      'td15_mrservicetd_nonzero',
      'td_debug',
      'td_perfmon',
      'td_reserved_attr',
      'td_sept_ve_disable_clear',
    ])
  })

  test.each(Array.from({ length: 64 }, (_, bit) => bit))('checks attribute bit %d', (bit) => {
    const expected =
      bit < 8 ? 'POLICY_TD_UNTRUSTED' : bit === 28 ? 'accepted' : 'POLICY_TD_ATTRIBUTES_REFUSED'

    expect(judge(withAttributes((1n << 28n) | (1n << BigInt(bit))))).toBe(expected)
  })
})

test.each([
  ...([
    ['ICSSD', 16],
    ['SERVTD_EXT', 17],
    ['LASS', 27],
    ['MIGRATABLE', 29],
    ['PKS', 30],
  ] as const),
  ...([
    ['KL', 31],
    ['TPA', 62],
    ['PERFMON', 63],
  ] as const),
  ...([18, 19, 20, 21, 22] as const).map((bit) => [`RESERVED_${bit}`, bit] as const),
])('the attribute %s is bit %d and is accepted if the policy names it', (name, bit) => {
  const found = withAttributes((1n << 28n) | (1n << BigInt(bit)), showing)
  const attributes = [name as TdAttribute]

  expect(judge(found, { attributes })).toBe('accepted')
  expect(judge(found, {})).toBe('POLICY_TD_ATTRIBUTES_REFUSED')
  expect(() => checkPolicy(found)).toThrow(new RegExp(`The TD has ${name}\\.`))
})

test('no policy accepts a bit that the table forbids', () => {
  const all = [16, 17, 18, 19, 20, 21, 22, 27, 28, 29, 30, 31, 62, 63]
  const names = Object.keys(tdAttributeBits) as TdAttribute[]
  for (let bit = 8; bit < 64; bit++) {
    const bits = (1n << 28n) | (1n << BigInt(bit))
    const expected = all.includes(bit) ? 'accepted' : 'POLICY_TD_ATTRIBUTES_REFUSED'
    // a 1.0 report does not show who could migrate the TD
    const hidden = bit === 29 ? 'POLICY_SERVICE_TD_REFUSED' : expected

    expect([bit, judge(withAttributes(bits, showing), { attributes: names })]).toEqual([
      bit,
      expected,
    ])
    expect([bit, judge(withAttributes(bits), { attributes: names })]).toEqual([bit, hidden])
  }
})

describe('a policy', () => {
  const device = toHex(good.deviceId)
  const fmspc = toHex(good.fmspc)
  const outdated = verified('level_second')

  test.each<[string, Verified, QuotePolicyInput, string]>([
    ['accepts a status', outdated, { statuses: ['OutOfDate'] }, 'accepted'],
    [
      'denies an advisory',
      outdated,
      { statuses: ['OutOfDate'], advisories: { deny: ['INTEL-SA-01111'] } },
      'POLICY_ADVISORY_REFUSED',
    ],
    [
      'allows only listed advisories',
      outdated,
      { statuses: ['OutOfDate'], advisories: { allow: ['INTEL-SA-01079'] } },
      'POLICY_ADVISORY_REFUSED',
    ],
    [
      'allows all listed advisories',
      outdated,
      { statuses: ['OutOfDate'], advisories: { allow: ['INTEL-SA-01079', 'INTEL-SA-01111'] } },
      'accepted',
    ],
    ['accepts an attribute', verified('td_perfmon'), { attributes: ['PERFMON'] }, 'accepted'],
    [
      'accepts SEPT_VE_DISABLE clear',
      verified('td_sept_ve_disable_clear'),
      { requireSeptVeDisable: false },
      'accepted',
    ],
    ['narrows XFAM', good, { xfam: '0x3' }, 'POLICY_XFAM_REFUSED'],
    [
      'demands an evaluation number',
      good,
      { minEvaluationNumber: 1_000 },
      'POLICY_EVALUATION_NUMBER_TOO_LOW',
    ],
    [
      'demands it of the lower one',
      verified('eval_numbers_differ'),
      { minEvaluationNumber: 20 },
      'POLICY_EVALUATION_NUMBER_TOO_LOW',
    ],
    ['demands a TCB date', good, { minTcbDate: syntheticTime }, 'POLICY_TCB_DATE_TOO_OLD'],
    ['bounds the age of collateral', good, { maxCollateralAge: 1 }, 'POLICY_COLLATERAL_TOO_OLD'],
    ['accepts younger collateral', good, { maxCollateralAge: 365 * DAY }, 'accepted'],
    [
      'denies a platform family',
      good,
      { fmspcs: { deny: [fmspc.toUpperCase()] } },
      'POLICY_FMSPC_REFUSED',
    ],
    [
      'allows only listed families',
      good,
      { fmspcs: { allow: ['000000000000'] } },
      'POLICY_FMSPC_REFUSED',
    ],
    ['allows a listed family', good, { fmspcs: { allow: [fmspc] } }, 'accepted'],
    ['denies a device', good, { devices: { deny: [device] } }, 'POLICY_DEVICE_REFUSED'],
    [
      'allows only listed devices',
      good,
      { devices: { allow: ['00'.repeat(32)] } },
      'POLICY_DEVICE_REFUSED',
    ],
    ['allows a listed device', good, { devices: { allow: [device] } }, 'accepted'],
  ])('%s', (_, verdict, policy, expected) => {
    expect(judge(verdict, policy)).toBe(expected)
  })

  test('accepts a named service TD only', () => {
    const bound = verified('td15_mrservicetd_nonzero')
    const hash = toHex(bound.quote.report.mrServiceTd as Uint8Array)

    expect(judge(bound, { serviceTds: [hash] })).toBe('accepted')
    expect(judge(bound, { serviceTds: ['00'.repeat(48)] })).toBe('POLICY_SERVICE_TD_REFUSED')
  })

  test('accepts a MIGRATABLE TD only if its report shows the service TD', () => {
    const migratable = (verdict: Verified) => withAttributes((1n << 28n) | (1n << 29n), verdict)
    const bound = verified('td15_mrservicetd_nonzero')
    const policy: QuotePolicyInput = {
      attributes: ['MIGRATABLE'],
      serviceTds: [toHex(bound.quote.report.mrServiceTd as Uint8Array)],
    }

    expect(judge(migratable(bound), policy)).toBe('accepted')
    expect(judge(migratable(bound), { ...policy, serviceTds: [] })).toBe(
      'POLICY_SERVICE_TD_REFUSED',
    )
    expect(judge(migratable(showing), policy)).toBe('accepted')
    expect(judge(migratable(good), policy)).toBe('POLICY_SERVICE_TD_REFUSED')
  })

  test.each(['initialServiceTdHash', 'currentServiceTdHash'] as const)(
    'uses %s of the report of TDX 1.5 Ex',
    (field) => {
      const hash = new Uint8Array(48)
      const extension = { initialServiceTdHash: hash, currentServiceTdHash: hash } as never
      const withExtension = (value: object): Verified => {
        const report = { ...good.quote.report, extension: { ...(extension as object), ...value } }
        return { ...good, quote: { ...good.quote, report: report as never } }
      }
      const set = withExtension({ [field]: Uint8Array.of(...new Uint8Array(47), 1) })

      expect(judge(withExtension({}))).toBe('accepted')
      expect(judge(set)).toBe('POLICY_SERVICE_TD_REFUSED')
      expect(judge(set, { serviceTds: [`${'00'.repeat(47)}01`] })).toBe('accepted')
    },
  )

  test('cannot accept a debug TD', () => {
    expect(
      judge(verified('td_debug'), { attributes: ['PERFMON', 'PKS', 'KL', 'MIGRATABLE'] }),
    ).toBe('POLICY_TD_UNTRUSTED')
  })

  test('never accepts a TDX module of another signer', () => {
    const mrSignerSeam = new Uint8Array(48).fill(1)

    expect(judge(withReport({ mrSignerSeam }))).toBe('POLICY_SEAM_SIGNER_REFUSED')
  })

  test.each<[string, unknown]>([
    ['an unknown field', { debug: true }],
    ['an unknown status', { statuses: ['Fine'] }],
    ['no status at all', { statuses: [] }],
    ['the DEBUG attribute', { attributes: ['DEBUG'] }],
    ['an empty allow list', { devices: { allow: [] } }],
    ['both lists', { devices: { allow: ['00'.repeat(32)], deny: [] } }],
    ['a device id of 31 bytes', { devices: { deny: ['00'.repeat(31)] } }],
  ])('with %s is refused', (_, policy) => {
    expect(() => parsePolicy(policy)).toThrowError(
      expect.objectContaining({ code: 'POLICY_INVALID' }),
    )
  })
})
