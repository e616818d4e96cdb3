/**
 * Translates verdicts and errors of the verifier contract into the codes of `verifyQuote`.
 *
 * The contract distinguishes fewer cases in some places and more in others. `test/chain/parity.test.ts` lists where both
 * may return different codes for the same input.
 */
import { hexToString, keccak256, pad, size, stringToHex } from 'viem'

import { AssentError } from '../../errors/index.ts'
import { rejectionErrors } from '../../errors/quote.ts'
import type { Hex } from '../../lib/bytes.ts'
import {
  type MalformedCode,
  type Rejected,
  type RejectionCode,
  type TcbStatus,
  tcbStatuses,
} from '../../quote/verdict.ts'

/** `Verdict` of `contracts/types/Report.sol` after `None` and `Verified`, in its order. */
const refusals = {
  ChainUnknown: 'QUOTE_CHAIN_INVALID',
  CaRevoked: 'QUOTE_CA_REVOKED',
  LeafIssuer: 'QUOTE_CHAIN_INVALID',
  LeafSignature: 'QUOTE_CHAIN_INVALID',
  LeafName: 'QUOTE_PCK_INVALID',
  LeafExtension: 'QUOTE_PCK_INVALID',
  LeafNotInForce: 'QUOTE_CERTIFICATE_EXPIRED',
  LeafRevoked: 'QUOTE_PCK_REVOKED',
  // lists and documents of others were stored, which is not what is missing
  RootCrlMissing: 'QUOTE_CRL_ISSUER_MISMATCH',
  RootCrlExpired: 'QUOTE_CRL_EXPIRED',
  PckCrlMissing: 'QUOTE_CRL_ISSUER_MISMATCH',
  PckCrlExpired: 'QUOTE_CRL_EXPIRED',
  TcbInfoMissing: 'QUOTE_FMSPC_MISMATCH',
  TcbInfoExpired: 'QUOTE_TCB_INFO_EXPIRED',
  TcbInfoPceId: 'QUOTE_PCEID_MISMATCH',
  QeIdentityMissing: 'QUOTE_QE_IDENTITY_UNSUPPORTED',
  QeIdentityExpired: 'QUOTE_QE_IDENTITY_EXPIRED',
  TcbSigningRevoked: 'QUOTE_TCB_SIGNING_REVOKED',
  ModuleUnknown: 'QUOTE_TDX_MODULE_MISMATCH',
  ModuleSigner: 'QUOTE_TDX_MODULE_MISMATCH',
  ModuleAttributes: 'QUOTE_TDX_MODULE_MISMATCH',
  QeReportSignature: 'QUOTE_QE_REPORT_SIGNATURE_INVALID',
  QeReportData: 'QUOTE_QE_REPORT_DATA_MISMATCH',
  QeMiscSelect: 'QUOTE_QE_IDENTITY_MISMATCH',
  QeAttributes: 'QUOTE_QE_IDENTITY_MISMATCH',
  QeSigner: 'QUOTE_QE_IDENTITY_MISMATCH',
  QeProduct: 'QUOTE_QE_IDENTITY_MISMATCH',
  QeUnsupported: 'QUOTE_TCB_NOT_SUPPORTED',
  QuoteSignature: 'QUOTE_SIGNATURE_INVALID',
  TcbUnsupported: 'QUOTE_TCB_NOT_SUPPORTED',
  ModuleUnsupported: 'QUOTE_TCB_NOT_SUPPORTED',
  TcbUnrecognized: 'QUOTE_TCB_STATUS_UNKNOWN',
  TcbRevoked: 'QUOTE_TCB_REVOKED',
  // only short forms name a record; its sender built it for another chain
  RecordUnknown: 'QUOTE_CHAIN_INVALID',
} as const satisfies Record<string, RejectionCode>

/** The contract's enums, in its order. */
export const contractVerdicts: readonly string[] = ['None', 'Verified', ...Object.keys(refusals)]
/** TCB statuses by the number that the contract uses (`TcbStatus` in `contracts/types`); 0 is none. */
export const contractStatuses: readonly string[] = ['None', ...tcbStatuses, 'Revoked']

