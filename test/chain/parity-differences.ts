/**
 * Where the two implementations answer differently on purpose. Whatever is not here is a fault of one of them.
 *
 * No rule lets a quote pass that Intel's signatures do not cover: what the contract reads less strictly is signed by
 * Intel and decides nothing, or is bearer data.
 */
import type { ErrorCode } from '../../src/errors/index.ts'

interface CodeRule {
  readonly typescript: readonly ErrorCode[]
  readonly solidity: readonly ErrorCode[]
  readonly why: string
}

const encodings: readonly ErrorCode[] = [
  'QUOTE_PEM_MALFORMED',
  'QUOTE_DER_MALFORMED',
  'QUOTE_CERTIFICATE_MALFORMED',
  'QUOTE_CRL_MALFORMED',
]
const chains: readonly ErrorCode[] = [
  'QUOTE_CHAIN_INVALID',
  'QUOTE_ROOT_UNTRUSTED',
  'QUOTE_PCK_INVALID',
]
const lists: readonly ErrorCode[] = [
  'QUOTE_CRL_ISSUER_MISMATCH',
  'QUOTE_CRL_SIGNATURE_INVALID',
  'QUOTE_CRL_MALFORMED',
]
const times: readonly ErrorCode[] = [
  'QUOTE_NOT_YET_VALID',
  'QUOTE_CERTIFICATE_EXPIRED',
  'QUOTE_CRL_EXPIRED',
  'QUOTE_TCB_INFO_EXPIRED',
  'QUOTE_QE_IDENTITY_EXPIRED',
]
const periods: readonly ErrorCode[] = [
  'QUOTE_CRL_MALFORMED',
  'QUOTE_TCB_INFO_MALFORMED',
  'QUOTE_QE_IDENTITY_MALFORMED',
]
const statuses: readonly ErrorCode[] = [
  'QUOTE_TCB_STATUS_UNKNOWN',
  'QUOTE_TCB_INFO_MALFORMED',
  'QUOTE_QE_IDENTITY_MALFORMED',
]
const ratings: readonly ErrorCode[] = [
  'QUOTE_TDX_MODULE_MISMATCH',
  'QUOTE_QE_REPORT_SIGNATURE_INVALID',
  'QUOTE_QE_REPORT_DATA_MISMATCH',
  'QUOTE_QE_IDENTITY_MISMATCH',
  'QUOTE_TCB_NOT_SUPPORTED',
  'QUOTE_SIGNATURE_INVALID',
]

