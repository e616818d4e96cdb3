/** Builds quotes of versions 4 and 5. Tests can replace every part. */
import { sha256 } from '@noble/hashes/sha2.js'

import { concatBytes, fromHex, requireLength, utf8ToBytes } from '../../lib/bytes.ts'
import type { BodyType } from '../../quote/parse.ts'
import { quotingEnclaveSigner } from './collateral.ts'
import { toPemChain } from './der.ts'
import { type SigningKey, sign } from './key.ts'

/** Quote formats; 5 can carry any body type. */
export type QuoteVersion = 4 | 5

/** Fields of a TD report. Defaults: zero, or as a Linux guest on an updated host has them. */
export interface TdFields {
  /** 16 bytes. */
  readonly teeTcbSvn?: Uint8Array
  /** 48 bytes. */
  readonly mrSeam?: Uint8Array
  /** 48 bytes. */
  readonly mrSignerSeam?: Uint8Array
  /** 8 bytes. */
  readonly seamAttributes?: Uint8Array
  /** 8 bytes, little-endian. */
  readonly tdAttributes?: Uint8Array
  /** 8 bytes, little-endian. */
  readonly xfam?: Uint8Array
  /** 48 bytes. */
  readonly mrTd?: Uint8Array
  /** 48 bytes. */
  readonly mrConfigId?: Uint8Array
  /** 48 bytes. */
  readonly mrOwner?: Uint8Array
  /** 48 bytes. */
  readonly mrOwnerConfig?: Uint8Array
  /** 48 bytes each. */
  readonly rtmrs?: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  /** 64 bytes. */
  readonly reportData?: Uint8Array
  /** TD 1.5 and later: SVNs of the current TDX module, after an update while the TD was running. */
  readonly teeTcbSvn2?: Uint8Array
  /** 48 bytes; body types 3 and 4 only. */
  readonly mrServiceTd?: Uint8Array
  /** The additional part of TD 1.5 Ex, 237 bytes. */
  readonly ex?: Uint8Array
}

/** Fields of the quoting enclave's report. */
export interface QeFields {
  /** 4 bytes. */
  readonly miscSelect?: Uint8Array
  /** 16 bytes. */
  readonly attributes?: Uint8Array
  /** 32 bytes. */
  readonly mrEnclave?: Uint8Array
  /** 32 bytes. */
  readonly mrSigner?: Uint8Array
  readonly isvProdId?: number
  readonly isvSvn?: number
  /** Replaces the report data that binds the attestation key. */
  readonly reportData?: Uint8Array
}

/** Fields of the quote header. */
export interface HeaderFields {
  /** 4 or 5; other numbers make a malformed quote. */
  readonly version?: number
  /** 2: ECDSA P-256. */
  readonly attestationKeyType?: number
  /** 0x81: TDX. */
  readonly teeType?: number
  /** 16 bytes. */
  readonly vendorId?: Uint8Array
  /** 20 bytes. */
  readonly userData?: Uint8Array
}

/** Differences from a valid quote, for tests. */
export interface QuoteOptions {
  readonly version?: QuoteVersion
  readonly bodyType?: BodyType
  /** Fields of the quote header. */
  readonly header?: HeaderFields
  /** Fields of the TD report. */
  readonly td?: TdFields
  /** Fields of the report of the quoting enclave. */
  readonly qe?: QeFields
  readonly qeAuthData?: Uint8Array
  /** Signs instead of the platform's key. */
  readonly attestationKey?: SigningKey
  /** Signs the QE report instead of the platform's PCK key. */
  readonly pckKey?: SigningKey
  /** PCK chain (DER, leaf first) instead of the platform's own. */
  readonly pckChain?: readonly Uint8Array[]
  /** Bytes instead of the PEM chain. */
  readonly certificationData?: Uint8Array
  /** Type of the outer certification data; 6 in valid quotes. */
  readonly certificationType?: number
  /** Type of the inner certification data; 5 in valid quotes. */
  readonly innerCertificationType?: number
  /** Version 5: body type and size that differ from the real ones. */
  readonly declaredBody?: { readonly type?: number; readonly size?: number }
  /** Numbers to add to the lengths that the quote states. */
  readonly lengthErrors?: {
    readonly auth?: number
    readonly certification?: number
    readonly inner?: number
    readonly qeAuth?: number
  }
  /** Changes the quote signature, 64 bytes. */
  readonly editSignature?: (signature: Uint8Array) => Uint8Array
  /** Changes the PCK's signature over the QE report, 64 bytes. */
  readonly editQeSignature?: (signature: Uint8Array) => Uint8Array
  /** Number of zero bytes after the end; tdx-attest and some clouds add them. */
  readonly padding?: number
}

/** The keys and certificates that a platform uses for every quote. */
export interface QuoteKeys {
  /** Signs header and body. */
  readonly attestationKey: SigningKey
  /** Signs a QE report with the PCK key. Deterministic, so a platform may cache it. */
  signQeReport(report: Uint8Array): Uint8Array
  /** DER certificates: PCK, its CA, root. */
  readonly pckChain: readonly Uint8Array[]
  /** 16 bytes in the header's user data. */
  readonly qeId: Uint8Array
}

const intelVendorId = fromHex('939a7233f79c4ca9940a0db3957f0607', 'vendor id')
const septVeDisable = fromHex('0000001000000000', 'TD attributes')
const linuxXfam = fromHex('e702060000000000', 'XFAM')
const currentTeeTcbSvn = fromHex('0b010400000000000000000000000000', 'TEE TCB SVN')
const enclaveAttributes = fromHex('1500000000000000e700000000000000', 'enclave attributes')
const defaultQeAuthData = Uint8Array.from({ length: 32 }, (_, index) => index)

