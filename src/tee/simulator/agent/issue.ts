/** Certificates for the app's TLS: the agent makes a key, attests it, and lets an issuer sign it. */
import { generateKeyPairSync } from 'node:crypto'

import { reportData } from '../../../quote/measurements/measure.ts'
import type { SimulatedCvm } from '../cvm.ts'
import { flag, type Parameters, seconds, text, texts } from './transport.ts'

/** What the app wants in its certificate. */
export interface CertificateFields {
  readonly subject: string
  readonly names: readonly string[]
  readonly serverAuth: boolean
  readonly clientAuth: boolean
  readonly withQuote: boolean
  readonly withAppInfo: boolean
  /** Unix seconds. */
  readonly notBefore: number | undefined
  readonly notAfter: number | undefined
}

/** A wish with the key to certify and a quote over that key. */
export interface AgentCertificateRequest extends CertificateFields {
  /** PKCS#8 PEM, P-256. A secret: it signs the order. */
  readonly privateKey: string
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** VersionedAttestation whose report data is bound to `spki`. */
  readonly attestation: Uint8Array
  readonly vmConfig: string
}

/** Signs an order: a KMS through `SignCert`, or an authority of the app's own. PEM, leaf first. */
export type CertificateIssuer = (order: AgentCertificateRequest) => Promise<readonly string[]>

/** `GetTlsKey` of API v0 and `IssueCert` of v1: a new key each time, and its certificates. */
export async function issueCertificate(
  cvm: SimulatedCvm,
  issuer: CertificateIssuer | undefined,
  wish: CertificateFields,
): Promise<{ key: string; certificate_chain: readonly string[] }> {
  if (issuer === undefined) throw new Error('Failed to sign the CSR: the app has no issuer')
  const { notBefore, notAfter } = wish
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter) {
    throw new RangeError('not_before must be earlier than not_after')
  }
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = new Uint8Array(pair.publicKey.export({ type: 'spki', format: 'der' }))
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const attestation = cvm.attestation(reportData('ratls-cert', spki))
  const order = { ...wish, privateKey, spki, attestation, vmConfig: cvm.vmConfig }
  return { key: privateKey, certificate_chain: await issuer(order) }
}

/** The members are named alike in both versions of the API. */
export function readWish(parameters: Parameters): CertificateFields {
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

/** What dstack asks for at start, and shows in `Info` of API v0 as `app_cert`. */
export const demoWish: CertificateFields = {
  subject: 'demo-cert',
  names: [],
  serverAuth: false,
  clientAuth: true,
  withQuote: true,
  withAppInfo: false,
  notBefore: undefined,
  notAfter: undefined,
}
