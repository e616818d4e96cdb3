/** TLS certificates of the app: the agent creates a key, gets a quote over it, and lets an issuer sign. */
import { generateKeyPairSync } from 'node:crypto'

import { reportData } from '../../../quote/measurements/measure.ts'
import type { SimulatedCvm } from '../cvm.ts'
import { flag, type Parameters, seconds, text, texts } from './transport.ts'

/** The fields that the app requests. */
export interface CertificateFields {
  /** Subject CN. */
  readonly subject: string
  /** Subject alternative names: host names and IP addresses. */
  readonly names: readonly string[]
  readonly serverAuth: boolean
  readonly clientAuth: boolean
  /** Whether the certificate carries a quote over its key (RA-TLS). */
  readonly withQuote: boolean
  /** Whether the certificate carries the app's identity. */
  readonly withAppInfo: boolean
  /** Unix seconds. */
  readonly notBefore: number | undefined
  /** Unix seconds; undefined for the default. */
  readonly notAfter: number | undefined
}

/** The requested fields with a new key and a quote over it. */
export interface AgentCertificateRequest extends CertificateFields {
  /** P-256 private key, PKCS#8 PEM. It signs the request. */
  readonly privateKey: string
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** VersionedAttestation whose report data is bound to `spki`. */
  readonly attestation: Uint8Array
  readonly vmConfig: string
}

/** Signs a request: a KMS (`SignCert`) or an own CA of the app. @returns PEM certificates, leaf first */
export type CertificateIssuer = (request: AgentCertificateRequest) => Promise<readonly string[]>

/** `GetTlsKey` of v0 and `IssueCert` of v1: a new key and its certificates. */
export async function issueCertificate(
  cvm: SimulatedCvm,
  issuer: CertificateIssuer | undefined,
  fields: CertificateFields,
): Promise<{ key: string; certificate_chain: readonly string[] }> {
  if (issuer === undefined) throw new Error('Failed to sign the CSR: the app has no issuer')
  const { notBefore, notAfter } = fields
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter) {
    throw new RangeError('not_before must be earlier than not_after')
  }
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }))
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const attestation = cvm.attestation(reportData('ratls-cert', spki))
  const order = { ...fields, privateKey, spki, attestation, vmConfig: cvm.vmConfig }
  return { key: privateKey, certificate_chain: await issuer(order) }
}

/** Both versions of the API have the same member names. */
export function readCertificateFields(parameters: Parameters): CertificateFields {
  return {
    subject: text(parameters, 'subject'),
    names: texts(parameters, 'alt_names'),
    serverAuth: flag(parameters, 'usage_server_auth'),
    clientAuth: flag(parameters, 'usage_client_auth'),
    withQuote: flag(parameters, 'usage_ra_tls'),
    withAppInfo: flag(parameters, 'with_app_info'),
    notBefore: seconds(parameters, 'not_before'),
    notAfter: seconds(parameters, 'not_after'),
  }
}

/** The certificate that dstack requests at start and returns as `app_cert` in `Info` of API v0. */
export const demoCertificateFields: CertificateFields = {
  subject: 'demo-cert',
  names: [],
  serverAuth: false,
  clientAuth: true,
  withQuote: true,
  withAppInfo: false,
  notBefore: undefined,
  notAfter: undefined,
}
