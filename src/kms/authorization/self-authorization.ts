/**
 * Self-authorization: this node verifies its own quote and asks the chain if it may serve.
 *
 * The verified quote is kept while its collateral is valid. The chain is asked each time, so a withdrawn approval stops
 * a running node.
 */
import { checkTd } from '../../quote/policy.ts'
import type { QuoteSource } from '../../tee/source.ts'
import { attest } from '../certificates/ratls.ts'
import type { AllowedDecision } from '../log/record-decision.ts'
import { type AuthorizeBoot, authorizeSelf } from './authorize.ts'
import {
  type AttestationRules,
  type ProvenBoot,
  verifyAttestation,
  verifyBoot,
} from './verify-attestation.ts'

/** Whether this node itself may serve. */
export interface SelfAuthorizer {
  /** Asks the chain about this node. @throws KMS_SELF_DENIED; CHAIN_*, PCCS_*, TEE_* for an outage */
  authorize(): Promise<AllowedDecision>
  /** The boot of this node, with its full event log. @throws KMS_QUOTE_REJECTED, PCCS_*, TEE_* */
  boot(): Promise<ProvenBoot>
}

/**
 * Creates the self-authorization of this node. The quote is fetched at the first call and again when its collateral has
 * expired; each call asks the chain.
 *
 * @param source gives quotes of this CVM
 * @param ask asks the chain
 */
export function createSelfAuthorizer(
  source: QuoteSource,
  rules: AttestationRules,
  ask: AuthorizeBoot,
): SelfAuthorizer {
  let kept: Promise<SelfAttestation> | undefined
  const current = () => {
    if (kept !== undefined) return kept
    const attestation = attestSelf(source, rules)
    kept = attestation
    // a failure is not kept, so the next request tries again
    attestation.catch(() => {
      if (kept === attestation) kept = undefined
    })
    return attestation
  }
  const boot = async () => {
    const attestation = await current()
    if (rules.clock() <= attestation.expiresAt) return attestation.boot
    kept = undefined
    return (await current()).boot
  }
  return {
    boot,
    authorize: async () => {
      const own = await boot()
      return { boot: own, allowed: await authorizeSelf(ask, own) }
    },
  }
}

interface SelfAttestation {
  readonly boot: ProvenBoot
  /** Unix seconds: when the collateral expires. */
  readonly expiresAt: number
}

async function attestSelf(source: QuoteSource, rules: AttestationRules): Promise<SelfAttestation> {
  const attestation = await attest(source, new Uint8Array(64))
  const proven = await verifyAttestation(attestation, rules)
  // the configured policy is for other CVMs; a node with root keys must never be a debug or migratable TD
  checkTd(proven.verdict.quote.report)
  return { boot: verifyBoot(proven, '', 'full', rules), expiresAt: proven.verdict.expiresAt }
}
