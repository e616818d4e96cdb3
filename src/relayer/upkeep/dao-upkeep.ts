/**
 * Upkeep: permissionless maintenance for the DAO.
 *
 * The relayer lists what is due and does it on request: queue and execute proposals, mark expired approvals, end
 * invalid host proofs, and propose that a suspension becomes a revocation before it ends.
 */
import { and, eq, gt, isNull } from 'drizzle-orm'
import {
  encodeAbiParameters,
  encodeFunctionData,
  keccak256,
  type PublicClient,
  parseEventLogs,
  toBytes,
} from 'viem'
import { z } from 'zod'

import { approvalRegistryAbi, assentGovernorAbi, hostsAbi } from '../../chain/abi.ts'
import { type Kind, kinds, type State, stateAt } from '../../chain/approval.ts'
import type { Call } from '../../chain/call.ts'
import { proposalCall, proposalEta, proposalState } from '../../chain/governance/governance.ts'
import { readHost } from '../../chain/registries/hosts.ts'
import { listApprovals, readApproval, revoke } from '../../chain/registries/registry.ts'
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { addressSchema, bytes32Schema, bytesSchema } from '../../lib/schema.ts'
import type { Database } from '../database/database.ts'
import { cursors, hosts, proposals } from '../database/schema.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'
import { check, type Target } from '../outbox/intent-targets.ts'
import { enqueueIntent, type PutIntent } from '../outbox/intents.ts'
import { nextBlock, readPage } from './host-events.ts'

/** Kind of the intents that do an upkeep task. */
export const upkeepKind = 'upkeep'

/** The contracts whose upkeep the relayer does. */
export interface UpkeepOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: QuorumReader
  /** Governor whose proposals are queued and executed. */
  readonly governor: Hex
  /** Registries whose approvals are checked, with the kinds that each stores. */
  readonly registries: readonly { readonly address: Hex; readonly kinds: readonly Kind[] }[]
  /** Block of the governor's deployment. */
  readonly fromBlock: number
  /** Blocks of events in one request. */
  readonly span: number
  readonly clock: Clock
}

const proposalId = z.string().regex(/^[1-9][0-9]{0,77}$/, 'a decimal number')

const moveSchema = z.strictObject({ task: z.enum(['queue', 'execute']), proposalId })

const ratifySchema = z.strictObject({
  task: z.literal('ratify'),
  registry: addressSchema,
  kind: z.enum(Object.keys(kinds) as [Kind, ...Kind[]]),
  ids: z.array(bytes32Schema).min(1).max(50),
  description: z.string().min(1).max(4_000),
})

const markSchema = z.strictObject({
  task: z.literal('mark-expired'),
  registry: addressSchema,
  kind: z.enum(Object.keys(kinds) as [Kind, ...Kind[]]),
  ids: z.array(bytes32Schema).min(1).max(50),
})

const endSchema = z.strictObject({
  task: z.literal('end-proof'),
  registry: addressSchema,
  deviceId: bytes32Schema,
  /** The quote of the host proof; default: the quote that the registry's events lead to. */
  quote: bytesSchema.optional(),
})

const upkeepTaskSchema = z.discriminatedUnion('task', [
  moveSchema,
  ratifySchema,
  markSchema,
  endSchema,
])

/** Body of `POST /v1/upkeep`. */
export type UpkeepTask = z.output<typeof upkeepTaskSchema>

/** Parses the body of a request. @throws INPUT_INVALID */
export function parseUpkeepTask(json: unknown): UpkeepTask {
  return check(upkeepTaskSchema, json, 'Chore')
}

/**
 * Puts an upkeep task into the outbox. Two requests for the same task are one intent.
 *
 * @throws RELAYER_PROOF_UNKNOWN if the quote of a host proof is needed and not known
 */
export async function requestUpkeep(
  options: Pick<UpkeepOptions, 'db' | 'chainId' | 'governor' | 'clock'>,
  task: UpkeepTask,
): Promise<PutIntent> {
  const { db, chainId, governor, clock } = options
  const payload = task.task === 'end-proof' ? await withQuote(options, task) : task
  return enqueueIntent(db, {
    chainId,
    kind: upkeepKind,
    key: `${governor}:${task.task}:${identityOf(payload)}`,
    payload,
    expiresAt: null,
    at: clock(),
  })
}

