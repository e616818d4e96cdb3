/** Collateral that is stale, foreign, forged, or not what its format says. */
import { concatBytes, fromHex, toHex } from '../../../lib/bytes.ts'
import type { CollateralDocuments, QeIdentity } from '../collateral.ts'
import { derContent, splitDer, tlv } from '../der.ts'
import { deriveBytes, deriveKey } from '../key.ts'
import { createPckCa, createTcbSigning, deriveSerial } from '../pki.ts'
import { createSimulator } from '../simulator.ts'
import {
  type Bench,
  collateralCase,
  day,
  evidenceCase,
  type FaultCase,
  malformed,
  padded,
  quoteCase,
  rejected,
  verified,
} from './case.ts'

const evil = (bench: Bench) => deriveKey(bench.simulator.pki.seed, 'evil')

/** As many serial numbers as wanted, none of them the honest platform's. */
function strangers(bench: Bench, count: number): Uint8Array[] {
  const bytes = deriveBytes(bench.simulator.pki.seed, 'strangers', 20 * 400)
  return Array.from({ length: count }, (_, index) =>
    concatBytes(
      Uint8Array.of(0x40 | (index >> 8), index & 0xff),
      bytes.slice((index % 400) * 20, (index % 400) * 20 + 18),
    ),
  )
}

const crlPeriod = (bench: Bench, fromDays: number, toDays: number) => ({
  thisUpdate: bench.simulator.at + fromDays * day,
  nextUpdate: bench.simulator.at + toDays * day,
})

