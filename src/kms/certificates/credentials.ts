/** Certificates and server key of one start of a KMS node. All processes of the node use the same. */
import { p256 } from '@noble/curves/nist.js'

import { utf8ToBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { QuoteSource } from '../../tee/source.ts'
import { encodeSpki } from '../keys/derive.ts'
import type { KmsSecrets } from '../keys/key-store.ts'
import { extensionIds, issueRootCa, issueTempCa, keyToPem, toPem } from './certificate.ts'
import { issueAttested } from './ratls.ts'

/**
 * Everything that TLS needs: server key and certificate, the root and the temporary CA. The server key exists in memory
 * only.
 */
export interface Credentials {
  /** DER; the same bytes after every start. */
  readonly rootCertificate: Uint8Array
  /** DER; the same bytes after every start. */
  readonly tempCertificate: Uint8Array
  /** PEM; a new key for each start. */
  readonly serverKey: string
  /** PEM; carries a quote over the server key. */
  readonly serverCertificate: string
}

/** From what credentials are made. */
export interface CredentialRequest {
  /** Root keys; they sign root certificate and temporary CA. */
  readonly keys: KmsSecrets
  /** Host name or address in the server certificate. */
  readonly domain: string
  /** Gives quotes of this CVM. */
  readonly source: QuoteSource
  /** Unix seconds. */
  readonly clock: Clock
}

/**
 * Creates a new server key, which stays in memory, and a certificate with a quote over it.
 *
 * @throws TEE_* if there is no quote
 */
export async function issueCredentials(request: CredentialRequest): Promise<Credentials> {
  const { keys, domain, source } = request
  const now = request.clock()
  const [rootCertificate, tempCertificate] = await Promise.all([
    issueRootCa(keys.ca),
    issueTempCa(keys.tempCa),
  ])
  const key = p256.utils.randomSecretKey()
  const leaf = {
    spki: encodeSpki(key),
    commonName: domain,
    names: [domain],
    extensions: new Map([[extensionIds.usage, utf8ToBytes('kms:rpc')]]),
  }
  const root = { key: keys.ca, certificate: rootCertificate }
  const certificate = await issueAttested(root, leaf, source, now)
  return {
    rootCertificate,
    tempCertificate,
    serverKey: keyToPem(key),
    serverCertificate: toPem(certificate),
  }
}