/** `QuoteField` of `contracts/quote/parsing/QuoteParser.sol`, in its order. */
const quoteFields: readonly (readonly [field: string, code: MalformedCode])[] = [
  ['Length', 'QUOTE_TRUNCATED'],
  ['Version', 'QUOTE_VERSION_UNSUPPORTED'],
  ['KeyType', 'QUOTE_KEY_TYPE_UNSUPPORTED'],
  ['TeeType', 'QUOTE_TEE_TYPE_UNSUPPORTED'],
  ['Vendor', 'QUOTE_VENDOR_UNKNOWN'],
  ['BodyType', 'QUOTE_BODY_TYPE_UNSUPPORTED'],
  ['BodySize', 'QUOTE_BODY_SIZE_WRONG'],
  ['AuthSize', 'QUOTE_SIZE_MISMATCH'],
  ['CertificationType', 'QUOTE_CERTIFICATION_TYPE_UNSUPPORTED'],
  ['CertificationSize', 'QUOTE_SIZE_MISMATCH'],
  ['QeAuthSize', 'QUOTE_SIZE_MISMATCH'],
  ['ChainType', 'QUOTE_CERTIFICATION_TYPE_UNSUPPORTED'],
  ['ChainSize', 'QUOTE_SIZE_MISMATCH'],
  ['LeafSize', 'QUOTE_SIZE_MISMATCH'],
]

/** Names of the quote fields by their number in the error `QuoteMalformed` of the contract. */
export const contractQuoteFields: readonly string[] = quoteFields.map(([field]) => field)

/** The part of the input that a call was about. */
export type EvidencePart = 'quote' | 'issuer' | 'list' | 'tcbInfo' | 'qeIdentity'

/** Errors of the parsers and of the collateral store: what each says about the part it was given. */
const reverts: Readonly<
  Record<string, Partial<Record<EvidencePart, MalformedCode | RejectionCode>>>
> = {
  PemMalformed: { quote: 'QUOTE_PEM_MALFORMED', issuer: 'QUOTE_PEM_MALFORMED' },
  DerMalformed: {
    quote: 'QUOTE_DER_MALFORMED',
    issuer: 'QUOTE_DER_MALFORMED',
    list: 'QUOTE_DER_MALFORMED',
  },
  CertificateUnsupported: {
    quote: 'QUOTE_CERTIFICATE_MALFORMED',
    issuer: 'QUOTE_CERTIFICATE_MALFORMED',
    list: 'QUOTE_CRL_MALFORMED',
  },
  SignatureInvalid: {
    issuer: 'QUOTE_CHAIN_INVALID',
    list: 'QUOTE_CRL_SIGNATURE_INVALID',
    tcbInfo: 'QUOTE_TCB_INFO_SIGNATURE_INVALID',
    qeIdentity: 'QUOTE_QE_IDENTITY_SIGNATURE_INVALID',
  },
  IssuerUnexpected: { issuer: 'QUOTE_CHAIN_INVALID', list: 'QUOTE_CRL_ISSUER_MISMATCH' },
  IssuerMissing: {
    list: 'QUOTE_CRL_ISSUER_MISMATCH',
    tcbInfo: 'QUOTE_CHAIN_INVALID',
    qeIdentity: 'QUOTE_CHAIN_INVALID',
  },
  IssuerRevoked: {
    tcbInfo: 'QUOTE_TCB_SIGNING_REVOKED',
    qeIdentity: 'QUOTE_TCB_SIGNING_REVOKED',
  },
  IssuerUnfit: {
    issuer: 'QUOTE_CHAIN_INVALID',
    tcbInfo: 'QUOTE_CERTIFICATE_EXPIRED',
    qeIdentity: 'QUOTE_CERTIFICATE_EXPIRED',
  },
  RootUntrusted: { issuer: 'QUOTE_ROOT_UNTRUSTED' },
  TooManySigners: { issuer: 'QUOTE_CHAIN_INVALID' },
  // an empty store is given each part once, so one of them is there twice
  CollateralNotNewer: { issuer: 'QUOTE_CHAIN_INVALID', list: 'QUOTE_CRL_ISSUER_MISMATCH' },
  JsonMalformed: { tcbInfo: 'QUOTE_TCB_INFO_MALFORMED', qeIdentity: 'QUOTE_QE_IDENTITY_MALFORMED' },
  StatusUnknown: { tcbInfo: 'QUOTE_TCB_STATUS_UNKNOWN', qeIdentity: 'QUOTE_TCB_STATUS_UNKNOWN' },
  DocumentTooLarge: { tcbInfo: 'QUOTE_TOO_LARGE', qeIdentity: 'QUOTE_TOO_LARGE' },
  CrlTooLong: { list: 'QUOTE_TOO_LARGE' },
  CodeTooLong: {
    list: 'QUOTE_TOO_LARGE',
    tcbInfo: 'QUOTE_TOO_LARGE',
    qeIdentity: 'QUOTE_TOO_LARGE',
  },
}

