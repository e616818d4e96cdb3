/**
 * The parser of TDX quotes. It checks the format only; `verifyQuote` checks the signatures.
 *
 * Layout: Intel, "TDX DCAP Quoting Library API", quote format versions 4 and 5. The body of 885 bytes is "TD report 1.5
 * Ex" of Intel's verification library of 2026. All integers are little-endian.
 */
import type { ErrorCode } from '../errors/index.ts'
import { AssentError } from '../errors/index.ts'
import { equalBytes, toHex } from '../lib/bytes.ts'
import { splitPemChain } from './certificates/pem.ts'

/** Genuine quotes have about 5,000 bytes, and 8,000 with padding. */
export const MAX_QUOTE_BYTES = 65_536

const HEADER_BYTES = 48
const TEE_TYPE_TDX = 0x81
const ATTESTATION_KEY_ECDSA_P256 = 2
const CERTIFICATION_PCK_CHAIN = 5
const CERTIFICATION_QE_REPORT = 6
const INTEL_QE_VENDOR_ID = Uint8Array.of(
  ...[0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9],
  ...[0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07],
)

/** Size in bytes of each body type: TD report 1.0, 1.5, 1.5 Ex. */
const BODY_BYTES = { 2: 584, 3: 648, 4: 885 } as const

/** Type of the TD report: 2 is 1.0, 3 is 1.5, 4 is 1.5 Ex. */
export type BodyType = keyof typeof BODY_BYTES

/** The first 48 bytes of a quote. */
export interface QuoteHeader {
  /** 2: ECDSA P-256. */
  readonly attestationKeyType: 2
  /** 0x81: TDX. */
  readonly teeType: 0x81
  /** Do not use it for decisions: the QE report and the PCK certificate have the authenticated SVNs. */
  readonly qeSvn: number
  /** As `qeSvn`. */
  readonly pceSvn: number
  /** 16 bytes */
  readonly qeVendorId: Uint8Array
  /** 20 bytes. The first 16 identify the platform of the quoting enclave. */
  readonly userData: Uint8Array
}

/** The TD report: the measurements of the TDX module. Each field says its length in bytes. */
export interface TdReport {
  /** 16: SVNs of the TDX module at launch: [0] minor SVN, [1] major version, [2] late microcode SVN. */
  readonly teeTcbSvn: Uint8Array
  /** 48: measurement of the TDX module. */
  readonly mrSeam: Uint8Array
  /** 48: signer of the TDX module, zero for Intel's modules. */
  readonly mrSignerSeam: Uint8Array
  /** 8 */
  readonly seamAttributes: Uint8Array
  /** 8: TD attributes, such as debug. `checkPolicy` evaluates them. */
  readonly tdAttributes: Uint8Array
  /** 8: mask of extended processor features. */
  readonly xfam: Uint8Array
  /** 48: measurement of the initial memory, the firmware. */
  readonly mrTd: Uint8Array
  /** 48: in it the host binds the TD to a configuration. */
  readonly mrConfigId: Uint8Array
  /** 48 */
  readonly mrOwner: Uint8Array
  /** 48 */
  readonly mrOwnerConfig: Uint8Array
  /** Four times 48: the runtime measurement registers. dstack measures the app into RTMR3. */
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  /** 64: chosen by the TD. */
  readonly reportData: Uint8Array
  /** 16, body types 3 and 4: SVNs of the module that runs now. It can be newer than the one at launch. */
  readonly teeTcbSvn2?: Uint8Array
  /** 48, body types 3 and 4: hash of the service TDs that are bound to this TD. */
  readonly mrServiceTd?: Uint8Array
  /** body type 4 */
  readonly extension?: TdReportExtension
}

/** The 237 bytes that only body type 4 has. No rule of Intel's library uses them yet. */
export interface TdReportExtension {
  /** Number of the TD on its host. */
  readonly vmId: number
  /** 32 */
  readonly tdId: Uint8Array
  /** 48 */
  readonly deviceInfo: Uint8Array
  /** 48 */
  readonly initialServiceTdHash: Uint8Array
  /** 8 */
  readonly initialServiceTdAttributes: Uint8Array
  /** 16 */
  readonly initialCpuSvn: Uint8Array
  /** 16 */
  readonly initialTeeTcbSvn: Uint8Array
  /** 12 */
  readonly initialTeeFmspc: Uint8Array
  /** 48 */
  readonly currentServiceTdHash: Uint8Array
  /** 8 */
  readonly currentServiceTdAttributes: Uint8Array
}

