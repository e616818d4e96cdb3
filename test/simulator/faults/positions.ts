/** The same fault at each position of a chain: not valid at the time, revoked, high s, non-strict DER signature. */
import { p256 } from '@noble/curves/nist.js'

import { concatBytes, fromHex, toHex } from '../../../src/lib/bytes.ts'
import type { Edits } from '../../../src/tee/simulator/certificate.ts'
import type {
  CollateralDocuments,
  CollateralOptions,
} from '../../../src/tee/simulator/collateral.ts'
import { derContent, editDer, splitDer, tlv } from '../../../src/tee/simulator/der.ts'
import {
  type AuthorityOptions,
  createPckCa,
  createRoot,
  createTcbSigning,
  deriveSerial,
  firstSecond,
  type SimulatedCa,
} from '../../../src/tee/simulator/pki.ts'
import {
  type CaseFixture,
  collateralCase,
  day,
  documentsCase,
  type Expectation,
  evidenceCase,
  type FaultCase,
  malformed,
  platformCase,
  quoteCase,
  rejected,
  verified,
} from './case.ts'

const { n } = p256.Point.CURVE()

const expired = rejected('QUOTE_CERTIFICATE_EXPIRED')
const early = rejected('QUOTE_NOT_YET_VALID')

type Times = Pick<AuthorityOptions, 'notBefore' | 'notAfter'>

type PartialCaseEvidence = Partial<ReturnType<FaultCase['build']>>
type Reissue = (bench: CaseFixture, options: AuthorityOptions) => PartialCaseEvidence

const quoteCa: Reissue = ({ simulator, platform }, options) => ({
  quote: platform.quote({ pckChain: [platform.pck, ...caChain(simulator, options)] }),
})
const listCa: Reissue = ({ simulator }, options) => ({
  collateral: simulator.collateral({ pckCrlChain: caChain(simulator, options) }),
})

type CertificatePosition = 'quote_ca' | 'crl_ca' | 'ca' | 'tcb_signing' | 'qe_identity_signing'

/** Each intermediate certificate, re-issued: the CA in the quote, in the collateral, or in both. */
const places: Readonly<Record<CertificatePosition, Reissue>> = {
  quote_ca: quoteCa,
  crl_ca: listCa,
  ca: (bench, options) => ({ ...quoteCa(bench, options), ...listCa(bench, options) }),
  tcb_signing: ({ simulator }, options) => ({
    collateral: simulator.collateral({ tcbInfoChain: signingChain(simulator, options) }),
  }),
  // the on-chain store replaces one signer by the next, so the second must be newer
  qe_identity_signing: ({ simulator }, options) => ({
    collateral: simulator.collateral({
      qeIdentityChain: signingChain(simulator, { notBefore: firstSecond, ...options }),
    }),
  }),
}

function caChain({ pki }: CaseFixture['simulator'], options: AuthorityOptions) {
  return chainOf(createPckCa(pki.seed, pki.root, 'platform', options), pki.root)
}

function signingChain({ pki }: CaseFixture['simulator'], options: AuthorityOptions) {
  return chainOf(createTcbSigning(pki.seed, pki.root, options), pki.root)
}

function chainOf(...authorities: readonly SimulatedCa[]): Uint8Array[] {
  return authorities.map(({ certificate }) => certificate)
}

/** A case whose certificate at this position is just valid or just not valid. */
const timed = (
  place: CertificatePosition,
  name: string,
  about: string,
  expect: Expectation,
  change: (at: number) => Times,
): FaultCase =>
  evidenceCase([name, `${place}: ${about}`, expect], (bench) =>
    places[place](bench, change(bench.simulator.at)),
  )

export const times: readonly FaultCase[] = [
  ...(['quote_ca', 'crl_ca', 'tcb_signing', 'qe_identity_signing'] as const).flatMap((place) => [
    timed(place, `${place}_expired`, 'ended a second ago', expired, (at) => ({ notAfter: at - 1 })),
    timed(place, `${place}_not_yet_valid`, 'begins tomorrow', early, (at) => ({
      notBefore: at + day,
    })),
  ]),
  ...(['ca', 'tcb_signing', 'qe_identity_signing'] as const).flatMap((place) => [
    timed(place, `valid_${place}_last_second`, 'in its last second', verified(), (at) => ({
      notAfter: at,
    })),
    timed(place, `valid_${place}_first_second`, 'in its first second', verified(), (at) => ({
      notBefore: at,
    })),
  ]),
]