export const revocations: readonly FaultCase[] = [
  collateralCase(
    ['crl_leaf_revoked', 'PCK in the list of its CA', rejected('QUOTE_PCK_REVOKED')],
    ({ platform }) => ({
      pckCrl: { revoked: [platform.pckSerial] },
    }),
  ),
  collateralCase(
    ['crl_leaf_revoked_of_1000', 'PCK as the last of 1,000 entries', rejected('QUOTE_PCK_REVOKED')],
    (bench) => ({
      pckCrl: { revoked: [...strangers(bench, 999), bench.platform.pckSerial] },
    }),
  ),
  collateralCase(
    ['valid_crl_1000', '1,000 entries, the PCK not among them', verified()],
    (bench) => ({
      pckCrl: { revoked: strangers(bench, 1000) },
    }),
  ),
  collateralCase(
    ['valid_crl_near_miss', 'serial numbers that differ in one byte', verified()],
    ({ platform }) => ({
      pckCrl: {
        revoked: [
          platform.pckSerial.slice(0, 19),
          platform.pckSerial.slice(1),
          concatBytes(
            platform.pckSerial.slice(0, 19),
            Uint8Array.of((platform.pckSerial[19] as number) ^ 1),
          ),
        ],
      },
    }),
  ),
  collateralCase(
    [
      'crl_intermediate_revoked',
      'Platform CA in the list of the root',
      rejected('QUOTE_CA_REVOKED'),
    ],
    ({ simulator }) => ({
      rootCrl: { revoked: [simulator.pki.pckCa('platform').serial] },
    }),
  ),
  collateralCase(
    [
      'crl_tcb_signing_revoked',
      'TCB signing certificate in the list of the root',
      rejected('QUOTE_TCB_SIGNING_REVOKED'),
    ],
    ({ simulator }) => ({
      rootCrl: { revoked: [simulator.pki.tcbSigning.serial] },
    }),
  ),
  collateralCase(
    [
      'crl_leaf_serial_in_root_crl',
      'PCK serial in the list of the root, which is not its issuer',
      verified(),
    ],
    ({ platform }) => ({
      rootCrl: { revoked: [platform.pckSerial] },
    }),
  ),
  collateralCase(
    ['crl_other_ca_revoked', 'Processor CA revoked, the PCK is of the Platform CA', verified()],
    ({ simulator }) => ({
      rootCrl: { revoked: [simulator.pki.pckCa('processor').serial] },
    }),
  ),
  collateralCase(
    ['crl_root_expired', 'list of the root past its next update', rejected('QUOTE_CRL_EXPIRED')],
    (bench) => ({
      rootCrl: crlPeriod(bench, -30, -1),
    }),
  ),
  collateralCase(
    ['crl_pck_expired', 'list of the CA past its next update', rejected('QUOTE_CRL_EXPIRED')],
    (bench) => ({
      pckCrl: crlPeriod(bench, -30, -1),
    }),
  ),
  collateralCase(
    ['crl_pck_not_yet_valid', 'list of the CA from the future', rejected('QUOTE_NOT_YET_VALID')],
    (bench) => ({
      pckCrl: crlPeriod(bench, 1, 30),
    }),
  ),
  collateralCase(
    ['valid_crl_last_second', 'both lists in their last second', verified()],
    (bench) => ({
      rootCrl: crlPeriod(bench, -30, 0),
      pckCrl: crlPeriod(bench, -30, 0),
    }),
  ),
  collateralCase(
    ['valid_crl_first_second', 'both lists in their first second', verified()],
    (bench) => ({
      rootCrl: crlPeriod(bench, 0, 30),
      pckCrl: crlPeriod(bench, 0, 30),
    }),
  ),
  collateralCase(
    [
      'crl_wrong_issuer',
      'list of the Processor CA for a PCK of the Platform CA',
      rejected('QUOTE_CRL_ISSUER_MISMATCH'),
    ],
    {
      ca: 'processor',
    },
  ),
  collateralCase(
    [
      'crl_bad_signature',
      'list signed by another key under the right name',
      rejected('QUOTE_CRL_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      pckCrl: { signedBy: evil(bench) },
    }),
  ),
  collateralCase(
    [
      'crl_root_bad_signature',
      'list of the root signed by another key',
      rejected('QUOTE_CRL_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      rootCrl: { signedBy: evil(bench) },
    }),
  ),
  collateralCase(
    [
      'crl_issuer_chain_other_key',
      'a CA of the same name and another key as the issuer of the list',
      rejected('QUOTE_CRL_ISSUER_MISMATCH', 'QUOTE_CRL_SIGNATURE_INVALID', 'QUOTE_CHAIN_INVALID'),
    ],
    (bench) => {
      const { pki } = bench.simulator
      const twin = createPckCa(
        pki.seed.map((byte) => byte ^ 1),
        pki.root,
        'platform',
      )
      return { pckCrl: { issuer: twin }, pckCrlChain: [twin.certificate, pki.root.certificate] }
    },
  ),
]

const list = (
  name: string,
  about: string,
  change: (der: Uint8Array) => Uint8Array,
  field: 'pck_crl' | 'root_ca_crl' = 'pck_crl',
): FaultCase =>
  documentsCase(
    [name, about, malformed('QUOTE_CRL_MALFORMED', 'QUOTE_DER_MALFORMED')],
    (collateral) => ({
      [field]: toHex(change(fromHex(collateral[field], field))),
    }),
  )

