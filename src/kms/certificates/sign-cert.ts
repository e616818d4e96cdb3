/** Certifies a key of an app that the chain allows: the certificates that apps show each other. */
import { AssentError } from '../../errors/index.ts'
import { utf8ToBytes } from '../../lib/bytes.ts'
import { type Attestation, encodeAttestation } from '../../quote/attestation.ts'
import { buildBootInfo } from '../../quote/measurements/measure.ts'
import { authorizeApp } from '../authorization/authorize.ts'
import {
  proveBoot,
  runtimeLog,
  type VerifiedAttestation,
  verifyAttestation,
} from '../authorization/verify-attestation.ts'
import { deriveAppCaKey } from '../keys/derive.ts'
import { type Caller, type KmsContext, noteApproval, noteBoot } from '../rpc/context.ts'
import { withVerdictContext } from '../rpc/error-context.ts'
import { encodeAppInfo } from './app-info.ts'
import { extensionIds, issueAppCa, issueLeaf, toPem } from './certificate.ts'
import {
  type CertificateRequest,
  parseCertificateRequest,
  readRequestKey,
  requireAllowedRequest,
  requireSigned,
} from './csr.ts'
import { certificateForm, requireBound } from './ratls.ts'

export interface SignRequest {
  readonly apiVersion: number
  readonly csr: Uint8Array
  readonly signature: Uint8Array
  readonly vmConfig: string
}

/** Leaf, app CA and root, PEM. The quote is in the request; no client certificate is needed. */
export async function signCertificate(kms: KmsContext, sent: SignRequest, caller: Caller) {
  const { apiVersion, csr, signature, vmConfig } = sent
  if (apiVersion !== 1 && apiVersion !== 2) {
    throw new AssentError('KMS_API_VERSION_UNSUPPORTED', `Unsupported API version: ${apiVersion}`)
  }
  const now = kms.clock()
  requireSigned(csr, signature, readRequestKey(csr))
  const request = parseCertificateRequest(apiVersion, csr)
  const proven = await withVerdictContext('Quote verification failed', async () => {
    requireBound(request.attestation, request.spki)
    return verifyAttestation(request.attestation, kms.rules)
  })
  // an app asks while it runs; the contracts know it as it was when it booted
  const boot = proveBoot(proven, vmConfig, 'boot', kms.rules)
  noteBoot(caller, boot)
  const approval = await authorizeApp(kms.ask, boot)
  noteApproval(kms, caller, approval)
  requireAllowedRequest(request, now, kms.domain)

  const { appId } = boot.bootInfo
  const root = { key: kms.keys.ca, certificate: kms.rootCertificate }
  const key = deriveAppCaKey(kms.keys, appId)
  const appCa = { key, certificate: await issueAppCa(root, key, appId, now) }
  const extensions = extensionsOf(request, appId, proven, vmConfig)
  const leaf = await issueLeaf(appCa, { ...toLeaf(request), extensions }, now)
  key.fill(0)
  const certificate = leaf
  await kms.recorder.record({
    kind: 'certificate',
    method: 'SignCert',
    boot,
    approval,
    certificate,
  })
  return { certificateChain: [leaf, appCa.certificate, kms.rootCertificate].map(toPem) }
}

function toLeaf(request: CertificateRequest) {
  const { spki, subject, names, serverAuth, clientAuth, organization, notBefore, notAfter } =
    request
  return {
    spki,
    commonName: subject,
    names,
    serverAuth,
    clientAuth,
    ...(organization === undefined ? {} : { organization }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(notAfter === undefined ? {} : { notAfter }),
  }
}

function extensionsOf(
  { withQuote, withAppInfo, attestation }: CertificateRequest,
  appId: Uint8Array,
  { verdict }: VerifiedAttestation,
  sentConfig: string,
): Map<string, Uint8Array> {
  const extensions = new Map<string, Uint8Array>([
    [extensionIds.appId, appId],
    [extensionIds.usage, utf8ToBytes('app:custom')],
  ])
  // what the chain was asked about, whichever the request carried inside
  const vmConfig = sentConfig === '' ? attestation.config : sentConfig
  const judged: Attestation = { ...attestation, config: vmConfig }
  if (withQuote) {
    extensions.set(extensionIds.attestation, encodeAttestation(certificateForm(judged)))
  }
  if (withAppInfo) {
    const events = runtimeLog(attestation)
    const boot = buildBootInfo({ verdict, events, vmConfig, view: 'full' })
    extensions.set(extensionIds.appInfo, encodeAppInfo(boot, attestation))
  }
  return extensions
}