export const revokedPlaces: readonly FaultCase[] = [
  evidenceCase(
    [
      'crl_qe_identity_signing_revoked',
      'signer of the QE identity revoked, that of the TCB info not',
      rejected('QUOTE_TCB_SIGNING_REVOKED'),
    ],
    ({ simulator }) => {
      const serial = deriveSerial(simulator.pki.seed, 'second signer')
      const qeIdentityChain = signingChain(simulator, { serial, notBefore: firstSecond })
      return {
        collateral: simulator.collateral({ qeIdentityChain, rootCrl: { revoked: [serial] } }),
      }
    },
  ),
  evidenceCase(
    [
      'crl_processor_ca_revoked',
      'Processor CA revoked under a PCK of its own',
      rejected('QUOTE_CA_REVOKED'),
    ],
    ({ simulator }) => ({
      quote: simulator.createPlatform({ ca: 'processor' }).quote(),
      collateral: simulator.collateral({
        ca: 'processor',
        rootCrl: { revoked: [simulator.pki.pckCa('processor').serial] },
      }),
    }),
  ),
  collateralCase(
    ['crl_ca_serial_in_pck_crl', 'serial of the CA in its own list, not its issuer’s', verified()],
    ({ simulator }) => ({ pckCrl: { revoked: [simulator.pki.pckCa('platform').serial] } }),
  ),
  collateralCase(
    ['crl_root_not_yet_valid', 'list of the root from the future', early],
    ({ simulator }) => ({
      rootCrl: { thisUpdate: simulator.at + day, nextUpdate: simulator.at + 30 * day },
    }),
  ),
]

/* ANY S, EVERYWHERE */

const halves = ['high', 'low'] as const

/** The same signature with s in the given half of the range. ECDSA accepts both. */
function inHalf(half: (typeof halves)[number], s: bigint): bigint {
  const isHigh = s > n / 2n
  return isHigh === (half === 'high') ? s : n - s
}