/** The SGX report of the quoting enclave. */
export interface QeReport {
  /** The 384 bytes that the PCK key signed. */
  readonly bytes: Uint8Array
  /** 16 */
  readonly cpuSvn: Uint8Array
  /** Compared with the QE identity. */
  readonly miscSelect: number
  /** 16 */
  readonly attributes: Uint8Array
  /** 32 */
  readonly mrEnclave: Uint8Array
  /** 32 */
  readonly mrSigner: Uint8Array
  /** Product id of the enclave. */
  readonly isvProdId: number
  /** SVN of the enclave, which decides its TCB level. */
  readonly isvSvn: number
  /** 64. The first 32 are the hash of the attestation key. */
  readonly reportData: Uint8Array
}

/** A parsed quote. Nothing in it is verified. */
export interface Quote {
  /** Quote format. */
  readonly version: 4 | 5
  /** Version of the TD report. */
  readonly bodyType: BodyType
  /** Offset 0, 48 bytes. */
  readonly header: QuoteHeader
  /** The TD report; its offset is 48 in version 4 and 54 in version 5. */
  readonly report: TdReport
  /** Header and body: the bytes that `signature` covers. Anyone can encode the rest in another way. */
  readonly signedBytes: Uint8Array
  /** 64: r and s, big-endian */
  readonly signature: Uint8Array
  /** 64: x and y, big-endian */
  readonly attestationKey: Uint8Array
  /** Offset 134 of the signature section, 384 bytes. */
  readonly qeReport: QeReport
  /** 64 */
  readonly qeReportSignature: Uint8Array
  /** Bytes that the QE report binds together with the attestation key; 32 bytes in practice. */
  readonly qeAuthData: Uint8Array
  /** DER certificates: PCK, PCK CA, root. */
  readonly pckChain: readonly Uint8Array[]
  /** Number of bytes of the quote, without the padding after it. */
  readonly length: number
}

/**
 * Parses a raw TDX quote of version 4 or 5.
 *
 * Bytes after the declared end are ignored, because quote providers add padding.
 *
 * Layout, offsets in bytes:
 *
 * | offset | size | content |
 * | --- | --- | --- |
 * | 0 | 48 | header |
 * | 48 | 6 | body type (u16) and body size (u32), only in version 5 |
 * | then | 584, 648 or 885 | TD report |
 * | then | 4 | size of the signature section (u32) |
 * | then | 64 | quote signature r, s |
 * | then | 64 | attestation key x, y |
 * | then | 6 | certification data type 6 (u16), size (u32) |
 * | then | 384 + 64 | QE report, and the PCK's signature over it |
 * | then | 2 + n | QE authentication data |
 * | then | 6 + n | certification data type 5, size, PCK chain in PEM |
 *
 * @param input the quote; the result does not share its memory
 * @throws QUOTE_* with the facts `{ field, offset, found, expected }`
 * @example
 * const { report } = parseQuote(bytes)
 * console.log(toHex(report.mrTd), toHex(report.reportData))
 */
export function parseQuote(input: Uint8Array): Quote {
  if (!(input instanceof Uint8Array)) {
    throw new AssentError('INPUT_INVALID', 'A quote must be bytes.', { facts: { field: 'quote' } })
  }
  if (input.length > MAX_QUOTE_BYTES) {
    throw new AssentError('QUOTE_TOO_LARGE', `A quote has at most ${MAX_QUOTE_BYTES} bytes.`, {
      facts: { field: 'quote', found: input.length, expected: `at most ${MAX_QUOTE_BYTES}` },
    })
  }
  // a copy, so that the caller cannot change the quote after it was verified
  const cursor = new Cursor(new Uint8Array(input))

  const { version, header } = readHeader(cursor)
  const bodyType = version === 4 ? 2 : readBodyDescriptor(cursor)
  const report = readReport(cursor, bodyType)
  const signedBytes = cursor.since(0)
  const authenticated = readAuthData(cursor)

  return { version, bodyType, header, report, signedBytes, ...authenticated, length: cursor.offset }
}

