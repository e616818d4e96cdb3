/** Posts heartbeats: one Merkle root over the nonces of a window, through the outbox. */
import { and, asc, desc, eq, gt, inArray, isNull, lt } from 'drizzle-orm'
import { encodeFunctionData } from 'viem'
import { z } from 'zod'

import { heartbeatAbi } from '../../chain/abi.ts'
import { heartbeatValue, maxDepth, merkleRoot, noValue } from '../../chain/heartbeat/tree.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { bytes32Schema } from '../../lib/schema.ts'
import { type Database, type DatabaseTransaction, isOneOf } from '../database/database.ts'
import { heartbeatNonces, heartbeats } from '../database/schema.ts'
import { check, type Target } from '../outbox/intent-targets.ts'
import { putIntent, readIntent } from '../outbox/intents.ts'
import type { HeartbeatKey } from './nonces.ts'

/** Kind of the intents. */
export const heartbeatKind = 'heartbeat'

/** Nonces below one root; the others wait for the next one. */
const noncesPerRoot = 2 ** maxDepth
/** A post that was not sent after this time is given up: the next one covers it. */
const wantedSeconds = 3_600
/** How long a nonce can be proven. Nodes ask for nonces of the last hours. */
const keptSeconds = 2 * 86_400

const payloadSchema = z.strictObject({ value: bytes32Schema, number: z.int().min(1) })

/**
 * Posts a value. It is done when the contract has this value, or one that was made after it, because a later value covers
 * it.
 */
export function createHeartbeatTarget(
  contract: Hex,
  key: HeartbeatKey,
  db: Pick<Database, 'select'>,
): Target {
  return {
    errors: heartbeatAbi,
    encode({ payload }) {
      const { value } = check(payloadSchema, payload, 'Payload')
      const data = encodeFunctionData({ abi: heartbeatAbi, functionName: 'beat', args: [value] })
      return { to: contract, data }
    },
    async isDone({ payload }, client, blockNumber) {
      const { value, number } = check(payloadSchema, payload, 'Payload')
      const posted = await client.readContract({
        address: contract,
        abi: heartbeatAbi,
        functionName: 'rootOf',
        args: [key.account],
        blockNumber,
      })
      return posted === value || (await isLater(db, key, posted, number))
    },
  }
}

async function isLater(
  db: Pick<Database, 'select'>,
  { chainId, account }: HeartbeatKey,
  value: Hex,
  number: number,
): Promise<boolean> {
  const rows = await db
    .select({ number: heartbeats.number })
    .from(heartbeats)
    .where(
      and(
        eq(heartbeats.chainId, chainId),
        eq(heartbeats.account, account),
        eq(heartbeats.value, value),
        gt(heartbeats.number, number),
      ),
    )
  return rows.length > 0
}

/** Dependencies of a run. */
export interface PostOptions extends HeartbeatKey {
  readonly db: Database
  readonly clock: Clock
}

/**
 * Ends the window: puts one post over all waiting nonces into the outbox. Without nonces nothing is posted.
 *
 * @returns `posted`; `empty` without nonces; `waiting` while the last post has no block: two of them at once would cost
 * twice and prove no more
 */
export async function postHeartbeat(options: PostOptions): Promise<'posted' | 'empty' | 'waiting'> {
  const { db, chainId, account, clock } = options
  const key = { chainId, account }
  await forgetOld(options)
  const last = await readLast(db, key)
  if (last !== undefined && !(await hasBlock(db, last.intentId))) return 'waiting'
  return db.transaction(async (tx) => {
    const waiting = await takeWaiting(tx, key)
    if (waiting.length === 0) return 'empty'
    const previous = last?.value ?? noValue
    const root = merkleRoot(waiting)
    const [number, value, at] = [(last?.number ?? 0) + 1, heartbeatValue(previous, root), clock()]
    const { id: intentId } = await putIntent(tx, {
      chainId,
      kind: heartbeatKind,
      key: value,
      payload: { value, number },
      expiresAt: at + wantedSeconds,
      at,
    })
    // fails if another replica has posted this number
    await tx
      .insert(heartbeats)
      .values({ ...key, number, previous, root, value, intentId, madeAt: at })
    await tx
      .update(heartbeatNonces)
      .set({ heartbeat: number })
      .where(and(ofKey(key), isOneOf(heartbeatNonces.nonce, waiting)))
    return 'posted'
  })
}

async function readLast(db: Pick<Database, 'select'>, { chainId, account }: HeartbeatKey) {
  const [last] = await db
    .select()
    .from(heartbeats)
    .where(and(eq(heartbeats.chainId, chainId), eq(heartbeats.account, account)))
    .orderBy(desc(heartbeats.number))
    .limit(1)
  return last
}

/** Whether the post is in a block, or will never be. */
async function hasBlock(db: Database, intentId: string): Promise<boolean> {
  const intent = await readIntent(db, intentId)
  return intent === undefined || ['mined', 'final', 'abandoned'].includes(intent.state)
}

async function takeWaiting(tx: DatabaseTransaction, key: HeartbeatKey): Promise<Hex[]> {
  const rows = await tx
    .select({ nonce: heartbeatNonces.nonce })
    .from(heartbeatNonces)
    .where(and(ofKey(key), isNull(heartbeatNonces.heartbeat)))
    .orderBy(asc(heartbeatNonces.position))
    .limit(noncesPerRoot)
    .for('update')
  return rows.map(({ nonce }) => nonce)
}

function ofKey({ chainId, account }: HeartbeatKey) {
  return and(eq(heartbeatNonces.chainId, chainId), eq(heartbeatNonces.account, account))
}

/** Deletes what no node asks for any more. The last heartbeat stays, because the next value covers it. */
async function forgetOld({ db, chainId, account, clock }: PostOptions): Promise<void> {
  const key = { chainId, account }
  const last = await readLast(db, key)
  if (last === undefined) return
  await db.transaction(async (tx) => {
    const old = await tx
      .delete(heartbeats)
      .where(
        and(
          eq(heartbeats.chainId, chainId),
          eq(heartbeats.account, account),
          lt(heartbeats.madeAt, clock() - keptSeconds),
          lt(heartbeats.number, last.number),
        ),
      )
      .returning({ number: heartbeats.number })
    const numbers = old.map(({ number }) => number)
    if (numbers.length === 0) return
    await tx
      .delete(heartbeatNonces)
      .where(and(ofKey(key), inArray(heartbeatNonces.heartbeat, numbers)))
  })
}