/** A verdict other than `Verified` as the rejection that it is. @throws CHAIN_ANSWER_INVALID */
export function explainRefusal(verdict: number): Rejected {
  const name = contractVerdicts[verdict] ?? String(verdict)
  const code = refusals[name as keyof typeof refusals] as RejectionCode | undefined
  if (code === undefined) throw unexpectedAnswer('verdict', name)
  return {
    verdict: 'rejected',
    code,
    message: `The contract says ${name}.`,
    facts: { verdict: name },
  }
}

/**
 * What a revert says about the evidence: a rejection, or a malformation, which is thrown.
 *
 * @param part what the call was about
 * @throws QUOTE_* of the `malformedErrors` table; `error` itself when it is not about evidence
 */
export function explainRevert(error: AssentError, part: EvidencePart): Rejected {
  const name = String(error.facts.error)
  const values = (error.facts.values ?? []) as readonly string[]
  const code = codeOf(name, values, part)
  if (code === undefined) throw error
  const found = name === 'QuoteMalformed' ? contractQuoteFields[Number(values[0])] : undefined
  const facts = { error: name, part, values, ...(found === undefined ? {} : { field: found }) }
  const message = `The contract refuses the ${part}: ${name}(${values.join(', ')}).`
  if (isRejection(code)) return { verdict: 'rejected', code, message, facts }
  throw new AssentError(code, message, { cause: error, facts })
}

function codeOf(name: string, values: readonly string[], part: EvidencePart) {
  if (name === 'QuoteMalformed') return quoteFields[Number(values[0])]?.[1]
  if (name !== 'CollateralDates') return reverts[name]?.[part]
  // one error for a document of the future, and for one that ends before it begins or after 2106
  const [issuedAt, nextUpdate] = values.map(Number) as [number, number]
  const isPeriod = issuedAt < nextUpdate && nextUpdate <= 0xffff_ffff
  return isPeriod ? 'QUOTE_NOT_YET_VALID' : misdated[part]
}

const misdated: Partial<Record<EvidencePart, MalformedCode>> = {
  list: 'QUOTE_CRL_MALFORMED',
  tcbInfo: 'QUOTE_TCB_INFO_MALFORMED',
  qeIdentity: 'QUOTE_QE_IDENTITY_MALFORMED',
}

function isRejection(code: MalformedCode | RejectionCode): code is RejectionCode {
  return code in rejectionErrors
}

/** @throws CHAIN_ANSWER_INVALID */
export function readStatus(status: number): TcbStatus {
  const name = contractStatuses[status]
  const known = tcbStatuses.find((candidate) => candidate === name)
  if (known === undefined) throw unexpectedAnswer('status', String(name ?? status))
  return known
}

/** Most characters of an advisory id that the contract keeps as text: a zero ends it in its word. */
const LONGEST_TEXT = 31

/** An advisory id as one word: the text itself, or keccak-256 of one with more than 31 characters. */
export function advisoryWord(id: string): Hex {
  const text = stringToHex(id)
  return size(text) > LONGEST_TEXT ? keccak256(text) : pad(text, { dir: 'right', size: 32 })
}

/** The id in a word of the contract; of a long id its hash, as hex. */
export function readAdvisory(word: Hex): string {
  const octets = word.slice(2).match(/../g) ?? []
  const end = octets.findLastIndex((octet) => octet !== '00') + 1
  const text = hexToString(`0x${octets.slice(0, end).join('')}`)
  return /^[ -~]{1,31}$/.test(text) ? text : word
}

/** Advisory ids as the contract packs them, one in each word. */
export function readAdvisories(words: readonly Hex[]): string[] {
  return words.map(readAdvisory)
}

function unexpectedAnswer(field: string, found: string): AssentError {
  return new AssentError(
    'CHAIN_ANSWER_INVALID',
    `The contract answers with the ${field} ${found}.`,
    {
      facts: { field, found },
    },
  )
}
