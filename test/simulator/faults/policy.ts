/** Genuine quotes that the default policy refuses. */
import { fromHex } from '../../../src/lib/bytes.ts'
import { type FaultCase, type PolicyCode, padded, quoteCase, verified } from './case.ts'

const attributes = (name: string, about: string, bits: string, policy: PolicyCode): FaultCase =>
  quoteCase([name, about, verified('UpToDate', [], policy)], {
    td: { tdAttributes: fromHex(bits, 'TD attributes', 8) },
  })

export const policyCases: readonly FaultCase[] = [
  attributes('td_debug', 'DEBUG', '0100001000000000', 'POLICY_TD_UNTRUSTED'),
  attributes('td_profiling', 'PERF profiling', '2000001000000000', 'POLICY_TD_UNTRUSTED'),
  attributes('td_reserved_attr', 'reserved bit 1', '0200001000000000', 'POLICY_TD_UNTRUSTED'),
  attributes(
    'td_sept_ve_disable_clear',
    'SEPT_VE_DISABLE clear',
    '0000000000000000',
    'POLICY_SEPT_VE_DISABLE_CLEAR',
  ),
  attributes('td_migratable', 'MIGRATABLE', '0000003000000000', 'POLICY_TD_ATTRIBUTES_REFUSED'),
  attributes('td_perfmon', 'PERFMON', '0000001000000080', 'POLICY_TD_ATTRIBUTES_REFUSED'),
  attributes(
    'td_unknown_attr',
    'an undefined attribute',
    '0000001001000000',
    'POLICY_TD_ATTRIBUTES_REFUSED',
  ),
  quoteCase(
    [
      'td15_mrservicetd_nonzero',
      'a service TD is bound to this one',
      verified('UpToDate', [], 'POLICY_SERVICE_TD_REFUSED'),
    ],
    { version: 5, bodyType: 3, td: { mrServiceTd: padded(48, 1) } },
  ),
]