function rawInHalf(half: (typeof halves)[number]) {
  return (signature: Uint8Array): Uint8Array => {
    const s = inHalf(half, numberOf(signature.subarray(32)))
    return concatBytes(signature.slice(0, 32), fromHex(s.toString(16).padStart(64, '0'), 's'))
  }
}

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`)

/** Replaces r and s of a signed structure. */
function editSignature(change: (r: Uint8Array, s: Uint8Array) => Uint8Array): Edits {
  return {
    whole: (der) =>
      editDer(der, [2], (bits) => {
        const [r, s] = splitDer(derContent(derContent(bits).subarray(1)))
        return tlv(
          0x03,
          Uint8Array.of(0),
          change(derContent(r as Uint8Array), derContent(s as Uint8Array)),
        )
      }),
  }
}

function derInHalf(half: (typeof halves)[number]): Edits {
  return editSignature((r, s) => {
    const hex = inHalf(half, numberOf(s)).toString(16)
    const digits = fromHex(hex.padStart(hex.length + (hex.length % 2), '0'), 's')
    const content = (digits[0] as number) > 0x7f ? concatBytes(Uint8Array.of(0), digits) : digits
    return tlv(0x30, tlv(0x02, r), tlv(0x02, content))
  })
}

function documentInHalf(
  field: 'tcb_info_signature' | 'qe_identity_signature',
  half: 'high' | 'low',
) {
  return (collateral: CollateralDocuments) => ({
    [field]: toHex(rawInHalf(half)(fromHex(collateral[field], field))),
  })
}

export const signatureHalves: readonly FaultCase[] = halves.flatMap((half) => [
  quoteCase([`valid_${half}_s_qe_report`, `QE report with a ${half} s`, verified()], {
    editQeSignature: rawInHalf(half),
  }),
  documentsCase(
    [`valid_${half}_s_tcb_info`, `TCB info with a ${half} s`, verified()],
    documentInHalf('tcb_info_signature', half),
  ),
  documentsCase(
    [`valid_${half}_s_qe_identity`, `QE identity with a ${half} s`, verified()],
    documentInHalf('qe_identity_signature', half),
  ),
  platformCase([`valid_${half}_s_leaf`, `PCK certificate with a ${half} s`, verified()], {
    pck: { edits: derInHalf(half) },
  }),
  collateralCase([`valid_${half}_s_pck_crl`, `list of the CA with a ${half} s`, verified()], {
    pckCrl: { edits: derInHalf(half) },
  }),
  collateralCase([`valid_${half}_s_root_crl`, `list of the root with a ${half} s`, verified()], {
    rootCrl: { edits: derInHalf(half) },
  }),
  ...(['ca', 'tcb_signing', 'qe_identity_signing'] as const).map((place) =>
    evidenceCase([`valid_${half}_s_${place}`, `${place} with a ${half} s`, verified()], (bench) =>
      places[place](bench, { edits: derInHalf(half) }),
    ),
  ),
])

/* OTHER DER */

type Rewrite = (r: Uint8Array, s: Uint8Array) => Uint8Array

const integer = (content: Uint8Array) => tlv(0x02, content)
const zero = Uint8Array.of(0)

/** Signatures with correct numbers and invalid DER. */
const rewrites: Readonly<Record<string, readonly [about: string, Rewrite]>> = {
  r_padded: [
    'a needless zero before r',
    (r, s) => tlv(0x30, integer(concatBytes(zero, zero, r)), integer(s)),
  ],
  s_padded: [
    'a needless zero before s',
    (r, s) => tlv(0x30, integer(r), integer(concatBytes(zero, zero, s))),
  ],
  trailing: ['a third number', (r, s) => tlv(0x30, integer(r), integer(s), integer(zero))],
  trailing_outside: [
    'a byte after the pair',
    (r, s) => concatBytes(tlv(0x30, integer(r), integer(s)), zero),
  ],
  one_number: ['r alone', (r) => tlv(0x30, integer(r))],
  set: ['a SET in place of a SEQUENCE', (r, s) => tlv(0x31, integer(r), integer(s))],
  r_too_long: [
    'an r of 34 bytes',
    (r, s) =>
      tlv(
        0x30,
        integer(concatBytes(Uint8Array.of(1), new Uint8Array(33 - r.length), r)),
        integer(s),
      ),
  ],
  r_negative: [
    'a negative r',
    (r, s) =>
      tlv(
        0x30,
        integer(concatBytes(Uint8Array.of(0x80 | (r.at(-32) ?? 0)), r.slice(-31))),
        integer(s),
      ),
  ],
}

const inDer = malformed('QUOTE_DER_MALFORMED', 'QUOTE_CERTIFICATE_MALFORMED', 'QUOTE_CRL_MALFORMED')

export const signatureEncodings: readonly FaultCase[] = Object.entries(rewrites).flatMap(
  ([name, [about, rewrite]]) => {
    const edits = editSignature(rewrite)
    const list = (kind: 'pckCrl' | 'rootCrl'): CollateralOptions => ({ [kind]: { edits } })
    return [
      platformCase([`der_signature_${name}_leaf`, `PCK certificate: ${about}`, inDer], {
        pck: { edits },
      }),
      collateralCase(
        [`der_signature_${name}_pck_crl`, `list of the CA: ${about}`, inDer],
        list('pckCrl'),
      ),
      collateralCase(
        [`der_signature_${name}_root_crl`, `list of the root: ${about}`, inDer],
        list('rootCrl'),
      ),
    ]
  },
)

export const roots: readonly FaultCase[] = [
  evidenceCase(
    ['root_expired', 'the root certificate that comes along has ended', expired],
    ({ simulator, platform }) => {
      const { pki, at } = simulator
      const old = createRoot(pki.seed, { notAfter: at - 1 })
      const ca = createPckCa(pki.seed, old, 'platform')
      const signing = chainOf(createTcbSigning(pki.seed, old), old)
      return {
        quote: platform.quote({ pckChain: [platform.pck, ...chainOf(ca, old)] }),
        collateral: simulator.collateral({
          pckCrlChain: chainOf(ca, old),
          tcbInfoChain: signing,
          qeIdentityChain: signing,
        }),
      }
    },
  ),
]