export const listEncodings: readonly FaultCase[] = [
  list('crl_trailing_byte', 'a byte after the list', (der) => concatBytes(der, Uint8Array.of(0))),
  list('crl_truncated', 'the last byte is missing', (der) => der.slice(0, -1)),
  list('crl_half', 'half of the list', (der) => der.slice(0, der.length >> 1)),
  list(
    'crl_root_trailing_byte',
    'a byte after the list of the root',
    (der) => concatBytes(der, Uint8Array.of(0)),
    'root_ca_crl',
  ),
  list('crl_indefinite', 'BER: list of indefinite length', (der) =>
    concatBytes(Uint8Array.of(0x30, 0x80), derContent(der), new Uint8Array(2)),
  ),
  collateralCase(
    [
      'crl_serial_negative',
      'negative serial number in the list',
      malformed('QUOTE_CRL_MALFORMED', 'QUOTE_DER_MALFORMED'),
    ],
    (bench) => ({
      pckCrl: {
        revoked: strangers(bench, 1),
        edits: { signed: (tbs) => editRevoked(tbs, tlv(0x02, Uint8Array.of(0x80, 1))) },
      },
    }),
  ),
  collateralCase(
    [
      'crl_empty_list_written',
      'an empty list written out, which RFC 5280 forbids',
      malformed('QUOTE_CRL_MALFORMED', 'QUOTE_DER_MALFORMED'),
    ],
    (bench) => ({
      pckCrl: {
        revoked: strangers(bench, 1),
        edits: { signed: (tbs) => replaceChild(tbs, 5, () => tlv(0x30)) },
      },
    }),
  ),
  collateralCase(
    [
      'crl_version_1',
      'list of version 1 with extensions',
      malformed('QUOTE_CRL_MALFORMED', 'QUOTE_DER_MALFORMED'),
    ],
    {
      pckCrl: {
        edits: { signed: (tbs) => replaceChild(tbs, 0, () => tlv(0x02, Uint8Array.of(0))) },
      },
    },
  ),
]

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
      tcbInfo: { signedBy: evil(bench) },
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

/** All signed: the authority itself would have to publish them. */
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

