/** Asks the chain about a boot. A denial becomes a typed error; a failure to read the chain stays an outage. */
import type { BootDecision, BootQuestion, EvaluatedBoot } from '../../chain/boot/boot.ts'
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'
import type { ProvenBoot } from './verify-attestation.ts'

/** The chain's decision that a boot is allowed: gateway, key epochs, block and inclusion evidence. */
export type AllowedBoot = BootDecision & { readonly allowed: true }

/** Asks the chain, as `BootAuthorizer.authorize` does. */
export type AuthorizeBoot = (
  question: BootQuestion,
  boot: BootInfo & Pick<EvaluatedBoot, 'requiredMrSystem'>,
) => Promise<BootDecision>

/**
 * Asks if an app may boot.
 *
 * @throws KMS_BOOT_DENIED with the contract's reason, CHAIN_* for an outage
 */
export async function authorizeApp(ask: AuthorizeBoot, boot: ProvenBoot): Promise<AllowedBoot> {
  const decision = await ask('isAppAllowed', askedOf(boot))
  if (decision.allowed) return decision
  throw denial('KMS_BOOT_DENIED', 'Boot denied', decision, boot)
}

/** Asks if another KMS node may get the root keys. @throws KMS_BOOT_DENIED, CHAIN_* */
export async function authorizeKms(ask: AuthorizeBoot, boot: ProvenBoot): Promise<AllowedBoot> {
  const decision = await ask('isKmsAllowed', askedOf(boot))
  if (decision.allowed) return decision
  throw denial('KMS_BOOT_DENIED', 'Boot denied', decision, boot)
}

/** Asks if this KMS node itself may serve. @throws KMS_SELF_DENIED, CHAIN_* */
export async function authorizeSelf(ask: AuthorizeBoot, boot: ProvenBoot): Promise<AllowedBoot> {
  const decision = await ask('isKmsAllowed', askedOf(boot))
  if (decision.allowed) return decision
  throw denial('KMS_SELF_DENIED', 'KMS is not allowed', decision, boot)
}

const decisions = new WeakMap<AssentError, BootDecision>()

/** The chain's decision behind an error or one of its causes; undefined: no decision. */
export function decisionBehind(error: unknown): BootDecision | undefined {
  for (let each = error; each instanceof AssentError; each = each.cause) {
    const decision = decisions.get(each)
    if (decision !== undefined) return decision
  }
  return undefined
}

function askedOf({ bootInfo, requiredMrSystem }: ProvenBoot): Parameters<AuthorizeBoot>[1] {
  return requiredMrSystem === undefined ? bootInfo : { ...bootInfo, requiredMrSystem }
}

function denial(
  code: 'KMS_BOOT_DENIED' | 'KMS_SELF_DENIED',
  message: string,
  decision: BootDecision & { readonly allowed: false },
  { bootInfo: boot }: ProvenBoot,
): AssentError {
  const error = new AssentError(code, `${message}: ${decision.reason}`, {
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