/** The key of a task's intent: the same task is done once, also if several clients ask for it. */
function identityOf(task: UpkeepTask): string {
  switch (task.task) {
    case 'queue':
    case 'execute':
      return task.proposalId
    case 'ratify':
      return proposalIdOf(ratification(task))
    case 'mark-expired':
      return `${task.registry}:${task.kind}:${[...task.ids].sort().join()}`
    case 'end-proof':
      return `${task.registry}:${task.deviceId}:${keccak256(task.quote ?? '0x')}`
  }
}

/**
 * Adds the stored quote of the host proof to a task that came without one.
 *
 * @throws RELAYER_PROOF_UNKNOWN if the database does not have it
 */
async function withQuote(
  { db, chainId }: Pick<UpkeepOptions, 'db' | 'chainId'>,
  task: z.output<typeof endSchema>,
): Promise<UpkeepTask> {
  if (task.quote !== undefined) return task
  const { registry, deviceId } = task
  const [host] = await db
    .select({ quote: hosts.quote })
    .from(hosts)
    .where(
      and(eq(hosts.chainId, chainId), eq(hosts.registry, registry), eq(hosts.deviceId, deviceId)),
    )
  if (host?.quote) return { ...task, quote: host.quote }
  throw new AssentError('RELAYER_PROOF_UNKNOWN', 'The quote of this host proof is not known.', {
    facts: { registry, deviceId },
  })
}

/* TARGET */

/** The target of upkeep tasks. */
export function createUpkeepTarget(governor: Hex): Target {
  return {
    errors: upkeepErrors,
    encode({ payload }) {
      const task = parseUpkeepTask(payload)
      if (task.task === 'ratify') {
        const { calls, description } = ratification(task)
        return proposalCall(governor, calls, description)
      }
      if (task.task === 'mark-expired') return encodeMark(task)
      if (task.task === 'end-proof') return encodeEnd(task)
      const args = [BigInt(task.proposalId)] as const
      return {
        to: governor,
        data: encodeFunctionData({ abi: assentGovernorAbi, functionName: task.task, args }),
      }
    },
    async isDone({ payload }, client, blockNumber) {
      const task = parseUpkeepTask(payload)
      const pinned = pin(client, blockNumber)
      if (task.task === 'ratify') {
        const id = proposalIdOf(ratification(task))
        return (await stateOrNone(pinned, governor, id)) !== undefined || isRevoked(pinned, task)
      }
      if (task.task === 'mark-expired') return isEnded(pinned, task)
      if (task.task === 'end-proof') return isOver(client, task, blockNumber)
      const state = await stateOrNone(pinned, governor, task.proposalId)
      return state === 'executed' || (state === 'queued' && task.task === 'queue')
    },
  }
}

const upkeepErrors = [...assentGovernorAbi, ...hostsAbi].filter(({ type }) => type === 'error')

function encodeMark({ registry, kind, ids }: z.output<typeof markSchema>) {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'markExpired',
      args: [kinds[kind], ids],
    }),
  }
}

function encodeEnd({ registry, deviceId, quote }: z.output<typeof endSchema>) {
  const args = [deviceId, quote ?? '0x'] as const
  return {
    to: registry,
    data: encodeFunctionData({ abi: hostsAbi, functionName: 'endProof', args }),
  }
}

/** Whether all these approvals are recorded as ended. */
async function isEnded(
  client: PublicClient,
  { registry, kind, ids }: z.output<typeof markSchema>,
): Promise<boolean> {
  const approvals = await Promise.all(ids.map((id) => readApproval(client, registry, kind, id)))
  return approvals.every(({ endedAt, revoked }) => endedAt !== 0 || revoked)
}

/** Whether the host proof has ended. */
async function isOver(
  client: PublicClient,
  { registry, deviceId }: z.output<typeof endSchema>,
  blockNumber: bigint,
): Promise<boolean> {
  const [host, { timestamp }] = await Promise.all([
    readHost(client, registry, deviceId, blockNumber),
    client.getBlock({ blockNumber }),
  ])
  return host.expiresAt <= Number(timestamp)
}

