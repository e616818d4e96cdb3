/** Dependencies of the KMS methods, and the caller of one request. */
import type { BootAuthorizer, KmsFacts } from '../../chain/boot/boot.ts'
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { AllowedBoot, AuthorizeBoot } from '../authorization/authorize.ts'
import type { SelfAuthorizer } from '../authorization/self-authorization.ts'
import type {
  AttestationRules,
  ProvenBoot,
  VerifiedAttestation,
} from '../authorization/verify-attestation.ts'
import type { AppKeyring } from '../keys/app-keys.ts'
import type { KmsSecrets } from '../keys/key-store.ts'
import type { DecisionRecorder } from '../log/record-decision.ts'
import type { OnboardingNode } from '../log/witness.ts'
import type { Rates } from './caller-limits.ts'
import { withErrorContext } from './error-context.ts'
import type { BootstrapResponse } from './kms_pb.ts'

/** The caller of one request. */
export interface Caller {
  /** IP address, for the service log. */
  readonly address: string
  /** The client that limits count: an IPv4 address or an IPv6 /64. */
  readonly client: string
  /** The verified quote of its TLS certificate; undefined without a certificate or without a quote in it. */
  readonly verifiedAttestation: VerifiedAttestation | undefined
  /** Fields for the service log, which the method fills in. */
  readonly notes: Record<string, unknown>
  /** The boot that its quote proves, as soon as the method has read it. A denial is logged with it. */
  boot?: ProvenBoot
}

/** Everything that the methods use. One per process. */
export interface KmsContext {
  /** Root keys and temporary CA key. */
  readonly keys: KmsSecrets
  /** Host names or addresses of this KMS and of other nodes with its root keys. No app gets a certificate for them. */
  readonly kmsNames: readonly string[]
  /** App keys, derived or from a cache. */
  readonly appKeys: AppKeyring
  /** DER. */
  readonly rootCertificate: Uint8Array
  /** The root certificate as PEM. */
  readonly rootPem: string
  /** DER. */
  readonly tempCertificate: Uint8Array
  /** Rules for quotes of callers. */
  readonly rules: AttestationRules
  /** Asks the chain if a boot is allowed. */
  readonly authorizeBoot: AuthorizeBoot
  /** Gateway and app implementation, as the KMS contract states them. */
  readonly chainFacts: () => Promise<KmsFacts>
  /**
   * The newest key epoch that an app has opened; undefined if the app is not registered or its contract has no epochs.
   * `beforeRequest` is called before each request to an RPC endpoint.
   */
  readonly newestEpoch: (
    appId: Uint8Array,
    beforeRequest: () => void,
  ) => Promise<number | undefined>
  /** Limits the requests to RPC endpoints that callers without a quote cause. Returns seconds to wait; 0: allowed. */
  readonly ofChainRequest: Rates['ofChainRequest']
  /** Chain and contract that decide, for `GetMeta`. */
  readonly chain: Pick<BootAuthorizer, 'chainId' | 'kms'>
  /** `insecure-off`: serve without asking the chain if this KMS itself is approved. */
  readonly self: SelfAuthorizer | 'insecure-off'
  /** Release keys also while the on-chain gateway id is `any`, which lets guests accept every peer as the gateway. */
  readonly insecureAllowAnyGateway: boolean
  /** Public root keys and the quote over them; undefined on replicas. */
  readonly bootstrapInfo:
    | Pick<BootstrapResponse, 'caPubkey' | 'k256Pubkey' | 'attestation'>
    | undefined
  /** Called for each allowed boot: for metrics. */
  readonly onAllowedBoot: (allowed: AllowedBoot) => void
  /** Writes each decision to the release log before it is sent. */
  readonly recorder: DecisionRecorder
  /** Unix seconds. */
  readonly clock: Clock
}

/**
 * Checks that this KMS may serve now: its release log is intact and witnessed, and the chain allows this node. Every
 * method that uses a key calls it before it uses the key, so that a withdrawn KMS stops at once.
 *
 * @param onboardingNode the caller of `GetKmsKey`: it may be a configured witness that does not run yet
 * @throws KMS_SELF_DENIED, KMS_LOG_*; CHAIN_*, PCCS_*, TEE_* if it cannot be found out
 */
export async function authorizeThisNode(
  { self, recorder }: KmsContext,
  onboardingNode?: OnboardingNode,
): Promise<void> {
  recorder.requireReleasable(onboardingNode)
  if (self === 'insecure-off') return
  await recorder.recordSelf(await withErrorContext('KMS self authorization failed', self.authorize))
}

/**
 * Counts a request to an RPC endpoint for a caller without a quote: endpoints are metered, and such a caller can ask as
 * often as it has addresses.
 *
 * @throws KMS_OVERLOADED
 */
export function countChainRequest({ ofChainRequest }: KmsContext, caller: Caller): void {
  const seconds = caller.verifiedAttestation === undefined ? ofChainRequest(caller.client) : 0
  if (seconds === 0) return
  throw new AssentError('KMS_OVERLOADED', 'Callers without a quote ask the chain too often.', {
    facts: { retryAfter: seconds },
  })
}

/** The verified quote of the caller's certificate. @throws KMS_NO_ATTESTATION */
export function requireAttestation({ verifiedAttestation }: Caller): VerifiedAttestation {
  if (verifiedAttestation === undefined) {
    throw new AssentError('KMS_NO_ATTESTATION', 'No attestation provided')
  }
  return verifiedAttestation
}

/** Keeps the caller's boot for the service log and, if the request is denied, for the release log. */
export function rememberBootForLog(caller: Caller, boot: ProvenBoot): void {
  const { bootInfo, osImageHash } = boot
  caller.boot = boot
  caller.notes.boot = {
    appId: toHex(bootInfo.appId),
    composeHash: toHex(bootInfo.composeHash),
    instanceId: toHex(bootInfo.instanceId),
    deviceId: toHex(bootInfo.deviceId),
    mrAggregated: toHex(bootInfo.mrAggregated),
    osImageHash: toHex(osImageHash),
    tcbStatus: bootInfo.tcbStatus,
  }
}

/** Keeps the block at which a boot is allowed, for the service log and the metrics. */
export function rememberBlockForLog(
  kms: KmsContext,
  { notes }: Caller,
  allowed: AllowedBoot,
): void {
  notes.block = String(allowed.block.number)
  kms.onAllowedBoot(allowed)
}

/**
 * Refuses to serve apps while the contract says that any app may be the gateway, unless the settings allow it: guests would
 * accept every peer as the gateway.
 *
 * @throws KMS_GATEWAY_ANY
 */
export function requireGateway(
  { insecureAllowAnyGateway }: Pick<KmsContext, 'insecureAllowAnyGateway'>,
  gatewayAppId: string,
): void {
  if (insecureAllowAnyGateway || gatewayAppId.toLowerCase() !== 'any') return
  throw new AssentError('KMS_GATEWAY_ANY', 'App not allowed: the chain names any gateway')
}
