/** Asks the chain and turns its no into a named error; what the chain did not answer stays an outage. */
import type { BootDecision, BootQuestion, EvaluatedBoot } from '../../chain/boot.ts'
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'
import type { ProvenBoot } from './verify-attestation.ts'

export type AllowedBoot = BootDecision & { readonly allowed: true }

/** Asks whoever answers for the chain: `BootAuthority.ask`. */
export type AuthorizeBoot = (
  question: BootQuestion,
  boot: BootInfo & Pick<EvaluatedBoot, 'mustBeApproved'>,
) => Promise<BootDecision>

/** @throws KMS_BOOT_DENIED in dstack's words, CHAIN_* if nothing is known */
export async function authorizeApp(ask: AuthorizeBoot, boot: ProvenBoot): Promise<AllowedBoot> {
  const decision = await ask('isAppAllowed', askedOf(boot))
  if (decision.allowed) return decision
  throw denial('KMS_BOOT_DENIED', 'Boot denied', decision, boot)
}

/** @throws KMS_BOOT_DENIED, CHAIN_*: for another KMS that wants the root keys */
export async function authorizeKms(ask: AuthorizeBoot, boot: ProvenBoot): Promise<AllowedBoot> {
  const decision = await ask('isKmsAllowed', askedOf(boot))
  if (decision.allowed) return decision
  throw denial('KMS_BOOT_DENIED', 'Boot denied', decision, boot)
}

/** @throws KMS_SELF_DENIED, CHAIN_*: whether this very KMS may still serve */
export async function authorizeSelf(ask: AuthorizeBoot, boot: ProvenBoot): Promise<AllowedBoot> {
  const decision = await ask('isKmsAllowed', askedOf(boot))
  if (decision.allowed) return decision
  throw denial('KMS_SELF_DENIED', 'KMS is not allowed', decision, boot)
}

const decisions = new WeakMap<AssentError, BootDecision>()

/** What the chain decided, of an error that says so, however deep it lies. */
export function decisionBehind(error: unknown): BootDecision | undefined {
  for (let each = error; each instanceof AssentError; each = each.cause) {
    const decision = decisions.get(each)
    if (decision !== undefined) return decision
  }
  return undefined
}

function askedOf({ bootInfo, mustBeApproved }: ProvenBoot): Parameters<AuthorizeBoot>[1] {
  return mustBeApproved === undefined ? bootInfo : { ...bootInfo, mustBeApproved }
}

function denial(
  code: 'KMS_BOOT_DENIED' | 'KMS_SELF_DENIED',
  words: string,
  decision: BootDecision & { readonly allowed: false },
  { bootInfo: boot }: ProvenBoot,
): AssentError {
  const error = new AssentError(code, `${words}: ${decision.reason}`, {
    facts: {
      reason: decision.reason,
      refusedBy: decision.refusedBy,
      appId: toHex(boot.appId),
      composeHash: toHex(boot.composeHash),
      osImageHash: toHex(boot.osImageHash),
      deviceId: toHex(boot.deviceId),
      mrAggregated: toHex(boot.mrAggregated),
      block: String(decision.block.number),
    },
  })
  decisions.set(error, decision)
  return error
}
