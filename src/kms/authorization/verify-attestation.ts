/** Turns what a peer presented into what is proven about it, in the order of the specification (§4.6). */
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
import type { Verified } from '../../quote/verdict.ts'
import type { VerificationCache } from '../../quote/verify-cache.ts'

export interface EvidenceRules {
  readonly collateral: CollateralSource
  /** The one root whose quotes count. */
  readonly root: TrustAnchor
  /** What is accepted of a quote that verifies: throws POLICY_*. */
  readonly accept: (verdict: Verified) => void
  /** Spares verifying the same collateral for every quote. */
  readonly cache?: VerificationCache
  /**
   * Measurements approved for images of the legacy scheme; `on-chain` leaves them to the chain, which then has
   * to have approved what the quote shows; `insecure-unchecked` believes the host.
   */
  readonly images: ApprovedSets | 'on-chain' | 'insecure-unchecked'
  readonly clock: Clock
}

/** A quote that holds under the rules, and the log that replays to it. */
export interface VerifiedAttestation {
  readonly verdict: Verified
  readonly attestation: Attestation
}

/** What a boot is asked about, and the image hash that its quote proves. */
export interface ProvenBoot {
  readonly bootInfo: BootInfo
  readonly osImageHash: Uint8Array
  readonly verdict: Verified
  /** Registers whose approval for this image is left to the chain: its `mustBeApproved`. */
  readonly mustBeApproved?: Uint8Array
  /** SHA-256 of the quote, hex. */
  readonly quoteDigest: string
}

/** @throws KMS_QUOTE_REJECTED, KMS_EVIDENCE_INVALID, PCCS_UNAVAILABLE */
export async function verifyAttestation(
  attestation: Attestation,
  rules: EvidenceRules,
): Promise<VerifiedAttestation> {
  const quote = quoteOf(attestation)
  if (!equalBytes(quote.report.reportData, attestation.reportData)) {
    throw new AssentError('KMS_REPORT_DATA_UNBOUND', 'tdx report_data mismatch')
  }
  const verdict = await verifyWithSource(quote, rules.collateral, rules)
  if (verdict.verdict === 'rejected') {
    throw new AssentError('KMS_QUOTE_REJECTED', verdict.message, {
      facts: { ...verdict.facts, rejection: verdict.code },
    })
  }
  rules.accept(verdict)
  return { verdict, attestation }
}

/**
 * The boot that an attestation proves: log replayed, identities read, image measured.
 *
 * dstack asks the chain before it checks the image; here a hash that is only claimed is never asked about.
 */
export function proveBoot(
  { verdict, attestation }: VerifiedAttestation,
  vmConfig: string,
  view: 'boot' | 'full',
  rules: EvidenceRules,
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
    const mustBeApproved = mrSystem(claim.report, new Uint8Array())
    return { bootInfo, osImageHash: bootInfo.osImageHash, verdict, quoteDigest, mustBeApproved }
  }
  const sets = rules.images === 'on-chain' ? noSets : rules.images
  const osImageHash = proveOsImage(claim, sets)
  if (!equalBytes(osImageHash, bootInfo.osImageHash)) {
    throw new AssentError('IMAGE_NOT_PROVEN', 'Two readings of the image hash differ.')
  }
  return { bootInfo, osImageHash, verdict, quoteDigest }
}

const noSets: ApprovedSets = () => []

/** Digests are always computed from name and payload; the ones that came along are not looked at. */
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