function readHeader(cursor: Cursor): { version: 4 | 5; header: QuoteHeader } {
  cursor.require(HEADER_BYTES, 'header')
  const version = cursor.u16('version')
  if (version !== 4 && version !== 5) {
    throw cursor.unexpected('QUOTE_VERSION_UNSUPPORTED', 'version', version, '4 or 5')
  }
  const attestationKeyType = cursor.u16('attestationKeyType')
  if (attestationKeyType !== ATTESTATION_KEY_ECDSA_P256) {
    throw cursor.unexpected(
      'QUOTE_KEY_TYPE_UNSUPPORTED',
      'attestationKeyType',
      attestationKeyType,
      2,
    )
  }
  const teeType = cursor.u32('teeType')
  if (teeType !== TEE_TYPE_TDX) {
    throw cursor.unexpected('QUOTE_TEE_TYPE_UNSUPPORTED', 'teeType', teeType, TEE_TYPE_TDX)
  }
  const qeSvn = cursor.u16('qeSvn')
  const pceSvn = cursor.u16('pceSvn')
  const qeVendorId = cursor.take(16, 'qeVendorId')
  if (!equalBytes(qeVendorId, INTEL_QE_VENDOR_ID)) {
    throw cursor.unexpected(
      'QUOTE_VENDOR_UNKNOWN',
      'qeVendorId',
      toHex(qeVendorId),
      toHex(INTEL_QE_VENDOR_ID),
    )
  }
  const userData = cursor.take(20, 'userData')
  return { version, header: { attestationKeyType, teeType, qeSvn, pceSvn, qeVendorId, userData } }
}

/** Only version 5 has it; the body of version 4 is always TD report 1.0. */
function readBodyDescriptor(cursor: Cursor): BodyType {
  const bodyType = cursor.u16('bodyType')
  if (bodyType !== 2 && bodyType !== 3 && bodyType !== 4) {
    throw cursor.unexpected('QUOTE_BODY_TYPE_UNSUPPORTED', 'bodyType', bodyType, '2, 3 or 4')
  }
  const bodySize = cursor.u32('bodySize')
  if (bodySize !== BODY_BYTES[bodyType]) {
    throw cursor.unexpected('QUOTE_BODY_SIZE_WRONG', 'bodySize', bodySize, BODY_BYTES[bodyType])
  }
  return bodyType
}

/**
 * Parses a TD report without a quote, as the on-chain verifier returns it.
 *
 * @throws QUOTE_TRUNCATED, QUOTE_BODY_SIZE_WRONG
 */
export function parseTdReport(bytes: Uint8Array, bodyType: BodyType): TdReport {
  const cursor = new Cursor(new Uint8Array(bytes))
  const report = readReport(cursor, bodyType)
  if (cursor.offset === bytes.length) return report
  throw cursor.unexpected('QUOTE_BODY_SIZE_WRONG', 'report', bytes.length, BODY_BYTES[bodyType])
}

function readReport(cursor: Cursor, bodyType: BodyType): TdReport {
  cursor.require(BODY_BYTES[bodyType], 'report')
  const report: TdReport = {
    teeTcbSvn: cursor.take(16, 'teeTcbSvn'),
    mrSeam: cursor.take(48, 'mrSeam'),
    mrSignerSeam: cursor.take(48, 'mrSignerSeam'),
    seamAttributes: cursor.take(8, 'seamAttributes'),
    tdAttributes: cursor.take(8, 'tdAttributes'),
    xfam: cursor.take(8, 'xfam'),
    mrTd: cursor.take(48, 'mrTd'),
    mrConfigId: cursor.take(48, 'mrConfigId'),
    mrOwner: cursor.take(48, 'mrOwner'),
    mrOwnerConfig: cursor.take(48, 'mrOwnerConfig'),
    rtmrs: [
      cursor.take(48, 'rtmr0'),
      cursor.take(48, 'rtmr1'),
      cursor.take(48, 'rtmr2'),
      cursor.take(48, 'rtmr3'),
    ],
    reportData: cursor.take(64, 'reportData'),
  }
  if (bodyType === 2) return report
  const teeTcbSvn2 = cursor.take(16, 'teeTcbSvn2')
  const mrServiceTd = cursor.take(48, 'mrServiceTd')
  if (bodyType === 3) return { ...report, teeTcbSvn2, mrServiceTd }
  return { ...report, teeTcbSvn2, mrServiceTd, extension: readReportExtension(cursor) }
}

function readReportExtension(cursor: Cursor): TdReportExtension {
  return {
    vmId: cursor.u8('vmId'),
    tdId: cursor.take(32, 'tdId'),
    deviceInfo: cursor.take(48, 'deviceInfo'),
    initialServiceTdHash: cursor.take(48, 'initialServiceTdHash'),
    initialServiceTdAttributes: cursor.take(8, 'initialServiceTdAttributes'),
    initialCpuSvn: cursor.take(16, 'initialCpuSvn'),
    initialTeeTcbSvn: cursor.take(16, 'initialTeeTcbSvn'),
    initialTeeFmspc: cursor.take(12, 'initialTeeFmspc'),
    currentServiceTdHash: cursor.take(48, 'currentServiceTdHash'),
    currentServiceTdAttributes: cursor.take(8, 'currentServiceTdAttributes'),
  }
}

