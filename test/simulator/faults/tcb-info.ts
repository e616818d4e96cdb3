/** TCB info that is expired, for another platform, forged or malformed; and issuer chains of documents. */
import { createTcbSigning } from '../../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import {
  collateralCase,
  day,
  documentsCase,
  evidenceCase,
  evilKey,
  type FaultCase,
  malformed,
  rejected,
  verified,
  withoutMember,
} from './case.ts'

export const tcbInfoDocuments: readonly FaultCase[] = [
  collateralCase(
    ['tcb_expired', 'TCB info past its next update', rejected('QUOTE_TCB_INFO_EXPIRED')],
    ({ simulator }) => ({
      tcbInfo: { issuedAt: simulator.at - 40 * day },
    }),
  ),
  collateralCase(
    ['tcb_not_yet_valid', 'TCB info from the future', rejected('QUOTE_NOT_YET_VALID')],
    ({ simulator }) => ({
      tcbInfo: { issuedAt: simulator.at + day },
    }),
  ),
  collateralCase(
    ['valid_tcb_first_second', 'TCB info issued this second', verified()],
    ({ simulator }) => ({
      tcbInfo: { issuedAt: simulator.at },
    }),
  ),
  collateralCase(
    ['valid_tcb_last_second', 'TCB info whose next update is this second', verified()],
    ({ simulator }) => ({
      tcbInfo: { issuedAt: simulator.at - 30 * day },
    }),
  ),
  collateralCase(
    [
      'tcb_expired_one_second',
      'TCB info whose next update was a second ago',
      rejected('QUOTE_TCB_INFO_EXPIRED'),
    ],
    ({ simulator }) => ({
      tcbInfo: { issuedAt: simulator.at - 30 * day - 1 },
    }),
  ),
  collateralCase(
    [
      'tcb_bad_signature',
      'TCB info signed by another key',
      rejected('QUOTE_TCB_INFO_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      tcbInfo: { signedBy: evilKey(bench) },
    }),
  ),
  collateralCase(
    [
      'tcb_signed_by_pck',
      'TCB info signed by the PCK',
      rejected('QUOTE_TCB_INFO_SIGNATURE_INVALID'),
    ],
    ({ platform }) => ({
      tcbInfo: { signedBy: platform.pckKey },
    }),
  ),
  collateralCase(
    [
      'tcb_one_byte_changed',
      'a space added after signing',
      rejected('QUOTE_TCB_INFO_SIGNATURE_INVALID'),
    ],
    {
      tcbInfo: { tamper: (text) => text.replace(':', ': ') },
    },
  ),
  collateralCase(
    [
      'tcb_status_changed',
      'a status changed after signing',
      rejected('QUOTE_TCB_INFO_SIGNATURE_INVALID'),
    ],
    {
      tcbInfo: { tamper: (text) => text.replace('OutOfDate', 'UpToDate') },
    },
  ),
  documentsCase(
    ['tcb_signature_zero', 'signature of zeros', rejected('QUOTE_TCB_INFO_SIGNATURE_INVALID')],
    () => ({
      tcb_info_signature: '00'.repeat(64),
    }),
  ),
  collateralCase(['tcb_id_sgx', 'TCB info of SGX', rejected('QUOTE_TCB_INFO_UNSUPPORTED')], {
    tcbInfo: { members: { id: 'SGX' } },
  }),
  collateralCase(
    ['tcb_version_2', 'TCB info of version 2', rejected('QUOTE_TCB_INFO_UNSUPPORTED')],
    {
      tcbInfo: { members: { version: 2 } },
    },
  ),
  evidenceCase(
    [
      'tcb_signer_expired',
      'TCB signing certificate that has expired',
      rejected('QUOTE_CERTIFICATE_EXPIRED'),
    ],
    ({ simulator }) => {
      const { pki, at } = simulator
      const expired = createTcbSigning(pki.seed, pki.root, { notAfter: at - 1 })
      const tcbInfoChain = [expired.certificate, pki.root.certificate]
      return { collateral: simulator.collateral({ tcbInfoChain }) }
    },
  ),
  collateralCase(
    [
      'tcb_signer_is_pck_ca',
      'TCB info signed by the Platform CA under its own chain',
      rejected('QUOTE_CHAIN_INVALID'),
    ],
    ({ simulator }) => {
      const ca = simulator.pki.pckCa('platform')
      return {
        tcbInfo: { signedBy: ca.key },
        tcbInfoChain: [ca.certificate, simulator.pki.root.certificate],
      }
    },
  ),
  evidenceCase(
    ['tcb_signer_other_root', 'TCB info of another simulator', rejected('QUOTE_ROOT_UNTRUSTED')],
    (bench) => {
      const { simulator } = bench
      const other = createSimulator({
        at: simulator.at,
        seed: simulator.pki.seed.map((byte) => byte ^ 2),
      })
      const foreign = other.collateral()
      return {
        collateral: {
          ...bench.collateral,
          tcb_info: foreign.tcb_info,
          tcb_info_signature: foreign.tcb_info_signature,
          tcb_info_issuer_chain: foreign.tcb_info_issuer_chain,
        },
      }
    },
  ),
  collateralCase(
    ['valid_tcb_fmspc_lowercase', 'FMSPC in lower case', verified()],
    ({ simulator }) => ({
      tcbInfo: { fmspc: simulator.fmspc.toLowerCase() },
    }),
  ),
  collateralCase(
    ['eval_numbers_differ', 'TCB info of number 20, QE identity of number 19', verified()],
    {
      qeIdentity: { evaluationNumber: 19 },
    },
  ),
  collateralCase(['valid_early_set', 'both documents of the early set', verified()], {
    evaluationNumber: 21,
  }),
]

