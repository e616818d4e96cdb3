/**
 * `assent/kms-client`: get an app's keys and certificates from a KMS, and verify that keys come from its root key.
 *
 * Getting keys needs a quote of this CVM, so it works inside a CVM only. Verifying keys and signatures works anywhere.
 *
 * @example
 * // inside a CVM: get the app's keys and check that the expected KMS issued them
 * import { createAgentClient, fetchAppKeys, verifyFetchedKeys } from 'assent/kms-client'
 *
 * const agent = createAgentClient({ socket: '/var/run/dstack.sock' })
 * const keys = await fetchAppKeys({ url: 'https://kms.example:9201' }, agent, vmConfig)
 * verifyFetchedKeys(appId, keys, rootPublicKey)
 */
export {
  type InstanceBinding,
  instanceBindingDigest,
  instanceReportData,
} from '../chain/registries/instance-statements.ts'
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
export {
  type AppCertificateRequest,
  requestCertificate,
} from '../kms/certificates/request-certificate.ts'
export {
  certifyInstance,
  type InstanceCertificate,
  signInstanceBinding,
  verifyInstanceCertificate,
} from '../kms/certify-instance.ts'
export {
  type FetchedAppKeys,
  fetchAppKeys,
  type KeyChain,
  type KmsClientOptions,
  verifyAppKey,
  verifyFetchedKeys,
  verifyKeyChain,
} from '../kms/client.ts'
export { type GuestKeyChain, verifyGuestKeyChain } from '../kms/keys/guest-key-chain.ts'
export { type AgentClient, type AgentOptions, createAgentClient } from '../tee/agent.ts'
export {
  deriveGuestKeyV1,
  type GuestKey,
  type GuestKeyAlgorithm,
  type GuestKeyName,
} from '../tee/guest-keys.ts'
export type { QuoteSource, RawAttestation } from '../tee/source.ts'
