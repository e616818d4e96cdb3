/** QE identity, version 2: Intel's signed description of the TDX quoting enclave (TD_QE). */
import { equalBytes } from '../../lib/bytes.ts'
import type { QeReport } from '../parse.ts'
import { Rejection } from '../verdict.ts'
import { type JsonObject, parseSignedJson } from './signed-json.ts'
import { componentStatuses, readPeriod, readSvnLevels, type SvnLevel } from './tcb-info.ts'

/** A parsed QE identity. */
export interface QeIdentity {
  /** Unix seconds, both inclusive. */
  readonly issueDate: number
  /** Unix seconds. */
  readonly nextUpdate: number
  /** TCB evaluation number of the document. */
  readonly tcbEvaluationNumber: number
  /** Expected MISCSELECT under the mask. */
  readonly miscSelect: number
  /** Bits of MISCSELECT that are compared. */
  readonly miscSelectMask: number
  /** 16 bytes */
  readonly attributes: Uint8Array
  /** Bits of ATTRIBUTES that are compared, 16 bytes. */
  readonly attributesMask: Uint8Array
  /** 32 bytes */
  readonly mrSigner: Uint8Array
  /** Expected product id: 2 for the TD quoting enclave. */
  readonly isvProdId: number
  /** Highest ISVSVN first. */
  readonly levels: readonly SvnLevel[]
}

/**
 * Parses the text of a QE identity. Verify its signature first.
 *
 * @throws QUOTE_QE_IDENTITY_MALFORMED, QUOTE_TOO_LARGE
 * @throws Rejection QUOTE_QE_IDENTITY_UNSUPPORTED for another enclave or version
 */
export function parseQeIdentity(text: string): QeIdentity {
  const json = parseSignedJson(text, 'QE identity', 'QUOTE_QE_IDENTITY_MALFORMED')
  requireTdQe(json)
  return {
    ...readPeriod(json),
    tcbEvaluationNumber: json.number('tcbEvaluationDataNumber', 255),
    miscSelect: readU32(json, 'miscselect'),
    miscSelectMask: readU32(json, 'miscselectMask'),
    attributes: json.bytes('attributes', 16),
    attributesMask: json.bytes('attributesMask', 16),
    mrSigner: json.bytes('mrsigner', 32),
    isvProdId: json.number('isvprodid', 65_535),
    levels: readSvnLevels(json, componentStatuses),
  }
}

/** Intel QVL 4.1.2.5.15. */
function requireTdQe(json: JsonObject): void {
  const id = json.string('id')
  const version = json.number('version', 255)
  if (id !== 'TD_QE' || version !== 2) {
    throw new Rejection(
      'QUOTE_QE_IDENTITY_UNSUPPORTED',
      'The enclave identity is not for the TDX quoting enclave, version 2.',
      { found: { id, version }, expected: { id: 'TD_QE', version: 2 } },
    )
  }
}

/** Reads a little-endian number as in the report: `01000000` is 1. */
function readU32(json: JsonObject, key: string): number {
  return json.bytes(key, 4).reduceRight((sum, byte) => sum * 256 + byte, 0)
}

/**
 * Checks that a QE report is from the described enclave (Intel QVL 4.1.2.5.16, 4.1.2.9.5 to 4.1.2.9.8). @throws
 * Rejection
 */
export function requireQeIdentity(report: QeReport, identity: QeIdentity): void {
  if ((report.miscSelect & identity.miscSelectMask) >>> 0 !== identity.miscSelect) {
    throw mismatch('miscSelect')
  }
  const masked = report.attributes.map(
    (byte, index) => byte & (identity.attributesMask[index] as number),
  )
  if (!equalBytes(masked, identity.attributes)) throw mismatch('attributes')
  if (!equalBytes(report.mrSigner, identity.mrSigner)) throw mismatch('mrSigner')
  if (report.isvProdId !== identity.isvProdId) throw mismatch('isvProdId')
}

function mismatch(field: string): Rejection {
  return new Rejection(
    'QUOTE_QE_IDENTITY_MISMATCH',
    `The quoting enclave has another ${field} than Intel's.`,
    { field: `qeReport.${field}` },
  )
}