/** Refused by both, for reasons of another name. */
export const codeRules: readonly CodeRule[] = [
  {
    typescript: [
      'QUOTE_TRUNCATED',
      'QUOTE_SIZE_MISMATCH',
      'QUOTE_CERTIFICATION_TYPE_UNSUPPORTED',
      'QUOTE_BODY_TYPE_UNSUPPORTED',
    ],
    solidity: ['QUOTE_SIZE_MISMATCH', 'QUOTE_CERTIFICATION_TYPE_UNSUPPORTED', 'QUOTE_TRUNCATED'],
    why:
      'the contract names the first length that cannot be, whether it is beyond the end or contradicts another, ' +
      'before it looks at the type of the body',
  },
  {
    typescript: statuses,
    solidity: statuses,
    why: 'of an unknown status and another fault of the document, each names the first it meets',
  },
  {
    typescript: encodings,
    solidity: encodings,
    why: 'refused as an encoding by both; where DER ends and the shape of a certificate begins is drawn elsewhere',
  },
  {
    typescript: [...encodings, ...chains, 'QUOTE_CRL_ISSUER_MISMATCH'],
    solidity: [...encodings, ...chains],
    why:
      'the contract compares the text behind the leaf with the chain it has stored, looks at key and name of a ' +
      'root only, and checks who signed before it reads all of what was signed',
  },
  {
    typescript: [...encodings, ...lists],
    solidity: [
      ...encodings,
      ...lists,
      'QUOTE_CA_REVOKED',
      'QUOTE_PCK_REVOKED',
      'QUOTE_TCB_SIGNING_REVOKED',
    ],
    why: 'of the entries of a list the contract reads the serial numbers, and looks for the issuer before the rest',
  },
  {
    typescript: [...encodings, ...chains],
    solidity: ['QUOTE_TCB_INFO_SIGNATURE_INVALID', 'QUOTE_QE_IDENTITY_SIGNATURE_INVALID'],
    why: 'a signer whose certificate the contract can read is stored, and its document refused',
  },
  {
    typescript: ['QUOTE_TCB_INFO_UNSUPPORTED', 'QUOTE_QE_IDENTITY_UNSUPPORTED'],
    solidity: ['QUOTE_TCB_INFO_MALFORMED', 'QUOTE_QE_IDENTITY_MALFORMED'],
    why: 'the contract reads documents against a template, of which id and version are part',
  },
  {
    typescript: [...times, ...periods],
    solidity: [...times, 'QUOTE_CHAIN_INVALID'],
    why:
      'LeafNotInForce is one verdict for both ends, an issuer out of its time is unfit, and documents from the ' +
      'future are refused at upload, before anything that has expired is looked at',
  },
  {
    typescript: ratings,
    solidity: ratings,
    why:
      'with several reasons each names the first it meets: TypeScript looks at the TDX module before the quoting ' +
      'enclave, the contract after it; and an unknown running module has no levels here, no identity there',
  },
]

interface UnreadRule {
  /** `code document field` of TypeScript's refusal */
  readonly refusal: RegExp
  readonly why: string
}

/** Refused by TypeScript, verified by the contract, which does not read the part that is wrong. */
export const unreadRules: readonly UnreadRule[] = [
  {
    refusal:
      /^QUOTE_(DER|CRL|CERTIFICATE)_MALFORMED (root CRL|PCK CRL) (revocationDate|extension.*|crlEntryExtensions|revokedCertificate|serialNumber)$/,
    why: 'signed by Intel: of an entry of a list only the serial number counts',
  },
  {
    refusal:
      /^QUOTE_(DER|CERTIFICATE)_MALFORMED (PCK certificate|PCK CRL issuer chain|(TCB info|QE identity) issuer chain|PCK CA) (name|commonName)$/,
    why: 'signed by Intel: of a name the bytes as a whole and the common name count',
  },
  {
    refusal:
      /^QUOTE_(DER|CERTIFICATE)_MALFORMED PCK certificate sgx\.(configuration|type|0[0567])$/,
    why: 'signed by Intel: no rule uses the SGX type or the configuration',
  },
  {
    refusal: /^QUOTE_(DER|CERTIFICATE)_MALFORMED [\w ]+ (extension.*|keyUsage|basicConstraints.*)$/,
    why: 'signed by Intel: of an extension the contract reads type, criticality and, where it counts, the value',
  },
  {
    refusal: /^QUOTE_CHAIN_INVALID [\w ]+ issuer chain (signature|issuer) of Intel SGX Root CA$/,
    why: 'bearer data: the root is pinned by key, what else its certificate says in a bundle decides nothing',
  },
  {
    refusal: /^QUOTE_PEM_MALFORMED .*$/,
    why: 'bearer data: behind the last certificate the contract allows more than one line feed or NUL',
  },
  {
    refusal: /^QUOTE_TOO_LARGE quote$/,
    why: 'padding: on a chain the gas of calldata bounds it',
  },
]

/**
 * Cases of the catalogue with two certificates of one key that signs documents. The contract is not told under which of
 * them the document came: the valid one that lasts longest counts, because the uploader could have used it.
 */
export const twoCertificatesOfOneKey: readonly string[] = [
  'valid_qe_identity_signing_last_second',
  'crl_qe_identity_signing_revoked',
]
