/**
 * What anyone may do for the DAO, done on request: queue and execute what was decided, propose that a
 * suspension becomes a revocation, and say which suspensions lapse if nobody does.
 */
import { and, eq } from 'drizzle-orm'
import {
  encodeAbiParameters,
  encodeFunctionData,
  keccak256,
  type PublicClient,
  parseEventLogs,
  toBytes,
} from 'viem'
import { z } from 'zod'

import { assentGovernorAbi } from '../chain/abi.ts'
import { type Kind, kinds } from '../chain/approval.ts'
import type { Call } from '../chain/call.ts'
import { proposalCall, proposalEta, proposalState } from '../chain/governance.ts'
import { listApprovals, readApproval, revoke } from '../chain/registry.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { addressSchema, bytes32Schema } from '../lib/schema.ts'
import type { Database } from './database.ts'
import type { Reader } from './endpoints.ts'
import { enqueueIntent, type PutIntent } from './intents.ts'
import { cursors, proposals } from './schema.ts'
import { check, type Target } from './targets.ts'
import { nextBlock } from './watch.ts'

export const choreKind = 'chore'

export interface ChoreOptions {
  readonly db: Database
  readonly chainId: number
  readonly reader: Reader
  readonly governor: Hex
  /** Registries whose suspensions are watched, with their kinds. */
  readonly registries: readonly { readonly address: Hex; readonly kinds: readonly Kind[] }[]
  readonly fromBlock: number
  readonly span: number
  readonly clock: Clock
}

const proposalId = z.string().regex(/^[1-9][0-9]{0,77}$/, 'a decimal number')

const moveSchema = z.strictObject({ chore: z.enum(['queue', 'execute']), proposalId })

const ratifySchema = z.strictObject({
  chore: z.literal('ratify'),
  registry: addressSchema,
  kind: z.enum(Object.keys(kinds) as [Kind, ...Kind[]]),
  ids: z.array(bytes32Schema).min(1).max(50),
  description: z.string().min(1).max(4_000),
})

const choreSchema = z.discriminatedUnion('chore', [moveSchema, ratifySchema])

export type Chore = z.output<typeof choreSchema>

/** @throws INPUT_INVALID */
export function parseChore(json: unknown): Chore {
  return check(choreSchema, json, 'Chore')
}

/** The same chore is one intent: asking twice does it once. */
export function requestChore(
  { db, chainId, governor, clock }: Pick<ChoreOptions, 'db' | 'chainId' | 'governor' | 'clock'>,
  chore: Chore,
): Promise<PutIntent> {
  const id = chore.chore === 'ratify' ? proposalIdOf(ratification(chore)) : chore.proposalId
  return enqueueIntent(db, {
    chainId,
    kind: choreKind,
    key: `${governor}:${chore.chore}:${id}`,
    payload: chore,
    expiresAt: null,
    at: clock(),
  })
}

/* TARGET */

export function createChoreTarget(governor: Hex): Target {
  return {
    errors: assentGovernorAbi,
    encode({ payload }) {
      const chore = parseChore(payload)
      if (chore.chore === 'ratify') {
        const { calls, description } = ratification(chore)
        return proposalCall(governor, calls, description)
      }
      const args = [BigInt(chore.proposalId)] as const
      return {
        to: governor,
        data: encodeFunctionData({ abi: assentGovernorAbi, functionName: chore.chore, args }),
      }
    },
    async isDone({ payload }, client, blockNumber) {
      const chore = parseChore(payload)
      const pinned = pin(client, blockNumber)
      if (chore.chore === 'ratify') {
        const id = proposalIdOf(ratification(chore))
        return (await stateOrNone(pinned, governor, id)) !== undefined || isRevoked(pinned, chore)
      }
      const state = await stateOrNone(pinned, governor, chore.proposalId)
      return state === 'executed' || (state === 'queued' && chore.chore === 'queue')
    },
  }
}

/** Reads of the shared functions, at one block. */
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

/** Undefined for a proposal that the governor does not know; an outage is still thrown. */
async function stateOrNone(client: PublicClient, governor: Hex, id: string) {
  try {
    return await proposalState(client, governor, BigInt(id))
  } catch (error) {
    if (isAssentError(error, 'CALL_REVERTED')) return undefined
    throw error
  }
}

