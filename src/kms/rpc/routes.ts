/**
 * The methods of the KMS, in the order of steps in docs/kms.md. The middleware of `service.ts` has verified the quote in the
 * caller's certificate before. Messages and the order of checks are dstack's.
 */

import { instanceStatementDigest } from '../../chain/registries/instance-statements.ts'
import { AssentError } from '../../errors/index.ts'
import { concatBytes, requireLength, to0x, toHex } from '../../lib/bytes.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'
import { type AllowedBoot, authorizeApp, authorizeKms } from '../authorization/authorize.ts'
import { verifyBoot } from '../authorization/verify-attestation.ts'
import { keyToPem, toPem } from '../certificates/certificate.ts'
import { signCertificate } from '../certificates/sign-cert.ts'
import {
  deriveEpochEnvKey,
  envPublicKey,
  firstEpoch,
  k256PublicKey,
  signEnvPublicKey,
  signEpochEnvPublicKey,
  signInstanceStatement,
} from '../keys/derive.ts'
import {
  authorizeThisNode,
  type Caller,
  countChainRequest,
  type KmsContext,
  rememberBlockForLog,
  rememberBootForLog,
  requireAttestation,
  requireGateway,
} from './context.ts'
import { withVerdictContext } from './error-context.ts'
import {
  AppIdSchema,
  AppKeyResponseSchema,
  type CertifyInstanceRequest,
  CertifyInstanceRequestSchema,
  CertifyInstanceResponseSchema,
  EmptySchema,
  GetAppKeyRequestSchema,
  GetKmsKeyRequestSchema,
  GetMetaResponseSchema,
  GetTempCaCertResponseSchema,
  KmsKeyResponseSchema,
  PublicKeyResponseSchema,
  SignCertRequestSchema,
  SignCertResponseSchema,
} from './kms_pb.ts'
import { method, type RpcMethod } from './prpc.ts'

/** All methods by name, without the prefix `KMS`. */
export function kmsMethods(kms: KmsContext): Readonly<Record<string, RpcMethod<Caller>>> {
  return {
    GetTempCaCert: method(EmptySchema, GetTempCaCertResponseSchema, () => getTempCaCert(kms)),
    GetAppKey: method(GetAppKeyRequestSchema, AppKeyResponseSchema, (request, caller: Caller) =>
      getAppKey(kms, request, caller),
    ),
    GetAppEnvEncryptPubKey: method(
      AppIdSchema,
      PublicKeyResponseSchema,
      (request, caller: Caller) => getEnvPublicKey(kms, request, caller),
    ),
    GetMeta: method(EmptySchema, GetMetaResponseSchema, () => getMeta(kms)),
    SignCert: method(
      SignCertRequestSchema,
      SignCertResponseSchema,
      async (request, caller: Caller) => {
        await authorizeThisNode(kms)
        return signCertificate(kms, request, caller)
      },
    ),
    CertifyInstance: method(
      CertifyInstanceRequestSchema,
      CertifyInstanceResponseSchema,
      (request, caller: Caller) => certifyInstance(kms, request, caller),
    ),
    GetKmsKey: method(GetKmsKeyRequestSchema, KmsKeyResponseSchema, (request, caller: Caller) =>
      getKmsKey(kms, request, caller),
    ),
  }
}

/** The temporary CA, under which clients make their RA-TLS certificates. */
async function getTempCaCert(kms: KmsContext) {
  // a new replica calls this before it shows its quote in `GetKmsKey`
  await authorizeThisNode(kms, 'caller-unknown')
  return {
    tempCaCert: toPem(kms.tempCertificate),
    // public by design: a certificate chain to the temporary CA proves nothing
    tempCaKey: keyToPem(kms.keys.tempCa),
    caCert: kms.rootPem,
  }
}

/** Releases the keys of the app that runs in the caller's CVM, if the chain allows its boot. */
async function getAppKey(
  kms: KmsContext,
  { apiVersion, vmConfig }: { apiVersion: number; vmConfig: string },
  caller: Caller,
) {
  if (apiVersion > 1) {
    throw new AssentError('KMS_API_VERSION_UNSUPPORTED', `Unsupported API version: ${apiVersion}`)
  }
  await authorizeThisNode(kms)
  const { boot, allowed } = await withVerdictContext('App not allowed', async () => {
    const proven = requireAttestation(caller)
    const boot = verifyBoot(proven, vmConfig, 'full', kms.rules)
    rememberBootForLog(caller, boot)
    return { boot, allowed: await authorizeApp(kms.authorizeBoot, boot) }
  })
  rememberBlockForLog(kms, caller, allowed)
  requireGateway(kms, allowed.gatewayAppId)
  const granted = grantedKeys(kms, allowed, boot.bootInfo)
  await kms.recorder.record({ kind: 'release', method: 'GetAppKey', boot, allowed })
  return {
    ...granted,
    caCert: kms.rootPem,
    tproxyAppId: allowed.gatewayAppId,
    gatewayAppId: allowed.gatewayAppId,
    osImageHash: boot.osImageHash,
  }
}

/**
 * Keys of the key epochs that the chain grants to this release. `write` is the release's own epoch, and the one that
 * dstack's guests use; during a migration the epoch before it can be read too. An app contract without epochs has the
 * first one only.
 */
function grantedKeys({ appKeys }: KmsContext, { epochs }: AllowedBoot, boot: BootInfo) {
  const { appId, instanceId } = boot
  if (epochs === undefined) return appKeys.keysOf(appId, instanceId)
  const { write, read } = epochs
  const granted = read < write ? [write - 1, write] : [write]
  return {
    ...appKeys.keysOf(appId, instanceId, write),
    writeEpoch: write,
    epochKeys: granted.map((epoch) => appKeys.epochKeysOf(appId, epoch)),
  }
}

