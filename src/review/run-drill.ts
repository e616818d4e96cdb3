/**
 * Drills an emergency on a local copy of the chain: the guardian suspends an approval, and the DAO revokes it by
 * vote. The times are those of the DAO's real parameters. Nothing is sent.
 */
import { type Address, type PublicClient, zeroAddress } from 'viem'

import { type Kind, kinds, stateAt } from '../chain/approval.ts'
import { type Call, decodeRevert } from '../chain/call.ts'
import { readContractOwner } from '../chain/governance/execution-method.ts'
import { timelockDelay } from '../chain/governance/governance.ts'
import {
  countApprovals,
  pageOfApprovals,
  readApproval,
  readGuardian,
  revoke,
  suspend,
} from '../chain/registries/registry.ts'
import { openBlockState } from '../chain/simulate/block-state.ts'
import { LocalChain } from '../chain/simulate/local-chain.ts'
import { connectToLocalCopy } from '../chain/simulate/local-reader.ts'
import { proposeLocally } from '../chain/simulate/propose-locally.ts'
import { simulateProposal } from '../chain/simulate/simulate-proposal.ts'
import type { Hex } from '../lib/bytes.ts'
import type { ReviewContracts } from './review-proposal.ts'

/** The drill for one approval. Times in seconds from the start of the emergency, which is the block of the local copy. */
export interface ApprovalDrill {
  readonly kind: Kind
  /** The registry that the guardian suspends in. */
  readonly registry: Address
  /** The newest active approval of the kind. */
  readonly id: Hex
  /** The result if the guardian suspends the approval now. */
  readonly suspension: SuspensionResult
  /** The result if a proposal to revoke it is submitted now. */
  readonly revocation: RevocationResult
  /** Seconds after the start of the emergency in which the approval still allows boots; null: without end, because nobody can revoke it. */
  readonly exposedSeconds: number | null
}

/**
 * Result of a suspension by the guardian. `refused`: why nobody can suspend, for example because there is no
 * guardian.
 */
export type SuspensionResult =
  /** `at`: the approval is denied from this second on; `until`: the suspension ends by itself. */
  | { readonly by: Address; readonly at: number; readonly until: number }
  | { readonly refused: string }

/**
 * Result of a revocation: by a vote of the DAO, or by the owner of an app. `at`: the approval is revoked from this
 * second on.
 */
export type RevocationResult =
  | { readonly by: 'vote' | 'owner'; readonly account: Address; readonly at: number }
  | { readonly refused: string }

/** The kinds without an active approval, and the registries that are not deployed, are left out. */
export interface Drill {
  /** The block from which the local copy was made. */
  readonly block: { readonly number: string; readonly hash: Hex; readonly timestamp: number }
  /** One for each kind with an active approval. */
  readonly approvals: readonly ApprovalDrill[]
}

/** Approvals of a kind among which an active one is searched, newest first. */
const searched = 200
/** Seconds from the start of the emergency to the first transaction: the next block. */
const nextBlock = 1

/** @throws CHAIN_UNREACHABLE, CHAIN_ANSWER_INVALID, SIMULATION_TOO_LARGE */
export async function runDrill(
  client: PublicClient,
  contracts: ReviewContracts,
  { app, onProgress }: { app?: Address; onProgress?: (done: number, total: number) => void } = {},
): Promise<Drill> {
  const state = await openBlockState(client)
  const origin = await LocalChain.open(state)
  const { number, hash, timestamp } = state.block
  const places = registriesOf(contracts, app)
  const approvals: ApprovalDrill[] = []
  for (const [index, [kind, registry]] of places.entries()) {
    onProgress?.(index, places.length)
    const id = await newestActive(client, registry, kind, { number, timestamp })
    if (id === undefined) continue
    const chain = await origin.fork()
    approvals.push(await drill(chain, contracts, { kind, registry, id }))
  }
  await origin.requireSameBlock()
  return { block: { number: number.toString(), hash, timestamp }, approvals }
}

function registriesOf({ addresses }: ReviewContracts, app: Address | undefined): [Kind, Address][] {
  const { kmsAuth, hosts, images, rootKeys } = addresses
  const all: [Kind, Address | undefined][] = [
    ['osImage', kmsAuth],
    ['kmsMeasurement', kmsAuth],
    ['kmsDevice', kmsAuth],
    ['app', kmsAuth],
    ['host', hosts],
    ['measurements', images],
    ['rootKey', rootKeys],
    ['release', app],
    ['device', app],
  ]
  return all.filter((each): each is [Kind, Address] => each[1] !== undefined)
}

