/** CRLs: revoked certificates, wrong signers, malformed lists. */
import { concatBytes, fromHex, toHex } from '../../../src/lib/bytes.ts'
import { derContent, editDer, tlv } from '../../../src/tee/simulator/der.ts'
import { deriveBytes } from '../../../src/tee/simulator/key.ts'
import { createPckCa, deriveSerial } from '../../../src/tee/simulator/pki.ts'
import {
  type CaseFixture,
  collateralCase,
  day,
  documentsCase,
  evidenceCase,
  evilKey,
  type FaultCase,
  malformed,
  rejected,
  verified,
} from './case.ts'

/** A number of serial numbers that do not contain that of the genuine platform. */
function strangers(bench: CaseFixture, count: number): Uint8Array[] {
  const bytes = deriveBytes(bench.simulator.pki.seed, 'strangers', 20 * 400)
  return Array.from({ length: count }, (_, index) =>
    concatBytes(
      Uint8Array.of(0x40 | (index >> 8), index & 0xff),
      bytes.slice((index % 400) * 20, (index % 400) * 20 + 18),
    ),
  )
}

const crlPeriod = (bench: CaseFixture, fromDays: number, toDays: number) => ({
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
      'crl_of_other_ca',
      'list of the Processor CA beside the chain of the Platform CA',
      rejected('QUOTE_CRL_ISSUER_MISMATCH'),
    ],
    ({ simulator }) => ({ pckCrl: { issuer: simulator.pki.pckCa('processor') } }),
  ),
  collateralCase(
    [
      'crl_bad_signature',
      'list signed by another key under the right name',
      rejected('QUOTE_CRL_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      pckCrl: { signedBy: evilKey(bench) },
    }),
  ),
  collateralCase(
    [
      'crl_root_bad_signature',
      'list of the root signed by another key',
      rejected('QUOTE_CRL_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      rootCrl: { signedBy: evilKey(bench) },
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

/** Serial numbers of 19, 20 and 21 content bytes, and zero. */
export const serials: readonly FaultCase[] = [
  ['short', (serial: Uint8Array) => serial.slice(1)],
  ['high', (serial: Uint8Array) => concatBytes(Uint8Array.of(0xff), serial.slice(1))],
  ['low', (serial: Uint8Array) => concatBytes(Uint8Array.of(0x01), serial.slice(1))],
  ['zero', () => new Uint8Array(1)],
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
        edits: {
          signed: (tbs) => editDer(tbs, [5, 0, 0], () => tlv(0x02, Uint8Array.of(0x80, 1))),
        },
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
        edits: { signed: (tbs) => editDer(tbs, [5], () => tlv(0x30)) },
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
        edits: { signed: (tbs) => editDer(tbs, [0], () => tlv(0x02, Uint8Array.of(0))) },
      },
    },
  ),
]
