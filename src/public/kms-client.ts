/**
 * `assent/kms-client`: get an app's keys and certificates from a KMS, and follow keys back to its root.
 *
 * @example
 * import { fetchAppKeys, verifyFetchedKeys } from 'assent/kms-client'
 */
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
export {
  type AppCertificateRequest,
  requestCertificate,
} from '../kms/certificates/request-certificate.ts'
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
