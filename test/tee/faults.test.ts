import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'

import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { parseCollateral } from '../../src/quote/collateral.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import type { Verdict } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { type CaseEvidence, createBench } from '../../src/tee/simulator/faults/case.ts'
import { faultCatalogue } from '../../src/tee/simulator/faults/catalogue.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { syntheticCases } from '../synthetic.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const seed = new Uint8Array(32).fill(11)
const bench = createBench(createSimulator({ at, seed }))

function judge({ quote, collateral, root, at }: CaseEvidence): Verdict {
  return verifyQuote(quote, parseCollateral(collateral), { at, root })
}

function digest({ quote, collateral, root, at }: CaseEvidence): string {
  const hash = createHash('sha256').update(quote).update(root).update(String(at))
  return hash.update(JSON.stringify(collateral)).digest('hex')
}

function malformation(evidence: CaseEvidence): unknown {
  try {
    return judge(evidence)
  } catch (error) {
    return error instanceof AssentError ? { verdict: 'malformed', code: error.code } : error
  }
}

describe.each(faultCatalogue)('$name ($about)', ({ expect: expected, build }) => {
  test(`is ${expected.verdict}`, () => {
    const evidence = build(bench)

    if (expected.verdict === 'malformed') {
      expect(malformation(evidence)).toMatchObject({
        verdict: 'malformed',
        code: expect.toBeOneOf([...expected.codes]),
      })
      return
    }
    const verdict = judge(evidence)
    if (expected.verdict === 'rejected') {
      expect(verdict).toMatchObject({
        verdict: 'rejected',
        code: expect.toBeOneOf([...expected.codes]),
      })
      return
    }
    const { status, advisoryIds, policy } = expected
    expect(verdict).toMatchObject({ verdict: 'verified', status, advisoryIds })
    if (verdict.verdict !== 'verified' || policy === undefined) return
    expect(() => checkPolicy(verdict)).toThrow(expect.objectContaining({ code: policy }))
  })
})

/**
 * Where `@phala/dcap-qvl` 0.3.9 knowingly differs from Intel's library, by name. It also reads more
 * encodings than strict DER, PEM and JSON allow, so the malformed cases are left out as a whole.
 */
const outsideDiffers = {
  'body type 4 is unknown to it': ['valid_v5_td15_ex', 'relaunch_advised_ex'],
  'it wants 32 bytes of QE authentication data': ['valid_qe_auth_empty', 'valid_qe_auth_1000'],
  'it checks neither issuer names nor the constraints of the PCK chain': [
    'chain_leaf_issued_by_leaf',
    'chain_issuer_is_tcb_signing',
    'chain_issuer_is_root',
    'chain_ca_not_ca',
    'chain_ca_other_name',
    'chain_issuer_name_differs',
    'chain_issuer_name_encoding',
    'leaf_other_name',
  ],
  'it does not compare the PCEID': ['leaf_pceid_mismatch'],
  'it checks neither dates, issuers nor signatures of revocation lists': [
    'crl_root_expired',
    'crl_pck_expired',
    'crl_pck_not_yet_valid',
    'crl_wrong_issuer',
    'crl_bad_signature',
    'crl_root_bad_signature',
    'crl_issuer_chain_other_key',
  ],
  'it looks for every serial in every list': ['crl_leaf_serial_in_root_crl'],
  'it does not look at the TDX module': [
    'status_module_revoked',
    'merge_module_outofdate_UpToDate',
    'merge_module_outofdate_SWHardeningNeeded',
    'merge_module_outofdate_ConfigurationNeeded',
    'merge_module_outofdate_ConfigurationAndSWHardeningNeeded',
    'merge_module_outofdate_OutOfDate',
    'merge_module_outofdate_OutOfDateConfigurationNeeded',
    'merge_order_of_advisories',
    'module_identity_missing',
    'module_mrsignerseam_mismatch',
    'module_mrsignerseam_last_byte',
    'module_seamattributes_nonzero',
    'module_identity_mrsigner_used',
    'module_v0_mrsigner_used',
  ],
  'it loses the configuration flag when the quoting enclave is out of date': [
    'merge_qe_outofdate_ConfigurationNeeded',
    'merge_qe_outofdate_ConfigurationAndSWHardeningNeeded',
  ],
  'it relies on the order of the levels': ['valid_levels_shuffled'],
  'it compares the CPUSVN octets': ['cpusvn_differs_from_components'],
  'it compares TDX components 0 and 1 for every module': ['index_exception_module1'],
  'it knows no relaunch': [
    'relaunch_advised',
    'relaunch_advised_hardening',
    'relaunch_advised_configuration',
    'relaunch_not_advised',
    'relaunch_platform_outdated',
  ],
  'it mixes its own policy into the verdict': [
    'td_debug',
    'td_profiling',
    'td_reserved_attr',
    'td_sept_ve_disable_clear',
    'td_migratable',
    'td_unknown_attr',
    'td15_mrservicetd_nonzero',
  ],
}

const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as {
  QuoteVerifier: {
    newWithRootCa(root: Uint8Array): {
      verify(quote: Uint8Array, collateral: unknown, at: number): OutsideVerdict
    }
  }
}

interface OutsideVerdict {
  readonly status: string
  readonly advisory_ids: readonly string[]
}

function outsideVerdict({ quote, collateral, root, at }: CaseEvidence): string {
  try {
    const verifier = QuoteVerifier.newWithRootCa(Buffer.from(root))
    const { status, advisory_ids } = verifier.verify(Buffer.from(quote), collateral, at)
    return [status, ...advisory_ids].join(' ')
  } catch {
    return 'refused'
  }
}

test('an outside verifier says the same, but for its known differences', () => {
  const differing = faultCatalogue
    .filter(({ expect: expected, build }) => {
      if (expected.verdict === 'malformed') return false
      const ours =
        expected.verdict === 'verified'
          ? [expected.status, ...expected.advisoryIds].join(' ')
          : 'refused'
      return outsideVerdict(build(bench)) !== ours
    })
    .map(({ name }) => name)

  expect(differing.sort()).toEqual(Object.values(outsideDiffers).flat().sort())
})

describe('the catalogue', () => {
  test('names each case once', () => {
    const names = faultCatalogue.map((entry) => entry.name)

    expect(new Set(names).size).toBe(names.length)
  })

  test('builds the same bytes from the same seed', () => {
    const again = createBench(createSimulator({ at, seed }))

    for (const entry of faultCatalogue) {
      expect(digest(entry.build(again))).toBe(digest(entry.build(bench)))
    }
  })

  test('has every synthetic case', () => {
    const names = faultCatalogue.map((entry) => entry.name)
    const spelt: Record<string, string> = {
      valid_report_data_upper_nonzero: 'valid_report_data_upper',
      hdr_tee_type_0x82: `hdr_tee_type_${0x82}`,
    }

    const missing = syntheticCases
      .map(({ id }) => spelt[id] ?? id)
      .filter((id) => !names.includes(id))

    expect(missing).toEqual([])
  })
})
