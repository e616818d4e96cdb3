/** Reads what a boot shows, and opens the state on which it is decided. */
import { z } from 'zod'

import { toChainError } from '../../chain/call.ts'
import { timelockDelay } from '../../chain/governance/governance.ts'
import {
  readDaoSettings,
  readProposal,
  readQueuedProposals,
} from '../../chain/governance/proposals.ts'
import { readPinnedCode } from '../../chain/proven/pinning.ts'
import type { PinnedCode, Registry } from '../../chain/proven/read-boot-facts.ts'
import { registryOf } from '../../chain/registry.ts'
import { openBlockState } from '../../chain/simulate/block-state.ts'
import { LocalChain } from '../../chain/simulate/local-chain.ts'
import { readStateOfCopy } from '../../chain/simulate/local-reader.ts'
import { simulateProposal } from '../../chain/simulate/simulate-proposal.ts'
import { readStateOf, type StateReader } from '../../chain/state-reader.ts'
import type { DecisionTimes, KnownBoot } from '../../chain/why/explain-boot.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { to0x } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { bytes32Schema } from '../../lib/schema.ts'
import { intelRootKey } from '../../quote/certificates/intel-root.ts'
import { parseCollateral } from '../../quote/collateral/collateral.ts'
import { type ClaimedBoot, readClaimedBoot } from '../../quote/measurements/claimed-boot.ts'
import type { EventView } from '../../quote/measurements/event-log.ts'
import { parseImageClaim } from '../../quote/measurements/image-proof.ts'
import { verifyParsedQuote } from '../../quote/verify.ts'
import { readAddressBook } from '../calls/read-address-book.ts'
import type { Session } from '../session/session.ts'
import { readJson, readTime } from './arguments.ts'
import { requireGovernor } from './contracts.ts'
import { resolveId, resolveProposal } from './names.ts'

/** Options that choose the chain state of an explanation. */
export interface StateArguments {
  /** Proposal that is executed first on a local copy. */
  readonly after: string | undefined
  /** Time of the decision, unix seconds or a date; default: now. */
  readonly at: string | undefined
  /** File with the pinned code of a KMS; default: the code that the deployment has. */
  readonly pinnedCode: string | undefined
  readonly governor: string | undefined
}

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

/** The state on which a boot is decided. */
export interface DecidedState {
  /** Reads code hashes and storage. */
  readonly reader: StateReader
  readonly registry: Registry
  /** The time of the block and the time of the decision. */
  readonly times: DecisionTimes
  /** What was assumed, in sentences. */
  readonly assumptions: readonly string[]
}

/* THE BOOT */

/** What the options and the quote say. Options go before the quote. @throws USAGE_INVALID, QUOTE_*, NAME_* */
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
  const tcbStatus = await verify(claimed, args.collateral, session.now)
  return { boot: { ...boot, tcbStatus }, notes: [] }
}

/** The KMS asks the chain for the measurements of an image that it cannot measure itself. */
function isUnmeasurable(vmConfig: unknown): boolean {
  if (typeof vmConfig !== 'string' || vmConfig === '') return false
  return parseImageClaim(vmConfig).tdx_attestation_variant === 'legacy'
}

/** @throws KMS_QUOTE_REJECTED if the quote is not genuine */
async function verify({ quote }: ClaimedBoot, file: string, at: number): Promise<string> {
  const collateral = parseCollateral(await readJson(file))
  const verdict = verifyParsedQuote(quote, collateral, { at, root: intelRootKey })
  if (verdict.verdict !== 'rejected') return verdict.status
  throw new AssentError('KMS_QUOTE_REJECTED', verdict.message, {
    facts: { ...verdict.facts, rejection: verdict.code },
  })
}

/* THE STATE */

/** @throws CHAIN_*, PROPOSAL_*, USAGE_INVALID, INPUT_INVALID */
export async function openState(session: Session, args: StateArguments): Promise<DecidedState> {
  const { publicClient, addresses } = session
  const pinned =
    args.pinnedCode === undefined ? await pinnedNow(session) : await readPinned(args.pinnedCode)
  const registry = { kms: addresses.kmsAuth.toLowerCase() as Hex, pinned }
  const at = args.at === undefined ? undefined : readTime(args.at, '--at')
  const block = await publicClient.getBlock().catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
  if (args.after === undefined) {
    const reader = readStateOf(publicClient, block.number)
    const blockTime = Number(block.timestamp)
    const times = { block: at ?? blockTime, now: at ?? blockTime }
    return { reader, registry, times, assumptions: [] }
  }
  const { chain, assumptions } = await simulate(session, args.after, args.governor)
  const time = Math.max(at ?? 0, chain.head.timestamp)
  return {
    reader: readStateOfCopy(chain),
    registry,
    times: { block: time, now: time },
    assumptions,
  }
}

/** The code that the chain has now, with the registries that KmsAuth may use after a vote. */
function pinnedNow({ publicClient, addresses }: Session): Promise<PinnedCode> {
  const { hosts, images, hostBonds } = addresses
  return readPinnedCode(publicClient, addresses.kmsAuth, {
    ...(hosts === undefined ? {} : { hosts }),
    ...(images === undefined ? {} : { images }),
    ...(hostBonds === undefined ? {} : { bonds: hostBonds }),
  })
}

const hashes = z.union([bytes32Schema.transform((hash) => [hash]), z.array(bytes32Schema)])
const pinnedSchema = z.object({
  proxy: hashes,
  kmsAuth: hashes,
  app: hashes,
  hosts: hashes.default([]),
  bonds: hashes.default([]),
  images: hashes.default([]),
})

/** A file of `assent kms pinned-code`. */
async function readPinned(file: string): Promise<PinnedCode> {
  const parsed = pinnedSchema.safeParse(await readJson(file))
  if (parsed.success) return parsed.data
  throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`)
}

/** Executes one proposal, or all that are queued in the order of their execution, on a local copy. */
async function simulate(session: Session, after: string, governorOption: string | undefined) {
  const { publicClient, output } = session
  const governor = await requireGovernor(session, governorOption)
  const proposals =
    after === 'queued'
      ? await readQueuedProposals(publicClient, governor)
      : [
          await readProposal(
            publicClient,
            governor,
            await resolveProposal(session, governor, after),
          ),
        ]
  output.progress('executing the proposals on a local copy')
  const { timelock } = await readDaoSettings(publicClient, governor)
  const context = {
    dao: { governor, timelock },
    book: await readAddressBook(
      session,
      proposals.flatMap(({ calls }) => calls.map(({ to }) => to)),
      governor,
    ),
    timelockDelay: await timelockDelay(publicClient, timelock),
  }
  const chain = await LocalChain.open(await openBlockState(publicClient))
  const assumptions: string[] = []
  for (const facts of proposals) {
    const {
      succeeded,
      failure,
      assumptions: assumed,
    } = await simulateProposal(chain, facts, context)
    assumptions.push(...assumed)
    if (!succeeded) {
      assumptions.push(
        `Proposal ${facts.id} fails with ${failure?.error ?? 'an error'} and changes nothing.`,
      )
    }
  }
  return { chain, assumptions }
}
