/** Accepts nonces of KMS nodes for the next heartbeat, and answers with the proof of a nonce after it was posted. */
import { and, asc, count, eq, gt, isNull } from 'drizzle-orm'
import { z } from 'zod'

import { type HeartbeatProof, maxLater, merklePath } from '../../chain/heartbeat/tree.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { bytes32Schema } from '../../lib/schema.ts'
import type { Database } from '../database/database.ts'
import { heartbeatNonces, heartbeats } from '../database/schema.ts'
import { check } from '../outbox/intent-targets.ts'

/** Heartbeats of one account. */
export interface HeartbeatKey {
  /** EIP-155 chain id. */
  readonly chainId: number
  /** The relayer's account, which posts. */
  readonly account: Hex
}

/** Settings of heartbeats. */
export interface HeartbeatSettings {
  /** The `Heartbeat` contract. */
  readonly contract: Hex
  /** The window: seconds between two posts. */
  readonly everySeconds: number
  /** Nonces of one client in one window. */
  readonly noncesPerClient: number
}

/** A nonce that a client hands over. */
export interface OfferedNonce {
  readonly nonce: Hex
  /** Name of the client. */
  readonly operator: string
  /** Unix seconds. */
  readonly at: number
}

const requestSchema = z.strictObject({ nonce: bytes32Schema })

/** @throws INPUT_INVALID */
export function parseNonceRequest(json: unknown): Hex {
  return check(requestSchema, json, 'Request').nonce
}

/**
 * Stores a nonce for the next heartbeat.
 *
 * @returns false if the nonce is known already
 * @throws RELAYER_RATE_LIMITED if the client has handed over as many as one window allows
 */
export async function acceptNonce(
  db: Database,
  { chainId, account }: HeartbeatKey,
  { nonce, operator, at }: OfferedNonce,
  { everySeconds, noncesPerClient }: HeartbeatSettings,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    const [waiting] = await tx
      .select({ found: count() })
      .from(heartbeatNonces)
      .where(
        and(
          eq(heartbeatNonces.chainId, chainId),
          eq(heartbeatNonces.account, account),
          eq(heartbeatNonces.operator, operator),
          isNull(heartbeatNonces.heartbeat),
        ),
      )
    if ((waiting?.found ?? 0) >= noncesPerClient) {
      throw new AssentError(
        'RELAYER_RATE_LIMITED',
        `A client hands over at most ${noncesPerClient} nonces in ${everySeconds} seconds.`,
        { facts: { operator, limit: noncesPerClient, retryAfter: everySeconds } },
      )
    }
    const stored = await tx
      .insert(heartbeatNonces)
      .values({ chainId, account, nonce, operator, receivedAt: at })
      .onConflictDoNothing()
      .returning({ nonce: heartbeatNonces.nonce })
    return stored.length > 0
  })
}

/**
 * What leads from a nonce to the posted values.
 *
 * @throws INPUT_INVALID, RELAYER_NONCE_UNKNOWN if the nonce is unknown or was not posted yet
 */
export async function proveNonce(
  db: Database,
  key: HeartbeatKey,
  text: string,
): Promise<HeartbeatProof> {
  const nonce = check(bytes32Schema, text, 'Nonce')
  const [known] = await db
    .select({ heartbeat: heartbeatNonces.heartbeat })
    .from(heartbeatNonces)
    .where(
      and(
        eq(heartbeatNonces.chainId, key.chainId),
        eq(heartbeatNonces.account, key.account),
        eq(heartbeatNonces.nonce, nonce),
      ),
    )
  const number = known?.heartbeat ?? undefined
  if (number === undefined) throw unknownNonce(nonce, known !== undefined)
  const [posted] = await db.select().from(heartbeats).where(ofHeartbeat(key, number))
  if (posted === undefined) throw unknownNonce(nonce, false)
  const nonces = await noncesOf(db, key, number)
  return {
    path: merklePath(nonces, nonces.indexOf(nonce)),
    previous: posted.previous,
    later: await rootsAfter(db, key, number),
  }
}

/** Nonces below one root, in the order in which they came. */
export async function noncesOf(
  db: Pick<Database, 'select'>,
  { chainId, account }: HeartbeatKey,
  number: number,
): Promise<Hex[]> {
  const rows = await db
    .select({ nonce: heartbeatNonces.nonce })
    .from(heartbeatNonces)
    .where(
      and(
        eq(heartbeatNonces.chainId, chainId),
        eq(heartbeatNonces.account, account),
        eq(heartbeatNonces.heartbeat, number),
      ),
    )
    .orderBy(asc(heartbeatNonces.position))
  return rows.map(({ nonce }) => nonce)
}

async function rootsAfter(
  db: Database,
  { chainId, account }: HeartbeatKey,
  number: number,
): Promise<Hex[]> {
  const rows = await db
    .select({ root: heartbeats.root })
    .from(heartbeats)
    .where(
      and(
        eq(heartbeats.chainId, chainId),
        eq(heartbeats.account, account),
        gt(heartbeats.number, number),
      ),
    )
    .orderBy(asc(heartbeats.number))
    .limit(maxLater)
  return rows.map(({ root }) => root)
}

/** The row of one heartbeat. */
export function ofHeartbeat({ chainId, account }: HeartbeatKey, number: number) {
  return and(
    eq(heartbeats.chainId, chainId),
    eq(heartbeats.account, account),
    eq(heartbeats.number, number),
  )
}

function unknownNonce(nonce: Hex, isWaiting: boolean): AssentError {
  const message = isWaiting
    ? 'The nonce waits for the next heartbeat.'
    : 'This relayer does not know the nonce.'
  return new AssentError('RELAYER_NONCE_UNKNOWN', message, { facts: { nonce, isWaiting } })
}
