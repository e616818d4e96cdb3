/** Faults of the quoting enclave and of the QE identity. */
import type { QeIdentityJson } from '../../../src/tee/simulator/collateral.ts'
import type { QeFields } from '../../../src/tee/simulator/quote.ts'
import {
  collateralCase,
  day,
  evilKey,
  type FaultCase,
  malformed,
  padded,
  quoteCase,
  rejected,
  verified,
  withoutMember,
} from './case.ts'

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
      qeIdentity: { signedBy: evilKey(bench) },
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

function identityText(name: string, about: string, edit: (text: string) => string): FaultCase {
  return collateralCase([name, about, malformed('QUOTE_QE_IDENTITY_MALFORMED')], {
    qeIdentity: { edit },
  })
}

function identity(name: string, about: string, members: Partial<QeIdentityJson>): FaultCase {
  return collateralCase([name, about, rejected('QUOTE_QE_IDENTITY_MISMATCH')], {
    qeIdentity: { members },
  })
}

function enclave(name: string, about: string, qe: QeFields): FaultCase {
  return quoteCase([name, about, rejected('QUOTE_QE_IDENTITY_MISMATCH')], { qe })
}