async function newestActive(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  { number, timestamp }: { number: bigint; timestamp: number },
): Promise<Hex | undefined> {
  const total = await countApprovals(client, registry, kind, number)
  const offset = Math.max(0, total - searched)
  const limit = total - offset
  const listed =
    limit === 0
      ? []
      : await pageOfApprovals(client, registry, kind, { offset, limit, blockNumber: number })
  return listed.findLast(({ approval }) => stateAt(approval, timestamp) === 'active')?.id
}

interface Target {
  readonly kind: Kind
  readonly registry: Address
  readonly id: Hex
}

async function drill(
  chain: LocalChain,
  contracts: ReviewContracts,
  target: Target,
): Promise<ApprovalDrill> {
  const start = chain.head.timestamp
  const suspension = await suspendLocally(chain, target, start)
  const revocation = await revokeLocally(chain, contracts, target, start)
  return {
    ...target,
    suspension,
    revocation,
    exposedSeconds: secondsExposed(
      suspension,
      await secondsToEnd(chain, target, revocation, start),
    ),
  }
}

async function suspendLocally(
  chain: LocalChain,
  { kind, registry, id }: Target,
  start: number,
): Promise<SuspensionResult> {
  const { guardian } = await readGuardian(connectToLocalCopy(chain), registry)
  if (guardian === zeroAddress) return { refused: 'the registry has no guardian' }
  const result = await send(chain, guardian, suspend(registry, kind, [id]), start + nextBlock)
  if (!result.succeeded) return { refused: decodeRevert(result.data).error }
  const { suspendedUntil } = await readApproval(connectToLocalCopy(chain), registry, kind, id)
  return { by: guardian, at: nextBlock, until: suspendedUntil - start }
}

async function revokeLocally(
  chain: LocalChain,
  contracts: ReviewContracts,
  { kind, registry, id }: Target,
  start: number,
): Promise<RevocationResult> {
  const call = revoke(registry, kind, [id])
  const { owner } = await readContractOwner(connectToLocalCopy(chain), registry)
  if (owner.toLowerCase() !== contracts.timelock.toLowerCase()) {
    const result = await send(chain, owner, call, Math.max(chain.head.timestamp, start + nextBlock))
    if (!result.succeeded) return { refused: decodeRevert(result.data).error }
    return { by: 'owner', account: owner, at: chain.head.timestamp - start }
  }
  const delay = await timelockDelay(connectToLocalCopy(chain), contracts.timelock)
  const facts = await proposeLocally(
    chain,
    contracts.governor,
    [call],
    `Revoke ${kinds[kind]}:${id}`,
  )
  const context = { dao: contracts, book: contracts.book, timelockDelay: delay }
  const { failure, executedAt } = await simulateProposal(chain, facts, context)
  if (failure !== undefined) return { refused: failure.error }
  return { by: 'vote', account: owner, at: executedAt - start }
}

function send(chain: LocalChain, from: Address, { to, data }: Call, timestamp: number) {
  const lower = (address: Address) => address.toLowerCase() as Hex
  return chain.execute({ from: lower(from), to: lower(to), data }, { timestamp })
}

/** Seconds from the start of the emergency to the end of the approval: its revocation, or its own end; null: it has no end. */
async function secondsToEnd(
  chain: LocalChain,
  { kind, registry, id }: Target,
  revocation: RevocationResult,
  start: number,
): Promise<number | null> {
  if ('at' in revocation) return revocation.at
  const { expiresAt } = await readApproval(connectToLocalCopy(chain), registry, kind, id)
  return expiresAt === 0 ? null : expiresAt - start
}

/**
 * Seconds after the start of the emergency in which the approval allows boots: until its end, without the time of its suspension.
 *
 * @param end seconds from the start of the emergency to the end of the approval; null: it has no end
 * @returns null if the approval has no end
 */
export function secondsExposed(suspension: SuspensionResult, end: number | null): number | null {
  if (end === null || 'refused' in suspension) return end
  return Math.min(suspension.at, end) + Math.max(0, end - suspension.until)
}
