/**
 * Collateral with verified signatures. Validity, revocation and TCB level are checked at each use, so a cached result
 * (`verify-cache.ts`) is as strong as a new one.
 */
import { type Certificate, parseCertificate } from '../certificates/certificate.ts'
import {
  certificateValidity,
  type IssuerChain,
  requireIssuedList,
  requireNotRevoked,
  requireValid,
  type TrustedRoot,
  type Validity,
  verifyIssuerChain,
} from '../certificates/certificate-chain.ts'
import { parseRevocationList, type RevocationList } from '../certificates/crl.ts'
import { splitPemChain } from '../certificates/pem.ts'
import { Rejection, type RejectionCode } from '../verdict.ts'
import { type Collateral, readHexField } from './collateral.ts'
import { parseQeIdentity, type QeIdentity } from './qe-identity.ts'
import { parseTcbInfo, type TcbInfo } from './tcb-info.ts'

/** Parsed collateral whose signatures are valid. */
export interface TrustedCollateral {
  /** Root of trust under which everything was verified. */
  readonly root: TrustedRoot
  /** CA of PCK certificates and its root. */
  readonly pckIssuers: IssuerChain
  /** Revocations of CAs and signers. */
  readonly rootCrl: RevocationList
  /** Revocations of PCK certificates. */
  readonly pckCrl: RevocationList
  /** TCB levels of one platform family. */
  readonly tcbInfo: TcbInfo
  /** Identity and TCB levels of the quoting enclave. */
  readonly qeIdentity: QeIdentity
  /** The certificates that signed TCB info and QE identity. */
  readonly signers: readonly Certificate[]
  /** Validity of every certificate and document. */
  readonly validities: readonly Validity[]
}

/**
 * Verifies all signatures of the collateral up to the root of trust. A document is parsed after its signature was
 * verified, so an attacker cannot reach the JSON parser.
 *
 * @throws QUOTE_* if a document is malformed
 * @throws Rejection if a signature or a certificate is invalid
 */
export function verifyCollateral(collateral: Collateral, root: TrustedRoot): TrustedCollateral {
  const readChain = certificateReader()
  const pckIssuers = verifyIssuerChain(
    readChain(collateral.pck_crl_issuer_chain, 'PCK CRL issuer chain'),
    'pckCa',
    root,
    'PCK CRL issuer chain',
  )
  const rootCrl = parseRevocationList(readHexField(collateral, 'root_ca_crl'), 'root CRL')
  requireIssuedList(rootCrl, pckIssuers.root, 'root CRL')
  const pckCrl = parseRevocationList(readHexField(collateral, 'pck_crl'), 'PCK CRL')
  requireIssuedList(pckCrl, pckIssuers.issuer, 'PCK CRL')

  const tcbIssuers = verifySigner('TCB info', collateral.tcb_info_issuer_chain)
  requireSigned(
    'TCB info',
    tcbIssuers,
    collateral.tcb_info,
    readHexField(collateral, 'tcb_info_signature'),
  )
  const tcbInfo = parseTcbInfo(collateral.tcb_info)

  const sameSigner = collateral.qe_identity_issuer_chain === collateral.tcb_info_issuer_chain
  const qeIssuers = sameSigner
    ? tcbIssuers
    : verifySigner('QE identity', collateral.qe_identity_issuer_chain)
  requireSigned(
    'QE identity',
    qeIssuers,
    collateral.qe_identity,
    readHexField(collateral, 'qe_identity_signature'),
  )
  const qeIdentity = parseQeIdentity(collateral.qe_identity)

  const chains = [pckIssuers, tcbIssuers, ...(sameSigner ? [] : [qeIssuers])]
  const validities = [
    ...chains.flatMap((chain) => [chain.issuer, chain.root]).map(certificateValidity),
    listValidity('root CRL', rootCrl),
    listValidity('PCK CRL', pckCrl),
    documentValidity('TCB info', tcbInfo, 'QUOTE_TCB_INFO_EXPIRED'),
    documentValidity('QE identity', qeIdentity, 'QUOTE_QE_IDENTITY_EXPIRED'),
  ]
  const signers = [tcbIssuers.issuer, qeIssuers.issuer]
  return { root, pckIssuers, rootCrl, pckCrl, tcbInfo, qeIdentity, signers, validities }

  function verifySigner(document: string, pem: string): IssuerChain {
    const chain = `${document} issuer chain`
    return verifyIssuerChain(readChain(pem, chain), 'tcbSigning', root, chain, pckIssuers.root)
  }
}

/**
 * Checks that verified collateral can be used for any quote: it is valid at `at` and its signers are not revoked.
 *
 * A failure says nothing about a quote. It is an outage: there is no usable collateral.
 *
 * @throws Rejection
 */
export function requireCurrent(trusted: TrustedCollateral, at: number): void {
  requireValid(trusted.validities, at)
  for (const signer of trusted.signers) {
    requireNotRevoked(signer, trusted.rootCrl, 'QUOTE_TCB_SIGNING_REVOKED')
  }
}

/** Parses each certificate once, so that a certificate which occurs in several chains is verified once. */
function certificateReader(): (pem: string, document: string) => Certificate[] {
  const seen = new Map<string, Certificate>()
  return (pem, document) =>
    splitPemChain(pem, { field: document }).map((der) => {
      const id = Buffer.from(der.buffer, der.byteOffset, der.length).toString('latin1')
      const known = seen.get(id)
      if (known !== undefined) return known
      const certificate = parseCertificate(der, document)
      seen.set(id, certificate)
      return certificate
    })
}

/** Intel signs the exact text of the document. The signature is r and s, without DER. */
function requireSigned(
  document: 'TCB info' | 'QE identity',
  { issuer }: IssuerChain,
  text: string,
  signature: Uint8Array,
): void {
  if (issuer.key.verifies(Buffer.from(text, 'utf8'), signature)) return
  const code =
    document === 'TCB info'
      ? 'QUOTE_TCB_INFO_SIGNATURE_INVALID'
      : 'QUOTE_QE_IDENTITY_SIGNATURE_INVALID'
  throw new Rejection(code, `The signature of the ${document} is invalid.`, { document })
}

function listValidity(document: string, list: RevocationList): Validity {
  const { thisUpdate, nextUpdate } = list
  return { document, notBefore: thisUpdate, notAfter: nextUpdate, expired: 'QUOTE_CRL_EXPIRED' }
}

function documentValidity(
  document: string,
  { issueDate, nextUpdate }: TcbInfo | QeIdentity,
  expired: RejectionCode,
): Validity {
  return { document, notBefore: issueDate, notAfter: nextUpdate, expired }
}
