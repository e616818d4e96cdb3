/**
 * What this KMS can prove about itself, and whether it may still serve.
 *
 * The evidence is kept while its collateral is valid; the decision is asked for anew each time, so that
 * withdrawing the KMS on chain stops a running one.
 */
import { checkTd } from '../../quote/policy.ts'
import type { QuoteSource } from '../../tee/source.ts'
import { attest } from '../certificates/ratls.ts'
import type { ApprovedBoot } from '../log/record-decision.ts'
import { type AuthorizeBoot, authorizeSelf } from './authorize.ts'
import {
  type EvidenceRules,
  type ProvenBoot,
  proveBoot,
  verifyAttestation,
} from './verify-attestation.ts'

export interface SelfAuthorizer {
  /** @throws KMS_SELF_DENIED, and whatever keeps us from knowing */
  authorize(): Promise<ApprovedBoot>
  /** This KMS's own boot, over its full event log. */
  boot(): Promise<ProvenBoot>
}

export function createSelfAuthorizer(
  source: QuoteSource,
  rules: EvidenceRules,
  ask: AuthorizeBoot,
): SelfAuthorizer {
  let known: Promise<SelfAttestation> | undefined
  const current = () => {
    if (known !== undefined) return known
    const proving = prove(source, rules)
    known = proving
    // a failure is not kept, so that the next request tries again
    proving.catch(() => {
      if (known === proving) known = undefined
    })
    return proving
  }
  const boot = async () => {
    const evidence = await current()
    if (rules.clock() <= evidence.expiresAt) return evidence.boot
    known = undefined
    return (await current()).boot
  }
  return {
    boot,
    authorize: async () => {
      const own = await boot()
      return { boot: own, approval: await authorizeSelf(ask, own) }
    },
  }
}

interface SelfAttestation {
  readonly boot: ProvenBoot
  readonly expiresAt: number
}

async function prove(source: QuoteSource, rules: EvidenceRules): Promise<SelfAttestation> {
  const attestation = await attest(source, new Uint8Array(64))
  const proven = await verifyAttestation(attestation, rules)
  // the configured policy is for the CVMs that ask; a node that holds root keys must never be opened or migrated away
  checkTd(proven.verdict.quote.report)
  return { boot: proveBoot(proven, '', 'full', rules), expiresAt: proven.verdict.expiresAt }
}
