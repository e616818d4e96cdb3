/** Collateral: the documents that Intel signs about platforms, with the field names of Intel's `QuoteCollateralV3`. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues, namesOfIssues } from '../../lib/config.ts'

/** Genuine chains have 2 KB, documents 6 KB, CRLs 7 KB (14 KB as hex). A CRL with 1,000 entries needs 100 KB as hex. */
export const MAX_COLLATERAL_FIELD_CHARS = 262_144

/** r and s of 32 bytes each. */
const SIGNATURE_BYTES = 64

const text = z.string().min(1).max(MAX_COLLATERAL_FIELD_CHARS)
const hex = text.regex(/^(?:[0-9a-fA-F]{2})+$/, 'bytes as hex without 0x')
const signature = z.string().regex(/^[0-9a-fA-F]{128}$/, '64 bytes as hex without 0x')

const collateralSchema = z.strictObject({
  /** PEM: PCK CA and root certificate. */
  pck_crl_issuer_chain: text,
  /** CRL of the root CA: DER as hex. */
  root_ca_crl: hex,
  /** CRL of the PCK CA: DER as hex. */
  pck_crl: hex,
  /** PEM: TCB signing certificate and root certificate. */
  tcb_info_issuer_chain: text,
  /** TCB info: the exact text that Intel signed, the value of `tcbInfo` in the response. */
  tcb_info: text,
  /** r and s, 64 bytes as hex. */
  tcb_info_signature: signature,
  /** PEM: TCB signing certificate and root certificate. */
  qe_identity_issuer_chain: text,
  /** QE identity: the exact text that Intel signed, the value of `enclaveIdentity` in the response. */
  qe_identity: text,
  /** r and s, 64 bytes as hex. */
  qe_identity_signature: signature,
  /** PEM or null. Some tools add it; it is ignored, because a quote contains its own chain. */
  pck_certificate_chain: text.nullish(),
})

/** One complete set of collateral. Nothing in it is trusted before `verifyQuote` has checked the signatures. */
export type Collateral = Readonly<z.output<typeof collateralSchema>>

/**
 * Reads collateral in the JSON form of PCCS clients and `dcap-qvl`.
 *
 * It checks the form only; `verifyQuote` checks the signatures. The result is frozen, so a cache can recognize it.
 *
 * @param json parsed JSON, from any source
 * @throws QUOTE_COLLATERAL_MALFORMED; the message names the wrong fields
 *
 * @example
 * const collateral = parseCollateral(JSON.parse(await readFile('collateral.json', 'utf8')))
 */
export function parseCollateral(json: unknown): Collateral {
  const parsed = collateralSchema.safeParse(json)
  if (!parsed.success) {
    throw new AssentError(
      'QUOTE_COLLATERAL_MALFORMED',
      `Collateral: ${describeIssues(parsed.error)}`,
      { facts: { fields: namesOfIssues(parsed.error) } },
    )
  }
  return Object.freeze(parsed.data)
}

/**
 * Decodes a hex field. It checks the digits again, because a caller can pass an object that was not parsed here.
 *
 * @throws QUOTE_COLLATERAL_MALFORMED
 */
export function readHexField(
  collateral: Collateral,
  field: 'root_ca_crl' | 'pck_crl' | 'tcb_info_signature' | 'qe_identity_signature',
): Uint8Array {
  const digits: unknown = collateral[field]
  const bytes = typeof digits === 'string' ? Buffer.from(digits, 'hex') : Buffer.alloc(0)
  // `Buffer.from` stops at the first character that is not hexadecimal, so the length shows if all were read
  const isHex = typeof digits === 'string' && bytes.length > 0 && digits.length === 2 * bytes.length
  const hasLength = bytes.length === SIGNATURE_BYTES || !field.endsWith('_signature')
  if (!isHex || !hasLength) {
    throw new AssentError('QUOTE_COLLATERAL_MALFORMED', `Collateral: ${field} is not its hex.`, {
      facts: { fields: [field] },
    })
  }
  return new Uint8Array(bytes)
}