type AuthData = Pick<
  Quote,
  'signature' | 'attestationKey' | 'qeReport' | 'qeReportSignature' | 'qeAuthData' | 'pckChain'
>

function readAuthData(cursor: Cursor): AuthData {
  const authDataEnd = readEnd(cursor, 'authData')
  const signature = cursor.take(64, 'signature')
  const attestationKey = cursor.take(64, 'attestationKey')

  readCertificationType(cursor, 'certificationType', CERTIFICATION_QE_REPORT)
  const certificationEnd = readEnd(cursor, 'certificationData')
  // Intel QVL, "unexpected parsed data size": nothing may follow the outer data
  requireEnd(cursor, 'authData', certificationEnd, authDataEnd)
  const qeReport = readQeReport(cursor)
  const qeReportSignature = cursor.take(64, 'qeReportSignature')
  const qeAuthData = cursor.take(cursor.u16('qeAuthDataSize'), 'qeAuthData')

  readCertificationType(cursor, 'innerCertificationType', CERTIFICATION_PCK_CHAIN)
  const chainEnd = readEnd(cursor, 'pckChain')
  requireEnd(cursor, 'certificationData', chainEnd, certificationEnd)
  const chainOffset = cursor.offset
  const pem = cursor.take(chainEnd - chainOffset, 'pckChain')
  const pckChain = splitPemChain(pem, { field: 'pckChain', offset: chainOffset, trailingNul: true })

  return { signature, attestationKey, qeReport, qeReportSignature, qeAuthData, pckChain }
}

function readQeReport(cursor: Cursor): QeReport {
  const start = cursor.offset
  const cpuSvn = cursor.take(16, 'qeReport.cpuSvn')
  const miscSelect = cursor.u32('qeReport.miscSelect')
  cursor.take(28, 'qeReport.reserved')
  const attributes = cursor.take(16, 'qeReport.attributes')
  const mrEnclave = cursor.take(32, 'qeReport.mrEnclave')
  cursor.take(32, 'qeReport.reserved')
  const mrSigner = cursor.take(32, 'qeReport.mrSigner')
  cursor.take(96, 'qeReport.reserved')
  const isvProdId = cursor.u16('qeReport.isvProdId')
  const isvSvn = cursor.u16('qeReport.isvSvn')
  cursor.take(60, 'qeReport.reserved')
  const reportData = cursor.take(64, 'qeReport.reportData')
  const bytes = cursor.since(start)
  return {
    bytes,
    cpuSvn,
    miscSelect,
    attributes,
    mrEnclave,
    mrSigner,
    isvProdId,
    isvSvn,
    reportData,
  }
}

function readCertificationType(cursor: Cursor, field: string, expected: number): void {
  const found = cursor.u16(field)
  if (found !== expected) {
    throw cursor.unexpected('QUOTE_CERTIFICATION_TYPE_UNSUPPORTED', field, found, expected)
  }
}

/** Reads a u32 size, checks that so many bytes follow, and returns the offset of their end. */
function readEnd(cursor: Cursor, field: string): number {
  const size = cursor.u32(`${field}Size`)
  cursor.require(size, field)
  return cursor.offset + size
}

function requireEnd(cursor: Cursor, field: string, found: number, expected: number): void {
  if (found !== expected) throw cursor.unexpected('QUOTE_SIZE_MISMATCH', field, found, expected)
}

/** Reads fields in their order. Each read checks the bounds and names the field in its error. */
class Cursor {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  require(length: number, field: string): void {
    const remaining = this.#bytes.length - this.offset
    if (length > remaining) {
      throw new AssentError('QUOTE_TRUNCATED', `The quote ends inside ${field}.`, {
        facts: { field, offset: this.offset, found: remaining, expected: length },
      })
    }
  }

  take(length: number, field: string): Uint8Array {
    this.require(length, field)
    this.offset += length
    return this.since(this.offset - length)
  }

  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.offset)
  }

  u8(field: string): number {
    this.require(1, field)
    this.offset += 1
    return this.#view.getUint8(this.offset - 1)
  }

  u16(field: string): number {
    this.require(2, field)
    this.offset += 2
    return this.#view.getUint16(this.offset - 2, true)
  }

  u32(field: string): number {
    this.require(4, field)
    this.offset += 4
    return this.#view.getUint32(this.offset - 4, true)
  }

  unexpected(code: ErrorCode, field: string, found: unknown, expected: unknown): AssentError {
    return new AssentError(code, `${field} is ${String(found)}, expected ${String(expected)}.`, {
      facts: { field, offset: this.offset, found, expected },
    })
  }
}