/** Builds and signs a quote. */
export function buildQuote(keys: QuoteKeys, options: QuoteOptions = {}): Uint8Array {
  const { version = 4, bodyType = 2 } = options
  const body = buildTdReport(bodyType, options.td)
  const signed = concatBytes(
    buildHeader(version, keys.qeId, options.header),
    ...(version === 5 ? [bodyHeader(bodyType, body.length, options.declaredBody)] : []),
    body,
  )
  const auth = buildAuthData(keys, signed, options)
  return concatBytes(
    signed,
    u32(auth.length + (options.lengthErrors?.auth ?? 0)),
    auth,
    new Uint8Array(options.padding ?? 0),
  )
}

/** Encodes a TD report (the body of a quote). */
export function buildTdReport(bodyType: BodyType, td: TdFields = {}): Uint8Array {
  const rtmrs = td.rtmrs ?? [undefined, undefined, undefined, undefined]
  const fields = [
    field('teeTcbSvn', 16, td.teeTcbSvn ?? currentTeeTcbSvn),
    field('mrSeam', 48, td.mrSeam),
    field('mrSignerSeam', 48, td.mrSignerSeam),
    field('seamAttributes', 8, td.seamAttributes),
    field('tdAttributes', 8, td.tdAttributes ?? septVeDisable),
    field('xfam', 8, td.xfam ?? linuxXfam),
    field('mrTd', 48, td.mrTd),
    field('mrConfigId', 48, td.mrConfigId),
    field('mrOwner', 48, td.mrOwner),
    field('mrOwnerConfig', 48, td.mrOwnerConfig),
    ...rtmrs.map((value, index) => field(`rtmr${index}`, 48, value)),
    field('reportData', 64, td.reportData),
  ]
  if (bodyType >= 3) {
    fields.push(field('teeTcbSvn2', 16, td.teeTcbSvn2 ?? td.teeTcbSvn ?? currentTeeTcbSvn))
    fields.push(field('mrServiceTd', 48, td.mrServiceTd))
  }
  if (bodyType === 4) fields.push(field('ex', 237, td.ex))
  return concatBytes(...fields)
}

function buildHeader(version: number, qeId: Uint8Array, header: HeaderFields = {}): Uint8Array {
  return concatBytes(
    u16(header.version ?? version),
    u16(header.attestationKeyType ?? 2),
    u32(header.teeType ?? 0x81),
    new Uint8Array(4),
    field('vendorId', 16, header.vendorId ?? intelVendorId),
    field('userData', 20, header.userData ?? concatBytes(qeId, new Uint8Array(4))),
  )
}

function bodyHeader(
  type: number,
  size: number,
  declared: QuoteOptions['declaredBody'] = {},
): Uint8Array {
  return concatBytes(u16(declared.type ?? type), u32(declared.size ?? size))
}

function buildAuthData(keys: QuoteKeys, signed: Uint8Array, options: QuoteOptions): Uint8Array {
  const attestationKey = options.attestationKey ?? keys.attestationKey
  const signature = sign(attestationKey, signed)
  const certification = buildCertification(keys, attestationKey.publicKey, options)
  return concatBytes(
    options.editSignature?.(signature) ?? signature,
    attestationKey.publicKey,
    u16(options.certificationType ?? 6),
    u32(certification.length + (options.lengthErrors?.certification ?? 0)),
    certification,
  )
}

function buildCertification(
  keys: QuoteKeys,
  attestationKey: Uint8Array,
  options: QuoteOptions,
): Uint8Array {
  const qeAuthData = options.qeAuthData ?? defaultQeAuthData
  const report = buildQeReport(attestationKey, qeAuthData, options.qe)
  const signature =
    options.pckKey === undefined ? keys.signQeReport(report) : sign(options.pckKey, report)
  const chain = options.certificationData ?? pemWithNul(options.pckChain ?? keys.pckChain)
  return concatBytes(
    report,
    options.editQeSignature?.(signature) ?? signature,
    u16(qeAuthData.length + (options.lengthErrors?.qeAuth ?? 0)),
    qeAuthData,
    u16(options.innerCertificationType ?? 5),
    u32(chain.length + (options.lengthErrors?.inner ?? 0)),
    chain,
  )
}

function buildQeReport(
  attestationKey: Uint8Array,
  qeAuthData: Uint8Array,
  qe: QeFields = {},
): Uint8Array {
  const binding = concatBytes(sha256(concatBytes(attestationKey, qeAuthData)), new Uint8Array(32))
  return concatBytes(
    new Uint8Array(16),
    field('miscSelect', 4, qe.miscSelect),
    new Uint8Array(28),
    field('attributes', 16, qe.attributes ?? enclaveAttributes),
    field(
      'mrEnclave',
      32,
      qe.mrEnclave ?? sha256(utf8ToBytes('assent simulator quoting enclave/1')),
    ),
    new Uint8Array(32),
    field('mrSigner', 32, qe.mrSigner ?? fromHex(quotingEnclaveSigner, 'QE MRSIGNER', 32)),
    new Uint8Array(96),
    u16(qe.isvProdId ?? 2),
    u16(qe.isvSvn ?? 6),
    new Uint8Array(60),
    field('reportData', 64, qe.reportData ?? binding),
  )
}

/** In real quotes the PEM chain ends with a NUL byte. */
function pemWithNul(chain: readonly Uint8Array[]): Uint8Array {
  return utf8ToBytes(`${toPemChain(chain)}\0`)
}

function field(name: string, length: number, value: Uint8Array | undefined): Uint8Array {
  if (value === undefined) return new Uint8Array(length)
  requireLength(value, name, length)
  return value
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8)
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}