/** A client whose contract reads are all at one block. */
function pin(client: PublicClient, blockNumber: bigint): PublicClient {
  const readContract = (parameters: object) =>
    client.readContract({ ...parameters, blockNumber } as never)
  return { ...client, readContract } as PublicClient
}

async function isRevoked(
  client: PublicClient,
  { registry, kind, ids }: z.output<typeof ratifySchema>,
): Promise<boolean> {
  const approvals = await Promise.all(ids.map((id) => readApproval(client, registry, kind, id)))
  return approvals.every(({ revoked }) => revoked)
}

/** Undefined for a proposal that the governor does not know. An outage is still thrown. */
async function stateOrNone(client: PublicClient, governor: Hex, id: string) {
  try {
    return await proposalState(client, governor, BigInt(id))
  } catch (error) {
    if (isAssentError(error, 'CALL_REVERTED')) return undefined
    throw error
  }
}

interface UpkeepProposal {
  readonly calls: readonly Call[]
  readonly description: string
}

/** The proposal that revokes suspended things, so that they stay denied after the suspension. */
function ratification({
  registry,
  kind,
  ids,
  description,
}: z.output<typeof ratifySchema>): UpkeepProposal {
  return { calls: [revoke(registry, kind, ids)], description }
}

/** Same as `IGovernor.hashProposal`. */
function proposalIdOf({ calls, description }: UpkeepProposal): string {
  const encoded = encodeAbiParameters(
    [{ type: 'address[]' }, { type: 'uint256[]' }, { type: 'bytes[]' }, { type: 'bytes32' }],
    [
      calls.map(({ to }) => to),
      calls.map(({ value }) => value ?? 0n),
      calls.map(({ data }) => data),
      keccak256(toBytes(description)),
    ],
  )
  return BigInt(keccak256(encoded)).toString()
}

/* DUE TASKS */

/** One task that is due, as `GET /v1/upkeep` lists it. */
export type DueUpkeep =
  | {
      readonly task: 'queue' | 'execute'
      readonly proposalId: string
      readonly description: string
    }
  | {
      readonly task: 'ratify'
      readonly registry: Hex
      readonly kind: Kind
      readonly id: Hex
      /** Unix seconds at which the suspension ends if it is not ratified. */
      readonly suspendedUntil: number
    }
  | {
      readonly task: 'mark-expired'
      readonly registry: Hex
      readonly kind: Kind
      readonly ids: readonly Hex[]
    }
  | { readonly task: 'end-proof'; readonly registry: Hex; readonly deviceId: Hex }

/** Reads the next page of the governor's events. @returns true if there are more */
export async function watchProposals(options: UpkeepOptions): Promise<boolean> {
  const { db, chainId, reader, governor, span } = options
  const name = `proposals:${governor}`
  const { final } = await reader.heights()
  const next = await nextBlock(db, chainId, name, options.fromBlock)
  if (next > Number(final)) return false
  const { logs, last } = await readPage(next, Number(final), span, (to) =>
    reader.agree('events', async (client) => {
      const logs = await client.getLogs({
        address: governor,
        fromBlock: BigInt(next),
        toBlock: BigInt(to),
      })
      const parsed = parseEventLogs({
        abi: assentGovernorAbi,
        eventName: 'ProposalCreated',
        logs,
      })
      return parsed.map(({ args, blockNumber }) => ({ args, blockNumber }))
    }),
  )
  await db.transaction(async (tx) => {
    for (const { args, blockNumber } of logs) {
      await tx
        .insert(proposals)
        .values({
          chainId,
          governor,
          proposalId: args.proposalId.toString(),
          description: args.description,
          voteEnd: Number(args.voteEnd),
          block: Number(blockNumber),
        })
        .onConflictDoNothing()
    }
    await tx
      .insert(cursors)
      .values({ chainId, name, block: last })
      .onConflictDoUpdate({ target: [cursors.chainId, cursors.name], set: { block: last } })
  })
  return last < Number(final)
}