export const qeIdentityDocuments: readonly FaultCase[] = [
  collateralCase(
    ['qe_id_expired', 'QE identity past its next update', rejected('QUOTE_QE_IDENTITY_EXPIRED')],
    ({ simulator }) => ({
      qeIdentity: { issuedAt: simulator.at - 40 * day },
    }),
  ),
  collateralCase(
    ['qe_id_not_yet_valid', 'QE identity from the future', rejected('QUOTE_NOT_YET_VALID')],
    ({ simulator }) => ({
      qeIdentity: { issuedAt: simulator.at + day },
    }),
  ),
  collateralCase(
    [
      'qe_id_bad_signature',
      'QE identity signed by another key',
      rejected('QUOTE_QE_IDENTITY_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      qeIdentity: { signedBy: evil(bench) },
    }),
  ),
  collateralCase(
    [
      'qe_id_changed',
      'signer changed after signing',
      rejected('QUOTE_QE_IDENTITY_SIGNATURE_INVALID'),
    ],
    {
      qeIdentity: { tamper: (json) => json.replace('"isvprodid":2', '"isvprodid":3') },
    },
  ),
  collateralCase(
    ['qe_id_qe', "identity of SGX's quoting enclave", rejected('QUOTE_QE_IDENTITY_UNSUPPORTED')],
    {
      qeIdentity: { members: { id: 'QE' } },
    },
  ),
  collateralCase(
    ['qe_id_version_1', 'QE identity of version 1', rejected('QUOTE_QE_IDENTITY_UNSUPPORTED')],
    {
      qeIdentity: { members: { version: 1 } },
    },
  ),
  identityText('qe_id_duplicate_key', 'two members mrsigner', (json) =>
    json.replace('"mrsigner":', `"mrsigner":"${'00'.repeat(32)}","mrsigner":`),
  ),
  identityText('qe_id_truncated', 'the closing brace is missing', (json) => json.slice(0, -1)),
  identityText('qe_id_trailing', 'bytes after the closing brace', (json) => `${json}0`),
  identityText('qe_id_mrsigner_short', 'MRSIGNER of 31 bytes', (json) =>
    json.replace(/"mrsigner":"../, '"mrsigner":"'),
  ),
  identityText('qe_id_no_levels', 'tcbLevels is missing', (json) =>
    withoutMember(json, 'tcbLevels'),
  ),
]

export const quotingEnclaves: readonly FaultCase[] = [
  enclave('qe_mrsigner', 'MRSIGNER differs', { mrSigner: padded(32, 1) }),
  enclave('qe_miscselect', 'MISCSELECT differs', { miscSelect: padded(4, 1) }),
  enclave('qe_attributes', 'PROVISION_KEY clear', {
    attributes: padded(16, 0x05, 0, 0, 0, 0, 0, 0, 0, 0xe7),
  }),
  enclave('qe_debug', 'DEBUG set', { attributes: padded(16, 0x17, 0, 0, 0, 0, 0, 0, 0, 0xe7) }),
  enclave('qe_prodid', 'ISVPRODID differs', { isvProdId: 1 }),
  quoteCase(['valid_qe_masked_attribute', 'an attribute outside the mask', verified()], {
    qe: { attributes: padded(16, 0x15, 0, 0, 0, 0, 0, 0, 0, 0xff) },
  }),
  identity('qe_id_other_signer', 'the identity names another signer', {
    mrsigner: '11'.repeat(32),
  }),
]

export const bundles: readonly FaultCase[] = [
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

/** Renewed serials of every DER width: 19, 20 and 21 content bytes. */
export const serials: readonly FaultCase[] = [
  ['short', (serial: Uint8Array) => serial.slice(1)],
  ['high', (serial: Uint8Array) => concatBytes(Uint8Array.of(0xff), serial.slice(1))],
  ['low', (serial: Uint8Array) => concatBytes(Uint8Array.of(0x01), serial.slice(1))],
].map(([kind, change]) =>
  evidenceCase(
    [`crl_serial_${kind}`, `revoked PCK whose serial is ${kind}`, rejected('QUOTE_PCK_REVOKED')],
    ({ simulator }) => {
      const serial = (change as (serial: Uint8Array) => Uint8Array)(
        deriveSerial(simulator.pki.seed, `serial-${kind as string}`),
      )
      return {
        quote: simulator.createPlatform({ pck: { serial } }).quote(),
        collateral: simulator.collateral({ pckCrl: { revoked: [serial] } }),
      }
    },
  ),
)

function documentsCase(
  title: Parameters<typeof evidenceCase>[0],
  change: (collateral: CollateralDocuments) => Partial<CollateralDocuments>,
): FaultCase {
  return evidenceCase(title, ({ collateral }) => ({
    collateral: { ...collateral, ...change(collateral) },
  }))
}

function identityText(name: string, about: string, edit: (text: string) => string): FaultCase {
  return collateralCase([name, about, malformed('QUOTE_QE_IDENTITY_MALFORMED')], {
    qeIdentity: { edit },
  })
}

function identity(name: string, about: string, members: Partial<QeIdentity>): FaultCase {
  return collateralCase([name, about, rejected('QUOTE_QE_IDENTITY_MISMATCH')], {
    qeIdentity: { members },
  })
}

function enclave(
  name: string,
  about: string,
  qe: NonNullable<Parameters<Bench['platform']['quote']>[0]>['qe'],
): FaultCase {
  return quoteCase([name, about, rejected('QUOTE_QE_IDENTITY_MISMATCH')], { qe: { ...qe } })
}

function withoutMember(json: string, name: string): string {
  const { [name]: _, ...rest } = JSON.parse(json) as Record<string, unknown>
  return JSON.stringify(rest)
}

function reverseChain(pem: string): string {
  return pem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .reverse()
    .join('')
}

function replaceChild(
  der: Uint8Array,
  index: number,
  change: (value: Uint8Array) => Uint8Array,
): Uint8Array {
  const children = splitDer(derContent(der))
  children[index] = change(children[index] as Uint8Array)
  return tlv(der[0] as number, ...children)
}

/** Replaces the serial number of the first entry. */
function editRevoked(tbs: Uint8Array, serial: Uint8Array): Uint8Array {
  return replaceChild(tbs, 5, (entries) =>
    replaceChild(entries, 0, (entry) => replaceChild(entry, 0, () => serial)),
  )
}
