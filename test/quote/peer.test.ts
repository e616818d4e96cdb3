/** A third opinion: `@phala/dcap-qvl` 0.3.9 on every vector, its known disagreements listed by name. */
import { createRequire } from 'node:module'

import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { syntheticCases, syntheticRoot, syntheticTime } from '../synthetic.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'
import type { RecordedQuote } from './recorded.ts'

/** CommonJS, and its types miss these constructors. */
const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as {
  QuoteVerifier: Record<'newProd' | 'newWithRootCa', (root?: Buffer) => PeerVerifier>
}

interface PeerVerifier {
  verify(quote: Buffer, collateral: unknown, nowSeconds: number): { status: string }
}

/** Where the peer differs on the synthetic cases, with what it answers and why. */
const disagreements: Record<string, [answer: string, why: string]> = {
  valid_qe_auth_empty: ['refused', 'QE auth data must have 32 bytes there'],
  valid_qe_auth_1000: ['refused', 'QE auth data must have 32 bytes there'],
  valid_levels_shuffled: ['refused', 'levels are matched in the order of the document'],
  merge_module_outofdate_UpToDate: ['UpToDate', 'module levels are not looked at'],
  merge_module_outofdate_ConfigurationNeeded: [
    'ConfigurationNeeded',
    'module levels are not looked at',
  ],
  merge_module_outofdate_ConfigurationAndSWHardeningNeeded: [
    'ConfigurationAndSWHardeningNeeded',
    'module levels are not looked at',
  ],
  merge_qe_outofdate_ConfigurationAndSWHardeningNeeded: [
    'OutOfDate',
    'statuses merge by severity, which loses the configuration flag',
  ],
  index_exception_module1: ['refused', 'components 0 and 1 are always compared'],
  module_identity_missing: ['UpToDate', 'the module identity is not checked'],
  module_mrsignerseam_mismatch: ['UpToDate', 'the module identity is not checked'],
  module_seamattributes_nonzero: ['UpToDate', 'the module identity is not checked'],
  module_identity_mrsigner_used: ['UpToDate', 'the module identity is not checked'],
  relaunch_advised: ['UpToDate', 'TEE_TCB_SVN2 is not evaluated'],
  relaunch_advised_configuration: ['ConfigurationNeeded', 'TEE_TCB_SVN2 is not evaluated'],
  relaunch_svn2_unsupported: ['UpToDate', 'TEE_TCB_SVN2 is not evaluated'],
  relaunch_svn2_unknown_module: ['UpToDate', 'TEE_TCB_SVN2 is not evaluated'],
  hdr_vendor: ['UpToDate', 'the QE vendor is not checked'],
  v5_body_size_wrong: ['UpToDate', 'the declared body size is not checked'],
  auth_outer_type_5: ['UpToDate', 'the outer certification data type is not checked'],
  chain_leaf_issued_by_leaf: ['UpToDate', 'the CA flag of issuers is not checked'],
  leaf_pceid_mismatch: ['UpToDate', 'PCEID is not compared'],
  cpusvn_differs_from_components: ['refused', 'CPUSVN octets are rated, not the components'],
  crl_leaf_serial_in_root_crl: ['refused', 'lists are not scoped to their issuer'],
  crl_root_expired: ['UpToDate', 'CRL dates are not checked'],
  crl_wrong_issuer: ['UpToDate', 'CRL issuers are not checked'],
  crl_bad_signature: ['UpToDate', 'CRL signatures are not checked'],
  tcb_no_tdx_module: ['UpToDate', 'the module identity is not checked'],
  tcb_duplicate_key: ['UpToDate', 'the last of duplicate keys wins'],
  td_debug: ['refused', 'policy: debug'],
  td_sept_ve_disable_clear: ['refused', 'policy: SEPT_VE_DISABLE'],
  td_reserved_attr: ['refused', 'policy: reserved attributes'],
  td15_mrservicetd_nonzero: ['refused', 'policy: service TD'],
}

function ours(quote: Uint8Array, collateral: Collateral, at: number, root?: Uint8Array): string {
  try {
    const verdict = verifyQuote(quote, collateral, { at, root: root ?? 'intel' })
    return verdict.verdict === 'verified' ? verdict.status : 'refused'
  } catch (error) {
    if (error instanceof AssentError) return 'refused'
    throw error
  }
}

function theirs(quote: Uint8Array, collateral: Collateral, at: number, root?: Uint8Array): string {
  const verifier = root ? QuoteVerifier.newWithRootCa(Buffer.from(root)) : QuoteVerifier.newProd()
  try {
    return verifier.verify(Buffer.from(quote), collateral, at).status
  } catch {
    return 'refused'
  }
}

describe('dcap-qvl on the synthetic quotes', () => {
  test.each(syntheticCases.map((entry) => [entry.id, entry] as const))('%s', (id, entry) => {
    const { quote, collateral } = entry
    const own = ours(quote, collateral, syntheticTime, syntheticRoot)
    const [expected] = disagreements[id] ?? [own]

    expect(theirs(quote, collateral, syntheticTime, syntheticRoot)).toBe(expected)
    if (id in disagreements) expect(own).not.toBe(expected)
  })

  test('every listed disagreement is a case', () => {
    const ids = new Set(syntheticCases.map((entry) => entry.id))

    expect(Object.keys(disagreements).filter((id) => !ids.has(id))).toEqual([])
  })
})

describeRecorded('dcap-qvl on recorded quotes', () => {
  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')

  test.each(recorded.map((entry) => [entry.id, entry] as const))('%s: the same', (_, entry) => {
    const quote = readVector(`dcap/${entry.file}`)
    for (const { bundle, verifyAtUnix } of entry.checks) {
      if (bundle === null) continue
      const collateral = parseCollateral(readVectorJson(`dcap/${bundle}`))

      expect(theirs(quote, collateral, verifyAtUnix), bundle).toBe(
        ours(quote, collateral, verifyAtUnix),
      )
    }
  })
})