const text = (name: string, about: string, edit: (text: string) => string): FaultCase =>
  collateralCase([name, about, malformed('QUOTE_TCB_INFO_MALFORMED')], { tcbInfo: { edit } })

/** All of them are signed, so only Intel itself could publish them. */
export const tcbInfoTexts: readonly FaultCase[] = [
  text('tcb_no_tdx_module', 'tdxModule is missing', (json) => withoutMember(json, 'tdxModule')),
  text('tcb_no_levels', 'tcbLevels is missing', (json) => withoutMember(json, 'tcbLevels')),
  text('tcb_empty_levels', 'tcbLevels is empty', (json) =>
    json.replace(/"tcbLevels":\[\{"tcb":\{"sgx.*$/, '"tcbLevels":[]}'),
  ),
  text('tcb_duplicate_key', 'two members fmspc', (json) =>
    json.replace('"fmspc":', '"fmspc":"000000000000","fmspc":'),
  ),
  text('tcb_duplicate_nested_key', 'two members pcesvn in one level', (json) =>
    json.replace('"pcesvn":11', '"pcesvn":99,"pcesvn":11'),
  ),
  text('tcb_trailing_garbage', 'bytes after the closing brace', (json) => `${json}{}`),
  text('tcb_trailing_space', 'a space after the closing brace', (json) => `${json} `),
  text('tcb_whitespace', 'a space after each colon', (json) => json.replaceAll('":', '": ')),
  text('tcb_truncated', 'the closing brace is missing', (json) => json.slice(0, -1)),
  text('tcb_half', 'half of the document', (json) => json.slice(0, json.length >> 1)),
  text('tcb_not_json', 'words', () => 'TCB info'),
  text('tcb_array', 'a list around the document', (json) => `[${json}]`),
  text('tcb_deep', 'forty nested lists', (json) =>
    json.replace('"tcbType":0', `"tcbType":${'['.repeat(40)}${']'.repeat(40)}`),
  ),
  text('tcb_svn_256', 'component SVN above 255', (json) => json.replace('"svn":5', '"svn":256')),
  text('tcb_svn_negative', 'component SVN below 0', (json) => json.replace('"svn":5', '"svn":-5')),
  text('tcb_svn_fraction', 'component SVN with a fraction', (json) =>
    json.replace('"svn":5', '"svn":5.5'),
  ),
  text('tcb_svn_text', 'component SVN as text', (json) => json.replace('"svn":5', '"svn":"5"')),
  text('tcb_pcesvn_65536', 'PCESVN above 65,535', (json) =>
    json.replace('"pcesvn":11', '"pcesvn":65536'),
  ),
  text('tcb_fifteen_components', 'fifteen components in a level', (json) =>
    json.replace(',{"svn":0}]', ']'),
  ),
  text('tcb_fmspc_short', 'FMSPC of five bytes', (json) =>
    json.replace(/"fmspc":"../, '"fmspc":"'),
  ),
  text('tcb_mrsigner_short', 'MRSIGNER of 47 bytes', (json) =>
    json.replace('"mrsigner":"00', '"mrsigner":"'),
  ),
  text('tcb_date_impossible', 'issued on 30 February', (json) =>
    json.replace(/"issueDate":"\d{4}-\d\d-\d\d/, '"issueDate":"2026-02-30'),
  ),
  text('tcb_date_with_offset', 'a date with an offset in place of Z', (json) =>
    json.replace('Z"', '+00:00"'),
  ),
]

export const documentChains: readonly FaultCase[] = [
  documentsCase(
    [
      'bundle_chain_empty',
      'no certificate in the chain of the TCB info',
      malformed('QUOTE_PEM_MALFORMED', 'QUOTE_COLLATERAL_MALFORMED'),
    ],
    () => ({
      tcb_info_issuer_chain: '\n',
    }),
  ),
  documentsCase(
    [
      'bundle_chain_crlf',
      'CR LF in the chain of the QE identity',
      malformed('QUOTE_PEM_MALFORMED'),
    ],
    (collateral) => ({
      qe_identity_issuer_chain: collateral.qe_identity_issuer_chain.replaceAll('\n', '\r\n'),
    }),
  ),
  documentsCase(
    [
      'bundle_chain_reversed',
      'root before signer',
      rejected('QUOTE_CHAIN_INVALID', 'QUOTE_ROOT_UNTRUSTED'),
    ],
    (collateral) => ({
      tcb_info_issuer_chain: reverseChain(collateral.tcb_info_issuer_chain),
    }),
  ),
]

function reverseChain(pem: string): string {
  return pem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .reverse()
    .join('')
}