/** All tasks that are due at the newest block. */
export async function listUpkeep(options: UpkeepOptions): Promise<DueUpkeep[]> {
  return [
    ...(await dueProposals(options)),
    ...(await dueApprovals(options)),
    ...(await deadProofs(options)),
  ]
}

const overStates: ReadonlySet<string> = new Set(['canceled', 'defeated', 'expired', 'executed'])

async function dueProposals(options: UpkeepOptions): Promise<DueUpkeep[]> {
  const { db, chainId, reader, governor, clock } = options
  const open = await db
    .select()
    .from(proposals)
    .where(
      and(
        eq(proposals.chainId, chainId),
        eq(proposals.governor, governor),
        eq(proposals.isOver, false),
      ),
    )
    .orderBy(proposals.voteEnd)
  const due: DueUpkeep[] = []
  for (const { proposalId: id, description, voteEnd } of open) {
    if (voteEnd > clock()) continue
    const state = await reader.agree('state of a proposal', (client) =>
      proposalState(client, governor, BigInt(id)),
    )
    if (state === 'succeeded') due.push({ task: 'queue', proposalId: id, description })
    if (state === 'queued') {
      const eta = await reader.agree('time of a proposal', (client) =>
        proposalEta(client, governor, BigInt(id)),
      )
      if (eta <= clock()) due.push({ task: 'execute', proposalId: id, description })
    }
    if (overStates.has(state)) await close(options, id)
  }
  return due
}

async function close({ db, chainId, governor }: UpkeepOptions, id: string): Promise<void> {
  await db
    .update(proposals)
    .set({ isOver: true })
    .where(
      and(
        eq(proposals.chainId, chainId),
        eq(proposals.governor, governor),
        eq(proposals.proposalId, id),
      ),
    )
}

/** Active suspensions, and expired approvals that are not marked as expired. */
async function dueApprovals({ registries, reader, clock }: UpkeepOptions): Promise<DueUpkeep[]> {
  const { latest } = await reader.heights()
  const at = clock()
  const found: DueUpkeep[] = []
  for (const { address, kinds: ofRegistry } of registries) {
    for (const kind of ofRegistry) {
      const listed = await reader.agree('approvals', (client) =>
        listApprovals(client, address, kind, { blockNumber: latest }),
      )
      const inState = (state: State) =>
        listed.filter(({ approval }) => stateAt(approval, at) === state)
      for (const { id, approval } of inState('suspended')) {
        const { suspendedUntil } = approval
        found.push({ task: 'ratify', registry: address, kind, id, suspendedUntil })
      }
      const ids = inState('expired').map(({ id }) => id)
      if (ids.length > 0) {
        found.push({ task: 'mark-expired', registry: address, kind, ids: ids.slice(0, 50) })
      }
    }
  }
  return found
}

async function deadProofs({ db, chainId, clock }: UpkeepOptions): Promise<DueUpkeep[]> {
  const dead = await db
    .select({ registry: hosts.registry, deviceId: hosts.deviceId })
    .from(hosts)
    .where(
      and(
        eq(hosts.chainId, chainId),
        eq(hosts.isDead, true),
        gt(hosts.expiresAt, clock()),
        isNull(hosts.continuedAs),
      ),
    )
  return dead.map((host) => ({ task: 'end-proof', ...host }))
}

/** Asks for everything that anyone may do; suspensions are the operators' to decide. */
export async function runUpkeep(options: UpkeepOptions): Promise<number> {
  let asked = 0
  for (const due of await listUpkeep(options)) {
    if (due.task === 'ratify') continue
    const { description: _description, ...task } = { description: undefined, ...due }
    const { isNew } = await requestUpkeep(options, parseUpkeepTask(task))
    if (isNew) asked += 1
  }
  return asked
}

/** @throws RELAYER_PURPOSE_UNSERVED if no governor is configured */
export function requireGovernor(governor: Hex | undefined): Hex {
  if (governor !== undefined) return governor
  throw new AssentError('RELAYER_PURPOSE_UNSERVED', 'This relayer has no configured governor.', {
    facts: { purpose: upkeepKind },
  })
}
