/** Unusual valid quotes, malformed quotes, and quotes with invalid signatures. */

import { p256 } from '@noble/curves/nist.js'
import { concatBytes } from '../../../src/lib/bytes.ts'
import type { MalformedCode } from '../../../src/quote/verdict.ts'
import { buildTdReport, type QuoteOptions } from '../../../src/tee/simulator/quote.ts'
import {
  bytesCase,
  evidenceCase,
  evilKey,
  type FaultCase,
  malformed,
  padded,
  platformCase,
  quoteCase,
  rejected,
  verified,
} from './case.ts'

const { n } = p256.Point.CURVE()

export const validQuotes: readonly FaultCase[] = [
  quoteCase(['valid_v4_td10', 'version 4, TD report 1.0', verified()], {}),
  quoteCase(['valid_v5_td10', 'version 5, body type 2', verified()], { version: 5, bodyType: 2 }),
  quoteCase(['valid_v5_td15', 'version 5, body type 3', verified()], { version: 5, bodyType: 3 }),
  quoteCase(['valid_v5_td15_ex', 'version 5, body type 4', verified()], {
    version: 5,
    bodyType: 4,
    td: { ex: new Uint8Array(237).fill(0x77) },
  }),
  platformCase(
    ['valid_processor_ca', 'PCK issued by the Processor CA', verified()],
    { ca: 'processor' },
    {},
    { ca: 'processor' },
  ),
  quoteCase(['valid_qe_auth_empty', 'no QE authentication data', verified()], {
    qeAuthData: new Uint8Array(),
  }),
  quoteCase(['valid_qe_auth_1000', '1,000 bytes of QE authentication data', verified()], {
    qeAuthData: new Uint8Array(1000).fill(0xa5),
  }),
  quoteCase(['valid_high_s', 'signature with s in the upper half', verified()], {
    editSignature: (signature) => withS(signature, (s) => (s > n / 2n ? s : n - s)),
  }),
  quoteCase(['valid_low_s', 'signature with s in the lower half', verified()], {
    editSignature: (signature) => withS(signature, (s) => (s > n / 2n ? n - s : s)),
  }),
  quoteCase(['valid_padding', 'zeros after the end, as clouds add them', verified()], {
    padding: 3064,
  }),
  quoteCase(
    ['valid_chain_without_nul', 'certificate chain that ends without NUL', verified()],
    (bench) => ({
      certificationData: pemOf(bench.quote),
    }),
  ),
  quoteCase(
    ['valid_report_data_upper', 'upper half of the QE report data in use', verified()],
    (bench) => ({
      qe: { reportData: withUpperHalf(bench.quote) },
    }),
  ),
]

export const malformedQuotes: readonly FaultCase[] = [
  ...headerCases(),
  ...bodyCases(),
  ...lengthCases(),
  ...[0, 1, 47, 48, 631, 632, 635, 636, 700, 1020, 1156, 1190, 2000].map((length) =>
    bytesCase(
      [`truncated_${length}`, `the first ${length} bytes of a quote`, truncation(length)],
      (quote) => quote.slice(0, length),
    ),
  ),
  bytesCase(
    [
      'truncated_last_byte',
      'all but the last byte',
      malformed('QUOTE_TRUNCATED', 'QUOTE_SIZE_MISMATCH'),
    ],
    (quote) => quote.slice(0, -1),
  ),
  bytesCase(['oversized', 'more bytes than any quote has', malformed('QUOTE_TOO_LARGE')], (quote) =>
    concatBytes(quote, new Uint8Array(1_000_000)),
  ),
]

/** Offset of the body of a version 5 quote. */
const bodyStart = 48 + 6

/** Fields that only version 5 quotes have. */
const signedFields: readonly (readonly [name: string, bodyType: 3 | 4, offset: number])[] = [
  ['svn2', 3, 584],
  ['mrservicetd', 3, 647],
  ['svn2_ex', 4, 584],
  ['vmid_ex', 4, 648],
  ['last_byte_ex', 4, 884],
]

