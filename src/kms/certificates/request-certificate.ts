/** Asks a KMS to certify a key of an app: the other side of `SignCert`. */
import { createPublicKey, sign } from 'node:crypto'

import { z } from 'zod'

import { toHex } from '../../lib/bytes.ts'
import { decodeAttestation } from '../../quote/attestation.ts'
import { callKms, type KmsClientOptions } from '../client.ts'
import { encodeCertificateRequest } from './csr.ts'

/** What an app wants certified. */
export interface AppCertificateRequest {
  /** PKCS#8 PEM, P-256. It signs the request and never leaves this process. */
  readonly privateKey: string
  readonly subject: string
  /** Host names and addresses. */
  readonly names: readonly string[]
  readonly serverAuth: boolean
  readonly clientAuth: boolean
  /** The certificate shall carry the attestation. */
  readonly withQuote: boolean
  /** The certificate shall carry what the attestation says about the app. */
  readonly withAppInfo: boolean
  /** Unix seconds; the KMS chooses where they are absent. */
  readonly notBefore: number | undefined
  readonly notAfter: number | undefined
  /** VersionedAttestation whose report data is bound to the key. */
  readonly attestation: Uint8Array
  readonly vmConfig: string
}

const signAnswer = z.object({ certificate_chain: z.array(z.string()) })

/**
 * The certificates of a key, PEM, leaf first, root last.
 *
 * @throws KMS_UNREACHABLE, KMS_REFUSED, KMS_ANSWER_INVALID
 * @example
 * const issuer = (order) => requestCertificate({ url: 'https://kms:8000' }, order)
 */
export async function requestCertificate(
  options: KmsClientOptions,
  order: AppCertificateRequest,
): Promise<readonly string[]> {
  const { privateKey, attestation, vmConfig, ...wish } = order
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const csr = encodeCertificateRequest({
    ...wish,
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
