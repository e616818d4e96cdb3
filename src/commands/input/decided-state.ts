/** Opens the chain state on which a boot is decided: now, at another time, or after proposals on a local copy. */
import { z } from 'zod'

import { toChainError } from '../../chain/call.ts'
import { timelockDelay } from '../../chain/governance/governance.ts'
import {
  readDaoSettings,
  readProposal,
  readQueuedProposals,
} from '../../chain/governance/proposals.ts'
import { readPinnedCode } from '../../chain/proven/pinning.ts'
import type { PinnedCode, PinnedDeployment } from '../../chain/proven/read-boot-facts.ts'
import { readStateOf, type StateReader } from '../../chain/rpc/state-reader.ts'
import { openBlockState } from '../../chain/simulate/block-state.ts'
import { LocalChain } from '../../chain/simulate/local-chain.ts'
import { readStateOfLocalCopy } from '../../chain/simulate/local-reader.ts'
import {
  executeProposals,
  type ProposalSimulation,
} from '../../chain/simulate/simulate-proposal.ts'
import type { DecisionTimes } from '../../chain/why/explain-boot.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { bytes32Schema } from '../../lib/schema.ts'
import { readAddressBook } from '../calls/read-address-book.ts'
import type { Session } from '../session/session.ts'
import { readJson, readTime } from './arguments.ts'
import { requireGovernor } from './contracts.ts'
import { resolveProposal } from './names.ts'

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

/** The state on which a boot is decided. */
export interface DecidedState {
  /** Reads code hashes and storage. */
  readonly reader: StateReader
  /** The contracts to read, and the code that they must have. */
  readonly deployment: PinnedDeployment
  /** The time of the block and the time of the decision. */
  readonly times: DecisionTimes
  /** Sentences that begin with `Assumed:`. */
  readonly assumptions: readonly string[]
}

/** @throws CHAIN_*, PROPOSAL_*, USAGE_INVALID, INPUT_INVALID */
export async function openState(session: Session, args: StateArguments): Promise<DecidedState> {
  const { publicClient, addresses } = session
  const pinned =
    args.pinnedCode === undefined ? await pinnedNow(session) : await readPinned(args.pinnedCode)
  const deployment = { kms: addresses.kmsAuth.toLowerCase() as Hex, pinned }
  const at = args.at === undefined ? undefined : readTime(args.at, '--at')
  const block = await publicClient.getBlock().catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
  if (args.after === undefined) {
    const reader = readStateOf(publicClient, block.number)
    const blockTime = Number(block.timestamp)
    const times = { block: at ?? blockTime, now: at ?? blockTime }
    return { reader, deployment, times, assumptions: [] }
  }
  const { chain, assumptions } = await executeFirst(session, args.after, args.governor)
  const time = Math.max(at ?? 0, chain.head.timestamp)
  return {
    reader: readStateOfLocalCopy(chain),
    deployment,
    times: { block: time, now: time },
    assumptions: assumptions.map((each) => `Assumed: ${each}`),
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
async function executeFirst(session: Session, after: string, governorOption: string | undefined) {
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
  const results = await executeProposals(chain, proposals, context)
  return { chain, assumptions: results.flatMap(assumptionsOf) }
}

function assumptionsOf(result: ProposalSimulation): string[] {
  const { proposal, succeeded, failure, assumptions } = result
  if (succeeded) return [...assumptions]
  const error = failure?.error ?? 'an error'
  return [...assumptions, `Proposal ${proposal} fails with ${error} and changes nothing.`]
}
