/** Verifies an attestation and derives the facts of a boot from it, in dstack's order of checks. */
import { hash } from 'node:crypto'

import { AssentError } from '../../errors/index.ts'
import { equalBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Attestation, quoteOf } from '../../quote/attestation.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import {
  type CollateralSource,
  verifyWithSource,
} from '../../quote/collateral/collateral-source.ts'
import {
  RUNTIME_EVENT_TYPE,
  runtimeEventDigest,
  type TdxEvent,
} from '../../quote/measurements/event-log.ts'
import {
  type ApprovedSets,
  parseImageClaim,
  proveOsImage,
} from '../../quote/measurements/image-proof.ts'
import { type BootInfo, buildBootInfo, mrSystem } from '../../quote/measurements/measure.ts'
import type { Quote } from '../../quote/parse.ts'
import type { Verified } from '../../quote/verdict.ts'
import type { VerificationCache } from '../../quote/verify-cache.ts'

/** Rules for attestations. */
export interface AttestationRules {
  /** Source of Intel's collateral. */
  readonly collateral: CollateralSource
  /** The root of trust: Intel's, or a simulator's in tests. */
  readonly root: TrustAnchor
  /** The quote policy: rules beyond Intel's. Throws POLICY_* for a verified quote that it does not accept. */
  readonly accept: (verdict: Verified) => void
  /** Keeps verified collateral and PCK certificates, so that they are not verified for every quote. */
  readonly cache?: VerificationCache
  /**
   * Measurement sets for base images of the legacy scheme. `on-chain`: the chain must have approved the set that the
   * quote shows. `insecure-unchecked`: no image verification; the host's claim is used.
   */
  readonly images: ApprovedSets | 'on-chain' | 'insecure-unchecked'
  /** Unix seconds: the time at which certificates and collateral must be valid. */
  readonly clock: Clock
}

/** An attestation whose quote was verified under the rules. */
export interface VerifiedAttestation {
  /** Result of the verification; a rejected quote does not get here. */
  readonly verdict: Verified
  /** Quote, event log and VM configuration. Only the quote is verified; `verifyBoot` replays the log. */
  readonly attestation: Attestation
}

/** The facts of a boot that a verified quote proves. */
export interface ProvenBoot {
  /** The facts that the chain is asked about. */
  readonly bootInfo: BootInfo
  /** SHA-256 of the base image, 32 bytes: proven by the registers unless image verification is off. */
  readonly osImageHash: Uint8Array
  /** For TCB status and advisories in logs. */
  readonly verdict: Verified
  /** mr_system that the chain must have approved for this image; undefined if the image was verified here. */
  readonly requiredMrSystem?: Uint8Array
  /** SHA-256 of the quote, hex: names the quote in logs. */
  readonly quoteDigest: string
}

/**
 * Verifies the quote of an attestation by Intel's rules and the quote policy.
 *
 * @throws KMS_QUOTE_REJECTED, POLICY_*, KMS_REPORT_DATA_UNBOUND; PCCS_UNAVAILABLE for an outage
 */
export async function verifyAttestation(
  attestation: Attestation,
  rules: AttestationRules,
): Promise<VerifiedAttestation> {
  const quote = quoteOf(attestation)
  if (!equalBytes(quote.report.reportData, attestation.reportData)) {
    throw new AssentError('KMS_REPORT_DATA_UNBOUND', 'tdx report_data mismatch')
  }
  return { verdict: await verifyQuote(quote, rules), attestation }
}

/**
 * Verifies a quote by Intel's rules and the quote policy. The caller compares its report data.
 *
 * @throws KMS_QUOTE_REJECTED, POLICY_*; PCCS_UNAVAILABLE for an outage
 */
export async function verifyQuote(quote: Quote, rules: AttestationRules): Promise<Verified> {
  const verdict = await verifyWithSource(quote, rules.collateral, rules)
  if (verdict.verdict === 'rejected') {
    throw new AssentError('KMS_QUOTE_REJECTED', verdict.message, {
      facts: { ...verdict.facts, rejection: verdict.code },
    })
  }
  rules.accept(verdict)
  return verdict
}

/**
 * The facts of the boot: replays the event log, reads the app's identity and verifies the base image.
 *
 * dstack asks the chain before it verifies the image. Here the chain is never asked about an unverified claim.
 *
 * @param vmConfig JSON from the request; empty uses the one inside the attestation
 * @param view `boot`: events up to the end of the boot; `full`: all events
 * @throws KMS_EVIDENCE_INVALID, EVENT_LOG_*, IMAGE_*
 */
export function verifyBoot(
  { verdict, attestation }: VerifiedAttestation,
  vmConfig: string,
  view: 'boot' | 'full',
  rules: AttestationRules,
): ProvenBoot {
  const quoteDigest = hash('sha256', attestation.quote, 'hex')
  const config = vmConfig === '' ? attestation.config : vmConfig
  const events = runtimeLog(attestation)
  const bootInfo = buildBootInfo({ verdict, events, vmConfig: config, view })
  if (rules.images === 'insecure-unchecked') {
    return { bootInfo, osImageHash: bootInfo.osImageHash, verdict, quoteDigest }
  }
  const claim = {
    report: verdict.quote.report,
    events: attestation.eventLog,
    description: parseImageClaim(config),
  }
  if (rules.images === 'on-chain' && claim.description.tdx_attestation_variant === 'legacy') {
    const requiredMrSystem = mrSystem(claim.report, new Uint8Array())
    return { bootInfo, osImageHash: bootInfo.osImageHash, verdict, quoteDigest, requiredMrSystem }
  }
  const sets = rules.images === 'on-chain' ? noSets : rules.images
  const osImageHash = proveOsImage(claim, sets)
  if (!equalBytes(osImageHash, bootInfo.osImageHash)) {
    throw new AssentError(
      'IMAGE_NOT_PROVEN',
      'The verified image hash differs from the one in the VM configuration.',
    )
  }
  return { bootInfo, osImageHash, verdict, quoteDigest }
}

const noSets: ApprovedSets = () => []

/** The runtime events with digests computed from name and payload. Digests in the attestation are not used. */
export function runtimeLog({ runtimeEvents }: Attestation): TdxEvent[] {
  return runtimeEvents.map(({ name, payload, version }) => ({
    imr: 3,
    eventType: RUNTIME_EVENT_TYPE,
    digest: runtimeEventDigest(name, payload, version),
    event: name,
    payload,
    version,
  }))
}
