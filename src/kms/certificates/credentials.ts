/** The certificates of one start of a node: the same in all of its processes. */
import { p256 } from '@noble/curves/nist.js'

import { utf8ToBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { QuoteSource } from '../../tee/source.ts'
import { encodeSpki } from '../keys/derive.ts'
import type { KmsSecrets } from '../keys/key-store.ts'
import { extensionIds, issueRootCa, issueTempCa, keyToPem, toPem } from './certificate.ts'
import { issueAttested } from './ratls.ts'

export interface Credentials {
  readonly rootCertificate: Uint8Array
  readonly tempCertificate: Uint8Array
  /** PEM, of the RPC server. */
  readonly serverKey: string
  readonly serverCertificate: string
}

export interface CredentialRequest {
  readonly keys: KmsSecrets
  /** Name in the server's certificate. */
  readonly domain: string
  readonly source: QuoteSource
  readonly clock: Clock
}

/** The server's key lives in memory only; each start attests a new one. */
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