/**
 * Signs that a key belongs to an instance of the caller's app, for `Instances` on the chain of this KMS. The boot needs what
 * `GetAppKey` needs. The statement names release and key epoch; no other method signs with its key.
 */
async function certifyInstance(kms: KmsContext, request: CertifyInstanceRequest, caller: Caller) {
  await authorizeThisNode(kms)
  requireLength(request.key, 'key', 20)
  requireLength(request.registry, 'registry', 20)
  requireLength(request.blockHash, 'block_hash', 32)
  const { boot, allowed } = await withVerdictContext('App not allowed', async () => {
    const proven = requireAttestation(caller)
    // as for SignCert: the app runs, and its events after the boot do not count
    const boot = verifyBoot(proven, request.vmConfig, 'boot', kms.rules)
    rememberBootForLog(caller, boot)
    return { boot, allowed: await authorizeApp(kms.authorizeBoot, boot) }
  })
  rememberBlockForLog(kms, caller, allowed)
  requireGateway(kms, allowed.gatewayAppId)
  const { appId, composeHash } = boot.bootInfo
  const epoch = allowed.epochs?.write ?? firstEpoch
  const binding = {
    chainId: kms.chain.chainId,
    registry: to0x(request.registry),
    app: to0x(appId),
    key: to0x(request.key),
    block: { number: request.blockNumber, hash: to0x(request.blockHash) },
  }
  const digest = instanceStatementDigest(binding, composeHash)
  const signed = signInstanceStatement(kms.keys, { appId, epoch }, digest)
  await kms.recorder.record({
    kind: 'certificate',
    method: 'CertifyInstance',
    certificate: concatBytes(digest, request.key),
    boot,
    allowed,
  })
  return { appId, composeHash, epoch, ...signed }
}

/**
 * The public environment key of an app. Anyone may ask: deployers encrypt environment variables with it.
 *
 * Without an epoch the answer is for the newest one, because new variables are for the next release. dstack's signed
 * statement names no epoch, and an unmodified deployer encrypts to any key that has one. So that statement is made for
 * the newest epoch only. Epochs that the app has not opened are refused.
 */
async function getEnvPublicKey(
  kms: KmsContext,
  { appId, epoch: requestedEpoch }: { appId: Uint8Array; epoch: number },
  caller: Caller,
) {
  await authorizeThisNode(kms)
  if (appId.length !== 20) {
    throw new AssentError('LENGTH_WRONG', 'app_id must be 20 bytes', {
      facts: { found: appId.length },
    })
  }
  const openedEpoch = await kms.newestEpoch(appId, () => countChainRequest(kms, caller))
  const newest = openedEpoch ?? firstEpoch
  const epoch = requestedEpoch === 0 ? newest : requestedEpoch
  if (epoch > newest) {
    throw new AssentError('KMS_REQUEST_INVALID', `The app has not opened epoch ${epoch}`, {
      facts: { found: epoch, expected: `at most ${newest}` },
    })
  }
  const publicKey = envPublicKey(deriveEpochEnvKey(kms.keys, appId, epoch))
  const timestamp = kms.clock()
  const shown = { publicKey, timestamp: BigInt(timestamp) }
  const withoutEpoch = {
    signature: signEnvPublicKey(kms.keys, appId, publicKey),
    signatureV1: signEnvPublicKey(kms.keys, appId, publicKey, timestamp),
  }
  const answer = epoch === newest ? { ...shown, ...withoutEpoch } : shown
  if (openedEpoch === undefined && requestedEpoch === 0) return answer
  const epochSignature = signEpochEnvPublicKey(kms.keys, { appId, epoch }, publicKey, timestamp)
  return { ...answer, epoch, epochSignature }
}

/** Public facts about this KMS: root keys, chain, contracts. */
async function getMeta(kms: KmsContext) {
  const facts = await kms.chainFacts()
  return {
    caCert: kms.rootPem,
    allowAnyUpgrade: false,
    k256Pubkey: k256PublicKey(kms.keys.k256),
    ...(kms.bootstrapInfo ? { bootstrapInfo: kms.bootstrapInfo } : {}),
    isDev: false,
    gatewayAppId: facts.gatewayAppId,
    kmsContractAddress: kms.chain.kms,
    chainId: BigInt(kms.chain.chainId),
    appAuthImplementation: facts.appImplementation,
  }
}

/** Gives the root keys to a new replica, if the chain allows it as a KMS node. */
async function getKmsKey(kms: KmsContext, { vmConfig }: { vmConfig: string }, caller: Caller) {
  // A caller without a quote gets the answer about this node first, as from dstack. For every other caller the device in
  // the verified quote decides if a log that is not witnessed yet may be used.
  if (caller.verifiedAttestation === undefined) await authorizeThisNode(kms, 'caller-unknown')
  const boot = verifyBoot(requireAttestation(caller), vmConfig, 'full', kms.rules)
  rememberBootForLog(caller, boot)
  await authorizeThisNode(kms, { device: toHex(boot.bootInfo.deviceId) })
  const allowed = await authorizeKms(kms.authorizeBoot, boot)
  rememberBlockForLog(kms, caller, allowed)
  await kms.recorder.record({ kind: 'handover', method: 'GetKmsKey', boot, allowed })
  return {
    tempCaKey: keyToPem(kms.keys.tempCa),
    keys: [{ caKey: keyToPem(kms.keys.ca), k256Key: kms.keys.k256 }],
  }
}
