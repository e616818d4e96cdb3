/**
 * What this KMS can prove about itself, and whether it may still serve.
 *
 * The evidence is kept while its collateral is valid; the decision is asked for anew each time, so that
 * withdrawing the KMS on chain stops a running one.
 */
import type { QuoteSource } from '../tee/source.ts'
import { type AskChain, authorizeSelf } from './authorize.ts'
import { type EvidenceRules, type ProvenBoot, proveBoot, verifyAttestation } from './evidence.ts'
import { attest } from './ratls.ts'

export interface Self {
  /** @throws KMS_SELF_DENIED, and whatever keeps us from knowing */
  authorize(): Promise<void>
  /** This KMS's own boot, over its full event log. */
  boot(): Promise<ProvenBoot>
}

export function createSelf(source: QuoteSource, rules: EvidenceRules, ask: AskChain): Self {
  let known: Promise<{ boot: ProvenBoot; expiresAt: number }> | undefined
  const boot = async () => {
    const current = known ?? prove(source, rules)
    known = current
    try {
      const { boot: proven, expiresAt } = await current
      if (rules.clock() <= expiresAt) return proven
    } catch (error) {
      if (known === current) known = undefined
      throw error
    }
    if (known === current) known = undefined
    return (await (known ??= prove(source, rules))).boot
  }
  return {
    boot,
    authorize: async () => {
      await authorizeSelf(ask, (await boot()).bootInfo)
    },
  }
}

async function prove(source: QuoteSource, rules: EvidenceRules) {
  const attestation = await attest(source, new Uint8Array(64))
  const proven = await verifyAttestation(attestation, rules)
  return { boot: proveBoot(proven, '', 'full', rules), expiresAt: proven.verdict.expiresAt }
}