interface Decision {
  readonly calls: readonly Call[]
  readonly description: string
}

function ratification({
  registry,
  kind,
  ids,
  description,
}: z.output<typeof ratifySchema>): Decision {
  return { calls: [revoke(registry, kind, ids)], description }
}

/** As IGovernor.hashProposal. */
function proposalIdOf({ calls, description }: Decision): string {
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

/* WHAT THERE IS TO DO */

export type DueChore =
  | {
      readonly chore: 'queue' | 'execute'
      readonly proposalId: string
      readonly description: string
    }
  | {
      readonly chore: 'ratify'
      readonly registry: Hex
      readonly kind: Kind
      readonly id: Hex
      /** It lapses then, if nobody ratifies it. */
      readonly suspendedUntil: number
    }

/** Reads on in the governor's events, one page; true if there is more. */
export async function watchProposals(options: ChoreOptions): Promise<boolean> {
  const { db, chainId, reader, governor, span } = options
  const name = `proposals:${governor}`
  const { final } = await reader.heights()
  const next = await nextBlock(db, chainId, name, options.fromBlock)
  if (next > Number(final)) return false
  const last = Math.min(next + span - 1, Number(final))
  const logs = await reader.agree('events', async (client) =>
    parseEventLogs({
      abi: assentGovernorAbi,
      eventName: 'ProposalCreated',
      logs: await client.getLogs({
        address: governor,
        fromBlock: BigInt(next),
        toBlock: BigInt(last),
      }),
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

/** Everything whose time has come, by the newest block. */
export async function listChores(options: ChoreOptions): Promise<DueChore[]> {
  return [...(await dueProposals(options)), ...(await suspensions(options))]
}

const overStates: ReadonlySet<string> = new Set(['canceled', 'defeated', 'expired', 'executed'])

async function dueProposals(options: ChoreOptions): Promise<DueChore[]> {
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
  const due: DueChore[] = []
  for (const { proposalId: id, description, voteEnd } of open) {
    if (voteEnd > clock()) continue
    const state = await reader.agree('state of a proposal', (client) =>
      proposalState(client, governor, BigInt(id)),
    )
    if (state === 'succeeded') due.push({ chore: 'queue', proposalId: id, description })
    if (state === 'queued') {
      const eta = await reader.agree('time of a proposal', (client) =>
        proposalEta(client, governor, BigInt(id)),
      )
      if (eta <= clock()) due.push({ chore: 'execute', proposalId: id, description })
    }
    if (overStates.has(state)) await close(options, id)
  }
  return due
}

async function close({ db, chainId, governor }: ChoreOptions, id: string): Promise<void> {
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

async function suspensions({ registries, reader, clock }: ChoreOptions): Promise<DueChore[]> {
  const { latest } = await reader.heights()
  const at = clock()
  const found: DueChore[] = []
  for (const { address, kinds: ofRegistry } of registries) {
    for (const kind of ofRegistry) {
      const listed = await reader.agree('approvals', (client) =>
        listApprovals(client, address, kind, { blockNumber: latest }),
      )
      for (const { id, approval } of listed) {
        const { suspendedUntil, revoked, endedAt } = approval
        if (suspendedUntil <= at || revoked || endedAt !== 0) continue
        found.push({ chore: 'ratify', registry: address, kind, id, suspendedUntil })
      }
    }
  }
  return found
}

/** Asks for every proposal that can move; suspensions are the operators' to decide. */
export async function moveProposals(options: ChoreOptions): Promise<number> {
  let moved = 0
  for (const chore of await dueProposals(options)) {
    if (chore.chore === 'ratify') continue
    const { isNew } = await requestChore(options, {
      chore: chore.chore,
      proposalId: chore.proposalId,
    })
    if (isNew) moved += 1
  }
  return moved
}

/** @throws RELAYER_PURPOSE_UNSERVED */
export function requireGovernor(governor: Hex | undefined): Hex {
  if (governor !== undefined) return governor
  throw new AssentError('RELAYER_PURPOSE_UNSERVED', 'No governor is configured here.', {
    facts: { purpose: choreKind },
  })
}
