/** `SignCert`: issues certificates with which apps authenticate to each other, if the chain allows the app. */
import { AssentError } from '../../errors/index.ts'
import { utf8ToBytes } from '../../lib/bytes.ts'
import { type Attestation, encodeAttestation } from '../../quote/attestation.ts'
import { buildBootInfo } from '../../quote/measurements/measure.ts'
import { authorizeApp } from '../authorization/authorize.ts'
import {
  runtimeLog,
  type VerifiedAttestation,
  verifyBoot,
  verifyQuote,
} from '../authorization/verify-attestation.ts'
import { deriveAppCaKey } from '../keys/derive.ts'
import {
  type Caller,
  type KmsContext,
  rememberBlockForLog,
  rememberBootForLog,
  requireGateway,
} from '../rpc/context.ts'
import { withVerdictContext } from '../rpc/error-context.ts'
import { encodeAppInfo } from './app-info.ts'
import { extensionIds, issueAppCa, issueLeaf, toPem } from './certificate.ts'
import {
  type CertificateRequest,
  parseCertificateRequest,
  readRequestKey,
  readRequestQuote,
  requireAllowedRequest,
  requireSigned,
} from './csr.ts'
import { certificateForm, requireBound, requireBoundQuote } from './ratls.ts'

/** The message `SignCertRequest`. */
export interface SignRequest {
  /** 1 or 2: the form of `csr`. */
  readonly apiVersion: number
  /** The signed certificate request, as the method received it. */
  readonly csr: Uint8Array
  /** ECDSA over `csr`, DER. */
  readonly signature: Uint8Array
  /** JSON; empty uses the one inside the attestation. */
  readonly vmConfig: string
}

/**
 * Issues a certificate. The quote is in the request, so no client certificate is needed.
 *
 * @returns PEM certificates: leaf, app CA, root
 * @throws KMS_API_VERSION_UNSUPPORTED, KMS_CSR_*, KMS_QUOTE_REJECTED, KMS_BOOT_DENIED, CHAIN_*, PCCS_*, KMS_LOG_*
 */
export async function signCertificate(kms: KmsContext, message: SignRequest, caller: Caller) {
  const { apiVersion, csr, signature, vmConfig } = message
  if (apiVersion !== 1 && apiVersion !== 2) {
    throw new AssentError('KMS_API_VERSION_UNSUPPORTED', `Unsupported API version: ${apiVersion}`)
  }
  const now = kms.clock()
  const spki = readRequestKey(csr)
  requireSigned(csr, signature, spki)
  const verdict = await withVerdictContext('Quote verification failed', async () => {
    const quote = readRequestQuote(apiVersion, csr)
    requireBoundQuote(quote, spki)
    return verifyQuote(quote, kms.rules)
  })
  // only the holder of a genuine quote makes the KMS decode an event log
  const request = parseCertificateRequest(apiVersion, csr)
  requireBound(request.attestation, spki)
  const proven = { verdict, attestation: request.attestation }
  // the app is running, and the contracts know it as it was at boot: later events are left out
  const boot = verifyBoot(proven, vmConfig, 'boot', kms.rules)
  rememberBootForLog(caller, boot)
  const allowed = await authorizeApp(kms.authorizeBoot, boot)
  rememberBlockForLog(kms, caller, allowed)
  requireGateway(kms, allowed.gatewayAppId)
  requireAllowedRequest(request, now, kms.kmsNames)

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
    allowed,
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
  requestConfig: string,
): Map<string, Uint8Array> {
  const extensions = new Map<string, Uint8Array>([
    [extensionIds.appId, appId],
    [extensionIds.usage, utf8ToBytes('app:custom')],
  ])
  // the VM configuration that was verified, not the one inside the request if they differ
  const vmConfig = requestConfig === '' ? attestation.config : requestConfig
  const verified: Attestation = { ...attestation, config: vmConfig }
  if (withQuote) {
    extensions.set(extensionIds.attestation, encodeAttestation(certificateForm(verified)))
  }
  if (withAppInfo) {
    const events = runtimeLog(attestation)
    const boot = buildBootInfo({ verdict, events, vmConfig, view: 'full' })
    extensions.set(extensionIds.appInfo, encodeAppInfo(boot, attestation))
  }
  return extensions
}
