/** Reads the facts of a boot from a quote and from options. */
import { registryOf } from '../../chain/registries/registry.ts'
import { readRootOfHosts } from '../../chain/why/assess-host.ts'
import type { KnownBoot } from '../../chain/why/explain-boot.ts'
import { AssentError } from '../../errors/index.ts'
import { to0x } from '../../lib/bytes.ts'
import { parseCollateral } from '../../quote/collateral/collateral.ts'
import { type ClaimedBoot, readClaimedBoot } from '../../quote/measurements/claimed-boot.ts'
import type { EventView } from '../../quote/measurements/event-log.ts'
import { parseImageClaim } from '../../quote/measurements/image-proof.ts'
import { verifyParsedQuote } from '../../quote/verify.ts'
import type { Session } from '../session/session.ts'
import { readJson } from './arguments.ts'
import type { StateArguments } from './decided-state.ts'
import { resolveId } from './names.ts'

/** Options that describe a boot. */
export interface BootArguments extends StateArguments {
  /** Quote of the boot; the other options override its fields. */
  readonly quote: string | undefined
  readonly collateral: string | undefined
  /** Base image, by name, first digits or hash. */
  readonly image: string | undefined
  /** Device id, by first digits or in full. */
  readonly device: string | undefined
  /** TCB status, such as `UpToDate`. */
  readonly tcb: string | undefined
}

/**
 * The facts of a boot from the quote and the options. An option replaces the fact of the quote.
 *
 * @returns the facts, and notes on facts that were not verified
 * @throws USAGE_INVALID, QUOTE_*, NAME_*
 */
export async function readKnownBoot(
  session: Session,
  args: BootArguments,
  view: EventView,
): Promise<{ readonly boot: KnownBoot; readonly notes: readonly string[] }> {
  const { kmsAuth, hosts } = session.addresses
  const shown = args.quote === undefined ? undefined : await readShown(session, args, view)
  const image =
    args.image === undefined
      ? undefined
      : await resolveId(session, { kind: 'osImage', registry: kmsAuth }, args.image)
  const device =
    args.device === undefined
      ? undefined
      : await resolveId(
          session,
          hosts === undefined
            ? { kind: 'kmsDevice', registry: kmsAuth }
            : { kind: 'host', registry: registryOf(session.addresses, 'host') },
          args.device,
        )
  const boot: KnownBoot = {
    ...shown?.boot,
    ...(image === undefined ? {} : { osImageHash: image }),
    ...(device === undefined ? {} : { deviceId: device }),
    ...(args.tcb === undefined ? {} : { tcbStatus: args.tcb }),
  }
  return { boot, notes: shown?.notes ?? [] }
}

async function readShown(session: Session, args: BootArguments, view: EventView) {
  const answer = (await readJson(args.quote as string)) as { vm_config?: unknown }
  const claimed = readClaimedBoot(answer, view)
  const mrSystem = to0x(claimed.mrSystem)
  const boot: KnownBoot = {
    appId: to0x(claimed.appId),
    composeHash: to0x(claimed.composeHash),
    deviceId: to0x(claimed.deviceId),
    mrAggregated: to0x(claimed.mrAggregated),
    mrSystem,
    ...(claimed.osImageHash === undefined ? {} : { osImageHash: to0x(claimed.osImageHash) }),
    ...(isUnmeasurable(answer.vm_config) ? { requiredMrSystem: mrSystem } : {}),
  }
  if (args.collateral === undefined) {
    return { boot, notes: ['The quote is not verified: --collateral is missing.'] }
  }
  const tcbStatus = await verify(session, claimed, args.collateral)
  return { boot: { ...boot, tcbStatus }, notes: [] }
}

/** The KMS asks the chain for the measurements of an image that it cannot measure itself. */
function isUnmeasurable(vmConfig: unknown): boolean {
  if (typeof vmConfig !== 'string' || vmConfig === '') return false
  return parseImageClaim(vmConfig).tdx_attestation_variant === 'legacy'
}

/**
 * Verifies under the root of trust of the deployment's verifier, or under Intel's without a host registry.
 *
 * @throws KMS_QUOTE_REJECTED if the quote is not genuine
 */
async function verify(session: Session, { quote }: ClaimedBoot, file: string): Promise<string> {
  const { addresses, now: at, publicClient } = session
  const collateral = parseCollateral(await readJson(file))
  const root =
    addresses.hosts === undefined ? 'intel' : await readRootOfHosts(publicClient, addresses.hosts)
  const verdict = verifyParsedQuote(quote, collateral, { at, root })
  if (verdict.verdict !== 'rejected') return verdict.status
  throw new AssentError('KMS_QUOTE_REJECTED', verdict.message, {
    facts: { ...verdict.facts, rejection: verdict.code },
  })
}