export const wrongSignatures: readonly FaultCase[] = [
  quoteCase(
    [
      'sig_quote_bad',
      'one bit of the quote signature flipped',
      rejected('QUOTE_SIGNATURE_INVALID'),
    ],
    {
      editSignature: flipBit,
    },
  ),
  bytesCase(
    [
      'sig_body_changed',
      'one byte of RTMR3 changed after signing',
      rejected('QUOTE_SIGNATURE_INVALID'),
    ],
    (quote) => {
      quote[48 + 472] = (quote[48 + 472] as number) ^ 1
      return quote
    },
  ),
  ...signedFields.map(([name, bodyType, offset]) =>
    evidenceCase(
      [
        `sig_v5_${name}_changed`,
        `${name} of a body of type ${bodyType} changed after signing`,
        rejected('QUOTE_SIGNATURE_INVALID'),
      ],
      ({ platform }) => {
        const quote = platform.quote({ version: 5, bodyType })
        const place = bodyStart + offset
        quote[place] = (quote[place] as number) ^ 1
        return { quote }
      },
    ),
  ),
  quoteCase(['sig_quote_r_zero', 'r = 0', rejected('QUOTE_SIGNATURE_INVALID')], {
    editSignature: (signature) => padded32(0n, signature.slice(32)),
  }),
  quoteCase(['sig_quote_s_zero', 's = 0', rejected('QUOTE_SIGNATURE_INVALID')], {
    editSignature: (signature) => withS(signature, () => 0n),
  }),
  quoteCase(['sig_quote_r_n', 'r = n', rejected('QUOTE_SIGNATURE_INVALID')], {
    editSignature: (signature) => padded32(n, signature.slice(32)),
  }),
  quoteCase(
    [
      'sig_quote_s_plus_n',
      's = n + 1, beyond the group order',
      rejected('QUOTE_SIGNATURE_INVALID'),
    ],
    {
      editSignature: (signature) => withS(signature, () => n + 1n),
    },
  ),
  quoteCase(
    [
      'sig_key_off_curve',
      'attestation key that is no point, bound by the QE',
      rejected('QUOTE_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      attestationKey: { ...bench.platform.attestationKey, publicKey: padded(64, 1) },
    }),
  ),
  quoteCase(
    [
      'sig_qe_bad',
      'one bit of the QE report signature flipped',
      rejected('QUOTE_QE_REPORT_SIGNATURE_INVALID'),
    ],
    {
      editQeSignature: flipBit,
    },
  ),
  quoteCase(
    [
      'sig_qe_report_by_evil',
      'QE report signed by a key that is not the PCK',
      rejected('QUOTE_QE_REPORT_SIGNATURE_INVALID'),
    ],
    (bench) => ({
      pckKey: evilKey(bench),
    }),
  ),
  quoteCase(
    [
      'qe_report_data_mismatch',
      'the QE vouches for another attestation key',
      rejected('QUOTE_QE_REPORT_DATA_MISMATCH'),
    ],
    {
      qe: { reportData: padded(64, 1, 2, 3) },
    },
  ),
]

function headerCases(): FaultCase[] {
  const wrong = (name: string, about: string, code: MalformedCode, options: QuoteOptions) =>
    quoteCase([name, about, malformed(code)], options)
  return [
    ...[0, 3, 6, 0x0400].map((version) =>
      wrong(`hdr_version_${version}`, `version ${version}`, 'QUOTE_VERSION_UNSUPPORTED', {
        header: { version },
      }),
    ),
    ...[0, 1, 3].map((attestationKeyType) =>
      wrong(
        `hdr_key_type_${attestationKeyType}`,
        `attestation key type ${attestationKeyType}`,
        'QUOTE_KEY_TYPE_UNSUPPORTED',
        { header: { attestationKeyType } },
      ),
    ),
    ...[0, 0x82, 0x81000000].map((teeType) =>
      wrong(`hdr_tee_type_${teeType}`, `TEE type ${teeType}`, 'QUOTE_TEE_TYPE_UNSUPPORTED', {
        header: { teeType },
      }),
    ),
    wrong('hdr_vendor', 'QE vendor that is not Intel', 'QUOTE_VENDOR_UNKNOWN', {
      header: { vendorId: new Uint8Array(16).fill(9) },
    }),
    ...[0, 1, 5, 9].map((type) =>
      wrong(`v5_body_type_${type}`, `body type ${type}`, 'QUOTE_BODY_TYPE_UNSUPPORTED', {
        version: 5,
        bodyType: 3,
        declaredBody: { type },
      }),
    ),
    wrong('v5_body_size_wrong', 'size of type 2 declared for type 3', 'QUOTE_BODY_SIZE_WRONG', {
      version: 5,
      bodyType: 3,
      declaredBody: { size: 584 },
    }),
    ...(
      [
        [2, 584, 'QUOTE_BODY_SIZE_WRONG'],
        [3, 648, 'QUOTE_BODY_SIZE_WRONG'],
        [4, 885, 'QUOTE_BODY_SIZE_WRONG'],
      ] as const
    ).map(([type, size, code]) =>
      wrong(`v5_body_type_${type}_size_plus_one`, `type ${type} with one byte more`, code, {
        version: 5,
        bodyType: type,
        declaredBody: { size: size + 1 },
      }),
    ),
    wrong('v5_body_size_huge', 'body of 4 GiB declared', 'QUOTE_BODY_SIZE_WRONG', {
      version: 5,
      bodyType: 3,
      declaredBody: { size: 0xffffffff },
    }),
  ]
}

