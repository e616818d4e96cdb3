/** What every method of the KMS works with, and who calls it. */
import type { BootAuthorizer, KmsFacts } from '../../chain/boot.ts'
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { AllowedBoot, AuthorizeBoot } from '../authorization/authorize.ts'
import type { SelfAuthorizer } from '../authorization/self-authorization.ts'
import type {
  EvidenceRules,
  ProvenBoot,
  VerifiedAttestation,
} from '../authorization/verify-attestation.ts'
import type { AppKeyring } from '../keys/app-keys.ts'
import type { KmsSecrets } from '../keys/key-store.ts'
import type { Journal } from '../log/record-decision.ts'
import type { OnboardingNode } from '../log/witness.ts'
import { within } from './error-context.ts'
import type { BootstrapResponse } from './kms_pb.ts'

/** Who asks: where from, and what its certificate proves, if it brought one. */
export interface Caller {
  readonly address: string
  readonly proven: VerifiedAttestation | undefined
  /** What happened, for the log: filled in by the method. */
  readonly notes: Record<string, unknown>
  /** What its quote proves about its boot, once the method has read it. */
  boot?: ProvenBoot
}

export interface KmsContext {
  readonly keys: KmsSecrets
  /** Under which this KMS serves: its host name or address. */
  readonly domain: string
  /** Keys of apps, derived or remembered. */
  readonly appKeys: AppKeyring
  readonly rootCertificate: Uint8Array
  /** The same as PEM. */
  readonly rootPem: string
  readonly tempCertificate: Uint8Array
  readonly rules: EvidenceRules
  readonly ask: AuthorizeBoot
  readonly facts: () => Promise<KmsFacts>
  /** The newest epoch that an app has opened; undefined where nothing counts epochs. */
  readonly newestEpoch: (appId: Uint8Array) => Promise<number | undefined>
  readonly chain: Pick<BootAuthorizer, 'chainId' | 'kms'>
  /** `insecure-off` serves without asking whether this KMS itself is approved. */
  readonly self: SelfAuthorizer | 'insecure-off'
  /** dstack's guests take any gateway for theirs when its id is `any`. */
  readonly insecureAllowAnyGateway: boolean
  readonly bootstrapInfo:
    | Pick<BootstrapResponse, 'caPubkey' | 'k256Pubkey' | 'attestation'>
    | undefined
  readonly approved: (approval: AllowedBoot) => void
  readonly journal: Journal
  readonly clock: Clock
}

/** @throws KMS_SELF_DENIED, KMS_LOG_*, and whatever keeps us from knowing */
export async function authorizeThis(
  { self, journal }: KmsContext,
  newcomer?: OnboardingNode,
): Promise<void> {
  journal.requireSound(newcomer)
  if (self === 'insecure-off') return
  await journal.stand(await within('KMS self authorization failed', self.authorize))
}

/** @throws KMS_NO_ATTESTATION */
export function requireAttestation({ proven }: Caller): VerifiedAttestation {
  if (proven === undefined) {
    throw new AssentError('KMS_NO_ATTESTATION', 'No attestation provided')
  }
  return proven
}

export function noteBoot(caller: Caller, boot: ProvenBoot): void {
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

export function noteApproval(kms: KmsContext, { notes }: Caller, approval: AllowedBoot): void {
  notes.block = String(approval.block.number)
  kms.approved(approval)
}
