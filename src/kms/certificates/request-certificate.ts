/** Client side of `SignCert`: gets a certificate for a key of an app from a KMS. */
import { createPublicKey, sign } from 'node:crypto'

import { z } from 'zod'

import { toHex } from '../../lib/bytes.ts'
import { decodeAttestation } from '../../quote/attestation.ts'
import { callKms, type KmsClientOptions } from '../client.ts'
import { encodeCertificateRequest } from './csr.ts'

/** The certificate that an app wants. */
export interface AppCertificateRequest {
  /** P-256 key, PKCS#8 PEM. It signs the request and is not sent. */
  readonly privateKey: string
  /** Common name. */
  readonly subject: string
  /** Host names and IP addresses. */
  readonly names: readonly string[]
  /** Whether the certificate may identify a TLS server. */
  readonly serverAuth: boolean
  /** Whether the certificate may identify a TLS client. */
  readonly clientAuth: boolean
  /** Put the attestation into the certificate. */
  readonly withQuote: boolean
  /** Put facts about the app into the certificate. */
  readonly withAppInfo: boolean
  /** Unix seconds; undefined lets the KMS choose. */
  readonly notBefore: number | undefined
  /** Unix seconds; undefined for dstack's ten years. */
  readonly notAfter: number | undefined
  /** VersionedAttestation whose report data is bound to the key. */
  readonly attestation: Uint8Array
  /** JSON as the host gave it to the guest; empty uses the one inside the attestation. */
  readonly vmConfig: string
}

const signAnswer = z.object({ certificate_chain: z.array(z.string()) })

/**
 * Requests a certificate.
 *
 * @returns PEM certificates: leaf, app CA, root
 * @throws KMS_UNREACHABLE, KMS_UNAVAILABLE, KMS_REFUSED, KMS_ANSWER_INVALID
 * @example
 * const [leaf, appCa, root] = await requestCertificate({ url: 'https://kms:8000' }, request)
 */
export async function requestCertificate(
  options: KmsClientOptions,
  request: AppCertificateRequest,
): Promise<readonly string[]> {
  const { privateKey, attestation, vmConfig, ...fields } = request
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const csr = encodeCertificateRequest({
    ...fields,
    organization: undefined,
    spki: new Uint8Array(spki),
    attestation: decodeAttestation(attestation),
  })
  const body = {
    api_version: 2,
    csr: toHex(csr),
    signature: toHex(sign('sha256', csr, privateKey)),
    vm_config: vmConfig,
  }
  const { certificate_chain } = await callKms(options, 'SignCert', body, signAnswer)
  return certificate_chain
}