/** A quote whose declared body type is wrong, so that its fields would be read at other offsets. */
function bodyCases(): FaultCase[] {
  const as = (name: string, about: string, options: QuoteOptions) =>
    quoteCase(
      [
        name,
        about,
        malformed('QUOTE_SIZE_MISMATCH', 'QUOTE_TRUNCATED', 'QUOTE_CERTIFICATION_TYPE_UNSUPPORTED'),
      ],
      options,
    )
  const sizes = { 2: 584, 3: 648, 4: 885 } as const
  const types = [2, 3, 4] as const
  return [
    ...types.flatMap((bodyType) =>
      types
        .filter((type) => type !== bodyType)
        .map((type) =>
          as(
            `v5_body_${bodyType}_as_${type}`,
            `a body of type ${bodyType} as one of type ${type}`,
            {
              version: 5,
              bodyType,
              declaredBody: { type, size: sizes[type] },
            },
          ),
        ),
    ),
    ...([3, 4] as const).map((bodyType) =>
      as(`v4_body_${bodyType}`, `a body of type ${bodyType} in a quote of version 4`, {
        version: 4,
        bodyType,
      }),
    ),
  ]
}

function lengthCases(): FaultCase[] {
  const length = (name: string, about: string, options: QuoteOptions) =>
    quoteCase([name, about, malformed('QUOTE_SIZE_MISMATCH', 'QUOTE_TRUNCATED')], options)
  const type = (name: string, about: string, options: QuoteOptions) =>
    quoteCase([name, about, malformed('QUOTE_CERTIFICATION_TYPE_UNSUPPORTED')], options)
  return [
    type('auth_outer_type_5', 'certification data of type 5 outside', { certificationType: 5 }),
    type('auth_inner_type_4', 'a single PCK certificate inside', { innerCertificationType: 4 }),
    type('auth_inner_type_3', 'an encrypted PPID inside', { innerCertificationType: 3 }),
    length('auth_size_overrun', 'auth data one byte longer than the quote', {
      lengthErrors: { auth: 1 },
    }),
    length('auth_size_underrun', 'auth data one byte shorter than its content', {
      lengthErrors: { auth: -1 },
    }),
    length('auth_certification_overrun', 'QE certification data longer than the auth data', {
      lengthErrors: { certification: 1 },
    }),
    length('auth_certification_underrun', 'QE certification data shorter than its content', {
      lengthErrors: { certification: -1 },
    }),
    length('auth_cert_size_overrun', 'certificate chain longer than its container', {
      lengthErrors: { inner: 1 },
    }),
    length('auth_cert_size_underrun', 'certificate chain shorter than its container', {
      lengthErrors: { inner: -1 },
    }),
    quoteCase(
      [
        'auth_qe_auth_overrun',
        'QE authentication data that swallows what follows',
        malformed('QUOTE_SIZE_MISMATCH', 'QUOTE_TRUNCATED', 'QUOTE_CERTIFICATION_TYPE_UNSUPPORTED'),
      ],
      { lengthErrors: { qeAuth: 0x7000 } },
    ),
  ]
}

function truncation(length: number) {
  return length >= 636
    ? malformed('QUOTE_TRUNCATED', 'QUOTE_SIZE_MISMATCH')
    : malformed('QUOTE_TRUNCATED')
}

function flipBit(signature: Uint8Array): Uint8Array {
  const flipped = new Uint8Array(signature)
  flipped[10] = (flipped[10] as number) ^ 4
  return flipped
}

function withS(signature: Uint8Array, change: (s: bigint) => bigint): Uint8Array {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  return concatBytes(signature.slice(0, 32), scalar(change(s)))
}

function padded32(r: bigint, s: Uint8Array): Uint8Array {
  return concatBytes(scalar(r), s)
}

function scalar(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
}

/** The chain of a version 4 quote, without its NUL. */
function pemOf(quote: Uint8Array): Uint8Array {
  return quote.slice(Buffer.from(quote).indexOf('-----BEGIN'), -1)
}

/** Genuine QE report data of a version 4 quote, with other bytes in the unused half. */
function withUpperHalf(quote: Uint8Array): Uint8Array {
  const start = 48 + buildTdReport(2).length + 4 + 134 + 320
  return concatBytes(quote.slice(start, start + 32), new Uint8Array(32).fill(0xee))
}
