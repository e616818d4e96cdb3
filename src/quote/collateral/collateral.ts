/** What Intel signs about platforms, in the field names of Intel's QuoteCollateralV3. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { describeIssues, namesOfIssues } from '../../lib/config.ts'

/** Chains have 2 KB, documents 6 KB, revocation lists 7 KB (14 KB as hex); 1,000 entries need 100 KB. */
export const MAX_COLLATERAL_FIELD_CHARS = 262_144

const text = z.string().min(1).max(MAX_COLLATERAL_FIELD_CHARS)
const hex = text.regex(/^(?:[0-9a-fA-F]{2})+$/, 'bytes as hex without 0x')
const signature = z.string().regex(/^[0-9a-fA-F]{128}$/, '64 bytes as hex without 0x')

const collateralSchema = z.strictObject({
  /** PEM: PCK CA, root */
  pck_crl_issuer_chain: text,
  /** DER as hex */
  root_ca_crl: hex,
  /** DER as hex */
  pck_crl: hex,
  /** PEM: TCB signing, root */
  tcb_info_issuer_chain: text,
  /** the exact text that Intel signed: the value of `tcbInfo` */
  tcb_info: text,
  /** r and s as hex */
  tcb_info_signature: signature,
  /** PEM: TCB signing, root */
  qe_identity_issuer_chain: text,
  /** the exact text that Intel signed: the value of `enclaveIdentity` */
  qe_identity: text,
  /** r and s as hex */
  qe_identity_signature: signature,
  /** PEM or null, as some tools add it. Never relied on: a quote brings its own chain */
  pck_certificate_chain: text.nullish(),
})

export type Collateral = Readonly<z.output<typeof collateralSchema>>

/**
 * Reads a collateral bundle, as PCCS clients and `dcap-qvl` write it.
 *
 * Checks shape only; `verifyQuote` decides whether Intel signed it.
 *
 * @throws QUOTE_COLLATERAL_MALFORMED naming every wrong field
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
 * The bytes of a hex field.
 *
 * @throws QUOTE_COLLATERAL_MALFORMED
 */
export function readHexField(
  collateral: Collateral,
  field: 'root_ca_crl' | 'pck_crl' | 'tcb_info_signature' | 'qe_identity_signature',
): Uint8Array {
  const digits = collateral[field]
  const schema = field.endsWith('_signature') ? signature : hex
  if (!schema.safeParse(digits).success) {
    throw new AssentError('QUOTE_COLLATERAL_MALFORMED', `Collateral: ${field} is not its hex.`, {
      facts: { fields: [field] },
    })
  }
  return new Uint8Array(Buffer.from(digits, 'hex'))
}
