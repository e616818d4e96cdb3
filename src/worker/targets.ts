/**
 * The effects of a worker for the relayer's outbox, which brings each of them on-chain once, also across crashes.
 *
 * The key of an answer is the id of its request, so the first stored answer of a request is the only one.
 */
import { and, eq } from 'drizzle-orm'
import { z } from 'zod'

import { requestsAbi } from '../chain/abi.ts'
import { declineRequest, fulfilRequest, readRequest } from '../chain/registries/requests.ts'
import type { Hex } from '../lib/bytes.ts'
import { addressSchema, bytes32Schema, bytesSchema, hexSchema } from '../lib/schema.ts'
import type { Database } from '../relayer/database/database.ts'
import { intents } from '../relayer/database/schema.ts'
import { check, type Target } from '../relayer/outbox/intent-targets.ts'
import { enqueueIntent, type NewIntent, type PutIntent } from '../relayer/outbox/intents.ts'
import { type AskedRequest, answerRequest, type WorkerContext } from './answer-request.ts'

/** Kinds of the intents of a worker. */
export const workerKinds = { answer: 'request-answer', decline: 'request-decline' } as const

const answerPayload = z.strictObject({
  id: bytes32Schema,
  result: bytesSchema,
  signature: hexSchema(65),
})
const declinePayload = z.strictObject({ id: bytes32Schema, key: addressSchema })

/** When an intent is made, and until when its effect is wanted. Unix seconds. */
export interface IntentTimes {
  readonly chainId: number
  readonly at: number
  readonly expiresAt: number
}

/**
 * Puts the answer of a request into the outbox: the stored one if there is one, else a new one. So a request gets one
 * signature only, also if the process ended after it, or the outbox gave up in between. The outbox must keep settled intents as
 * long as a request can last: 30 days, its default.
 *
 * @throws WORKER_INPUT_REFUSED, WORKER_HANDLER_FAILED
 * @example
 * await answerOnce(db, request, worker, { chainId, at: clock(), expiresAt: deadline })
 */
export async function answerOnce(
  db: Database,
  asked: AskedRequest,
  worker: WorkerContext,
  times: IntentTimes,
): Promise<PutIntent> {
  const isMeant = and(
    eq(intents.chainId, times.chainId),
    eq(intents.kind, workerKinds.answer),
    eq(intents.key, asked.id),
  )
  const [known] = await db.select({ payload: intents.payload }).from(intents).where(isMeant)
  const answer = known
    ? check(answerPayload, known.payload, 'Payload')
    : await answerRequest(asked, worker)
  return enqueueIntent(db, {
    ...times,
    kind: workerKinds.answer,
    key: answer.id,
    payload: answer,
  })
}

/** The intent to decline a request. @param assignment how often a worker was assigned until now: one may decline twice */
export function declineIntent(
  { id, key, assignment }: { readonly id: Hex; readonly key: Hex; readonly assignment: number },
  times: IntentTimes,
): NewIntent {
  const payload = { id, key: key.toLowerCase() }
  return { ...times, kind: workerKinds.decline, key: `${id}:${assignment}`, payload }
}

/** Brings signed results. Done when the request is settled: also a refund leaves nothing to do. */
export function createAnswerTarget(requests: Hex): Target {
  return {
    errors: requestsAbi,
    encode({ payload }) {
      const { id, result, signature } = check(answerPayload, payload, 'Payload')
      return fulfilRequest(requests, id, result, signature)
    },
    async isDone({ payload }, client, blockNumber) {
      const { id } = check(answerPayload, payload, 'Payload')
      const { settled } = await readRequest(client, requests, id, blockNumber)
      return settled !== waiting
    },
  }
}

/** `IRequests.State.Waiting`: the stored state of an open request. */
const waiting = 1

/** Declines requests. Done when the worker does not have the request any more. */
export function createDeclineTarget(requests: Hex): Target {
  return {
    errors: requestsAbi,
    encode({ payload }) {
      return declineRequest(requests, check(declinePayload, payload, 'Payload').id)
    },
    async isDone({ payload }, client, blockNumber) {
      const { id, key } = check(declinePayload, payload, 'Payload')
      const { settled, worker } = await readRequest(client, requests, id, blockNumber)
      return settled !== waiting || worker.toLowerCase() !== key
    },
  }
}
