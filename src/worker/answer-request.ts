/**
 * Answers one request inside a CVM: checks it, opens its input, asks the app's handler, and signs the result.
 *
 * It reads no chain. The caller reads the request from a final block, and stores the answer before it shows the signature to
 * anyone: a second result for the same request would be a contradiction.
 */
import { keccak256 } from 'viem'

import {
  decodeInputReference,
  maxRequestBytes,
  type RequestIdentity,
  type RequestsContract,
  requestId,
  resultDigest,
  toContractSignature,
} from '../chain/registries/requests.ts'
import { AssentError } from '../errors/index.ts'
import { type Hex, to0x } from '../lib/bytes.ts'
import { signK256Digest } from '../lib/k256.ts'
import { deriveRequestKey } from './request-key.ts'
import { epochOfInput, openInput, sealResult } from './sealed-message.ts'

/** A request as its event shows it. */
export interface AskedRequest extends RequestIdentity {
  readonly id: Hex
  readonly inputReference: Hex
}

/** What the app's handler gets. */
export interface HandlerInput {
  readonly id: Hex
  readonly requester: Hex
  /** The opened input. */
  readonly body: Uint8Array
  /** Aborted when the answer would come too late. */
  readonly signal: AbortSignal
}

/**
 * The app's code. The same request must lead to the same result on every instance, or an operator could choose among results
 * by declining.
 *
 * @throws WORKER_INPUT_REFUSED for an input that it will never answer
 */
export type Handler = (input: HandlerInput) => Promise<Uint8Array>

/** What a worker knows and may use. */
export interface WorkerContext {
  readonly contract: RequestsContract
  /** The app for which it works. */
  readonly app: Hex
  /** Private key of the instance, 32 bytes. */
  readonly key: Uint8Array
  /** App keys by key epoch, 32 bytes each. */
  readonly appKeys: ReadonlyMap<number, Uint8Array>
  readonly handler: Handler
  /** Milliseconds for the handler. */
  readonly timeoutMs: number
}

/** A signed result, ready for `fulfilRequest`. */
export interface Answer {
  readonly id: Hex
  readonly result: Hex
  readonly signature: Hex
}

/**
 * Answers a request.
 *
 * @throws WORKER_INPUT_REFUSED: decline it; WORKER_HANDLER_FAILED: try again until it is due
 * @example
 * const answer = await answerRequest(request, worker)
 * // or with an outbox, which keeps the first answer: answerOnce in targets.ts
 */
export async function answerRequest(asked: AskedRequest, worker: WorkerContext): Promise<Answer> {
  const { id, requester } = asked
  const { body, replyKey } = open(asked, worker)
  const output = await ask(worker, { id, requester, body })
  const context = { ...worker.contract, id }
  const result = sealed(replyKey, context, output)
  if (result.length > maxRequestBytes) {
    throw failed('The result of the handler is too long.', { found: result.length })
  }
  const digest = resultDigest(worker.contract, id, result)
  const signature = toContractSignature(signK256Digest(worker.key, digest))
  return { id, result: to0x(result), signature }
}

function open(asked: AskedRequest, { contract, app, appKeys }: WorkerContext) {
  // an endpoint could show another input for the same id
  if (requestId(contract, asked) !== asked.id) throw refused('The id is of another request.')
  if (asked.app.toLowerCase() !== app.toLowerCase())
    throw refused('The request is for another app.')
  const reference = decodeInputReference(asked.inputReference)
  if (reference?.kind !== 'inline') throw refused('The input is not inside the request.')
  const { input } = reference
  if (keccak256(input) !== asked.inputDigest) throw refused('The input has another digest.')
  try {
    const epoch = epochOfInput(input)
    const appKey = epoch === undefined ? undefined : appKeys.get(epoch)
    const requestKey = appKey && deriveRequestKey(appKey)
    return openInput(requestKey, { ...contract, app, requester: asked.requester }, input)
  } catch (cause) {
    throw refused('The input cannot be opened.', cause)
  }
}

/** The requester chose the reply key: a key that nobody may use is its fault. */
function sealed(...args: Parameters<typeof sealResult>): Uint8Array {
  try {
    return sealResult(...args)
  } catch (cause) {
    throw refused('The key for the result cannot be used.', cause)
  }
}

async function ask(
  { handler, timeoutMs }: WorkerContext,
  input: Omit<HandlerInput, 'signal'>,
): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(timeoutMs)
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(failed('The handler did not answer in time.')))
  })
  try {
    return await Promise.race([handler({ ...input, signal }), late])
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    // its message could contain the input
    throw failed('The handler failed.')
  }
}

function refused(message: string, cause?: unknown): AssentError {
  return new AssentError('WORKER_INPUT_REFUSED', message, { cause })
}

function failed(message: string, facts: Record<string, unknown> = {}): AssentError {
  return new AssentError('WORKER_HANDLER_FAILED', message, { facts })
}
